"""The way to a WebSocket: plaintext and garbage, limits and time-outs. What makes a good upgrade: tests/conformance."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from itertools import pairwise

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from iris.core import frames as f
from iris.core.catalogue import CloseCode
from tests.support.certificate import certificate
from tests.support.engine import HELLO, Rig, Wire, eventually, running, upgrade_request, welcome, ws_frame


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """An engine with the default limits, without and with TLS."""
    with running(certificate=certificate() if request.param == "tls" else None) as rig:
        yield rig


def answer_to(rig: Rig, request: bytes) -> bytes:
    """What the engine answers before it closes."""
    with rig.connect() as wire:
        wire.send(request)
        return wire.read_to_end()


def test_a_common_library_connects(rig: Rig) -> None:
    async def case() -> None:
        context = None if rig.certificate is None else rig.certificate.client_context()
        scheme = "ws" if context is None else "wss"
        uri = f"{scheme}://localhost:{rig.engine.port}/v1/connect?from=test"
        offered = [Subprotocol("other"), Subprotocol("iris.v1.pb")]
        async with connect(uri, ssl=context, subprotocols=offered, proxy=None) as ws:
            assert ws.subprotocol == "iris.v1.pb"
            await ws.send(HELLO)
            hello = await asyncio.to_thread(rig.next, f.HELLO)
            rig.engine.send([welcome(hello[1])])
        assert rig.next(f.CLOSED) == (f.CLOSED, hello[1], CloseCode.NORMAL)

    asyncio.run(case())


def test_a_head_may_come_byte_by_byte_and_frames_right_behind_it(rig: Rig) -> None:
    with rig.connect() as wire:
        request = upgrade_request()
        for byte in request[:-1]:
            wire.send(bytes([byte]))
        wire.send(request[-1:] + ws_frame(2, HELLO))
        assert wire.read_head().startswith(b"HTTP/1.1 101 ")
        assert rig.next(f.HELLO)[2] == "t"


def test_plaintext_on_the_tls_port_is_told_so() -> None:
    with running(certificate=certificate()) as rig:
        for request in (upgrade_request(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            with Wire(rig.dial()) as wire:
                wire.send(request)
                answer = wire.read_to_end()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"this port speaks TLS" in answer
        assert rig.stat("refused") == {"speaks_tls": 2}
        rig.ready()


def test_garbage_on_the_tls_port_gets_an_alert() -> None:
    with running(certificate=certificate()) as rig:
        for garbage in (b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\xff" * 20_000, b"\x16\x03\x01\x00\x05hello"):
            with Wire(rig.dial()) as wire:
                wire.send(garbage)
                answer = wire.read_to_end()
            assert answer == b"" or answer[0] == 21, answer
        rig.until("tls_faults_total", 3)
        rig.until("connections", 0)
        rig.ready()


def test_a_port_without_tls_refuses_a_tls_client() -> None:
    with running() as rig:
        with pytest.raises((ssl.SSLError, ConnectionError)), rig.dial() as sock:
            certificate().client_context().wrap_socket(sock, server_hostname="localhost")
        assert rig.stat("refused") == {"not_http": 1}


def test_too_many_connections_from_one_address_are_refused() -> None:
    with running(certificate=certificate(), connections_per_address_max=2) as rig:
        kept = [rig.ready(), rig.ready()]
        assert answer_to(rig, upgrade_request()).startswith(b"HTTP/1.1 429 ")
        assert answer_to(rig, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 429 ")
        assert rig.stat("refused") == {"too_many_connections": 2}
        assert rig.stat("iris_connections_refused_total") == 2
        kept[0][0].sock.close()
        rig.until("connections", 1)
        rig.ready()


def test_connections_above_the_node_limit_are_closed_at_once() -> None:
    with running(connections_max=2) as rig:
        kept = [rig.ready(), rig.ready()]
        with Wire(rig.dial()) as wire:
            assert wire.read_to_end() == b""
        assert rig.stat("iris_connections_refused_total") == 1
        kept[0][0].sock.close()
        rig.until("connections", 1)
        rig.ready()


@pytest.mark.parametrize("secure", [False, True])
def test_slow_writers_run_into_the_upgrade_timeout(secure: bool) -> None:
    """Silent from the start, in the middle of the handshake, and a byte at a time in the middle of the head."""
    with running(certificate=certificate() if secure else None, upgrade_timeout_ms=300) as rig:
        silent, stuck = Wire(rig.dial()), Wire(rig.dial())
        stuck.send(b"\x16\x03\x01\x02\x00\x01" if secure else b"GET /v1/c")
        with rig.connect() as slow:
            trickle = iter(upgrade_request(X="x" * 5000))

            def is_closed() -> bool:
                try:
                    slow.send(bytes([next(trickle)]))
                except OSError:
                    return True
                return bool(rig.stat("upgrade_timeouts_total") == 3)

            eventually(is_closed, "the slow writer is closed")
        assert silent.read_to_end() == b""
        assert stuck.read_to_end() == b""
        rig.until("upgrade_timeouts_total", 3)
        rig.until("connections", 0)


@pytest.mark.parametrize("secure", [False, True])
def test_slow_writers_run_into_the_hello_timeout(secure: bool) -> None:
    with running(certificate=certificate() if secure else None, hello_timeout_ms=300) as rig:
        silent, slow = rig.upgraded(), rig.upgraded()
        message = ws_frame(2, b"\x0a\xff\x1f\x0a\xfc\x1f" + b"t" * 4000)
        trickle = iter(message)

        def is_closed() -> bool:
            slow.send(bytes([next(trickle)]))
            return bool(rig.stat("closed") == {CloseCode.HELLO_TIMEOUT: 2})

        eventually(is_closed, "both are closed")
        assert silent.close_code() == CloseCode.HELLO_TIMEOUT
        assert slow.close_code() == CloseCode.HELLO_TIMEOUT
        assert rig.no_more()


def test_accepting_pauses_while_too_many_handshakes_are_in_flight() -> None:
    with running(handshakes_max=2) as rig:
        waiting = [rig.connect() for _ in range(4)]
        rig.until("accepted_total", 2)
        waiting[3].send(upgrade_request())
        waiting[0].upgrade()
        waiting[1].upgrade()
        assert waiting[3].read_head().startswith(b"HTTP/1.1 101 ")
        assert rig.stat("iris_handshakes_paused_total") >= 1
        rig.until("states", {"opening": 1, "hello": 3, "attaching": 0, "ready": 0, "closing": 0, "piped": 0})


def test_a_storm_of_handshakes_is_served_in_parts_and_nobody_is_left_out() -> None:
    """With the least budget every turn is cut, and every connection still gets through."""
    with running(certificate=certificate(), handshake_turn_us=1) as rig:
        context = certificate().client_context()
        sockets = [rig.dial() for _ in range(40)]
        states = [ssl.MemoryBIO() for _ in range(80)]
        tunnels = []
        for sock, (incoming, outgoing) in zip(sockets, list(pairwise(states))[::2], strict=True):
            tunnel = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                tunnel.do_handshake()
            tunnels.append((sock, tunnel, incoming, outgoing))
        for sock, _, _, outgoing in tunnels:
            sock.sendall(outgoing.read())
        for sock, tunnel, incoming, outgoing in tunnels:
            while True:
                incoming.write(sock.recv(65536))
                try:
                    tunnel.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    pass
            sock.sendall(outgoing.read())
        rig.until("handshakes_total", 40)
        assert rig.stat("iris_handshake_turns_cut_total") > 0
        for sock in sockets:
            sock.close()
        rig.until("connections", 0)
