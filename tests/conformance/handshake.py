"""RFC 6455, 4 (and RFC 9110, 9112 beneath it): the opening handshake. A table; test_handshake.py runs it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.engine import KEY, upgrade_request

GOOD = upgrade_request()
API = "api_unreachable"  # it was handed to the HTTP API, behind which nobody stands in these tests
LENGTH_MAX = 8192  # http_head_bytes_max


@dataclass(frozen=True)
class Opening:
    """The first bytes of a connection, and how they are answered: 101, or a status and the reason that is counted."""

    name: str
    section: str  # of RFC 6455, unless another one is named
    request: bytes
    refused: str = ""  # the empty reason is a good upgrade
    why: str = ""

    @property
    def status(self) -> int:
        """Of the answer."""
        return {"": 101, "version": 426, "head_too_large": 431, API: 503}.get(self.refused, 400)


def changed(old: str, new: str, request: bytes = GOOD) -> bytes:
    """The good request with something replaced, which must be there."""
    assert old.encode() in request, old
    return request.replace(old.encode(), new.encode("latin-1"), 1)


def added(*lines: str) -> bytes:
    """The good request with further fields."""
    return changed("Host: localhost\r\n", "Host: localhost\r\n" + "".join(f"{line}\r\n" for line in lines))


def dropped(name: str) -> bytes:
    """The good request without a field."""
    request = upgrade_request(drop=name)
    assert request != GOOD
    return request


def sized(length: int) -> bytes:
    """A good request of exactly so many bytes."""
    return added("X: " + "x" * (length - len(GOOD) - 5))


BAD, VERSION, SUBPROTOCOL, NOT_HTTP, LARGE = "bad_upgrade", "version", "subprotocol", "not_http", "head_too_large"

ACCEPTED = [
    Opening("as in the RFC's example", "1.3, 4.2.2", changed(KEY, "dGhlIHNhbXBsZSBub25jZQ==")),
    Opening("field names in lower case", "4.2.1; RFC 9110 5.1",
            b"\r\n".join(line if not n else line[: line.find(b":")].lower() + line[line.find(b":") :]
                         for n, line in enumerate(GOOD.split(b"\r\n")))),
    Opening("field names in upper case", "4.2.1", changed("Upgrade: websocket", "UPGRADE: websocket")),
    Opening("Upgrade: WebSocket", "4.2.1 (3)", changed("Upgrade: websocket", "Upgrade: WebSocket")),
    Opening("Upgrade as a list", "4.2.1 (3)", changed("Upgrade: websocket", "Upgrade: h2c, websocket")),
    Opening("Upgrade in two fields", "4.2.1 (3)", added("Upgrade: h2c")),
    Opening("Connection: keep-alive, Upgrade", "4.2.1 (4)",
            changed("Connection: Upgrade", "Connection: keep-alive, Upgrade"), why="as Firefox sends it"),
    Opening("Connection: upgrade", "4.2.1 (4)", changed("Connection: Upgrade", "Connection: upgrade")),
    Opening("Connection in two fields", "4.2.1 (4)", added("Connection: keep-alive")),
    Opening("empty list elements", "RFC 9110 5.6.1", changed("Connection: Upgrade", "Connection: ,, Upgrade ,")),
    Opening("no space after the colons", "RFC 9112 5.1", GOOD.replace(b": ", b":")),
    Opening("tabs and spaces around a value", "RFC 9110 5.6.3",
            changed("Upgrade: websocket", "Upgrade: \t websocket \t")),
    Opening("a query", "4.2.1 (1)", changed("/v1/connect", "/v1/connect?a=b?c")),
    Opening("absolute http target", "4.2.1 (1); RFC 9112 3.2.2", changed("/v1/connect", "http://localhost/v1/connect")),
    Opening("absolute https target with port and query", "4.2.1 (1)",
            changed("/v1/connect", "HTTPS://localhost:1/v1/connect?x")),
    Opening("several subprotocols", "4.2.1 (8)", changed("iris.v1.pb", "chat, iris.v2.pb , iris.v1.pb")),
    Opening("subprotocols in several fields", "11.3.4", added("Sec-WebSocket-Protocol: chat")),
    Opening("extensions offered", "4.2.1 (9), 9.1",
            added("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x; a=b; c=\"d\""),
            why="none is taken up"),
    Opening("extensions in several fields", "9.1", added("Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b")),
    Opening("extensions empty", "9.1", added("Sec-WebSocket-Extensions:"),
            why="the ABNF asks for one element; none asks for nothing, and nothing can be misread"),
    Opening("an Origin", "4.2.1 (7), 10.2", added("Origin: https://elsewhere.example"),
            why="any: a page has no cookie to borrow, the token is in Hello"),
    Opening("Origin: null", "10.2", added("Origin: null")),
    Opening("a cookie", "4.1 (12)", added("Cookie: a=b"), why="never looked at"),
    Opening("unknown fields", "4.2.1", added("X-Forwarded-For: 1.2.3.4", "X: é")),
    Opening("Content-Length: 0", "RFC 9110 8.6", added("Content-Length: 0")),
    Opening("Expect: 100-continue", "RFC 9110 10.1.1", added("Expect: 100-continue"),
            why="there is no body to wait for"),
    Opening("Host with a port", "4.2.1 (2)", changed("Host: localhost", "Host: localhost:8460")),
    Opening("Host is IPv6", "4.2.1 (2)", changed("Host: localhost", "Host: [::1]:8460")),
    Opening("Host empty", "RFC 9112 3.2", changed("Host: localhost", "Host:"),
            why="allowed by HTTP; names nothing that is used"),
    Opening("Host of somebody else", "4.2.1 (2)", changed("Host: localhost", "Host: elsewhere.example"),
            why="the server knows no names of its own; TLS proves them to the client"),
    Opening("key whose last letter says more than 16 bytes", "4.2.1 (5)", changed(KEY, "dGhlIHNhbXBsZSBub25jZR=="),
            why="decodes to 16 bytes wherever the four spare bits are ignored; the answer is made of its text"),
    Opening("head of the largest size", "10.4", sized(LENGTH_MAX)),
]  # fmt: skip

REFUSED = [
    *[Opening(f"{name} missing", section, dropped(name), refused, why) for name, section, refused, why in (
        ("Host", "4.2.1 (2)", BAD, ""),
        ("Upgrade", "4.2.1 (3)", API, "an ordinary request: the API answers it"),
        ("Connection", "4.2.1 (4)", BAD, ""),
        ("Sec-WebSocket-Key", "4.2.1 (5)", BAD, ""),
        ("Sec-WebSocket-Version", "4.2.1 (6), 4.4", VERSION, ""),
        ("Sec-WebSocket-Protocol", "4.2.2 (5.5)", SUBPROTOCOL, "Iris speaks nothing else"),
    )],
    *[Opening(f"method {method}", "4.2.1 (1)", changed("GET", method), BAD)
      for method in ("POST", "HEAD", "PUT", "OPTIONS", "get", "GETX")],
    Opening("method CONNECT", "4.2.1 (1)", changed("GET", "CONNECT"), BAD),
    Opening("HTTP/1.0", "4.2.1 (1)", changed("HTTP/1.1", "HTTP/1.0"), BAD, "Upgrade means nothing in 1.0"),
    *[Opening(version, "4.2.1 (1)", changed("HTTP/1.1", version), NOT_HTTP, why) for version, why in (
        ("HTTP/0.9", ""), ("HTTP/1.2", "there is no such version"), ("HTTP/2.0", "not over an upgrade of HTTP/1.1"),
        ("HTTP/11", ""), ("http/1.1", "case counts (RFC 9112, 2.3)"), ("ICY/1.1", ""),
    )],
    Opening("request line without a version", "RFC 9112 3", changed(" HTTP/1.1", ""), NOT_HTTP),
    Opening("two spaces in the request line", "RFC 9112 3", changed("GET /", "GET  /"), NOT_HTTP),
    Opening("space at the end of the request line", "RFC 9112 3", changed("HTTP/1.1", "HTTP/1.1 "), NOT_HTTP),
    Opening("empty line before the request line", "RFC 9112 2.2", b"\r\n" + GOOD, NOT_HTTP,
            "SHOULD be passed over, for the sake of clients of HTTP/1.0; no WebSocket client sends it"),
    Opening("another path", "4.2.2 (3)", changed("/v1/connect", "/"), API),
    Opening("a longer path", "4.2.2 (3)", changed("/v1/connect", "/v1/connect/"), API),
    Opening("path in percent signs", "4.2.2 (3)", changed("/v1/connect", "/v1/%63onnect"), API, "one spelling only"),
    Opening("fragment in the target", "3", changed("/v1/connect", "/v1/connect#x"), API, "MUST NOT be in a ws URI"),
    Opening("absolute target with another path", "4.2.1 (1)", changed("/v1/connect", "http://localhost/"), API),
    Opening("absolute ws target", "4.2.1 (1)", changed("/v1/connect", "ws://localhost/v1/connect"), API,
            "an http or https URI is asked for"),
    Opening("Host twice", "RFC 9112 3.2", added("Host: localhost"), BAD),
    Opening("Host with a space", "RFC 9112 3.2", changed("Host: localhost", "Host: local host"), BAD),
    Opening("Host with a path", "RFC 9112 3.2", changed("Host: localhost", "Host: localhost/x"), BAD),
    Opening("two names in Host", "RFC 9112 3.2", changed("Host: localhost", "Host: a,b"), BAD),
    Opening("Upgrade: h2c", "4.2.1 (3)", changed("Upgrade: websocket", "Upgrade: h2c"), API),
    Opening("Upgrade: websockets", "4.2.1 (3)", changed("Upgrade: websocket", "Upgrade: websockets"), API),
    Opening("Upgrade: websocket/13", "4.2.1 (3)", changed("Upgrade: websocket", "Upgrade: websocket/13"), API,
            "another protocol by RFC 9110, 7.8"),
    Opening("Upgrade empty", "4.2.1 (3)", changed("Upgrade: websocket", "Upgrade:"), API),
    Opening("no-break space behind websocket", "RFC 9110 5.6.3",
            changed("Upgrade: websocket", "Upgrade: websocket\u00c2\u00a0"), API, "no space of HTTP"),
    Opening("Connection: keep-alive", "4.2.1 (4)", changed("Connection: Upgrade", "Connection: keep-alive"), BAD),
    Opening("Connection: close", "4.2.1 (4)", changed("Connection: Upgrade", "Connection: close"), BAD),
    Opening("Connection: Upgraded", "4.2.1 (4)", changed("Connection: Upgrade", "Connection: Upgraded"), BAD),
    Opening("Connection: Up grade", "4.2.1 (4)", changed("Connection: Upgrade", "Connection: Up grade"), BAD),
    *[Opening(f"version {version!r}", "4.2.1 (6), 4.4", changed("Version: 13", f"Version: {version}"), VERSION)
      for version in ("8", "7", "0", "12", "14", "255", "256", "013", "+13", "13.0", "", "13, 8", "x")],
    Opening("version twice", "11.3.5", added("Sec-WebSocket-Version: 13"), VERSION, "MUST NOT appear more than once"),
    *[Opening(f"key: {name}", "4.2.1 (5)", changed(KEY, key), BAD) for name, key in (
        ("empty", ""), ("15 bytes", "a2tra2tra2tra2tra2tr"), ("17 bytes", "a2tra2tra2tra2tra2tra2s="),
        ("no padding", KEY[:22]), ("one padding", KEY[:23]), ("three paddings", KEY[:21] + "==="),
        ("spaces inside", KEY[:10] + "  " + KEY[12:]), ("base64url", "-_" + KEY[2:]), ("not base64", "!" * 24),
        ("a list of two", f"{KEY}, {KEY}"), ("in quotes", f'"{KEY}"'),
    )],
    Opening("key twice", "11.3.1", added(f"Sec-WebSocket-Key: {KEY}"), BAD, "MUST NOT appear more than once"),
    *[Opening(f"subprotocol {offer!r}", "4.2.2 (5.5)", changed("iris.v1.pb", offer), SUBPROTOCOL, why)
      for offer, why in (
          ("chat", ""), ("iris.v2.pb", ""), ("IRIS.v1.pb", "compared with its case"), ("iris.v1.pbx", ""),
          ("iris.v1", ""), ("", ""), ("iris.v1.pb;q=1", ""), ('"iris.v1.pb"', ""), ("chat iris.v1.pb", ""))],
    *[Opening(f"extensions {offer!r}", "9.1", added(f"Sec-WebSocket-Extensions: {offer}"), BAD,
              "malformed: MUST fail the connection")
      for offer in ("a b", "a; b=", "a; =b", ";", "a;", "a; b=c d", 'a; b="c', 'a; b="c d"', "a, b/c", "a=b")],
    Opening("Content-Length: 3", "RFC 9110 8.6", added("Content-Length: 3"), BAD, "what follows would be two things"),
    Opening("Transfer-Encoding", "RFC 9112 6.1", added("Transfer-Encoding: chunked"), BAD),
    Opening("Content-Length: 0 and Transfer-Encoding", "RFC 9112 6.3",
            added("Content-Length: 0", "Transfer-Encoding: chunked"), BAD),
    *[Opening(f"malformed field: {name}", f"RFC {section}", added(line), API, "the API's reader refuses it")
      for name, section, line in (
          ("no colon", "9112 5", "X"), ("no name", "9112 5", ": x"), ("space before the colon", "9112 5.1", "X : x"),
          ("folded", "9112 5.2", "X: a\r\n b"), ("bare LF", "9112 2.2", "X: a\nY: b"),
          ("bare CR", "9112 2.2", "X: a\rb"),
          ("NUL", "9110 5.5", "X: a\0b"), ("vertical tab", "9110 5.5", "X: \x0bb"), ("DEL", "9110 5.5", "X: \x7f"),
          ("name in UTF-8", "9110 5.1", "\u00c3\u00a9: x"))],
    Opening("lines end with a bare LF", "RFC 9112 2.2", GOOD.replace(b"\r\n", b"\n") + b"x" * LENGTH_MAX, LARGE,
            "no end of the head is found"),
    Opening("one byte above the largest head", "10.4", sized(LENGTH_MAX + 1), LARGE),
    Opening("a field without an end", "10.4", GOOD[:-4] + b"x" * LENGTH_MAX, LARGE),
    Opening("a target without an end", "10.4", b"GET /" + b"x" * LENGTH_MAX, LARGE),
    Opening("a thousand fields", "10.4", added(*["X: 12345"] * 1000), LARGE),
    Opening("preface of HTTP/2", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NOT_HTTP),
    Opening("garbage", "RFC 9112 3", b"\x00\x01\x02\x03 garbage", NOT_HTTP),
    Opening("the old handshake with a key in the body", "10.3",
            b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U",
            VERSION, "draft 76, Hixie"),
]  # fmt: skip

OPENINGS = ACCEPTED + REFUSED
