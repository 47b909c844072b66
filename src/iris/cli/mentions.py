"""Naming people in a text: `@handle` of somebody who is known here is a mention. Pure.

find("hi @bob", {"bob": user})            the mentions to send along
complete("hi @b", ["bob"])                "hi @bob"
pieces("hi @bob", mentions)               [("hi ", ""), ("@bob", user)]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iris_sdk import Mention

_HANDLE = re.compile(r"(?<![\w@.])@([a-z][a-z0-9_.]{1,30}[a-z0-9])(?![\w@])", re.IGNORECASE)
_BEGUN = re.compile(r"(?:^|[^\w@.])@([\w.]{0,32})$")


def find(text: str, users: Mapping[str, str]) -> list[Mention]:
    """Whom a text names. `users`: user id by handle."""
    from iris_sdk import Mention

    found = [(match, users.get(match[1].lower())) for match in _HANDLE.finditer(text)]
    return [Mention(user, match.start(), len(match[0])) for match, user in found if user is not None]


def complete(text: str, handles: Iterable[str]) -> str | None:
    """The text with the handle that it begins at its end; None when it begins none of these."""
    begun = _BEGUN.search(text)
    if begun is None:
        return None
    typed = begun[1].lower()
    fitting = sorted(handle for handle in handles if handle.startswith(typed) and handle != typed)
    return text + fitting[0][len(typed) :] if fitting else None


def pieces(body: str, mentions: Iterable[Mention]) -> Iterator[tuple[str, str]]:
    """(words, whom they name or "") from the begin of a text to its end. `mentions` by their start, inside it."""
    end = 0
    for one in mentions:
        if one.start > end:
            yield body[end : one.start], ""
        end = one.start + one.length
        yield body[one.start : end], one.user
    if end < len(body):
        yield body[end:], ""
