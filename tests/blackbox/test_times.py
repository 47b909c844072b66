"""What happens when time runs out: on a server with short times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blackbox.client import Api, Connection, nonce, person
from tests.blackbox.conftest import SHORT
from tests.blackbox.raw import CLOSE, PING, RawSocket
from tests.blackbox.schema import client_frame
from tests.support.server import Server, serving

HELLO_TIMEOUT, IDLE_TIMEOUT, TOKEN_EXPIRED, GOING_AWAY = 4001, 4002, 4101, 1001
HASTY = SHORT | {
    "limits.hello_timeout_ms": 500,
    "limits.ping_interval_ms": 400,
    "limits.idle_timeout_ms": 900,
    "token_lifetime_s": 3,
    "clock_leeway_s": 0,
}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Times of a second instead of a minute."""
    with serving(tmp_path_factory.mktemp("hasty") / "data", settings=HASTY) as running:
        yield running


def test_hello_timeout(hasty: Server) -> None:
    assert Connection(hasty.ws_url).close_code() == HELLO_TIMEOUT


def test_silent_client_is_pinged_then_closed(hasty: Server) -> None:
    someone = person(Api(hasty.url))
    with RawSocket(hasty.port) as raw:
        assert raw.upgrade().status == 101
        raw.frame(client_frame("hello", token=someone.access))
        seen: list[int] = []
        while CLOSE not in seen:
            opcode, payload = raw.next()
            seen.append(opcode)
        assert PING in seen
        assert int.from_bytes(payload[:2], "big") == IDLE_TIMEOUT


def test_welcome_tells_the_times(hasty: Server) -> None:
    connection = Connection(hasty.ws_url)
    limits = connection.hello(person(Api(hasty.url)).access).limits
    assert (limits.ping_interval_ms, limits.idle_timeout_ms) == (400, 900)
    connection.close()


def test_refresh_in_band_keeps_the_connection(hasty: Server) -> None:
    api = Api(hasty.url)
    someone = person(api)
    connection = Connection(hasty.ws_url)
    ends = connection.hello(someone.access).token_expires_at
    refresh, new = someone.login.refresh, {"expires_at": 0}
    while new["expires_at"] < ends + 1000:  # the times of tokens are whole seconds
        with pytest.raises(TimeoutError):
            connection.read(0.2)
        new = api.good("POST", "/tokens", json={"refresh_token": refresh, "nonce": nonce()})
        refresh = new["refresh_token"]
    connection.put("refresh", token=new["access_token"])
    assert connection.take("refreshed").token_expires_at == new["expires_at"]
    while api.call("GET", "/me", someone.access).status_code == 200:  # until the first token is over
        with pytest.raises(TimeoutError):
            connection.read(0.1)
    connection.alive()
    assert connection.close_code() == TOKEN_EXPIRED


def test_expired_token(hasty: Server) -> None:
    api = Api(hasty.url)
    someone = person(api)
    waiting = Connection(hasty.ws_url)
    waiting.hello(someone.access)
    assert waiting.close_code() == TOKEN_EXPIRED  # so it is over now
    answer = api.call("GET", "/me", someone.access)
    assert (answer.status_code, answer.json()["title"]) == (401, "TOKEN_EXPIRED")
    connection = Connection(hasty.ws_url)
    connection.put("hello", token=someone.access)
    assert connection.close_code() == TOKEN_EXPIRED
    given = api.good("POST", "/tokens", json={"refresh_token": someone.login.refresh, "nonce": nonce()})
    connection = Connection(hasty.ws_url)
    connection.hello(given["access_token"])
    connection.put("refresh", token=someone.access)
    assert connection.take("problem").code == 1021
    connection.alive()
    connection.close()


def test_shutdown_says_go_away(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=SHORT) as server:
        connection = Connection(server.ws_url)
        api = Api(server.url)
        connection.hello(person(api).access)
        api.http.close()
        assert server.stop() == 0
        assert connection.take("go_away").within_ms > 0
        assert connection.close_code() == GOING_AWAY
