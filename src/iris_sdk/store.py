"""The profile's rows: what each write does, and what can be read.

Owns the SQL. A writer and any number of readers, each with its own connection (schema.connect). Must not know:
connections to a server, tasks, the clock. It keeps: rows, answers and the cursor of one Commit are one transaction;
every change of a row takes the next number of one line (`n`, `changed`), so whoever remembers a number can read all
that came after.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from iris_sdk.content import ALGORITHM, CONTENT_TYPE, decode_text
from iris_sdk.core import Saved, SavedConversation
from iris_sdk.core import effects as fx
from iris_sdk.errors import OutboxFull
from iris_sdk.rows import HistoryRow, ReadRow
from iris_sdk.screen import hide, note_action
from iris_sdk.wipe import wipe_deleted

PAGE = 256
_COLUMNS = (
    "n, changed, kind, conversation, sender, device, message_id, seq, at, state, code, content_type, payload, text,"
    " alg, wiped"
)


class Reader:
    """Reads the profile. Sees what is committed, by any process."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def close(self) -> None:
        self._db.close()

    def data_version(self) -> int:
        """Changes when another connection has committed."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def meta(self, key: str, default: Any = None) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def position(self) -> int:
        """The newest number of the line."""
        return int(self.meta("position", 0))

    def load(self) -> Saved:
        """What a core starts from, the outbox apart."""
        found = self._db.execute("SELECT conversation, stream, base, last_at, read_wanted, read FROM conversations")
        return Saved(
            self.meta("user"),
            self.meta("device"),
            self.meta("seq", 0),
            self.meta("rev", 0),
            tuple(SavedConversation(*row) for row in found),
        )

    def outbox_after(self, after: int) -> list[tuple[int, bytes, bytes, bool]]:
        """(id, conversation, message_id, answered) of the outbox's rows after `after`, in order."""
        found = self._db.execute(
            "SELECT id, conversation, message_id, answered FROM outbox WHERE id > ? ORDER BY id", (after,)
        )
        return [
            (place, conversation, message_id, bool(answered)) for place, conversation, message_id, answered in found
        ]

    def unaddressed(self) -> list[str]:
        """Handles that messages wait for, without a conversation; the longest waiting first."""
        found = self._db.execute("SELECT handle FROM unaddressed GROUP BY handle ORDER BY min(id)")
        return [handle for (handle,) in found]

    def waiting(self) -> int:
        """How many messages have no answer."""
        return int(self.meta("waiting", 0))

    def reads_wanted(self) -> list[tuple[bytes, int]]:
        """Read positions that the server has not shown."""
        found = self._db.execute(
            "SELECT conversation, read_wanted FROM conversations WHERE read_wanted > 0 AND read_wanted > read"
        )
        return found.fetchall()

    def payload(self, user: bytes, message_id: bytes) -> tuple[bytes, int, int] | None:
        """(payload, content_type, alg) of a message of mine."""
        found = self._db.execute(
            "SELECT payload, content_type, alg FROM history WHERE sender = ? AND message_id = ?", (user, message_id)
        )
        row: tuple[bytes, int, int] | None = found.fetchone()
        return row

    def row(self, sender: bytes, message_id: bytes) -> HistoryRow | None:
        found = self._rows("sender = ? AND message_id = ?", (sender, message_id))
        return found[0] if found else None

    def changes(self, after: int, limit: int = PAGE) -> list[HistoryRow | ReadRow]:
        """About `limit` rows of history, and the read positions among them, that changed after `after`, by place."""
        self._db.execute("BEGIN")  # one state of the profile: what is committed in between comes next time
        try:
            rows: list[HistoryRow | ReadRow] = list(self._rows("changed > ? ORDER BY changed LIMIT ?", (after, limit)))
            upto = rows[-1].changed if len(rows) == limit else 1 << 62
            rows += self._rows("n > ? AND n <= ? AND changed > ? AND kind = 'own'", (after, upto, upto))
            reads = self._db.execute(
                "SELECT read_changed, conversation, read FROM conversations"
                " WHERE read_changed > ? AND read_changed > 0 AND read_changed <= ?",
                (after, upto),
            )
            rows += [ReadRow(*row) for row in reads]
        finally:
            self._db.execute("COMMIT")
        rows.sort(key=lambda row: row.place(after))
        return rows

    def history(self, conversation: bytes | None, after: int, limit: int) -> list[HistoryRow]:
        """Rows by `n`."""
        if conversation is None:
            return self._rows("n > ? ORDER BY n LIMIT ?", (after, limit))
        return self._rows("conversation = ? AND n > ? ORDER BY n LIMIT ?", (conversation, after, limit))

    def screen(self, conversation: bytes, limit: int) -> list[HistoryRow]:
        """The newest rows of a conversation in the order in which both ends show them; what is queued comes last."""
        waiting = self._rows("conversation = ? AND state = 'queued' ORDER BY n DESC LIMIT ?", (conversation, limit))
        left = limit - len(waiting)
        settled = self._rows(
            "conversation = ? AND state <> 'queued' ORDER BY at DESC, sender DESC, message_id DESC LIMIT ?",
            (conversation, left),
        )
        return settled[::-1] + waiting[::-1]

    def newest_seq(self, conversation: bytes) -> int:
        """The seq of the newest message from somebody else, 0 when there is none."""
        found = self._db.execute(
            "SELECT max(seq) FROM history WHERE conversation = ? AND kind = 'message'", (conversation,)
        )
        return int(found.fetchone()[0] or 0)

    def user_of(self, handle: str) -> tuple[bytes, int] | None:
        """(user, when the server said so)."""
        row: tuple[bytes, int] | None = self._db.execute(
            "SELECT user, seen_at FROM handles WHERE handle = ?", (handle,)
        ).fetchone()
        return row

    def handle_of(self, user: bytes) -> tuple[str, int] | None:
        """(handle, when the server said so)."""
        row: tuple[str, int] | None = self._db.execute(
            "SELECT handle, seen_at FROM handles WHERE user = ?", (user,)
        ).fetchone()
        return row

    def _rows(self, where: str, values: tuple[Any, ...]) -> list[HistoryRow]:
        found = self._db.execute(f"SELECT {_COLUMNS} FROM history WHERE {where}", values)
        return [HistoryRow(*row) for row in found]


Job = Callable[["Writer"], Any]


class Writer:
    """Changes the profile, several jobs in one transaction."""

    def __init__(self, db: sqlite3.Connection, new_id: Callable[[], bytes] = lambda: secrets.token_bytes(16)) -> None:
        self._db = db
        self._new_id = new_id
        self._position = 0
        self._read = Reader(db)

    def close(self) -> None:
        self._db.close()

    def transact(self, jobs: Iterable[Job]) -> list[Any]:
        """Run the jobs in one transaction; it is on the disk when this returns. A job that raises is undone alone.

        Returns, per job, its result or its exception. Raises sqlite3.Error when nothing was committed.
        """
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._position = first = self._read.position()
            results: list[Any] = []
            for job in jobs:
                before = self._position
                execute("SAVEPOINT job")
                try:
                    results.append(job(self))
                except Exception as error:
                    execute("ROLLBACK TO job")
                    self._position = before
                    results.append(error)
                execute("RELEASE job")
            if self._position != first:
                self.set_meta(position=self._position)
            execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                execute("ROLLBACK")
            raise
        return results

    # --- jobs ---

    def meta(self, key: str, default: Any = None) -> Any:
        return self._read.meta(key, default)

    def set_meta(self, **values: Any) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def apply(self, writes: Iterable[fx.Write]) -> None:
        """One Commit of the core."""
        self._answered: set[bytes] = set()  # conversations whose outbox may have become shorter
        for write in writes:
            _APPLY[type(write)](self, write)
        for conversation in self._answered:
            self._trim(conversation)

    def enqueue(
        self,
        conversation: bytes,
        messages: list[tuple[bytes, str | None]],
        now: int,
        outbox_max: int,
        handle: str = "",
    ) -> list[tuple[bytes, int]]:
        """Put (payload, text) into history and outbox under new ids. Returns (message_id, n). Raises OutboxFull.

        With an empty conversation they wait for `address(handle, ...)`; those that did go before these.
        """
        waiting = self._read.waiting() + len(messages)
        if waiting > outbox_max:
            raise OutboxFull(f"{outbox_max} messages wait already")
        self.set_meta(waiting=waiting)
        if conversation and handle:
            self.address(handle, conversation)
        user, device = self.meta("user"), self.meta("device")
        made: list[tuple[bytes, int]] = []
        for payload, text in messages:
            message_id = self._new_id()
            n = self._next()
            self._insert(
                n, "sent", conversation, user, device, message_id, 0, now, "queued", CONTENT_TYPE, ALGORITHM,
                payload, text,
            )  # fmt: skip
            if conversation:
                self._to_outbox(message_id, conversation)
            else:
                self._db.execute("INSERT INTO unaddressed (message_id, handle) VALUES (?, ?)", (message_id, handle))
            made.append((message_id, n))
        if conversation:
            self._conversation(conversation)
        return made

    def address(self, handle: str, conversation: bytes) -> None:
        """What waited for this handle goes to the end of the conversation's outbox, in order."""
        user = self.meta("user")
        for message_id in self._take_unaddressed(handle):
            self._db.execute(
                "UPDATE history SET conversation = ? WHERE sender = ? AND message_id = ?",
                (conversation, user, message_id),
            )
            self._to_outbox(message_id, conversation)
            self._conversation(conversation)

    def refuse_unaddressed(self, handle: str, code: int) -> None:
        """What waited for this handle is refused."""
        gone = self._take_unaddressed(handle)
        self.set_meta(waiting=self._read.waiting() - len(gone))
        for message_id in gone:
            known = self._read.row(self.meta("user"), message_id)
            if known is not None:
                self._change(known, "refused", 0, known.at, code)

    def _take_unaddressed(self, handle: str) -> list[bytes]:
        found = self._db.execute("SELECT message_id FROM unaddressed WHERE handle = ? ORDER BY id", (handle,))
        taken = [message_id for (message_id,) in found]
        if taken:
            self._db.execute("DELETE FROM unaddressed WHERE handle = ?", (handle,))
        return taken

    def _to_outbox(self, message_id: bytes, conversation: bytes) -> None:
        self._db.execute("INSERT INTO outbox (message_id, conversation) VALUES (?, ?)", (message_id, conversation))

    def want_read(self, conversation: bytes, seq: int) -> None:
        """This user has read up to `seq`."""
        self._conversation(conversation)
        self._db.execute(
            "UPDATE conversations SET read_wanted = max(read_wanted, ?) WHERE conversation = ? AND read < ?",
            (seq, conversation, seq),
        )

    def hide(self, sender: bytes, message_id: bytes) -> None:
        """Delete for me."""
        hide(self._db, sender, message_id)
        wipe_deleted(self._db, sender, message_id)

    def put_handle(self, user: bytes, handle: str, now: int) -> None:
        self._db.execute("DELETE FROM handles WHERE handle = ?", (handle,))
        self._db.execute("INSERT OR REPLACE INTO handles VALUES (?, ?, ?)", (user, handle, now))

    # --- the core's writes ---

    def _save_message(self, row: fx.SaveMessage) -> None:
        text = decode_text(row.payload, row.content_type, row.alg)
        seq, state = row.seq, ""
        if row.own:
            seq = row.peer_seq
            state = self._state_at(row.conversation, seq)
            known = self._read.row(row.sender, row.message_id)
            if known is not None:
                self._change(known, state, seq, row.at, 0)
                self._seen(row.conversation, row.at)
                return
        inserted = self._insert(
            self._position + 1, "own" if row.own else "message", row.conversation, row.sender, row.device,
            row.message_id, seq, row.at, state, row.content_type, row.alg, row.payload, text,
        )  # fmt: skip
        if inserted:
            self._next()
            self._seen(row.conversation, row.at)
            wipe_deleted(self._db, row.sender, row.message_id)

    def _save_answer(self, answer: fx.SaveAnswer) -> None:
        marked = self._db.execute(
            "UPDATE outbox SET answered = 1 WHERE message_id = ? AND answered = 0", (answer.message_id,)
        )
        if marked.rowcount:
            self.set_meta(waiting=self._read.waiting() - 1)
            self._answered.add(answer.conversation)
        known = self._read.row(self.meta("user"), answer.message_id)
        if known is None:
            return
        if answer.code:
            if known.state == "queued":
                self._change(known, "refused", 0, known.at, answer.code)
            return
        self._change(known, self._state_at(answer.conversation, answer.seq), answer.seq, answer.at, 0)
        self._seen(answer.conversation, answer.at)

    def _save_stream(self, write: fx.SaveStream) -> None:
        self._conversation(write.conversation)
        self._db.execute("DELETE FROM outbox WHERE conversation = ? AND answered = 1", (write.conversation,))
        self._db.execute(
            "UPDATE conversations SET stream = ?, base = 1 WHERE conversation = ?", (write.stream, write.conversation)
        )

    def _trim(self, conversation: bytes) -> None:
        """Answered rows before the first unanswered one leave; the others keep their places."""
        gone = self._db.execute(
            "DELETE FROM outbox WHERE conversation = ?1 AND answered = 1 AND id < coalesce("
            "(SELECT min(id) FROM outbox WHERE conversation = ?1 AND answered = 0), 1 << 62)",
            (conversation,),
        )
        if gone.rowcount:
            self._conversation(conversation)
            self._db.execute(
                "UPDATE conversations SET base = base + ? WHERE conversation = ?", (gone.rowcount, conversation)
            )

    def _save_cursor(self, cursor: fx.SaveCursor) -> None:
        self.set_meta(seq=cursor.seq, rev=cursor.rev)

    def _save_receipt(self, receipt: fx.SaveReceipt) -> None:
        conversation = receipt.conversation
        self._conversation(conversation)
        self._db.execute(
            "UPDATE conversations SET delivered = max(delivered, ?), peer_read = max(peer_read, ?)"
            " WHERE conversation = ?",
            (receipt.delivered, receipt.read, conversation),
        )
        upto = max(receipt.delivered, receipt.read)
        rows = self._rows("conversation = ? AND state = 'accepted' AND seq <= ? ORDER BY seq", conversation, upto)
        rows += self._rows(
            "conversation = ? AND state = 'delivered' AND seq <= ? ORDER BY seq", conversation, receipt.read
        )
        for row in rows:
            self._change(row, "read" if row.seq <= receipt.read else "delivered", row.seq, row.at, 0)

    def _save_read(self, write: fx.SaveRead) -> None:
        self._conversation(write.conversation)
        changed = self._db.execute(
            "UPDATE conversations SET read = ?, read_changed = ? WHERE conversation = ? AND read < ?",
            (write.seq, self._position + 1, write.conversation, write.seq),
        )
        if changed.rowcount:
            self._next()
        self._db.execute(
            "UPDATE conversations SET read_wanted = 0 WHERE conversation = ? AND read_wanted <= read",
            (write.conversation,),
        )

    def _drop_read_wanted(self, write: fx.DropReadWanted) -> None:
        self._db.execute("UPDATE conversations SET read_wanted = 0 WHERE conversation = ?", (write.conversation,))

    def _save_gap(self, gap: fx.SaveGap) -> None:
        n = self._next()
        self._insert(n, "gap", b"", b"", 0, n.to_bytes(16, "big"), 0, gap.at, "", 0, 0, b"", None)

    def _expire(self, write: fx.Expire) -> None:
        for row in self._rows("state = 'accepted' AND at < ? ORDER BY at", write.before_at):
            self._change(row, "expired", row.seq, row.at, 0)

    # --- helpers ---

    def _next(self) -> int:
        self._position += 1
        return self._position

    def _rows(self, where: str, *values: Any) -> list[HistoryRow]:
        return self._read._rows(where, values)

    def _insert(
        self, n: int, kind: str, conversation: bytes, sender: bytes, device: int, message_id: bytes, seq: int, at: int,
        state: str, content_type: int, alg: int, payload: bytes, text: str | None,
    ) -> bool:  # fmt: skip
        """Returns whether the message was new."""
        done = self._db.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, 0)"
            " ON CONFLICT (sender, message_id) DO NOTHING",
            (n, n, kind, conversation, sender, device, message_id, seq, at, state, content_type, alg, payload, text),
        )
        if done.rowcount == 1 and text is None and kind != "gap":
            note_action(self._db, sender, message_id, payload, content_type, alg)
        return done.rowcount == 1

    def _change(self, row: HistoryRow, state: str, seq: int, at: int, code: int) -> None:
        if row.state == "expired" or (row.state, row.seq, row.at) == (state, seq, at):
            return  # expired is final
        self._db.execute(
            "UPDATE history SET changed = ?, state = ?, seq = ?, at = ?, code = ? WHERE n = ?",
            (self._next(), state, seq, at, code, row.n),
        )
        if row.state == "queued":  # words that were only kept to be sent may go now
            wipe_deleted(self._db, row.sender, row.message_id)

    def _conversation(self, conversation: bytes) -> None:
        self._db.execute("INSERT OR IGNORE INTO conversations (conversation) VALUES (?)", (conversation,))

    def _seen(self, conversation: bytes, at: int) -> None:
        self._db.execute(
            "INSERT INTO conversations (conversation, last_at) VALUES (?, ?)"
            " ON CONFLICT (conversation) DO UPDATE SET last_at = max(last_at, excluded.last_at)",
            (conversation, at),
        )

    def _state_at(self, conversation: bytes, seq: int) -> str:
        """The state of an accepted message by the registers."""
        row = self._db.execute(
            "SELECT delivered, peer_read FROM conversations WHERE conversation = ?", (conversation,)
        ).fetchone()
        delivered, peer_read = row or (0, 0)
        return "read" if seq <= peer_read else "delivered" if seq <= delivered else "accepted"


_APPLY: dict[type, Callable[[Writer, Any], None]] = {
    fx.SaveMessage: Writer._save_message,
    fx.SaveAnswer: Writer._save_answer,
    fx.SaveStream: Writer._save_stream,
    fx.SaveCursor: Writer._save_cursor,
    fx.SaveReceipt: Writer._save_receipt,
    fx.SaveRead: Writer._save_read,
    fx.DropReadWanted: Writer._drop_read_wanted,
    fx.SaveGap: Writer._save_gap,
    fx.Expire: Writer._expire,
}
