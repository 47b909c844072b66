"""A connection of the HTTP servers leaves nothing behind that only the garbage collector could free."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from iris.connection import Connection

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def ask(times: int) -> None:
    """So many connections with a request each, one after the other."""
    config = uvicorn.Config(app, http=Connection, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    for _ in range(times):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(REQUEST)
        assert (await reader.read()).endswith(b"ok")
        writer.transport.abort()
        writer.transport._read_ready_cb = None  # type: ignore[attr-defined]  # the client's own, likewise
        await writer.transport._protocol._closed  # type: ignore[attr-defined]
    server.close()
    await server.wait_closed()


def test_a_connection_that_has_ended_is_freed_at_once() -> None:
    asyncio.run(ask(1))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        asyncio.run(ask(10))
        gc.collect()
        found = Counter(type(one).__name__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert found["_SelectorSocketTransport"] == 0, found
    assert found["Connection"] == 0
