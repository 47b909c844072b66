"""A device's profile: in SQLite, by the SDK's own code, or in dictionaries, which is ten times as fast.

Both do the same with every write (tests/unit/sim/test_profile.py); a share of the seeds uses SQLite. A copy is what a
person's backup of the folder would be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from iris_sdk import schema
from iris_sdk.content import ALGORITHM, CONTENT_TYPE, decode_text
from iris_sdk.core import Saved, SavedConversation
from iris_sdk.core import effects as fx
from iris_sdk.errors import OutboxFull
from iris_sdk.rows import HistoryRow
from iris_sdk.store import Reader, Writer
from iris_sim.observer import Positions

NewId = Callable[[], bytes]


class Profile(Protocol):
    """What an app needs of a profile; see iris_sdk.store for the meaning."""

    def meta(self, key: str, default: Any = None) -> Any: ...
    def set_meta(self, **values: Any) -> None: ...
    def load(self) -> Saved: ...
    def outbox_after(self, after: int) -> list[tuple[int, bytes, bytes, bool]]: ...
    def reads_wanted(self) -> list[tuple[bytes, int]]: ...
    def payload(self, message_id: bytes) -> tuple[bytes, int, int] | None: ...
    def enqueue(
        self, conversation: bytes, messages: list[tuple[bytes, str | None]], now: int, outbox_max: int
    ) -> list[tuple[bytes, int]]: ...
    def want_read(self, conversation: bytes, seq: int) -> None: ...
    def apply(self, writes: Sequence[fx.Write]) -> None: ...
    def copy(self) -> Profile: ...
    def cursor(self) -> tuple[int, int]: ...
    def history(self) -> Sequence[HistoryRow]: ...
    def reads(self) -> Mapping[bytes, Positions]: ...
    def waiting(self) -> int: ...


class SqliteProfile:
    """The real one, in memory."""

    def __init__(self, new_id: NewId, db: sqlite3.Connection | None = None) -> None:
        if db is None:
            db = sqlite3.connect(":memory:", isolation_level=None)
            schema.create_tables(db)
        self._db, self._new_id = db, new_id
        self._reader, self._writer = Reader(db), Writer(db, new_id)

    def __del__(self) -> None:
        self._db.close()

    def meta(self, key: str, default: Any = None) -> Any:
        return self._reader.meta(key, default)

    def set_meta(self, **values: Any) -> None:
        self._run(lambda writer: writer.set_meta(**values))

    def load(self) -> Saved:
        return self._reader.load()

    def outbox_after(self, after: int) -> list[tuple[int, bytes, bytes, bool]]:
        return self._reader.outbox_after(after)

    def reads_wanted(self) -> list[tuple[bytes, int]]:
        return self._reader.reads_wanted()

    def payload(self, message_id: bytes) -> tuple[bytes, int, int] | None:
        return self._reader.payload(self._reader.meta("user"), message_id)

    def enqueue(
        self, conversation: bytes, messages: list[tuple[bytes, str | None]], now: int, outbox_max: int
    ) -> list[tuple[bytes, int]]:
        made: list[tuple[bytes, int]] = self._run(lambda w: w.enqueue(conversation, messages, now, outbox_max))
        return made

    def want_read(self, conversation: bytes, seq: int) -> None:
        self._run(lambda writer: writer.want_read(conversation, seq))

    def apply(self, writes: Sequence[fx.Write]) -> None:
        self._run(lambda writer: writer.apply(writes))

    def copy(self) -> SqliteProfile:
        db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.backup(db)
        return SqliteProfile(self._new_id, db)

    def cursor(self) -> tuple[int, int]:
        return self._reader.meta("seq", 0), self._reader.meta("rev", 0)

    def history(self) -> Sequence[HistoryRow]:
        return self._reader.history(None, 0, 1 << 40)

    def reads(self) -> Mapping[bytes, Positions]:
        found = self._db.execute("SELECT conversation, delivered, peer_read, read, read_wanted FROM conversations")
        return {row[0]: Positions(*row[1:]) for row in found}

    def waiting(self) -> int:
        return self._reader.waiting()

    def _run(self, job: Callable[[Writer], Any]) -> Any:
        (result,) = self._writer.transact([job])
        if isinstance(result, Exception):
            raise result
        return result


_decode_text = lru_cache(1024)(decode_text)  # up to four devices take the same message, one after the other


class _Conversation:
    """A row of `conversations`."""

    __slots__ = (
        "base", "changed", "delivered", "last_at", "open", "peer_read", "read", "read_wanted", "stream",
    )  # fmt: skip

    def __init__(self) -> None:
        self.stream = self.base = 1
        self.last_at = self.delivered = self.peer_read = self.read = self.changed = self.read_wanted = 0
        self.open: list[int] = []  # n of accepted and delivered rows

    def copy(self) -> _Conversation:
        twin = _Conversation()
        twin.stream, twin.base, twin.last_at, twin.changed = self.stream, self.base, self.last_at, self.changed
        twin.delivered, twin.peer_read = self.delivered, self.peer_read
        twin.read, twin.read_wanted = self.read, self.read_wanted
        twin.open = self.open.copy()
        return twin


class DictProfile:
    """The same in dictionaries."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._meta: dict[str, Any] = {}
        self._rows: dict[int, HistoryRow] = {}  # by n
        self._known: dict[tuple[bytes, bytes], int] = {}  # (sender, message_id) -> n
        self._outbox: dict[int, tuple[bytes, bytes, bool]] = {}  # place -> (conversation, message_id, answered)
        self._places: dict[bytes, int] = {}  # message_id -> place
        self._place = 0
        self._conversations: dict[bytes, _Conversation] = {}
        self._alg: dict[int, int] = {}  # n -> alg, where it is not 0
        self._position = 0

    def copy(self) -> DictProfile:
        twin = DictProfile(self._new_id)
        twin._meta, twin._rows, twin._known = self._meta.copy(), self._rows.copy(), self._known.copy()
        twin._outbox, twin._places, twin._place = self._outbox.copy(), self._places.copy(), self._place
        twin._conversations = {key: one.copy() for key, one in self._conversations.items()}
        twin._alg, twin._position = self._alg.copy(), self._position
        return twin

    # --- reading ---
    def meta(self, key: str, default: Any = None) -> Any:
        return self._meta.get(key, default)

    def load(self) -> Saved:
        meta = self._meta
        found = tuple(
            SavedConversation(key, one.stream, one.base, one.last_at, one.read_wanted, one.read)
            for key, one in sorted(self._conversations.items())
        )
        return Saved(meta["user"], meta["device"], meta.get("seq", 0), meta.get("rev", 0), found)

    def outbox_after(self, after: int) -> list[tuple[int, bytes, bytes, bool]]:
        if after >= self._place:
            return []
        return [(place, *row) for place, row in self._outbox.items() if place > after]

    def reads_wanted(self) -> list[tuple[bytes, int]]:
        return [
            (key, one.read_wanted)
            for key, one in sorted(self._conversations.items(), key=lambda entry: (entry[1].read_wanted, entry[0]))
            if one.read_wanted > one.read
        ]

    def payload(self, message_id: bytes) -> tuple[bytes, int, int] | None:
        n = self._known.get((self._meta["user"], message_id))
        if n is None:
            return None
        row = self._rows[n]
        return row.payload, row.content_type, self._alg.get(n, 0)

    def cursor(self) -> tuple[int, int]:
        return self._meta.get("seq", 0), self._meta.get("rev", 0)

    def history(self) -> Sequence[HistoryRow]:
        return list(self._rows.values())

    def reads(self) -> Mapping[bytes, Positions]:
        return {
            key: Positions(one.delivered, one.peer_read, one.read, one.read_wanted)
            for key, one in self._conversations.items()
        }

    def waiting(self) -> int:
        return int(self._meta.get("waiting", 0))

    # --- what a person does ---
    def set_meta(self, **values: Any) -> None:
        self._meta.update(values)

    def enqueue(
        self, conversation: bytes, messages: list[tuple[bytes, str | None]], now: int, outbox_max: int
    ) -> list[tuple[bytes, int]]:
        waiting = self.waiting() + len(messages)
        if waiting > outbox_max:
            raise OutboxFull(f"{outbox_max} messages wait already")
        meta = self._meta
        meta["waiting"] = waiting
        made = []
        for payload, text in messages:
            message_id = self._new_id()
            n = self._next()
            self._insert(
                n, "sent", conversation, meta["user"], meta["device"], message_id, 0, now, "queued", CONTENT_TYPE,
                ALGORITHM, payload, text,
            )  # fmt: skip
            self._place += 1
            self._outbox[self._place] = (conversation, message_id, False)
            self._places[message_id] = self._place
            made.append((message_id, n))
        self._of(conversation)
        return made

    def want_read(self, conversation: bytes, seq: int) -> None:
        one = self._of(conversation)
        if one.read < seq:
            one.read_wanted = max(one.read_wanted, seq)

    # --- the core's writes ---
    def apply(self, writes: Sequence[fx.Write]) -> None:
        shorter: dict[bytes, None] = {}
        for write in writes:
            if type(write) is fx.SaveAnswer:
                self._save_answer(write, shorter)
            else:
                _APPLY[type(write)](self, write)
        for conversation in shorter:
            self._trim(conversation)

    def _save_message(self, row: fx.SaveMessage) -> None:
        seq, state = row.seq, ""
        known = self._known.get((row.sender, row.message_id))
        one = self._of(row.conversation)
        if row.own:
            seq = row.peer_seq
            state = _state_at(one, seq)
            if known is not None:
                self._change(self._rows[known], state, seq, row.at, 0)
                one.last_at = max(one.last_at, row.at)
                return
        if known is None:
            kind = "own" if row.own else "message"
            text = _decode_text(row.payload, row.content_type, row.alg)
            self._insert(
                self._next(), kind, row.conversation, row.sender, row.device, row.message_id, seq, row.at, state,
                row.content_type, row.alg, row.payload, text,
            )  # fmt: skip
            one.last_at = max(one.last_at, row.at)

    def _save_answer(self, answer: fx.SaveAnswer, shorter: dict[bytes, None]) -> None:
        place = self._places.get(answer.message_id)
        if place is not None:
            conversation, message_id, answered = self._outbox[place]
            if not answered:
                self._outbox[place] = (conversation, message_id, True)
                self._meta["waiting"] -= 1
                shorter[answer.conversation] = None
        n = self._known.get((self._meta["user"], answer.message_id))
        if n is None:
            return
        known = self._rows[n]
        if answer.code:
            if known.state == "queued":
                self._change(known, "refused", 0, known.at, answer.code)
            return
        one = self._of(answer.conversation)
        self._change(known, _state_at(one, answer.seq), answer.seq, answer.at, 0)
        one.last_at = max(one.last_at, answer.at)

    def _save_stream(self, write: fx.SaveStream) -> None:
        one = self._of(write.conversation)
        for place, (conversation, _, answered) in list(self._outbox.items()):
            if answered and conversation == write.conversation:
                self._leave(place)
        one.stream, one.base = write.stream, 1

    def _trim(self, conversation: bytes) -> None:
        """Answered rows before the first unanswered one leave."""
        for place, (other, _, answered) in list(self._outbox.items()):
            if other != conversation:
                continue
            if not answered:
                return
            self._leave(place)
            self._of(conversation).base += 1

    def _save_cursor(self, cursor: fx.SaveCursor) -> None:
        self._meta["seq"], self._meta["rev"] = cursor

    def _save_receipt(self, receipt: fx.SaveReceipt) -> None:
        one = self._of(receipt.conversation)
        one.delivered = max(one.delivered, receipt.delivered)
        one.peer_read = max(one.peer_read, receipt.read)
        upto = max(receipt.delivered, receipt.read)
        rows = sorted((self._rows[n] for n in one.open), key=lambda row: (row.seq, row.n))
        found = [row for row in rows if row.state == "accepted" and row.seq <= upto]
        found += [row for row in rows if row.state == "delivered" and row.seq <= receipt.read]
        for row in found:
            self._change(row, "read" if row.seq <= receipt.read else "delivered", row.seq, row.at, 0)

    def _save_read(self, write: fx.SaveRead) -> None:
        one = self._of(write.conversation)
        if one.read < write.seq:
            one.read, one.changed = write.seq, self._next()
        if one.read_wanted <= one.read:
            one.read_wanted = 0

    def _drop_read_wanted(self, write: fx.DropReadWanted) -> None:
        if write.conversation in self._conversations:
            self._conversations[write.conversation].read_wanted = 0

    def _save_gap(self, gap: fx.SaveGap) -> None:
        n = self._next()
        self._insert(n, "gap", b"", b"", 0, n.to_bytes(16, "big"), 0, gap.at, "", 0, 0, b"", None)

    def _expire(self, write: fx.Expire) -> None:
        rows = [self._rows[n] for one in self._conversations.values() for n in one.open]
        for row in sorted(rows, key=lambda row: (row.at, row.n)):
            if row.state == "accepted" and row.at < write.before_at:
                self._change(row, "expired", row.seq, row.at, 0)

    # --- helpers ---
    def _next(self) -> int:
        self._position += 1
        return self._position

    def _of(self, conversation: bytes) -> _Conversation:
        one = self._conversations.get(conversation)
        if one is None:
            one = self._conversations[conversation] = _Conversation()
        return one

    def _insert(
        self, n: int, kind: str, conversation: bytes, sender: bytes, device: int, message_id: bytes, seq: int, at: int,
        state: str, content_type: int, alg: int, payload: bytes, text: str | None,
    ) -> None:  # fmt: skip
        row = HistoryRow(
            n, n, kind, conversation, sender, device, message_id, seq, at, state, 0, content_type, payload, text, alg
        )  # fmt: skip
        self._rows[n] = row
        self._known[sender, message_id] = n
        if alg:
            self._alg[n] = alg
        if state in ("accepted", "delivered"):
            self._of(conversation).open.append(n)

    def _change(self, row: HistoryRow, state: str, seq: int, at: int, code: int) -> None:
        if row.state == "expired" or (row.state, row.seq, row.at) == (state, seq, at):
            return
        self._rows[row.n] = row._replace(changed=self._next(), state=state, seq=seq, at=at, code=code)
        is_open = self._of(row.conversation).open
        if row.n in is_open:
            is_open.remove(row.n)
        if state in ("accepted", "delivered"):
            is_open.append(row.n)

    def _leave(self, place: int) -> None:
        del self._places[self._outbox.pop(place)[1]]


def _state_at(one: _Conversation, seq: int) -> str:
    return "read" if seq <= one.peer_read else "delivered" if seq <= one.delivered else "accepted"


_APPLY: dict[type, Callable[[DictProfile, Any], None]] = {
    fx.SaveMessage: DictProfile._save_message,
    fx.SaveStream: DictProfile._save_stream,
    fx.SaveCursor: DictProfile._save_cursor,
    fx.SaveReceipt: DictProfile._save_receipt,
    fx.SaveRead: DictProfile._save_read,
    fx.DropReadWanted: DictProfile._drop_read_wanted,
    fx.SaveGap: DictProfile._save_gap,
    fx.Expire: DictProfile._expire,
}


def new_profile(*, sqlite: bool, new_id: NewId, user: bytes, device: int) -> Profile:
    """An empty one."""
    profile: Profile = SqliteProfile(new_id) if sqlite else DictProfile(new_id)
    profile.set_meta(user=user, device=device)
    return profile


def rows_of(profile: Profile, kinds: Iterable[str]) -> list[HistoryRow]:
    """The rows of some kinds, by n."""
    wanted = set(kinds)
    return [row for row in profile.history() if row.kind in wanted]
