"""Opening a store: everything is looked at before anything is changed, and nothing is ever half-opened.

In this order: the folder's identity, its lock, a read-only open that is compared with the witness, and only then the
open for writing, which raises the epoch before anything else. What does not fit is refused with what it is, how much
of it and what to do. RocksDB is opened in point_in_time mode: the mode that refuses damage
(tolerate_corrupted_tail_records) also refuses a torn last record after a power cut, which is no loss; telling the two
apart is what the witness is for.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rocksdict import Rdict, WriteBatch

from iris._engine import LogSync
from iris.core.ids import EPOCH_MAX
from iris.store.contents import Contents, differs
from iris.store.folder import (
    BACKUP,
    COPY,
    COPYING,
    CREATING,
    READY,
    RESTORING,
    ROCKS,
    SHARDS_DEFAULT,
    WITNESS,
    FolderLock,
    Identity,
    folder_bytes,
    make_folder,
    new_identity,
    read_identity,
    sync_folder,
    write_identity,
)
from iris.store.migrate import SCHEMA, STEPS, Change, Step, migrate
from iris.store.port import StoreDamaged, StoreError, StoreFailed, StoreForeign
from iris.store.rocks import LogSyncer, RocksStore
from iris.store.rocks_db import (
    META_COMMIT,
    META_EPOCH,
    META_SCHEMA,
    META_SHARDS,
    META_STORE,
    batch_for,
    close_db,
    meta,
    open_db,
    put_meta,
    translate,
)
from iris.store.witness import Witness

_RESCUE = "Restore a backup with `iris store restore`, or take what is readable with `iris store restore --accept-loss`"


def open_rocks(
    path: str,
    *,
    num_shards: int | None = None,
    log_sync: Callable[[Path], LogSyncer] = LogSync,
    schema: int = SCHEMA,
    steps: Sequence[Step] = STEPS,
) -> RocksStore:
    """Open the store in a folder, or make one where there is nothing. Blocks; reads the whole log.

    `num_shards` must be that of the store when given; a new one gets it, or 4,096. The other arguments are for tests.
    Raises StoreLocked, StoreForeign, StoreDamaged, or StoreError for a folder that cannot be used.
    """
    folder = Path(path)
    found = read_identity(folder)
    if found is not None:
        _usable(folder, found, num_shards)
    else:
        try:
            make_folder(folder)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}") from error
    lock = FolderLock(folder)
    try:
        identity = read_identity(folder)  # again: now nobody else can change it
        if identity is None or identity.state == CREATING:
            identity = _create(folder, SHARDS_DEFAULT if num_shards is None else num_shards, schema)
        _usable(folder, identity, num_shards)
        inspect(folder, identity, schema)
        store = _open_ready(folder, identity, lock, log_sync, schema, steps)
    except BaseException:
        lock.close()
        raise
    return store


def _usable(folder: Path, identity: Identity, num_shards: int | None) -> None:
    if identity.state == BACKUP:
        raise StoreForeign(
            f"{folder} is a backup. It is not opened itself, for numbers given out after it was taken could be given "
            "out again: make a store of it with `iris store restore`"
        )
    if identity.state in (COPYING, RESTORING):
        what = "backup" if identity.state == COPYING else "restore"
        raise StoreForeign(f"{folder} is a {what} that was never finished; delete the folder and run the {what} again")
    if identity.state not in (READY, CREATING):
        raise StoreForeign(
            f"{folder} is in the unknown state {identity.state!r}; run the version of iris that wrote it"
        )
    if identity.state == READY and num_shards is not None and num_shards != identity.num_shards:
        raise StoreForeign(
            f"{folder} was created with num_shards = {identity.num_shards}, the configuration says {num_shards}; it is "
            "fixed at creation. Set num_shards back, or name another folder"
        )


def _create(folder: Path, num_shards: int, schema: int) -> Identity:
    identity = new_identity(num_shards, CREATING)
    try:
        write_identity(folder, identity)
        for leftover in (ROCKS, COPY):  # of a creation that was cut short; nothing was ever stored in it
            shutil.rmtree(folder / leftover, ignore_errors=True)
        db = open_db(folder / ROCKS, create=True)
        batch = batch_for(1)
        put_meta(batch, META_SCHEMA, schema)
        put_meta(batch, META_SHARDS, num_shards)
        put_meta(batch, META_EPOCH, 0)
        batch[META_STORE] = bytes.fromhex(identity.store)
        try:
            _write(db, batch, folder)
        except StoreError as error:
            close_db(db, error)
            raise
        close_db(db)
        Witness.create(folder / WITNESS, bytes.fromhex(identity.store), 1).close()
        sync_folder(folder)
        identity = identity.moved(READY)
        write_identity(folder, identity)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    return identity


@dataclass(frozen=True, slots=True)
class Found:
    """What a read-only look at a store found."""

    commit: int
    witness: int
    epoch: int
    schema: int


def inspect(folder: Path, identity: Identity, schema: int = SCHEMA) -> Found:
    """Look at the database without changing anything. Raises StoreDamaged or StoreForeign."""
    witness = read_witness(folder, identity)
    try:
        db = open_db(folder / ROCKS, read_only=True)
    except StoreDamaged as error:
        raise _unreadable(folder, witness, error) from error
    try:
        found = judge(db, folder, identity, witness, schema)
        _judge_contents(folder, identity, witness)
        return found
    finally:
        db.close()


def _unreadable(folder: Path, witness: int, why: StoreError) -> StoreDamaged:
    return StoreDamaged(
        f"{why}. {witness} commits were acknowledged; {folder_bytes(folder)} bytes lie in {folder}, and nothing was "
        f"changed. {_RESCUE}"
    )


def _judge_contents(folder: Path, identity: Identity, commits: int) -> None:
    """Compare the table of contents with what was noted of it. Raises StoreDamaged."""
    try:
        how = contents_differ(folder, identity)
    except OSError as error:
        how = f"{error.filename}: {error.strerror}"
    if how is not None:
        raise _unreadable(folder, commits, StoreDamaged(how))


def contents_differ(folder: Path, identity: Identity) -> str | None:
    """How the table of contents differs from what the witness noted of it. Raises StoreDamaged or OSError."""
    witness = Witness.open(folder / WITNESS, bytes.fromhex(identity.store), write=False)
    try:
        return next((how for mark in witness.marks() if (how := differs(folder / ROCKS, mark)) is not None), None)
    finally:
        witness.close()


def read_witness(folder: Path, identity: Identity) -> int:
    """The number of the last synced commit. Raises StoreDamaged."""
    witness = Witness.open(folder / WITNESS, bytes.fromhex(identity.store), write=False)
    witness.close()
    return witness.commit


def judge(db: Rdict, folder: Path, identity: Identity, witness: int, schema: int = SCHEMA) -> Found:
    """Compare an open database with what the folder says of it. Raises StoreDamaged or StoreForeign."""
    try:
        commit, epoch, shards = meta(db, META_COMMIT), meta(db, META_EPOCH), meta(db, META_SHARDS)
        version, store = meta(db, META_SCHEMA), db.get(META_STORE)
    except Exception as error:
        raise _unreadable(folder, witness, translate(error, folder / ROCKS)) from error
    if version is not None and version > schema:
        raise StoreForeign(
            f"{folder} was written by a newer iris (schema {version}, this one knows {schema}); nothing was changed. "
            "Run the newer version, or restore a backup of the older one into a new folder"
        )
    if store is not None and store != bytes.fromhex(identity.store):
        raise StoreForeign(f"{folder / ROCKS} belongs to another store than {folder}; nothing was changed. {_RESCUE}")
    if (commit or 0) < witness:
        missing = witness - (commit or 0)
        raise StoreDamaged(
            f"{folder}: {missing} commits that were acknowledged are missing (the last one readable is {commit or 0}, "
            f"the last one synced was {witness}): the log was cut or damaged. Nothing was changed. {_RESCUE}"
        )
    if commit is None or epoch is None or version is None or store is None or shards != identity.num_shards:
        raise StoreDamaged(f"{folder / ROCKS} lacks its own numbers, or they contradict {folder}. {_RESCUE}")
    return Found(commit, witness, epoch, version)


def _open_ready(
    folder: Path,
    identity: Identity,
    lock: FolderLock,
    log_sync: Callable[[Path], LogSyncer],
    schema: int,
    steps: Sequence[Step],
) -> RocksStore:
    shutil.rmtree(folder / COPY, ignore_errors=True)  # of a backup that was cut short
    syncer = log_sync(folder / ROCKS)
    db, witness, epoch = open_for_writing(folder, identity, 1, schema, steps)
    return RocksStore(db, folder, identity, lock, witness, epoch, syncer)


def open_for_writing(
    folder: Path,
    identity: Identity,
    epochs: int,
    schema: int = SCHEMA,
    steps: Sequence[Step] = STEPS,
    least: int = 0,
) -> tuple[Rdict, Witness, int]:
    """Open, raise the epoch by `epochs`, or to `least` if that is more, durably; migrate. The folder was inspected and
    is locked.
    """
    witness = Witness.open(folder / WITNESS, bytes.fromhex(identity.store))
    db = open_db(folder / ROCKS)
    try:
        found = judge(db, folder, identity, witness.commit, schema)
        epoch = max(found.epoch + epochs, least)
        if epoch > EPOCH_MAX:
            raise StoreError(f"{folder} has used up its {EPOCH_MAX} epochs (one each start); it cannot be opened again")
        number = found.commit

        def commit(change: Change) -> None:
            nonlocal number
            number += 1
            batch = batch_for(number)
            change(batch)
            _write(db, batch, folder)
            witness.write(number)

        commit(lambda batch: put_meta(batch, META_EPOCH, epoch))
        migrate(db, found.schema, schema, steps, commit)
        witness.follow(Contents(folder / ROCKS))
        witness.sync()
    except BaseException as error:
        close_db(db, error)
        witness.close()
        if isinstance(error.__cause__, StoreDamaged):
            raise _unreadable(folder, witness.commit, error.__cause__) from error
        raise
    return db, witness, epoch


def _write(db: Rdict, batch: WriteBatch, folder: Path) -> None:
    try:
        db.write(batch)
        db.flush_wal(True)
    except Exception as error:
        problem = translate(error, folder)
        problem.__cause__ = error
        raise problem if isinstance(problem, StoreFailed) else StoreFailed(str(problem)) from problem
