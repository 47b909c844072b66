"""ejabberd in the trials of `promises`: answers are its acks (XEP-0198), and a stanza that comes is shown."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from pathlib import Path

from bench.peers.client import Client, connected, jid
from bench.peers.ejabberd import Ejabberd
from bench.peers.packages import PeerError
from bench.peers.stanzas import MESSAGE_ID

ACKS = "urn:xmpp:sm:3"
_HANDLED = re.compile(rb"""\sh=['"](\d+)['"]""")


class XmppServer:
    """ejabberd, with acks."""

    def __init__(self, server: Ejabberd) -> None:
        self._server = server
        self.kill, self.start = server.kill, server.start
        self._trusted = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(server.root))

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._server.folder

    async def connect(self, user: int) -> XmppDevice:
        """Logged in, present, so that what waits comes. Raises PeerError."""
        came: list[bytes] = []
        try:
            return XmppDevice(await connected(user, came.append, self._server.port, self._trusted), came)
        except OSError as error:
            raise PeerError(f"the server cannot be used: {error!r}") from error


class XmppDevice:
    """One stream."""

    def __init__(self, client: Client, came: list[bytes]) -> None:
        """came: every message stanza, as it comes."""
        self._client, self._came = client, came
        self._sent: int | None = None  # since the server counts

    async def send(self, to: int, numbers: Sequence[int]) -> None:
        """The server says that it has handled them: it has accepted responsibility, in the words of XEP-0198."""
        if self._sent is None:
            await self._client.ask(f"<enable xmlns='{ACKS}'/>", "enabled")
            self._sent = 0
        for number in numbers:
            self._client.write(
                b"<message to='%s' type='chat' id='%d'><body>%d</body></message>" % (jid(to), number, number)
            )
        self._sent += len(numbers)
        answer = await self._client.ask(f"<r xmlns='{ACKS}'/>", "a")
        handled = _HANDLED.search(answer)
        if handled is None or int(handled[1]) != self._sent or self._came:
            raise PeerError(f"{answer!r} and {self._came[:1]} after {self._sent} messages")

    async def take(self) -> list[int]:
        """What came until the stream's end, which is after all that waited."""
        await self._client.leave()
        named = [MESSAGE_ID.match(stanza) for stanza in self._came]
        if None in named:
            raise PeerError(f"a message without a number: {self._came[named.index(None)]!r}")
        return [int(one[1]) for one in named if one]

    async def close(self) -> None:
        """Cut the connection."""
        self._client.close()
