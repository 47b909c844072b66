"""The life of an engine: what it refuses to be built from, ports, threads, the end."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from iris import _engine
from iris.core import frames as f
from iris.core.catalogue import LIMITS, CloseCode
from iris.wire import engine as wire_engine
from iris.wire.engine import EngineError, open_engine
from tests.support.certificate import certificate
from tests.support.engine import HELLO, Rig, Wire, eventually, running, welcome

PLAIN: dict[str, Any] = {
    "host": "127.0.0.1", "port": 0, "threads": 1, "certificate": None, "key": None, "tls12": False, "api_path": None,
    "proxy_from": [], "limits": {},
}  # fmt: skip


def test_plaintext_is_for_loopback_only() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"):
        with pytest.raises(EngineError, match="plaintext only on loopback"):
            open_engine(**PLAIN | {"host": host})
        open_engine(**PLAIN | {"host": host, "certificate": certificate().chain, "key": certificate().key})
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"):
        open_engine(**PLAIN | {"host": host})


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "host": ({"host": "iris.example"}, ValueError, "not an IP address"),
    "no threads": ({"threads": 0}, EngineError, "threads is 0"),
    "too many threads": ({"threads": 65}, EngineError, "threads is 65"),
    "key alone": ({"key": b"x"}, ValueError, "together"),
    "certificate": ({"certificate": b"x", "key": b"y"}, EngineError, "no certificate"),
    "range": ({"proxy_from": ["10.0.0.0/33"]}, ValueError, "10.0.0.0/33"),
    "unknown limit": ({"limits": {"watches_max": 1}}, ValueError, "watches_max"),
    "limit of zero": ({"limits": {"pipes_max": 0}}, ValueError, "pipes_max is 0"),
    "idle before ping": ({"limits": {"idle_timeout_ms": 10_000}}, EngineError, "ping_interval_ms"),
}


@pytest.mark.parametrize(("changes", "error", "words"), WRONG.values(), ids=list(WRONG))
def test_wrong_options_are_named(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_engine(**PLAIN | changes)


def test_the_engine_keeps_exactly_the_limits_of_the_catalogue() -> None:
    limits = {name: info.default for name, info in LIMITS.items() if info.where == "engine"}
    open_engine(**PLAIN | {"limits": limits})
    for name in LIMITS.keys() - limits.keys():
        with pytest.raises(ValueError, match=name):
            open_engine(**PLAIN | {"limits": {name: 1}})


def test_a_port_in_use_is_an_os_error() -> None:
    with running() as rig:
        other = open_engine(**PLAIN | {"port": rig.engine.port})
        with pytest.raises(OSError, match="in use") as raised:
            other.start()
        assert raised.value.errno == errno.EADDRINUSE
        assert other.port == rig.engine.port
    other.start()
    other.stop()


def test_it_starts_only_once() -> None:
    with running() as rig, pytest.raises(EngineError, match="only once"):
        rig.engine.start()
    with pytest.raises(EngineError, match="only once"):
        rig.engine.start()
    rig.engine.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_threads_share_a_port_and_the_connections(host: str) -> None:
    engine = open_engine(**PLAIN | {"host": host, "threads": 4})
    try:
        engine.start()
    except OSError:
        if host != "::1":
            raise
        return  # this machine has no IPv6
    rig = Rig.around(engine)
    wires = []
    for _ in range(40):
        wires.append(wire := Wire(socket.create_connection((host, engine.port))).upgrade())
        wire.say(HELLO)
    hellos = [rig.next(f.HELLO) for _ in wires]
    assert {hello[7] for hello in hellos} == {host}
    conns = [hello[1] for hello in hellos]
    assert len({conn >> 57 for conn in conns}) > 1, "more than one thread has connections"
    engine.send([welcome(conn) for conn in conns])
    for wire in wires:
        assert wire.read_message().HasField("welcome")
    assert len(rig.stat("thread_cpu_seconds")) == 4
    for wire in wires:
        wire.sock.close()
    engine.stop()


@pytest.mark.parametrize("secure", [False, True])
def test_stop_tells_everybody_and_sends_what_was_given_before(secure: bool) -> None:
    rig = Rig(certificate=certificate() if secure else None, close_timeout_ms=10_000)
    ready, conn = rig.ready()
    waiting, waiting_conn = rig.logged_in()
    silent = rig.upgraded()
    Wire(rig.dial())
    rig.until("accepted_total", 4)
    rig.engine.send([f.GoAway(f.GO_AWAY, conn, 5)])
    stopped = rig.in_thread(rig.engine.stop)
    assert ready.read_message().go_away.within_ms == 5
    for wire in (ready, waiting, silent):
        assert wire.close_code() == CloseCode.GOING_AWAY
        wire.sock.close()
    stopped.join(10)
    assert not stopped.is_alive()
    closed = {rig.next(f.CLOSED) for _ in range(2)}
    assert closed == {(f.CLOSED, conn, CloseCode.GOING_AWAY), (f.CLOSED, waiting_conn, CloseCode.GOING_AWAY)}
    assert rig.no_more()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", rig.engine.port))
    rig.engine.send([f.GoAway(f.GO_AWAY, conn, 5)])
    rig.engine.stop()


def test_stop_waits_no_longer_than_the_close_timeout() -> None:
    rig = Rig(close_timeout_ms=200)
    _, conn = rig.ready()
    rig.engine.stop()
    assert rig.next(f.CLOSED) == (f.CLOSED, conn, CloseCode.GOING_AWAY)
    assert rig.stat("connections") == 0


def test_stop_accepting_keeps_the_connections() -> None:
    with running(threads=2) as rig:
        wire, conn = rig.ready()
        rig.engine.stop_accepting()
        rig.until_refused()
        rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1)])
        assert wire.read_message().HasField("refreshed")


def test_an_engine_that_is_dropped_ends_its_threads() -> None:
    def threads() -> int:
        return sum(name.startswith("iris-io") for name in map(comm, os.listdir("/proc/self/task")))

    def comm(task: str) -> str:
        try:
            return Path(f"/proc/self/task/{task}/comm").read_text(encoding="ascii")
        except OSError:
            return ""

    before = threads()
    engine = open_engine(**PLAIN | {"threads": 3})
    engine.start()
    eventually(lambda: threads() == before + 3, "the threads have taken their names")
    del engine
    assert threads() == before


def test_a_stale_build_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(wire_engine.__file__).resolve().parents[3]
    assert wire_engine.source_digest(root) == _engine.source_digest()
    assert wire_engine.source_digest(tmp_path) is None, "an installed wheel has no sources"
    wire_engine.refuse_stale(root)
    wire_engine.refuse_stale(tmp_path)
    monkeypatch.setattr(_engine, "source_digest", lambda: "other")
    with pytest.raises(ImportError, match="older than its sources"):
        wire_engine.refuse_stale(root)
