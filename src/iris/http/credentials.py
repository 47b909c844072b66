"""Who knows a password, and how refresh secrets follow each other.

Failed attempts are counted per handle, and apart from that per address where the user is known. An attempt is counted
when it begins and forgotten when the password was right, so a hundred attempts at once are not a way around the limit.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from typing import NamedTuple

from iris.core.catalogue import ErrorCode
from iris.core.ids import USER_BYTES, handle_unit, user_from_text, user_text, user_unit
from iris.core.requests import Auth, Credentials, GetCredentials, LookUpName, NameHolders, Refused
from iris.http.problems import Problem, expect
from iris.http.rates import Rate
from iris.http.service import Service

_REFRESH = re.compile(r"r1\.([0-7][0-9a-hjkmnp-tv-z]{25})\.([1-9][0-9]{0,9})\.([A-Za-z0-9_-]{43})")
BY_PASSWORD, BY_CODE = b"log in", b"link"  # ways to log in
_SECRET_BYTES = 32


class Known(NamedTuple):
    """A user who showed the right password."""

    user: bytes
    credentials: Credentials


async def who_is(service: Service, handle: str, password: str, address: str) -> Known | None:
    """The user of `handle` when the password is right. An unknown handle costs what a wrong password costs.

    An address from which the user has logged in or refreshed before has an allowance of its own: a stranger who
    guesses, from however many addresses, uses up that of strangers and keeps nobody out who comes from a known one.
    Raises Problem: RATE_LIMITED after too many wrong passwords for this handle, or what a shard refused.
    """
    user, key = await begin_attempt(service, handle, address)
    wrong = False
    try:
        known = await _who_is(service, user, password)
        wrong = known is None
        if known is not None:
            service.familiar.note(user, address)
        return known
    finally:
        if not wrong:
            service.rates.give_back(Rate.LOGIN_OF_HANDLE, key)


async def begin_attempt(service: Service, handle: str, address: str) -> tuple[bytes, str]:
    """Count an attempt to log in as `handle`: the user, or one who does not exist, and the key it was counted under.

    Give it back when the attempt was not wrong. Raises Problem(RATE_LIMITED) after too many wrong ones.
    """
    holders = await service.ask(handle_unit(handle), LookUpName(), NameHolders)
    user = holders.users[0] if holders.users else _nobody(service.keys.refresh, handle)
    key = f"{handle} {address}" if service.familiar.knows(user, address) else handle
    service.spend(Rate.LOGIN_OF_HANDLE, key)
    return user, key


async def _who_is(service: Service, user: bytes, password: str) -> Known | None:
    result = await service.authority.ask(user_unit(user), None, GetCredentials())
    if isinstance(result, Refused) and result.code == ErrorCode.UNKNOWN_USER:
        await service.passwords.verify(None, password)
        return None
    credentials = expect(result, Credentials)
    return Known(user, credentials) if await service.passwords.verify(credentials.password, password) else None


def _nobody(key: bytes, handle: str) -> bytes:
    """A user who does not exist, always the same for a handle: a shard is asked for it as for one who does."""
    return hmac.digest(key, b"nobody\0" + handle.encode(), "sha256")[:USER_BYTES]


async def confirm(service: Service, auth: Auth, *passwords: str) -> int:
    """Which of `passwords` the asker's account has: its index. Checks the token first.

    Raises Problem: CREDENTIALS_WRONG when it has none of them, RATE_LIMITED after too many wrong ones, TOKEN_REVOKED.
    """
    key = user_text(auth.user)  # longer than no handle, but never one: it starts with a digit
    service.spend(Rate.LOGIN_OF_HANDLE, key)
    wrong = False
    try:
        await service.check(auth)
        credentials = await service.ask(user_unit(auth.user), GetCredentials(), Credentials)
        for index, password in enumerate(passwords):
            if await service.passwords.verify(credentials.password, password):
                return index
        wrong = True
        raise Problem(ErrorCode.CREDENTIALS_WRONG)
    finally:
        if not wrong:
            service.rates.give_back(Rate.LOGIN_OF_HANDLE, key)


class RefreshToken(NamedTuple):
    """What a refresh token says."""

    user: bytes
    device: int
    secret: bytes

    @property
    def text(self) -> str:
        """The token as the client keeps it."""
        secret = base64.urlsafe_b64encode(self.secret).rstrip(b"=").decode()
        return f"r1.{user_text(self.user)}.{self.device}.{secret}"

    def __repr__(self) -> str:
        return f"RefreshToken({user_text(self.user)}, {self.device})"


def read_refresh_token(text: str) -> RefreshToken | None:
    """The refresh token of a text; None when it cannot be one of ours."""
    match = _REFRESH.fullmatch(text)
    if match is None:
        return None
    secret = base64.urlsafe_b64decode(match[3] + "=")
    found = RefreshToken(user_from_text(match[1]), int(match[2]), secret)
    return found if found.text == text and found.device < 1 << 32 else None


def first_secret(key: bytes, way: bytes, user: bytes, proof: str, nonce: str | None) -> bytes:
    """The first refresh secret of a device: random, or the same again for the same log-in with the same nonce.

    way: BY_PASSWORD, whose proof is the encoded password, or BY_CODE, whose proof is the link code.
    """
    if nonce is None:
        return secrets.token_bytes(_SECRET_BYTES)
    return hmac.digest(key, b"\0".join((way, user, proof.encode(), nonce.encode())), "sha256")


def next_secret(key: bytes, presented: bytes, nonce: str) -> bytes:
    """The secret that follows `presented`: the same for the same nonce, so that a lost answer can be had again."""
    return hmac.digest(key, presented + nonce.encode(), "sha256")
