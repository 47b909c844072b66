"""What a conformance case is. framing.py and closing.py hold the tables; docs/conformance.md is made from them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from iris_sdk._pb import frames_pb2 as pb
from tests.support.engine import BINARY, CLOSE, CONTINUATION, PING, PONG, client_frame, ws_frame

__all__ = ["BINARY", "CLOSE", "CONTINUATION", "PING", "PONG"]

NO_CODE = 1005  # a close frame without a code, as RFC 6455, 7.1.5 names it
SEQ = 7  # what the sample message acks
ACK = client_frame(ack=pb.Ack(seq=SEQ))


@dataclass(frozen=True)
class Case:
    """Bytes from a client, and all that a server must make of them."""

    name: str
    section: str  # of RFC 6455
    data: bytes
    answers: tuple[tuple[int, bytes], ...] = ()  # opcode and payload of each frame that comes back before the end
    acks: int = 0  # sample messages that reach the rules
    end: int | None = None  # code of the server's close frame; None: the connection lives
    why: str = ""  # where the RFC leaves a choice, or a client might expect something else
    autobahn: str = ""  # the numbers of its kin in the Autobahn test suite
    before_hello: bool = True  # holds before Hello too, when it ends the connection


def header(first: int, length: int, *, form: int = 0, masked: bool = True) -> bytes:
    """A frame's header: `form` 0 takes the shortest length, 126 or 127 that one; the mask is 1 2 3 4."""
    bit = 0x80 if masked else 0
    form = form or (length if length < 126 else 126 if length < 1 << 16 else 127)
    size = b"" if form < 126 else struct.pack("!H" if form == 126 else "!Q", length)
    return bytes([first, bit | form]) + size + (b"\x01\x02\x03\x04" if masked else b"")


def ack_of(size: int) -> bytes:
    """The sample message as a message of exactly so many bytes: the rest is a field that nobody knows."""
    rest = size - len(ACK) - 5
    assert rest >= 0, "too short for the field's key and length"
    length = bytes([rest & 0x7F | 0x80, rest >> 7 & 0x7F | 0x80, rest >> 14])
    return ACK + b"\xa2\x06" + length + bytes(rest)


def data(message: bytes = ACK) -> bytes:
    """A whole message in one frame."""
    return ws_frame(BINARY, message)


def part(opcode: int, payload: bytes, *, last: bool = False) -> bytes:
    """One fragment."""
    return ws_frame(opcode, payload, first=0x80 if last else 0)


def split(message: bytes, pieces: int) -> list[bytes]:
    """The same message in so many fragments; more pieces than bytes make empty ones."""
    step = -(-len(message) // pieces)
    cut = [message[at * step : (at + 1) * step] for at in range(pieces)]
    first = part(BINARY, cut[0], last=pieces == 1)
    return [first, *(part(CONTINUATION, piece, last=at == pieces - 2) for at, piece in enumerate(cut[1:]))]


def ping(payload: bytes = b"") -> bytes:
    """A ping."""
    return ws_frame(PING, payload)


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A close frame."""
    return ws_frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)
