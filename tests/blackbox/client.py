"""A client that does exactly what a test tells it, right or wrong.

Written from docs/protocol.md, docs/reference, protocol/iris/v1 and /v1/openapi.json alone: it imports nothing of the
server or the SDK and keeps no rule by itself. It owns no state but what a test gives it.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.blackbox.schema import bytes_field, client_frame, new, server_frame

PATIENCE_S = 15.0
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
PASSWORD = "correct horse"


def user_bytes(user_id: str) -> bytes:
    """The 16 bytes of a user id of 26 letters."""
    value = 0
    for letter in user_id:
        value = value << 5 | LETTERS.index(letter)
    return value.to_bytes(16, "big")


def conversation(one: bytes, other: bytes) -> bytes:
    """The id of a direct conversation."""
    return min(one, other) + max(one, other)


def message_id() -> bytes:
    """A new one."""
    return secrets.token_bytes(16)


def nonce() -> str:
    """For a log-in or a refresh."""
    return secrets.token_hex(16)


def text(body: str) -> bytes:
    """A payload."""
    made: bytes = new("Content", text={"body": body}).SerializeToString()
    return made


@dataclass
class Login:
    """One linked device and its tokens."""

    user: bytes
    device: int
    access: str
    refresh: str
    expires_at: int


class Api:
    """The HTTP API below /v1."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url + "/v1", timeout=PATIENCE_S, trust_env=False)

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """One request; `json` and the like as httpx has them."""
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        return self.http.request(method, path, headers=headers, **options)

    def good(self, method: str, path: str, token: str | None = None, **options: Any) -> Any:
        """The JSON of a request that must succeed."""
        answer = self.call(method, path, token, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def log_in(self, handle: str, device_name: str = "laptop") -> Login:
        """Link a device."""
        given = self.good(
            "POST",
            "/sessions",
            json={"handle": handle, "password": PASSWORD, "device_name": device_name, "nonce": nonce()},
        )
        return Login(
            user_bytes(given["user_id"]),
            given["device"],
            given["access_token"],
            given["refresh_token"],
            given["expires_at"],
        )


@dataclass
class Person:
    """An account and its first device."""

    api: Api
    handle: str
    user_id: str
    user: bytes
    login: Login

    @property
    def access(self) -> str:
        """The access token of the first device."""
        return self.login.access

    def another_device(self) -> Login:
        """Link one more."""
        return self.api.log_in(self.handle, "phone")

    def privacy(self, **settings: Any) -> None:
        """Change it."""
        self.api.good("PATCH", "/me", self.access, json={"privacy": settings})


def person(api: Api) -> Person:
    """Somebody new, with one device."""
    handle = "p" + secrets.token_hex(8)
    made = api.good("POST", "/users", json={"handle": handle, "password": PASSWORD})
    return Person(api, handle, made["user_id"], user_bytes(made["user_id"]), api.log_in(handle))


class Closed(Exception):
    """The server closed the connection; 1006 without a close frame."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Connection:
    """One WebSocket. Frames that a test has not asked for yet wait in `waiting`, in order."""

    def __init__(
        self,
        ws_url: str,
        protocols: Sequence[str] = ("iris.v1.pb",),
        headers: dict[str, str] | None = None,
    ) -> None:
        self.socket = connect(
            ws_url,
            subprotocols=[Subprotocol(name) for name in protocols],
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            max_size=None,
            close_timeout=1,
            proxy=None,
        ).__enter__()  # `close` and `drop` end it
        self.waiting: list[Any] = []

    def raw(self, message: bytes | str | list[bytes]) -> None:
        """Any bytes; a string goes as a text message, a list as fragments."""
        self.socket.send(message)

    def put(self, body: str, **fields: Any) -> None:
        """One ClientFrame."""
        self.raw(client_frame(body, **fields))

    def read(self, timeout: float = PATIENCE_S) -> Any:
        """The next ServerFrame from the socket. Raises Closed, or TimeoutError when nothing comes."""
        try:
            given = self.socket.recv(timeout)
        except ConnectionClosed as closed:
            raise Closed(closed.rcvd.code if closed.rcvd else 1006) from None
        assert isinstance(given, bytes), "the server sent a text message"
        return server_frame(given)

    def take(self, name: str, wanted: Callable[[Any], bool] = lambda body: True, timeout: float = PATIENCE_S) -> Any:
        """The first frame of this name, waiting or to come, for which `wanted` holds; the others wait."""
        for index, frame in enumerate(self.waiting):
            if frame.WhichOneof("body") == name and wanted(getattr(frame, name)):
                del self.waiting[index]
                return getattr(frame, name)
        until = time.monotonic() + timeout
        while True:
            frame = self.read(max(0.0, until - time.monotonic()))
            if frame.WhichOneof("body") == name and wanted(getattr(frame, name)):
                return getattr(frame, name)
            self.waiting.append(frame)

    def names(self) -> list[str]:
        """What waits."""
        return [frame.WhichOneof("body") for frame in self.waiting]

    def hello(self, token: str, seq: int = 0, rev: int = 0, **fields: Any) -> Any:
        """Say Hello; the Welcome."""
        self.put("hello", token=token, cursor={"seq": seq, "rev": rev}, client="blackbox/1", **fields)
        return self.take("welcome")

    def alive(self) -> None:
        """Fails unless the server answers: an unknown frame gets a Problem, whatever else comes before."""
        number = 500 + secrets.randbelow(10_000)
        self.raw(bytes_field(number, b"\x08\x01"))
        self.take("problem", lambda problem: problem.frame == number)

    def close_code(self, timeout: float = PATIENCE_S) -> int:
        """Read until the server closes: with which code."""
        until = time.monotonic() + timeout
        try:
            while True:
                self.waiting.append(self.read(max(0.0, until - time.monotonic())))
        except Closed as closed:
            return closed.code

    def close(self) -> None:
        """In good order."""
        self.socket.close()

    def drop(self) -> None:
        """As when the network goes: a reset, no close frame."""
        with contextlib.suppress(OSError):  # it is closed already
            self.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close_socket()


@dataclass
class Talk:
    """What a sender needs to write to one peer: where it stands in a conversation."""

    conversation: bytes
    stream: int = 1
    number: int = 0
    answered: int = 0
    sent: dict[int, bytes] = field(default_factory=dict)  # number → message_id

    def send(self, connection: Connection, body: str = "hi", *, again: int = 0, **changed: Any) -> bytes:
        """Send the next number, or number `again` once more; any field may be `changed`. The message_id."""
        if not again:
            self.number += 1
        number = again or self.number
        if changed.get("stream", self.stream) != self.stream:
            changed.setdefault("answered", 0)  # nothing of another stream is answered yet
        identity = self.sent.setdefault(number, changed.pop("message_id", None) or message_id())
        fields: dict[str, Any] = {
            "conversation": self.conversation,
            "stream": self.stream,
            "client_seq": number,
            "answered": self.answered,
            "message_id": identity,
            "payload": text(body),
            "content_type": 1,
        }
        connection.put("send", **(fields | changed))
        return identity

    def accepted(self, connection: Connection, number: int = 0) -> Any:
        """The Accepted of a number (of the last one); it counts as answered when it is the next."""
        number = number or self.number
        given = connection.take("accepted", lambda body: body.client_seq == number and body.stream == self.stream)
        assert given.message_id == self.sent[number]
        assert given.conversation == self.conversation
        if number == self.answered + 1:
            self.answered = number
        return given


@dataclass
class Mailbox:
    """The receiving rule of the document: take a row only if prev <= cursor < seq, a register alike."""

    seq: int = 0
    rev: int = 0
    rows: list[Any] = field(default_factory=list)
    receipts: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    read: dict[bytes, int] = field(default_factory=dict)
    dropped: int = 0

    def offer(self, frame: Any) -> bool:
        """Take a Deliver, Receipt or ReadSync, or drop it; other frames are passed over. True when it was taken."""
        name = frame.WhichOneof("body")
        body: Any = getattr(frame, name) if name else None
        if name == "deliver":
            if not body.prev <= self.seq < body.seq:
                self.dropped += 1
                return False
            self.seq = body.seq
            self.rows.append(body)
            return True
        if name not in ("receipt", "read_sync"):
            return False
        if not body.prev_rev <= self.rev < body.rev:
            self.dropped += 1
            return False
        self.rev = body.rev
        if name == "receipt":
            had = self.receipts.get(body.conversation, (0, 0))
            self.receipts[body.conversation] = (max(had[0], body.delivered), max(had[1], body.read))
        else:
            self.read[body.conversation] = max(self.read.get(body.conversation, 0), body.seq)
        return True

    def fill(self, connection: Connection, enough: Callable[[Mailbox], bool], timeout: float = PATIENCE_S) -> None:
        """Take what comes until `enough` holds. Sends no Ack."""
        until = time.monotonic() + timeout
        while not enough(self):
            if connection.waiting:
                self.offer(connection.waiting.pop(0))
            else:
                self.offer(connection.read(max(0.0, until - time.monotonic())))

    def ids(self) -> list[bytes]:
        """The message_ids taken, in order."""
        return [row.message_id for row in self.rows]

    def ack(self, connection: Connection) -> None:
        """Both values, as they are."""
        connection.put("ack", seq=self.seq, rev=self.rev)
