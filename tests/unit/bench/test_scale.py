"""Curves: what is flat, what is shown, and what points are made of."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from iris.bench import probe, scale
from iris.bench.arguments import chosen_scale, parser
from iris.bench.curves import COST, curve, curve_table, flat
from iris.bench.errors import BenchError
from iris.bench.fill import PAYLOAD_BYTES, fill, folder_bytes
from iris.bench.probe import Cpu
from iris.bench.scale import CURVES, backlog_points, cut_to
from iris.store import check
from scripts import performance_scale

MS = 1_000_000


def points(*costs: float | None) -> list[dict[str, float | None]]:
    return [{"x": 10.0 * number, COST: cost, "p99_ms": 5.0} for number, cost in enumerate(costs, 1)]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((100.0, 120.0), True),
        ((100.0, 121.0), False),
        ((100.0, 200.0, 100.0), False),
        ((100.0, 40.0), True),
        ((100.0, None), None),
        ((100.0,), None),
        ((0.0, 1.0), None),
    ],
)
def test_flat_is_never_more_than_a_fifth_above_the_first_point(
    costs: tuple[float | None, ...], expected: bool | None
) -> None:
    assert flat(points(*costs), COST) is expected


def test_a_curve_tells_its_change_and_its_verdict() -> None:
    found = curve("stored", "GB stored", points(100.0, 130.0), (COST, "p99_ms"), limit="the disk is full")
    assert (found["name"], found["limit"]) == ("scale-stored", "the disk is full")
    assert [point["change"][COST] for point in found["points"]] == [0.0, 0.3]
    assert found["flat"] == {COST: False, "p99_ms": True}
    text = curve_table(found)
    assert "130.0 (+30%)" in text
    assert "server CPU per message, µs: not flat within 20%" in text
    assert "p99 ms: flat" in text
    assert curve_table({"name": "scale-stored", "error": "it broke"}) == "scale-stored\n  no figures: it broke\n"


def test_each_tenth_of_a_backlog_is_a_point() -> None:
    def clock(total: float) -> Cpu:
        return Cpu(total, 0.0, 0.0, {"python": total / 2})

    clocks = [clock(0.01 * tenth * tenth) for tenth in range(11)]
    times = {f"accepted_{tenth}": [((tenth + 1) * MS, 50), (100 * MS, 50)] for tenth in range(10)}
    found = backlog_points(1000, clocks, [1_000_000 * tenth for tenth in range(11)], times)
    assert [point["x"] for point in found] == [100 * tenth for tenth in range(1, 11)]
    assert found[1][COST] == pytest.approx(300.0)  # 0.04 - 0.01 s for 100 messages
    assert (found[1]["python_cpu_us_per_msg"], found[1]["p50_ms"], found[1]["p99_ms"]) == (150.0, 2.0, 100.0)
    assert found[9]["rss_mb"] == 10.0
    with pytest.raises(BenchError, match="10 messages at least"):
        backlog_points(5, clocks[:4], [], times)


def test_a_process_that_rests_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's threads work for three looks, then rest."""
    spent = iter([0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.001])
    monkeypatch.setattr(scale, "SETTLE_LOOK_S", 0.1)
    monkeypatch.setattr(probe, "cpu", lambda pid: Cpu(0.0, 0.0, 0.0, {"rocksdb": next(spent)}))
    took = scale.wait_until_settled(1)
    assert took is not None
    assert took >= 0.4
    assert next(spent, None) is None
    monkeypatch.setattr(scale, "SETTLE_S_MAX", 0.0)
    assert scale.wait_until_settled(1) is None


def test_connections_end_where_the_room_does() -> None:
    assert cut_to((100, 1000), 5000) == ([100, 1000], False)
    assert cut_to((100, 1000, 5000, 10_000), 3000) == ([100, 1000, 3000], True)
    assert cut_to((100, 1000), 100) == ([100], True)
    assert cut_to((100, 1000), 40) == ([40], True)
    with pytest.raises(BenchError, match="room for 0"):
        cut_to((100, 1000), 0)


def test_sizes_are_chosen_on_the_command_line() -> None:
    def chosen(*words: str) -> argparse.Namespace:
        return parser().parse_args(["scale", *words])

    assert chosen_scale(chosen()).curves == CURVES
    words = "--curves stored,backlog --connections 3000 --backlog 50 --stored-gb 2 --minutes 5"
    sizes = chosen_scale(chosen(*words.split()))
    assert (sizes.curves, sizes.backlog, sizes.window_s) == (("stored", "backlog"), 50, 30.0)
    assert (sizes.connections, sizes.stored_gb) == ((100, 1000, 3000), (0.0, 1.0, 2.0))
    for wrong in ("--curves=others", "--stored-gb=0", "--stored-gb=nan", "--connections=0"):
        with pytest.raises(SystemExit):
            chosen(wrong)


def test_a_store_is_filled_with_rows_that_are_whole(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    rows = fill(folder, 5_000_000, lambda what, done, total: None)
    assert 5_000_000 / (2 * PAYLOAD_BYTES) < rows < 5_000_000 / PAYLOAD_BYTES + 2000, "a commit more at most"
    before = folder_bytes(folder)
    more = fill(folder, 4_000_000, lambda what, done, total: None)
    assert folder_bytes(folder) - before > 0.8 * 4_000_000, "it does not compress"
    report = check(str(folder))
    assert report.problems == []
    assert report.rows["MessageRow"] == rows + more


def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(BenchError, match="cannot be filled"):
        fill(tmp_path / "store", 1_000_000, lambda what, done, total: None)


def document() -> dict[str, object]:
    one = curve("backlog", "messages that wait", points(100.0, 130.0), (COST,), taken=20, taken_s=1.5, limit=None)
    one["taken_cpu_us_per_msg"] = 25.0
    machine = {"cpus": 2, "cpu": "a CPU", "memory_mb": 2048, "kernel": "6", "load_average": 1.0}
    return {
        "command": "iris bench scale",
        "at": "now",
        "commit": "abc",
        "machine": machine,
        "versions": {"python": "3.11"},
        "scenarios": [one, {"name": "scale-stored", "error": "it broke", "detail": ""}],
    }


def test_the_page_has_verdicts_tables_and_plots() -> None:
    text = performance_scale.curves(document())
    assert "| `scale-backlog` | server CPU per message, µs | +30% | +30% | not flat |" in text
    assert "| 20 | 130 | 5 |" in text
    assert "took all 20 in 1.5 s, for 25 µs" in text
    assert "- `scale-stored` gave no figures: it broke" in text
    assert "![scale-backlog-cpu](performance/scale-backlog-cpu.svg)" in text
    assert performance_scale.plots(document()).keys() == {"scale-backlog-cpu.svg", "scale-backlog-times.svg"}


def test_the_real_page_has_the_marks() -> None:
    once = performance_scale.with_curves(performance_scale.PAGE.read_text(), "new\n")
    assert performance_scale.with_curves(once, "new\n") == once
    with pytest.raises(SystemExit, match="no marks"):
        performance_scale.with_curves("by hand\n", "new\n")
