"""DIR/admin.sock: how commands on the same machine ask a running server, as its owner only (mode 0600).

One JSON object a line each way: {"command": NAME, "params": {…}} is answered with {"ok": true, "result": {…}} or
{"ok": false, "error": TEXT}. What a command does is the handler's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 16
REQUEST_TIMEOUT_S = 10.0  # from connecting to the whole request line
PATH_BYTES_MAX = 100  # the kernel takes 107
NAME = "admin.sock"

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class AdminError(Exception):
    """A handler's refusal, told to the caller as it stands; or, on the caller's side, why there is no answer."""


class NotRunning(AdminError):
    """No server serves this data folder."""


class AdminSocket:
    """The server's end. `handlers` maps a command's name to what answers it: params → result, both JSON objects."""

    def __init__(self, data: Path, handlers: Mapping[str, Handler]) -> None:
        self._data = data
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Serve. The caller holds the data folder's lock, so a socket that is there is a dead server's.

        Raises OSError when it cannot be bound.
        """
        with _short_path(self._data) as path, contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            with _short_path(self._data) as path:
                listener.bind(path)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_BYTES_MAX)

    async def stop(self) -> None:
        """Stop serving and remove the socket; a command that is being answered is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with contextlib.suppress(FileNotFoundError):
                (self._data / NAME).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            answer = (
                await self._answer(reader) if self._open <= CONNECTIONS_MAX else _failed("too many commands at once")
            )
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # the caller has gone, or the server is going
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            request = json.loads(await asyncio.wait_for(reader.readline(), REQUEST_TIMEOUT_S))
            command, params = request["command"], request.get("params", {})
            handler = self._handlers.get(command)
        except (ValueError, TypeError, KeyError, AttributeError, TimeoutError):
            return _failed("a request is one line with a JSON object of command and params")
        if handler is None or not isinstance(params, dict):
            return _failed(f"this server does not know {command!r}")
        try:
            return {"ok": True, "result": dict(await handler(params))}
        except AdminError as error:
            return _failed(str(error))
        except Exception as error:  # a fault of one command must not end the server
            return _failed(f"the server failed: {type(error).__name__}: {error}")


def _failed(text: str) -> dict[str, Any]:
    return {"ok": False, "error": text}


def call(data: Path, command: str, params: Mapping[str, Any] | None = None, timeout: float = 600.0) -> dict[str, Any]:
    """Ask the server that serves the folder `data`; waits at most `timeout` seconds.

    Raises NotRunning when there is no server, AdminError with the server's words when it refuses.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    with connection:
        try:
            with _short_path(data) as path:
                connection.connect(path)
        except PermissionError:
            raise AdminError(
                f"{data / NAME} belongs to another user; run this as the user that runs the server"
            ) from None
        except OSError:
            raise NotRunning(f"no server is running on {data}") from None
        try:
            # A server that refuses before it has read leaves its answer; then only the sending fails.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(json.dumps({"command": command, "params": dict(params or {})}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except TimeoutError:
            raise AdminError(f"the server did not answer within {timeout:.0f} s") from None
        except OSError as error:
            raise AdminError(f"the server went away: {error}") from None
    if not line.endswith(b"\n"):
        raise AdminError("the server went away before it answered")
    answer = json.loads(line)
    if not answer["ok"]:
        raise AdminError(answer["error"])
    result: dict[str, Any] = answer["result"]
    return result


@contextlib.contextmanager
def _short_path(data: Path) -> Iterator[str]:
    """A path of the socket that fits into a socket address, however deep the folder is."""
    path = data / NAME
    if len(os.fsencode(path)) <= PATH_BYTES_MAX or not os.path.isdir("/proc/self/fd"):
        yield str(path)
        return
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
