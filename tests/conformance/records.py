"""TLS 1.3 by hand: records and messages that no library sends. After a library's handshake it goes on with its keys.

RFC 8446: the record layer is chapter 5, the keys of application data 7.1 and 7.3, ClientHello 4.1.2.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.support.certificate import certificate
from tests.support.engine import Rig

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, SESSION_TICKET, FINISHED, KEY_UPDATE = 1, 2, 4, 20, 24
RECORD_BYTES_MAX = 1 << 14
END = (-1, b"")


def message(kind: int, body: bytes = b"") -> bytes:
    """A handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    """A record as it goes over the wire, not encrypted."""
    return struct.pack("!BHH", kind, version, len(body)) + body


def expand(secret: bytes, label: str, size: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446, 7.1, without a context."""
    name = b"tls13 " + label.encode()
    info = struct.pack("!HB", size, len(name)) + name + b"\0"
    return HKDFExpand(hashes.SHA256(), size, info).derive(secret)


class Direction:
    """The keys of one direction, and how many records they have seen."""

    def __init__(self, secret: bytes) -> None:
        self._take(secret)

    def _take(self, secret: bytes) -> None:
        self.secret, self.count = secret, 0
        self.aead, self.iv = AESGCM(expand(secret, "key", 16)), expand(secret, "iv", 12)

    def update(self) -> None:
        """The next generation, after a KeyUpdate."""
        self._take(expand(self.secret, "traffic upd", 32))

    def nonce(self) -> bytes:
        """For the next record."""
        number, self.count = self.count, self.count + 1
        return bytes(a ^ b for a, b in zip(self.iv, number.to_bytes(12, "big"), strict=True))


class Records:
    """A TLS 1.3 connection after its handshake, record by record."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        context = certificate().client_context()
        context.keylog_filename = str(folder / "keys")
        tunnel = context.wrap_socket(rig.dial(), server_hostname="localhost")
        assert tunnel.cipher() == ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)
        words = [line.split() for line in (folder / "keys").read_text().splitlines()]
        secrets = {word[0]: bytes.fromhex(word[2]) for word in words if len(word) == 3}
        self.out = Direction(secrets["CLIENT_TRAFFIC_SECRET_0"])
        self._in = Direction(secrets["SERVER_TRAFFIC_SECRET_0"])
        timeout = tunnel.gettimeout()
        self.sock = socket.socket(fileno=tunnel.detach())
        self.sock.settimeout(timeout)
        self.key_updates = 0  # of the server
        self._data = b""

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def seal(self, kind: int, body: bytes, padding: int = 0) -> bytes:
        """An encrypted record; the kind is that of its content."""
        inner = body + bytes([kind]) + bytes(padding)
        head = struct.pack("!BHH", DATA, 0x0303, len(inner) + 16)
        return head + self.out.aead.encrypt(self.out.nonce(), inner, head)

    def send(self, kind: int, body: bytes, padding: int = 0) -> None:
        """Send one encrypted record."""
        self.sock.sendall(self.seal(kind, body, padding))

    def update_keys(self, *, answer: bool) -> None:
        """Send a KeyUpdate, perhaps one that asks for another."""
        self.send(HANDSHAKE, message(KEY_UPDATE, bytes([answer])))
        self.out.update()

    def _exactly(self, size: int) -> bytes:
        got = b""
        try:
            while len(got) < size and (more := self.sock.recv(size - len(got))):
                got += more
        except ConnectionError:
            pass
        return got if len(got) == size else b""

    def read(self) -> tuple[int, bytes]:
        """Kind and content of the next record that is not about session tickets; END at the end."""
        while True:
            head = self._exactly(5)
            if not head:
                return END
            body = self._exactly(int.from_bytes(head[3:5], "big"))
            inner = self._in.aead.decrypt(self._in.nonce(), body, head).rstrip(b"\0")
            kind, content = inner[-1], inner[:-1]
            if kind == HANDSHAKE and content[0] == KEY_UPDATE:
                self.key_updates += 1
                self._in.update()
            elif kind != HANDSHAKE or content[0] != SESSION_TICKET:
                return kind, content

    def read_data(self, size: int) -> bytes:
        """So many bytes of application data."""
        while len(self._data) < size:
            kind, content = self.read()
            assert kind == DATA, (kind, content)
            self._data += content
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def read_head(self) -> bytes:
        """An HTTP head."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read_data(1)
        return head

    def read_end(self) -> int | None:
        """Pass over data until the end; the code of the alert before it."""
        alert = None
        while (got := self.read()) != END:
            if got[0] == ALERT:
                alert = got[1][1]
        return alert


# --- ClientHello ---
X25519, P256, P384, P521, FFDHE2048 = 29, 23, 24, 25, 256
SERVER_NAME, GROUPS, SIGNATURES, ALPN, VERSIONS, PSK_MODES, KEY_SHARE = 0, 10, 13, 16, 43, 45, 51
TLS12, TLS13 = 0x0303, 0x0304


def vector(items: bytes, size: int) -> bytes:
    """A vector with its length in so many bytes."""
    return len(items).to_bytes(size, "big") + items


def numbers(values: Sequence[int], size: int = 2) -> bytes:
    """A vector of 16-bit numbers."""
    return vector(b"".join(struct.pack("!H", value) for value in values), size)


def host(name: bytes, kind: int = 0) -> bytes:
    """The content of a server_name extension."""
    return vector(bytes([kind]) + vector(name, 2), 2)


def key_share(group: int = X25519, public: bytes = b"\x09" + bytes(31)) -> bytes:
    """The content of a key_share extension with one share."""
    return vector(struct.pack("!H", group) + vector(public, 2), 2)


USUAL: Mapping[int, bytes] = {
    SERVER_NAME: host(b"localhost"),
    GROUPS: numbers([X25519, P256]),
    SIGNATURES: numbers([0x0403, 0x0804]),
    ALPN: vector(vector(b"http/1.1", 1), 2),
    VERSIONS: numbers([TLS13], 1),
    PSK_MODES: b"\x01\x01",
    KEY_SHARE: key_share(),
}


def client_hello(
    suites: Sequence[int] = (0x1301,),
    changes: Mapping[int, bytes | None] | None = None,
    *,
    version: int = TLS12,
    compression: bytes = b"\0",
    behind: bytes = b"",
) -> bytes:
    """A ClientHello message; `changes` replace, add or (None) drop extensions, `behind` follows the last of them."""
    extensions = {**USUAL, **(changes or {})}
    body = b"".join(struct.pack("!H", kind) + vector(data, 2) for kind, data in extensions.items() if data is not None)
    fields = struct.pack("!H", version) + b"r" * 32 + vector(b"s" * 32, 1) + numbers(suites) + vector(compression, 1)
    return message(CLIENT_HELLO, fields + vector(body + behind, 2))


def first_answer(sock: socket.socket) -> tuple[int, int]:
    """Kind of the first record that comes back, and its alert or the kind of its message; (-1, 0) at the end."""
    head = b""
    try:
        while len(head) < 7 and (more := sock.recv(7 - len(head))):
            head += more
    except (ConnectionError, ssl.SSLError):
        pass
    if len(head) < 7:
        return -1, 0
    return head[0], head[6] if head[0] == ALERT else head[5]
