"""The database's table of contents (RocksDB's MANIFEST), so that an older one is not taken for it.

A MANIFEST that has lost its last records, or is an older one, names fewer table files. RocksDB opens it without a word
and deletes the files that it does not name (measured), and the witness's number of commits cannot tell, for the newest
commits lie in the log. A MANIFEST only grows, and every open begins a new one with a higher number: so it is enough to
note how far it was synced, with a checksum. Knows files, neither rows nor RocksDB.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

CURRENT, PREFIX = "CURRENT", "MANIFEST-"
_PIECE = 1 << 20


class Mark(NamedTuple):
    """The MANIFEST of this number begins with `size` bytes of this checksum."""

    number: int
    size: int
    crc: int


class Contents:
    """The MANIFEST of an open database."""

    def __init__(self, rocks: Path) -> None:
        """Raises OSError or ValueError when there is none."""
        self.path = current(rocks)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._mark = Mark(int(self.path.name.removeprefix(PREFIX)), 0, 0)

    @property
    def grown(self) -> bool:
        """Whether it is longer than the last mark says."""
        return os.fstat(self._fd).st_size > self._mark.size

    def sync(self) -> Mark:
        """Sync it, and say how far. Raises OSError; it must not be tried again then."""
        size = os.fstat(self._fd).st_size
        os.fdatasync(self._fd)
        self._mark = _extend(self._fd, self._mark, size)
        return self._mark

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def current(rocks: Path) -> Path:
    """The MANIFEST that CURRENT names. Raises OSError."""
    return rocks / (rocks / CURRENT).read_text(encoding="ascii", errors="replace").strip()


def differs(rocks: Path, mark: Mark) -> str | None:
    """How the MANIFEST differs from what was noted of it; None when it does not. Raises OSError."""
    path = current(rocks)
    number = path.name.removeprefix(PREFIX)
    if not number.isdigit() or int(number) < mark.number:
        return f"{rocks / CURRENT} names {path.name}, which is older than the last one, {PREFIX}{mark.number:06}"
    if int(number) > mark.number:  # an open that was cut short began a new one
        return None
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = _extend(fd, Mark(mark.number, 0, 0), mark.size)
    finally:
        os.close(fd)
    if found.size < mark.size:
        return f"{path} has {found.size} bytes, and {mark.size} were synced: it does not name every table file"
    return None if found == mark else f"{path} is not as it was synced: it may not name every table file"


def _extend(fd: int, mark: Mark, size: int) -> Mark:
    at, crc = mark.size, mark.crc
    while at < size and (piece := os.pread(fd, min(_PIECE, size - at), at)):
        at, crc = at + len(piece), crc32(piece, crc)
    return Mark(mark.number, at, crc)
