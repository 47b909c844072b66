"""One TLS server for all tests of a worker that do not hurt it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificate import make_certificate
from tests.support.server import Server, serving

QUICK = {  # times of limits.toml that tests wait for
    "limits.offline_grace_ms": 300,
    "limits.outbox_repeat_ms": 300,
    "limits.go_away_ms": 50,
    "limits.lease_ms": 600,
    "limits.lease_renew_ms": 200,
    "limits.logins_per_address_per_minute_max": 100_000,
}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(certificate, key) for localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Server]:
    """Shared: every test registers its own users."""
    with serving(tmp_path_factory.mktemp("shared") / "data", certificate=certificate, settings=QUICK) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A plain server on loopback for one test, which may kill it."""
    with serving(tmp_path / "data", settings=QUICK) as running:
        yield running
