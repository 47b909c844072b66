"""Forged and stolen tokens against the server as shipped, at both doors: the API, and Hello on the WebSocket.

The rules of a token are in iris.core.tokens and its vectors; here each trick meets the real key file and real shards.
`signed` makes tokens with the server's own key, so that exactly one thing is wrong with each.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.blackbox.client import Api, Connection, Person, nonce
from tests.blackbox.test_tokens import pack, signed, unpack
from tests.security.conftest import Online
from tests.support.server import Server

INVALID, EXPIRED, REVOKED = (4510, "TOKEN_INVALID"), (4101, "TOKEN_EXPIRED"), (4511, "TOKEN_REVOKED")
LEEWAY_S = 60
SLACK_S = 20  # how long a test may take between making a token and the server's look at it


def at_both_doors(iris: Server, api: Api, token: str) -> tuple[int, str]:
    """Close code of a connection that says Hello with it, and the API's refusal."""
    connection = Connection(iris.ws_url)
    connection.put("hello", token=token)
    answer = api.call("GET", "/me", token)
    assert answer.status_code == 401
    return connection.close_code(), answer.json()["title"]


def with_header(iris: Server, like: str, **header: Any) -> str:
    """Signed by the right key, under another header; None takes a field away."""
    head, body, _ = like.split(".")
    given = {name: value for name, value in (unpack(head) | header).items() if value is not None}
    return resigned(iris, like, pack(given), body)


def resigned(iris: Server, like: str, head: str, body: str, secret: bytes | None = None) -> str:
    """Any two parts, signed by the server's key or by `secret`."""
    rows = json.loads((iris.data / "keys.json").read_text())["signing"]
    (text,) = (row["key"] for row in rows if row["kid"] == unpack(like.split(".")[0])["kid"])
    key = base64.urlsafe_b64decode(text) if secret is None else secret
    return f"{head}.{body}.{pack(hmac.digest(key, f'{head}.{body}'.encode(), hashlib.sha256))}"


KIDS: dict[str, Any] = {
    "missing": None,
    "empty": "",
    "path": "../../../../dev/null",
    "absolute path": "/etc/hostname",
    "URL": "https://evil.example/key",
    "SQL": "' UNION SELECT 'secret' -- ",
    "command": "$(id)",
    "NUL": "k\0",
    "array": ["k1"],
    "object": {"k": 1},
    "number": 0,
    "true": True,
    "huge": "k" * 100,
    "of another script": "кид",
    "python": "__class__",
}
HEADERS: dict[str, dict[str, Any]] = {
    "alg none": {"alg": "none"},
    "alg NONE": {"alg": "NONE"},
    "alg empty": {"alg": ""},
    "alg missing": {"alg": None},
    "alg array": {"alg": ["HS256"]},
    "RS256 with our secret (RS/HS confusion)": {"alg": "RS256"},
    "ES256": {"alg": "ES256"},
    "HS384": {"alg": "HS384"},
    "a key of the forger's": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "a key at an address": {"jku": "https://evil.example/keys"},
    "a certificate": {"x5u": "https://evil.example/c", "x5c": ["MIIB"]},
    "critical": {"crit": ["exp"]},
    "nested": {"cty": "JWT"},
    "typ": {"typ": "at+jwt"},
    "unencoded payload (RFC 7797)": {"b64": False},
}


@pytest.mark.parametrize("kid", KIDS.values(), ids=list(KIDS))
def test_kid_names_a_key_of_the_ring_or_nothing(iris: Server, api: Api, ada: Person, kid: Any) -> None:
    assert at_both_doors(iris, api, with_header(iris, ada.access, kid=kid)) == INVALID


@pytest.mark.parametrize("header", HEADERS.values(), ids=list(HEADERS))
def test_one_algorithm_and_no_key_but_ours(iris: Server, api: Api, ada: Person, header: dict[str, Any]) -> None:
    assert at_both_doors(iris, api, with_header(iris, ada.access, **header)) == INVALID


@pytest.mark.parametrize("secret", [b"", b"secret", b"iris", b"\0" * 32, b"HS256"])
def test_secrets_that_people_choose_sign_nothing(iris: Server, api: Api, ada: Person, secret: bytes) -> None:
    head, body, _ = ada.access.split(".")
    assert at_both_doors(iris, api, resigned(iris, ada.access, head, body, secret)) == INVALID


def test_every_truncation_and_every_changed_letter(iris: Server, api: Api, ada: Person) -> None:
    """The API alone: the WebSocket's door calls the same function (test_tokens.py of the edge and of the core)."""
    token = ada.access
    changed = [token[:cut] for cut in range(1, len(token), 7)]
    changed += [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 5)]
    changed += [token + "A", token + ".", token + "=", "." + token, token.replace(".", "..", 1), token * 2]
    for text in changed:
        assert api.call("GET", "/me", text).json()["title"] == "TOKEN_INVALID", text
    assert api.call("GET", "/me", token).status_code == 200


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"iat": -3600, "exp": -LEEWAY_S - 1}, EXPIRED),
        ({"iat": LEEWAY_S + SLACK_S, "exp": 3600}, INVALID),
        ({"iat": -10, "exp": 24 * 3600 - 9}, INVALID),
        ({"iat": -10, "exp": -10}, INVALID),
        ({"iat": 10, "exp": -10}, INVALID),
        ({"nbf": LEEWAY_S + SLACK_S}, INVALID),
        ({"iat": -3600, "exp": 2**53}, INVALID),
    ],
)
def test_times_outside_their_edges(
    iris: Server, api: Api, ada: Person, claims: dict[str, int], expected: tuple[int, str]
) -> None:
    now = int(time.time())
    moved = {name: now + value if abs(value) < 10**9 else value for name, value in claims.items()}
    assert at_both_doors(iris, api, signed(iris, ada.access, None, **moved)) == expected


@pytest.mark.parametrize(
    "claims",
    [{"iat": -3600, "exp": -LEEWAY_S + SLACK_S}, {"iat": LEEWAY_S - 1, "exp": 3600}, {"iat": 0, "exp": 86_400}],
)
def test_times_within_their_edges(iris: Server, api: Api, ada: Person, claims: dict[str, int]) -> None:
    """A clock may differ by LEEWAY_S either way; the exact ms is tested where the clock is the test's own."""
    now = int(time.time())
    token = signed(iris, ada.access, None, **{name: now + value for name, value in claims.items()})
    assert api.call("GET", "/me", token).status_code == 200
    Connection(iris.ws_url).hello(token)


# --- stolen ---
ENDS: dict[str, Callable[[Person], Any]] = {
    "log out": lambda ada: ada.api.good("DELETE", "/sessions/current", ada.access),
    "log out everywhere": lambda ada: ada.api.good("DELETE", "/sessions", ada.access),
    "unlinked by another device": lambda ada: ada.api.good("DELETE", "/devices/1", ada.another_device().access),
    "revoked": lambda ada: ada.api.good("POST", "/tokens/revoke", ada.access),
    "new password": lambda ada: ada.api.good(
        "POST", "/me/password", ada.access, json={"old_password": "correct horse", "new_password": "another one"}
    ),
    "deleted": lambda ada: ada.api.good("DELETE", "/me", ada.access, json={"password": "correct horse"}),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_a_token_replayed_after_its_end(iris: Server, api: Api, ada: Person, online: Online, end: Any) -> None:
    """Who stole a token loses it with its owner's log-out, in an open session too, and not a request later."""
    thief = online(ada)
    end(ada)
    assert api.call("GET", "/me", ada.access).json()["title"] == "TOKEN_REVOKED"
    assert thief.close_code() in (4511, 4101)  # 4101 where the device stays: its owner has a newer token
    assert at_both_doors(iris, api, ada.access) == REVOKED


def rotate(api: Api, refresh: str) -> httpx.Response:
    """A refresh with a nonce of its own."""
    return api.http.post("/tokens", json={"refresh_token": refresh, "nonce": nonce()})


def test_a_stolen_refresh_token_ends_with_its_second_use(iris: Server, api: Api, ada: Person, online: Online) -> None:
    """Thief first or owner first: the second use ends the device, its session and every token of both."""
    thief = rotate(api, ada.login.refresh).json()
    live = online(ada)
    assert rotate(api, ada.login.refresh).json()["title"] == "REFRESH_INVALID"
    assert live.close_code() == 4511
    for token in (thief["access_token"], ada.access):
        assert at_both_doors(iris, api, token) == REVOKED
    for refresh in (thief["refresh_token"], ada.login.refresh):
        assert rotate(api, refresh).json()["title"] == "REFRESH_INVALID"


def test_two_refreshes_at_once_are_never_both_good(api: Api, ada: Person) -> None:
    """The race of owner and thief, many times: one wins, then the reuse is seen and the device is gone."""
    for _ in range(12):
        login = api.log_in(ada.handle)
        start = threading.Barrier(2)
        answers: list[httpx.Response] = []

        def race(start: Any = start, answers: list[httpx.Response] = answers, refresh: str = login.refresh) -> None:
            own = Api(str(api.http.base_url).removesuffix("/v1/"))
            start.wait(10)
            answers.append(rotate(own, refresh))

        threads = [threading.Thread(target=race) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(answer.status_code for answer in answers) == [200, 401]
        (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert api.call("GET", "/me", winner["access_token"]).json()["title"] == "TOKEN_REVOKED"
        assert rotate(api, winner["refresh_token"]).json()["title"] == "REFRESH_INVALID"


def test_a_refresh_token_belongs_to_its_device(api: Api, ada: Person, mallory: Person) -> None:
    """Mallory puts Ada's id, or another device, in front of her own secret."""
    ada.another_device()
    _, _, number, secret = mallory.login.refresh.split(".")
    for text in (
        f"r1.{ada.user_id}.{number}.{secret}",
        f"r1.{ada.user_id}.2.{secret}",
        f"r1.{mallory.user_id}.2.{secret}",
    ):
        assert rotate(api, text).json()["title"] == "REFRESH_INVALID"
    assert rotate(api, ada.login.refresh).status_code == 200
    assert rotate(api, mallory.login.refresh).status_code == 200
