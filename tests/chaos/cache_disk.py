"""A disk that forgets: a file on FUSE for a loop device, with a write cache that only a flush empties.

    python -m tests.chaos.cache_disk MOUNTPOINT IMAGE BYTES   serves MOUNTPOINT/disk; needs root

Reads see every write, IMAGE only gets what a flush (FUSE_FSYNC, which is what a loop device makes of a flush) has
completed. On standard input it takes `cut SEED STYLE [FLUSHES]`: at the given number of flushes from now (0: at once)
the power goes. IMAGE then gets the flushed writes and, of the others, what a disk may have kept: any sector (512 bytes)
of a write, old or new; every later request fails with EIO, so nothing after the cut is acknowledged. `fail` makes every
later flush fail with EIO and keep nothing, `heal` ends that. Each answer is a line of JSON.

The frames are those of the kernel's include/uapi/linux/fuse.h, version 7.31. Nothing here may touch the loop device or
its file system: it would wait for itself.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import select
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

SECTOR = 512
STYLES = ("flushed", "all", "sectors", "torn", "reordered")
IN = struct.Struct("<IIQQIIIHH")  # fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid, extensions, padding
OUT = struct.Struct("<IiQ")  # fuse_out_header
ATTR = struct.Struct("<6Q10I")
READ_WRITE = struct.Struct("<QQIIQII")  # fuse_read_in, fuse_write_in: fh, offset, size, …
ROOT, DISK = 1, 2
MESSAGE_MAX = 1 << 20
FLAGS = (1 << 0) | (1 << 5) | (1 << 22)  # ASYNC_READ, BIG_WRITES, MAX_PAGES
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 1, 2, 3, 4, 14, 15, 16, 17, 18, 20
FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = 25, 26, 27, 29, 36, 38, 42
SILENT = {FORGET, BATCH_FORGET, INTERRUPT}


class CacheDisk:
    """The disk's content, as written and as flushed."""

    def __init__(self, image: Path, size: int) -> None:
        self.size = size
        self._kept = os.open(image, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._kept, size)
        self._seen = os.memfd_create("disk")  # what a read sees
        os.ftruncate(self._seen, size)
        self._copy()
        self.pending: list[tuple[int, bytes]] = []  # writes since the last flush, in order
        self.flushes = 0
        self.dead = self.failing = False
        self._cut: tuple[int, int, str] | None = None  # flush at which it happens, seed, style

    def _copy(self) -> None:
        at = 0
        while True:
            try:
                at = os.lseek(self._kept, at, os.SEEK_DATA)
            except OSError:
                return
            data = os.pread(self._kept, MESSAGE_MAX, at)
            if data.count(0) != len(data):
                os.pwrite(self._seen, data, at)
            at += len(data)

    def read(self, at: int, size: int) -> bytes:
        """What was written there."""
        self._alive()
        return os.pread(self._seen, size, at)

    def write(self, at: int, data: bytes) -> None:
        """Into the cache."""
        self._alive()
        os.pwrite(self._seen, data, at)
        self.pending.append((at, data))

    def flush(self) -> None:
        """Keep what was written. Raises EIO when the disk fails or has no power."""
        self._alive()
        if self.failing:
            raise OSError(errno.EIO, "the flush failed")
        self.flushes += 1
        if self._cut is not None and self.flushes >= self._cut[0]:
            self._lose(self._cut[1], self._cut[2])
            raise OSError(errno.EIO, "no power")
        for at, data in self.pending:
            os.pwrite(self._kept, data, at)
        self.pending.clear()

    def _alive(self) -> None:
        if self.dead:
            raise OSError(errno.EIO, "no power")

    def cut(self, seed: int, style: str, after: int) -> None:
        """The power goes now, or in the middle of the flush with that number from now."""
        if after and not self.dead:
            self._cut = (self.flushes + after, seed, style)
        elif not self.dead:
            self._lose(seed, style)

    def _lose(self, seed: int, style: str) -> None:
        self.dead = True
        self._cut = None
        kept = survivors(self.pending, random.Random(seed), style)
        for at, data in kept:
            os.pwrite(self._kept, data, at)
        total = sum(len(data) for _, data in self.pending)
        print(json.dumps({"unflushed": total, "survived": sum(len(data) for _, data in kept)}), flush=True)


def survivors(pending: list[tuple[int, bytes]], chance: random.Random, style: str) -> list[tuple[int, bytes]]:
    """What a disk without power may have kept of writes that no flush followed."""
    if style == "flushed":
        return []
    if style == "all":
        return list(pending)
    if style == "reordered":  # whole writes, in any order
        return [write for write in pending if chance.random() < 0.5]
    if style == "torn":  # in order up to one that was cut between two sectors
        whole = chance.randrange(len(pending) + 1)
        kept = pending[:whole]
        if whole < len(pending):
            at, data = pending[whole]
            kept.append((at, data[: chance.randrange(len(data) // SECTOR + 1) * SECTOR]))
        return kept
    assert style == "sectors", style  # any sector of any write
    return [
        (at + first, data[first : first + SECTOR])
        for at, data in pending
        for first in range(0, len(data), SECTOR)
        if chance.random() < 0.5
    ]


class Fuse:
    """The kernel's side: answers its requests from a CacheDisk."""

    def __init__(self, mountpoint: Path, disk: CacheDisk) -> None:
        self.disk = disk
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,max_read={MESSAGE_MAX}".encode()
        if libc.mount(b"iris-disk", str(mountpoint).encode(), b"fuse.iris-disk", 0, options) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(mountpoint))
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            INIT: lambda node, body: struct.pack(
                "<4I2H2I2HI7I", 7, 31, MESSAGE_MAX, FLAGS, 64, 48, MESSAGE_MAX, 1, 256, 0, 0, *[0] * 7
            ),
            LOOKUP: self._lookup,
            GETATTR: lambda node, body: struct.pack("<QII", 3600, 0, 0) + self._attributes(node),
            SETATTR: lambda node, body: struct.pack("<QII", 3600, 0, 0) + self._attributes(node),
            OPEN: lambda node, body: struct.pack("<QIi", 1, 0, 0),
            OPENDIR: lambda node, body: struct.pack("<QIi", 1, 0, 0),
            READ: self._read,
            WRITE: self._write,
            FSYNC: self._flush,
            STATFS: lambda node, body: bytes(80),
            **dict.fromkeys((FLUSH, RELEASE, RELEASEDIR, DESTROY), lambda node, body: b""),
        }

    def _attributes(self, node: int) -> bytes:
        mode, size = (stat.S_IFDIR | 0o700, 0) if node == ROOT else (stat.S_IFREG | 0o600, self.disk.size)
        return ATTR.pack(node, size, size // SECTOR, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _lookup(self, node: int, body: bytes) -> bytes:
        if node != ROOT or body.rstrip(b"\0") != b"disk":
            raise OSError(errno.ENOENT, "no such file")
        return struct.pack("<QQQQII", DISK, 1, 3600, 3600, 0, 0) + self._attributes(DISK)

    def _read(self, node: int, body: bytes) -> bytes:
        _, at, size, *_ = READ_WRITE.unpack_from(body)
        return self.disk.read(at, size)

    def _write(self, node: int, body: bytes) -> bytes:
        _, at, size, *_ = READ_WRITE.unpack_from(body)
        self.disk.write(at, body[READ_WRITE.size : READ_WRITE.size + size])
        return struct.pack("<II", size, 0)

    def _flush(self, node: int, body: bytes) -> bytes:
        self.disk.flush()
        return b""

    def turn(self) -> bool:
        """Answer one request; False when the file system was unmounted."""
        try:
            message = os.read(self.fd, MESSAGE_MAX + 4096)
        except OSError as error:
            return error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT)
        _, opcode, unique, node, *_ = IN.unpack_from(message)
        if opcode in SILENT:
            return True
        answer = self._answers.get(opcode)
        number, body = 0, b""
        try:
            if answer is None:
                number = errno.ENOSYS
            else:
                body = answer(node, message[IN.size :])
        except OSError as error:
            number = error.errno or errno.EIO
        os.write(self.fd, OUT.pack(OUT.size + len(body), -number, unique) + body)
        return True


def main(mountpoint: Path, image: Path, size: int) -> None:
    disk = CacheDisk(image, size)
    fuse = Fuse(mountpoint, disk)
    print(json.dumps({"ready": True}), flush=True)
    while True:
        ready, _, _ = select.select([fuse.fd, sys.stdin], [], [])
        if fuse.fd in ready and not fuse.turn():
            return
        if sys.stdin in ready:
            words = sys.stdin.readline().split()
            if not words:
                return
            if words[0] == "cut":
                disk.cut(int(words[1]), words[2], int(words[3]) if len(words) > 3 else 0)
            else:
                disk.failing = words[0] == "fail"
                print(json.dumps({"failing": disk.failing, "flushes": disk.flushes}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
