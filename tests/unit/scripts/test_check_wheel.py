"""A wheel without the web client is noticed before it is installed."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from scripts import check_wheel

WHOLE = ["iris/app.py", *(f"iris/web_assets/{name}" for name in (*check_wheel.NEEDED, "assets/main-12345678.js"))]


def test_what_is_missing_is_named() -> None:
    assert check_wheel.missing(WHOLE) == []
    assert check_wheel.missing(WHOLE[:-1]) == ["assets/*.js"]
    assert check_wheel.missing(["iris/app.py"]) == [*check_wheel.NEEDED, "assets/*.js"]


def test_such_a_wheel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = tmp_path / "iris_im-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("iris/app.py", "")
    monkeypatch.setattr(sys, "argv", ["check_wheel.py", str(wheel)])
    assert check_wheel.main() == 1
    assert "index.html" in capsys.readouterr().err
