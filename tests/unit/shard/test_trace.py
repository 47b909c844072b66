"""The trace: where a message was when, in bounded memory."""

from __future__ import annotations

from iris.core import frames as f
from iris.core.commands import Detach, SendIn
from iris.core.rows import SeenRow
from iris.shard.trace import TRACE_BYTES_MAX, TRACE_ITEMS_MAX, Trace

ADA, BOB = b"a" * 16, b"b" * 16


def received(number: int, payload: bytes = b"") -> tuple[bytes, SendIn]:
    send = f.Send(f.SEND, 1, ADA + BOB, 1, number, 0, number.to_bytes(16, "big"), 0, payload, 1, 0)
    return b"u" + BOB, SendIn(BOB, 1, ADA, 1, False, send)


def delivered(number: int, payload: bytes) -> f.Deliver:
    return f.Deliver(f.DELIVER, 1, number, 0, 1, ADA + BOB, ADA, 1, number.to_bytes(16, "big"), 1, 0, payload, 1, 0)


def known(trace: Trace, number: int) -> bool:
    return bool(trace.points(number.to_bytes(16, "big")))


def test_the_oldest_items_go() -> None:
    trace, rest = Trace(), TRACE_ITEMS_MAX - 2
    trace.note("received", 1, [received(1), received(2)])
    trace.note("handed", 2, [*[f.GoAway(f.GO_AWAY, 1, 1)] * (rest - 1), delivered(9, b"")])
    assert known(trace, 1)
    trace.note("received", 3, [received(3)])
    assert not known(trace, 1)
    assert not known(trace, 2)
    assert known(trace, 3)


def test_batches_in_which_nothing_can_be_found_take_no_place() -> None:
    """Else the trace would hold the records of the newest 50,000 log-ins, and no message."""
    trace = Trace()
    trace.note("received", 1, [received(1)])
    trace.note("pumped", 1, [delivered(1, b"")])
    for _ in range(3):
        trace.note("received", 2, [(b"u" + BOB, Detach(BOB, 1, 1, 1, 1))] * TRACE_ITEMS_MAX)
        trace.note("pumped", 2, [f.GoAway(f.GO_AWAY, 1, 1)] * TRACE_ITEMS_MAX)
        trace.note("committed", 2, [SeenRow(BOB, 1)] * TRACE_ITEMS_MAX)
        trace.note("delivered", 2, [f.GoAway(f.GO_AWAY, 1, 1)] * TRACE_ITEMS_MAX)
    assert [point for _, point, *_ in trace.points((1).to_bytes(16, "big"))] == ["received", "pumped"]


def test_large_messages_are_forgotten_sooner() -> None:
    """Also those that are refused, and those that come from the store."""
    payload = bytes(65_536)
    count = TRACE_BYTES_MAX // len(payload)
    trace = Trace()
    for number in range(1, 2 * count):
        trace.note("received", number, [received(number, payload)])
    assert not known(trace, count // 2)
    assert known(trace, 2 * count - 1)
    trace = Trace()
    for number in range(1, 2 * count):
        trace.note("pumped", number, [delivered(number, payload), f.GoAway(f.GO_AWAY, 1, 1)])
        trace.note("handed", number, [delivered(number, payload)])
    assert not known(trace, count // 2)
    assert known(trace, 2 * count - 1)
