"""What every request passes before a route sees it: size, time and number; and what every answer carries.

A request is counted only when its body is there, so somebody who sends a byte a second takes no place from others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import MutableMapping
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iris.core.catalogue import ErrorCode, Limits
from iris.http.problems import Problem
from iris.http.service import Service

_log = logging.getLogger("iris.http")

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_HSTS = "max-age=31536000"
_CLOSE = {"Connection": "close"}  # the rest of the body is not wanted


class Gate:
    """ASGI middleware. Limits: http_body_bytes_max, http_request_timeout_ms, http_requests_max."""

    def __init__(self, app: ASGIApp, service: Service, limits: Limits) -> None:
        self._app = app
        self._service = service
        self._body_bytes_max = limits.http_body_bytes_max
        self._timeout_s = limits.http_request_timeout_ms / 1000
        self._requests_max = limits.http_requests_max
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(scope, message)
            await send(message)

        try:
            body = await self._body(scope, receive)
            if body is None:
                return  # the client has gone
            if self._requests >= self._requests_max:
                raise Problem(ErrorCode.OVERLOADED)
            self._requests += 1
            try:
                async with asyncio.timeout(self._timeout_s) as deadline:
                    await self._app(scope, _replay(body, receive), send_with_headers)
            except TimeoutError:
                if not deadline.expired():
                    raise
                raise Problem(ErrorCode.OVERLOADED) from None
            finally:
                self._requests -= 1
        except Problem as problem:
            if started:
                raise
            await self._service.refuse(problem)(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            # The route, not the path: paths name users.
            route = getattr(scope.get("route"), "path", "no route")
            _log.error("unhandled error in %s %s", scope["method"], route, exc_info=error)
            await self._service.refuse(Problem(ErrorCode.INTERNAL))(scope, receive, send_with_headers)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None when the client went away. Raises Problem when it is too large or too slow."""
        names = {name for name, _ in scope["headers"]}
        if b"content-length" in names and b"transfer-encoding" in names:
            # RFC 9112, 6.1: two lengths are how requests are smuggled past a proxy that believes the other one.
            raise Problem(ErrorCode.INVALID_REQUEST, "A body has one length.", headers=_CLOSE)
        for name, value in scope["headers"]:
            # int() does not raise: the parser lets digits only through.
            if name == b"content-length" and int(value) > self._body_bytes_max:
                raise Problem(ErrorCode.REQUEST_TOO_LARGE, headers=_CLOSE)
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._body_bytes_max:
                        raise Problem(ErrorCode.REQUEST_TOO_LARGE, headers=_CLOSE)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise Problem(ErrorCode.OVERLOADED, "The request did not arrive in time.", headers=_CLOSE) from None


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _add_headers(scope: Scope, message: MutableMapping[str, object]) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)  # the web client's files have a policy of their own
    headers["Date"] = formatdate(time.time(), usegmt=True)
    if scope.get("scheme") == "https":
        headers["Strict-Transport-Security"] = _HSTS
