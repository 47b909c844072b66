"""TLS: versions, names, resumption, reload, and ends of the stream in bad order."""

from __future__ import annotations

import socket
import ssl

import pytest

from iris.core import frames as f
from iris.wire.engine import EngineError
from tests.support.certificate import certificate
from tests.support.engine import DEADLINE_S, HELLO, Rig, Wire, running, upgrade_request, welcome, ws_frame


def tunnel(rig: Rig, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A TLS connection."""
    return context.wrap_socket(rig.dial(), server_hostname="localhost", session=session)


def context_for(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version only."""
    context = certificate().client_context()
    context.minimum_version = context.maximum_version = version
    return context


def test_tls_13_with_aes_128_is_chosen() -> None:
    with running(certificate=certificate()) as rig, tunnel(rig, certificate().client_context()) as sock:
        assert sock.version() == "TLSv1.3"
        assert sock.cipher() == ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_tls_12_only_when_it_is_allowed() -> None:
    with running(certificate=certificate()) as rig, pytest.raises(ssl.SSLError):
        tunnel(rig, context_for(ssl.TLSVersion.TLSv1_2))
    with running(certificate=certificate(), tls12=True) as rig:
        sock = tunnel(rig, context_for(ssl.TLSVersion.TLSv1_2))
        assert sock.version() == "TLSv1.2"
        assert "AES128-GCM" in str(sock.cipher())
        wire = Wire(sock).upgrade()
        wire.say(HELLO)
        conn = rig.next(f.HELLO)[1]
        rig.engine.send([welcome(conn)])
        assert wire.read_message().HasField("welcome")
        assert tunnel(rig, certificate().client_context()).version() == "TLSv1.3"


def test_a_client_that_wants_only_http_2_is_refused() -> None:
    context = certificate().client_context()
    context.set_alpn_protocols(["h2"])
    with running(certificate=certificate()) as rig, pytest.raises(ssl.SSLError):
        tunnel(rig, context)
    context = ssl.create_default_context(cadata=certificate().root.decode())  # offers nothing
    with running(certificate=certificate()) as rig:
        assert tunnel(rig, context).selected_alpn_protocol() is None


def test_sessions_are_resumed_also_after_a_reload() -> None:
    with running(certificate=certificate()) as rig:
        context = certificate().client_context()
        with Wire(first := tunnel(rig, context)) as wire:
            wire.upgrade()
            session = first.session
        assert tunnel(rig, context, session).session_reused
        rig.engine.reload_certificate(certificate().chain, certificate().key)
        with Wire(again := tunnel(rig, context, session)) as wire:
            assert again.session_reused
            wire.upgrade()
        rig.until("resumed_total", 2)
        assert rig.stat("handshakes_total") == 3


def test_reload_changes_the_certificate_of_new_connections_only() -> None:
    with running(certificate=certificate()) as rig:
        wire, conn = rig.ready()
        other = certificate("iris.test")
        rig.engine.reload_certificate(other.chain, other.key)
        with pytest.raises(ssl.SSLCertVerificationError):
            tunnel(rig, certificate().client_context())
        context = other.client_context()
        sock = context.wrap_socket(rig.dial(), server_hostname="iris.test")
        assert sock.version() == "TLSv1.3"
        rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1)])
        assert wire.read_message().HasField("refreshed")


def test_a_certificate_that_cannot_be_used_is_refused_and_the_old_one_stays() -> None:
    good, other = certificate(), certificate("iris.test")
    wrong = [(b"", good.key), (good.chain, b""), (b"text", good.key), (good.chain, other.key), (good.key, good.chain)]
    with running(certificate=good) as rig:
        for chain, key in wrong:
            with pytest.raises(EngineError):
                rig.engine.reload_certificate(chain, key)
        assert tunnel(rig, good.client_context()).version() == "TLSv1.3"
    with running() as rig, pytest.raises(EngineError, match="without a certificate"):
        rig.engine.reload_certificate(good.chain, good.key)


def test_records_may_come_in_any_pieces_while_frames_go_out() -> None:
    """Half a record waits in the engine while it sends: neither disturbs the other."""
    with running(certificate=certificate()) as rig:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        sock = rig.dial()
        tls = certificate().client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")

        def exchange() -> None:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))

        def read() -> bytes:
            while True:
                try:
                    return tls.read(65536)
                except ssl.SSLWantReadError:
                    exchange()

        sock.settimeout(DEADLINE_S)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                exchange()
        tls.write(upgrade_request())
        assert read().startswith(b"HTTP/1.1 101 ")
        tls.write(ws_frame(2, HELLO))
        sock.sendall(outgoing.read())
        conn = rig.next(f.HELLO)[1]
        rig.engine.send([welcome(conn)])
        assert read()
        tls.write(ws_frame(2, b"\x1a\x02\x08\x07"))  # an Ack
        record = outgoing.read()
        for byte in record[:-1]:
            sock.sendall(bytes([byte]))
            rig.engine.send([f.Refreshed(f.REFRESHED, conn, 1)])
            assert read() == b"\x82\x04\x52\x02\x08\x01"
        sock.sendall(record[-1:])
        assert rig.next(f.ACK) == (f.ACK, conn, 7, 0)


def test_close_notify_without_a_close_frame_is_an_abnormal_end() -> None:
    with running(certificate=certificate()) as rig:
        wire, conn = rig.ready()
        assert isinstance(wire.sock, ssl.SSLSocket)
        wire.sock.unwrap().close()
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, 1006)


def test_a_changed_record_ends_the_connection() -> None:
    with running(certificate=certificate()) as rig:
        wire, conn = rig.ready()
        fd = wire.sock.detach()
        with socket.socket(fileno=fd) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            assert rig.next(f.CLOSED) == (f.CLOSED, conn, 1006)
            assert rig.stat("tls_faults_total") == 1
