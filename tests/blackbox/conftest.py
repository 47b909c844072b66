"""One server for all tests of a worker that do not hurt it; one for each that does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.blackbox.client import Api, Connection, Login, Person, Talk, conversation, person
from tests.e2e.conftest import QUICK
from tests.support.server import Server, serving

SHORT = QUICK | {"limits.deliver_repeat_ms": 700, "limits.rewind_interval_ms": 100}


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Shared: every test makes its own people."""
    with serving(tmp_path_factory.mktemp("blackbox") / "data", settings=SHORT) as running:
        yield running


@pytest.fixture
def own_iris(tmp_path: Path) -> Iterator[Server]:
    """For one test, which may kill it."""
    with serving(tmp_path / "data", settings=SHORT) as running:
        yield running


@pytest.fixture
def api(iris: Server) -> Api:
    """Of the shared server."""
    return Api(iris.url)


@pytest.fixture
def dial(iris: Server) -> Iterator[Callable[[], Connection]]:
    """Connections to the shared server, closed with the test."""
    opened: list[Connection] = []

    def call() -> Connection:
        opened.append(Connection(iris.ws_url))
        return opened[-1]

    yield call
    for connection in opened:
        connection.close()


@pytest.fixture
def ada(api: Api) -> Person:
    """Somebody new."""
    return person(api)


@pytest.fixture
def bob(api: Api) -> Person:
    """Somebody else."""
    return person(api)


@pytest.fixture
def talk(ada: Person, bob: Person) -> Talk:
    """Ada's first device writes to Bob."""
    return Talk(conversation(ada.user, bob.user))


Online = Callable[[Person | Login], Connection]


@pytest.fixture
def online(dial: Callable[[], Connection]) -> Online:
    """A connection that has said Hello with cursor 0."""

    def call(who: Person | Login) -> Connection:
        connection = dial()
        connection.hello(who.access)
        return connection

    return call
