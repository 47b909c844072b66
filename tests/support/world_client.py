"""A client that keeps the protocol, in a few lines: what docs/protocol.md asks of one, and nothing for comfort.

A Profile is what survives a kill; everything else is lost with the process. `auto` clients commit and ack whenever
they have read what came; the others do so when a test says `commit()`. Reading the frames as they came: `frames`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from iris.core import frames as f
from iris.core.catalogue import ERRORS, ErrorCode
from iris.core.ids import direct_conversation
from iris.core.requests import Auth

if TYPE_CHECKING:
    from tests.support.world import EdgeEnd, World

F = TypeVar("F")
REWIND_MS = 1_000


class Message(NamedTuple):
    """One that waits for its answer."""

    conversation: bytes
    message_id: bytes
    payload: bytes


class Shown(NamedTuple):
    """A row of the history."""

    conversation: bytes
    sender: bytes
    message_id: bytes
    at: int
    payload: bytes
    seq: int  # in the recipient's mailbox
    device: int  # of the sender


class Answer(NamedTuple):
    """What became of a message: accepted with code 0."""

    code: int
    seq: int
    at: int


@dataclass
class Profile:
    """What is on the client's disk."""

    seq: int = 0
    rev: int = 0
    gaps: int = 0
    shown: list[Shown] = field(default_factory=list)
    known: set[tuple[bytes, bytes]] = field(default_factory=set)
    waiting: list[Message] = field(default_factory=list)
    answers: dict[bytes, Answer] = field(default_factory=dict)
    streams: dict[bytes, int] = field(default_factory=dict)
    last_at: dict[bytes, int] = field(default_factory=dict)
    receipts: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    reads: dict[bytes, int] = field(default_factory=dict)
    wanted: dict[bytes, int] = field(default_factory=dict)  # read positions that the server has to show

    def copy(self) -> Profile:
        """Another one that is equal and changes alone."""
        parts: dict[str, Any] = {k: v if isinstance(v, int) else v.copy() for k, v in vars(self).items()}
        return Profile(**parts)

    def show(self, row: Shown) -> bool:
        """Put a row into the history, once."""
        self.last_at[row.conversation] = max(self.last_at.get(row.conversation, 0), row.at)
        if (row.sender, row.message_id) in self.known:
            return False
        self.known.add((row.sender, row.message_id))
        self.shown.append(row)
        return True


class Lane:
    """The numbers of one conversation. `base` is the lowest one without an answer that is on the disk."""

    def __init__(self, stream: int, messages: list[Message]) -> None:
        self.stream = stream
        self.base = 1
        self.numbered: list[Message] = []
        self.queue = deque(messages)
        self.sent: dict[int, int] = {}
        self.paused_until = 0


class Client:
    """One device of a user."""

    def __init__(self, world: World, user: bytes, device: int, gen: int) -> None:
        self.world, self.user, self.device, self.gen = world, user, device, gen
        self.auto = True
        self.saved = Profile()
        self.best = 0  # the furthest that any profile of this device was
        self.frames: list[tuple[Any, ...]] = []
        self.conn: int | None = None
        self.edge: EdgeEnd | None = None
        self.closed: int | None = None  # the code of the last connection's end
        self.ends: set[int | None] = set()  # ... and of all of them
        self.jti = f"jti-{user.hex()[:6]}-{device}"
        self.watched: tuple[bytes, ...] = ()
        self._boot()

    def _boot(self) -> None:
        self.live = self.saved.copy()
        self.inbox: deque[tuple[Any, ...]] = deque()
        self.welcome: f.Welcome | None = None
        self.presence: dict[bytes, tuple[int, int]] = {}
        self.dirty = False
        self._acked = (0, 0)
        self._rewind = False
        self._rewind_at = 0
        self._reads_at: dict[bytes, int] = {}
        self._lanes: dict[bytes, Lane] = {}

    # --- what a person does ---
    def send(self, peer: bytes, text: str) -> bytes:
        """Queue a message; its id. It is on the disk before this returns."""
        conversation = direct_conversation(self.user, peer)
        message = Message(conversation, self.world.new_id(), text.encode())
        self.live.waiting.append(message)
        self.saved.waiting.append(message)
        if conversation in self._lanes:
            self._lanes[conversation].queue.append(message)
        self.pump()
        return message.message_id

    def read(self, peer: bytes, seq: int) -> None:
        """The user has read up to a seq."""
        conversation = direct_conversation(self.user, peer)
        for profile in (self.live, self.saved):
            if profile.reads.get(conversation, 0) < seq:
                profile.wanted[conversation] = max(seq, profile.wanted.get(conversation, 0))
        self.pump()

    def watch(self, *users: bytes) -> None:
        self.watched = users
        if self.welcome is not None:
            self.post(f.Watch(f.WATCH, 0, users))

    # --- connection ---
    @property
    def auth(self) -> Auth:
        """The claims of this device's token."""
        return Auth(self.user, self.device, self.gen, self.jti, self.world.wall + 3_600_000)

    def connected(self) -> bool:
        """Whether there is a connection."""
        return self.conn is not None

    def connect(self, edge: int = 0, *, token: str | None = None, cursor: tuple[int, int] | None = None) -> None:
        """Open a connection and say Hello. Only what is on the disk counts."""
        self.disconnect()
        self._boot()
        self.closed = None
        self._acked = cursor or (self.saved.seq, self.saved.rev)
        self.edge = self.world.edges[edge]
        self.conn = self.edge.open(self)
        said = token if token is not None else self.world.token(self)
        self.post(f.Hello(f.HELLO, 0, said, *self._acked, (), "test", "127.0.0.1"))

    def disconnect(self, *, late: bool = False) -> None:
        """The connection is cut. late: what was sent on it still arrives."""
        if self.conn is not None and self.edge is not None:
            self.edge.cut(self.conn, late=late)
        self.lost(None)

    def lost(self, code: int | None) -> None:
        """The connection is gone."""
        self.conn = self.edge = self.welcome = None
        self.inbox.clear()
        self.closed = code
        self.ends.add(code)

    def kill(self) -> None:
        """The process dies: what was not committed is gone."""
        self.disconnect()
        self._boot()

    def post(self, frame: tuple[Any, ...]) -> None:
        """Send a frame on the present connection; its `conn` is filled in."""
        assert self.conn is not None, "not connected"
        assert self.edge is not None
        self.edge.up.append((frame[0], self.conn, *frame[2:]))

    def say(
        self,
        peer: bytes,
        stream: int,
        number: int,
        message_id: bytes = b"",
        *,
        answered: int = 0,
        payload: bytes = b"x",
        after: int = 0,
    ) -> f.Accepted | f.Rejected:
        """One Send as a test wants it, past the queue, and its answer."""
        conversation = direct_conversation(self.user, peer)
        message_id = message_id or self.world.new_id()
        self.frames.clear()
        self.post(
            f.Send(f.SEND, 0, conversation, stream, number, answered, message_id, after, payload, 1, 0),
        )
        self.world.settle()
        answers = [frame for frame in self.frames if isinstance(frame, f.Accepted | f.Rejected)]
        assert len(answers) == 1, answers
        assert answers[0].message_id == message_id
        return answers[0]

    # --- frames ---
    def step(self) -> bool:
        """Read the next frame."""
        if not self.inbox:
            return False
        frame = self.inbox.popleft()
        self.frames.append(frame)
        if frame[0] == f.WELCOME:
            self._on_welcome(frame)  # type: ignore[arg-type]
        elif self.welcome is not None:
            handler = HANDLERS.get(frame[0])  # the others are kept in `frames`, no more
            if handler is not None:
                handler(self, frame)
        return True

    def commit(self) -> None:
        """What was read is on the disk, and acked."""
        if self.dirty:
            self._save()
            for lane in self._lanes.values():
                while lane.numbered and lane.numbered[0].message_id in self.saved.answers:
                    lane.numbered.pop(0)
                    lane.sent.pop(lane.base, None)
                    lane.base += 1
        self.ack()
        self.pump()

    def ack(self) -> None:
        """Say how far the disk is; repeat it when something is missing."""
        if self.welcome is None:
            return
        position, now = (self.saved.seq, self.saved.rev), self.world.time
        if position != self._acked or (self._rewind and not self.dirty and now >= self._rewind_at):
            if position == self._acked:
                self._rewind, self._rewind_at = False, now + REWIND_MS
            self._acked = position
            self.post(f.Ack(f.ACK, 0, *position))

    def pump(self) -> None:
        """Number and send what may be sent, and repeat what was not answered."""
        if self.welcome is None:
            return
        now, limits = self.world.time, self.world.limits
        for conversation in dict.fromkeys(message.conversation for message in self.live.waiting):
            lane = self._lanes.get(conversation) or self._new_stream(conversation, 0)
            while lane.queue and len(lane.numbered) < limits.send_window:
                lane.numbered.append(lane.queue.popleft())
            if now < lane.paused_until:
                continue
            for number, message in enumerate(lane.numbered, lane.base):
                sent = lane.sent.get(number)
                if message.message_id in self.live.answers or (sent and now - sent < limits.send_repeat_ms):
                    continue
                lane.sent[number] = now or 1
                self.post(
                    f.Send(
                        f.SEND, 0, conversation, lane.stream, number, lane.base - 1, message.message_id,
                        self.live.last_at.get(conversation, 0), message.payload, 1, 0,
                    )
                )  # fmt: skip
        for conversation, seq in self.live.wanted.items():
            if now - self._reads_at.get(conversation, -(1 << 60)) >= limits.send_repeat_ms:
                self._reads_at[conversation] = now
                self.post(f.Read(f.READ, 0, conversation, seq))

    def next_timeout(self) -> int | None:
        """When `tick` has something to do."""
        if self.welcome is None:
            return None
        repeat = self.world.limits.send_repeat_ms
        due = [at + repeat for at in self._reads_at.values()] if self.live.wanted else []
        for lane in self._lanes.values():
            answers = self.live.answers
            due += [
                max(lane.paused_until, at + repeat if at else 0)
                for number, message in enumerate(lane.numbered, lane.base)
                if message.message_id not in answers and (at := lane.sent.get(number, 0)) is not None
            ]
        if self._rewind and not self.dirty:
            due.append(self._rewind_at)
        return min(due, default=None)

    def tick(self) -> None:
        """Time has passed."""
        if self.welcome is not None:
            self.commit() if self.auto else self.ack()
            self.pump()

    # --- answers ---
    def got(self, kind: type[F]) -> list[F]:
        """The frames of a kind that have come, oldest first."""
        return [frame for frame in self.frames if isinstance(frame, kind)]

    def texts(self, peer: bytes) -> list[str]:
        """The conversation with a peer as the screen shows it, from the disk."""
        conversation = direct_conversation(self.user, peer)
        rows = [row for row in self.saved.shown if row.conversation == conversation]
        return [row.payload.decode() for row in sorted(rows, key=lambda row: (row.at, row.sender, row.message_id))]

    def receipt(self, peer: bytes) -> tuple[int, int]:
        """(delivered, read) as last told."""
        return self.saved.receipts.get(direct_conversation(self.user, peer), (0, 0))

    def _on_welcome(self, frame: f.Welcome) -> None:
        self.welcome, live = frame, self.live
        if frame.reset:
            live.seq, live.rev = min(live.seq, frame.head), min(live.rev, frame.head_rev)
        if frame.oldest and frame.oldest - 1 > live.seq:
            live.seq = frame.oldest - 1
            live.gaps += 1
        self._save()
        self._acked = (live.seq, live.rev)
        if self.watched:
            self.post(f.Watch(f.WATCH, 0, self.watched))
        self.pump()

    def _on_deliver(self, frame: f.Deliver) -> None:
        live = self.live
        if not frame.prev <= live.seq < frame.seq:
            self._rewind = True
            return
        live.seq, self._rewind, self.dirty = frame.seq, False, True
        seq = frame.peer_seq or frame.seq
        row = Shown(frame.conversation, frame.sender, frame.message_id, frame.at, frame.payload, seq, frame.device)
        if not live.show(row) and frame.sender != self.user:
            self.world.on_duplicate(self, row)

    def _on_receipt(self, frame: f.Receipt) -> None:
        if self._take_rev(frame.prev_rev, frame.rev):
            old = self.live.receipts.get(frame.conversation, (0, 0))
            self.live.receipts[frame.conversation] = max(old[0], frame.delivered), max(old[1], frame.read)
            self.world.on_receipt(self, frame)

    def _on_read_sync(self, frame: f.ReadSync) -> None:
        if self._take_rev(frame.prev_rev, frame.rev):
            self.live.reads[frame.conversation] = frame.seq
            if self.live.wanted.get(frame.conversation, 0) <= frame.seq:
                self.live.wanted.pop(frame.conversation, None)
                self._reads_at.pop(frame.conversation, None)

    def _take_rev(self, prev: int, rev: int) -> bool:
        if prev <= self.live.rev < rev:
            self.live.rev, self._rewind, self.dirty = rev, False, True
            return True
        self._rewind = True
        return False

    def _on_accepted(self, frame: f.Accepted) -> None:
        message = self._answered(frame)
        if message is not None:
            self._answer(message, Answer(0, frame.seq, frame.at))
            self.live.show(
                Shown(
                    message.conversation, self.user, message.message_id, frame.at, message.payload, frame.seq,
                    self.device,
                )
            )  # fmt: skip

    def _on_rejected(self, frame: f.Rejected) -> None:
        message = self._answered(frame)
        if message is None:
            return
        lane = self._lanes[frame.conversation]
        if frame.retry == f.RETRY_NEW_STREAM:
            self._new_stream(frame.conversation, frame.current_stream)
        elif frame.retry == f.RETRY_GAP:
            for number in [n for n in lane.sent if n >= frame.expected >= self._lowest(lane)]:
                del lane.sent[number]
        elif frame.retry == f.RETRY_AFTER:
            lane.paused_until = self.world.time + frame.retry_after_ms
            lane.sent.clear()
        else:
            self._answer(message, Answer(frame.code, 0, 0))
            if not ERRORS[ErrorCode(frame.code)].outcome:
                self._new_stream(frame.conversation, 0)  # its number is still free
        self.pump()

    def _on_presence(self, frame: f.Presence) -> None:
        self.presence[frame.user] = frame.status, frame.last_seen

    def _answered(self, frame: f.Accepted | f.Rejected) -> Message | None:
        lane = self._lanes.get(frame.conversation)
        if lane is None or frame.stream != lane.stream:
            return None
        position = frame.client_seq - lane.base
        if not 0 <= position < len(lane.numbered):
            return None
        message = lane.numbered[position]
        if message.message_id != frame.message_id or message.message_id in self.live.answers:
            return None
        return message

    def _answer(self, message: Message, answer: Answer) -> None:
        self.live.answers[message.message_id] = answer
        self.live.waiting.remove(message)
        self.dirty = True

    def _save(self) -> None:
        self.saved, self.dirty = self.live.copy(), False
        self.best = max(self.best, self.saved.seq)

    def _lowest(self, lane: Lane) -> int:
        waiting = [n for n, m in enumerate(lane.numbered, lane.base) if m.message_id not in self.live.answers]
        return waiting[0] if waiting else lane.base + len(lane.numbered)

    def _new_stream(self, conversation: bytes, current: int) -> Lane:
        """Open a stream above all known ones. It is on the disk, with the answers so far, before it is used."""
        stream = max(self.live.streams.get(conversation, 0), current) + 1
        self.live.streams[conversation] = stream
        self._save()
        waiting = [message for message in self.live.waiting if message.conversation == conversation]
        lane = self._lanes[conversation] = Lane(stream, waiting)
        return lane


HANDLERS: dict[int, Callable[[Client, Any], None]] = {
    f.DELIVER: Client._on_deliver,
    f.RECEIPT: Client._on_receipt,
    f.READ_SYNC: Client._on_read_sync,
    f.ACCEPTED: Client._on_accepted,
    f.REJECTED: Client._on_rejected,
    f.PRESENCE: Client._on_presence,
}
