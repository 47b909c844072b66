"""TLS: what comes back for each ClientHello, and for records behind a good handshake. Run by test_tls_raw.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.conformance.records import (
    ALERT,
    ALPN,
    CHANGE_CIPHER_SPEC,
    DATA,
    FFDHE2048,
    FINISHED,
    GROUPS,
    HANDSHAKE,
    KEY_SHARE,
    KEY_UPDATE,
    P384,
    P521,
    PSK_MODES,
    RECORD_BYTES_MAX,
    SERVER_HELLO,
    SERVER_NAME,
    SESSION_TICKET,
    SIGNATURES,
    TLS12,
    TLS13,
    VERSIONS,
    X25519,
    Records,
    client_hello,
    host,
    key_share,
    message,
    numbers,
    record,
    vector,
)
from tests.support.engine import PING, PONG, ws_frame

CLOSE_NOTIFY, UNEXPECTED, BAD_MAC, OVERFLOW, FAILURE = 0, 10, 20, 22, 40
ILLEGAL, DECODE, VERSION = 47, 50, 70
NOTHING = -1  # the connection ends without an alert
HIDDEN = -2  # a ServerHello comes, then an encrypted alert: which one, test_tls.py sees through a library
SILENT = "rustls ends it without saying why"
OTHER = "refused as the RFC asks; rustls chooses another alert"


@dataclass(frozen=True)
class Opener:
    """The first bytes of a connection."""

    name: str
    section: str  # of RFC 8446, unless another one is named
    data: bytes
    alert: int | None = None  # None: a ServerHello comes back
    tls12: bool = False  # whether the operator allows 1.2
    why: str = ""


@dataclass(frozen=True)
class Later:
    """What a client does after its handshake."""

    name: str
    section: str
    act: Callable[[Records], None]
    alert: int | None = None  # None: the connection lives
    why: str = ""


def hello(name: str, section: str, data: bytes, alert: int | None = None, why: str = "", tls12: bool = False) -> Opener:
    """A case of one ClientHello in one record."""
    return Opener(name, section, record(HANDSHAKE, data, 0x0301), alert, tls12, why)


def changed(kind: int, data: bytes | None) -> bytes:
    """A ClientHello with one extension replaced or dropped."""
    return client_hello(changes={kind: data})


def old(suites: tuple[int, ...], version: int = TLS12) -> bytes:
    """A ClientHello of TLS 1.2 or older."""
    return client_hello(suites, {VERSIONS: None, KEY_SHARE: None, PSK_MODES: None}, version=version)


GOOD_12 = (0xC02B, 0xC02C, 0xCCA9)
WEAK_12 = {
    "RSA key exchange": 0x002F, "RSA key exchange with GCM": 0x009C, "CBC": 0xC009, "CBC with SHA-256": 0xC023,
    "3DES": 0x000A, "RC4": 0x0005, "NULL": 0x0002, "export": 0x0003, "anonymous": 0xC018, "DHE": 0x009E,
    "CCM with a short tag": 0xC0AE, "PSK": 0x00A8,
}  # fmt: skip
WEAK_13 = {"CCM": 0x1304, "CCM with a short tag": 0x1305, "no encryption": 0xC0B4}
SNI: dict[str, tuple[bytes, int | None]] = {
    "right": (host(b"localhost"), None), "wrong": (host(b"elsewhere.example"), None),
    "in capitals": (host(b"LOCALHOST"), None), "an address": (host(b"127.0.0.1"), None),
    "with a dot at the end": (host(b"localhost."), None), "empty": (host(b""), DECODE),
    "no name in the list": (vector(b"", 2), DECODE), "not ASCII": (host(b"\xff\xfe"), ILLEGAL),
    "300 letters": (host(b"a" * 300), ILLEGAL), "of another kind": (host(b"x", 7), ILLEGAL),
    "two names": (vector(host(b"a")[2:] + host(b"b")[2:], 2), DECODE), "cut short": (b"\x00\x0c\x00\x00\x20a", DECODE),
}  # fmt: skip

OPENERS = [
    hello("TLS 1.3", "4.1.2", client_hello()),
    Opener("ClientHello, a byte in each record", "5.1",
           b"".join(record(HANDSHAKE, bytes([b])) for b in client_hello())),
    hello("unknown extension", "4.2", changed(0xFA00, b"x")),
    hello("unknown suites beside a good one", "4.1.2", client_hello([0x0A0A, 0x00FF, 0x1301])),
    hello("share of another group: the client is asked again", "4.1.4",
          client_hello(changes={KEY_SHARE: key_share(P521, b"\x04" + bytes(132)), GROUPS: numbers([P521, P384])})),
    hello("no share: the client is asked again", "4.2.8", changed(KEY_SHARE, vector(b"", 2))),
    *[hello(f"{name} only", section, old(GOOD_12, version), VERSION, why)
      for name, section, version, why in (
        ("TLS 1.2", "4.2.1", 0x0303, "the operator has to allow it"), ("TLS 1.1", "RFC 8996", 0x0302, ""),
        ("TLS 1.0", "RFC 8996", 0x0301, ""), ("SSL 3.0", "RFC 7568", 0x0300, ""))],
    *[hello(f"{name} only, where 1.2 is allowed", section, old(GOOD_12, version), VERSION, "", True)
      for name, section, version in (
        ("TLS 1.1", "RFC 8996", 0x0302), ("TLS 1.0", "RFC 8996", 0x0301), ("SSL 3.0", "RFC 7568", 0x0300))],
    hello("TLS 1.2 where it is allowed", "RFC 5246 7.4.1.3", old(GOOD_12), None, "", True),
    hello("TLS 1.2 as a fallback, where 1.3 is spoken", "RFC 7507 3", old((*GOOD_12, 0x5600)), None,
          "the RFC asks for alert 86; TLS 1.3 marks the downgrade in the server's random bytes instead", True),
    hello("1.3 chosen where both are allowed", "4.2.1", changed(VERSIONS, numbers([TLS12, TLS13], 1)), None, "", True),
    hello("only versions to come", "4.2.1", changed(VERSIONS, numbers([0x0305], 1)), VERSION),
    hello("versions 1.2 only, in the extension of 1.3", "4.2.1", changed(VERSIONS, numbers([TLS12], 1)), VERSION),
    *[hello(f"TLS 1.2 with {name}", "RFC 9325 4", old((suite,)), FAILURE, "", True) for name, suite in WEAK_12.items()],
    *[hello(f"TLS 1.3 with {name}", "B.4", client_hello([suite]), FAILURE) for name, suite in WEAK_13.items()],
    *[hello(f"group {name} only", "4.2.7",
            client_hello(changes={GROUPS: numbers([group]), KEY_SHARE: key_share(group, public)}), FAILURE)
      for name, group, public in (("P-521", P521, b"\x04" + bytes(132)), ("ffdhe2048", FFDHE2048, b"\x02" * 256),
                                  ("unknown", 0xFE00, b"x"))],
    hello("signatures: RSA only", "4.2.3", changed(SIGNATURES, numbers([0x0804])), HIDDEN, "the certificate is ECDSA"),
    hello("signatures: SHA-1 only", "4.2.3", changed(SIGNATURES, numbers([0x0203])), HIDDEN),
    hello("signatures missing", "4.2.3, 9.2", changed(SIGNATURES, None), FAILURE, OTHER),
    hello("groups missing", "9.2", changed(GROUPS, None), FAILURE, OTHER),
    hello("key share missing", "9.2", changed(KEY_SHARE, None), FAILURE, OTHER),
    hello("X25519 share of 31 bytes", "4.2.8.2", changed(KEY_SHARE, key_share(X25519, bytes(31))), ILLEGAL),
    hello("X25519 share that makes all zeros", "7.4.2", changed(KEY_SHARE, key_share(X25519, bytes(32))), ILLEGAL),
    hello("an extension twice", "4.2", client_hello(behind=b"\x00\x2d" + vector(b"\x01\x01", 2)), ILLEGAL),
    hello("no compression method", "4.1.2", client_hello(compression=b""), DECODE),
    hello("compression: deflate only", "4.1.2", client_hello(compression=b"\x01"), ILLEGAL),
    hello("ALPN missing", "RFC 7301 3.2", changed(ALPN, None)),
    hello("ALPN h2, http/1.1", "RFC 7301 3.2", changed(ALPN, vector(vector(b"h2", 1) + vector(b"http/1.1", 1), 2))),
    hello("ALPN h2 alone", "RFC 7301 3.2", changed(ALPN, vector(vector(b"h2", 1), 2)), HIDDEN),
    hello("ALPN HTTP/1.1 in capitals", "RFC 7301 3.2", changed(ALPN, vector(vector(b"HTTP/1.1", 1), 2)), HIDDEN),
    hello("ALPN with an empty name", "RFC 7301 3.1", changed(ALPN, vector(vector(b"", 1), 2)), DECODE),
    *[hello(f"server name: {name}", "RFC 6066 3", changed(SERVER_NAME, data), alert,
            "there is one certificate; whether it fits, the client decides" if name == "wrong" else "")
      for name, (data, alert) in SNI.items()],
    hello("server name missing", "RFC 6066 3", changed(SERVER_NAME, None)),
    hello("cut short inside", "4.1.2", message(1, client_hello()[4:60]), DECODE),
    hello("bytes behind the extensions", "4.1.2", message(1, client_hello()[4:] + b"x"), DECODE),
    hello("another message first: Finished", "4", message(FINISHED, bytes(32)), UNEXPECTED),
    Opener("announced with 16 MiB", "4", record(HANDSHAKE, b"\x01\xff\xff\xff" + bytes(100)), NOTHING,
           why="ended at once: nobody waits for it or keeps it"),
    Opener("application data first", "5", record(DATA, b"GET / HTTP/1.1\r\n\r\n"), UNEXPECTED),
    Opener("an alert first", "6", record(ALERT, b"\x02\x28"), NOTHING),
    Opener("record of an unknown kind", "5.1", record(24, b"x"), DECODE),
    Opener("empty handshake record", "5.1", record(HANDSHAKE, b"") + record(HANDSHAKE, client_hello()), DECODE),
    Opener("record of 65,535 bytes announced", "5.2", b"\x16\x03\x01\xff\xff" + bytes(1000), DECODE, why=OTHER),
    Opener("record of an unknown version", "5.1", record(HANDSHAKE, client_hello(), 0x0909), DECODE),
    Opener("SSL 2.0 ClientHello", "RFC 6176", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(40), DECODE),
    Opener("zeros", "5.1", bytes(100), DECODE),
]  # fmt: skip


# --- after the handshake ---
FRAME, PONG_FRAME = ws_frame(PING, b"in a record"), ws_frame(PONG, b"unasked")


def sends(*records: tuple[int, bytes]) -> Callable[[Records], None]:
    """Encrypted records, one after the other."""

    def act(tls: Records) -> None:
        for kind, body in records:
            tls.send(kind, body)

    return act


def raw(data: bytes) -> Callable[[Records], None]:
    """Bytes as they are."""
    return lambda tls: tls.sock.sendall(data)


def padded(tls: Records) -> None:
    """As much padding as fits."""
    tls.send(DATA, b"", RECORD_BYTES_MAX)


def spoilt(tls: Records, place: int) -> None:
    """One bit of a record turned over on its way."""
    data = bytearray(tls.seal(DATA, FRAME))
    data[place] ^= 1
    tls.sock.sendall(data)


def repeated(tls: Records) -> None:
    """The same record twice."""
    tls.sock.sendall(tls.seal(DATA, b"") * 2)


def swapped(tls: Records) -> None:
    """Two records in the wrong order."""
    first, second = tls.seal(DATA, b"a"), tls.seal(DATA, b"b")
    tls.sock.sendall(second + first)


def updates(tls: Records, count: int, *, answer: bool, between: bytes | None = None) -> None:
    """KeyUpdates, perhaps with data in between."""
    for _ in range(count):
        tls.update_keys(answer=answer)
        if between is not None:
            tls.send(DATA, between)


def update_in_two(tls: Records) -> None:
    """A KeyUpdate whose bytes come in two records."""
    whole = message(KEY_UPDATE, b"\0")
    tls.send(HANDSHAKE, whole[:2])
    tls.send(HANDSHAKE, whole[2:])
    tls.out.update()


def old_keys_after_update(tls: Records) -> None:
    """A KeyUpdate, and then the old keys all the same."""
    tls.send(HANDSHAKE, message(KEY_UPDATE, b"\0"))
    tls.send(DATA, b"")


LATER = [
    Later("a byte in each record", "5.1", sends(*[(DATA, bytes([byte])) for byte in PONG_FRAME])),
    Later("ten empty records", "5.1", sends(*[(DATA, b"")] * 10), why="allowed for application data"),
    Later("1,000 empty records", "5.1", sends(*[(DATA, b"")] * 1000), NOTHING,
          why="a flood: rustls takes some of them only, and ends it without saying why"),
    Later("record with as much padding as fits", "5.4", padded),
    Later("plaintext of 2¹⁴ + 1 bytes", "5.2", sends((DATA, bytes(RECORD_BYTES_MAX + 1))), OVERFLOW),
    Later("2¹⁴ + 257 bytes announced", "5.2", raw(b"\x17\x03\x03\x41\x01" + bytes(RECORD_BYTES_MAX + 257)), BAD_MAC,
          why="decrypted first: it is not of this connection's making"),
    Later("65,535 bytes announced, nothing sent", "5.2", raw(b"\x17\x03\x03\xff\xff"), DECODE, why=OTHER),
    Later("only padding, no kind", "5.4", sends((0, bytes(40))), NOTHING, why=SILENT),
    Later("unknown kind inside", "5", sends((99, b"x")), DECODE, why=OTHER),
    Later("empty handshake record", "5.1", sends((HANDSHAKE, b"")),
          why="rustls passes over it where the RFC asks for the end; it changes nothing"),
    Later("empty alert", "5.1", sends((ALERT, b"")), DECODE),
    Later("not encrypted", "5.2", raw(record(DATA, FRAME + bytes(32))), BAD_MAC),
    Later("shorter than its tag", "5.2", raw(record(DATA, b"x")), BAD_MAC),
    Later("a bit of the content turned over", "5.2", partial(spoilt, place=9), BAD_MAC),
    Later("a bit of the tag turned over", "5.2", partial(spoilt, place=-1), BAD_MAC),
    Later("a record twice", "5.3", repeated, BAD_MAC),
    Later("two records swapped", "5.3", swapped, BAD_MAC),
    Later("KeyUpdate", "4.6.3", partial(updates, count=1, answer=False)),
    Later("KeyUpdate that asks for one", "4.6.3", partial(updates, count=1, answer=True)),
    Later("KeyUpdate in two records", "5.1", update_in_two),
    Later("old keys after a KeyUpdate", "4.6.3", old_keys_after_update, BAD_MAC),
    Later("100 KeyUpdates with data in between", "4.6.3", partial(updates, count=100, answer=True, between=b"")),
    Later("33 KeyUpdates that ask for one", "4.6.3", partial(updates, count=33, answer=True), NOTHING,
          why="a flood; the limit is that of BoringSSL; rustls ends it without saying why"),
    Later("KeyUpdate that asks for 2", "4.6.3", sends((HANDSHAKE, message(KEY_UPDATE, b"\x02"))), ILLEGAL),
    Later("KeyUpdate with something behind it", "5.1",
          sends((HANDSHAKE, message(KEY_UPDATE, b"\0") + message(KEY_UPDATE, b"\0"))), UNEXPECTED),
    Later("data within a handshake message", "5.1",
          sends((HANDSHAKE, message(KEY_UPDATE, b"\0")[:2]), (DATA, FRAME)), NOTHING, why=SILENT),
    Later("ClientHello: renegotiation", "4.1.2", sends((HANDSHAKE, client_hello())), UNEXPECTED),
    Later("Finished again", "4", sends((HANDSHAKE, message(FINISHED, bytes(32)))), UNEXPECTED),
    Later("a session ticket from a client", "4.6.1",
          sends((HANDSHAKE, message(SESSION_TICKET, bytes(20)))), DECODE, why=OTHER),
    Later("a server's hello from a client", "4", sends((HANDSHAKE, message(SERVER_HELLO, bytes(40)))), UNEXPECTED),
    Later("handshake message of 16 MiB announced", "4",
          sends((HANDSHAKE, b"\x18\xff\xff\xff" + bytes(1000))), NOTHING, why=SILENT),
    Later("ChangeCipherSpec", "5", raw(record(CHANGE_CIPHER_SPEC, b"\x01")), UNEXPECTED,
          why="only allowed before the client's Finished"),
    Later("ChangeCipherSpec, encrypted", "5", sends((CHANGE_CIPHER_SPEC, b"\x01")), UNEXPECTED),
    Later("alert, not encrypted", "6", raw(record(ALERT, b"\x01\x00")), BAD_MAC, why=OTHER),
    Later("close_notify", "6.1", sends((ALERT, b"\x01\x00")), CLOSE_NOTIFY, why="answered alike"),
    Later("data behind close_notify", "6.1", sends((ALERT, b"\x01\x00"), (DATA, FRAME)), CLOSE_NOTIFY),
    Later("user_canceled, then close_notify", "6.1", sends((ALERT, b"\x01\x5a"), (ALERT, b"\x01\x00")), CLOSE_NOTIFY),
    Later("fatal alert", "6.2", sends((ALERT, b"\x02\x28")), NOTHING),
    Later("unknown alert", "6.2", sends((ALERT, b"\x01\xc8")), DECODE, why="counts as an error, as the RFC asks"),
]  # fmt: skip
