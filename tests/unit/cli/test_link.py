"""Link lines and their QR codes."""

from __future__ import annotations

import pytest

from iris.cli.link import LinkLine, drawn, parse

PIN = "3b" * 32
LINES = {
    "https://chat.example.org/#link=ada.7K3M-9QXT": LinkLine("https://chat.example.org", "ada", "7K3M-9QXT", None),
    "https://chat.example.org#link=ada.7K3M-9QXT": LinkLine("https://chat.example.org", "ada", "7K3M-9QXT", None),
    "http://[::1]:8460/#link=a.d_a.7K3M9QXT": LinkLine("http://[::1]:8460", "a.d_a", "7K3M9QXT", None),
    f"https://192.0.2.1:8460/#link=ada.7K3M-9QXT&pin={PIN}": LinkLine(
        "https://192.0.2.1:8460", "ada", "7K3M-9QXT", PIN
    ),
    "  @ADA.7k3m-9qxt ": LinkLine(None, "ada", "7k3m-9qxt", None),
    "ada.7K3M 9QXT": LinkLine(None, "ada", "7K3M 9QXT", None),
}


@pytest.mark.parametrize("text", LINES)
def test_what_a_line_says(text: str) -> None:
    assert parse(text) == LINES[text]


def test_a_line_that_is_shown_is_read_again() -> None:
    for said in LINES.values():
        assert parse(said.line) == said


@pytest.mark.parametrize(
    "text", ["", "ada", "7K3M-9QXT", "ada.7K3M", "https://chat.example.org/#/settings", "iris://h:1/code", "a" * 9_999]
)
def test_what_is_no_line(text: str) -> None:
    with pytest.raises(ValueError, match="no link line"):
        parse(text)


def test_a_qr_code_is_drawn_for_a_terminal() -> None:
    """Square, with the three corners that a phone looks for; rows of the same length."""
    rows = drawn("https://chat.example.org/#link=ada.7K3M-9QXT").splitlines()
    assert len({len(row) for row in rows}) == 1
    assert len(rows[0]) // 2 <= len(rows) <= len(rows[0]) // 2 + 1
    corner = ["██ ▄▄▄▄▄ █", "██ █   █ █", "██ █▄▄▄█ █", "██▄▄▄▄▄▄▄█"]
    assert [row[:10] for row in rows[1:5]] == corner
    assert [row[-10:] for row in rows[1:5]] == [row[::-1] for row in corner]
    assert [row[:9] for row in rows[-5:-1]] == [row[:9] for row in corner]


def test_what_is_too_long_to_be_scanned_is_not_drawn() -> None:
    assert drawn("x" * 900) == ""
