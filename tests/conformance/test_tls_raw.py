"""TLS over real sockets, byte by byte where a library would not: every row of the tables in tls.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.records import ALERT, DATA, HANDSHAKE, SERVER_HELLO, Records, first_answer
from tests.conformance.tls import HIDDEN, LATER, NOTHING, OPENERS, Later, Opener
from tests.support.certificate import certificate
from tests.support.engine import PING, running, upgrade_request, ws_frame


@pytest.mark.parametrize("case", OPENERS, ids=[case.name for case in OPENERS])
def test_the_first_bytes(case: Opener) -> None:
    with running(certificate=certificate(), tls12=case.tls12) as rig:
        sock = rig.dial()
        sock.sendall(case.data)
        answer = first_answer(sock)
        if case.alert in (None, HIDDEN):
            assert answer == (HANDSHAKE, SERVER_HELLO)
        else:
            assert answer == ((-1, 0) if case.alert == NOTHING else (ALERT, case.alert))
        if case.alert is not None:
            rig.until("connections", 0)
            assert rig.stat("tls_faults_total") == 1
        rig.ready()


@pytest.mark.parametrize("case", LATER, ids=[case.name for case in LATER])
def test_after_the_handshake(case: Later, tmp_path: Path) -> None:
    with running(certificate=certificate()) as rig, Records(rig, tmp_path) as tls:
        tls.send(DATA, upgrade_request())
        assert tls.read_head().startswith(b"HTTP/1.1 101 ")
        case.act(tls)
        if case.alert is None:
            tls.send(DATA, ws_frame(PING, b"alive?"))
            assert tls.read_data(8) == b"\x8a\x06alive?"
        else:
            alert = tls.read_end()
            assert alert == (None if case.alert == NOTHING else case.alert)
            rig.until("connections", 0)
        rig.ready()
