"""The number of the last commit that was synced, kept apart from the database.

RocksDB opens a write-ahead log that was cut short, or flipped in the middle, without a word (measured): only a number
that lies elsewhere can tell that acknowledged commits are missing. It is written after every sync and before anyone
hears of the commit, so after a kill it is exact. It is fsynced once a second, so after a power cut it is a lower
bound. Two slots in two sectors are written in turn; each has a checksum, and the higher valid one counts. Two more
slots say how far the table of contents (contents.py) was synced; a store of an older version has none.
"""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

from iris.store.contents import Contents, Mark
from iris.store.port import StoreDamaged

_SLOT = Struct(">8s8sQ")  # magic, store id, commit; a CRC follows
_CRC = Struct(">I")
_MAGIC = b"IRISWIT1"
_CONTENTS = Struct(">8s8sQQI")  # magic, store id, number, size and checksum of the MANIFEST; a CRC follows
_CONTENTS_MAGIC = b"IRISCON1"
_STRIDE = 4096


class Witness:
    """An open witness file."""

    def __init__(self, fd: int, store: bytes, commit: int) -> None:
        self._fd, self._store, self.commit = fd, store, commit
        self._synced = commit
        self._notes = 0
        self._contents: Contents | None = None

    @classmethod
    def create(cls, path: Path, store: bytes, commit: int) -> Witness:
        """A new file that says `commit`, durable but for its name: the caller syncs the folder."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.pwrite(fd, bytes(2 * _STRIDE), 0)
        witness = cls(fd, store, -1)
        witness.write(commit)
        witness.sync()
        return witness

    @classmethod
    def open(cls, path: Path, store: bytes, *, write: bool = True) -> Witness:
        """Raises StoreDamaged when the file is missing, unreadable or another store's."""
        try:
            fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable(path, error.strerror or "") from None
        commits = [commit for slot in (0, 1) if (commit := _read(fd, slot, store)) is not None]
        if not commits:
            os.close(fd)
            raise _unreadable(path, "no valid entry of this store in it")
        return cls(fd, store, max(commits))

    def write(self, commit: int) -> None:
        """Note that `commit` is synced; it survives a kill of the process. Raises OSError."""
        body = _SLOT.pack(_MAGIC, self._store, commit)
        os.pwrite(self._fd, body + _CRC.pack(crc32(body)), (commit & 1) * _STRIDE)
        self.commit = commit

    def follow(self, contents: Contents) -> None:
        """Note with every sync from now on how far this table of contents goes."""
        self._contents = contents

    def marks(self) -> list[Mark]:
        """What was noted of the table of contents: all of it must still be true."""
        found = [_fields(self._fd, slot, _CONTENTS, _CONTENTS_MAGIC, self._store) for slot in (2, 3)]
        return [Mark(*fields) for fields in found if fields is not None]

    @property
    def dirty(self) -> bool:
        """Whether something newer would not survive a power cut."""
        return self._synced < self.commit or (self._contents is not None and self._contents.grown)

    def sync(self) -> None:
        """Make the newest number survive a power cut. Raises OSError; it must not be tried again then."""
        commit = self.commit
        if self._contents is not None and self._contents.grown:
            body = _CONTENTS.pack(_CONTENTS_MAGIC, self._store, *self._contents.sync())
            os.pwrite(self._fd, body + _CRC.pack(crc32(body)), (2 + (self._notes & 1)) * _STRIDE)
            self._notes += 1
        os.fdatasync(self._fd)
        self._synced = commit

    def close(self) -> None:
        """Close the file; writes nothing."""
        if self._contents is not None:
            self._contents.close()
            self._contents = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _read(fd: int, slot: int, store: bytes) -> int | None:
    fields = _fields(fd, slot, _SLOT, _MAGIC, store)
    return None if fields is None else int(fields[0])


def _fields(fd: int, slot: int, form: Struct, magic: bytes, store: bytes) -> tuple[Any, ...] | None:
    """What a slot says behind its magic and store id; None when it is not valid."""
    raw = os.pread(fd, form.size + _CRC.size, slot * _STRIDE)
    if len(raw) < form.size + _CRC.size or crc32(raw[: form.size]) != _CRC.unpack_from(raw, form.size)[0]:
        return None
    found, owner, *fields = form.unpack_from(raw)
    return tuple(fields) if found == magic and owner == store else None


def _unreadable(path: Path, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is unreadable ({why}), so nothing tells whether acknowledged commits are missing; nothing was "
        "changed. Restore a backup, or take what is there with `iris store restore --accept-loss`"
    )
