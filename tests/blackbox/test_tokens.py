"""Access tokens at Hello, Refresh and over HTTP: forged, revoked and logged out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.blackbox.client import PASSWORD, Api, Connection, Login, Mailbox, Person, Talk, nonce
from tests.blackbox.conftest import Online
from tests.blackbox.schema import REFRESH
from tests.support.server import Server

Dial = Callable[[], Connection]
TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED = 4510, 4101, 4511
NAMES = {TOKEN_INVALID: ("TOKEN_INVALID", 1020), TOKEN_EXPIRED: ("TOKEN_EXPIRED", 1021)}
NAMES |= {TOKEN_REVOKED: ("TOKEN_REVOKED", 1022)}


def unpack(part: str) -> Any:
    """A part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def pack(raw: bytes | dict[str, Any]) -> str:
    """A part of a JWT."""
    given = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(given).rstrip(b"=").decode()


def signed(iris: Server, like: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token signed with the server's own key, which only its operator has: as `like`, with other claims."""
    head, body, _ = like.split(".")
    given = unpack(head) | (header or {})
    keys = {row["kid"]: row["key"] for row in json.loads((iris.data / "keys.json").read_text())["signing"]}
    key = base64.b64decode(keys[unpack(head)["kid"]].replace("-", "+").replace("_", "/"))
    merged = {name: value for name, value in (unpack(body) | claims).items() if value is not None}
    text = f"{pack(given)}.{pack(merged)}"
    kind = hashlib.sha512 if given["alg"] == "HS512" else hashlib.sha256
    return f"{text}.{pack(hmac.digest(key, text.encode(), kind))}"


def none_alg(iris: Server, like: str) -> str:
    """Unsigned."""
    head, body, _ = like.split(".")
    return f"{pack(unpack(head) | {'alg': 'none'})}.{body}."


def other_body(iris: Server, like: str) -> str:
    """Another user's claims under this signature."""
    head, body, signature = like.split(".")
    return f"{head}.{pack(unpack(body) | {'dev': 2})}.{signature}"


def flipped(iris: Server, like: str) -> str:
    """One letter of the signature is another one."""
    return like[:-10] + ("A" if like[-10] != "A" else "B") + like[-9:]


def now() -> int:
    """In s."""
    return int(time.time())


FORGED: dict[str, tuple[Callable[[Server, str], str], int]] = {
    "none": (none_alg, TOKEN_INVALID),
    "unsigned": (lambda iris, like: like.rpartition(".")[0] + ".", TOKEN_INVALID),
    "other body": (other_body, TOKEN_INVALID),
    "flipped": (flipped, TOKEN_INVALID),
    "empty": (lambda iris, like: "", TOKEN_INVALID),
    "no token": (lambda iris, like: "hello", TOKEN_INVALID),
    "dots": (lambda iris, like: "..", TOKEN_INVALID),
    "long": (lambda iris, like: "x" * 4096, TOKEN_INVALID),
    "kid": (lambda iris, like: signed(iris, like, {"kid": "unknown"}), TOKEN_INVALID),
    "kid path": (lambda iris, like: signed(iris, like, {"kid": "../../../dev/null"}), TOKEN_INVALID),
    "algorithm": (lambda iris, like: signed(iris, like, {"alg": "HS512"}), TOKEN_INVALID),
    "audience": (lambda iris, like: signed(iris, like, aud="other"), TOKEN_INVALID),
    "no audience": (lambda iris, like: signed(iris, like, aud=None), TOKEN_INVALID),
    "too long-lived": (lambda iris, like: signed(iris, like, exp=now() + 90_000), TOKEN_INVALID),
    "for ever": (lambda iris, like: signed(iris, like, exp=None), TOKEN_INVALID),
    "issued tomorrow": (lambda iris, like: signed(iris, like, iat=now() + 3600, exp=now() + 7200), TOKEN_INVALID),
    "no device": (lambda iris, like: signed(iris, like, dev=None), TOKEN_INVALID),
    "device zero": (lambda iris, like: signed(iris, like, dev=0), TOKEN_INVALID),
    "a word as device": (lambda iris, like: signed(iris, like, dev="1"), TOKEN_INVALID),
    "no user": (lambda iris, like: signed(iris, like, sub="me"), TOKEN_INVALID),
    "expired": (lambda iris, like: signed(iris, like, iat=now() - 600, exp=now() - 120), TOKEN_EXPIRED),
    "unknown device": (lambda iris, like: signed(iris, like, dev=77), TOKEN_REVOKED),
    "unknown user": (lambda iris, like: signed(iris, like, sub="0000" + "7" * 22), TOKEN_REVOKED),
    "old generation": (lambda iris, like: signed(iris, like, gen=0), TOKEN_REVOKED),
}


@pytest.mark.parametrize("case", FORGED)
def test_bad_token(iris: Server, dial: Dial, online: Online, api: Api, ada: Person, case: str) -> None:
    make, code = FORGED[case]
    token = make(iris, ada.access)
    name, number = NAMES[code]
    good = online(ada)
    bad = dial()
    bad.put("hello", token=token)
    assert bad.close_code() == code
    good.put("refresh", token=token)
    problem = good.take("problem")
    assert (problem.code, problem.frame) == (number, REFRESH) or problem.code == 1020
    if token:
        answer = api.call("GET", "/me", token)
        assert answer.status_code == 401
        assert answer.json()["title"] == name
    good.alive()  # on the token it has


def test_our_own_signature_is_taken(iris: Server, dial: Dial, ada: Person) -> None:
    """The forgeries above differ by one thing from this one."""
    dial().hello(signed(iris, ada.access, exp=now() + 1800))


def test_refresh_with_the_token_of_another_device(online: Online, ada: Person, bob: Person) -> None:
    by = online(ada)
    for other in (ada.another_device(), bob.login):
        by.put("refresh", token=other.access)
        assert by.take("problem").code == 1020
    by.put("refresh", token=ada.access)
    assert by.take("refreshed").token_expires_at == ada.login.expires_at


def test_log_out_of_all_devices(online: Online, dial: Dial, api: Api, ada: Person) -> None:
    phone = ada.another_device()
    here, there = online(ada), online(phone)
    api.good("DELETE", "/sessions", ada.access)
    assert (here.close_code(), there.close_code()) == (TOKEN_REVOKED, TOKEN_REVOKED)
    again = api.log_in(ada.handle)  # in the same second
    connection = dial()
    assert connection.hello(again.access).device == again.device
    for old in (ada.login, phone):
        late = dial()
        late.put("hello", token=old.access)
        assert late.close_code() == TOKEN_REVOKED
        assert api.call("GET", "/me", old.access).json()["title"] == "TOKEN_REVOKED"
        refused = api.call("POST", "/tokens", json={"refresh_token": old.refresh, "nonce": nonce()})
        assert refused.json()["title"] == "REFRESH_INVALID"
    connection.alive()


def test_log_out_of_the_other_devices(online: Online, dial: Dial, api: Api, ada: Person) -> None:
    phone = ada.another_device()
    here, there = online(ada), online(phone)
    given = api.good("DELETE", "/sessions", ada.access, params={"keep_current": True})
    assert there.close_code() == TOKEN_REVOKED
    assert here.close_code() == TOKEN_EXPIRED  # its token is void too
    dial().hello(given["access_token"])
    assert [row["device"] for row in api.good("GET", "/devices", given["access_token"])["devices"]] == [1]


def test_change_of_password(online: Online, api: Api, dial: Dial, ada: Person) -> None:
    phone = ada.another_device()
    there = online(phone)
    given = api.good(
        "POST", "/me/password", ada.access, json={"old_password": PASSWORD, "new_password": "another battery"}
    )
    assert there.close_code() == TOKEN_REVOKED
    dial().hello(given["access_token"])
    body = {"handle": ada.handle, "password": PASSWORD, "device_name": "x", "nonce": nonce()}
    assert api.call("POST", "/sessions", json=body).json()["title"] == "CREDENTIALS_WRONG"


def test_one_token_is_revoked(online: Online, dial: Dial, api: Api, ada: Person) -> None:
    here, there = online(ada), online(ada.another_device())
    api.good("POST", "/tokens/revoke", ada.access)
    assert here.close_code() == TOKEN_REVOKED
    there.alive()
    late = dial()
    late.put("hello", token=ada.access)
    assert late.close_code() == TOKEN_REVOKED
    given = api.good("POST", "/tokens", json={"refresh_token": ada.login.refresh, "nonce": nonce()})
    assert dial().hello(given["access_token"]).device == ada.login.device  # the device stays linked


def test_device_is_unlinked_by_another(online: Online, api: Api, ada: Person) -> None:
    phone = ada.another_device()
    here, there = online(ada), online(phone)
    api.good("DELETE", f"/devices/{phone.device}", ada.access)
    assert there.close_code() == TOKEN_REVOKED
    here.alive()
    gone = api.call("DELETE", f"/devices/{phone.device}", ada.access)
    assert (gone.status_code, gone.json()["title"]) == (404, "UNKNOWN_DEVICE")


def test_new_device_gets_a_new_number(api: Api, ada: Person) -> None:
    seen = [ada.login.device]
    for _ in range(3):
        phone: Login = ada.another_device()
        assert phone.device > seen[-1]
        seen.append(phone.device)
        api.good("DELETE", "/sessions/current", phone.access)


def test_deleted_account(online: Online, api: Api, ada: Person, bob: Person, talk: Talk) -> None:
    by, to = online(ada), online(bob)
    talk.send(by)
    talk.accepted(by)
    Mailbox().fill(to, lambda box: bool(box.rows))
    answer = api.call("DELETE", "/me", bob.access, json={"password": PASSWORD})
    assert answer.status_code == 204
    assert to.close_code() == TOKEN_REVOKED
    identity = talk.send(by)
    refused = by.take("rejected")
    assert (refused.message_id, refused.code) == (identity, 1007)
    assert api.call("GET", f"/users/{bob.user_id}", ada.access).json()["title"] == "UNKNOWN_USER"
