"""Memory per connection from what was read before and after."""

from __future__ import annotations

from iris.bench.idle import Memory, memory_figures

KB = 1024


def test_what_grows_is_shared_out() -> None:
    found = memory_figures(10, Memory(100 * KB, 20 * KB, 0), Memory(200 * KB, 60 * KB, 80 * KB))
    assert (found["userland_kb_per_conn"], found["engine_kb_per_conn"], found["python_kb_per_conn"]) == (10, 4, 6)
    assert found["kernel_kb_per_conn"] == 4, "the other half is the client's"
    assert found["all_in_kb_per_conn"] == 14


def test_a_kernel_that_does_not_tell_leaves_the_sum_open() -> None:
    found = memory_figures(10, Memory(0, 0, None), Memory(100 * KB, 0, 80 * KB))
    assert found["userland_kb_per_conn"] == 10
    assert found["kernel_kb_per_conn"] is None
    assert found["all_in_kb_per_conn"] is None
