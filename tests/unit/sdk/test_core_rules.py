"""Single rules of ClientCore, each by hand: table, Welcome's corner cases, refusals, pauses, tokens, typing, reads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import CLOSES, CloseCode, Limits
from iris_sdk.core import ClientCore, Saved, SavedConversation
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import REFUSED, TABLE, Input, State
from iris_sdk.ids import direct_conversation

ME, BOB = b"A" * 16, b"B" * 16
TALK = direct_conversation(ME, BOB)
HOUR = 3_600_000


class Bench:
    """A core with its effects in a list; commits are done at once unless `held`."""

    def __init__(self, *, seq: int = 0, rev: int = 0, conversations: tuple[SavedConversation, ...] = ()) -> None:
        self.core = ClientCore(Saved(ME, 1, seq, rev, conversations), limits=Limits())
        self.now = 1000
        self.log: list[fx.Effect] = []
        self.writes: list[fx.Write] = []
        self.held = False
        self.commit: fx.Commit | None = None

    def do(self, call: Callable[[], object]) -> list[fx.Effect]:
        """Run an input and return the effects that it had."""
        call()
        start = len(self.log)
        while (effect := self.core.poll()) is not None:
            self.log.append(effect)
            if isinstance(effect, fx.Commit):
                self.commit = effect
                self.writes += effect.writes
                if not self.held:
                    self.finish()
        return self.log[start:]

    def finish(self) -> None:
        commit, self.commit = self.commit, None
        assert commit is not None
        self.core.committed(commit.number, self.now)

    def live(self, **welcome: object) -> list[fx.Effect]:
        self.do(self.core.start)
        self.do(lambda: self.core.token("t"))
        self.do(self.core.opened)
        fields = {"user": ME, "device": 1, "time": self.now, "token_expires_at": self.now + HOUR} | welcome
        return self.receive(welcome=pb.Welcome(**fields))  # type: ignore[arg-type]

    def receive(self, **body: object) -> list[fx.Effect]:
        return self.do(lambda: self.core.receive(pb.ServerFrame(**body), self.now))  # type: ignore[arg-type]

    def queue(self, *ids: bytes) -> list[fx.Effect]:
        return self.do(lambda: self.core.queued([(TALK, i, False) for i in ids], self.now))

    def tick(self, ms: int) -> list[fx.Effect]:
        self.now += ms
        return self.do(lambda: self.core.tick(self.now, 0.5))

    def accept(self, number: int, message_id: bytes, stream: int = 1) -> list[fx.Effect]:
        return self.receive(
            accepted=pb.Accepted(
                conversation=TALK, stream=stream, client_seq=number, message_id=message_id, seq=number, at=5000 + number
            )
        )

    def reject(self, number: int, message_id: bytes, *, stream: int = 1, **more: int) -> list[fx.Effect]:
        answer = pb.Rejected(conversation=TALK, stream=stream, client_seq=number, message_id=message_id)
        for name, value in more.items():
            setattr(answer, name, value)
        return self.receive(rejected=answer)


def sends(effects: list[fx.Effect]) -> list[tuple[int, int, bytes]]:
    return [(e.stream, e.client_seq, e.message_id) for e in effects if isinstance(e, fx.SendMessage)]


def frames(effects: list[fx.Effect], body: str) -> list[object]:
    found = [e.frame for e in effects if isinstance(e, fx.SendFrame) and e.frame.WhichOneof("body") == body]
    return [getattr(frame, body) for frame in found]


def ids(count: int) -> list[bytes]:
    return [bytes([n]) * 16 for n in range(1, count + 1)]


def deliver(seq: int, prev: int) -> pb.Deliver:
    return pb.Deliver(
        seq=seq, prev=prev, kind=pb.KIND_MESSAGE, conversation=TALK, sender=BOB, message_id=bytes([seq]) * 16, at=seq
    )


def test_every_pair_of_state_and_input_is_decided_once() -> None:
    refused = {(state, what) for state, inputs in REFUSED.items() for what in inputs}
    assert TABLE.keys() | refused == set(product(State, Input))
    assert TABLE.keys().isdisjoint(refused)


def test_a_repeat_comes_after_its_time_on_the_same_connection_and_at_once_on_the_next() -> None:
    bench = Bench()
    bench.live()
    a, b = ids(2)
    assert sends(bench.queue(a, b)) == [(1, 1, a), (1, 2, b)]
    assert sends(bench.tick(5_000)) == []
    assert sends(bench.tick(6_000)) == [(1, 1, a), (1, 2, b)]
    bench.do(lambda: bench.core.lost(None, bench.now, 0.0))
    bench.tick(1)
    bench.do(lambda: bench.core.token("t"))
    bench.do(bench.core.opened)
    again = bench.receive(welcome=pb.Welcome(user=ME, device=1, time=bench.now))
    assert sends(again) == [(1, 1, a), (1, 2, b)]


def test_the_window_counts_numbers_and_moves_only_when_the_answer_is_durable() -> None:
    bench = Bench()
    bench.live()
    all_ids = ids(40)
    assert len(sends(bench.queue(*all_ids))) == 32
    assert sends(bench.accept(2, all_ids[1])) == []  # the lowest one is unanswered: the window stays
    bench.held = True
    assert sends(bench.accept(1, all_ids[0])) == []
    bench.held = False
    assert sends(bench.do(bench.finish)) == [(1, 33, all_ids[32]), (1, 34, all_ids[33])]


def test_a_restart_keeps_the_numbers() -> None:
    bench = Bench(conversations=(SavedConversation(TALK, stream=4, base=7, last_at=99),))
    a, b, c = ids(3)
    bench.core.queued([(TALK, a, False), (TALK, b, True), (TALK, c, False)], bench.now)
    assert sends(bench.live()) == [(4, 7, a), (4, 9, c)]
    assert [e.after for e in bench.log if isinstance(e, fx.SendMessage)] == [99, 99]


def test_a_stale_stream_is_left_for_a_higher_one_with_the_same_ids_in_order() -> None:
    bench = Bench()
    bench.live()
    a, b, c = ids(3)
    bench.queue(a, b, c)
    bench.accept(1, a)
    assert sends(bench.reject(2, b, code=1001, retry=pb.RETRY_NEW_STREAM, current_stream=8)) == [(9, 1, b), (9, 2, c)]
    assert fx.SaveStream(TALK, 9) in bench.writes
    assert bench.accept(3, c, stream=1) == []  # an answer for an older stream


def test_nothing_goes_out_on_a_new_stream_before_it_is_durable() -> None:
    bench = Bench()
    bench.live()
    (a,) = ids(1)
    bench.queue(a)
    bench.held = True
    assert sends(bench.reject(1, a, code=1001, retry=pb.RETRY_NEW_STREAM, current_stream=1)) == []
    assert sends(bench.tick(20_000)) == []
    bench.held = False
    assert sends(bench.do(bench.finish)) == [(2, 1, a)]


def test_a_gap_is_filled_once_and_ignored_below_the_lowest_unanswered() -> None:
    bench = Bench()
    bench.live()
    a, b, c = ids(3)
    bench.queue(a, b, c)
    gap = {"code": 1002, "retry": int(pb.RETRY_GAP), "expected": 2}
    bench.accept(1, a)
    assert sends(bench.reject(3, c, **gap)) == [(1, 2, b), (1, 3, c)]
    assert sends(bench.reject(3, c, **gap)) == []  # of the same loss
    bench.tick(1500)
    assert sends(bench.reject(3, c, **(gap | {"expected": 1}))) == []


def test_a_passing_refusal_waits_as_long_as_the_server_says() -> None:
    bench = Bench()
    bench.live()
    a, b = ids(2)
    bench.queue(a, b)
    bench.reject(1, a, code=1004, retry=pb.RETRY_AFTER, retry_after_ms=3000)
    due = bench.core.next_timeout()
    assert due is not None
    assert due <= bench.now + 3000
    assert sends(bench.tick(2999)) == []
    assert sends(bench.tick(1)) == [(1, 1, a), (1, 2, b)]


def test_a_refusal_that_spends_no_number_ends_the_stream() -> None:
    bench = Bench()
    bench.live()
    a, b = ids(2)
    bench.queue(a, b)
    bench.reject(1, a, code=1007, retry=pb.RETRY_NEVER)
    assert fx.SaveAnswer(a, TALK, 0, 0, 1007) in bench.writes
    assert sends(bench.reject(2, b, code=1002, retry=pb.RETRY_GAP, expected=1)) == [(2, 1, b)]


def test_sends_keep_to_the_allowance_after_a_long_time_offline() -> None:
    bench = Bench()
    talks = [direct_conversation(ME, bytes([n]) * 16) for n in range(100)]
    for talk in talks:
        rows = [(talk, talk[:1] + bytes([n]) * 15, False) for n in range(32)]
        bench.core.queued(rows, bench.now)
    first = len(sends(bench.live()))
    assert first <= Limits().sends_per_second_max
    assert len(sends(bench.tick(1000))) <= Limits().sends_per_second_max


def test_rows_are_taken_in_their_chain_only_and_a_loss_asks_for_a_rewind() -> None:
    bench = Bench()
    bench.live(head=9)
    assert frames(bench.receive(deliver=deliver(1, 0)), "ack") == [pb.Ack(seq=1)]
    assert frames(bench.receive(deliver=deliver(3, 2)), "ack") == [pb.Ack(seq=1)]  # 2 was lost: the same Ack again
    assert frames(bench.receive(deliver=deliver(4, 3)), "ack") == []  # at most once a second
    assert frames(bench.tick(1000), "ack") == [pb.Ack(seq=1)]
    assert frames(bench.receive(deliver=deliver(3, 1)), "ack") == [pb.Ack(seq=3)]  # 2 is no longer kept
    assert [w.seq for w in bench.writes if isinstance(w, fx.SaveMessage)] == [1, 3]


def test_an_ack_waits_for_the_commit_and_so_does_the_next_hello() -> None:
    bench = Bench()
    bench.live(head=9)
    bench.held = True
    assert frames(bench.receive(deliver=deliver(1, 0)), "ack") == []
    bench.do(lambda: bench.core.lost(None, bench.now, 0.0))
    bench.tick(1)
    bench.do(lambda: bench.core.token("t"))
    assert frames(bench.do(bench.core.opened), "hello") == []
    bench.held = False
    (hello,) = frames(bench.do(bench.finish), "hello")
    assert isinstance(hello, pb.Hello)
    assert hello.cursor == pb.Cursor(seq=1)


def test_a_long_commit_while_catching_up_makes_no_busy_loop() -> None:
    bench = Bench()
    bench.live(head=30, head_rev=1)
    bench.held = True
    bench.receive(deliver=deliver(10, 0))
    bench.tick(2000)  # longer than a client waits for more; the commit is still under way
    due = bench.core.next_timeout()
    assert due is None or due > bench.now
    bench.finish()
    bench.tick(0)
    assert bench.core.state is State.LIVE


def test_a_restored_server_sets_the_cursor_and_a_cut_one_is_told_as_a_gap() -> None:
    bench = Bench(seq=50, rev=20)
    bench.live(reset=True, head=30, head_rev=5)
    assert fx.SaveCursor(30, 5) in bench.writes
    ahead = Bench(seq=10, rev=20)  # only the registers are ahead: rows 11 to 30 are still to come
    ahead.live(reset=True, head=30, head_rev=5)
    assert fx.SaveCursor(10, 5) in ahead.writes
    both = Bench(seq=10, rev=20)
    both.live(reset=True, head=300, head_rev=5, oldest=100)
    assert fx.SaveCursor(99, 5) in both.writes
    other = Bench(seq=10)
    other.live(oldest=100, head=200)
    assert fx.SaveCursor(99, 0) in other.writes
    assert any(isinstance(write, fx.SaveGap) for write in other.writes)


def test_expiry_is_concluded_only_with_everything_received() -> None:
    bench = Bench()
    bench.live(head=1, time=40 * 86_400_000)
    bench.tick(5_000)
    assert not any(isinstance(w, fx.Expire) for w in bench.writes)  # live by silence, not by having all
    other = Bench()
    other.live(time=40 * 86_400_000)
    other.tick(0)
    assert [w.before_at for w in other.writes if isinstance(w, fx.Expire)] == [10 * 86_400_000]


def test_a_read_is_repeated_until_the_register_shows_it() -> None:
    bench = Bench()
    bench.live()
    read = pb.Read(conversation=TALK, seq=5)
    assert frames(bench.do(lambda: bench.core.want_read(TALK, 5, bench.now)), "read") == [read]
    assert frames(bench.tick(10_000), "read") == [read]
    bench.receive(read_sync=pb.ReadSync(rev=1, conversation=TALK, seq=5))
    assert frames(bench.tick(20_000), "read") == []


def test_a_read_that_the_register_has_shown_already_is_not_asked_for() -> None:
    """The application wished it before it was stored that another device had read as far."""
    bench = Bench()
    bench.live()
    bench.receive(read_sync=pb.ReadSync(rev=1, conversation=TALK, seq=5))
    assert frames(bench.do(lambda: bench.core.want_read(TALK, 5, bench.now)), "read") == []
    assert frames(bench.tick(20_000), "read") == []
    further = pb.Read(conversation=TALK, seq=6)
    assert frames(bench.do(lambda: bench.core.want_read(TALK, 6, bench.now)), "read") == [further]


def test_the_token_is_refreshed_in_time_on_the_living_connection() -> None:
    bench = Bench()
    bench.live()
    assert fx.NeedToken(True) in bench.tick(HOUR * 3 // 4)
    assert frames(bench.do(lambda: bench.core.token("new")), "refresh") == [pb.Refresh(token="new")]
    bench.receive(refreshed=pb.Refreshed(token_expires_at=bench.now + HOUR))
    due = bench.core.next_timeout()
    assert due is not None
    assert due > bench.now


def test_typing_ends_by_itself() -> None:
    bench = Bench()
    bench.live()
    assert fx.TypingSeen(TALK, BOB, True) in bench.receive(typing=pb.Typing(conversation=TALK, sender=BOB, active=True))
    assert bench.receive(typing=pb.Typing(conversation=TALK, sender=BOB, active=True)) == []
    assert fx.TypingSeen(TALK, BOB, False) in bench.tick(Limits().typing_ms)


@pytest.mark.parametrize("code", list(CloseCode))
def test_every_close_code_is_followed_as_the_catalogue_says(code: CloseCode) -> None:
    bench = Bench()
    bench.live()
    bench.do(lambda: bench.core.lost(code, bench.now, 0.5))
    first = {  # for good the second time
        CloseCode.TOKEN_REVOKED: "after_refresh",
        CloseCode.TOKEN_INVALID: "after_refresh",
        CloseCode.REPLACED: "backoff",
    }
    asked = first.get(code, CLOSES[code].reconnect)
    assert bench.core.state is (State.CLOSED if asked == "no" else State.WAITING)
    if asked != "no":
        assert fx.NeedToken(asked == "after_refresh") in bench.tick(Limits().reconnect_max_ms)
    else:
        assert bench.core.closed_reason == code.name


@pytest.mark.parametrize("code", [CloseCode.TOKEN_REVOKED, CloseCode.TOKEN_INVALID])
def test_a_void_token_is_worth_one_refresh(code: CloseCode) -> None:
    bench = Bench()
    bench.live()
    bench.do(lambda: bench.core.lost(code, bench.now, 0.0))
    assert fx.NeedToken(True) in bench.tick(1)
    bench.do(lambda: bench.core.token("new"))
    bench.do(bench.core.opened)
    bench.do(lambda: bench.core.lost(code, bench.now, 0.0))
    assert (bench.core.state, bench.core.closed_reason) == (State.CLOSED, code.name)
    other = Bench()
    other.live()
    other.do(lambda: other.core.lost(CloseCode.TOKEN_REVOKED, other.now, 0.0))
    other.tick(1)
    other.do(other.core.logged_out)
    assert (other.core.state, other.core.closed_reason) == (State.CLOSED, "TOKEN_REVOKED")


def test_replaced_once_may_be_by_itself_twice_is_by_another_copy() -> None:
    bench = Bench()
    bench.live()
    bench.do(lambda: bench.core.lost(CloseCode.REPLACED, bench.now, 0.5))
    assert fx.NeedToken(False) in bench.tick(Limits().reconnect_max_ms)
    bench.do(lambda: bench.core.token("t"))
    bench.do(bench.core.opened)
    bench.receive(welcome=pb.Welcome(user=ME, device=1, time=bench.now, token_expires_at=bench.now + HOUR))
    later = bench.now + 60_000
    bench.do(lambda: bench.core.lost(CloseCode.REPLACED, later, 0.5))
    assert bench.core.state is State.WAITING, "long ago: another accident"
    bench.do(lambda: bench.core.tick(later + Limits().reconnect_max_ms, 0.5))
    bench.do(lambda: bench.core.token("t"))
    bench.do(bench.core.opened)
    bench.do(lambda: bench.core.lost(CloseCode.REPLACED, later + 59_999, 0.5))
    assert (bench.core.state, bench.core.closed_reason) == (State.CLOSED, "REPLACED")


def test_the_delay_doubles_with_full_jitter_and_has_a_ceiling() -> None:
    bench = Bench()
    bench.do(bench.core.start)
    delays = []
    for _ in range(10):
        bench.do(lambda: bench.core.token("t"))
        bench.do(lambda: bench.core.lost(None, bench.now, 0.5))
        due = bench.core.next_timeout()
        assert due is not None
        delays.append(due - bench.now)
        bench.tick(delays[-1])
    assert delays == [125, 250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]


def test_unknown_frames_kinds_and_codes_harm_nothing() -> None:
    bench = Bench()
    bench.live(head=5)
    assert bench.do(lambda: bench.core.receive(pb.ServerFrame.FromString(b"\x9a\x06\x00"), bench.now)) == []
    row = deliver(1, 0)
    row.kind = 77  # type: ignore[assignment]
    assert frames(bench.receive(deliver=row), "ack") == [pb.Ack(seq=1)]
    bench.do(lambda: bench.core.lost(4799, bench.now, 0.5))
    assert bench.core.state is State.CLOSED
