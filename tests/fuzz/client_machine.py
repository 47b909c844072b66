"""ClientCore and its profile under any server: frames of every kind with any values, in any order, at any time.

Nothing raises, in the core or in the profile that its commits go to; the cursor that is acked is one that was
committed; no message is shown twice; what is held in memory stays within limits.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.core import ClientCore
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import State
from iris_sdk.ids import direct_conversation
from iris_sdk.store import Reader, Writer
from tests.fuzz.hostile import U64, numbers, texts
from tests.support.sdk_world import new_profile

ME, BOB, EVE = b"A" * 16, b"B" * 16, b"E" * 16
KNOWN = [ME, BOB, EVE]
TALK = direct_conversation(ME, BOB)
NUMBERS32 = numbers.map(lambda number: number & 0xFFFF_FFFF)
ENUMS = st.sampled_from([0, 1, 2, 3, 4, 99, -1, -(1 << 31), (1 << 31) - 1])
BYTES = st.one_of(st.sampled_from([TALK, BOB, ME, b"", b"i" * 16]), st.binary(max_size=40))
IDS = st.one_of(st.sampled_from([bytes(15) + bytes([n]) for n in range(6)]), BYTES)
CODES = st.one_of(st.sampled_from([1010, 1020, 1021, 1022, 1023, 1030, 1040]), NUMBERS32)
BACKLOG_MAX = 200  # writes of one example: no frame makes more than a few


def messages() -> st.SearchStrategy[pb.ServerFrame]:
    """Any frame of a server."""
    welcome = st.builds(
        pb.Welcome, session=BYTES, time=numbers, head=numbers, head_rev=numbers, oldest=numbers, reset=st.booleans(),
        user=st.sampled_from([ME, ME, ME, BOB]), device=st.sampled_from([1, 1, 1, 2]), token_expires_at=numbers,
        features=st.lists(texts, max_size=2),
        limits=st.builds(
            pb.Limits, payload_bytes_max=NUMBERS32, send_window=NUMBERS32, ping_interval_ms=NUMBERS32,
            idle_timeout_ms=NUMBERS32, watches_max=NUMBERS32, send_repeat_ms=NUMBERS32,
        ),
    )  # fmt: skip
    accepted = st.builds(
        pb.Accepted, conversation=BYTES, stream=numbers, client_seq=numbers, message_id=IDS, seq=numbers, at=numbers
    )
    rejected = st.builds(
        pb.Rejected, conversation=BYTES, stream=numbers, client_seq=numbers, message_id=IDS, code=CODES, retry=ENUMS,
        expected=numbers, current_stream=numbers, retry_after_ms=NUMBERS32,
    )  # fmt: skip
    deliver = st.builds(
        pb.Deliver, seq=numbers, prev=numbers, kind=ENUMS, conversation=BYTES, sender=st.sampled_from(KNOWN),
        device=NUMBERS32, message_id=IDS, at=numbers, peer_seq=numbers, payload=st.binary(max_size=30),
        content_type=ENUMS, alg=ENUMS,
    )  # fmt: skip
    receipt = st.builds(pb.Receipt, rev=numbers, prev_rev=numbers, conversation=BYTES, delivered=numbers, read=numbers)
    return st.one_of(
        st.builds(pb.ServerFrame, welcome=welcome),
        st.builds(pb.ServerFrame, accepted=accepted),
        st.builds(pb.ServerFrame, rejected=rejected),
        st.builds(pb.ServerFrame, deliver=deliver),
        st.builds(pb.ServerFrame, receipt=receipt),
        st.builds(
            pb.ServerFrame,
            read_sync=st.builds(pb.ReadSync, rev=numbers, prev_rev=numbers, conversation=BYTES, seq=numbers),
        ),
        st.builds(pb.ServerFrame, presence=st.builds(pb.Presence, user=BYTES, status=ENUMS, last_seen=numbers)),
        st.builds(pb.ServerFrame, typing=st.builds(pb.Typing, conversation=BYTES, sender=BYTES, active=st.booleans())),
        st.builds(pb.ServerFrame, go_away=st.builds(pb.GoAway, within_ms=NUMBERS32)),
        st.builds(pb.ServerFrame, refreshed=st.builds(pb.Refreshed, token_expires_at=numbers)),
        st.builds(
            pb.ServerFrame,
            problem=st.builds(
                pb.Problem, code=CODES, frame=NUMBERS32, retry=ENUMS, retry_after_ms=NUMBERS32, detail=texts
            ),
        ),
        st.just(pb.ServerFrame()),
    )


class ClientMachine(RuleBasedStateMachine):
    """One example is one device's life, over several processes."""

    @initialize()
    def begin(self) -> None:
        """A new profile."""
        self.db = new_profile(ME, 1)
        self.now = 1_000
        self.ids = 0
        self.committed: set[tuple[int, int]] = {(0, 0)}
        self.boot()

    def boot(self) -> None:
        """A process on the profile."""
        self.commit: fx.Commit | None = None
        self.frames_sent = 0
        self.outbox_seen = 0
        self.core = ClientCore(Reader(self.db).load())
        self.sync()
        self.core.start()
        self.drain()

    def sync(self) -> None:
        """The outbox's new rows go to the core."""
        rows = Reader(self.db).outbox_after(self.outbox_seen)
        if rows:
            self.outbox_seen = rows[-1][0]
            self.core.queued([row[1:] for row in rows], self.now)

    def drain(self) -> None:
        """Take the effects."""
        for _ in range(10_000):
            effect = self.core.poll()
            if effect is None:
                return
            if isinstance(effect, fx.Commit):
                assert self.commit is None, "two commits under way"
                self.commit = effect
            elif isinstance(effect, fx.NeedToken):
                self.core.token("t")
            elif isinstance(effect, fx.Connect):
                self.core.opened()
            elif isinstance(effect, fx.SendFrame):
                effect.frame.SerializeToString()
                if effect.frame.HasField("ack"):
                    ack = effect.frame.ack
                    assert (ack.seq, ack.rev) in self.committed, "acked, but not committed"
        raise AssertionError("it goes on for ever")

    @rule(frame=messages())
    def receive(self, frame: pb.ServerFrame) -> None:
        """A frame, as it comes off the wire."""
        self.core.receive(pb.ServerFrame.FromString(frame.SerializeToString()), self.now)
        self.drain()

    @rule(prev=st.integers(0, 3), by=st.integers(0, 3), own=st.booleans(), message_id=IDS, at=numbers)
    def deliver_next(self, prev: int, by: int, own: bool, message_id: bytes, at: int) -> None:
        """A row that fits, or nearly."""
        seq = self.core._inbox.seq.taken
        row = pb.Deliver(
            seq=min(seq + by, U64), prev=max(0, seq - prev), conversation=TALK, sender=BOB, message_id=message_id,
            kind=pb.KIND_OWN_COPY if own else pb.KIND_MESSAGE, at=at, payload=b"x", content_type=pb.CONTENT_TYPE_IRIS,
        )  # fmt: skip
        self.receive(pb.ServerFrame(deliver=row))

    @rule(head=numbers)
    def welcome(self, head: int) -> None:
        """A plain Welcome."""
        self.receive(pb.ServerFrame(welcome=pb.Welcome(user=ME, device=1, head=head, time=self.now)))

    @rule()
    def finish(self) -> None:
        """The commit under way reaches the disk."""
        commit, self.commit = self.commit, None
        if commit is None:
            return
        (result,) = Writer(self.db).transact([lambda w: w.apply(commit.writes)])
        if isinstance(result, Exception):
            raise result
        cursors = [(write.seq, write.rev) for write in commit.writes if isinstance(write, fx.SaveCursor)]
        self.committed.update(cursors)
        self.core.committed(commit.number, self.now)
        self.drain()

    @rule(count=st.integers(1, 3))
    def send(self, count: int) -> None:
        """Messages to bob."""
        payloads: list[tuple[bytes, str | None]] = [(b"x", "x")] * count
        Writer(self.db, self.new_id).transact([lambda w: w.enqueue(TALK, payloads, self.now, 100)])
        self.sync()
        self.drain()

    def new_id(self) -> bytes:
        """The ids that IDS guesses."""
        self.ids += 1
        return self.ids.to_bytes(16, "big")

    @rule(seq=numbers)
    def read(self, seq: int) -> None:
        """The user has read so far."""
        self.core.want_read(TALK, seq % (1 << 53), self.now)
        self.drain()

    @rule(ms=st.sampled_from([1, 1_000, 60_000, 86_400_000]), jitter=st.floats(0, 0.99))
    def tick(self, ms: int, jitter: float) -> None:
        """Time passes."""
        self.now += ms
        self.core.tick(self.now, jitter)
        self.drain()

    @rule(code=st.one_of(st.none(), st.sampled_from([1000, 1006, 1012, 4001, 4002, 4100, 4504]), st.integers(0, 65535)))
    def lose(self, code: int | None) -> None:
        """The connection goes."""
        self.core.lost(code, self.now, 0.5)
        self.drain()

    @rule()
    def kill(self) -> None:
        """The process dies."""
        self.boot()

    @invariant()
    def bounds(self) -> None:
        """What is held, and what is shown."""
        if not hasattr(self, "core"):
            return
        assert self.core.backlog <= BACKLOG_MAX
        due = self.core.next_timeout()
        assert due is None or isinstance(due, int)
        if self.core.state is State.CLOSED:
            self.boot()
        rows = self.db.execute("SELECT sender, message_id, count(*) FROM history GROUP BY 1, 2 HAVING count(*) > 1")
        assert rows.fetchall() == [], "shown twice"
