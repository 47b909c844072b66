"""The admin port: /metrics, /healthz and /readyz over plain HTTP on loopback, in the server's own event loop.

Because it answers from the event loop, a silent /healthz means that the loop is stuck.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

from iris.config import Address
from iris.connection import Connection

CONNECTIONS_MAX = 32  # one scraper and a few people
BACKLOG = 32
METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
TEXT_TYPE = b"text/plain; charset=utf-8"

Problem = Callable[[], str | None]
"""Says in a line what is wrong; None when nothing is."""


class AdminServer:
    """The admin port. `start` binds and serves, `stop` ends it.

    address: loopback, port 0 chooses one. metrics: the text of /metrics. unhealthy: what makes /healthz fail (500),
    unready: what makes /readyz fail (503): not yet recovered, going away, a shard without its store.
    """

    def __init__(self, address: Address, *, metrics: Callable[[], bytes], unhealthy: Problem, unready: Problem) -> None:
        self._address = address
        self._metrics = metrics
        self._unhealthy = unhealthy
        self._unready = unready
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Serve; returns the URL. Raises OSError when the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
        listener = socket.create_server(tuple(self._address), family=family, backlog=BACKLOG)
        host = f"[{self._address.host}]" if family == socket.AF_INET6 else self._address.host
        config = uvicorn.Config(
            self._app,
            http=Connection,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="admin port")
        return f"http://{host}:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        """End it; open requests get a second."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None

    async def _app(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        status, kind, body = self._answer(scope["method"], scope["path"])
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, TEXT_TYPE, b"only GET\n"
        if path == "/metrics":
            return 200, METRICS_TYPE, self._metrics()
        if path == "/healthz":
            problem = self._unhealthy()
            return 500 if problem else 200, TEXT_TYPE, f"{problem or 'ok'}\n".encode()
        if path == "/readyz":
            problem = self._unready()
            return 503 if problem else 200, TEXT_TYPE, f"{problem or 'ready'}\n".encode()
        return 404, TEXT_TYPE, b"there is /metrics, /healthz and /readyz\n"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the server as a whole."""
        yield


async def measure_lag(observe: Callable[[float], None], interval: float = 0.25) -> None:
    """Tell `observe` every `interval` seconds how many seconds late the event loop was; runs until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        observe(max(0.0, loop.time() - due))
