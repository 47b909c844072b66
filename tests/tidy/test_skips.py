"""With CI set a skip needs a listed reason; without it anyone may skip."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, code_files, text_of

ONE_TEST = "import pytest\ndef test_it():\n    pytest.skip('no reason that anyone listed')\n"
WHOLE_MODULE = "import pytest\npytest.skip('no reason that anyone listed', allow_module_level=True)\n"
XFAIL = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it():\n    assert False\n"


def run_pytest(folder: Path, text: str, ci: str) -> int:
    """Exit status of a pytest run over one made-up module with our conftest as a plug-in."""
    (folder / "test_made_up.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": ci}
    done = subprocess.run(
        [*command, f"--rootdir={folder}", str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode


@pytest.mark.parametrize("text", [ONE_TEST, WHOLE_MODULE], ids=["test", "module"])
def test_an_unlisted_skip_fails_in_ci_only(text: str, tmp_path: Path) -> None:
    assert run_pytest(tmp_path, text, ci="true") in (1, 2)
    assert run_pytest(tmp_path, text, ci="") in (0, 5)  # 5: nothing was left to run


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, XFAIL, ci="true") == 0


def test_every_listed_reason_is_still_used() -> None:
    reasons = [entry["reason"] for entry in tomllib.loads(text_of(ROOT / "tests/skips.toml"))["skip"]]
    tests = "\n".join(text_of(path) for path in code_files("tests"))
    assert [reason for reason in reasons if reason not in tests] == []
