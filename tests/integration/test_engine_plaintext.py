"""Somebody who asks without TLS on the port that speaks it: a page for a browser, bounded like any other opening.

Who gets what is a table of engine/src/http/plaintext.rs; here are real sockets: pieces, slowness, size, load balancers.
"""

from __future__ import annotations

import hashlib
import ssl

from iris.certificates import spelled
from tests.integration.test_engine_proxy import header
from tests.support.certificate import Certificate, certificate
from tests.support.engine import Rig, Wire, eventually, running

ASKED = b"GET / HTTP/1.1\r\nHost: 192.168.1.20:8460\r\nAccept: text/html,*/*\r\n\r\n"


def plain(rig: Rig, *pieces: bytes) -> bytes:
    """What comes back before the end."""
    with Wire(rig.dial()) as wire:
        for piece in pieces:
            wire.send(piece)
        return wire.read_to_end()


def digits(made: Certificate) -> bytes:
    """As the page spells them."""
    first = made.chain.decode().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    return spelled(hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()).encode()


def test_a_browser_gets_a_page_with_the_fingerprint_of_what_is_shown_now() -> None:
    first, second = certificate(), certificate()
    with running(certificate=first) as rig:
        page = plain(rig, ASKED)
        assert page.startswith(b"HTTP/1.1 400 ")
        assert b'href="https://192.168.1.20:8460/"' in page
        assert digits(first) in page
        rig.engine.reload_certificate(second.chain, second.key)
        assert digits(second) in plain(rig, ASKED)
        assert rig.stat("refused") == {"speaks_tls": 2}
        rig.certificate = second
        rig.ready()


def test_it_may_be_asked_for_in_pieces_and_what_follows_is_not_read() -> None:
    with running(certificate=certificate()) as rig:
        whole = plain(rig, ASKED)
        assert plain(rig, *(bytes([byte]) for byte in ASKED)) == whole
        assert plain(rig, ASKED + ASKED + b"x" * 100_000) == whole
        assert plain(rig, ASKED.replace(b"GET", b"HEAD")) == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_a_head_without_an_end_and_one_that_never_comes_are_ended() -> None:
    with running(certificate=certificate(), upgrade_timeout_ms=300) as rig:
        for endless in (b"GET / HTTP/1.1\r\nAccept: text/html\r\nX: " + b"x" * 9000, b"EHLO example.org\r\n"):
            answer = plain(rig, endless)
            assert b"this port speaks TLS" in answer
            assert b"application/problem+json" in answer
        with Wire(rig.dial()) as slow:
            trickle = iter(ASKED.replace(b"Host", b"X: " + b"x" * 5000 + b"\r\nHost"))

            def is_closed() -> bool:
                try:
                    slow.send(bytes([next(trickle)]))
                except OSError:
                    return True
                return bool(rig.stat("upgrade_timeouts_total") == 1)

            eventually(is_closed, "the slow writer is closed")
        rig.until("upgrade_timeouts_total", 1)
        rig.until("connections", 0)


def test_behind_a_load_balancer_the_page_comes_too() -> None:
    with running(certificate=certificate(), proxy_from=["127.0.0.1"]) as rig:
        front = header("192.0.2.7")
        answer = plain(rig, front[:5], front[5:] + ASKED[:20], ASKED[20:30], ASKED[30:])
        assert b'href="https://192.168.1.20:8460/"' in answer
