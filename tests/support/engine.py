"""A real engine on loopback, and a client that speaks to it byte by byte, right or wrong.

Nothing here sleeps: whoever waits, waits for bytes, for events or for a condition, always with a deadline.
"""

from __future__ import annotations

import base64
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from iris.core import frames
from iris.wire.engine import EnginePort, open_engine
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import Certificate

DEADLINE_S = 15.0
KEY = base64.b64encode(b"k" * 16).decode()
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
USER = b"u" * 16
WELCOME_LIMITS = (1, 2, 3, 4, 5, 6)


def eventually(condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
    """Return as soon as the condition holds; fail after the deadline."""
    pause, end = threading.Event(), time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"did not happen in time: {what if isinstance(what, str) else what()}"
        pause.wait(0.005)


def upgrade_request(path: str = "/v1/connect", *, drop: str = "", **fields: str) -> bytes:
    """The head of a good upgrade; `drop` leaves one field out, `fields` replace or add some (with _ for -)."""
    head = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "iris.v1.pb",
    }
    head |= {name.replace("_", "-"): value for name, value in fields.items()}
    head.pop(drop, None)
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def ws_frame(opcode: int, payload: bytes = b"", *, first: int = 0x80, masked: bool = True) -> bytes:
    """A client's frame; `first` holds the bits above the opcode (FIN by default)."""
    size, mask = len(payload), b"\x01\x02\x03\x04"
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + struct.pack("!H", size)
    else:
        length = b"\x7f" + struct.pack("!Q", size)
    if not masked:
        return bytes([first | opcode]) + length + payload
    wide = mask * (size // 4 + 1)
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(wide[:size], "big")).to_bytes(size, "big")
    return bytes([first | opcode, length[0] | 0x80]) + length[1:] + mask + body


def client_frame(**body: Any) -> bytes:
    """A ClientFrame as bytes, such as client_frame(ack=pb.Ack(seq=1))."""
    return pb.ClientFrame(**body).SerializeToString()


HELLO = client_frame(hello=pb.Hello(token="t"))


class Wire:
    """A client's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(DEADLINE_S)
        self._received = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def say(self, message: bytes) -> None:
        """Send one binary message."""
        self.send(ws_frame(BINARY, message))

    def read(self, size: int) -> bytes:
        """Exactly so many bytes; fewer only at the end."""
        while len(self._received) < size and (data := self._receive()):
            self._received += data
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def read_to_end(self) -> bytes:
        """All bytes until the server closes; a reset counts as the end."""
        parts = [self._received]
        while data := self._receive():
            parts.append(data)
        self._received = b""
        return b"".join(parts)

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            return b""

    def read_head(self) -> bytes:
        """An HTTP head."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.read(1)
            assert byte, f"the connection ended within an HTTP head: {head!r}"
            head += byte
        return head

    def upgrade(self) -> Wire:
        """Become a WebSocket."""
        self.send(upgrade_request())
        assert self.read_head().startswith(b"HTTP/1.1 101 ")
        return self

    def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; (-1, b"") at the end."""
        head = self.read(2)
        if len(head) < 2:
            return -1, b""
        size = head[1]
        if size == 126:
            (size,) = struct.unpack("!H", self.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read(8))
        assert head[0] & 0xF0 == 0x80
        return head[0] & 0x0F, self.read(size)

    def read_message(self) -> pb.ServerFrame:
        """The next message as a ServerFrame; pings are passed over."""
        opcode = PING
        while opcode == PING:
            opcode, payload = self.read_frame()
        assert opcode == BINARY, (opcode, payload)
        return pb.ServerFrame.FromString(payload)

    def close_code(self) -> int | None:
        """Pass over what comes until the server's close frame; its code, or None at an end without."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == -1:
                return None
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0])


class Rig:
    """An engine under test."""

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        threads: int = 1,
        tls12: bool = False,
        api_path: str | None = None,
        proxy_from: list[str] | None = None,
        **limits: int,
    ) -> None:
        engine = open_engine(
            host="127.0.0.1",
            port=0,
            threads=threads,
            certificate=None if certificate is None else certificate.chain,
            key=None if certificate is None else certificate.key,
            tls12=tls12,
            api_path=api_path,
            proxy_from=proxy_from or [],
            limits={"close_timeout_ms": 1000} | limits,
        )
        engine.start()
        self._wrap(engine, certificate)

    def _wrap(self, engine: EnginePort, certificate: Certificate | None) -> None:
        self.certificate = certificate
        self.engine = engine
        self._events: list[tuple[Any, ...]] = []
        self._sockets: list[socket.socket] = []

    @classmethod
    def around(cls, engine: EnginePort) -> Rig:
        """A rig for a plaintext engine that runs already."""
        rig = cls.__new__(cls)
        rig._wrap(engine, None)
        return rig

    def in_thread(self, work: Callable[[], object]) -> threading.Thread:
        """Run something that waits for the client's side."""
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def until_refused(self) -> None:
        """Wait until nobody listens at the port."""

        def is_refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.engine.port)).close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(is_refused, "the port is closed")

    def dial(self) -> socket.socket:
        """A TCP connection."""
        sock = socket.create_connection(("127.0.0.1", self.engine.port), DEADLINE_S)
        self._sockets.append(sock)
        return sock

    def connect(self) -> Wire:
        """A connection, with TLS when the engine has a certificate."""
        sock = self.dial()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.certificate is not None:
            sock = self.certificate.client_context().wrap_socket(sock, server_hostname="localhost")
            self._sockets.append(sock)
        return Wire(sock)

    def upgraded(self) -> Wire:
        """A WebSocket that has not said Hello."""
        return self.connect().upgrade()

    def logged_in(self) -> tuple[Wire, int]:
        """A connection whose Hello was taken but not answered, and its id."""
        wire = self.upgraded()
        wire.say(HELLO)
        return wire, self.next(frames.HELLO)[1]

    def ready(self) -> tuple[Wire, int]:
        """A connection that has read its Welcome, and its id."""
        wire, conn = self.logged_in()
        self.engine.send([welcome(conn)])
        assert wire.read_message().HasField("welcome")
        return wire, conn

    def stop(self) -> None:
        """Close all connections from the client's side, then stop the engine."""
        for sock in self._sockets:
            sock.close()
        self.engine.stop()

    def drain(self, logins_max: int = 1000) -> list[tuple[Any, ...]]:
        """Wait until the engine signals, then take what there is."""
        readable, _, _ = select.select([self.engine.fileno()], [], [], DEADLINE_S)
        assert readable, "the engine handed over nothing"
        return self.engine.drain(logins_max)

    def next(self, kind: int) -> tuple[Any, ...]:
        """The next event of this kind; events of other kinds stay for later."""
        while True:
            for index, event in enumerate(self._events):
                if event[0] == kind:
                    return self._events.pop(index)
            self._events += self.drain()

    def no_more(self) -> bool:
        """Whether nothing waits."""
        self._events += self.engine.drain(1000)
        return not self._events

    def stat(self, name: str) -> Any:
        """One figure of stats()."""
        return self.engine.stats()[name]

    def until(self, name: str, value: Any) -> None:
        """Wait until a figure of stats() has this value."""
        eventually(lambda: bool(self.stat(name) == value), lambda: f"{name} == {value}, but is {self.stat(name)}")


def welcome(conn: int) -> tuple[Any, ...]:
    """A Welcome for a connection."""
    return frames.Welcome(
        frames.WELCOME, conn, b"s" * 8, 1, 2, 3, 0, False, USER, 1, ("one",), 99, WELCOME_LIMITS
    )  # fmt: skip


@contextmanager
def running(**options: Any) -> Iterator[Rig]:
    """An engine that is stopped at the end, and in which no thread has panicked."""
    rig = Rig(**options)
    try:
        yield rig
        assert rig.stat("panics_total") == 0
    finally:
        rig.stop()


def read_memory_kb() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
