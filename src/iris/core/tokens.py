"""Access tokens: how they are made and when they stand.

An access token is a JWT (RFC 7519) signed by HS256. Edge and API both call `validate`, so one set of rules holds for
both; tests/vectors/tokens.json states them and PyJWT is asked for a second opinion there. This file reads no clock
and no random source. It does not know whether a token was revoked: only the user's shard does.

The rules, stricter than RFC 7519 where a token is always our own work:
- exactly three parts of canonical base64url without padding, at most TOKEN_BYTES_MAX bytes;
- a header of alg, kid and typ only: alg is HS256, typ (optional) is JWT, kid is a key of the ring. So "none", another
  algorithm, a key inside the token (jwk, jku, x5u) and critical extensions (crit) are refused before anything is
  computed;
- the signature is compared in constant time, and nothing of the payload is read before it holds;
- sub is a user id in its one canonical spelling, aud is "iris", exp - iat is at most LIFETIME_MS_MAX;
- JSON with a key given twice, with NaN, Infinity or a fraction is refused, and so is a claim beyond 2**53.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_from_text, user_text
from iris.core.requests import Auth

AUDIENCE = "iris"
LIFETIME_MS_MAX: Final = 24 * 60 * 60 * 1000
LEEWAY_MS: Final = 60_000  # how far two clocks may differ, unless configured otherwise
TOKEN_BYTES_MAX: Final = 4096  # the default of token_bytes_max; the engine may be told to take less
_HEADER_BYTES_MAX = 256
_INTEGER_MAX = 2**53
_DEVICE_MAX = 2**32 - 1  # uint32 in frames.proto

_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_JTI = _KID
_USER_TEXT = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")  # the spelling user_text gives: 130 bits, of which 128 are used


def issue(
    *, kid: str, key: bytes, user: bytes, device: int, gen: int, jti: str, now_ms: int, lifetime_ms: int
) -> tuple[str, int]:
    """A token for one device, and the time it expires (ms since 1970).

    JWT counts whole seconds: the token is issued at the second of `now_ms` and lives `lifetime_ms` rounded down.
    Raises ValueError when a claim is such that `validate` would refuse it.
    """
    issued_at = now_ms // 1000
    expires_at = issued_at + lifetime_ms // 1000
    claims = {
        "sub": user_text(user),
        "dev": device,
        "gen": gen,
        "jti": jti,
        "iat": issued_at,
        "exp": expires_at,
        "aud": AUDIENCE,
    }
    if not _KID.fullmatch(kid):
        raise ValueError("a key id has 1 to 64 letters, digits, - or _")
    if _auth_of(claims) is None or len(user) != 16:
        raise ValueError("the claims are not those of a token that would stand")
    header = _encode(json.dumps({"alg": "HS256", "kid": kid, "typ": "JWT"}, separators=(",", ":")).encode())
    payload = _encode(json.dumps(claims, separators=(",", ":")).encode())
    signed = f"{header}.{payload}"
    return f"{signed}.{_signature(key, signed)}", expires_at * 1000


def validate(token: str, keys: Mapping[str, bytes], now_ms: int, leeway_ms: int = LEEWAY_MS) -> Auth | ErrorCode:
    """The claims of `token`, or why it does not stand: TOKEN_INVALID, or TOKEN_EXPIRED when its time is the only fault.

    keys: signing keys by kid, retired ones included. leeway_ms: how far the issuer's clock may differ from `now_ms`.
    Never raises, whatever the token.
    """
    if len(token) > TOKEN_BYTES_MAX or not token.isascii():
        return ErrorCode.TOKEN_INVALID
    signed, dot, signature = token.rpartition(".")
    header, second_dot, payload = signed.partition(".")
    if not dot or not second_dot or len(header) > _HEADER_BYTES_MAX:
        return ErrorCode.TOKEN_INVALID
    kid = _kid_of(header)
    key = keys.get(kid) if kid is not None else None
    # The signature's text is compared, not its bytes: so its one canonical spelling is the only one that stands.
    if key is None or not hmac.compare_digest(signature, _signature(key, signed)):
        return ErrorCode.TOKEN_INVALID
    claims = _json_object(payload)
    if claims is None or (auth := _auth_of(claims)) is None:
        return ErrorCode.TOKEN_INVALID
    not_before = max(_whole(claims[name]) or 0 for name in ("iat", "nbf") if name in claims)
    if not_before * 1000 > now_ms + leeway_ms:
        return ErrorCode.TOKEN_INVALID
    if auth.expires_at <= now_ms - leeway_ms:
        return ErrorCode.TOKEN_EXPIRED
    return auth


def _auth_of(claims: Mapping[str, object]) -> Auth | None:
    """The claims as Auth; None when one is missing, of another type or out of range. Unknown ones are ignored (P9)."""
    subject, jti = claims.get("sub"), claims.get("jti")
    if not isinstance(subject, str) or not _USER_TEXT.fullmatch(subject):
        return None
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        return None
    if claims.get("aud") != AUDIENCE:  # a list that holds "iris" is legal JWT, but never ours
        return None
    device, gen = _whole(claims.get("dev")), _whole(claims.get("gen"))
    issued_at, expires_at = _whole(claims.get("iat")), _whole(claims.get("exp"))
    if device is None or gen is None or issued_at is None or expires_at is None:
        return None
    if "nbf" in claims and _whole(claims["nbf"]) is None:
        return None
    if not 1 <= device <= _DEVICE_MAX or not 0 < expires_at - issued_at <= LIFETIME_MS_MAX // 1000:
        return None
    return Auth(user_from_text(subject), device, gen, jti, expires_at * 1000)


def _whole(value: object) -> int | None:
    """`value` when it is an integer of 0 to 2**53 (and not true or false, which Python counts as integers)."""
    return value if type(value) is int and 0 <= value <= _INTEGER_MAX else None


@lru_cache(maxsize=64)  # every token of a key has the same header text
def _kid_of(header: str) -> str | None:
    fields = _json_object(header)
    if fields is None or not fields.keys() <= {"alg", "kid", "typ"}:
        return None
    kid = fields.get("kid")
    if fields.get("alg") != "HS256" or fields.get("typ", "JWT") != "JWT":
        return None
    return kid if isinstance(kid, str) and _KID.fullmatch(kid) else None


class _Refused(ValueError):
    pass


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("a key is given twice")
    return found


def _no_number(text: str) -> object:
    raise _Refused(f"{text} is no number of a token")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=_no_number, parse_constant=_no_number)


def _json_object(part: str) -> dict[str, object] | None:
    """The JSON object of one part of a token; None when it is not canonical base64url of such a one."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        if _encode(raw) != part:
            return None
        found = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(key: bytes, signed: str) -> str:
    return _encode(hmac.digest(key, signed.encode(), "sha256"))
