"""How the SDK writes ids: users as 26 characters, messages as 32 and conversations as 64 hex digits.

On the wire and in the core they are bytes. Everything here is arithmetic; nothing asks a server.
"""

from __future__ import annotations

import re

USER_BYTES = 16
CONVERSATION_BYTES = 2 * USER_BYTES

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32, lower case
_VALUES = {c: i for i, c in enumerate(_ALPHABET)} | {"o": 0, "i": 1, "l": 1}
_USER_TEXT = re.compile(r"[0-7oil][0-9a-z]{25}\Z")
_HANDLE = re.compile(r"[a-z][a-z0-9_.]{1,30}[a-z0-9]\Z")
_CONVERSATION_TEXT = re.compile(r"[0-9a-f]{64}\Z")


def user_text(user: bytes) -> str:
    """The text form of a user id."""
    number = int.from_bytes(user, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def user_from_text(text: str) -> bytes:
    """The user id that `text` names; upper case is fine and o, i, l stand for 0, 1, 1. Raises ValueError."""
    lower = text.lower()
    if not _USER_TEXT.match(lower) or "u" in lower:
        raise ValueError(f"{text!r} is not a user id")
    number = 0
    for letter in lower:
        number = number << 5 | _VALUES[letter]
    return number.to_bytes(USER_BYTES, "big")


def is_user_text(text: str) -> bool:
    """Whether `text` has the form of a user id (a handle starts with a letter, a user id never does)."""
    return bool(_USER_TEXT.match(text.lower())) and "u" not in text.lower() and text[0] in "01234567"


def is_conversation_text(text: str) -> bool:
    """Whether `text` has the form of a conversation id."""
    return bool(_CONVERSATION_TEXT.match(text))


def direct_conversation(one: bytes, other: bytes) -> bytes:
    """The id of the conversation of two users."""
    return one + other if one < other else other + one


def peer_of(conversation: bytes, user: bytes) -> bytes:
    """The other member of a direct conversation. Raises ValueError when `user` is not in it."""
    if len(conversation) == CONVERSATION_BYTES:
        low, high = conversation[:USER_BYTES], conversation[USER_BYTES:]
        if low == user:
            return high
        if high == user:
            return low
    raise ValueError("not a conversation of this user")


def normal_handle(text: str) -> str:
    """A handle as the server spells it: lower case, no leading @. Raises ValueError when it cannot be one."""
    handle = text.removeprefix("@").lower()
    if not _HANDLE.match(handle):
        raise ValueError("a handle has 3 to 32 letters a-z, digits, dots or underscores, and starts with a letter")
    return handle
