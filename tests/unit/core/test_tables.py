"""The tables that stand for those in which nobody has put anything yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iris.core.tables import NO_ITEMS, NOTHING, own

WRITES: list[Callable[[dict[Any, Any]], object]] = [
    lambda table: table.__setitem__(1, 2),
    lambda table: table.setdefault(1, 2),
    lambda table: table.update({1: 2}),
    lambda table: table.__ior__({1: 2}),
]
ADDITIONS: list[Callable[[list[Any]], object]] = [
    lambda items: items.append(1),
    lambda items: items.extend([1]),
    lambda items: items.insert(0, 1),
    lambda items: items.__iadd__([1]),
    lambda items: items.__setitem__(slice(0, 0), [1]),
]


@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_put_into_what_is_everybodys(write: Callable[[dict[Any, Any]], object]) -> None:
    """Else one user's contacts would be another's."""
    with pytest.raises(TypeError, match="make one of your own"):
        write(NOTHING)
    assert NOTHING == {}
    write({})


@pytest.mark.parametrize("add", ADDITIONS)
def test_no_item_is_put_into_what_is_everybodys(add: Callable[[list[Any]], object]) -> None:
    with pytest.raises(TypeError, match="make one of your own"):
        add(NO_ITEMS)
    assert NO_ITEMS == []
    add([])


def test_it_reads_and_is_emptied_like_any_empty_table() -> None:
    assert (NOTHING.get(1), NOTHING.pop(1, None), 1 in NOTHING, list(NOTHING.items())) == (None, None, False, [])
    NOTHING.clear()
    NO_ITEMS.clear()
    del NO_ITEMS[:0]
    assert not NO_ITEMS


def test_a_table_of_ones_own_is_made_once() -> None:
    first = own(NOTHING)
    first[1] = 2
    assert own(first) is first
    assert own(NOTHING) is not first
