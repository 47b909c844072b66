"""A browser meets a server of a friend: without TLS it is told what to do; with TLS it warns, then shows the page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from iris.certificates import fingerprint, spelled
from tests.conformance.clients import CHROMIUM, CHROMIUM_FLAGS, NO_CHROMIUM
from tests.support.server import serving

BROWSER_S = 90.0  # a browser on a busy machine
BROWSES = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def dom(profile: Path, url: str, *flags: str) -> str:
    """What Chromium makes of a page."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_S).stdout


def test_without_tls_a_person_is_told_and_a_program_gets_json(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--public"]) as own:
        url = f"http://127.0.0.1:{own.port}/"
        page = httpx.get(url, headers=BROWSES, trust_env=False)
        assert page.status_code == 400
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert f"https://127.0.0.1:{own.port}/" in page.text
        digits = spelled(fingerprint(own.data / "tls/certificate.pem"))
        assert digits in page.text
        said = "".join(own.lines)
        assert digits in said
        assert f"iris: friends reach you at https://127.0.0.1:{own.port}\n" in said
        assert "iris: bring somebody in: iris invite --data " in said
        assert httpx.get(url, trust_env=False).json()["title"].startswith("this port speaks TLS")


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_a_real_browser_shows_the_page_warns_and_then_shows_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--public"]) as own:
        plain = dom(tmp_path / "a", f"http://127.0.0.1:{own.port}/")
        assert "<h1>This server speaks TLS only</h1>" in plain
        hello = f"https://127.0.0.1:{own.port}/hello"
        assert "Who is this server?" not in dom(tmp_path / "b", hello)  # the browser's own warning instead
        assert "Who is this server?" in dom(tmp_path / "b", hello, "--ignore-certificate-errors")
