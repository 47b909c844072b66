"""Link codes: shown by a device that is logged in, redeemed by a new one. A shard is told a keyed hash, never the code.

A wrong code is counted like a wrong password, per handle and per address: it is the same door.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import NamedTuple

from iris.core.catalogue import ErrorCode
from iris.core.ids import LINK_CODE_BYTES, link_code, normal_link_code, user_unit
from iris.core.requests import Auth, LinkCodeMade, Linked, MakeLinkCode, RedeemLinkCode, Refused
from iris.http.credentials import BY_CODE, RefreshToken, begin_attempt, first_secret
from iris.http.models import LinkCodeAnswer, LinkCodeLogIn
from iris.http.problems import Problem, expect
from iris.http.rates import Rate
from iris.http.service import Service


class Redeemed(NamedTuple):
    """A device that was linked."""

    linked: Linked
    refresh: RefreshToken


async def make(service: Service, auth: Auth) -> LinkCodeAnswer:
    """A new code of the asker's account; the one before it is void."""
    code = link_code(secrets.token_bytes(LINK_CODE_BYTES))
    digest = _digest(service.keys.refresh, auth.user, normal_link_code(code))
    made = await service.ask_own(auth, MakeLinkCode(digest), LinkCodeMade)
    return LinkCodeAnswer(code=code, expires_at=made.expires_at)


async def redeem(service: Service, body: LinkCodeLogIn, address: str) -> Redeemed:
    """Link a device. An unknown handle is asked after like a known one, and answered like a wrong code.

    Raises Problem: LINK_CODE_INVALID, DEVICE_LIMIT, or RATE_LIMITED after too many wrong codes or passwords.
    """
    user, key = await begin_attempt(service, body.handle, address)
    secret = first_secret(service.keys.refresh, BY_CODE, user, body.code, body.nonce)
    asked = RedeemLinkCode(
        _digest(service.keys.refresh, user, body.code), body.device_name, hashlib.sha256(secret).digest()
    )
    wrong = False
    try:
        result = await service.authority.ask(user_unit(user), None, asked)
        wrong = isinstance(result, Refused) and result.code in (ErrorCode.LINK_CODE_INVALID, ErrorCode.UNKNOWN_USER)
    finally:
        if not wrong:
            service.rates.give_back(Rate.LOGIN_OF_HANDLE, key)
    if wrong:
        raise Problem(ErrorCode.LINK_CODE_INVALID)
    linked = expect(result, Linked)
    service.familiar.note(user, address)
    return Redeemed(linked, RefreshToken(user, linked.device, secret))


def _digest(key: bytes, user: bytes, code: str) -> bytes:
    return hmac.digest(key, b"\0".join((b"link code", user, code.encode())), "sha256")
