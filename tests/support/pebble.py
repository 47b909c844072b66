"""A real ACME authority on loopback: Let's Encrypt's Pebble, with a name server of the test's own.

The name server knows the names it is told, all at 127.0.0.1, and no others.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificate import make_certificate
from tests.support.engine import eventually

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "target" / "tools" / "pebble"  # by `make pebble`
PEBBLE = str(BUILT) if BUILT.exists() else shutil.which("pebble")
NO_PEBBLE = "Pebble, the ACME test server, is missing: make pebble builds it"
_A = 1  # the type of an address record (RFC 1035, 3.2.2)


@dataclass
class Pebble:
    """Where it is, and how its files are called."""

    directory: str
    ca_file: Path  # vouches for the directory
    proof_port: int  # where it asks for proof
    root: Path  # vouches for the certificates that it gives
    log: Path
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        """Stop it."""
        self.process.kill()
        self.process.wait(30)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def pebble(folder: Path, names: set[str], life_s: int = 7776000) -> Iterator[Pebble]:
    """A running one whose certificates live for `life_s`."""
    assert PEBBLE is not None
    folder.mkdir()
    chain, key = make_certificate(folder)
    address, management, proof = (f"127.0.0.1:{free_port()}" for _ in range(3))
    proof_port = int(proof.rpartition(":")[2])
    config = {
        "listenAddress": address,
        "managementListenAddress": management,
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": proof_port,
        "tlsPort": 1,
        "retryAfter": {"authz": 1, "order": 1},
        "keyAlgorithm": "ecdsa",
        "profiles": {"default": {"description": "for tests", "validityPeriod": life_s}},
    }
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    log = folder / "log"
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    with name_server(names) as resolver, log.open("wb") as out:
        command = [PEBBLE, "-config", str(folder / "config.json"), "-dnsserver", f"127.0.0.1:{resolver}"]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        try:
            root = folder / "root.pem"
            eventually(lambda: _fetch(f"https://{management}/roots/0", root), log.read_text)
            eventually(lambda: _fetch(f"https://{address}/dir", folder / "dir.json"), log.read_text)
            yield Pebble(f"https://localhost:{address.rpartition(':')[2]}/dir", chain, proof_port, root, log, process)
        finally:
            process.kill()
            process.wait(30)


def _fetch(url: str, target: Path) -> bool:
    context = ssl._create_unverified_context()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=10) as answer:
            target.write_bytes(answer.read())
    except OSError:
        return False
    return True


@contextmanager
def name_server(names: set[str]) -> Iterator[int]:
    """DNS over TCP, as Pebble asks; its port."""

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            """Answer until the other end has had enough."""
            while len(size := self.rfile.read(2)) == 2:
                answer = resolved(self.rfile.read(int.from_bytes(size)), names)
                self.wfile.write(len(answer).to_bytes(2) + answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Asked) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def resolved(query: bytes, names: set[str]) -> bytes:
    """The answer to one question (RFC 1035, 4.1)."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode().lower())
        at += 1 + size
    question = query[12 : at + 5]
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    known = ".".join(labels) in names
    record = struct.pack("!HHHIH4B", 0xC00C, _A, 1, 0, 4, 127, 0, 0, 1) if known and kind == _A else b""
    flags = 0x8180 if known else 0x8183  # an answer; no such name
    return query[:2] + struct.pack("!5H", flags, 1, len(record) > 0, 0, 0) + question + record
