"""RFC 6455, 5.5.1 and 7: the close handshake, its codes and reasons. A table; test_websocket.py runs it."""

from __future__ import annotations

from iris.core.catalogue import CloseCode
from tests.conformance.case import CLOSE, NO_CODE, PONG, Case, close, data, ping
from tests.support.engine import ws_frame

PROTOCOL, UTF8 = CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_UTF8
REASON = " ".join(["ένα λόγος"] * 10).encode()[:123].decode(errors="ignore").encode()

# code: why it is good
GOOD = {
    1000: "", 1001: "", 1002: "", 1003: "", 1007: "", 1008: "", 1009: "", 1010: "", 1011: "",
    1012: "registered with IANA after RFC 6455", 1013: "registered later", 1014: "registered later",
    3000: "", 3999: "", 4000: "", 4511: "one of Iris' own", 4999: "",
}  # fmt: skip
# code: why it is not
BAD = {
    0: "not used", 1: "not used", 999: "not used", 1004: "reserved", 1005: "must not be on the wire",
    1006: "must not be on the wire", 1015: "must not be on the wire", 1016: "reserved for the protocol",
    1100: "reserved for the protocol", 1999: "reserved for the protocol", 2000: "reserved for extensions",
    2999: "reserved for extensions", 5000: "not defined", 65_535: "not defined",
}  # fmt: skip
NOT_UTF8 = {
    "a byte that never occurs": b"\xff",
    "a continuation byte alone": b"\x80",
    "a letter that was cut": b"\xe2\x82",
    "an overlong form": b"\xc0\xaf",
    "an overlong form of three bytes": b"\xe0\x80\xaf",
    "half of a surrogate pair": b"\xed\xa0\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "at the end of 123 bytes": b"x" * 122 + b"\xce",
}

CLOSING = [
    Case(f"close {code}", "5.5.1, 7.4", close(code), end=code, why=why, autobahn="7.7.1–7.7.13")
    for code, why in GOOD.items()
] + [
    Case(f"close {code} is refused", "7.4.1, 7.4.2", close(code), end=PROTOCOL, why=why, autobahn="7.9.1–7.9.9, 7.13")
    for code, why in BAD.items()
] + [
    Case("close without a code", "5.5.1", close(), end=NO_CODE, autobahn="7.3.1",
         why="answered alike: an empty close frame"),
    Case("close of one byte", "5.5.1", ws_frame(CLOSE, b"\x03"), end=PROTOCOL, autobahn="7.3.2"),
    Case("close with a reason", "5.5.1", close(1000, b"bye"), end=1000, autobahn="7.3.3, 7.3.4",
         why="the code comes back, the reason does not"),
    Case("close with a reason of 123 bytes", "5.5.1, 5.5", close(1000, REASON), end=1000, autobahn="7.3.5"),
    Case("close with every letter's length", "5.5.1", close(4000, "aß€😀\U0010ffff".encode()), end=4000),
    Case("close with a NUL in the reason", "5.5.1", close(1000, b"\0"), end=1000),
] + [
    Case(f"close reason: {name}", "5.5.1, 8.1", close(1000, reason), end=UTF8, autobahn="7.5.1")
    for name, reason in NOT_UTF8.items()
] + [
    Case("bad code and bad reason", "7.4.1", close(1005, b"\xff"), end=PROTOCOL, why="the code is looked at first"),
    Case("messages, then close", "7.1.1", data() * 3 + close(1000), acks=3, end=1000, autobahn="7.1.1"),
    Case("ping, then close", "5.5.1", ping(b"x") + close(1000), ((PONG, b"x"),), end=1000),
    Case("two closes", "5.5.1", close(1000) + close(1001), end=1000, autobahn="7.1.2", why="one answer, to the first"),
    Case("ping behind a close", "5.5.1", close(1000) + ping(b"x"), end=1000, autobahn="7.1.3",
         why="no answer: a close frame was received (5.5.2)"),
    Case("message behind a close", "5.5.1, 1.4", close(1000) + data(), end=1000, autobahn="7.1.4",
         why="what follows a close frame is thrown away"),
    Case("256 KiB behind a close", "5.5.1, 1.4", close(1000) + data(b"x" * 65_536) * 4, end=1000, autobahn="7.1.6"),
    Case("garbage behind a close", "5.5.1, 1.4", close(1000) + b"\xff" * 1000, end=1000),
]  # fmt: skip
