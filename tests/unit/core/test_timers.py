"""Timeouts on a virtual clock."""

from __future__ import annotations

from iris.core.timers import Timers


def test_what_is_due_is_called_in_the_order_of_time_then_of_setting() -> None:
    timers, called = Timers(), []
    timers.call_at(20, lambda: called.append("c"))
    timers.call_at(10, lambda: called.append("a"))
    timers.call_at(20, lambda: called.append("d"))
    timers.call_at(11, called.append, "b")
    assert timers.next_timeout() == 10
    timers.run_timeouts(9)
    assert called == []
    timers.run_timeouts(19)
    assert called == ["a", "b"]
    timers.run_timeouts(20)
    assert called == ["a", "b", "c", "d"]
    assert timers.next_timeout() is None


def test_what_is_set_in_a_run_waits_for_the_next() -> None:
    timers, called = Timers(), []

    def again() -> None:
        called.append(1)
        timers.call_at(1, lambda: called.append(2))

    timers.call_at(1, again)
    timers.run_timeouts(5)
    assert called == [1]
    timers.run_timeouts(5)
    assert called == [1, 2]
