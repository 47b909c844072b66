"""A conversation that any WebSocket client can be put to: Hello, messages at all length boundaries, pings, a close.

The test plays the rules behind a real engine with TLS. A client is a function that plays a `Plan` and says what it saw.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from dataclasses import dataclass

from iris.core import frames as f
from iris.core.catalogue import CloseCode, Limits
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import Certificate, certificate
from tests.support.engine import HELLO, Rig, client_frame, eventually, running, welcome

SUBPROTOCOL = "iris.v1.pb"
OFFERED = ["chat", SUBPROTOCOL]
CLIENT_CODE, SERVER_CODE = 4321, int(CloseCode.TOKEN_REVOKED)
PING_MS = 100
START_S = 90.0  # a browser on a busy machine
BOUNDARIES = (124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537)  # bytes of a message: RFC 6455, 5.2
SENDER, CONVERSATION, NAME = b"u" * 16, b"c" * 32, b"m" * 16


@dataclass(frozen=True)
class Plan:
    """What a client does: it opens, says the first frame, after the first message all others, and takes what comes."""

    url: str
    trust: Certificate
    offered: list[str]
    frames: list[bytes]
    close_after: int  # messages, after which it closes with `code`; 0: it waits until the server closes
    code: int = CLIENT_CODE


@dataclass(frozen=True)
class Report:
    """What a client saw."""

    protocol: str | None
    messages: list[bytes]
    code: int  # of the close frame that came


def send_frame(payload: bytes) -> bytes:
    """A Send as the client puts it."""
    return client_frame(
        send=pb.Send(conversation=CONVERSATION, stream=1, client_seq=1, message_id=NAME, payload=payload)
    )


def deliver_frame(payload: bytes) -> bytes:
    """A Deliver as the server puts it."""
    deliver = pb.Deliver(
        seq=2, prev=1, kind=pb.KIND_MESSAGE, conversation=CONVERSATION, sender=SENDER, device=1, message_id=NAME, at=3
    )
    deliver.payload = payload
    return pb.ServerFrame(deliver=deliver).SerializeToString()


def payloads() -> list[bytes]:
    """Payloads with which a Send or a Deliver has each of the lengths, and the shortest and the longest one."""
    sizes = {0, 1, Limits().payload_bytes_max}
    for frame in (send_frame, deliver_frame):
        found = {size: len(frame(bytes(size))) for at in BOUNDARIES for size in range(max(at - 130, 0), at)}
        sizes |= {size for size, length in found.items() if length in BOUNDARIES}
        assert set(found.values()) >= set(BOUNDARIES), "no boundary is left out"
    return [bytes(at % 251 for at in range(size)) for size in sorted(sizes)]


def play(client: Callable[[Plan], Report], *, server_closes: bool) -> None:
    """The whole conversation, and that both sides saw the same."""
    texts = payloads()
    with running(certificate=certificate(), ping_interval_ms=PING_MS) as rig:
        plan = Plan(
            url=f"wss://localhost:{rig.engine.port}/v1/connect",
            trust=certificate(),
            offered=OFFERED,
            frames=[HELLO, *(send_frame(text) for text in texts)],
            close_after=0 if server_closes else 2 + 2 * len(texts),
        )
        reports: list[Report] = []
        thread = threading.Thread(target=lambda: reports.append(client(plan)), daemon=True)
        thread.start()
        conn = attend(rig, texts)
        if server_closes:
            rig.engine.send([f.Close(f.CLOSE, conn, SERVER_CODE)])
        else:
            rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1)])  # one more message: its sign to close
        code = SERVER_CODE if server_closes else CLIENT_CODE
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, code)
        thread.join(START_S)
        (report,) = reports
        rig.until("connections", 0)
        assert rig.stat("tls_faults_total") == 0
    assert (report.protocol, report.code) == (SUBPROTOCOL, code)
    got = [pb.ServerFrame.FromString(message) for message in report.messages]
    kinds = ["welcome", *["accepted", "deliver"] * len(texts), *([] if server_closes else ["refreshed"])]
    assert [frame.WhichOneof("body") for frame in got] == kinds
    assert [frame.deliver.payload for frame in got if frame.HasField("deliver")] == texts


def attend(rig: Rig, texts: list[bytes]) -> int:
    """Play the rules until all messages are answered and a ping was; the connection."""
    readable, _, _ = select.select([rig.engine.fileno()], [], [], START_S)
    assert readable, "the client did not come"
    conn: int = rig.next(f.HELLO)[1]
    rig.engine.send([welcome(conn)])
    for text in texts:
        send = rig.next(f.SEND)
        assert (send[1], send[6], send[8]) == (conn, NAME, text)
        accepted = f.Accepted(f.ACCEPTED, conn, CONVERSATION, 1, 1, NAME, 2, 3)
        deliver = f.Deliver(f.DELIVER, conn, 2, 1, 1, CONVERSATION, SENDER, 1, NAME, 3, 0, text, 0, 0)
        rig.engine.send([accepted, deliver])
    before = rig.stat("iris_pings_total")
    # The second ping is sent only when the first was answered; else the connection would be closed.
    eventually(lambda: bool(rig.stat("iris_pings_total") >= before + 2), "the client answers a ping")
    return conn
