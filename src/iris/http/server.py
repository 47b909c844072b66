"""Serves the API on a unix socket inside the running event loop.

uvicorn's HTTP protocol does the HTTP; accepting and stopping are done here, because uvicorn's own server takes over
signals and wakes ten times a second. Every connection comes from the engine and starts with a PROXY v2 header that
names the client; one that does not is closed unread. The socket has mode 0600 and is bound before anybody could
connect, so only processes of the same user can claim an address.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from h11 import LocalProtocolError
from uvicorn.server import ServerState

from iris.connection import Connection
from iris.core.catalogue import ErrorCode, Limits
from iris.http.problems import Problem
from iris.http.proxy import ProxyError, read_header
from iris.http.service import Service

_PATH_BYTES_MAX = 107  # sun_path of Linux, without its final NUL
_BACKLOG = 1024


class ApiServer:
    """One listening socket. `start`, then `stop`; both in the same running loop."""

    def __init__(self, app: FastAPI, path: Path, limits: Limits) -> None:
        """`path` is where the socket is made; one left by a crash is replaced."""
        self._path = path
        self._state = _State(app.state.service, limits)
        self._config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # else every malformed request is a line in the log
            access_log=False,
            proxy_headers=False,  # whoever sends X-Forwarded-For is a client
            server_header=False,
            date_header=False,  # uvicorn's is renewed by its own server; the gate adds one
            timeout_keep_alive=max(1, limits.idle_timeout_ms // 1000),
            h11_max_incomplete_event_size=limits.http_head_bytes_max,
        )
        self._server: asyncio.Server | None = None
        self._folder: int | None = None

    @property
    def address(self) -> str:
        """What to connect to, in this process. It differs from the path when that is too long for a socket's name."""
        path = str(self._path)
        if len(os.fsencode(path)) <= _PATH_BYTES_MAX:
            return path
        if self._folder is None:
            self._folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    async def start(self) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        self._config.load()
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(self._path).st_mode):
                raise FileExistsError(f"{self._path} is there and is no socket")
            os.unlink(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            listener.bind(self.address)
            os.chmod(self._path, 0o600)  # nobody can connect before listen()
        except OSError:
            listener.close()
            raise
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connection, sock=listener, backlog=_BACKLOG)

    async def stop(self, grace_ms: int) -> None:
        """Take no more connections, let requests end for `grace_ms`, then cut what is left. May be called twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        for connection in list(self._state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_ms / 1000):
                await self._state.empty.wait()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _connection(self) -> asyncio.Protocol:
        return ProxiedHttp(self._config, self._state, {})


class _State(ServerState):
    """What all connections share; `empty` is set while there is none."""

    def __init__(self, service: Service, limits: Limits) -> None:
        super().__init__()
        self.service = service
        self.connections_max = limits.pipes_max
        self.header_timeout_s = limits.upgrade_timeout_ms / 1000
        self.empty = asyncio.Event()
        self.empty.set()


class ProxiedHttp(Connection):
    """HTTP/1.1 after a PROXY v2 header. Header and each request head must be complete within upgrade_timeout_ms."""

    server_state: _State

    def __init__(self, config: uvicorn.Config, server_state: _State, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self._before_header: bytearray | None = bytearray()
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.server_state.empty.clear()
        self.server = None
        if len(self.connections) > self.server_state.connections_max:
            transport.abort()
            return
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._forget_head_timer()
        if not self.connections:
            self.server_state.empty.set()

    def data_received(self, data: bytes) -> None:
        if self._before_header is not None:
            self._before_header += data
            try:
                found = read_header(self._before_header)
            except ProxyError:
                self.transport.abort()
                return
            if found is None:
                return
            header, length = found
            data = bytes(self._before_header[length:])
            self._before_header = None
            self.client = header.client
            scheme: Literal["http", "https"] = "https" if header.secure else "http"
            self.scheme = scheme
        if data and not self.transport.is_closing():
            super().data_received(data)
            self._watch_head()

    def shutdown(self) -> None:
        if self._before_header is not None:
            self.transport.close()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """HTTP that cannot be parsed: the catalogue's answer, then the end of the connection."""
        response = self.server_state.service.refuse(Problem(ErrorCode.INVALID_REQUEST, "This is not HTTP/1.1."))
        lines = [b"HTTP/1.1 %d " % response.status_code, b"connection: close"]
        lines += [name + b": " + value for name, value in response.raw_headers]
        idle = self.cycle is None or self.cycle.response_complete
        if idle:  # else an earlier answer is on its way, and this one would be mixed into it
            with contextlib.suppress(LocalProtocolError):
                self.conn.send_failed()
            self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body))
        self.transport.close()

    def _watch_head(self) -> None:
        """Give a head that has begun (or the PROXY header) a deadline, which bytes that trickle in do not move."""
        in_request = self.cycle is not None and not self.cycle.response_complete
        if in_request or self.timeout_keep_alive_task is not None:
            self._forget_head_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.server_state.header_timeout_s, self.transport.abort)

    def _forget_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
