"""The profile's SQLite schema and how a profile is opened.

One folder is one device of one user. `profile.db` holds everything; WAL with synchronous=FULL, so what is committed
is on the disk. The folder is 0700 and the files 0600: they hold tokens and messages.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from iris_sdk.database import Database
from iris_sdk.errors import ProfileError
from iris_sdk.screen import note_old_actions
from iris_sdk.wipe import wipe_old_deletions

VERSION = 4
APPLICATION_ID = 0x49524953  # "IRIS"
FILE = "profile.db"
BUSY_MS = 15_000  # another process commits: longer than any fsync seen

_UNADDRESSED = """
CREATE TABLE unaddressed (
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of sending
  message_id BLOB NOT NULL UNIQUE,       -- in history with an empty conversation, until the handle's user is known
  handle TEXT NOT NULL
);
CREATE INDEX unaddressed_handle ON unaddressed (handle, id);
"""
_ACTIONS = """
CREATE TABLE actions (
  target_sender BLOB NOT NULL,           -- on what the row of history hangs
  target_id BLOB NOT NULL,
  kind TEXT NOT NULL,                    -- reaction, edit or delete
  sender BLOB NOT NULL,                  -- of the row
  message_id BLOB NOT NULL,
  PRIMARY KEY (target_sender, target_id, kind, sender, message_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX actions_row ON actions (sender, message_id);
CREATE INDEX history_queued ON history (conversation, n) WHERE state = 'queued';
CREATE TABLE hidden (                    -- deleted for me, on this device
  sender BLOB NOT NULL,
  message_id BLOB NOT NULL,
  PRIMARY KEY (sender, message_id)
) WITHOUT ROWID;
"""
_WIPED = "ALTER TABLE history ADD COLUMN wiped INTEGER NOT NULL DEFAULT 0"
MIGRATIONS = {1: _UNADDRESSED, 2: _ACTIONS, 3: _WIPED}  # from this version to the next one

TABLES = (
    """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE history (
  n INTEGER PRIMARY KEY,        -- local number of the row, never reused
  changed INTEGER NOT NULL,     -- the same number line: when the row was last changed; n at first
  kind TEXT NOT NULL,           -- message: from somebody else; sent: by this device; own: by another of mine; gap
  conversation BLOB NOT NULL,
  sender BLOB NOT NULL,
  device INTEGER NOT NULL,      -- of the sender
  message_id BLOB NOT NULL,
  seq INTEGER NOT NULL,         -- message: in my mailbox; sent, own: in the recipient's; 0: not accepted
  at INTEGER NOT NULL,          -- ms since 1970; of this machine's clock until accepted
  state TEXT NOT NULL,          -- '' for what others sent; else queued accepted delivered read expired refused
  code INTEGER NOT NULL,        -- of the refusal
  content_type INTEGER NOT NULL,
  alg INTEGER NOT NULL,
  payload BLOB NOT NULL,
  text TEXT,                    -- what a person sees of the payload; NULL when this version cannot read it
  wiped INTEGER NOT NULL DEFAULT 0, -- 1: its words were deleted; payload and text are empty
  UNIQUE (sender, message_id)
);
CREATE UNIQUE INDEX history_changed ON history (changed);
CREATE INDEX history_screen ON history (conversation, at, sender, message_id);
CREATE INDEX history_accepted ON history (conversation, seq) WHERE state = 'accepted';
CREATE INDEX history_delivered ON history (conversation, seq) WHERE state = 'delivered';
CREATE INDEX history_unread ON history (conversation, seq) WHERE kind = 'message';
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of sending
  message_id BLOB NOT NULL UNIQUE,       -- its payload is in history
  conversation BLOB NOT NULL,
  answered INTEGER NOT NULL DEFAULT 0    -- kept while one before it is not: places are numbers
);
CREATE INDEX outbox_places ON outbox (conversation, answered, id);
CREATE TABLE conversations (
  conversation BLOB PRIMARY KEY,
  stream INTEGER NOT NULL DEFAULT 1,       -- in which this device numbers its messages
  base INTEGER NOT NULL DEFAULT 1,         -- number of the first row of the outbox
  last_at INTEGER NOT NULL DEFAULT 0,      -- highest at seen
  delivered INTEGER NOT NULL DEFAULT 0,    -- register: the peer's devices, in the peer's seqs
  peer_read INTEGER NOT NULL DEFAULT 0,    -- register: the peer
  read INTEGER NOT NULL DEFAULT 0,         -- register: this user, in this user's seqs
  read_changed INTEGER NOT NULL DEFAULT 0, -- when, on history's number line
  read_wanted INTEGER NOT NULL DEFAULT 0   -- not yet shown by the server; 0: nothing wanted
) WITHOUT ROWID;
CREATE INDEX conversations_read ON conversations (read_changed) WHERE read_changed > 0;
CREATE INDEX conversations_wanted ON conversations (read_wanted) WHERE read_wanted > 0;
CREATE TABLE handles (
  user BLOB PRIMARY KEY,
  handle TEXT NOT NULL UNIQUE,
  seen_at INTEGER NOT NULL                 -- when the server said so, ms since 1970
) WITHOUT ROWID;
"""
    + _UNADDRESSED
    + _ACTIONS
)


def exists(folder: Path) -> bool:
    """Whether there is a profile in `folder`."""
    return (folder / FILE).is_file()


def connect(folder: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the profile's database. Raises ProfileError.

    The connection may be used by any one thread at a time and begins no transaction by itself.
    """
    path = folder / FILE
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif not path.is_file():
        raise ProfileError(f"no profile in {folder}: log in first")
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, factory=Database)
    try:
        _prepare(db, folder, create)
    except sqlite3.DatabaseError as error:
        db.close()
        raise ProfileError(f"{path} is damaged or not a profile: {error}") from error
    except ProfileError:
        db.close()
        raise
    return db


def create_tables(db: sqlite3.Connection) -> None:
    """Make an empty database a profile's, within the caller's transaction."""
    _execute(db, TABLES)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def _execute(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute(statement)


def _migrate(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    for version in range(_pragma(db, "user_version"), VERSION):  # another process may have been quicker
        _execute(db, MIGRATIONS[version])
        if version == 2:
            note_old_actions(db)
        elif version == 3:
            wipe_old_deletions(db)
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.execute("COMMIT")


def _prepare(db: sqlite3.Connection, folder: Path, create: bool) -> None:
    version = _pragma(db, "user_version")
    if version > VERSION:
        raise ProfileError(
            f"the profile in {folder} is of a newer version of Iris ({version}; this one knows {VERSION})"
        )
    if version == 0:
        if not create:
            raise ProfileError(f"no profile in {folder}: log in first")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        if _pragma(db, "user_version") == 0:  # nobody else was quicker
            create_tables(db)
        db.execute("COMMIT")
    if _pragma(db, "application_id") != APPLICATION_ID:
        raise ProfileError(f"{folder / FILE} is not an Iris profile")
    db.execute("PRAGMA secure_delete = ON")  # deleted words leave the file, not only its tables
    if 0 < version < VERSION:
        _migrate(db)
    db.execute("PRAGMA synchronous = FULL")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
