"""Pairs that talk over XMPP: half of the users write to the other half, who answer each message with a receipt.

Closed loop: a pair has at most `window` messages without a receipt (XEP-0184). There is no other answer of the server
to wait for, so a message is four transfers here and five with Iris. One thread; what it costs does not count.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.peers.client import Client, connected
from bench.peers.judge import Pair
from bench.peers.packages import PeerError
from bench.peers.stanzas import MESSAGE_ID

LOGINS_AT_ONCE = 16
DRAIN_S = 20.0
_BODY = re.compile(rb"<body>([^<]*)</body>")
_RECEIVED = re.compile(rb"""<received[^>]*\sid=['"](\d+)['"]""")


@dataclass
class Seen:
    """What the clients saw: messages with a receipt in the measured time, and how long they took, in seconds."""

    messages: int = 0
    seconds: float = 0.0
    delivered: list[float] = field(default_factory=list)
    receipted: list[float] = field(default_factory=list)


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
        trusted = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(root))
        gate = asyncio.Semaphore(LOGINS_AT_ONCE)

        async def connect(number: int) -> Client:
            async with gate:
                return await connected(number, self._taker(number), port, trusted)

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
        async with asyncio.timeout(DRAIN_S):
            await asyncio.gather(*(client.leave() for client in self._clients))  # what comes twice may come late

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
        named, body = MESSAGE_ID.match(stanza), _BODY.search(stanza)
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
