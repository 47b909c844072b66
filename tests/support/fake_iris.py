"""An Iris server in memory that speaks frames: what a client is tested against, and no more.

Pure: `FakeIris` takes ClientFrames with `now` and puts ServerFrames into the session's `out`. What it stores
counts as durable at once. Marks, mailboxes, registers, pump and rewinds follow the protocol; accounts, limits and
leases do not exist. A token is the text "user-hex:device".
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import CloseCode, ErrorCode
from iris_sdk.ids import direct_conversation, peer_of

WINDOW = 32
DELIVER_WINDOW = 256
REWIND_MS = 1000
REPEAT_MS = 10_000
RESTORE_EPOCHS = 4096


def token_of(user: bytes, device: int) -> str:
    """The access token of a device."""
    return f"{user.hex()}:{device}"


@dataclass
class Mark:
    """A sender device's mark; outcomes are (stream, client_seq, message_id, code, seq, at)."""

    stream: int = 0
    high: int = 0
    outcomes: list[tuple[int, int, bytes, int, int, int]] = field(default_factory=list)


@dataclass
class Mailbox:
    """Everything of one user."""

    rows: list[pb.Deliver] = field(default_factory=list)
    registers: dict[tuple[str, bytes], pb.ServerFrame] = field(default_factory=dict)
    rev: int = 0
    head: int = 0
    delivered: int = 0  # the most advanced device has everything up to here
    marks: dict[tuple[bytes, int, bytes], Mark] = field(default_factory=dict)
    last_at: dict[bytes, int] = field(default_factory=dict)
    cursors: dict[int, tuple[int, int]] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)  # rows up to here are not kept for the device
    blocked: set[bytes] = field(default_factory=set)
    read_receipts: bool = True


class Session:
    """One connection. Frames for the client are appended to `out`; `closed` holds the close code."""

    def __init__(self, server: FakeIris) -> None:
        self.server = server
        self.out: list[pb.ServerFrame] = []
        self.closed: int | None = None
        self.user = b""
        self.device = 0
        self.seq = self.rev = 0  # the device's cursors
        self.sent_seq = self.sent_rev = 0
        self.moved_at = 0
        self.rewound_at = -REWIND_MS
        self.watched: tuple[bytes, ...] = ()

    def receive(self, frame: pb.ClientFrame, now: int) -> None:
        """Handle one frame."""
        if self.closed is None:
            self.server.handle(self, frame, now)

    def close(self, code: int) -> None:
        if self.closed is None:
            self.closed = code
            self.server.gone(self)


class FakeIris:
    """The server. `refuse` gives lasting refusals, `pause` passing ones: a code, or 0, for a message id."""

    def __init__(self) -> None:
        self.mailboxes: dict[bytes, Mailbox] = {}
        self.sessions: dict[tuple[bytes, int], Session] = {}
        self.epoch = 1
        self.refuse: Callable[[bytes], int] = lambda _: 0
        self.pause: Callable[[bytes], int] = lambda _: 0
        self.expired: set[str] = set()
        self.revoked: set[str] = set()
        self.token_ms = 3_600_000
        self.oldest: dict[bytes, int] = {}
        self.connects = 0
        self.strict = False  # nobody was restored: a device's cursor never goes back

    # --- what a test does ---

    def add_device(self, user: bytes, device: int) -> str:
        """Link a device; it starts at the end of the mailbox. Returns its token."""
        mailbox = self.mailboxes.setdefault(user, Mailbox())
        mailbox.cursors[device] = (mailbox.head, 0)
        mailbox.starts[device] = mailbox.head
        return token_of(user, device)

    def snapshot(self) -> object:
        """A backup."""
        return copy.deepcopy((self.mailboxes, self.epoch))

    def restore(self, backup: object) -> None:
        """Start anew from a backup: all connections are gone, epochs go on above all that were used."""
        for session in list(self.sessions.values()):
            session.close(CloseCode.GOING_AWAY)
        epoch = self.epoch
        self.mailboxes, _ = copy.deepcopy(backup)  # type: ignore[misc]
        self.epoch = epoch + RESTORE_EPOCHS

    def stored(self, user: bytes) -> list[pb.Deliver]:
        """The rows from others in a mailbox."""
        return [row for row in self.mailboxes[user].rows if row.kind == pb.KIND_MESSAGE]

    def tick(self, now: int) -> None:
        """Time passes: windows that do not move are sent again."""
        for session in list(self.sessions.values()):
            if now - session.moved_at >= REPEAT_MS and (session.sent_seq, session.sent_rev) != (
                session.seq,
                session.rev,
            ):
                self._rewind(session, now)

    def forget_marks(self, sender: bytes, device: int) -> None:
        """As after mark_days without a Send."""
        for mailbox in self.mailboxes.values():
            for key in [key for key in mailbox.marks if key[:2] == (sender, device)]:
                del mailbox.marks[key]

    def push_typing(self, user: bytes, sender: bytes, active: bool) -> None:
        conversation = direct_conversation(user, sender)
        for session in self._sessions_of(user):
            session.out.append(
                pb.ServerFrame(typing=pb.Typing(conversation=conversation, sender=sender, active=active))
            )

    # --- frames ---

    def handle(self, session: Session, frame: pb.ClientFrame, now: int) -> None:
        body = frame.WhichOneof("body")
        if body == "hello":
            self._hello(session, frame.hello, now)
        elif not session.user:
            session.close(CloseCode.HELLO_FIRST)
        elif body == "send":
            session.out.append(self.send(session.user, session.device, frame.send, now))
        elif body == "ack":
            self._ack(session, frame.ack, now)
        elif body == "read":
            self._read(session, frame.read, now)
        elif body == "watch":
            session.watched = tuple(frame.watch.users)
            for user in session.watched:
                online = any(self._sessions_of(user))
                status = pb.STATUS_ONLINE if online else pb.STATUS_OFFLINE
                session.out.append(pb.ServerFrame(presence=pb.Presence(user=user, status=status)))
        elif body == "typing":
            peer = peer_of(frame.typing.conversation, session.user)
            self.push_typing(peer, session.user, frame.typing.active)
        elif body == "refresh":
            refreshed = pb.Refreshed(token_expires_at=now + self.token_ms)
            session.out.append(pb.ServerFrame(refreshed=refreshed))

    def gone(self, session: Session) -> None:
        if self.sessions.get((session.user, session.device)) is session:
            del self.sessions[session.user, session.device]

    def _hello(self, session: Session, hello: pb.Hello, now: int) -> None:
        if hello.token in self.expired:
            session.close(CloseCode.TOKEN_EXPIRED)
            return
        user_hex, _, device = hello.token.split("#")[0].partition(":")
        user = bytes.fromhex(user_hex)
        mailbox = self.mailboxes.get(user)
        if hello.token in self.revoked or mailbox is None or int(device) not in mailbox.cursors:
            session.close(CloseCode.TOKEN_REVOKED)
            return
        older = self.sessions.get((user, int(device)))
        if older is not None:
            older.close(CloseCode.REPLACED)
        session.user, session.device = user, int(device)
        self.sessions[user, session.device] = session
        self.connects += 1
        welcome = pb.Welcome(
            session=b"s", time=now, head=mailbox.head, head_rev=mailbox.rev, user=user, device=session.device,
            token_expires_at=now + self.token_ms,
            limits=pb.Limits(payload_bytes_max=65536, send_window=WINDOW, send_repeat_ms=10_000, watches_max=256),
        )  # fmt: skip
        seq, rev = hello.cursor.seq, hello.cursor.rev
        if self.strict:
            before = mailbox.cursors[session.device]
            assert seq >= before[0] or before[0] == mailbox.starts[session.device], (
                "the client went back below what it had said to hold: that may be deleted"
            )
            assert rev >= before[1], "the client went back below the registers it had said to hold"
        if seq > mailbox.head or rev > mailbox.rev:
            welcome.reset = True
            seq, rev = min(seq, mailbox.head), min(rev, mailbox.rev)
        if seq < self.oldest.get(user, 0) - 1:
            welcome.oldest = self.oldest[user]
            seq = welcome.oldest - 1
        seq = max(seq, mailbox.starts[session.device])
        session.seq = session.sent_seq = seq
        session.rev = session.sent_rev = rev
        mailbox.cursors[session.device] = (seq, rev)
        session.moved_at = now
        session.out.append(pb.ServerFrame(welcome=welcome))
        self._delivered(user, now)
        self._pump(session)

    # --- sending: the rules of docs/protocol.md, in their order ---

    def send(self, sender: bytes, device: int, send: pb.Send, now: int) -> pb.ServerFrame:
        """The answer to one Send."""
        recipient = peer_of(send.conversation, sender)
        if recipient == sender:
            return _rejected(send, ErrorCode.SELF, pb.RETRY_NEVER)
        mailbox = self.mailboxes.get(recipient)
        if mailbox is None:
            return _rejected(send, ErrorCode.UNKNOWN_USER, pb.RETRY_NEVER)
        code = self.pause(send.message_id)
        if code:
            return _rejected(send, code, pb.RETRY_AFTER, retry_after_ms=200)
        mark = mailbox.marks.setdefault((sender, device, send.conversation), Mark())
        if send.stream < mark.stream:
            return _stale(send, mark.stream)
        high = mark.high if send.stream == mark.stream else 0
        if send.answered > high:
            return _stale(send, mark.stream)
        if send.client_seq > high + 1:
            return _rejected(send, ErrorCode.SEQUENCE_GAP, pb.RETRY_GAP, expected=high + 1)
        if send.client_seq <= high:
            for stream, number, message_id, *outcome in mark.outcomes:
                if (stream, number, message_id) == (send.stream, send.client_seq, send.message_id):
                    return _outcome(send, *outcome)
            return _stale(send, mark.stream)
        known = next((o[3:] for o in mark.outcomes if o[2] == send.message_id), None)
        code, seq, at = known or self._decide(sender, device, recipient, mailbox, send, now)
        mark.stream, mark.high = send.stream, send.client_seq
        mark.outcomes = [*mark.outcomes, (send.stream, send.client_seq, send.message_id, code, seq, at)][-WINDOW:]
        return _outcome(send, code, seq, at)

    def _decide(
        self, sender: bytes, device: int, recipient: bytes, mailbox: Mailbox, send: pb.Send, now: int
    ) -> tuple[int, int, int]:
        code = ErrorCode.NOT_ALLOWED if sender in mailbox.blocked else self.refuse(send.message_id)
        if code:
            return int(code), 0, 0
        after = send.after + 1 if send.after <= now + 5000 else 0
        at = max(now, mailbox.last_at.get(send.conversation, 0) + 1, after)
        mailbox.last_at[send.conversation] = at
        row = pb.Deliver(
            kind=pb.KIND_MESSAGE, conversation=send.conversation, sender=sender, device=device,
            message_id=send.message_id, at=at, payload=send.payload, content_type=send.content_type, alg=send.alg,
        )  # fmt: skip
        seq = self._append(recipient, row)
        own = pb.Deliver()
        own.CopyFrom(row)
        own.kind, own.peer_seq = pb.KIND_OWN_COPY, seq
        self._append(sender, own)
        return 0, seq, at

    def _append(self, user: bytes, row: pb.Deliver) -> int:
        mailbox = self.mailboxes[user]
        counter = (mailbox.head & 0xFFFFFFFF) + 1 if mailbox.head >> 32 == self.epoch else 1
        row.seq = mailbox.head = self.epoch << 32 | counter
        mailbox.rows.append(row)
        for session in self._sessions_of(user):
            self._pump(session)
        return mailbox.head

    # --- delivering ---

    def _pump(self, session: Session) -> None:
        """Send what follows what was sent, within the window."""
        mailbox = self.mailboxes[session.user]
        rows = mailbox.rows
        acked, first = _place(rows, session.seq), _place(rows, session.sent_seq)
        for place in range(first, min(len(rows), acked + DELIVER_WINDOW)):
            deliver = pb.Deliver()
            deliver.CopyFrom(rows[place])
            before = rows[place - 1].seq if place else 0
            deliver.prev = before if before > mailbox.starts[session.device] else 0
            session.out.append(pb.ServerFrame(deliver=deliver))
            session.sent_seq = deliver.seq
        prev = 0
        for rev, frame in sorted(
            ((_rev(frame), frame) for frame in mailbox.registers.values()), key=lambda item: item[0]
        ):
            if rev > session.sent_rev:
                again = pb.ServerFrame()
                again.CopyFrom(frame)
                (again.receipt if again.HasField("receipt") else again.read_sync).prev_rev = prev
                session.out.append(again)
                session.sent_rev = rev
            prev = rev

    def _rewind(self, session: Session, now: int) -> None:
        session.sent_seq, session.sent_rev = session.seq, session.rev
        session.moved_at = now
        self._pump(session)

    def _ack(self, session: Session, ack: pb.Ack, now: int) -> None:
        if ack.seq > session.sent_seq or ack.rev > session.sent_rev:
            session.close(CloseCode.ACK_BEYOND)
            return
        if (ack.seq, ack.rev) == (session.seq, session.rev):
            if now - session.rewound_at >= REWIND_MS:
                session.rewound_at = now
                self._rewind(session, now)
            return
        session.seq, session.rev = max(session.seq, ack.seq), max(session.rev, ack.rev)
        session.moved_at = now
        self.mailboxes[session.user].cursors[session.device] = (session.seq, session.rev)
        self._delivered(session.user, now)
        self._pump(session)

    # --- registers ---

    def _delivered(self, user: bytes, now: int) -> None:
        mailbox = self.mailboxes[user]
        most = max(cursor[0] for cursor in mailbox.cursors.values())
        reached: dict[bytes, tuple[bytes, int]] = {}
        for row in mailbox.rows[_place(mailbox.rows, mailbox.delivered) : _place(mailbox.rows, most)]:
            if row.kind == pb.KIND_MESSAGE:
                reached[row.conversation] = (row.sender, row.seq)
        mailbox.delivered = max(most, mailbox.delivered)
        for conversation, (sender, seq) in reached.items():
            self._receipt(sender, conversation, delivered=seq, read=0)

    def _receipt(self, user: bytes, conversation: bytes, *, delivered: int, read: int) -> None:
        mailbox = self.mailboxes.get(user)
        if mailbox is None:
            return
        old = mailbox.registers.get(("receipt", conversation), pb.ServerFrame()).receipt
        if delivered <= old.delivered and read <= old.read:
            return
        mailbox.rev += 1
        receipt = pb.Receipt(
            rev=mailbox.rev, conversation=conversation,
            delivered=max(delivered, old.delivered), read=max(read, old.read),
        )  # fmt: skip
        mailbox.registers["receipt", conversation] = pb.ServerFrame(receipt=receipt)
        for session in self._sessions_of(user):
            self._pump(session)

    def _read(self, session: Session, read: pb.Read, now: int) -> None:
        mailbox = self.mailboxes[session.user]
        if read.seq > mailbox.head:
            problem = pb.Problem(code=ErrorCode.POSITION_UNKNOWN, frame=4, retry=pb.RETRY_NEVER)
            session.out.append(pb.ServerFrame(problem=problem))
            return
        old = mailbox.registers.get(("read", read.conversation), pb.ServerFrame()).read_sync
        if read.seq <= old.seq:
            return
        mailbox.rev += 1
        sync = pb.ReadSync(rev=mailbox.rev, conversation=read.conversation, seq=read.seq)
        mailbox.registers["read", read.conversation] = pb.ServerFrame(read_sync=sync)
        if mailbox.read_receipts:
            self._receipt(peer_of(read.conversation, session.user), read.conversation, delivered=0, read=read.seq)
        for mine in self._sessions_of(session.user):
            self._pump(mine)

    def _sessions_of(self, user: bytes) -> Iterator[Session]:
        return iter([session for (owner, _), session in self.sessions.items() if owner == user])


def _place(rows: list[pb.Deliver], seq: int) -> int:
    """Where the rows above `seq` begin."""
    return bisect_right(rows, seq, key=lambda row: row.seq)


def _rev(frame: pb.ServerFrame) -> int:
    return int(frame.receipt.rev or frame.read_sync.rev)


def _rejected(
    send: pb.Send, code: int, retry: pb.Retry, *, expected: int = 0, current: int = 0, retry_after_ms: int = 0
) -> pb.ServerFrame:
    return pb.ServerFrame(
        rejected=pb.Rejected(
            conversation=send.conversation, stream=send.stream, client_seq=send.client_seq, message_id=send.message_id,
            code=int(code), retry=retry, expected=expected, current_stream=current, retry_after_ms=retry_after_ms,
        )
    )  # fmt: skip


def _stale(send: pb.Send, current: int) -> pb.ServerFrame:
    return _rejected(send, ErrorCode.STREAM_STALE, pb.RETRY_NEW_STREAM, current=current)


def _outcome(send: pb.Send, code: int, seq: int, at: int) -> pb.ServerFrame:
    if code:
        return _rejected(send, code, pb.RETRY_NEVER)
    return pb.ServerFrame(
        accepted=pb.Accepted(
            conversation=send.conversation, stream=send.stream, client_seq=send.client_seq,
            message_id=send.message_id, seq=seq, at=at,
        )
    )  # fmt: skip
