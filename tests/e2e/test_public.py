"""Talk to a friend on another laptop: `serve --public`, `invite`, `join` and `chat` with a pinned certificate."""

from __future__ import annotations

import hashlib
import shutil
import ssl
from pathlib import Path

import httpx
import pytest

from iris.certificates import own_address
from iris.cli.public import EVERYWHERE, public_flags
from iris_sdk import profile_info
from tests.e2e.test_cli import PASSWORD, iris, objects
from tests.support.server import serving


def test_public_fills_in_what_nobody_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = public_flags(None, {"data": tmp_path / "data", "listen": None}, [])
    assert (flags["listen"], flags["registration"]) == ([EVERYWHERE], "invite")
    assert flags["tls_certificate"].is_file()
    Path("iris.toml").write_text(
        'listen = "127.0.0.1:9"\nregistration = "open"\ntls_certificate = "c"\ntls_key = "k"\n'
    )
    assert public_flags(None, {"data": tmp_path / "other"}, []) == {"data": tmp_path / "other"}
    assert not (tmp_path / "other").exists()


def test_two_friends_meet_with_a_line_each(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--public"]) as own:
        (line,) = iris("invite", "--data", own.data)
        pin = line.rpartition("/")[2]
        shown = ssl.get_server_certificate(("127.0.0.1", own.port))
        assert pin == hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest()
        assert any(line.startswith("iris: certificate SHA-256 ") for line in own.lines)

        ada = tmp_path / "ada"
        said = iris("join", line, "--as", "ada", "--profile", ada, "--password", PASSWORD)
        assert "iris chat --as ada" in said[-1]
        info = profile_info(ada)
        assert info is not None
        assert (info.server, info.fingerprint) == (f"https://127.0.0.1:{own.port}", pin)
        assert (
            "INVITE_INVALID"
            in iris("join", line, "--as", "eve", "--profile", tmp_path / "e", "--password", PASSWORD, code=1)[0]
        )

        (second,) = objects(iris("invite", "--data", own.data, "--json"))
        bob = tmp_path / "bob"
        iris("chat", second["line"], "--as", "bob", "--profile", bob, "--password", PASSWORD, stdin="/quit\n")
        iris("send", "--profile", bob, "--to", "ada", "hello")
        iris("chat", "--as", "bob", "--profile", bob, stdin="/who\n")  # the profile knows the rest
        assert objects(iris("tail", "--profile", ada, "--json", "--count", "1"))[0]["text"] == "hello"


def test_a_line_with_another_fingerprint_is_refused_in_words(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--public"]) as own:
        (line,) = iris("invite", "--data", own.data, "--address", "localhost")
        assert line.startswith(f"iris://localhost:{own.port}/")
        wrong = line[:-4] + ("0000" if line[-4:] != "0000" else "1111")
        said = iris("join", wrong, "--as", "ada", "--profile", tmp_path / "ada", "--password", PASSWORD, code=1)
        assert "another certificate" in said[0]
        assert "somebody may stand in between" in said[1]
        assert "no whole invitation" in iris("join", line[:-1], "--as", "ada", "--password", PASSWORD, code=1)[0]


def test_a_restart_keeps_the_certificate_and_the_page_says_what_to_compare(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--public"]) as own:
        before = (own.data / "tls/certificate.pem").read_bytes()
        assert own.stop() == 0
        own.start()
        assert (own.data / "tls/certificate.pem").read_bytes() == before
        (line,) = iris("invite", "--data", own.data)
        page = httpx.get(f"https://127.0.0.1:{own.port}/hello", verify=False)
        assert page.headers["content-type"].startswith("text/html")
        assert line.rpartition("/")[2] in page.text.replace(":", "").lower()
        assert "--tls-certificate" in page.text
        plain = httpx.get(f"http://127.0.0.1:{own.port}/")  # the engine's own answer on a port that speaks TLS
        assert (plain.status_code, "https://" in plain.text) == (400, True)


def test_a_new_certificate_needs_a_new_line_and_keeps_the_history(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--public"]) as own:
        ada, bob = tmp_path / "ada", tmp_path / "bob"
        for name, profile in (("ada", ada), ("bob", bob)):
            (line,) = iris("invite", "--data", own.data)
            iris("join", line, "--as", name, "--profile", profile, "--password", PASSWORD)
        iris("send", "--profile", bob, "--to", "ada", "before", "--wait", "accepted")
        iris("tail", "--profile", ada, "--count", "1")
        assert own.stop() == 0
        shutil.rmtree(own.data / "tls")
        own.start()
        said = iris("tail", "--profile", ada, "--count", "1", "--timeout", "30", code=1)
        assert "another certificate" in said[0]
        said = iris("send", "--profile", ada, "--to", "bob", "kept", code=75)
        assert "another certificate" in "\n".join(said)
        assert "another certificate" in "\n".join(
            iris("chat", "--as", "ada", "--profile", ada, "@bob", stdin="", code=None)
        )
        (line,) = iris("invite", "--data", own.data)
        assert "logged in as @ada" in iris("join", line, "--as", "ada", "--profile", ada, "--password", PASSWORD)[0]
        info = profile_info(ada)
        assert info is not None
        assert info.fingerprint == line.rpartition("/")[2]
        assert objects(iris("tail", "--profile", ada, "--json", "--after", "0", "--count", "1"))[0]["text"] == "before"


def test_on_loopback_without_tls_a_line_works_too(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as own:
        (line,) = iris("invite", "--data", own.data)
        assert line.count("/") == 3  # no fingerprint
        iris("join", line, "--as", "ada", "--profile", tmp_path / "ada")  # on this machine a password is made up
        page = httpx.get(f"{own.url}/hello")
        assert "without TLS" in page.text


def test_this_machine_has_an_address() -> None:
    assert own_address().count(".") == 3
