"""Tables that most users have nothing in: until something is put into one, a shared empty one stands for it.

An empty dictionary takes 64 bytes, an empty list 56, and a user is made of twenty. Who puts something in makes a table
of the user's own first: `user.watchers = own(user.watchers)`. Forgetting that raises; all else, taking out included,
works on the shared one as on any empty table.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _refuse(table: object, *what: object) -> NoReturn:
    raise TypeError("this table is everybody's: make one of your own first")


class _Nothing(dict[Any, Any]):
    """An empty dictionary that stays empty."""

    __slots__ = ()
    __setitem__ = setdefault = update = __ior__ = _refuse  # type: ignore[assignment]


class _NoItems(list[Any]):
    """An empty list that stays empty."""

    __slots__ = ()
    __setitem__ = append = extend = insert = __iadd__ = _refuse


NOTHING: Final[dict[Any, Any]] = _Nothing()
NO_ITEMS: Final[list[Any]] = _NoItems()


def own(table: dict[K, V]) -> dict[K, V]:
    """A dictionary that may be written to: this one, or a new one in the place of NOTHING."""
    return {} if table is NOTHING else table
