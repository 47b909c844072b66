"""What the profile's rows look like to people: pages of a conversation, one message, the list of conversations.

Owns the SQL that gathers a page and what hangs on it; core/conversation.py has the rules. A page costs a few look-ups
for each message on it, however long the conversation is and however often one message was edited.

Also owns the tables `actions` and `hidden`: note_action is told of every new row, hide of a deletion for me.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from iris_sdk.content import Delete, Deleted, Edit, Reaction, Ref, decode
from iris_sdk.core.conversation import Fold, Shown, Written
from iris_sdk.ids import user_from_text, user_text

REACTORS_MAX = 1024  # people whose reactions to one message are shown

_ROW = "h.sender, h.message_id, h.at, h.state, h.n, h.payload, h.content_type, h.alg, h.wiped"
_PLACE = "h.state = 'queued' {0}, CASE h.state WHEN 'queued' THEN h.n ELSE h.at END {0}, h.sender {0}, h.message_id {0}"
_NOT_ACTION = "NOT EXISTS (SELECT 1 FROM actions a WHERE a.sender = h.sender AND a.message_id = h.message_id)"
_NOT_HIDDEN = "NOT EXISTS (SELECT 1 FROM hidden i WHERE i.sender = h.sender AND i.message_id = h.message_id)"
_SHOWN = f"h.kind <> 'gap' AND {_NOT_ACTION} AND {_NOT_HIDDEN}"


def note_action(
    db: sqlite3.Connection, sender: bytes, message_id: bytes, payload: bytes, content_type: int, alg: int
) -> None:
    """Remember what a new row hangs on, when it is an action."""
    content = decode(payload, content_type, alg)
    if isinstance(content, Reaction | Edit | Delete):
        target = (user_from_text(content.target.sender), bytes.fromhex(content.target.message_id))
        db.execute("INSERT OR IGNORE INTO actions VALUES (?, ?, ?, ?, ?)", (*target, content.kind, sender, message_id))


def note_old_actions(db: sqlite3.Connection) -> None:
    """Look through rows of an older version, which kept the bytes of what it could not read."""
    found = db.execute(
        "SELECT sender, message_id, payload, content_type, alg FROM history WHERE text IS NULL AND kind <> 'gap'"
    )
    for row in found.fetchall():
        note_action(db, *row)


def hide(db: sqlite3.Connection, sender: bytes, message_id: bytes) -> None:
    """Delete for me."""
    db.execute("INSERT OR IGNORE INTO hidden VALUES (?, ?)", (sender, message_id))


class Screen:
    """Reads what is shown. Sees what is committed, by any process."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def conversations(self) -> list[tuple[bytes, int, int]]:
        """(conversation, highest at, unread), newest first. Actions and what is hidden are not unread."""
        found = self._db.execute(
            "SELECT conversation, last_at, (SELECT count(*) FROM history h WHERE h.conversation = c.conversation"
            f" AND h.kind = 'message' AND h.seq > max(c.read, c.read_wanted) AND {_SHOWN})"
            " FROM conversations c ORDER BY last_at DESC"
        )
        return found.fetchall()

    def page(self, conversation: bytes, limit: int, before: Ref | None = None) -> list[Shown]:
        """The newest `limit` messages, or those next above `before`, in the order of the screen."""
        rows: list[tuple[Any, ...]] = []
        at = None if before is None else self._place(before)
        if at is None or at[0]:
            n = 1 << 62 if at is None else at[1]
            rows = self._rows(
                f"h.conversation = ? AND h.state = 'queued' AND h.n < ? AND {_SHOWN} ORDER BY h.n DESC LIMIT ?",
                (conversation, n, limit),
            )
        settled = (1 << 62, b"", b"") if at is None or at[0] else at[1:]
        if len(rows) < limit:
            rows += self._rows(
                f"h.conversation = ? AND h.state <> 'queued' AND (h.at, h.sender, h.message_id) < (?, ?, ?)"
                f" AND {_SHOWN} ORDER BY h.at DESC, h.sender DESC, h.message_id DESC LIMIT ?",
                (conversation, *settled, limit - len(rows)),
            )
        return self._fold(conversation, rows)

    def one(self, ref: Ref) -> Shown | None:
        """One message as it is shown; None when it is not here, hidden, or no message."""
        key = _key(ref)
        rows = self._rows(f"h.sender = ? AND h.message_id = ? AND {_SHOWN}", key)
        if not rows:
            return None
        (conversation,) = self._db.execute(
            "SELECT conversation FROM history WHERE sender = ? AND message_id = ?", key
        ).fetchone()
        found = self._fold(conversation, rows)
        return found[0] if found else None

    def _place(self, ref: Ref) -> tuple[bool, int, bytes, bytes]:
        """(waits, n or at, sender, message_id): behind everything when the message is not here."""
        row = self._db.execute(
            "SELECT state = 'queued', CASE state WHEN 'queued' THEN n ELSE at END, sender, message_id FROM history"
            " WHERE sender = ? AND message_id = ?",
            _key(ref),
        ).fetchone()
        return (True, 1 << 62, b"", b"") if row is None else (bool(row[0]), *row[1:])

    def _fold(self, conversation: bytes, rows: list[tuple[Any, ...]]) -> list[Shown]:
        fold = Fold()
        for row in rows:
            written = _written(row)
            fold.add(written)
            if isinstance(written.content, Deleted):
                continue
            for action in self._actions(conversation, row[0], row[1]):
                fold.add(action)
        return fold.shown()

    def _actions(self, conversation: bytes, sender: bytes, message_id: bytes) -> list[Written]:
        """Of everything said about a message, what can count."""
        pairs = self._db.execute(  # of most messages there are none
            "SELECT DISTINCT kind, sender FROM actions WHERE target_sender = ? AND target_id = ?"
            " AND (kind = 'reaction' OR sender = target_sender) LIMIT ?",
            (sender, message_id, REACTORS_MAX + 2),
        ).fetchall()
        found = []
        for kind, who in pairs:
            row = self._db.execute(
                f"SELECT {_ROW} FROM actions a JOIN history h ON h.sender = a.sender AND h.message_id = a.message_id"
                " WHERE a.target_sender = ? AND a.target_id = ? AND a.kind = ? AND a.sender = ? AND h.conversation = ?"
                f" AND h.state NOT IN ('refused', 'expired') ORDER BY {_PLACE.format('DESC')} LIMIT 1",
                (sender, message_id, kind, who, conversation),
            ).fetchone()
            if row is not None:
                found.append(_written(row))
        return found

    def _rows(self, where: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._db.execute(f"SELECT {_ROW} FROM history h WHERE {where}", values).fetchall()


def _key(ref: Ref) -> tuple[bytes, bytes]:
    return user_from_text(ref.sender), bytes.fromhex(ref.message_id)


def _written(row: tuple[Any, ...]) -> Written:
    sender, message_id, at, state, n, payload, content_type, alg, wiped = row
    content = Deleted() if wiped else decode(payload, content_type, alg)
    return Written(user_text(sender), message_id.hex(), at, content, state, n)
