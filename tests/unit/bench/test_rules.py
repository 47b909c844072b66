"""`python -m bench.rules` counts the rules of a message, and neither clients nor the store."""

from __future__ import annotations

import gc
import time

import pytest

from bench import rules
from bench.guard.trace import Outside


def test_every_window_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rules, "MESSAGES", 100)
    monkeypatch.setattr(rules, "PAIRS", 4)
    monkeypatch.setattr(rules, "PAUSES_MS", (0.0, 0.01))
    before = gc.get_threshold()
    rules.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["window 1"] * 2 + ["window 8"] * 2
    assert all(float(line.split()[-1]) > 0 for line in lines[1:])
    assert gc.get_threshold() == before


def test_what_is_outside_is_taken_off() -> None:
    before = Outside.spent
    started = time.thread_time_ns()
    with Outside():
        sum(range(200_000))
    took = time.thread_time_ns() - started
    assert 0 < Outside.spent - before <= took
