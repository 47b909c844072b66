"""The HTTP API as docs/protocol.md and /v1/openapi.json describe it."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from tests.blackbox.client import PASSWORD, Api, Person, nonce, person


def refused(answer: httpx.Response, status: int, name: str, code: int) -> Any:
    """An RFC 9457 document of the catalogue."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:iris:error:{name}"
    assert (body["title"], body["status"], body["code"]) == (name, status, code)
    assert body["detail"]
    if status == 401:
        assert "www-authenticate" in answer.headers
    return body


def handle() -> str:
    """A free one."""
    return "h" + secrets.token_hex(8)


def log_in(api: Api, name: str, **changed: Any) -> httpx.Response:
    """POST /v1/sessions."""
    body = {"handle": name, "password": PASSWORD, "device_name": "x", "nonce": nonce()}
    return api.call("POST", "/sessions", json=body | changed)


def test_info(api: Api) -> None:
    given = api.good("GET", "/info")
    assert (given["server"], given["registration"]) == ("iris", "open")
    assert "iris.v1.pb" in given["protocols"]


def test_openapi_is_served(api: Api) -> None:
    paths = api.good("GET", "/openapi.json")["paths"]
    assert {"/v1/users", "/v1/sessions", "/v1/tokens", "/v1/handles/{handle}", "/v1/sessions/current"} <= set(paths)


def test_register_log_in_and_look_up(api: Api) -> None:
    name = handle()
    answer = api.call("POST", "/users", json={"handle": name, "password": PASSWORD, "name": "Ada"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["handle"], made["name"], len(made["user_id"])) == (name, "Ada", 26)
    given = log_in(api, name)
    assert given.status_code == 201
    tokens = given.json()
    assert (tokens["user_id"], tokens["handle"], tokens["device"]) == (made["user_id"], name, 1)
    assert tokens["refresh_token"].startswith("r1.")
    for asked in (name, name.upper(), "@" + name):
        assert api.good("GET", f"/handles/{asked}", tokens["access_token"]) == made
    assert api.good("GET", f"/users/{made['user_id']}", tokens["access_token"]) == made


def test_same_registration_again_gives_the_same_account(api: Api) -> None:
    body = {"handle": handle(), "password": PASSWORD}
    assert api.good("POST", "/users", json=body) == api.good("POST", "/users", json=body)


def test_handle_taken(api: Api, ada: Person, bob: Person) -> None:
    for name in (ada.handle, ada.handle.upper()):
        answer = api.call("POST", "/users", json={"handle": name, "password": "another password"})
        refused(answer, 409, "HANDLE_TAKEN", 1032)
    refused(api.call("PATCH", "/me", bob.access, json={"handle": ada.handle}), 409, "HANDLE_TAKEN", 1032)


def test_handle_may_change_the_user_id_never(api: Api, ada: Person) -> None:
    new = handle()
    assert api.good("PATCH", "/me", ada.access, json={"handle": new})["user_id"] == ada.user_id
    assert api.good("GET", f"/handles/{new}", ada.access)["user_id"] == ada.user_id
    refused(api.call("GET", f"/handles/{ada.handle}", ada.access), 404, "UNKNOWN_USER", 1007)
    assert log_in(api, new).status_code == 201


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("handle", {"handle": "ab", "password": PASSWORD}),
        ("handle", {"handle": "1ab", "password": PASSWORD}),
        ("handle", {"handle": "a" * 33, "password": PASSWORD}),
        ("handle", {"handle": "with space", "password": PASSWORD}),
        ("handle", {"handle": "ümlaut", "password": PASSWORD}),
        ("password", {"handle": "abcd", "password": "short"}),
        ("password", {"handle": "abcd", "password": "x" * 257}),
        ("password", {"handle": "abcd"}),
        ("color", {"handle": "abcd", "password": PASSWORD, "color": "red"}),
    ],
    ids=str,
)
def test_invalid_request_names_the_field(api: Api, field: str, body: dict[str, str]) -> None:
    given = refused(api.call("POST", "/users", json=body), 422, "INVALID_REQUEST", 1040)
    assert any(field in row["field"] for row in given["errors"])
    assert all(row["message"] for row in given["errors"])


def test_body_that_is_not_json(api: Api) -> None:
    for content in (b"{", b"", b"\xff\xfe", b"[]", b'"x"'):
        answer = api.http.post("/users", content=content, headers={"content-type": "application/json"})
        refused(answer, 422, "INVALID_REQUEST", 1040)


def test_wrong_credentials_do_not_tell_which(api: Api, ada: Person) -> None:
    one = refused(log_in(api, ada.handle, password="wrong horse"), 401, "CREDENTIALS_WRONG", 1024)
    two = refused(log_in(api, handle()), 401, "CREDENTIALS_WRONG", 1024)
    assert one["detail"] == two["detail"]


def test_failed_log_ins_are_limited(api: Api, ada: Person) -> None:
    answers = [log_in(api, ada.handle, password="wrong horse") for _ in range(11)]
    given = refused(answers[-1], 429, "RATE_LIMITED", 1004)
    assert given["retry_after_ms"] > 0
    assert int(answers[-1].headers["retry-after"]) > 0


def test_device_limit(api: Api, ada: Person) -> None:
    last = [ada.another_device() for _ in range(3)][-1]
    refused(log_in(api, ada.handle), 409, "DEVICE_LIMIT", 1033)
    assert len(api.good("GET", "/devices", ada.access)["devices"]) == 4
    api.good("DELETE", f"/devices/{last.device}", ada.access)
    assert log_in(api, ada.handle).json()["device"] == 5


def test_log_in_repeated_with_its_nonce_links_no_second_device(api: Api, ada: Person) -> None:
    same = nonce()
    answers = [log_in(api, ada.handle, nonce=same).json() for _ in range(3)]
    assert len({answer["device"] for answer in answers}) == 1
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len(api.good("GET", "/devices", ada.access)["devices"]) == 2


def refresh(api: Api, token: str, with_nonce: str) -> httpx.Response:
    """POST /v1/tokens."""
    return api.call("POST", "/tokens", json={"refresh_token": token, "nonce": with_nonce})


def test_refresh_repeated_with_its_nonce(api: Api, ada: Person) -> None:
    same = nonce()
    answers = [refresh(api, ada.login.refresh, same) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    following = {answer.json()["refresh_token"] for answer in answers}
    assert len(following) == 1
    for answer in answers:
        assert api.good("GET", "/me", answer.json()["access_token"])["user_id"] == ada.user_id
    assert refresh(api, following.pop(), nonce()).status_code == 200


def test_used_refresh_token_with_another_nonce_logs_the_device_out(api: Api, ada: Person) -> None:
    phone = ada.another_device()
    new = refresh(api, ada.login.refresh, nonce()).json()
    refused(refresh(api, ada.login.refresh, nonce()), 401, "REFRESH_INVALID", 1023)
    refused(refresh(api, new["refresh_token"], nonce()), 401, "REFRESH_INVALID", 1023)
    refused(api.call("GET", "/me", new["access_token"]), 401, "TOKEN_REVOKED", 1022)
    assert api.good("GET", "/me", phone.access)["user_id"] == ada.user_id  # the others stay


def test_older_refresh_token_with_its_own_nonce_after_the_next_was_used(api: Api, ada: Person) -> None:
    first = nonce()
    new = refresh(api, ada.login.refresh, first).json()
    assert refresh(api, new["refresh_token"], nonce()).status_code == 200
    refused(refresh(api, ada.login.refresh, first), 401, "REFRESH_INVALID", 1023)


@pytest.mark.parametrize("token", ["", "r1.x", "r1.0000dmgvn26s0h1m97w4v38vsa.1.AAAA", "r9.a.b.c", "x" * 256])
def test_unknown_refresh_token(api: Api, ada: Person, token: str) -> None:
    refused(refresh(api, token, nonce()), 401, "REFRESH_INVALID", 1023)
    api.good("GET", "/me", ada.access)


@pytest.mark.parametrize("wrong", ["short", "x" * 129, "with a space in it", "ü" * 20])
def test_nonce_has_a_form(api: Api, ada: Person, wrong: str) -> None:
    given = refused(refresh(api, ada.login.refresh, wrong), 422, "INVALID_REQUEST", 1040)
    assert given["errors"][0]["field"].endswith("nonce")
    assert refresh(api, ada.login.refresh, nonce()).status_code == 200  # and the token was not used


def test_log_out_of_one_device(api: Api, ada: Person) -> None:
    phone = ada.another_device()
    assert api.call("DELETE", "/sessions/current", phone.access).status_code == 204
    refused(api.call("GET", "/me", phone.access), 401, "TOKEN_REVOKED", 1022)
    refused(refresh(api, phone.refresh, nonce()), 401, "REFRESH_INVALID", 1023)
    assert [row["device"] for row in api.good("GET", "/devices", ada.access)["devices"]] == [1]


def test_devices_say_which_is_asking(api: Api, ada: Person) -> None:
    phone = ada.another_device()
    rows = api.good("GET", "/devices", phone.access)["devices"]
    assert [(row["device"], row["name"], row["current"]) for row in rows] == [
        (1, "laptop", False),
        (phone.device, "phone", True),
    ]
    assert not any(row["online"] for row in rows)


def test_contacts_and_blocks(api: Api, ada: Person, bob: Person) -> None:
    api.good("PUT", f"/contacts/{bob.user_id}", ada.access, json={"name": "Bobby"})
    assert [(row["user_id"], row["name"]) for row in api.good("GET", "/contacts", ada.access)["contacts"]] == [
        (bob.user_id, "Bobby")
    ]
    for _ in range(2):
        api.good("PUT", f"/blocks/{bob.user_id}", ada.access)
    assert api.good("GET", "/blocks", ada.access)["users"] == [bob.user_id]
    for kind in ("contacts", "blocks"):
        refused(api.call("PUT", f"/{kind}/{ada.user_id}", ada.access), 409, "SELF", 1008)
        for _ in range(2):  # no error when it is not there
            api.good("DELETE", f"/{kind}/{bob.user_id}", ada.access)
    nobody = "0000" + "7" * 22
    refused(api.call("PUT", f"/contacts/{nobody}", ada.access), 404, "UNKNOWN_USER", 1007)
    refused(api.call("PUT", "/contacts/not-an-id", ada.access), 422, "INVALID_REQUEST", 1040)


def test_privacy_is_kept(api: Api, ada: Person) -> None:
    assert api.good("GET", "/me", ada.access)["privacy"] == {
        "presence": "everyone",
        "messages": "everyone",
        "read_receipts": True,
    }
    ada.privacy(presence="nobody")
    ada.privacy(read_receipts=False)
    assert api.good("GET", "/me", ada.access)["privacy"] == {
        "presence": "nobody",
        "messages": "everyone",
        "read_receipts": False,
    }
    wrong = api.call("PATCH", "/me", ada.access, json={"privacy": {"presence": "friends"}})
    refused(wrong, 422, "INVALID_REQUEST", 1040)


def test_addresses_and_methods_that_are_not_there(api: Api) -> None:
    refused(api.call("GET", "/nothing"), 404, "NOT_FOUND", 1041)
    answer = api.call("PUT", "/sessions")
    refused(answer, 405, "METHOD_NOT_ALLOWED", 1042)
    assert "POST" in answer.headers["allow"]


def test_body_above_64_kib(api: Api) -> None:
    answer = api.call("POST", "/users", json={"handle": "abcd", "password": "x" * 70_000})
    refused(answer, 413, "REQUEST_TOO_LARGE", 1043)


@pytest.mark.parametrize("path", ["/me", "/devices", "/contacts", "/blocks", "/handles/ada"])
def test_without_a_token(api: Api, path: str) -> None:
    refused(api.call("GET", path), 401, "TOKEN_INVALID", 1020)
    refused(api.http.get(path, headers={"authorization": "Basic eDp5"}), 401, "TOKEN_INVALID", 1020)


def test_unknown_handle(api: Api, ada: Person) -> None:
    refused(api.call("GET", f"/handles/{handle()}", ada.access), 404, "UNKNOWN_USER", 1007)


def test_deleting_the_account_needs_the_password(api: Api) -> None:
    made = person(api)
    wrong = api.call("DELETE", "/me", made.access, json={"password": "wrong horse"})
    refused(wrong, 401, "CREDENTIALS_WRONG", 1024)
    assert api.call("DELETE", "/me", made.access, json={"password": PASSWORD}).status_code == 204
    refused(log_in(api, made.handle), 401, "CREDENTIALS_WRONG", 1024)
