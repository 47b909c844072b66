"""The in-memory engine keeps the promises of the real one."""

from __future__ import annotations

import select

import pytest

from iris.core import frames as f
from iris.wire.engine import EnginePort
from iris.wire.memory import MemoryEngine


def hello(conn: int) -> f.Hello:
    """A Hello on this connection."""
    return f.Hello(f.HELLO, conn, "t", 0, 0, (), "", "127.0.0.1")


def is_signalled(engine: EnginePort) -> bool:
    """Whether the engine has something to drain."""
    return bool(select.select([engine.fileno()], [], [], 0)[0])


def test_frames_come_in_order_and_hellos_a_few_at_a_time() -> None:
    engine = MemoryEngine()
    assert not is_signalled(engine)
    engine.feed(hello(1), hello(2))
    engine.feed(f.Closed(f.CLOSED, 2, 1006))
    assert is_signalled(engine)
    assert [event[:2] for event in engine.drain(1)] == [(f.HELLO, 1)]
    engine.feed(f.Ack(f.ACK, 1, 1, 0), f.Ack(f.ACK, 1, 2, 0), f.Closed(f.CLOSED, 1, 1000))
    assert [event[:2] for event in engine.drain(1)] == [
        (f.ACK, 1), (f.ACK, 1), (f.CLOSED, 1), (f.HELLO, 2), (f.CLOSED, 2),
    ]  # fmt: skip
    assert not is_signalled(engine)
    with pytest.raises(ValueError):
        engine.feed(f.Ack(f.ACK, 1, 3, 0))


def test_sent_frames_are_kept_until_the_connection_is_gone() -> None:
    engine = MemoryEngine()
    engine.feed(hello(1))
    engine.drain(1)
    engine.send([f.Refreshed(f.REFRESHED, 1, 7), f.Close(f.CLOSE, 1, 4512), f.Refreshed(f.REFRESHED, 1, 8)])
    assert engine.take_sent() == [(f.REFRESHED, 1, 7), (f.CLOSE, 1, 4512)]
    assert engine.drain(0) == [(f.CLOSED, 1, 4512)]
    assert engine.stats()["gone_connections_total"] == 1
    assert engine.stats()["closed"] == {4512: 1}


@pytest.mark.parametrize("frame", [(0, 1, 2), (f.REFRESHED, 1), [f.REFRESHED, 1, 7]])
def test_malformed_tuples_raise(frame: object) -> None:
    with pytest.raises(ValueError):
        MemoryEngine().send([frame])


def test_stop_closes_everybody() -> None:
    engine = MemoryEngine()
    engine.start()
    engine.feed(hello(1))
    engine.drain(1)
    engine.stop()
    assert engine.drain(0) == [(f.CLOSED, 1, 1001)]
