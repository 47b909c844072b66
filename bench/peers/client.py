"""A user of an XMPP server: one connection, as far as the trials need it. What stanzas mean is others' affair."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable

from bench.peers.ejabberd import DOMAIN, PASSWORD
from bench.peers.packages import PeerError
from bench.peers.stanzas import END, NotXmpp, cut
from iris.bench.server import HOST

RESOURCE = "bench"
ANSWER_S = 60.0


def jid(number: int) -> bytes:
    """The address of a user, whichever connection is meant."""
    return f"u{number}@{DOMAIN}".encode()


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, number: int, take: Callable[[bytes], None]) -> None:
        """take: told each message stanza."""
        self.jid = f"u{number}@{DOMAIN}/{RESOURCE}"
        self._user = f"u{number}"
        self._take = take
        self._left = b""
        self._stanzas: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()  # answers to `ask`
        self._out: list[bytes] = []
        self.lost: str | None = None
        self.ended = asyncio.Event()  # by the server's answer to the end of the stream, or because it is lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            found, self._left = cut(self._left + data)
        except NotXmpp as error:
            self.lost = str(error)
            self._transport.abort()
            return
        for name, stanza in found:
            if name == "message":
                self._take(stanza)
            elif name == "end":
                self.ended.set()
            else:
                self._stanzas.put_nowait((name, stanza))
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        if not self.ended.is_set():
            self.lost = self.lost or f"the connection ended: {error}"
        self._stanzas.put_nowait(("", b""))
        self.ended.set()

    def write(self, stanza: bytes) -> None:
        """Goes out with `flush`."""
        self._out.append(stanza)

    def flush(self) -> None:
        """One write for all of a turn."""
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def close(self) -> None:
        """Leave at once."""
        self._transport.abort()

    async def leave(self) -> None:
        """End the stream; everything that the server had for this user has come then. Raises PeerError."""
        self.write(END)
        self.flush()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.ended.wait()
        except TimeoutError:
            raise PeerError(f"{self._user}: the stream did not end within {ANSWER_S:.0f} s") from None
        if self.lost:
            raise PeerError(f"{self._user}: {self.lost}")

    async def log_in(self) -> None:
        """SASL PLAIN, a resource, presence. Raises PeerError."""
        secret = base64.b64encode(f"\0{self._user}\0{PASSWORD}".encode()).decode()
        await self._open()
        await self.ask(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>", "success")
        await self._open()
        bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{RESOURCE}</resource></bind>"
        await self.ask(f"<iq type='set' id='b'>{bind}</iq>", "iq")
        await self.ask("<presence/>", "presence")

    async def _open(self) -> None:
        header = f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client'"
        await self.ask(f"{header} xmlns:stream='http://etherx.jabber.org/streams'>", "stream:features")

    async def ask(self, text: str, wanted: str) -> bytes:
        """Say something that has an answer: the next stanza that is no message. Raises PeerError."""
        self.write(text.encode())
        self.flush()
        try:
            async with asyncio.timeout(ANSWER_S):
                name, stanza = await self._stanzas.get()
        except TimeoutError:
            raise PeerError(f"{self._user}: no {wanted} within {ANSWER_S:.0f} s") from None
        if name != wanted or b"type='error'" in stanza:
            raise PeerError(f"{self._user}: {self.lost or stanza!r} instead of {wanted}")
        return stanza


async def connected(number: int, take: Callable[[bytes], None], port: int, trusted: ssl.SSLContext) -> Client:
    """The user of this number, logged in. Raises PeerError, OSError."""
    client = Client(number, take)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: client, HOST, port, ssl=trusted, server_hostname=HOST)
    await client.log_in()
    return client
