"""A WebSocket by hand, for what no library would send: broken upgrades and broken WebSocket frames."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Answer:
    """An HTTP answer: status, headers in lower case, the start of the body."""

    status: int
    headers: dict[str, str]
    rest: bytes


class RawSocket:
    """A TCP connection to the server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.buffer = b""

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def put(self, raw: bytes) -> None:
        """Any bytes. What the server no longer takes is lost."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(raw)

    def more(self) -> bool:
        """Read some; False at the end of the connection."""
        try:
            given = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self.buffer += given
        return bool(given)

    def _need(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self.more():
                raise EOFError("the connection ended")
        given, self.buffer = self.buffer[:count], self.buffer[count:]
        return given

    def answer(self) -> Answer:
        """The HTTP answer."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                raise EOFError(f"no answer: {self.buffer!r}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(lines[0].split(" ")[1]), headers, self.buffer)

    def upgrade(
        self,
        *,
        path: str = "/v1/connect",
        protocol: str | None = "iris.v1.pb",
        version: str = "13",
        http: str = "HTTP/1.1",
        key: str | None = None,
        extra: str = "",
    ) -> Answer:
        """Ask for a WebSocket."""
        key = base64.b64encode(os.urandom(16)).decode() if key is None else key
        offered = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol is not None else ""
        self.put(
            f"GET {path} {http}\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n{offered}{extra}\r\n".encode()
        )
        return self.answer()

    def frame(self, payload: bytes, *, opcode: int = BINARY, masked: bool = True, first: int | None = None) -> None:
        """One WebSocket frame; `first` replaces the first byte (FIN, reserved bits, opcode)."""
        start = bytes([0x80 | opcode if first is None else first])
        bit = 0x80 if masked else 0
        if len(payload) < 126:
            start += bytes([bit | len(payload)])
        elif len(payload) < 65_536:
            start += bytes([bit | 126]) + struct.pack("!H", len(payload))
        else:
            start += bytes([bit | 127]) + struct.pack("!Q", len(payload))
        mask = b"\x00\x00\x00\x00" if masked else b""  # a mask of zeros is a mask
        self.put(start + mask + payload)

    def next(self) -> tuple[int, bytes]:
        """The next WebSocket frame: opcode, payload. Raises EOFError at the end."""
        first, second = self._need(2)
        size = second & 127
        if size == 126:
            size = struct.unpack("!H", self._need(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._need(8))[0]
        return first & 15, self._need(size)

    def close_code(self) -> int:
        """Read to the close frame; 1006 when there is none."""
        try:
            while True:
                opcode, payload = self.next()
                if opcode == CLOSE:
                    return int(struct.unpack("!H", payload[:2])[0])
        except EOFError:
            return 1006
