"""Link codes: an authenticated device shows one, a new device redeems it and is linked without a password.

A code is kept in the memory of the user's shard and nowhere else. So it can be redeemed once: whatever ends the process
ends every code, and the device it linked is durable before anybody is told. It also lets a wrong code cost what no code
costs: nothing is written, so the time of an answer does not tell whether somebody is showing one. What a restart takes
is asked for again (ADR 0018). Limits: one for each user, link_code_ms, link_code_tries_max.
"""

from __future__ import annotations

import hmac

from iris.core import links
from iris.core.catalogue import ErrorCode
from iris.core.requests import LinkCodeMade, Linked, RedeemLinkCode, Refused, Result
from iris.core.turn import Turn
from iris.core.user import LinkCode, User

_NO_CODE = bytes(32)  # compared with where there is none; a digest that no code is known to have


def make(user: User, digest: bytes, device: int, turn: Turn) -> Result:
    """A new code, shown by `device`; the one before it is void."""
    lifetime_ms = turn.limits.link_code_ms
    user.link_code = LinkCode(digest, device, turn.now.mono + lifetime_ms)
    _arm(user, turn)
    turn.count("iris_link_codes_total")
    return LinkCodeMade(turn.now.wall + lifetime_ms)


def redeem(user: User, asked: RedeemLinkCode, turn: Turn) -> Result:
    """Link a new device, once. A wrong code is counted; after too many the right one is void too."""
    account = user.account
    if account is not None and user.active:
        again = links.linked_with(user, asked.refresh)
        if again is not None and turn.now.wall < again.row.linked_at + turn.limits.link_code_ms:
            return Linked(again.number, account.gen)  # the answer to the first try was lost
    code = user.link_code
    if code is not None and turn.now.mono >= code.ends_at:  # its timeout is about to come
        code = user.link_code = None
    fits = hmac.compare_digest(_NO_CODE if code is None else code.digest, asked.digest)
    if code is None or not fits:
        if code is not None:
            code.tries += 1
            if code.tries >= turn.limits.link_code_tries_max:
                user.link_code = None
        return Refused(int(ErrorCode.LINK_CODE_INVALID))
    result = links.link(user, asked.name, asked.refresh, turn)
    if isinstance(result, Linked):
        user.link_code = None
    return result


def _arm(user: User, turn: Turn) -> None:
    """One timeout for a user, however many codes are made."""
    if user.link_code is not None and not user.link_code_armed:
        user.link_code_armed = True
        turn.call_at(user.link_code.ends_at, _over, user, turn)


def _over(user: User, turn: Turn) -> None:
    user.link_code_armed = False
    if user.link_code is not None and turn.now.mono >= user.link_code.ends_at:
        user.link_code = None
    _arm(user, turn)
