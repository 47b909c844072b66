"""One server as shipped, for all attacks of a worker that do not hurt it: impatient, so that what hangs ends soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.blackbox.client import Api, Connection, Login, Person, person
from tests.e2e.conftest import QUICK
from tests.support.server import Server, serving

IMPATIENT = QUICK | {
    "limits.upgrade_timeout_ms": 1_500,
    "limits.hello_timeout_ms": 1_500,
    "limits.http_request_timeout_ms": 1_500,
    "limits.close_timeout_ms": 500,
}


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Shared: every test makes its own people."""
    with serving(tmp_path_factory.mktemp("security") / "data", settings=IMPATIENT) as running:
        yield running


@pytest.fixture
def api(iris: Server) -> Api:
    """Of the shared server."""
    return Api(iris.url)


@pytest.fixture
def ada(api: Api) -> Person:
    """Whom it is about."""
    return person(api)


@pytest.fixture
def bob(api: Api) -> Person:
    """Ada's friend."""
    return person(api)


@pytest.fixture
def mallory(api: Api) -> Person:
    """Who has an account, and means harm."""
    return person(api)


Online = Callable[[Person | Login], Connection]


@pytest.fixture
def online(iris: Server) -> Iterator[Online]:
    """A connection that has said Hello with cursor 0, closed with the test."""
    opened: list[Connection] = []

    def call(who: Person | Login) -> Connection:
        connection = Connection(iris.ws_url)
        opened.append(connection)
        connection.hello(who.access)
        return connection

    yield call
    for connection in opened:
        connection.close()
