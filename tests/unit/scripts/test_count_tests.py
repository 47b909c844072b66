"""The closing count of the continuous integration: what ran, and that nothing of the web client was skipped there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import count_tests


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where reports are looked for."""
    monkeypatch.setattr(count_tests, "FOLDER", tmp_path)
    monkeypatch.setenv("CI", "true")
    return tmp_path


def python(folder: Path, tests: int, skipped: int = 0, failed: int = 0) -> None:
    suite = f'<testsuite tests="{tests}" skipped="{skipped}" failures="{failed}" errors="0"/>'
    (folder / "python.xml").write_text(f"<testsuites>{suite}</testsuites>")


def web(folder: Path, name: str, passed: int, skipped: int = 0, failed: int = 0) -> None:
    said = {"numPassedTests": passed, "numPendingTests": skipped, "numTodoTests": 0, "numFailedTests": failed}
    (folder / f"{name}.json").write_text(json.dumps(said))


def test_all_are_counted(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python(reports, 10, skipped=2)
    for name, passed in (("sdk", 5), ("web", 4), ("flows", 3)):
        web(reports, name, passed)
    assert count_tests.main() == 0
    assert capsys.readouterr().out == "iris: tests: python 8, sdk 5, web 4, flows 3: 20 passed, 2 skipped\n"


def test_what_did_not_run_is_said(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python(reports, 10)
    assert count_tests.main() == 0
    assert "python 10, sdk not run, web not run, flows not run" in capsys.readouterr().out


def test_a_skip_of_the_web_client_and_a_failure_are_wrong(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python(reports, 10)
    web(reports, "flows", 3, skipped=1)
    assert count_tests.main() == 1
    monkeypatch.delenv("CI")
    assert count_tests.main() == 0
    python(reports, 10, failed=1)
    assert count_tests.main() == 1


def test_nothing_at_all_is_wrong(reports: Path) -> None:
    assert count_tests.main() == 1
