"""Deleted words leave the profile. The row stays, so that order, receipts and the taking of repeats stay what they are.

Wiped are: a message that was deleted for me; one whose author's deletion the server has, or has brought; the edits of
either. What waits in the outbox keeps its words until it is answered: they are still to be sent.

Owns the column `wiped`; reads the tables `actions` and `hidden` of screen.py. schema.py has SQLite overwrite what it
frees, so the words also leave the file, once its journal is written back.
"""

from __future__ import annotations

import sqlite3

_NOT_COUNTED = "('queued', 'refused', 'expired')"
_CLEAR = "UPDATE history SET payload = x'', text = NULL, wiped = 1 WHERE "
_DELETED = (
    "SELECT 1 FROM actions a JOIN history d ON d.sender = a.sender AND d.message_id = a.message_id"
    " WHERE a.target_sender = ?1 AND a.target_id = ?2 AND a.kind = 'delete' AND a.sender = ?1"
    f" AND d.conversation = ?3 AND d.state NOT IN {_NOT_COUNTED}"
)


def wipe_deleted(db: sqlite3.Connection, sender: bytes, message_id: bytes) -> None:
    """A row is new, was hidden, or has left the outbox: what must go now?"""
    row = _row(db, sender, message_id)
    if row is None or row[1] == "queued":
        return
    conversation, state, _ = row
    action = db.execute(
        "SELECT target_sender, target_id, kind FROM actions WHERE sender = ? AND message_id = ?", (sender, message_id)
    ).fetchone()
    if action is not None:
        _after_action(db, sender, message_id, conversation, state, action)
    elif _exists(db, "SELECT 1 FROM hidden WHERE sender = ? AND message_id = ?", sender, message_id) or _exists(
        db, _DELETED, sender, message_id, conversation
    ):
        _wipe(db, sender, message_id, conversation)


def wipe_old_deletions(db: sqlite3.Connection) -> None:
    """Everything that an older version kept."""
    found = db.execute(
        "SELECT sender, message_id FROM actions WHERE kind = 'delete' UNION ALL SELECT sender, message_id FROM hidden"
    )
    for sender, message_id in found.fetchall():
        wipe_deleted(db, sender, message_id)


def _after_action(
    db: sqlite3.Connection, sender: bytes, message_id: bytes, conversation: bytes, state: str,
    action: tuple[bytes, bytes, str],
) -> None:  # fmt: skip
    target_sender, target_id, kind = action
    target = _row(db, target_sender, target_id)
    if target_sender != sender or target is None or target[0] != conversation:
        return  # an edit or a deletion counts only by the author, and where it was said
    if _exists(db, "SELECT 1 FROM actions WHERE sender = ? AND message_id = ?", target_sender, target_id):
        return  # on an action nothing is said
    if kind == "edit" and target[2]:
        db.execute(_CLEAR + "sender = ? AND message_id = ?", (sender, message_id))
    elif kind == "delete" and state not in ("refused", "expired") and target[1] != "queued":
        _wipe(db, target_sender, target_id, conversation)


def _wipe(db: sqlite3.Connection, sender: bytes, message_id: bytes, conversation: bytes) -> None:
    db.execute(_CLEAR + "sender = ? AND message_id = ?", (sender, message_id))
    db.execute(
        _CLEAR + "state <> 'queued' AND conversation = ?3 AND (sender, message_id) IN (SELECT sender, message_id"
        " FROM actions WHERE target_sender = ?1 AND target_id = ?2 AND kind = 'edit' AND sender = ?1)",
        (sender, message_id, conversation),
    )


def _row(db: sqlite3.Connection, sender: bytes, message_id: bytes) -> tuple[bytes, str, int] | None:
    row: tuple[bytes, str, int] | None = db.execute(
        "SELECT conversation, state, wiped FROM history WHERE sender = ? AND message_id = ?", (sender, message_id)
    ).fetchone()
    return row


def _exists(db: sqlite3.Connection, question: str, *values: bytes) -> bool:
    return db.execute(question, values).fetchone() is not None
