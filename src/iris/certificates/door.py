"""The door that an authority knocks at (RFC 8555, 8.3: HTTP-01): open only while a certificate is asked for.

It answers one path for each proof and 404 to everything else, to few connections at a time and for a short time each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

CONNECTIONS_MAX = 32  # an authority comes from a handful of places; strangers get no more than this
SECONDS_MAX = 10.0  # one connection, from accept to its end
HEAD_BYTES_MAX = 8192


class Door:
    """`proofs`: what is answered, by path. To be used in `async with`; raises OSError when no address can be bound."""

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.proofs: dict[str, str] = {}
        self._addresses = addresses
        self._servers: list[asyncio.Server] = []
        self._connections = 0

    async def __aenter__(self) -> Door:
        refused: OSError | None = None
        for host, port in self._addresses:
            try:
                self._servers.append(await asyncio.start_server(self._serve, host, port, limit=HEAD_BYTES_MAX))
            except OSError as error:  # one is enough: not every machine has IPv6
                refused = refused or error
        if refused is not None and not self._servers:
            raise refused
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    @property
    def ports(self) -> list[int]:
        """Where it is open."""
        return [sock.getsockname()[1] for server in self._servers for sock in server.sockets]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                async with asyncio.timeout(SECONDS_MAX):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever does not ask is not answered
        finally:
            self._connections -= 1
            with contextlib.suppress(OSError):
                writer.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].split(b" ")
        proof = self.proofs.get(words[1].decode("ascii", "replace")) if len(words) == 3 and words[0] == b"GET" else None
        status, body = ("404 Not Found", b"") if proof is None else ("200 OK", proof.encode())
        fields = f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\nConnection: close"
        return f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + body
