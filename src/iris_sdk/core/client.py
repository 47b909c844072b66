"""ClientCore: everything a client decides, without I/O, clock or chance.

Inputs are method calls with `now` (ms of any clock that never goes back) and, where a delay is chosen, `jitter` (0 <=
jitter < 1, by chance). Outputs are effects, polled with `poll()` until it gives None after every input;
`next_timeout()` says when `tick()` is due at the latest. The profile's rows come in as `Saved` and `queued()`; what
changes goes out in Commit.

It must not know: sockets, SQLite, payloads, handles, tokens' contents. It keeps: an Ack only for what is committed
here; a message is in its conversation's order, once, however often connections, answers or processes are lost
(core/sending.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import CloseCode, Limits
from iris_sdk.core import effects as fx
from iris_sdk.core.ledger import Ledger
from iris_sdk.core.lifecycle import CONNECTED, IN_SESSION, REFUSED, TABLE, Input, State, reconnect_after
from iris_sdk.core.numbers import is_sound, sooner
from iris_sdk.core.outbox import RETRY_MS, Outbox
from iris_sdk.core.receiving import Inbox
from iris_sdk.core.signals import ReadRequests, TypingTable

QUIET_MS: Final = 1000  # so long without a row after Welcome, and catching up is over even below `head`
EXPIRE_SCAN_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
BACKOFF_DOUBLINGS_MAX: Final = 20
REPLACED_AGAIN_MS: Final = 60_000  # replaced twice within so long: there is another copy of this device


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """What the profile holds about a conversation."""

    conversation: bytes
    stream: int = 1
    base: int = 1  # the number of the first row of its outbox
    last_at: int = 0
    read_wanted: int = 0  # above the confirmed read position: ask the server
    read: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """What the profile holds when a core starts."""

    user: bytes
    device: int
    seq: int = 0
    rev: int = 0
    conversations: tuple[SavedConversation, ...] = ()


class ClientCore:
    """One device. See the module's text for how to drive it."""

    def __init__(self, saved: Saved, *, limits: Limits | None = None, client: str = "") -> None:
        self.state = State.OFFLINE
        self.closed_reason = ""
        self.limits = limits or Limits()
        self.payload_bytes_max = self.limits.payload_bytes_max
        self._user, self._device, self._client = saved.user, saved.device, client
        self._watches_max = self.limits.watches_max
        self._effects: deque[fx.Effect] = deque()
        self._ledger = Ledger(saved.seq, saved.rev)
        self._inbox = Inbox(saved.seq, saved.rev)
        self._outbox = Outbox(
            self._effects,
            self._ledger,
            sends_per_second=self.limits.sends_per_second_max,
            window=self.limits.send_window,
            repeat_ms=self.limits.send_repeat_ms,
        )
        self._reads = ReadRequests()
        self._typing = TypingTable(self.limits.typing_ms)
        self._watched: tuple[bytes, ...] = ()
        self._token = ""
        self._token_fresh = False  # the next one must be new
        self._asking_token = False
        self._tried_fresh_token = False  # since the last Welcome
        self._replaced_at: int | None = None
        self._refresh_at: int | None = None
        self._attempts = 0
        self._retry_at: int | None = None
        self._go_away_ms: int | None = None
        self._welcome_at = 0
        self._server_ahead_ms = 0  # server clock minus ours
        self._head = self._head_rev = 0
        self._quiet_at = 0
        self._expire_at: int | None = None
        self._hello_due = False
        self._watch_at: int | None = None
        for saved_one in saved.conversations:
            self._outbox.restore(saved_one.conversation, saved_one.stream, saved_one.base, saved_one.last_at)
            if saved_one.read_wanted > saved_one.read:
                self._reads.want(saved_one.conversation, saved_one.read_wanted)

    # --- inputs from the application ---

    def start(self) -> None:
        """Connect, and stay connected."""
        if self.state in (State.OFFLINE, State.WAITING):
            self._retry_at = None
            self._attempts = 0
            self._ask_token(Input.START)

    def stop(self) -> None:
        """Close the connection and stay offline. Commits still have to be confirmed."""
        if self.state in CONNECTED:
            self._effects.append(fx.CloseConnection(CloseCode.NORMAL))
        self._session_over()
        self._retry_at = None
        self._enter(Input.STOP)

    def queued(self, messages: Iterable[tuple[bytes, bytes, bool]], now: int) -> None:
        """(conversation, message_id, answered) of new rows of the outbox, in its order; they are durable.

        Every row comes once, at the start those that are there.
        """
        self._outbox.add(messages)
        self._outbox.pump(now)

    def want_read(self, conversation: bytes, seq: int, now: int) -> None:
        """Tell the server that the user has read up to `seq`, again until it shows; the wish is durable."""
        if self._reads.want(conversation, seq):
            self._pump_reads(now)

    def set_typing(self, conversation: bytes, active: bool) -> None:
        """Ephemeral: dropped when there is no session."""
        if self.state in IN_SESSION:
            self._frame(pb.ClientFrame(typing=pb.SetTyping(conversation=conversation, active=active)))

    def watch(self, users: Iterable[bytes]) -> None:
        """The users whose presence is on screen; replaces the earlier set and is kept over reconnects.

        Raises ValueError above the server's `watches_max`.
        """
        watched = tuple(dict.fromkeys(users))
        if len(watched) > self._watches_max:
            raise ValueError(f"more than {self._watches_max} watched users")
        self._watched = watched
        if self.state in IN_SESSION:
            self._frame(pb.ClientFrame(watch=pb.Watch(users=watched)))

    # --- inputs from the shell ---

    def token(self, token: str) -> None:
        """The access token that NeedToken asked for."""
        self._asking_token = False
        self._token, self._token_fresh = token, False
        if self.state is State.AUTHORISING:
            self._enter(Input.TOKEN)
            self._effects.append(fx.Connect(self._hello() if self._settled else None))
        elif self.state in IN_SESSION:
            self._enter(Input.TOKEN)
            self._frame(pb.ClientFrame(refresh=pb.Refresh(token=token)))

    def token_unavailable(self, now: int, jitter: float) -> None:
        """No token just now (the API cannot be reached or is busy)."""
        self._asking_token = False
        if self.state is State.AUTHORISING:
            self._wait(now, jitter, "")
        elif self.state in IN_SESSION:
            self._refresh_at = now + RETRY_MS + int(jitter * self.limits.reconnect_max_ms)

    def logged_out(self) -> None:
        """The API gives this device no token any more."""
        self._asking_token = False
        if self.state in IN_SESSION:
            self._effects.append(fx.CloseConnection(CloseCode.NORMAL))
            self._session_over()
        if Input.LOGGED_OUT not in REFUSED[self.state]:
            self._enter(Input.LOGGED_OUT, CloseCode.TOKEN_REVOKED.name)

    def opened(self, greeted: bool = False) -> None:
        """The WebSocket is open. `greeted`: the server has taken the Hello of Connect."""
        if self.state is not State.CONNECTING:
            return
        self._enter(Input.OPENED)
        self._hello_due = not greeted
        self._maybe_hello()

    def lost(self, code: int | None, now: int, jitter: float) -> None:
        """The connection could not be opened, or is gone; `code` is its close code, None when there was none."""
        if self.state not in CONNECTED:
            return
        reconnect, reason = reconnect_after(code)
        steady = reconnect == "yes" or now - self._welcome_at >= self.limits.reconnect_max_ms
        if self.state in IN_SESSION and steady:
            self._attempts = 0
        self._session_over()
        if code in (CloseCode.TOKEN_REVOKED, CloseCode.TOKEN_INVALID) and not self._tried_fresh_token:
            # Perhaps only the old tokens (revoked, of a key or clock that was wrong): a fresh one tells.
            self._tried_fresh_token = True
            reconnect = "after_refresh"
        if code == CloseCode.REPLACED:  # perhaps by a connection of our own, given up and arrived late
            again = self._replaced_at is not None and now - self._replaced_at < REPLACED_AGAIN_MS
            self._replaced_at = now
            reconnect = "no" if again else "backoff"
        if reconnect == "no":
            self._enter(Input.LOST_FOR_GOOD, reason)
            return
        if reconnect == "after_refresh":
            self._token_fresh = True
        self._wait(now, jitter, reason)

    def committed(self, number: int, now: int) -> None:
        """The Commit of this number is on the disk."""
        batch = self._ledger.committed(number)
        self._inbox.committed(*batch.cursor)
        self._outbox.committed(batch)
        self._maybe_hello()
        self._ack(now)
        self._caught_up(now)
        self._outbox.pump(now)

    def receive(self, frame: pb.ServerFrame, now: int) -> None:
        """A frame from the server. Unknown frames are ignored, and those whose numbers nobody can mean."""
        if not is_sound(frame):
            return
        if self.state is State.GREETING:
            if frame.WhichOneof("body") == "welcome" and not self._hello_due:
                self._welcome(frame.welcome, now)
            return
        if self.state in IN_SESSION:
            try:
                handler = _HANDLERS[frame.WhichOneof("body") or ""]
            except KeyError:
                return
            handler(self, frame, now)

    def tick(self, now: int, jitter: float) -> None:
        """Time has passed."""
        if self._retry_at is not None and now >= self._retry_at and self.state is State.WAITING:
            self._retry_at = None
            self._ask_token(Input.RETRY_DUE)
        for conversation, sender in self._typing.expired(now):
            self._effects.append(fx.TypingSeen(conversation, sender, False))
        if self.state not in IN_SESSION:
            return
        if self._refresh_at is not None and now >= self._refresh_at and not self._asking_token:
            self._refresh_at = None
            self._asking_token = True
            self._effects.append(fx.NeedToken(True))
        if self._expire_at is not None and now >= self._expire_at:
            self._expire_at = now + EXPIRE_SCAN_MS
            server_now = now + self._server_ahead_ms
            self._ledger.write(fx.Expire(server_now - self.limits.message_days * DAY_MS))
        if self._watch_at is not None and now >= self._watch_at:
            self._watch_at = None
            self._frame(pb.ClientFrame(watch=pb.Watch(users=self._watched)))
        self._ack(now)
        self._caught_up(now)
        self._outbox.tick(now)
        self._pump_reads(now)

    # --- outputs ---

    def poll(self) -> fx.Effect | None:
        """The next effect; None when there is none.

        A Commit comes last, so that it holds all that has been received.
        """
        if self._effects:
            return self._effects.popleft()
        return self._ledger.commit(self._inbox.seq.taken, self._inbox.rev.taken)

    @property
    def backlog(self) -> int:
        """Writes that wait for the next Commit; a shell stops reading when it is long."""
        return self._ledger.backlog

    @property
    def unanswered(self) -> int:
        """Conversations with messages that are not answered."""
        return self._outbox.unanswered

    def next_timeout(self) -> int | None:
        """When `tick` is due, ms; None: not before another input."""
        due = sooner(self._retry_at, self._typing.next_timeout())
        if self.state in IN_SESSION:
            due = sooner(due, self._refresh_at)
            due = sooner(due, self._expire_at)
            due = sooner(due, self._watch_at)
            due = sooner(due, self._inbox.timeout())
            due = sooner(due, self._reads.next_timeout(self._outbox.repeat_ms))
            due = sooner(due, self._outbox.next_timeout())
            if self.state is State.CATCHING_UP and self._inbox.settled:  # else the end of the commit looks
                due = sooner(due, self._quiet_at)
        return due

    # --- connection ---

    def _enter(self, what: Input, reason: str = "") -> None:
        state = TABLE[self.state, what]
        if state is not self.state:
            self.state = state
            if state is State.CLOSED:
                self.closed_reason = reason
            self._effects.append(fx.StateEntered(state, reason))

    def _ask_token(self, what: Input) -> None:
        self._enter(what)
        if not self._asking_token:
            self._asking_token = True
            self._effects.append(fx.NeedToken(self._token_fresh))

    def _wait(self, now: int, jitter: float, reason: str) -> None:
        doublings = min(self._attempts, BACKOFF_DOUBLINGS_MAX)
        ceiling = min(self.limits.reconnect_max_ms, self.limits.reconnect_first_ms << doublings)
        if self._go_away_ms is not None:
            ceiling, self._go_away_ms = self._go_away_ms, None
        self._attempts += 1
        self._retry_at = now + int(ceiling * jitter)
        self._enter(Input.LOST, reason)

    def _maybe_hello(self) -> None:
        """Hello names what is durable; an Ack above it would be unknown to the new session.

        So it waits for the commit.
        """
        if self.state is State.GREETING and self._hello_due and self._settled:
            self._hello_due = False
            self._frame(self._hello())

    @property
    def _settled(self) -> bool:
        """Whether everything taken is durable. While there is no session nothing more is taken, so it stays true."""
        return not self._ledger.busy and self._inbox.settled

    def _hello(self) -> pb.ClientFrame:
        seq, rev = self._inbox.hello()
        cursor = pb.Cursor(seq=seq, rev=rev)
        return pb.ClientFrame(hello=pb.Hello(token=self._token, cursor=cursor, client=self._client))

    def _welcome(self, welcome: pb.Welcome, now: int) -> None:
        if welcome.user != self._user or welcome.device != self._device:
            self._effects.append(fx.CloseConnection(CloseCode.NORMAL))
            self._session_over()
            self._enter(Input.LOST_FOR_GOOD, CloseCode.TOKEN_INVALID.name)
            return
        self._enter(Input.WELCOME)
        told = welcome.limits
        self.payload_bytes_max = told.payload_bytes_max or self.limits.payload_bytes_max
        self._outbox.repeat_ms = told.send_repeat_ms or self.limits.send_repeat_ms
        self._watches_max = told.watches_max or self.limits.watches_max
        if told.send_window:
            self._outbox.window = min(told.send_window, self.limits.send_window)
        self._welcome_at = now
        self._server_ahead_ms = welcome.time - now
        self._head, self._head_rev = welcome.head, welcome.head_rev
        self._quiet_at = now + QUIET_MS
        self._token_ends(welcome.token_expires_at, now)
        seq, rev = self._inbox.seq.taken, self._inbox.rev.taken
        if welcome.reset:  # only what is above: the other one is known there, and jumping ahead would skip rows
            seq, rev = min(seq, welcome.head), min(rev, welcome.head_rev)
        if welcome.oldest:
            seq = max(seq, welcome.oldest - 1)
            self._ledger.write(fx.SaveGap(welcome.time))
        self._inbox.jump(seq, rev)
        self._tried_fresh_token = False
        if self._watched:
            self._frame(pb.ClientFrame(watch=pb.Watch(users=self._watched[: self._watches_max])))
        self._outbox.session_began()
        self._reads.reconnected()
        self._caught_up(now)
        self._outbox.pump(now)
        self._pump_reads(now)

    def _token_ends(self, expires_at: int, now: int) -> None:
        """Refresh when three quarters of the token's time are over."""
        left_ms = expires_at - self._server_ahead_ms - now
        self._refresh_at = now + max(RETRY_MS, left_ms * 3 // 4) if expires_at else None

    def _session_over(self) -> None:
        self._hello_due = False
        self._refresh_at = self._expire_at = self._watch_at = None
        self._outbox.session_over()
        for conversation, sender in self._typing.clear():
            self._effects.append(fx.TypingSeen(conversation, sender, False))

    def _caught_up(self, now: int) -> None:
        if self.state is not State.CATCHING_UP or not self._inbox.settled:
            return
        complete = self._inbox.seq.taken >= self._head and self._inbox.rev.taken >= self._head_rev
        if complete or now >= self._quiet_at:
            self._enter(Input.CAUGHT_UP)
            if complete:
                self._expire_at = now

    def _frame(self, frame: pb.ClientFrame) -> None:
        self._effects.append(fx.SendFrame(frame))

    # --- receiving ---

    def _ack(self, now: int) -> None:
        if self.state in IN_SESSION:
            position = self._inbox.ack(now)
            if position is not None:
                self._frame(pb.ClientFrame(ack=pb.Ack(seq=position[0], rev=position[1])))

    def _took(self, taken: bool, now: int) -> bool:
        self._quiet_at = now + QUIET_MS
        if taken:
            self._inbox.bridged()
        else:
            self._inbox.dropped()
            self._ack(now)
        return taken

    def _on_deliver(self, frame: pb.ServerFrame, now: int) -> None:
        row = frame.deliver
        if not self._took(self._inbox.seq.take(row.prev, row.seq), now):
            return
        if row.kind not in (pb.KIND_MESSAGE, pb.KIND_OWN_COPY):
            return  # of a later version: nothing that this one could show
        self._outbox.seen(row.conversation, row.at)
        own = row.kind == pb.KIND_OWN_COPY
        if not own and self._typing.stopped(row.conversation, row.sender):
            self._effects.append(fx.TypingSeen(row.conversation, row.sender, False))
        saved = fx.SaveMessage(
            own, row.conversation, row.sender, row.device, row.message_id, row.seq, row.peer_seq, row.at, row.payload,
            int(row.content_type), int(row.alg),
        )  # fmt: skip
        self._ledger.write(saved)

    def _on_receipt(self, frame: pb.ServerFrame, now: int) -> None:
        receipt = frame.receipt
        if self._took(self._inbox.rev.take(receipt.prev_rev, receipt.rev), now):
            self._ledger.write(fx.SaveReceipt(receipt.conversation, receipt.delivered, receipt.read))

    def _on_read_sync(self, frame: pb.ServerFrame, now: int) -> None:
        sync = frame.read_sync
        if self._took(self._inbox.rev.take(sync.prev_rev, sync.rev), now):
            self._ledger.write(fx.SaveRead(sync.conversation, sync.seq))
            self._reads.shown(sync.conversation, sync.seq)
            self._pump_reads(now)

    def _on_presence(self, frame: pb.ServerFrame, now: int) -> None:
        seen = frame.presence
        self._effects.append(fx.PresenceSeen(seen.user, int(seen.status), seen.last_seen))

    def _on_typing(self, frame: pb.ServerFrame, now: int) -> None:
        typing = frame.typing
        if self._typing.seen(typing.conversation, typing.sender, typing.active, now):
            self._effects.append(fx.TypingSeen(typing.conversation, typing.sender, typing.active))

    def _on_go_away(self, frame: pb.ServerFrame, now: int) -> None:
        self._go_away_ms = frame.go_away.within_ms

    def _on_refreshed(self, frame: pb.ServerFrame, now: int) -> None:
        self._token_ends(frame.refreshed.token_expires_at, now)

    def _on_problem(self, frame: pb.ServerFrame, now: int) -> None:
        problem = frame.problem
        wait_ms = problem.retry_after_ms or RETRY_MS
        if problem.frame == pb.ClientFrame.READ_FIELD_NUMBER:
            if problem.retry == pb.RETRY_AFTER:
                self._reads.pause(now, wait_ms)
            else:
                for conversation in self._reads.refused():
                    self._ledger.write(fx.DropReadWanted(conversation))
        elif problem.frame == pb.ClientFrame.REFRESH_FIELD_NUMBER:
            self._refresh_at = now + wait_ms
        elif problem.frame == pb.ClientFrame.WATCH_FIELD_NUMBER and problem.retry == pb.RETRY_AFTER:
            self._watch_at = now + wait_ms

    # --- sending ---

    def _on_accepted(self, frame: pb.ServerFrame, now: int) -> None:
        self._outbox.on_accepted(frame.accepted)

    def _on_rejected(self, frame: pb.ServerFrame, now: int) -> None:
        self._outbox.on_rejected(frame.rejected, now)

    def _pump_reads(self, now: int) -> None:
        if self.state in IN_SESSION:
            for conversation, seq in self._reads.due(now, self._outbox.repeat_ms):
                self._frame(pb.ClientFrame(read=pb.Read(conversation=conversation, seq=seq)))


_HANDLERS: dict[str, Callable[[ClientCore, pb.ServerFrame, int], None]] = {
    "accepted": ClientCore._on_accepted,
    "rejected": ClientCore._on_rejected,
    "deliver": ClientCore._on_deliver,
    "receipt": ClientCore._on_receipt,
    "read_sync": ClientCore._on_read_sync,
    "presence": ClientCore._on_presence,
    "typing": ClientCore._on_typing,
    "go_away": ClientCore._on_go_away,
    "refreshed": ClientCore._on_refreshed,
    "problem": ClientCore._on_problem,
}
