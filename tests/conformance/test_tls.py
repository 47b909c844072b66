"""TLS through libraries: what is agreed on, sessions taken up again, early data, renegotiation, ends, stalls.

tests/integration/test_engine_tls.py: certificates, reload, records in pieces.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from iris.core import frames as f
from tests.conformance.clients import NO_OPENSSL
from tests.conformance.records import HANDSHAKE, client_hello, record
from tests.support.certificate import certificate, make_certificate
from tests.support.engine import CLOSE, DEADLINE_S, HELLO, PING, PONG, Rig, Wire, eventually, running, welcome, ws_frame

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def context_for(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version only."""
    context = certificate().client_context()
    context.minimum_version = context.maximum_version = version
    return context


def dial(rig: Rig, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A TLS connection on which a missing close_notify is an error."""
    return context.wrap_socket(rig.dial(), server_hostname="localhost", session=session, suppress_ragged_eofs=False)


@pytest.mark.parametrize("tls12", [False, True], ids=["1.3", "1.2 allowed"])
@pytest.mark.parametrize("version", [V12, V13])
def test_the_version_that_is_agreed_on(version: ssl.TLSVersion, tls12: bool) -> None:
    with running(certificate=certificate(), tls12=tls12) as rig:
        if version == V12 and not tls12:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                dial(rig, context_for(version))
        else:
            suite = "TLS_AES_128_GCM_SHA256" if version == V13 else "ECDHE-ECDSA-AES128-GCM-SHA256"
            with dial(rig, context_for(version)) as sock:
                assert sock.version() == version.name.replace("_", ".")
                assert sock.cipher() == (suite, sock.version(), 128)
                Wire(sock).upgrade()


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None), (["h2"], ""), (["http/1.0"], "")],
    ids=["http/1.1", "h2 and http/1.1", "none", "h2 alone", "http/1.0"],
)
@pytest.mark.parametrize("version", [V12, V13])
def test_alpn(version: ssl.TLSVersion, offered: list[str], agreed: str | None) -> None:
    context = ssl.create_default_context(cadata=certificate().root.decode())
    context.minimum_version = context.maximum_version = version
    if offered:
        context.set_alpn_protocols(offered)
    with running(certificate=certificate(), tls12=True) as rig:
        if agreed == "":
            with pytest.raises(ssl.SSLError, match="no application protocol"):
                dial(rig, context)
        else:
            with dial(rig, context) as sock:
                assert sock.selected_alpn_protocol() == agreed
                Wire(sock).upgrade()


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_is_taken_up_by_the_server_that_gave_it_only(version: ssl.TLSVersion) -> None:
    context = context_for(version)
    with running(certificate=certificate(), tls12=True) as rig, running(certificate=certificate(), tls12=True) as other:
        with Wire(first := dial(rig, context)) as wire:
            wire.upgrade()
            session = first.session
            assert not first.session_reused
        for engine, reused in ((rig, True), (other, False), (rig, True)):
            with Wire(again := dial(engine, context, session)) as wire:
                assert again.session_reused == reused
                wire.upgrade()
        assert (rig.stat("resumed_total"), rig.stat("handshakes_total")) == (2, 3)
        assert (other.stat("resumed_total"), other.stat("handshakes_total")) == (0, 1)


@pytest.mark.parametrize("version", [V12, V13])
def test_a_good_end_says_close_notify(version: ssl.TLSVersion) -> None:
    """After a close frame, a refusal and the API's last byte: nobody can cut an answer short unseen."""
    with running(certificate=certificate(), tls12=True) as rig:
        sock = dial(rig, context_for(version))
        wire = Wire(sock).upgrade()
        wire.send(ws_frame(CLOSE, b"\x03\xe8"))
        assert wire.read_frame() == (CLOSE, b"\x03\xe8")
        assert sock.recv(1) == b"", "a missing close_notify would raise SSLEOFError"
        refused = dial(rig, context_for(version))
        refused.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"503" in Wire(refused).read_head()
        while refused.recv(100):
            pass


def test_a_half_closed_websocket_is_an_end() -> None:
    """No side of a WebSocket goes on alone (RFC 6455, 7.1.1): close_notify or FIN without a close frame is 1006."""
    with running(certificate=certificate()) as rig:
        (orderly, conn), (cut, cut_conn) = rig.ready(), rig.ready()
        assert isinstance(orderly.sock, ssl.SSLSocket)
        assert orderly.sock.unwrap().recv(1) == b""
        assert rig.next(f.CLOSED) == (f.CLOSED, conn, 1006)
        raw = socket.socket(fileno=cut.sock.detach())
        raw.shutdown(socket.SHUT_WR)
        assert rig.next(f.CLOSED) == (f.CLOSED, cut_conn, 1006)
        raw.close()
        rig.until("connections", 0)


@pytest.mark.parametrize("how", ["silent", "half a ClientHello", "a byte now and then"])
def test_a_stalled_handshake_is_cut_off_and_holds_nobody_up(how: str) -> None:
    hello = record(HANDSHAKE, client_hello())
    with running(certificate=certificate(), upgrade_timeout_ms=400) as rig:
        sock = rig.dial()
        if how == "half a ClientHello":
            sock.sendall(hello[: len(hello) // 2])
        rig.ready()
        rest = iter(hello[:-1])

        def is_cut_off() -> bool:
            with suppress(OSError):
                sock.sendall(bytes([next(rest)]) if how == "a byte now and then" else b"")
            return bool(rig.stat("upgrade_timeouts_total") == 1)

        eventually(is_cut_off, "the stalled handshake ends")
        with suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        rig.until("connections", 1)


@pytest.mark.parametrize("version", [V12, V13])
def test_large_records_both_ways(version: ssl.TLSVersion) -> None:
    """Messages of several full records each, in one write."""
    with running(certificate=certificate(), tls12=True) as rig:
        wire = Wire(dial(rig, context_for(version))).upgrade()
        wire.say(HELLO)
        conn = rig.next(f.HELLO)[1]
        rig.engine.send([welcome(conn)])
        wire.read_message()
        text = bytes(at % 251 for at in range(65_536))
        deliver = f.Deliver(f.DELIVER, conn, 1, 0, 1, b"", b"", 1, b"", 1, 0, text, 0, 0)
        rig.engine.send([deliver] * 6)
        for _ in range(6):
            assert wire.read_message().deliver.payload == text
        wire.send(ws_frame(PING, b"x") * 5000)
        for _ in range(3000):
            assert wire.read_frame() == (PONG, b"x")


# --- the openssl command ---
def s_client(rig: Rig, *options: str, said: bytes = b"", trust: Path) -> subprocess.CompletedProcess[bytes]:
    """`openssl s_client` against an engine; what it is given on standard input is its user."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{rig.engine.port}"]
    command += [] if {"-servername", "-noservername"} & set(options) else ["-servername", "localhost"]
    command += ["-CAfile", str(trust), *options]
    return subprocess.run(command, input=said, capture_output=True, timeout=DEADLINE_S, check=False)


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """The root as a file."""
    try:
        subprocess.run(["openssl", "version"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip(NO_OPENSSL)
    path = tmp_path / "root.pem"
    path.write_bytes(certificate().root)
    return path


OLD = "DEFAULT:@SECLEVEL=0"  # openssl's own strictness off
REFUSED = {
    "TLS 1.1": ("-tls1_1", "-cipher", OLD),
    "TLS 1.0": ("-tls1", "-cipher", OLD),
    "CBC": ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
    "RSA key exchange": ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
    "DHE": ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"),
    "anonymous": ("-tls1_2", "-cipher", "ADH-AES128-GCM-SHA256:@SECLEVEL=0"),
    "NULL": ("-tls1_2", "-cipher", "NULL:@SECLEVEL=0"),
    "CCM": ("-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"),
    "P-521": ("-tls1_3", "-groups", "P-521"),
    "SHA-1 signatures": ("-tls1_2", "-cipher", OLD, "-sigalgs", "ECDSA+SHA1"),
    "RSA signatures": ("-tls1_3", "-sigalgs", "RSA-PSS+SHA256"),
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=list(REFUSED))
def test_openssl_is_refused_what_is_old_or_weak(options: tuple[str, ...], trust: Path) -> None:
    with running(certificate=certificate(), tls12=True) as rig:
        done = s_client(rig, *options, trust=trust)
        assert done.returncode != 0
        assert b"alert" in done.stderr, done.stderr
        assert (rig.stat("handshakes_total"), rig.stat("tls_faults_total")) == (0, 1)
        rig.ready()


AGREED = {
    "1.3": (("-tls1_3",), b"New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
    "1.3 with AES-256": (("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"), b"Cipher is TLS_AES_256_GCM_SHA384"),
    "1.3 with ChaCha20": (("-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"), b"Cipher is TLS_CHACHA20_POLY1305_SHA256"),
    "1.2": (("-tls1_2",), b"New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
    "asked again for P-384": (("-groups", "P-521:P-384"), b"Server Temp Key: ECDH, secp384r1, 384 bits"),
    "P-256": (("-groups", "P-256"), b"Server Temp Key: ECDH, prime256v1, 256 bits"),
    "no server name": (("-noservername",), b"Verify return code: 0 (ok)"),
    "another server name": (("-servername", "elsewhere.example"), b"Verify return code: 0 (ok)"),
}


@pytest.mark.parametrize(("options", "said"), AGREED.values(), ids=list(AGREED))
def test_openssl_agrees(options: tuple[str, ...], said: bytes, trust: Path) -> None:
    with running(certificate=certificate(), tls12=True) as rig:
        done = s_client(rig, *options, said=b"Q\n", trust=trust)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert b"Compression: NONE" in done.stdout


def test_another_name_than_the_certificate_s_is_the_client_s_to_refuse(trust: Path) -> None:
    with running(certificate=certificate()) as rig:
        options = ("-servername", "elsewhere.example", "-verify_hostname", "elsewhere.example", "-verify_return_error")
        assert s_client(rig, *options, said=b"Q\n", trust=trust).returncode != 0
        rig.ready()


def test_a_renegotiation_is_refused_and_the_connection_lives(trust: Path) -> None:
    """RFC 5746, 4.5: TLS 1.2 lets a client ask; nothing here needs it."""
    with running(certificate=certificate(), tls12=True) as rig:
        done = s_client(rig, "-tls1_2", "-no_ign_eof", said=b"R\n", trust=trust)
        assert b"RENEGOTIATING" in done.stdout + done.stderr
        assert b"no renegotiation" in done.stderr
        assert rig.stat("handshakes_total") == 1
        rig.ready()


@contextmanager
def early_data_server(folder: Path) -> Iterator[int]:
    """`openssl s_server` with our certificate, whose tickets allow early data; its port."""
    chain, key = make_certificate(folder)
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(chain), "-key", str(key)]
    with subprocess.Popen([*command, "-early_data"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(b"ACCEPT "):
                    threading.Thread(target=process.stdout.read, daemon=True).start()
                    yield int(line.rpartition(b":")[2])
                    break
        finally:
            process.terminate()


def test_early_data_is_refused_and_passed_over(tmp_path: Path, trust: Path) -> None:
    """Another server's ticket makes openssl send early data: it must be skipped (RFC 8446, 4.2.10), never be heard."""
    ticket, early = tmp_path / "ticket.pem", tmp_path / "early"
    early.write_bytes(b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n")
    with early_data_server(tmp_path) as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-ign_eof"]
        with subprocess.Popen(
            [*command, "-sess_out", str(ticket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            eventually(
                lambda: ticket.exists() and ticket.read_bytes().endswith(b"END SSL SESSION PARAMETERS-----\n"),
                "a ticket",
            )
            process.terminate()
    with running(certificate=certificate()) as rig:
        options = ("-sess_in", str(ticket), "-early_data", str(early), "-no_ign_eof")
        done = s_client(rig, *options, said=b"Q\n", trust=trust)
        assert b"Early data was rejected" in done.stdout, done.stdout[-2000:]
        assert (rig.stat("handshakes_total"), rig.stat("resumed_total"), rig.stat("refused")) == (1, 0, {})
        rig.ready()
