"""The engine's times at their defaults; every other test lowers them."""

from __future__ import annotations

import time

from iris.core import frames as f
from iris.core.catalogue import LIMITS, CloseCode
from tests.support.certificate import certificate
from tests.support.engine import PING, Wire, running

SLACK_MS = 3000  # for a busy machine


def test_the_default_times() -> None:
    """One wait for all: upgrade, Hello, ping, idle and close."""
    limits = {name: LIMITS[name].default for name in LIMITS if name.endswith("_ms") and LIMITS[name].where == "engine"}
    with running(certificate=certificate(), **limits) as rig:
        silent, no_hello = Wire(rig.dial()), rig.upgraded()
        (idle, idle_conn), (closed, closed_conn) = rig.ready(), rig.ready()
        for wire in (silent, no_hello, idle, closed):
            wire.sock.settimeout(60)
        start = time.monotonic()

        def passed(name: str) -> bool:
            took = (time.monotonic() - start) * 1000
            return limits[name] - 100 <= took <= limits[name] + SLACK_MS

        rig.engine.send([f.Close(f.CLOSE, closed_conn, CloseCode.REPLACED)])
        rig.until("connections", 3)
        assert passed("close_timeout_ms")
        assert silent.read_to_end() == b""
        assert passed("upgrade_timeout_ms")
        assert no_hello.close_code() == CloseCode.HELLO_TIMEOUT
        assert passed("hello_timeout_ms")
        assert idle.read_frame() == (PING, b"")
        assert passed("ping_interval_ms")
        assert idle.close_code() == CloseCode.IDLE_TIMEOUT
        assert passed("idle_timeout_ms")
        assert rig.next(f.CLOSED) == (f.CLOSED, closed_conn, CloseCode.REPLACED)
        assert rig.next(f.CLOSED) == (f.CLOSED, idle_conn, CloseCode.IDLE_TIMEOUT)
