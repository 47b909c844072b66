"""Pairs that talk over XMPP: half of the users write to the other half, who answer each message with a receipt.

Closed loop: a pair has at most `window` messages without a receipt (XEP-0184). There is no other answer of the server
to wait for, so a message is four transfers here and five with Iris. One thread; what it costs does not count.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.peers.ejabberd import DOMAIN, PASSWORD
from bench.peers.judge import Pair
from bench.peers.packages import PeerError
from bench.peers.stanzas import END, NotXmpp, cut
from iris.bench.server import HOST

RESOURCE = "bench"
LOGINS_AT_ONCE = 16
LOGIN_S = 60.0
DRAIN_S = 20.0
_ID = re.compile(rb"""<message[^>]*\sid=['"](\d+)['"]""")
_BODY = re.compile(rb"<body>([^<]*)</body>")
_RECEIVED = re.compile(rb"""<received[^>]*\sid=['"](\d+)['"]""")


@dataclass
class Seen:
    """What the clients saw: messages with a receipt in the measured time, and how long they took, in seconds."""

    messages: int = 0
    seconds: float = 0.0
    delivered: list[float] = field(default_factory=list)
    receipted: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, number: int, take: Callable[[bytes], None]) -> None:
        """take: told each message stanza, once somebody is logged in."""
        self.jid = f"u{number}@{DOMAIN}/{RESOURCE}"
        self._user = f"u{number}"
        self._take = take
        self._left = b""
        self._stanzas: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._ready = False
        self._out: list[bytes] = []
        self.lost: str | None = None
        self.ended = asyncio.Event()  # the server has answered the end of the stream: nothing comes any more

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
            if not self._ready:
                self._stanzas.put_nowait((name, stanza))
            elif name == "message":
                self._take(stanza)
            elif name == "end":
                self.ended.set()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
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
        """Leave."""
        self._transport.abort()

    async def log_in(self) -> None:
        """SASL PLAIN, a resource, presence. Raises PeerError."""
        secret = base64.b64encode(f"\0{self._user}\0{PASSWORD}".encode()).decode()
        await self._open()
        await self._say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>", "success")
        await self._open()
        bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{RESOURCE}</resource></bind>"
        await self._say(f"<iq type='set' id='b'>{bind}</iq>", "iq")
        await self._say("<presence/>", "presence")
        self._ready = True

    async def _open(self) -> None:
        header = f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client'"
        await self._say(f"{header} xmlns:stream='http://etherx.jabber.org/streams'>", "stream:features")

    async def _say(self, text: str, wanted: str) -> None:
        self._transport.write(text.encode())
        async with asyncio.timeout(LOGIN_S):
            name, stanza = await self._stanzas.get()
        if name != wanted or b"type='error'" in stanza:
            raise PeerError(f"{self._user}: {self.lost or stanza!r} instead of {wanted}")


class Load:
    """All pairs."""

    def __init__(self, pairs: int, window: int, payload: int) -> None:
        self.pairs = [Pair(number) for number in range(pairs)]
        self._window = window
        self._body = b"p" * payload
        self._sent_at: list[deque[float]] = [deque() for _ in range(pairs)]
        self._clients: list[Client] = []
        self._seen: Seen | None = None
        self._stopped = False

    async def run(
        self, port: int, root: bytes, warm_s: float, measure_s: float, on_moment: Callable[[str], None]
    ) -> Seen:
        """Log everybody in, warm up, measure, let everything arrive. Raises PeerError."""
        loop = asyncio.get_running_loop()
        trusted = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(root))
        gate = asyncio.Semaphore(LOGINS_AT_ONCE)

        async def connect(number: int) -> Client:
            async with gate:
                client = Client(number, self._taker(number))
                await loop.create_connection(lambda: client, HOST, port, ssl=trusted, server_hostname=HOST)
                await client.log_in()
                return client

        try:
            self._clients = list(await asyncio.gather(*(connect(number) for number in range(2 * len(self.pairs)))))
            for pair in self.pairs:
                self._fill(pair)
            await asyncio.sleep(warm_s)
            on_moment("measure")
            seen = self._seen = Seen()
            began = time.perf_counter()
            await asyncio.sleep(measure_s)
            seen.seconds = time.perf_counter() - began
            self._seen = None
            on_moment("stop")
            await self._drain()
        except (OSError, TimeoutError) as error:
            raise PeerError(f"the server cannot be used: {error!r}") from error
        finally:
            for client in self._clients:
                client.close()
        return seen

    async def _drain(self) -> None:
        self._stopped = True
        deadline = time.monotonic() + DRAIN_S
        while any(pair.receipted < pair.sent for pair in self.pairs) and time.monotonic() < deadline:
            lost = next((client.lost for client in self._clients if client.lost), None)
            if lost:
                raise PeerError(lost)
            await asyncio.sleep(0.05)
        for client in self._clients:  # what comes twice may come late
            client.write(END)
            client.flush()
        async with asyncio.timeout(DRAIN_S):
            for client in self._clients:
                await client.ended.wait()

    def _taker(self, number: int) -> Callable[[bytes], None]:
        pair = self.pairs[number // 2]
        return (
            (lambda stanza: self._on_message(pair, stanza))
            if number % 2
            else lambda stanza: self._on_receipt(pair, stanza)
        )

    def _fill(self, pair: Pair) -> None:
        sender, receiver = self._clients[2 * pair.number], self._clients[2 * pair.number + 1]
        while not self._stopped and pair.sent - pair.receipted < self._window:
            pair.sent += 1
            self._sent_at[pair.number].append(time.perf_counter())
            sender.write(
                b"<message to='%s' type='chat' id='%d'><body>%s</body><request xmlns='urn:xmpp:receipts'/></message>"
                % (receiver.jid.encode(), pair.sent, self._body)
            )
        sender.flush()

    def _on_message(self, pair: Pair, stanza: bytes) -> None:
        named, body = _ID.match(stanza), _BODY.search(stanza)
        if named is None or body is None:
            pair.faults.append(f"pair {pair.number}: {stanza[:200]!r} is no message")
            return
        message_id = int(named[1])
        pair.on_message(message_id, body[1], self._body)
        if self._seen is not None:
            waiting = self._sent_at[pair.number]
            self._seen.delivered.append(time.perf_counter() - waiting[message_id - pair.receipted - 1])
        receiver, sender = self._clients[2 * pair.number + 1], self._clients[2 * pair.number]
        receiver.write(
            b"<message to='%s' id='r%d'><received xmlns='urn:xmpp:receipts' id='%d'/></message>"
            % (sender.jid.encode(), message_id, message_id)
        )

    def _on_receipt(self, pair: Pair, stanza: bytes) -> None:
        named = _RECEIVED.search(stanza)
        if named is None:
            pair.faults.append(f"pair {pair.number}: {stanza[:200]!r} is no receipt")
            return
        pair.on_receipt(int(named[1]))
        sent_at = self._sent_at[pair.number].popleft()
        if self._seen is not None:
            self._seen.messages += 1
            self._seen.receipted.append(time.perf_counter() - sent_at)
        self._fill(pair)
