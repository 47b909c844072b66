"""RFC 6455, 5 and 8: frames, lengths, masks, fragments, control frames, text. A table; test_websocket.py runs it."""

from __future__ import annotations

from iris.core.catalogue import CloseCode, Limits
from iris_sdk._pb import frames_pb2 as pb
from tests.conformance.case import (
    ACK,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    Case,
    ack_of,
    close,
    data,
    header,
    part,
    ping,
    split,
)
from tests.support.engine import TEXT, ws_frame

PROTOCOL, TEXT_FRAME, TOO_BIG = CloseCode.PROTOCOL_ERROR, CloseCode.TEXT_FRAME, CloseCode.TOO_BIG
LIMIT = Limits().message_bytes_max
UNSUPPORTED = pb.ServerFrame(problem=pb.Problem(code=1009, retry=pb.RETRY_NEVER)).SerializeToString()

LENGTHS = [
    Case(f"message of {size} bytes", "5.2", data(ack_of(size)), acks=1, autobahn="1.2.1–1.2.8, 9.2.1")
    for size in (9, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, LIMIT - 1, LIMIT)
] + [
    Case("empty message", "5.2", data(b""), ((BINARY, UNSUPPORTED),), autobahn="1.2.1",
         why="well-formed; as a frame of Iris it is one that the server does not know"),
    Case("limit + 1 bytes", "10.4", data(ack_of(LIMIT + 1)), end=TOO_BIG, before_hello=False,
         why="message_bytes_max; refused at the header, before the payload"),
    Case("limit + 1 announced, nothing sent", "10.4", header(0x82, LIMIT + 1), end=TOO_BIG, before_hello=False),
    Case("2⁶³ − 1 announced", "5.2", header(0x82, (1 << 63) - 1), end=TOO_BIG),
    Case("2⁶³ announced: the top bit must be 0", "5.2", header(0x82, 1 << 63), end=PROTOCOL),
    Case("2⁶⁴ − 1 announced", "5.2", header(0x82, (1 << 64) - 1), end=PROTOCOL),
    Case("2³² + 5 announced: not cut to 32 bits", "5.2", header(0x82, (1 << 32) + 5), end=TOO_BIG),
] + [
    Case(f"{length} in {form} bits, not the shortest form", "5.2",
         header(0x82, length, form=126 if form == 16 else 127) + bytes(min(length, 200)), end=PROTOCOL)
    for form, length in ((16, 0), (16, 1), (16, 125), (64, 0), (64, 125), (64, 126), (64, 65_535))
] + [
    Case("ping with a length in 16 bits", "5.2, 5.5", header(0x89, 5, form=126) + b"hello", end=PROTOCOL),
]  # fmt: skip

BITS = [
    Case(f"reserved bits {bits:03b} in a {name} frame", "5.2", bytes([0x80 | bits << 4 | opcode]) + frame[1:],
         end=PROTOCOL, autobahn="3.1–3.7", why="no extension is negotiated, so none may be used" if bits == 4 else "")
    for bits in range(1, 8)
    for name, opcode, frame in (("message", BINARY, data()), ("ping", PING, ping(b"x")), ("close", CLOSE, close()))
] + [
    Case("reserved bit in a continuation", "5.2", part(BINARY, ACK[:1]) + b"\xc0" + part(CONTINUATION, ACK[1:])[1:],
         end=PROTOCOL, autobahn="3.4"),
    Case("reserved bit after a good message", "5.2", data() + b"\xc2" + data()[1:], acks=1, end=PROTOCOL,
         autobahn="3.2"),
] + [
    Case(f"reserved opcode {opcode:#x}{' with a payload' if payload else ''}", "5.2", ws_frame(opcode, payload),
         end=PROTOCOL, autobahn="4.1.1–4.1.5" if opcode < CLOSE else "4.2.1–4.2.5")
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    for payload in (b"", ACK)
]  # fmt: skip

MASKS = [
    Case("message without a mask", "5.1", ws_frame(BINARY, ACK, masked=False), end=PROTOCOL),
    Case("ping without a mask", "5.1", ws_frame(PING, b"x", masked=False), end=PROTOCOL),
    Case("close without a mask", "5.1", ws_frame(CLOSE, b"\x03\xe8", masked=False), end=PROTOCOL),
    Case("empty message without a mask", "5.1", b"\x82\x00", end=PROTOCOL),
    Case("continuation without a mask", "5.1",
         part(BINARY, ACK[:1]) + ws_frame(CONTINUATION, ACK[1:], masked=False), end=PROTOCOL),
    Case("a mask of zeros", "5.3", header(0x82, len(ACK))[:-4] + bytes(4) + ACK, acks=1),
    Case("a mask of ones", "5.3", header(0x82, len(ACK))[:-4] + b"\xff" * 4 + bytes(b ^ 0xFF for b in ACK), acks=1),
    Case("another mask for each fragment", "5.3",
         header(0x02, 2)[:-4] + bytes(4) + ACK[:2] + part(CONTINUATION, ACK[2:], last=True), acks=1),
]  # fmt: skip

FRAGMENTS = [
    Case("two fragments", "5.4", b"".join(split(ACK, 2)), acks=1, autobahn="5.3–5.5"),
    Case("a fragment for each byte", "5.4", b"".join(split(ACK, len(ACK))), acks=1),
    Case("first fragment empty", "5.4", part(BINARY, b"") + part(CONTINUATION, ACK, last=True), acks=1,
         autobahn="6.1.2"),
    Case("last fragment empty", "5.4", part(BINARY, ACK) + part(CONTINUATION, b"", last=True), acks=1),
    Case("empty fragments in between", "5.4",
         part(BINARY, ACK[:2]) + part(CONTINUATION, b"") * 50 + part(CONTINUATION, ACK[2:], last=True), acks=1,
         autobahn="6.1.3"),
    Case("all fragments empty", "5.4", part(BINARY, b"") + part(CONTINUATION, b"", last=True),
         ((BINARY, UNSUPPORTED),), autobahn="6.1.1"),
    Case("fragments of 64 KiB", "5.4", b"".join(split(ack_of(LIMIT), 2)), acks=1, autobahn="9.4"),
    Case("the limit in 1,000 fragments", "5.4", b"".join(split(ack_of(LIMIT), 1000)), acks=1, autobahn="9.4"),
    Case("limit + 1 in two fragments", "10.4", b"".join(split(ack_of(LIMIT + 1), 2)), end=TOO_BIG,
         before_hello=False, why="message_bytes_max counts all fragments"),
    Case("limit, then a fragment of one byte", "10.4", part(BINARY, ack_of(LIMIT)) + part(CONTINUATION, b"x"),
         end=TOO_BIG, before_hello=False),
    Case("limit, then an empty last fragment", "5.4", part(BINARY, ack_of(LIMIT)) + part(CONTINUATION, b"", last=True),
         acks=1),
    Case("two messages of two fragments each", "5.4", b"".join(split(ACK, 2) * 2), acks=2, autobahn="5.3"),
    Case("ping between fragments", "5.4", part(BINARY, ACK[:2]) + ping(b"in") + part(CONTINUATION, ACK[2:], last=True),
         ((PONG, b"in"),), acks=1, autobahn="5.6–5.8"),
    Case("pings between all fragments", "5.4", ping(b"between").join(split(ACK, 4)), ((PONG, b"between"),) * 3, acks=1,
         autobahn="5.19, 5.20"),
    Case("pong between fragments", "5.4",
         part(BINARY, ACK[:2]) + ws_frame(PONG, b"x") + part(CONTINUATION, ACK[2:], last=True), acks=1),
    Case("close between fragments", "5.4, 5.5.1", part(BINARY, ACK[:2]) + ws_frame(CLOSE, b"\x03\xe8"), end=1000,
         autobahn="7.1.5", why="the unfinished message is dropped"),
    Case("continuation of nothing", "5.4", ws_frame(CONTINUATION, ACK), end=PROTOCOL, autobahn="5.9, 5.10"),
    Case("unfinished continuation of nothing", "5.4", part(CONTINUATION, ACK), end=PROTOCOL, autobahn="5.11, 5.12"),
    Case("continuation after a whole message", "5.4", data() + part(CONTINUATION, ACK, last=True), acks=1,
         end=PROTOCOL, autobahn="5.13, 5.14"),
    Case("continuation after the last fragment", "5.4", b"".join(split(ACK, 2)) + part(CONTINUATION, b""), acks=1,
         end=PROTOCOL, autobahn="5.15"),
    Case("a message within a message", "5.4", part(BINARY, ACK[:1]) + data(), end=PROTOCOL, autobahn="5.17, 5.18"),
    Case("a message begun within a message", "5.4", part(BINARY, ACK[:1]) * 2, end=PROTOCOL, autobahn="5.16"),
    Case("text within a message", "5.4", part(BINARY, ACK[:1]) + ws_frame(TEXT, b"x"), end=PROTOCOL),
    Case("reserved opcode within a message", "5.2", part(BINARY, ACK[:1]) + ws_frame(3), end=PROTOCOL),
]  # fmt: skip

CONTROL = [
    Case(f"ping of {size} bytes", "5.5.2, 5.5.3", ping(b"\xfe" * size), ((PONG, b"\xfe" * size),),
         autobahn="2.1–2.4", why="any bytes, not only UTF-8" if size == 8 else "")
    for size in (0, 1, 8, 124, 125)
] + [
    Case(f"{name} of {size} bytes", "5.5", ws_frame(opcode, b"\x03\xe8" + b"x" * (size - 2)), end=PROTOCOL,
         autobahn="2.5, 7.3.6")
    for name, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE))
    for size in (126, 127, 65_536)
] + [
    Case(f"{name} in fragments", "5.5", ws_frame(opcode, payload, first=0), end=PROTOCOL, autobahn="5.1, 5.2")
    for name, opcode, payload in (("ping", PING, b"x"), ("pong", PONG, b"x"), ("close", CLOSE, b"\x03\xe8"))
] + [
    Case("ten pings", "5.5.2", b"".join(ping(bytes([n])) for n in range(10)),
         tuple((PONG, bytes([n])) for n in range(10)), autobahn="2.10, 2.11", why="every one is answered, in order"),
    Case("200 pings and messages in one segment", "5.5.2", (ping(b"p") + data()) * 200,
         ((PONG, b"p"),) * 200, acks=200),
    Case("pong that nobody asked for", "5.5.3", ws_frame(PONG, b"unasked"), autobahn="2.7, 2.8"),
    Case("empty pong", "5.5.3", ws_frame(PONG), autobahn="2.7"),
    Case("pong of 125 bytes, then a ping", "5.5.3", ws_frame(PONG, b"x" * 125) + ping(b"y"), ((PONG, b"y"),),
         autobahn="2.9"),
]  # fmt: skip

TEXTS = [
    Case(f"text: {name}", "5.6, 7.4.1", frame, end=TEXT_FRAME, autobahn="1.1.1–1.1.8, 6.1–6.23", why=why)
    for name, frame, why in (
        ("good", ws_frame(TEXT, "grüße".encode()), "Iris speaks binary only: 1003, whatever the text holds"),
        ("empty", ws_frame(TEXT), ""),
        ("not UTF-8", ws_frame(TEXT, b"\xed\xa0\x80"), "1003 and not 1007: refused at its first byte, unread"),
        ("in fragments", part(TEXT, b"x"), ""),
        ("of 64 KiB", ws_frame(TEXT, b"x" * 65_536), ""),
    )
] + [Case("text after a message", "5.6, 7.4.1", data() + ws_frame(TEXT, b"x"), acks=1, end=TEXT_FRAME)]  # fmt: skip

PILED = [
    Case("1,000 messages in one segment", "5.2", data() * 1000, acks=1000, autobahn="9.8"),
    Case("a broken frame behind 100 good ones", "7.1.7", data() * 100 + b"\xff\xff", acks=100, end=PROTOCOL,
         why="what came before it counts"),
    Case("good frames behind a broken one", "7.1.7", ws_frame(3) + data() * 100, end=PROTOCOL,
         why="nothing behind it is read"),
    Case("a message of another size each time", "5.2", b"".join(data(ack_of(n)) for n in range(9, 400)), acks=391),
    Case("a message and half of the next, then its rest", "5.2", data() + data(ack_of(300)), acks=2),
    Case("first byte alone breaks a rule", "5.2", b"\xf2", end=PROTOCOL, why="no need to wait for the second"),
    Case("second byte alone breaks a rule", "5.1", b"\x82\x7e", end=PROTOCOL),
    Case("64-bit length in pieces", "5.2", header(0x82, 70_000) + ws_frame(BINARY, ack_of(70_000))[14:], acks=1),
]  # fmt: skip

FRAMING = LENGTHS + BITS + MASKS + FRAGMENTS + CONTROL + TEXTS + PILED
