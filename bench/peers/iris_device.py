"""Iris in the trials of `promises`: answers are Accepted, and a row is shown when the receiver's rule takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bench.peers.packages import PeerError
from bench.peers.promises import USERS
from iris.bench.people import Person, register
from iris.bench.server import HOST, BenchServer
from iris.core.ids import direct_conversation
from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.address import Address
from iris_sdk.catalogue import CloseCode, Limits
from iris_sdk.link import Link, LinkLost

STREAM = 1  # of every sender: it goes on numbering where its last connection ended
ANSWER_S = 60.0


class IrisServer:
    """`iris serve` with its users."""

    def __init__(self, server: BenchServer) -> None:
        """Makes the users. Raises BenchError."""
        self._server = server
        self.kill, self.start = server.kill, server.start
        self._people = register(server, USERS, lambda what, done, total: None)

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._server.folder

    async def connect(self, user: int) -> IrisDevice:
        """Welcome has come. Raises PeerError."""
        address = Address(HOST, self._server.port, True, str(self._server.folder / "certificate.pem"))
        try:
            link = await Link.open(address, address.ssl_context(), Limits())
            device = IrisDevice(link, self._people, user)
            await device.greet()
        except LinkLost as error:
            raise PeerError(f"iris serve cannot be used: {error}") from error
        return device


class IrisDevice:
    """One connection, by docs/protocol.md."""

    def __init__(self, link: Link, people: Sequence[Person], user: int) -> None:
        self._link, self._people, self._me = link, people, people[user]
        self._head = 0

    async def greet(self) -> None:
        """Hello and Welcome. Raises PeerError, LinkLost."""
        await self._put(pb.ClientFrame(hello=pb.Hello(token=self._me.token, client="bench.peers")))
        self._head = (await self._read("welcome")).welcome.head

    async def send(self, to: int, numbers: Sequence[int]) -> None:
        """Every one is Accepted: durable, and once for all."""
        conversation = direct_conversation(self._me.user, self._people[to].user)
        for number in numbers:
            send = pb.Send(
                conversation=conversation, stream=STREAM, client_seq=number + 1, answered=numbers[0],
                message_id=number.to_bytes(16, "big"), payload=str(number).encode(), content_type=pb.CONTENT_TYPE_IRIS,
            )  # fmt: skip
            await self._put(pb.ClientFrame(send=send))
        waiting = set(numbers)
        while waiting:
            accepted = (await self._read("accepted")).accepted
            waiting.discard(int.from_bytes(accepted.message_id, "big"))

    async def take(self) -> list[int]:
        """Every row up to the newest one, each acked; no id is compared with another."""
        shown: list[int] = []
        cursor = 0
        while cursor < self._head:
            deliver = (await self._read("deliver")).deliver
            if deliver.prev <= cursor < deliver.seq:
                cursor = deliver.seq
                shown.append(int.from_bytes(deliver.message_id, "big"))
                await self._put(pb.ClientFrame(ack=pb.Ack(seq=cursor)))
        return shown

    async def close(self) -> None:
        """Cut the connection."""
        await self._link.close(CloseCode.NORMAL)

    async def _put(self, frame: pb.ClientFrame) -> None:
        await self._link.send(frame.SerializeToString())

    async def _read(self, wanted: str) -> pb.ServerFrame:
        """The next frame of this name; receipts and the like are passed over."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    frame = pb.ServerFrame.FromString(await self._link.recv())
                    name = frame.WhichOneof("body")
                    if name == wanted:
                        return frame
                    if name in ("rejected", "problem"):
                        raise PeerError(f"instead of {wanted} came {frame}")
        except (LinkLost, TimeoutError) as error:
            raise PeerError(f"no {wanted} came: {error!r}") from error
