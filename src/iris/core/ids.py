"""Names of things: users, conversations, units, shards, sequence numbers.

A *unit* is what is committed as a whole: all rows of one user, or one name (a handle or an invite). Its id decides its
shard. Everything here is pure arithmetic on ids; nothing knows where a unit lives.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

USER_BYTES: Final = 16
LINK_CODE_BYTES: Final = 5  # 40 bits: five tries hit with a chance of 1 in 200,000 million
CONVERSATION_BYTES = 2 * USER_BYTES
EPOCH_MAX: Final = (1 << 21) - 1  # epoch << 32 | counter stays below 2**53: exact in JavaScript
COUNTER_MAX: Final = (1 << 32) - 1

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32, lower case
_VALUES = {c: i for i, c in enumerate(_ALPHABET)} | {"o": 0, "i": 1, "l": 1}
_USER_TEXT_LENGTH = 26  # ceil(128 / 5)
_USER_TEXT = re.compile(r"[0-9A-TV-Za-tv-z]{26}\Z")
# To the digits of int(…, 32), which reads a number in one call.
_DIGITS = str.maketrans(
    {spelt: "0123456789abcdefghijklmnopqrstuv"[i] for c, i in _VALUES.items() for spelt in (c, c.upper())}
)
_HANDLE = re.compile(r"[a-z][a-z0-9_.]{1,30}[a-z0-9]\Z")
_INVITE = re.compile(r"[0-9a-z-]{8,64}\Z")


def user_text(user: bytes) -> str:
    """The text form of a user id: 26 characters of Crockford base32."""
    number = int.from_bytes(user, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def user_from_text(text: str) -> bytes:
    """The user id that `text` names; letters may be upper case and o, i, l stand for 0, 1, 1.

    Raises ValueError when it is not a user id.
    """
    if len(text) != _USER_TEXT_LENGTH:
        raise ValueError(f"a user id has {_USER_TEXT_LENGTH} characters")
    if not _USER_TEXT.match(text):
        letter = next(letter for letter in text if not _USER_TEXT.match(letter * _USER_TEXT_LENGTH))
        raise ValueError(f"{letter!r} is not a letter of a user id")
    number = int(text.translate(_DIGITS), 32)
    if number >> 128:
        raise ValueError("a user id has 128 bits")
    return number.to_bytes(USER_BYTES, "big")


def link_code(secret: bytes) -> str:
    """The link code of LINK_CODE_BYTES random bytes, as people read and type it: XXXX-XXXX."""
    number = int.from_bytes(secret, "big")
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(LINK_CODE_BYTES * 8 - 5, -1, -5)).upper()
    return f"{letters[:4]}-{letters[4:]}"


def normal_link_code(text: str) -> str:
    """The one spelling of a link code: no hyphen or space, lower case, 0 and 1 for o, i and l.

    Raises ValueError when it cannot be a link code.
    """
    letters = [letter for letter in text.lower() if letter not in "- "]
    if len(letters) != LINK_CODE_BYTES * 8 // 5 or any(letter not in _VALUES for letter in letters):
        raise ValueError("a link code has 8 letters or digits, such as 7K3M-9QXT")
    return "".join(_ALPHABET[_VALUES[letter]] for letter in letters)


def direct_conversation(one: bytes, other: bytes) -> bytes:
    """The id of the conversation of two users: the lower user id, then the higher one."""
    return one + other if one < other else other + one


def peer_of(conversation: bytes, user: bytes) -> bytes | None:
    """The other member of a direct conversation; None when the id is malformed or `user` is not in it.

    The conversation of a user with itself names the user itself.
    """
    if len(conversation) != CONVERSATION_BYTES:
        return None
    low, high = conversation[:USER_BYTES], conversation[USER_BYTES:]
    if low > high:
        return None
    if low == user:
        return high
    return low if high == user else None


def normal_handle(text: str) -> str:
    """The one spelling under which a handle is unique: lower case, no leading @.

    Raises ValueError when it is not 3 to 32 letters, digits, dots or underscores that start with a letter.
    """
    handle = text.removeprefix("@").lower()
    if not _HANDLE.match(handle):
        raise ValueError("a handle has 3 to 32 letters a-z, digits, dots or underscores, and starts with a letter")
    return handle


def handle_unit(handle: str) -> bytes:
    """The unit that says who has a handle."""
    return b"@" + handle.encode()


def invite_unit(code: str) -> bytes:
    """The unit that counts the uses of an invite. Raises ValueError when it cannot be an invite's code."""
    if not _INVITE.match(code):
        raise ValueError("not an invite code")
    return b"!" + code.encode()


def is_user(unit: bytes) -> bool:
    """Whether a unit is a user (u and the id), not a name (@handle, !invite)."""
    return unit[:1] == b"u"


def user_unit(user: bytes) -> bytes:
    """The unit of a user's rows."""
    return b"u" + user


def shard_of(unit: bytes, num_shards: int) -> int:
    """The shard that owns a unit: an even spread that never changes for a given `num_shards`."""
    return int.from_bytes(hashlib.blake2b(unit, digest_size=8).digest(), "big") % num_shards


def seq_of(epoch: int, counter: int) -> int:
    """The mailbox position `counter` of `epoch`: higher epochs sort after all of the lower ones."""
    return epoch << 32 | counter
