"""A short soak: under load with churn and bad clients the server stays as it was, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from iris_torture.soak import FLAT, main


@pytest.mark.timeout(400)
def test_a_short_soak_is_flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Times are shown and not judged in a run so short."""
    page = tmp_path / "page.md"
    words = ["--seconds", "30", "--users", "2", "--devices", "2", "--keep", str(tmp_path / "run"), "--out", str(page)]
    code = main(words)
    said = capsys.readouterr()
    assert code == FLAT, said.out + said.err[-2000:]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Soak: flat, nothing lost")
    for series in ("file descriptors", "threads", "memory, MB", "queued items", "loop lag, ms"):
        assert f"| {series} | " in text
