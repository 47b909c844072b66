"""Pages of other origins, forged Host and address headers, and doors that the public port must not have.

A page of another origin may make a visitor's browser send requests here and open WebSockets. It gets nothing by it:
there are no cookies, a token is in a header or in Hello and the page has none, and no answer lets it read anything.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import httpx
import pytest

from tests.blackbox.client import Api, Connection, Person
from tests.blackbox.raw import RawSocket
from tests.e2e.conftest import QUICK
from tests.support.certificate import make_certificate
from tests.support.server import Server, serving

ORIGINS = ("https://evil.example", "null", "http://localhost")
LOG_IN = json.dumps({"handle": "nobody", "password": "a wrong guess", "device_name": "d"})


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_origin_may_read_an_answer(api: Api, ada: Person, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization",
    }
    answers = [
        api.http.options("/me", headers=asked),
        api.http.options("/sessions", headers=asked),
        api.http.get("/info", headers={"Origin": origin}),
        api.call("GET", "/me", ada.access),
        api.http.get("/nowhere", headers={"Origin": origin}),
    ]
    assert [answer.status_code for answer in answers] == [405, 405, 200, 200, 404]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None]
)
def test_a_form_of_another_origin_is_not_read(api: Api, kind: str | None) -> None:
    """These a page may send without asking first: else every visitor's browser would guess passwords for it."""
    headers = {} if kind is None else {"Content-Type": kind}
    answer = api.http.post("/sessions", content=LOG_IN.encode(), headers=headers)
    assert answer.status_code == 422
    assert (
        api.http.post("/sessions", content=LOG_IN.encode(), headers={"Content-Type": "application/json"}).status_code
        == 401
    )


def test_a_websocket_of_another_origin_is_nobody(iris: Server, ada: Person) -> None:
    """No cookie or header of the upgrade counts: without a token in Hello the connection stays a stranger's."""
    headers = {
        "Origin": "https://evil.example",
        "Cookie": f"token={ada.access}",
        "Authorization": f"Bearer {ada.access}",
    }
    connection = Connection(iris.ws_url + f"?token={ada.access}", headers=headers)
    connection.put("hello", token="", cursor={"seq": 0, "rev": 0})
    assert connection.close_code() == 4510  # TOKEN_INVALID


def test_no_answer_sets_a_cookie(api: Api, ada: Person) -> None:
    made = api.http.post("/sessions", json={"handle": ada.handle, "password": "correct horse", "device_name": "d"})
    assert made.status_code == 201
    assert "set-cookie" not in made.headers
    assert len(api.http.cookies) == 0


def test_no_header_of_a_client_is_believed_or_echoed(iris: Server, api: Api, ada: Person) -> None:
    lies = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.66",
        "X-Real-IP": "203.0.113.66",
        "X-Original-URL": "/v1/me",
        "X-HTTP-Method-Override": "DELETE",
        "Forwarded": "for=203.0.113.66;host=evil.example",
        "X-User-Id": ada.user_id,
    }
    for path in ("/info", "/me", "/nowhere"):
        answer = api.http.get(path, headers=lies)
        assert answer.status_code == {"/info": 200, "/me": 401, "/nowhere": 404}[path]
        said = answer.text + str(answer.headers)
        assert "evil.example" not in said
        assert "203.0.113.66" not in said
        assert "strict-transport-security" not in answer.headers
    api.good("GET", "/me", ada.access)  # still there


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/healthz", "/readyz", "/v1/metrics", "/docs", "/redoc", "/openapi.json", "/admin", "/v1/admin",
        "/debug", "/stats", "/v1/stats", "/v1/trace", "/v1/keys/rotate", "/v1/invites", "/v1/backup", "/.env",
        "/keys.json", "/.git/config", "/static/../keys.json", "/assets/../keys.json",
    ],
)  # fmt: skip
def test_the_public_port_has_no_admin_door(iris: Server, path: str) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, iris.url + path, trust_env=False)
        assert answer.status_code == 404, (method, path)


def test_the_admin_port_has_no_public_door_and_changes_nothing(iris: Server) -> None:
    url = next(line for line in iris.lines if line.startswith("iris: admin on ")).split()[-1]
    assert url.startswith("http://127.0.0.1:")
    assert httpx.get(url + "/healthz", trust_env=False).status_code == 200
    for path in ("/v1/info", "/v1/me", "/v1/connect", "/", "/keys", "/stats", "/trace"):
        assert httpx.get(url + path, trust_env=False).status_code == 404
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, url + "/metrics", trust_env=False).status_code == 405


def test_engine_and_api_refuse_with_safe_headers(iris: Server) -> None:
    with RawSocket(iris.port) as sock:
        refused = sock.upgrade(version="8")
    assert refused.status == 426
    assert refused.headers["x-content-type-options"] == "nosniff"
    answer = httpx.get(iris.url + "/v1/me", trust_env=False)
    wanted = {"x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer"}
    assert {name: answer.headers[name] for name in wanted} == wanted
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


def test_over_tls_browsers_are_told_to_stay_with_it(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path)
    with serving(tmp_path / "data", certificate=pair, settings=QUICK) as server:
        for path in ("/v1/info", "/v1/me", "/v1/nowhere"):
            answer = httpx.get(
                server.url + path, verify=ssl.create_default_context(cafile=str(pair[0])), trust_env=False
            )
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        plain = httpx.get(f"http://localhost:{server.port}/v1/info", trust_env=False)
        assert (plain.status_code, "this port speaks TLS" in plain.text) == (400, True)
