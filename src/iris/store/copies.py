"""Copies of a store: `backup` makes one, `restore` makes a store of one.

A backup is a folder like a store's, with its own files (no hard links into the store) and the state `backup`, which
open_store refuses: two stores that both go on from one copy would give out the same numbers. `restore` raises the
epoch for the same reason, at least by 4,096: whatever the original gave out after the backup lies below. A backup may
be restored more than once, and an older one after a newer one: so the epoch also goes above that of every store of
the same line beside the new one, and above a number that time raises.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from rocksdict import Checkpoint, Rdict

from iris.core.ids import EPOCH_MAX
from iris.store.checks import Report, check
from iris.store.folder import (
    BACKUP,
    COPY,
    COPYING,
    READY,
    RESTORING,
    ROCKS,
    WITNESS,
    FolderLock,
    Identity,
    copy_file,
    folder_bytes,
    make_folder,
    read_identity,
    sync_folder,
    write_identity,
)
from iris.store.port import Store, StoreDamaged, StoreError, StoreForeign
from iris.store.rocks_db import META_COMMIT, META_EPOCH, meta, open_db, options, translate
from iris.store.rocks_open import contents_differ, inspect, open_for_writing
from iris.store.witness import Witness

RESTORE_EPOCHS = 4096
SLOT_MS = 600_000  # a restore 10 minutes later has a higher epoch, whatever is left of the first
SLOTS_FROM_MS = 1_767_225_600_000  # 2026-01-01
SLOTS_MAX = EPOCH_MAX // 2  # a clock that says more is wrong: 20 years from then
_NOT_COPIED = {"LOCK", "IDENTITY"}  # RocksDB's own lock, and an id that it makes anew


def backup(source: str | Store, target: str) -> int:
    """Copy a stopped store (its path) or a running one into the new or empty folder `target`; returns bytes.

    Nothing in the source is changed. Raises StoreLocked when the store at a path is running, StoreForeign when it is no
    store, StoreDamaged when acknowledged commits are missing from it, StoreError when the target is not empty or full.
    """
    if not isinstance(source, str):
        return source.backup(target)
    folder = Path(source)
    identity = _store_at(folder)
    lock = FolderLock(folder) if identity.state == READY else None
    try:
        found = inspect(folder, identity)
        return _copy(folder / ROCKS, identity, found.commit, target)
    finally:
        if lock is not None:
            lock.close()


def copy_running(db: Rdict, folder: Path, identity: Identity, target: str) -> int:
    """Copy a store that is open as `db`; see port.Store.backup.

    The memory table is written out first, with the GIL free; the checkpoint, which holds it, then only links files.
    What is slow, reading and writing them, happens after that.
    """
    _empty(Path(target))
    aside = folder / COPY
    shutil.rmtree(aside, ignore_errors=True)
    try:
        try:
            db.flush()
            Checkpoint(db).create_checkpoint(str(aside))
            copied = open_db(aside, read_only=True)
            commit = meta(copied, META_COMMIT)
            copied.close()
        except StoreError:
            raise
        except Exception as error:
            raise translate(error, aside) from error
        if commit is None:
            raise StoreDamaged(f"{folder}: the copy lacks its own numbers; the backup was not made")
        return _copy(aside, identity, commit, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def restore(source: str, target: str, *, accept_loss: bool = False, wall_ms: int | None = None) -> Report:
    """Make a store in the new or empty folder `target` of a backup, or of a stopped store's folder; returns its check.

    `wall_ms` is the time, ms since 1970; None asks the clock. `accept_loss` also takes a damaged source: as many
    commits as can be read are kept, the rest is given up for good. Raises as `backup` does.
    """
    folder, goal = Path(source), Path(target)
    identity = _store_at(folder)
    lock = FolderLock(folder) if identity.state == READY else None
    try:
        if not accept_loss:
            inspect(folder, identity)
        _empty(goal)
        _fill(folder / ROCKS, goal, identity.moved(RESTORING))
        stale = accept_loss and _contents_are_stale(folder, identity)
    finally:
        if lock is not None:
            lock.close()
    if accept_loss:
        _make_readable(goal, stale)
    commit = _commit_of(goal)
    Witness.create(goal / WITNESS, bytes.fromhex(identity.store), commit).close()
    sync_folder(goal)
    wall = time.time_ns() // 1_000_000 if wall_ms is None else wall_ms
    slot = (wall - SLOTS_FROM_MS) // SLOT_MS
    least = max(_highest_beside(goal, identity) + RESTORE_EPOCHS, slot if slot < SLOTS_MAX else 0)
    db, witness, _ = open_for_writing(goal, identity, RESTORE_EPOCHS, least=least)
    db.close()
    witness.close()
    write_identity(goal, identity.moved(READY))
    return check(target)


def _highest_beside(goal: Path, identity: Identity) -> int:
    """The highest epoch of the stores in the same folder that come from the same first one; those moved aside, say."""
    highest = 0
    for folder in goal.absolute().parent.iterdir():
        try:
            other = read_identity(folder) if folder != goal.absolute() else None
            if other is not None and other.store == identity.store:
                db = open_db(folder / ROCKS, read_only=True)
                highest = max(highest, meta(db, META_EPOCH) or 0)
                db.close()
        except (StoreError, OSError):
            continue  # not a store, or not readable: time alone must do
    return highest


def _store_at(folder: Path) -> Identity:
    identity = read_identity(folder)
    if identity is None:
        raise StoreForeign(f"{folder} holds no store")
    if identity.state not in (READY, BACKUP):
        raise StoreForeign(f"{folder} was never finished (state {identity.state}); there is nothing to take from it")
    return identity


def _empty(target: Path) -> None:
    try:
        names = os.listdir(target)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{target} cannot be read: {error.strerror}") from error
    if names:
        raise StoreError(f"{target} is not empty ({len(names)} files); name a new folder")


def _copy(rocks: Path, identity: Identity, commit: int, target: str) -> int:
    goal = Path(target)
    _empty(goal)
    _fill(rocks, goal, identity.moved(COPYING))
    try:
        Witness.create(goal / WITNESS, bytes.fromhex(identity.store), commit).close()
        sync_folder(goal)
        write_identity(goal, identity.moved(BACKUP))
    except OSError as error:
        raise StoreError(f"{goal} cannot be written: {error.strerror}; delete it") from error
    return folder_bytes(goal)


def _fill(rocks: Path, goal: Path, identity: Identity) -> None:
    """A new folder with copies of the database's files; its identity says that it is not finished."""
    try:
        make_folder(goal)
        write_identity(goal, identity)
        (goal / ROCKS).mkdir(mode=0o700)
        for name in sorted(os.listdir(rocks)):
            if name not in _NOT_COPIED and not name.startswith("LOG"):
                copy_file(rocks / name, goal / ROCKS / name)
        sync_folder(goal / ROCKS)
        sync_folder(goal)
    except OSError as error:
        raise StoreError(f"{goal} cannot be written: {error.strerror}; delete what is there and try again") from error


def _commit_of(goal: Path) -> int:
    db = open_db(goal / ROCKS, read_only=True)
    try:
        commit = meta(db, META_COMMIT)
    finally:
        db.close()
    if not commit:
        raise StoreDamaged(f"{goal}: nothing of the store is readable, not even its first commit")
    return commit


def _contents_are_stale(folder: Path, identity: Identity) -> bool:
    try:
        return contents_differ(folder, identity) is not None
    except (StoreDamaged, OSError):  # no witness, or no table of contents: the open will tell
        return False


def _make_readable(goal: Path, stale: bool) -> None:
    """Let RocksDB rebuild its table of files when it cannot open the copy, or would pass over some of them."""
    try:
        if not stale:
            open_db(goal / ROCKS, read_only=True).close()
            return
    except StoreDamaged:
        pass
    try:
        Rdict.repair(str(goal / ROCKS), options())
    except Exception as error:
        raise translate(error, goal / ROCKS) from error
