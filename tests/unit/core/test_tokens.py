"""Access tokens: the shared vectors, PyJWT as a second opinion, and what no changed byte may do."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris.core.catalogue import ErrorCode, Limits
from iris.core.ids import user_from_text
from iris.core.requests import Auth
from iris.core.tokens import LIFETIME_MS_MAX, TOKEN_BYTES_MAX, issue, validate
from tests.vectors import make_tokens

VECTORS: dict[str, Any] = json.loads((Path(make_tokens.__file__).with_name("tokens.json")).read_text())
KEYS = {kid: bytes.fromhex(key) for kid, key in VECTORS["keys"].items()}
NOW: int = VECTORS["now_ms"]
CASES = {case["name"]: case for case in VECTORS["cases"]}
USER = user_from_text(make_tokens.USER)


def a_token(**changes: Any) -> str:
    claims: dict[str, Any] = {"kid": "k1", "key": KEYS["k1"], "user": USER, "device": 3, "gen": 7, "jti": "j1"}
    token, _ = issue(**{**claims, "now_ms": NOW, "lifetime_ms": 3_600_000, **changes})
    return token


def pyjwt_says(token: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | ErrorCode:
    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Frozen:
            return cls.fromtimestamp(NOW / 1000, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Frozen)
    try:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        required = ["exp", "iat", "aud", "sub", "jti"]
        claims: dict[str, Any] = jwt.decode(
            token, key, ["HS256"], options={"require": required}, audience="iris", leeway=VECTORS["leeway_ms"] / 1000
        )
    except jwt.ExpiredSignatureError:
        return ErrorCode.TOKEN_EXPIRED
    except Exception:
        return ErrorCode.TOKEN_INVALID
    return claims


def test_the_vectors_are_those_of_their_script() -> None:
    assert make_tokens.document() == VECTORS
    assert len(CASES) == len(VECTORS["cases"]) > 100


@pytest.mark.parametrize("name", CASES)
def test_vector(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    expected = case["expect"]
    verdict = validate(case["token"], KEYS, NOW, VECTORS["leeway_ms"])
    second = pyjwt_says(case["token"], monkeypatch)
    if isinstance(expected, str):
        assert verdict is ErrorCode[expected]
        assert isinstance(second, dict) is case.get("stricter", False)
    else:
        assert verdict == Auth(USER, expected["dev"], expected["gen"], expected["jti"], expected["exp"] * 1000)
        assert isinstance(second, dict)
        assert expected.items() <= second.items()
    if second is ErrorCode.TOKEN_EXPIRED:
        assert verdict in (ErrorCode.TOKEN_EXPIRED, ErrorCode.TOKEN_INVALID)


def test_what_is_issued_stands_here_and_with_pyjwt(monkeypatch: pytest.MonkeyPatch) -> None:
    token, expires_at = issue(
        kid="k1", key=KEYS["k1"], user=USER, device=3, gen=7, jti="j1", now_ms=NOW, lifetime_ms=LIFETIME_MS_MAX
    )
    assert expires_at == NOW // 1000 * 1000 + LIFETIME_MS_MAX
    assert validate(token, KEYS, NOW) == Auth(USER, 3, 7, "j1", expires_at)
    claims = pyjwt_says(token, monkeypatch)
    assert isinstance(claims, dict)
    assert claims["sub"] == make_tokens.USER


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifetime_ms": LIFETIME_MS_MAX + 1000},
        {"lifetime_ms": 999},
        {"device": 0},
        {"gen": -1},
        {"jti": ""},
        {"jti": "a b"},
        {"kid": "a.b"},
        {"user": b"short"},
    ],
)
def test_what_would_not_stand_is_not_issued(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        a_token(**wrong)


def test_leeway_counts_at_its_edges_both_ways() -> None:
    token, expires_at = issue(
        kid="k1", key=KEYS["k1"], user=USER, device=1, gen=0, jti="j", now_ms=NOW, lifetime_ms=10_000
    )
    issued_at = expires_at - 10_000
    for leeway_ms in (0, 1, 60_000):
        assert validate(token, KEYS, issued_at - leeway_ms - 1, leeway_ms) is ErrorCode.TOKEN_INVALID
        assert isinstance(validate(token, KEYS, issued_at - leeway_ms, leeway_ms), Auth)
        assert isinstance(validate(token, KEYS, expires_at + leeway_ms - 1, leeway_ms), Auth)
        assert validate(token, KEYS, expires_at + leeway_ms, leeway_ms) is ErrorCode.TOKEN_EXPIRED


def test_a_token_stands_while_its_key_is_in_the_ring() -> None:
    token = a_token(kid="k0-retired", key=KEYS["k0-retired"])
    assert isinstance(validate(token, KEYS, NOW), Auth)
    assert validate(token, {"k1": KEYS["k1"]}, NOW) is ErrorCode.TOKEN_INVALID
    assert validate(token, {**KEYS, "k0-retired": KEYS["k1"]}, NOW) is ErrorCode.TOKEN_INVALID


def test_the_size_bound_is_the_engines() -> None:
    assert TOKEN_BYTES_MAX == Limits().token_bytes_max  # noqa: SIM300


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_flipped_bit_stands(data: st.DataObject) -> None:
    raw = bytearray(a_token().encode())
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    assert validate(raw.decode("latin-1"), KEYS, NOW) is ErrorCode.TOKEN_INVALID


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text_is_refused_and_nothing_is_raised(text: str) -> None:
    assert validate(text, KEYS, NOW) is ErrorCode.TOKEN_INVALID
    assert validate(f"{a_token().split('.')[0]}.{text}", KEYS, NOW) is ErrorCode.TOKEN_INVALID


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*make_tokens.CLAIMS, "nbf"]), _json)
@settings(max_examples=300, deadline=None)
def test_a_signed_token_with_any_claim_is_decided(name: str, value: object) -> None:
    """The holder of a key may sign anything: it is refused or its claims are of the right types, never an exception."""
    verdict = validate(make_tokens.of({name: value}), KEYS, NOW)
    if isinstance(verdict, Auth):
        assert type(verdict.device) is int
        assert type(verdict.gen) is int
        assert len(verdict.user) == 16
        assert verdict.expires_at - NOW <= LIFETIME_MS_MAX + 60_000
