"""The server under measurement runs the code that measures it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import iris
from iris.bench.server import environment


def test_the_server_runs_our_code_from_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "target/elsewhere")
    first, rest = environment()["PYTHONPATH"].split(os.pathsep)
    assert Path(first) == Path(iris.__file__).resolve().parents[1]
    assert Path(first).is_absolute()
    assert rest == "target/elsewhere"
    monkeypatch.delenv("PYTHONPATH")
    assert environment()["PYTHONPATH"] == first


def test_the_server_gets_no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRIS_LISTEN", "0.0.0.0:1")
    assert "IRIS_LISTEN" not in environment()
