"""PROXY v2 in front of the engine: required from configured load balancers, never believed from anybody else."""

from __future__ import annotations

import socket
import struct

import pytest

from iris.core import frames as f
from tests.support.certificate import certificate
from tests.support.engine import HELLO, Rig, Wire, running, upgrade_request

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(client: str, port: int = 4711) -> bytes:
    """A PROXY v2 header."""
    if ":" in client:
        body = socket.inet_pton(socket.AF_INET6, client) + b"\0" * 16 + struct.pack("!HH", port, 443)
        return SIGNATURE + b"\x21\x21" + struct.pack("!H", len(body)) + body
    body = socket.inet_aton(client) + b"\0" * 4 + struct.pack("!HH", port, 443)
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def behind(rig: Rig, front: bytes) -> Wire:
    """A connection whose first bytes are these."""
    sock = rig.dial()
    sock.sendall(front)
    if rig.certificate is not None:
        sock = rig.certificate.client_context().wrap_socket(sock, server_hostname="localhost")
    return Wire(sock)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    ("front", "address"),
    [(header("192.0.2.7"), "192.0.2.7"), (header("2001:db8::7"), "2001:db8::7"), (LOCAL, "127.0.0.1")],
)
def test_the_load_balancer_names_the_client(secure: bool, front: bytes, address: str) -> None:
    with running(certificate=certificate() if secure else None, proxy_from=["10.0.0.0/8", "127.0.0.0/8"]) as rig:
        wire = behind(rig, front).upgrade()
        wire.say(HELLO)
        assert rig.next(f.HELLO)[7] == address


def test_a_header_may_come_in_pieces_and_with_the_request_behind_it() -> None:
    with running(proxy_from=["127.0.0.1"]) as rig:
        front = header("192.0.2.7")
        wire = Wire(rig.dial())
        for byte in front[:-1]:
            wire.send(bytes([byte]))
        wire.send(front[-1:] + upgrade_request())
        assert wire.read_head().startswith(b"HTTP/1.1 101 ")
        wire.say(HELLO)
        assert rig.next(f.HELLO)[7] == "192.0.2.7"


@pytest.mark.parametrize(
    "front", [b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", upgrade_request(), SIGNATURE + b"\x11\x11\0\0"]
)
def test_a_load_balancer_that_says_nothing_is_cut_off(front: bytes) -> None:
    with running(proxy_from=["127.0.0.1"]) as rig:
        wire = Wire(rig.dial())
        wire.send(front)
        assert wire.read_to_end() == b""
        assert rig.stat("proxy_faults_total") == 1


def test_nobody_else_is_believed() -> None:
    with running(proxy_from=["10.0.0.0/8"]) as rig:
        wire = Wire(rig.dial())
        wire.send(header("192.0.2.7") + upgrade_request())
        assert wire.read_to_end().startswith(b"HTTP/1.1 400 ")


def test_limits_count_the_client_not_the_load_balancer() -> None:
    with running(proxy_from=["127.0.0.1"], connections_per_address_max=1) as rig:
        one = behind(rig, header("192.0.2.7")).upgrade()
        behind(rig, header("192.0.2.8")).upgrade()
        again = behind(rig, header("192.0.2.7", 99))
        again.send(upgrade_request())
        assert again.read_to_end().startswith(b"HTTP/1.1 429 ")
        one.sock.close()
        rig.until("connections", 1)
        behind(rig, header("192.0.2.7")).upgrade()
