"""The line of an invitation: what is printed can be read, and what is no whole line is told."""

from __future__ import annotations

import pytest

from iris.cli.errors import CliError
from iris.cli.invitation import is_invitation, make, parse
from iris.cli.public import _given

PIN = "5f" * 32


@pytest.mark.parametrize(
    ("host", "pin", "server"),
    [
        ("192.168.1.20", PIN, "https://192.168.1.20:8460"),
        ("fd00::1", PIN, "https://[fd00::1]:8460"),
        ("chat.example.org", None, "https://chat.example.org:8460"),
        ("127.0.0.1", None, "http://127.0.0.1:8460"),
        ("::1", None, "http://[::1]:8460"),
        ("localhost", PIN, "https://localhost:8460"),
    ],
)
def test_what_is_printed_can_be_read(host: str, pin: str | None, server: str) -> None:
    made = make(host, 8460, "c0de", pin)
    assert is_invitation(f"  {made.line}\n")
    assert parse(f"  {made.line}\n") == made
    assert (made.server, made.fingerprint, made.code) == (server, pin, "c0de")


def test_a_line_in_capitals_is_the_same() -> None:
    assert parse(f"iris://10.0.0.1:1/C0de/{PIN.upper()}").fingerprint == PIN


@pytest.mark.parametrize(
    "text",
    [
        "", "hello", "https://10.0.0.1:1/code", "iris://", "iris://10.0.0.1/code", "iris://10.0.0.1:1",
        "iris://10.0.0.1:0/code", "iris://10.0.0.1:65536/code", f"iris://10.0.0.1:1/code/{PIN[:-1]}",
        f"iris://10.0.0.1:1/code/{PIN}/more", "iris://10.0.0.1:1/co de", "iris://user@10.0.0.1:1/code",
        "iris://a:1/" + "x" * 600,
    ],
)  # fmt: skip
def test_what_is_no_whole_line_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="invitation"):
        parse(text)


def test_an_address_may_have_a_port() -> None:
    assert _given("chat.example.org", 8460) == ("chat.example.org", 8460)
    assert _given("chat.example.org:443", 8460) == ("chat.example.org", 443)
    assert _given("[fd00::1]:443", 8460) == ("fd00::1", 443)
    for wrong in ("", "a/b", "a:port"):
        with pytest.raises(CliError, match="is no address"):
            _given(wrong, 8460)
