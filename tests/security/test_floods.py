"""Connections without end from one address: they take no place from other addresses, from accept on.

One address is one IPv4 address or one IPv6 network of 64 bits. Other addresses are 127.0.0.2 and so on, or what a load
balancer names.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.integration.test_engine_pipe import REQUEST, Api, piped
from tests.integration.test_engine_proxy import behind, header
from tests.support.engine import DEADLINE_S, Rig, Wire, running, upgrade_request

OPENING = {"opening": 1, "hello": 0, "attaching": 0, "ready": 0, "closing": 0, "piped": 0}


@contextmanager
def from_address(rig: Rig, address: str) -> Iterator[Wire]:
    """A connection from another address of this machine."""
    with closing(socket.create_connection(("127.0.0.1", rig.engine.port), DEADLINE_S, (address, 0))) as sock:
        yield Wire(sock)


def test_silent_connections_of_one_address_leave_room_for_others() -> None:
    with running(handshakes_max=8, handshakes_per_address_max=3) as rig:
        silent = [Wire(rig.dial()) for _ in range(3)]
        rig.until("states", OPENING | {"opening": 3})
        for _ in range(20):
            assert Wire(rig.dial()).read_to_end() == b""  # closed at once, nothing is said
        assert rig.stat("iris_connections_refused_total") == 20
        with from_address(rig, "127.0.0.2") as other:
            other.upgrade()
        silent[0].sock.close()
        rig.until("states", OPENING | {"opening": 2})
        rig.upgraded()


def test_who_has_upgraded_is_no_longer_opening() -> None:
    with running(handshakes_per_address_max=1) as rig:
        kept = [rig.upgraded() for _ in range(5)]
        assert len(kept) == 5
        assert rig.stat("iris_connections_refused_total") == 0


def test_what_was_refused_counts_until_it_has_gone() -> None:
    """Else garbage would be a way to hold connections that nobody counts."""
    with running(handshakes_per_address_max=2, close_timeout_ms=60_000) as rig:
        refused = [Wire(rig.dial()) for _ in range(2)]
        for wire in refused:
            wire.send(b"\0")
            assert wire.read_to_end().startswith(b"HTTP/1.1 400 ")
        assert Wire(rig.dial()).read_to_end() == b""
        refused[0].sock.close()
        rig.until("connections", 1)
        rig.upgraded()


def test_a_customers_ipv6_network_is_one_address() -> None:
    with running(proxy_from=["127.0.0.1"], connections_per_address_max=2, handshakes_per_address_max=1) as rig:
        kept = [behind(rig, header(f"2001:db8:0:1:{number}::7")).upgrade() for number in (1, 2)]
        third = behind(rig, header("2001:db8:0:1:ffff::7"))
        third.send(upgrade_request())
        assert third.read_to_end().startswith(b"HTTP/1.1 429 ")
        third.sock.close()
        behind(rig, header("2001:db8:0:2::7")).upgrade()
        rig.until("connections", 3)
        silent = behind(rig, header("2001:db8:0:1::1") + b"GET ")  # the header has named the client
        rig.until("states", OPENING | {"hello": 3})
        assert behind(rig, header("2001:db8:0:1::2")).read_to_end() == b""
        assert len(kept) == 2
        silent.sock.close()


def test_a_load_balancer_is_not_one_client() -> None:
    """Its connections count for whom they name, and before they name anybody for nobody."""
    with running(proxy_from=["127.0.0.1"], handshakes_per_address_max=1) as rig:
        waiting = [Wire(rig.dial()) for _ in range(10)]
        rig.until("states", OPENING | {"opening": 10})
        for number, wire in enumerate(waiting):
            wire.send(header(f"192.0.2.{number}"))
            wire.upgrade()
        assert rig.stat("iris_connections_refused_total") == 0


def test_pipes_of_one_address_leave_room_for_others(tmp_path: Path) -> None:
    """Keep-alive connections and slow requests, below and above pipes_per_address_max."""
    with piped(tmp_path, False, pipes_max=4, pipes_per_address_max=2) as (rig, api):
        kept, served = [rig.connect() for _ in range(2)], []
        for wire in kept:
            wire.send(REQUEST)
            served.append(api.accept()[0])
        third = rig.connect()
        third.send(REQUEST)
        assert third.read_to_end().startswith(b"HTTP/1.1 429 ")
        assert_served(rig, api, "127.0.0.2")
        rig.upgraded()  # the address may still have sessions
        kept[0].sock.close()
        served[0].sock.close()
        rig.until("pipes_open", 1)
        rig.until("connections", 2)
        fourth = rig.connect()
        fourth.send(REQUEST)
        api.accept()


def assert_served(rig: Rig, api: Api, address: str) -> None:
    """A request from this address gets through to the API."""
    with from_address(rig, address) as other:
        other.send(REQUEST)
        assert api.accept()[1][0] == address
