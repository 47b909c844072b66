"""FakeIris behind a real port: WebSocket and the few API routes that a client needs, on the test's own loop.

What a test may do: `server.iris` (pure rules), `drop()` (cut every connection), `hold_answers` (swallow what the
server says while it is set), `stop()` and `start()` on the same port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.ids import user_from_text, user_text
from tests.support.fake_iris import FakeIris, Session, token_of

PASSWORD = "correct horse battery"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class FakeServer:
    """A running server. Make one with `serving()`."""

    def __init__(self, tls: tuple[Path, Path] | None = None) -> None:
        self.iris = FakeIris()
        self.handles: dict[str, bytes] = {}
        self.hold_answers = False
        self.refreshes: list[tuple[str, str]] = []
        self.refresh_tokens: dict[str, tuple[bytes, int]] = {}
        self.lose_next_refresh = False
        self.api_calls = 0
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        self._tls = tls
        self._port = 0
        self._serial = 0
        self._links: dict[Session, WebSocket] = {}
        self._wake: dict[Session, asyncio.Event] = {}
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self._port}"

    def add_user(self, handle: str) -> bytes:
        user = handle.encode().ljust(16, b"\x00")[:16]
        self.handles[handle] = user
        self.iris.add_device(user, 0)  # nobody's: keeps the mailbox
        return user

    # --- running ---

    async def start(self) -> None:
        routes = [
            WebSocketRoute("/v1/connect", self._connect),
            Route("/v1/users", self._register, methods=["POST"]),
            Route("/v1/sessions", self._login, methods=["POST"]),
            Route("/v1/tokens", self._refresh, methods=["POST"]),
            Route("/v1/users/{user}", self._user),
            Route("/v1/handles/{handle}", self._handle),
        ]
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        certificate, key = self._tls or (None, None)
        config = uvicorn.Config(
            Starlette(routes=routes), log_config=None, ws="websockets-sansio", lifespan="off",
            ssl_certfile=certificate, ssl_keyfile=key, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]
        started = asyncio.Event()
        serve_startup = self._server.startup

        async def startup(sockets: list[socket.socket] | None = None) -> None:
            await serve_startup(sockets)
            started.set()

        self._server.startup = startup  # type: ignore[method-assign]
        self._task = asyncio.create_task(self._server.serve([listener]))
        await asyncio.wait_for(started.wait(), 10)

    async def stop(self) -> None:
        assert self._server is not None
        assert self._task is not None
        self.drop()
        self._server.should_exit = True
        await self._task

    def drop(self, code: int = 1001) -> None:
        """End every connection."""
        for session in list(self._links):
            session.close(code)
            self._wake[session].set()

    def flush(self) -> None:
        """What a test has put into sessions goes out."""
        for wake in self._wake.values():
            wake.set()

    # --- WebSocket ---

    async def _connect(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="iris.v1.pb")
        session = Session(self.iris)
        self._links[session] = websocket
        self._wake[session] = asyncio.Event()
        writer = asyncio.create_task(self._write(session, websocket))
        try:
            while session.closed is None:
                data = await websocket.receive_bytes()
                session.receive(pb.ClientFrame.FromString(data), now_ms())
                self.flush()
        except (WebSocketDisconnect, RuntimeError, KeyError):
            session.close(1006)
            self.flush()
        finally:
            await writer
            del self._links[session], self._wake[session]

    async def _write(self, session: Session, websocket: WebSocket) -> None:
        wake = self._wake[session]
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await wake.wait()
                wake.clear()
                out, session.out = session.out, []
                for frame in out:
                    if not self.hold_answers:
                        await websocket.send_bytes(frame.SerializeToString())
                if session.closed is not None:
                    await websocket.close(session.closed if session.closed != 1006 else 1011)
                    return

    # --- API ---

    async def _register(self, request: Request) -> Response:
        body = await request.json()
        if body["handle"] in self.handles:
            return _problem(409, "HANDLE_TAKEN", 1032)
        user = self.add_user(body["handle"])
        return JSONResponse({"user_id": user_text(user), "handle": body["handle"], "name": body.get("name")}, 201)

    async def _login(self, request: Request) -> Response:
        body = await request.json()
        user = self.handles.get(body["handle"])
        if user is None or body["password"] != PASSWORD:
            return _problem(401, "CREDENTIALS_WRONG", 1024)
        device = max(self.iris.mailboxes[user].cursors) + 1
        self.iris.add_device(user, device)
        return JSONResponse({"user_id": user_text(user), "handle": body["handle"], **self._tokens(user, device)}, 201)

    def _tokens(self, user: bytes, device: int) -> dict[str, Any]:
        self._serial += 1
        refresh = f"r1.{self._serial}"
        self.refresh_tokens[refresh] = (user, device)
        return {
            "device": device,
            "access_token": f"{token_of(user, device)}#{self._serial}",
            "expires_at": now_ms() + self.iris.token_ms,
            "refresh_token": refresh,
        }

    async def _refresh(self, request: Request) -> Response:
        body = await request.json()
        used, nonce = body["refresh_token"], body["nonce"]
        self.refreshes.append((used, nonce))
        answer = self._answers.get((used, nonce))
        if answer is None:
            owner = self.refresh_tokens.pop(used, None)
            if owner is None:
                return _problem(401, "REFRESH_INVALID", 1023)
            answer = self._answers[used, nonce] = self._tokens(*owner)
        if self.lose_next_refresh:
            self.lose_next_refresh = False
            return Response("gone", 503)
        return JSONResponse(answer)

    async def _user(self, request: Request) -> Response:
        user = user_from_text(request.path_params["user"])
        return self._account(request, next((h for h, u in self.handles.items() if u == user), ""))

    async def _handle(self, request: Request) -> Response:
        return self._account(request, request.path_params["handle"])

    def _account(self, request: Request, handle: str) -> Response:
        self.api_calls += 1
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in self.iris.expired:
            return _problem(401, "TOKEN_EXPIRED", 1021)
        if handle not in self.handles:
            return _problem(404, "UNKNOWN_USER", 1007)
        return JSONResponse({"user_id": user_text(self.handles[handle]), "handle": handle, "name": None})


def _problem(status: int, name: str, code: int) -> Response:
    body = {"type": f"urn:iris:error:{name}", "title": name, "status": status, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")


@contextlib.asynccontextmanager
async def serving(*handles: str, tls: tuple[Path, Path] | None = None) -> AsyncIterator[FakeServer]:
    """A running server with these users; their password is PASSWORD."""
    server = FakeServer(tls)
    for handle in handles:
        server.add_user(handle)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
