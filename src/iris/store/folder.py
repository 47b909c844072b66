"""The store's own folder: who it is, who holds it, and what it is made of.

    IRIS       identity: JSON, replaced as a whole (written aside, synced, renamed)
    LOCK       held with flock for as long as the store is open
    witness    the number of the last synced commit (witness.py)
    rocks/     RocksDB
    copy/      a backup under way; swept at the next open

`state` in IRIS says how far the folder is: creating (nothing was ever stored: made anew), ready, backup (restore
only), copying and restoring (a copy that was never finished: refused). It moves to ready last, so a crash at any
moment leaves a folder that is either nothing yet, made anew, or named for what it is. This module knows files, no
database.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from iris.store.port import StoreDamaged, StoreError, StoreForeign, StoreLocked

IDENTITY, IDENTITY_NEW, LOCK, WITNESS, ROCKS, COPY = "IRIS", "IRIS.new", "LOCK", "witness", "rocks", "copy"
LAYOUT = 1  # of the folder; the rows have their own schema version inside the database
CREATING, READY, BACKUP, COPYING, RESTORING = "creating", "ready", "backup", "copying", "restoring"
STATES = {CREATING, READY, BACKUP, COPYING, RESTORING}
SHARDS_DEFAULT, SHARDS_MAX = 4096, 65536
STORE_BYTES = 8  # of a store's id
_FORMAT = "iris-store"
_MAY_BE_THERE = {LOCK, IDENTITY_NEW, "lost+found"}  # what a folder without an identity may hold and still be new


@dataclass(frozen=True, slots=True)
class Identity:
    """What the file IRIS says."""

    store: str  # random, also in the database and the witness: they belong together
    num_shards: int
    created: int  # ms since 1970
    state: str
    layout: int = LAYOUT
    format: str = _FORMAT

    def moved(self, state: str) -> Identity:
        """The same store in another state."""
        return replace(self, state=state)


def new_identity(num_shards: int, state: str) -> Identity:
    """An identity for a store that is to be made. Raises StoreError for an impossible number of shards."""
    if not 1 <= num_shards <= SHARDS_MAX:
        raise StoreError(f"num_shards is {num_shards}, it must be from 1 to {SHARDS_MAX}")
    return Identity(os.urandom(STORE_BYTES).hex(), num_shards, int(time.time() * 1000), state)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Create a folder and those above it, durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)


def write_identity(path: Path, identity: Identity) -> None:
    """Replace IRIS as a whole, durably."""
    aside = path / IDENTITY_NEW
    with open(aside, "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(identity), indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(aside, path / IDENTITY)
    sync_folder(path)


def read_identity(path: Path) -> Identity | None:
    """The identity of a folder; None when the folder is missing or empty, so that a store may be made there.

    Raises StoreForeign when it holds something else or a newer layout, StoreDamaged when IRIS is unreadable.
    """
    try:
        text = (path / IDENTITY).read_bytes()
    except FileNotFoundError:
        _refuse_foreign(path)
        return None
    except NotADirectoryError:
        raise StoreForeign(f"{path} is a file, not a folder; name a folder for the store") from None
    except OSError as error:
        raise StoreError(f"{path / IDENTITY} cannot be read: {error.strerror}") from error
    try:
        fields = json.loads(text)
        if fields["format"] != _FORMAT:
            raise StoreForeign(f"{path} holds {fields['format']!r}, not a store of iris; name another folder")
        layout = int(fields["layout"])
        if layout > LAYOUT:
            raise StoreForeign(
                f"{path} was written by a newer iris (layout {layout}, this one knows {LAYOUT}); nothing was changed. "
                "Run the newer version, or restore a backup of the older one into a new folder"
            )
        store, num_shards = str(fields["store"]), int(fields["num_shards"])
        if len(bytes.fromhex(store)) != STORE_BYTES or not 1 <= num_shards <= SHARDS_MAX:
            raise ValueError("its store id or num_shards is no such number")
        return Identity(store, num_shards, int(fields["created"]), str(fields["state"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(
            f"{path / IDENTITY} is unreadable ({len(text)} bytes: {error}), so it is not known what the folder holds; "
            "nothing was changed. Restore a backup with `iris store restore`"
        ) from None


def _refuse_foreign(path: Path) -> None:
    """Let only a folder pass that is missing or as good as empty."""
    try:
        names = sorted(set(os.listdir(path)) - _MAY_BE_THERE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if ROCKS in names or WITNESS in names:
        raise StoreDamaged(
            f"{path} holds a store whose file {IDENTITY} is gone; nothing was changed. "
            "Put the file back, or restore a backup with `iris store restore`"
        )
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise StoreForeign(
            f"{path} is not a store of iris: it holds {len(names)} other files ({shown}); nothing was changed. "
            "Name a new or empty folder"
        )


class FolderLock:
    """The right to use a store's folder, as long as this object is open."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises StoreLocked when another process, or another store of this one, has it."""
        self._fd = _open_lock(path)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            who = f" by process {holder}" if holder else ""
            raise StoreLocked(
                f"{path} is in use{who}: is another iris running? Stop it, or name another folder"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)  # for the message to the next one

    def close(self) -> None:
        """Give the folder back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_lock(path: Path) -> int:
    try:
        return os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path / LOCK} cannot be opened: {error.strerror}") from error


def copy_file(source: Path, target: Path) -> int:
    """Copy a file durably (its folder is synced by the caller); returns its bytes."""
    with open(source, "rb") as read, open(target, "xb") as write:
        size = os.fstat(read.fileno()).st_size
        at = 0
        while at < size:
            sent = os.sendfile(write.fileno(), read.fileno(), at, min(size - at, 1 << 24))
            if sent == 0:
                break
            at += sent
        os.fsync(write.fileno())
    return at


def folder_bytes(path: Path) -> int:
    """Bytes of the files in a folder and below."""
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(path) for name in names)
