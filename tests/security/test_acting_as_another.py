"""Mallory, logged in as herself, tries to be Ada: on every operation of the API and on every frame.

Both lists come from what the server publishes (openapi.json, frames.proto), so a new operation or frame without a row
here fails.
"""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.blackbox.client import (
    PASSWORD,
    Api,
    Closed,
    Connection,
    Person,
    Talk,
    conversation,
    message_id,
    person,
    text,
)
from tests.blackbox.schema import new
from tests.security.conftest import Online
from tests.support.server import Server

PRIVATE = "what only Ada should see"

# operation → the body that Mallory sends with her own token. Path parameters name Ada and Ada's devices.
WITH_TOKEN: dict[str, dict[str, Any] | None] = {
    "GET /v1/me": None,
    "PATCH /v1/me": {"name": "Mallory was here", "privacy": {"presence": "nobody"}},
    "DELETE /v1/me": {"password": PASSWORD},
    "POST /v1/me/password": {"old_password": PASSWORD, "new_password": "mallory's own"},
    "DELETE /v1/sessions": None,
    "DELETE /v1/sessions/current": None,
    "POST /v1/tokens/revoke": None,
    "GET /v1/devices": None,
    "POST /v1/me/link-code": None,
    "DELETE /v1/devices/{device}": None,
    "GET /v1/contacts": None,
    "PUT /v1/contacts/{user_id}": {"name": "Mallory's name for Ada"},
    "DELETE /v1/contacts/{user_id}": None,
    "GET /v1/blocks": None,
    "PUT /v1/blocks/{user_id}": None,
    "DELETE /v1/blocks/{user_id}": None,
    "GET /v1/users/{user_id}": None,
    "GET /v1/handles/{handle}": None,
}
# What needs no token: who it acts for is shown by a password, a refresh token, nobody (test_guessing.py), or by a link
# code (test_link_codes.py).
WITHOUT_TOKEN = {
    "POST /v1/users", "POST /v1/sessions", "POST /v1/sessions/link-code", "POST /v1/tokens", "GET /v1/info",
}  # fmt: skip


@pytest.fixture
def ada(ada: Person, bob: Person) -> Person:
    """With three devices, a contact, a block, and privacy of her own."""
    ada.another_device()
    ada.another_device()
    ada.privacy(presence="contacts", messages="contacts", read_receipts=False)
    ada.api.good("PUT", f"/contacts/{bob.user_id}", ada.access, json={"name": PRIVATE})
    ada.api.good("PUT", f"/blocks/{person(ada.api).user_id}", ada.access)
    return ada


def kept(who: Person) -> list[Any]:
    """All that the API shows of somebody to that one; the times at which devices were seen left out."""
    shown = [who.api.good("GET", path, who.access) for path in ("/me", "/contacts", "/blocks")]
    devices = who.api.good("GET", "/devices", who.access)["devices"]
    return [*shown, [(device["device"], device["name"], device["linked_at"]) for device in devices]]


def test_every_operation_has_its_row(api: Api) -> None:
    found: dict[str, bool] = {}
    for path, methods in api.good("GET", "/openapi.json")["paths"].items():
        for method, operation in methods.items():
            found[f"{method.upper()} {path}"] = bool(operation.get("security"))
    assert {name for name, needs_token in found.items() if needs_token} == set(WITH_TOKEN)
    assert {name for name, needs_token in found.items() if not needs_token} == WITHOUT_TOKEN


def call(api: Api, operation: str, target: Person, token: str | None, **options: Any) -> Any:
    """An operation whose path names `target`."""
    method, path = operation.removeprefix("/v1").split(" ")
    named = path.format(device=3, user_id=target.user_id, handle=target.handle).removeprefix("/v1")
    return api.call(method, named, token, **options)


def test_without_a_token_nothing_is_told(api: Api, ada: Person) -> None:
    before = kept(ada)
    for operation, body in WITH_TOKEN.items():
        for token in (None, "x", ada.login.refresh, ada.user_id):
            answer = call(api, operation, ada, token, json=body)
            assert (answer.status_code, answer.json()["title"]) == (401, "TOKEN_INVALID"), operation
            assert ada.handle not in answer.text
    assert kept(ada) == before


@pytest.mark.parametrize("operation", WITH_TOKEN)
def test_with_a_token_of_her_own_mallory_acts_as_herself(
    api: Api, ada: Person, mallory: Person, online: Online, operation: str
) -> None:
    live, before = online(ada), kept(ada)
    claims = {"user_id": ada.user_id, "user": ada.user_id, "sub": ada.user_id, "device": "1", "as": ada.handle}
    headers = {"X-User-Id": ada.user_id, "X-Forwarded-User": ada.handle, "Cookie": f"user={ada.user_id}"}
    body = WITH_TOKEN[operation]
    method, path = operation.split(" ")
    named = path.format(device=3, user_id=ada.user_id, handle=ada.handle).removeprefix("/v1")
    headers["Authorization"] = f"Bearer {mallory.access}"
    answer = api.http.request(method, named, json=body, params=claims, headers=headers)
    assert answer.status_code < 500
    said = answer.text
    for private in (PRIVATE, *(entry["user_id"] for entry in before[1]["contacts"]), *before[2]["users"]):
        assert private not in said
    assert kept(ada) == before
    live.alive()


def test_a_body_cannot_name_another_user(api: Api, ada: Person, mallory: Person) -> None:
    before = kept(ada)
    for operation in [name for name, body in WITH_TOKEN.items() if body is not None]:
        for name in ("user_id", "user", "sub", "id", "device", "auth", "gen"):
            body = {**(WITH_TOKEN[operation] or {}), name: ada.user_id}
            answer = call(api, operation, ada, mallory.access, json=body)
            assert answer.status_code == 422, (operation, name)
    assert kept(ada) == before


def test_two_authorizations_are_not_the_second_one(api: Api, ada: Person, mallory: Person) -> None:
    both = [("Authorization", f"Bearer {mallory.access}"), ("Authorization", "Bearer x"), ("Proxy-Authorization", "x")]
    answer = api.http.get("/me", headers=both)
    assert answer.status_code == 401 or answer.json()["user_id"] == mallory.user_id


# --- frames ---
def strange(ada: Person, bob: Person, mallory: Person) -> list[bytes]:
    """Conversations that Mallory has no part in, or that are none."""
    low, high = sorted((ada.user, mallory.user))
    return [
        conversation(ada.user, bob.user),
        ada.user + ada.user,
        mallory.user + mallory.user,
        high + low,
        (low + high)[:-1],
        low + high + b"\0",
        low,
        b"",
        b"\0" * 32,
        b"\xff" * 32,
    ]


def attempts(name: str, ada: Person, bob: Person, mallory: Person) -> list[dict[str, Any]]:
    """What Mallory says in frames of this name. KeyError for a frame that nobody has thought about."""
    where = strange(ada, bob, mallory)
    theirs = where[0]
    message = {"stream": 1, "client_seq": 1, "payload": text("I am Ada"), "content_type": 1}
    high = 2**62
    known: dict[str, list[dict[str, Any]]] = {
        "hello": [{"token": ada.access, "cursor": {"seq": 0, "rev": 0}}, {"token": "x"}],
        "send": [message | {"conversation": each, "message_id": message_id()} for each in where],
        "ack": [{"seq": high, "rev": 0}, {"seq": 0, "rev": high}, {"seq": high, "rev": high}],
        "read": [{"conversation": each, "seq": seq} for each in where for seq in (0, 1, high)],
        "typing": [{"conversation": each, "active": True} for each in where],
        "watch": [{"users": [ada.user, bob.user]}, {"users": [theirs]}, {"users": [ada.user] * 200}],
        "refresh": [{"token": token} for token in (ada.access, ada.login.refresh, bob.access, "")],
    }
    return known[name]


FRAMES = [field.name for field in new("ClientFrame").DESCRIPTOR.oneofs_by_name["body"].fields]


@pytest.mark.parametrize("name", FRAMES)
def test_no_frame_speaks_for_another(
    iris: Server, ada: Person, bob: Person, mallory: Person, online: Online, name: str
) -> None:
    """Ada and Bob, both online and in conversation, notice nothing, whatever Mallory says."""
    a, b = online(ada), online(bob)
    talk = Talk(conversation(ada.user, bob.user))
    b_to_a = Talk(talk.conversation)
    b_to_a.send(b)
    b_to_a.accepted(b)
    a.take("deliver")
    for fields in attempts(name, ada, bob, mallory):
        connection = online(mallory)
        connection.put(name, **fields)
        outcome = said(connection)
        allowed = {"problem", "rejected", "closed", *(["presence"] if name == "watch" else [])}
        assert {word for word, _ in outcome} <= allowed, (fields, outcome)
        statuses = [body.status for word, body in outcome if word == "presence" and body.user == ada.user]
        assert set(statuses) <= {1}, "Ada shows herself to contacts only"
    for their in (a, b):
        their.alive()
        assert [word for word in their.names() if word != "own"] == []


def said(connection: Connection) -> list[tuple[str, Any]]:
    """What the server says to a connection: frames, then perhaps that it is closed."""
    end: list[tuple[str, Any]] = []
    try:
        connection.alive()
    except (Closed, ConnectionClosed) as closed:
        end = [("closed", closed)]
    found = [(frame.WhichOneof("body"), frame) for frame in connection.waiting]
    connection.waiting.clear()
    return [(word, getattr(frame, word)) for word, frame in found] + end


def test_the_sender_of_a_row_is_who_sent_it(ada: Person, bob: Person, mallory: Person, online: Online) -> None:
    """Deliver.sender comes from the token: there is no field with which Mallory could say that she is Ada."""
    m, b = online(mallory), online(bob)
    talk = Talk(conversation(mallory.user, bob.user))
    talk.send(m, "from Ada, really")
    talk.accepted(m)
    row = b.take("deliver")
    assert (row.sender, row.device) == (mallory.user, mallory.login.device)
    assert "sender" not in {field.name for field in new("Send").DESCRIPTOR.fields}


def test_a_mailbox_is_read_with_the_owners_token_only(
    ada: Person, bob: Person, mallory: Person, online: Online, iris: Server
) -> None:
    """Whatever cursor Mallory says Hello with, she is served from her own mailbox."""
    b = online(bob)
    ada.privacy(messages="everyone")
    talk = Talk(conversation(ada.user, bob.user))
    talk.send(b, PRIVATE)
    at = talk.accepted(b).seq
    for seq in (0, at - 1, at, at + 1, 2**53):
        m = Connection(iris.ws_url)
        welcome = m.hello(mallory.access, seq=seq)
        assert welcome.user == mallory.user
        m.alive()
        assert m.names() == []
        assert PRIVATE not in str(welcome)
        m.close()
    assert text(PRIVATE) == online(ada).take("deliver").payload
