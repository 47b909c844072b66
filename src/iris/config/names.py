"""What to say about a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`; None when none does."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def unknown_key(name: str, known: Iterable[str]) -> str:
    """One line that names the unknown key and the nearest valid one."""
    near = nearest(name, known)
    return f"{name} is not a setting" + (f"; did you mean {near}?" if near else "; see iris config show")
