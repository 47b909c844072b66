"""The admin port over a real loopback socket."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import httpx
import pytest

from iris.admin import AdminServer, measure_lag
from iris.config import Address

ANY_PORT = Address("127.0.0.1", 0)


class Node:
    """What the port asks about."""

    sick: str | None = None
    busy: str | None = "store is being opened"

    def server(self, address: Address = ANY_PORT) -> AdminServer:
        return AdminServer(
            address, metrics=lambda: b"iris_up 1\n", unhealthy=lambda: self.sick, unready=lambda: self.busy
        )


def with_server(case: Callable[[Node, httpx.AsyncClient, str], Awaitable[None]]) -> None:
    async def run() -> None:
        node = Node()
        server = node.server()
        url = await server.start()
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
                await case(node, client, url)
        finally:
            await server.stop()

    asyncio.run(run())


def test_metrics_health_and_readiness() -> None:
    async def case(node: Node, client: httpx.AsyncClient, _url: str) -> None:
        answer = await client.get("/metrics")
        assert (answer.status_code, answer.text) == (200, "iris_up 1\n")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "store is being opened\n")
        node.busy = None
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/healthz")).text == "ok\n"
        node.sick = "fsync failed"
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.text) == (500, "fsync failed\n")

    with_server(case)


def test_other_paths_and_methods_are_refused() -> None:
    async def case(_node: Node, client: httpx.AsyncClient, _url: str) -> None:
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405
        head = await client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")

    with_server(case)


def test_a_port_in_use_is_an_error_and_signals_are_left_alone() -> None:
    async def case(node: Node, _client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(OSError, match="in use"):
            await node.server(Address("127.0.0.1", int(url.rpartition(":")[2]))).start()
        assert signal.getsignal(signal.SIGTERM) == before

    before = signal.getsignal(signal.SIGTERM)
    with_server(case)


def test_lag_is_measured() -> None:
    async def case() -> None:
        seen: asyncio.Queue[float] = asyncio.Queue()
        task = asyncio.create_task(measure_lag(seen.put_nowait, interval=0.001))
        assert await asyncio.wait_for(seen.get(), 10) >= 0
        task.cancel()

    asyncio.run(case())
