"""Worlds for tests of the core; the books of each are audited at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.world import World


@pytest.fixture
def new_world() -> Iterator[Callable[..., World]]:
    """Makes worlds; World's arguments."""
    made: list[World] = []

    def make(**options: int) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for world in made:
        world.hold = False
        world.settle()
        world.audit()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """A world as configured by default."""
    return new_world()
