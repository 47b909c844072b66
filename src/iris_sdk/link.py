"""One WebSocket to the server. Knows how to open, read, write and close it; not what the frames mean."""

from __future__ import annotations

import base64
import ssl

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from iris_sdk.address import Address
from iris_sdk.catalogue import CloseCode, Limits
from iris_sdk.pinning import wrong_certificate

SUBPROTOCOL = "iris.v1.pb"
EARLY = "iris.v1.pb.early"  # the same, by a server that has taken the Hello of the upgrade
EARLY_HELLO = "iris.early."  # and its bytes in base64url
EARLY_BYTES_MAX = 2048  # a longer Hello comes as a frame: heads of requests have a limit
OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 3.0


class LinkLost(Exception):
    """The connection could not be opened, or is gone. `code`: the close code, None when there was none."""

    def __init__(self, code: int | None, why: str) -> None:
        super().__init__(why)
        self.code = code


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc  # the token goes to the server that was named, nowhere else


class Link:
    """An open connection."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    @classmethod
    async def open(
        cls, address: Address, context: ssl.SSLContext | None, limits: Limits, hello: bytes | None = None
    ) -> Link:
        """`hello`: the first frame, to go with the upgrade. Raises LinkLost, WrongCertificate."""
        offered = [Subprotocol(SUBPROTOCOL)]
        if hello is not None and len(hello) <= EARLY_BYTES_MAX:
            text = base64.urlsafe_b64encode(hello).rstrip(b"=").decode()
            offered += [Subprotocol(EARLY), Subprotocol(EARLY_HELLO + text)]
        try:
            websocket = await _Connect(
                address.connect_url,
                ssl=context,
                subprotocols=offered,
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=limits.ping_interval_ms / 1000,
                ping_timeout=(limits.idle_timeout_ms - limits.ping_interval_ms) / 1000,
                max_size=limits.message_bytes_max,
                proxy=None if address.loopback else True,
            )
        except InvalidStatus as error:
            busy = error.response.status_code in (429, 503)
            code = CloseCode.TOO_MANY_CONNECTIONS if busy else None
            raise LinkLost(code, f"HTTP {error.response.status_code}") from error
        except (OSError, InvalidHandshake, InvalidURI, EOFError) as error:
            if (wrong := wrong_certificate(error)) is not None:
                raise wrong from error
            raise LinkLost(None, str(error) or type(error).__name__) from error
        if websocket.subprotocol not in (SUBPROTOCOL, EARLY):
            await websocket.close()
            raise LinkLost(None, f"the server does not speak {SUBPROTOCOL}")
        return cls(websocket)

    @property
    def greeted(self) -> bool:
        """Whether the server has taken the Hello of the upgrade."""
        return self._websocket.subprotocol == EARLY

    async def recv(self) -> bytes:
        """The next binary message. Raises LinkLost."""
        try:
            while not isinstance(data := await self._websocket.recv(), bytes):
                pass  # text: not of this protocol
        except ConnectionClosed as error:
            raise self._lost(error) from error
        return data

    async def send(self, data: bytes) -> None:
        """Raises LinkLost."""
        try:
            await self._websocket.send(data)
        except ConnectionClosed as error:
            raise self._lost(error) from error

    async def close(self, code: int) -> None:
        await self._websocket.close(code)

    def _lost(self, error: ConnectionClosed) -> LinkLost:
        received = error.rcvd  # a close that we began, after a ping without answer say, is no word of the server's
        return LinkLost(received.code if received is not None else None, str(error))
