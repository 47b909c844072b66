"""Starts that must not be, and ends that must be clean: each says in one line what is wrong and how to mend it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from iris_sdk import Client
from tests.e2e.conftest import QUICK
from tests.support.people import WAIT_S, join, live, run, shown, texts, until_shown
from tests.support.server import Server, serving


def refused(data: Path, *flags: str) -> str:
    """The complaint of a server that must not start."""
    command = [sys.executable, "-m", "iris", "serve", "--data", str(data), "--password-profile", "cheap", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=data.parent)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "ready" not in done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(tmp_path / "data", "--listen", f"127.0.0.1:{port}")


def test_a_data_folder_in_use_is_said_in_a_line(server: Server) -> None:
    complaint = refused(server.data, "--listen", "127.0.0.1:0")
    assert str(server.data) in complaint
    assert len(complaint.strip().splitlines()) <= 3


def test_plaintext_off_loopback_is_refused(tmp_path: Path) -> None:
    assert "certificate" in refused(tmp_path / "data", "--listen", "0.0.0.0:0", "--password-profile", "full")


def test_cheap_passwords_off_loopback_are_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    tls = ("--tls-certificate", str(certificate[0]), "--tls-key", str(certificate[1]))
    assert "password" in refused(tmp_path / "data", "--listen", "0.0.0.0:0", *tls)


def test_term_ends_it_cleanly_while_clients_are_connected(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=QUICK) as server:

        async def case() -> None:
            [ada] = await join(server, tmp_path, "ada")
            async with Client(ada) as a:
                await live(a)
                assert await asyncio.get_running_loop().run_in_executor(None, server.stop) == 0

        run(case())
        assert not [line for line in server.lines if "Traceback" in line]


def test_term_does_not_wait_for_an_idle_http_client(server: Server) -> None:
    """The close time-out is 60 s here: a server that waited for the client to go would run into the test's own."""
    server.stop()
    server.settings = {**QUICK, "limits.close_timeout_ms": 60_000}
    server.start()
    with httpx.Client() as browser:
        assert browser.get(f"{server.url}/v1/info").status_code == 200
        assert server.stop() == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_a_full_disk_ends_the_server_and_loses_nothing(tmp_path: Path) -> None:
    """The disk takes no more in mid conversation: the server stops, and goes on when there is room again."""
    server = Server(tmp_path / "data", settings={**QUICK, "limits.sends_per_second_max": 100_000})

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        server.stop()
        server.prefix = ("prlimit", "--fsize=300000")  # no file above 300 kB: the log is full after some messages
        server.start()
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            said = [f"{n:03} " + "x" * 5_000 for n in range(120)]
            sent = await a.send_many(b.user, said)
            assert server.process is not None
            assert await asyncio.get_running_loop().run_in_executor(None, server.process.wait, 60) == 3
            accepted = [row for row in sent if (status := a.status(row.message_id)) and status.state != "queued"]
            assert 0 < len(accepted) < len(said)
            server.prefix = ()
            server.start()
            assert await a.flush(timeout=WAIT_S) == 0
            await until_shown(b, len(said))
            assert texts(shown(b)) == said

    try:
        server.start()
        run(case())
        assert any("store_failed" in line for line in server.lines)
    finally:
        server.close()
