"""What holds for every test: with CI set, a test may only be skipped for a reason that tests/skips.toml lists, and
Ctrl-C works in the processes that tests start (a shell's background jobs are born with SIGINT ignored, and pass it on).
"""

from __future__ import annotations

import os
import signal
import tomllib
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def known_reasons() -> frozenset[str]:
    """The reasons of tests/skips.toml."""
    entries = tomllib.loads((Path(__file__).parent / "skips.toml").read_text(encoding="utf-8"))["skip"]
    return frozenset(entry["reason"] for entry in entries)


def refuse_unknown_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip for an unlisted reason into a failure when CI is set."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = words.removeprefix("Skipped: ")
    if reason not in known_reasons():
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped in CI for a reason that tests/skips.toml does not list: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skips of single tests."""
    report = yield
    refuse_unknown_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skips of whole modules."""
    report = yield
    refuse_unknown_skip(report)
    return report
