"""The regression guard: counts that repeat to the last bytecode, and what differs too much is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench.guard.__main__ as command
from bench.guard import measure, memory, trace
from bench.guard.compare import Baseline, Finding, compare, entry, verdict, written
from bench.guard.count import count, part_of
from bench.guard.measure import CannotCount

ROOT = Path(__file__).resolve().parents[3]
REASON = "a message carries one more field"


def additions(number: int) -> Callable[[], None]:
    """Work of this size."""

    def work() -> None:
        total = 0
        for one in range(number):
            total += abs(one)

    return work


def total(work: Callable[[], None], kind: str) -> int:
    """All that was counted of a kind."""
    return count(work)[kind].total()


def test_a_count_is_exact() -> None:
    """Ten more rounds of a loop are ten times the bytecodes of its body, and ten calls."""
    few, some, more = (total(additions(n), "bytecodes") for n in (10, 20, 30))
    assert more - some == some - few > 0
    assert total(additions(30), "c_calls") - total(additions(20), "c_calls") == 10


def test_the_stand_ins_are_not_counted() -> None:
    def work() -> None:
        with trace.Outside():
            additions(1_000)()

    assert total(work, "bytecodes") < total(additions(100), "bytecodes")
    assert part_of(trace.Person.take.__code__) is None
    assert not trace.Outside.on


def test_the_fixed_work_repeats_to_the_last_bytecode() -> None:
    """In two processes. A set in an order of its own, a clock or an address would show."""
    assert measure.python() == measure.python()


def test_a_count_without_a_fixed_hash_seed_is_refused() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "random", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.guard.count"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"PYTHONHASHSEED" in done.stderr


def test_dearer_rules_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more call for each frame at the edge, and `pairs` counts more."""
    from iris.edge.edge import Edge

    def pairs() -> int:
        return next(total(work, "bytecodes") for name, work, _ in parts() if name == "pairs")

    def parts() -> list[tuple[str, Callable[[], None], int]]:
        found = []
        for name, work, units in trace.parts():
            found.append((name, work, units))
            if name == "pairs":
                break
            work()
        return found

    usual, frames = pairs(), Edge.on_frames

    def twice_looked_at(self: Edge, batch: list[tuple[object, ...]]) -> None:
        additions(10 * len(batch))()
        frames(self, batch)

    monkeypatch.setattr(Edge, "on_frames", twice_looked_at)
    assert pairs() > usual * 1.02


def test_what_a_user_holds_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 bytes more for each are told as that; what is given back again is not."""
    from iris.core.user import User

    monkeypatch.setattr(memory, "USERS", 200)
    usual, init, kept = memory.bytes_per_user(), User.__init__, []

    def holds_more(self: User, *arguments: Any) -> None:
        bytearray(5_000)
        init(self, *arguments)
        kept.append(bytearray(1_000))

    monkeypatch.setattr(User, "__init__", holds_more)
    assert 1_000 < memory.bytes_per_user() - usual < 1_150


@pytest.mark.parametrize(("now", "wrong"), [(101.0, False), (101.2, True), (98.9, True)])
def test_one_percent_of_memory_is_allowed(now: float, wrong: bool) -> None:
    name = "memory.bytes_per_idle_user"
    assert compare({name: now}, {name: 100.0})[0].wrong is wrong


@pytest.mark.parametrize(("now", "wrong"), [(102.0, False), (103.0, True), (98.0, False), (97.0, True), (0.0, True)])
def test_two_percent_of_bytecodes_are_allowed(now: float, wrong: bool) -> None:
    (finding,) = compare({"pairs.bytecodes": now}, {"pairs.bytecodes": 100.0})
    assert finding.wrong is wrong


def test_instructions_of_another_compiler_are_compared_loosely() -> None:
    now, before = {"decode.instructions": 110.0}, {"decode.instructions": 100.0}
    assert compare(now, before)[0].wrong
    assert not compare(now, before, same_compiler=False)[0].wrong
    assert compare({"decode.instructions": 120.0}, before, same_compiler=False)[0].wrong
    assert compare({"pairs.c_calls": 110.0}, {"pairs.c_calls": 100.0}, same_compiler=False)[0].wrong


def test_a_count_that_came_or_went_is_wrong() -> None:
    assert [one.wrong for one in compare({"a.bytecodes": 1.0}, {"b.bytecodes": 1.0})] == [True, True]


def test_the_verdict_says_which_way_and_what_to_do() -> None:
    dear, cheap, fine = Finding("a", 2, 1, True), Finding("b", 1, 2, True), Finding("c", 1, 1, False)
    assert verdict([fine]) == ""
    assert "dearer" in verdict([dear, cheap, fine])
    assert "cheaper" in verdict([cheap, fine])
    assert "make guard-update REASON=" in verdict([cheap])
    assert "+100.0 %" in str(dear)
    assert "!" in str(dear)


def test_an_update_says_what_changed() -> None:
    findings = [Finding("pairs.bytecodes", 90, 100, True), Finding("login.bytecodes", 5, 5, False)]
    assert (
        entry("2026-11-28", " faster acks ", findings) == "- 2026-11-28: faster acks (pairs.bytecodes 100.0 → 90.0)\n"
    )
    assert "nothing changed" in entry("2026-11-28", "again", findings[1:])


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the guard counts in a test; there is no valgrind."""
    found = {"pairs.bytecodes": 100.0}

    def engine() -> Baseline:
        raise CannotCount("no valgrind: get it")

    version = ".".join(map(str, sys.version_info[:2]))
    monkeypatch.setattr(measure, "python", lambda: (Baseline(version, dict(found)), "by part"))
    monkeypatch.setattr(measure, "engine", engine)
    return found


def test_from_update_to_regression(
    counts: dict[str, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Baseline("1.0", {"decode.instructions": 7.0})
    (tmp_path / "baselines.toml").write_text(written({"engine": kept}))
    assert command.main(["--update", REASON], tmp_path) == 0
    assert command.read(tmp_path / "baselines.toml")["engine"] == kept  # what cannot be counted here stays
    assert REASON in (tmp_path / "updates.md").read_text()
    assert command.main([], tmp_path) == 0
    counts["pairs.bytecodes"] = 120.0
    capsys.readouterr()
    assert command.main([], tmp_path) == 1
    said = capsys.readouterr()
    assert "+20.0 %" in said.out
    assert "dearer" in said.err
    assert "SKIPPED: engine: no valgrind" in said.err
    assert command.main(["--update", REASON], tmp_path) == 0
    assert command.main([], tmp_path) == 0


@pytest.mark.parametrize("reason", ["", "   ", "faster"])
def test_baselines_change_for_a_reason_only(reason: str, counts: dict[str, float], tmp_path: Path) -> None:
    assert command.main(["--update", reason], tmp_path) == 2
    assert list(tmp_path.iterdir()) == []


def test_another_python_is_skipped_loudly(
    counts: dict[str, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "baselines.toml").write_text(written({"python": Baseline("2.7", {"pairs.bytecodes": 1.0})}))
    assert command.main([], tmp_path) == 0
    assert "SKIPPED: the baselines are of Python 2.7" in capsys.readouterr().err


def test_without_valgrind_the_engine_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotCount, match="make valgrind"):
        measure.engine()


def test_there_are_baselines_of_everything_that_is_counted() -> None:
    found = command.read(command.FOLDER / "baselines.toml")
    works = {"login", "pairs", "offline", "catch_up", "memory"}
    assert {name.partition(".")[0] for name in found["python"].counts} == works
    assert {name.partition(".")[0] for name in found["engine"].counts} == set(measure.WORKS)
