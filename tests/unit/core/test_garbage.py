"""Nothing that the core makes is cyclic, so the garbage collector has nothing to do: it may run seldom (app.py)."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bench.guard import trace
from tests.support.world import World


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def garbage() -> Counter[str]:
    """What only the collector can free, by type: that of Iris and of the containers."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_log_ins_and_messages_leave_none() -> None:
    for name, work, _ in trace.parts():
        work()
        assert garbage() == Counter(), name


def test_users_who_are_put_out_of_memory_leave_none(new_world: Callable[..., World]) -> None:
    world = new_world(users_in_memory_max=1)
    for name in ("ada", "bob", "cyn", "dan"):
        (client,) = world.join(name)
        world.settle()
        client.disconnect()
        world.wait(world.limits.offline_grace_ms + 1)  # a timeout knows them until then
    assert len(world.node.core.residents) == 1
    assert not {name for name in garbage() if name.startswith("iris.")}
