"""Certificates from a real authority (Pebble): got, renewed while connections stand, kept, and refused in words."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.e2e.test_cli import iris
from tests.support.engine import eventually
from tests.support.pebble import NO_PEBBLE, PEBBLE, Pebble, free_port, pebble
from tests.support.server import Server, serving

NAME = "chat.example.org"
pytestmark = pytest.mark.skipif(PEBBLE is None, reason=NO_PEBBLE)


@contextmanager
def server(data: Path, ca: Pebble, name: str = NAME, proof_port: int | None = None) -> Iterator[Server]:
    """`iris serve --public --acme NAME` that asks this authority."""
    settings = {"acme_listen": f"127.0.0.1:{proof_port or ca.proof_port}", "acme_ca": ca.ca_file}
    flags = ["--public", "--acme", name, "--acme-email", "ops@example.org", "--acme-directory", ca.directory]
    with serving(data, flags=flags, settings=settings) as running:
        yield running


def shown(port: int) -> x509.Certificate:
    """What the port shows now."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())


def is_vouched_for(port: int, ca: Pebble) -> bool:
    """Whether a client that trusts the authority takes the server for NAME."""
    context = ssl.create_default_context(cafile=str(ca.root))
    try:
        with socket.create_connection(("127.0.0.1", port)) as sock, context.wrap_socket(sock, server_hostname=NAME):
            return True
    except ssl.SSLCertVerificationError:
        return False


def metric(running: Server, name: str) -> float:
    """A value of /metrics."""
    admin = next(line.split()[-1] for line in running.lines if line.startswith("iris: admin on "))
    text = httpx.get(f"{admin}/metrics", trust_env=False).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


def refusals(running: Server) -> list[dict[str, str]]:
    """What the log says about certificates that did not come."""
    said = [json.loads(line) for line in running.lines if line.startswith("{")]
    return [line for line in said if line["event"] == "certificate_not_renewed"]


def test_one_is_got_renewed_while_connections_stand_and_kept_when_that_fails(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pebble(tmp_path / "pebble", {NAME}, life_s=12) as ca, server(data, ca) as running:
        kept = http.client.HTTPSConnection("127.0.0.1", running.port, context=ssl._create_unverified_context())
        kept.request("GET", "/v1/info")
        assert kept.getresponse().read()
        sock = kept.sock
        eventually(lambda: is_vouched_for(running.port, ca), lambda: "".join(running.lines[-20:]))
        first = shown(running.port)
        (folder,) = (data / "acme").iterdir()
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert files == {"account.pem": 0o600, "certificate.pem": 0o600}
        assert [stat.S_IMODE(each.stat().st_mode) for each in (folder, folder.parent)] == [0o700, 0o700]
        (line,) = iris("invite", "--data", data)
        assert line.startswith(f"iris://{NAME}:{running.port}/")
        assert line.count("/") == 3  # an authority vouches: no fingerprint

        account = (folder / "account.pem").read_bytes()
        eventually(lambda: shown(running.port).serial_number != first.serial_number, "renewed")
        eventually(lambda: metric(running, "iris_certificate_renewals_total") >= 2, "counted")
        assert (folder / "account.pem").read_bytes() == account
        kept.request("GET", "/v1/info")
        assert kept.getresponse().status == 200
        assert kept.sock is sock  # not a new connection

        ca.end()
        eventually(lambda: metric(running, "iris_certificate_failures_total") >= 1, "failed")
        eventually(lambda: "the authority cannot be reached" in refusals(running)[0]["error"], "told")
        assert shown(running.port).issuer == first.issuer
        assert httpx.get(f"https://127.0.0.1:{running.port}/v1/info", verify=False).status_code == 200


def test_a_restart_keeps_it_without_asking_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pebble(tmp_path / "pebble", {NAME}) as ca, server(data, ca) as running:
        eventually(lambda: is_vouched_for(running.port, ca), lambda: "".join(running.lines[-20:]))
        assert metric(running, "iris_certificate_seconds_left") > 80 * 86400
        before = shown(running.port)
        assert running.stop() == 0
        ca.end()
        running.start()
        assert shown(running.port) == before
        assert is_vouched_for(running.port, ca)
        assert refusals(running) == []


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another machine's web server."""

    def do_GET(self) -> None:
        """Answer anything."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"welcome")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no such name", "does not lead here"),
        ("nobody there", "does not lead here: the authority could not reach its port 80"),
        ("somebody else there", "leads to another machine"),
        ("port taken", "cannot listen on 127.0.0.1:"),
    ],
)
def test_a_name_that_does_not_lead_here_is_told_and_the_server_serves_on(tmp_path: Path, case: str, words: str) -> None:
    names = set() if case == "no such name" else {NAME}
    with pebble(tmp_path / "pebble", names) as ca:
        here = ca.proof_port if case in ("no such name", "port taken") else free_port()
        other = None
        if case in ("somebody else there", "port taken"):
            other = http.server.ThreadingHTTPServer(("127.0.0.1", ca.proof_port), Elsewhere)
            threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            with server(tmp_path / "data", ca, proof_port=here) as running:
                eventually(lambda: bool(refusals(running)), lambda: "".join(running.lines[-20:]))
                assert words in refusals(running)[0]["error"]
                assert int(refusals(running)[0]["next_try_s"]) == 300
                assert shown(running.port).issuer == shown(running.port).subject  # what stands in
                assert metric(running, "iris_certificate_failures_total") == 1
                assert httpx.get(f"https://127.0.0.1:{running.port}/v1/info", verify=False).status_code == 200
                assert running.stop() == 0
        finally:
            if other is not None:
                other.shutdown()
                other.server_close()
