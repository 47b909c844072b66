"""What is wrong with an input is said: which one, why, and what would be right."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from iris.capacity import files
from iris.capacity.files import CapacityError

ROOT = Path(__file__).resolve().parents[3]
PRICES = resources.files("iris.capacity").joinpath("prices.toml").read_text(encoding="utf-8")
KNOWN = ("any", "europe", "asia")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("dollars_month = 250", "dollars_month = 0", "edge.dollars_month"),
        ("vcpus = 16", 'vcpus = "many"', "edge.vcpus"),
        ("vcpus = 16", "vcpus = inf", "not finite"),
        ("dollars_gb_out = 0.01", "dollars_gb_out = -1", "network.dollars_gb_out"),
        ("[disk]", "[disc]", "disc"),
        ("any = 1.0", "any = 0", "regions"),
        ("vcpus = 16", "cpus = 16", "cpus"),
        ("[edge]", "[edge", "prices"),
        ("note = ", "notes = ", "note"),
    ],
)
def test_a_wrong_price_table_says_where(old: str, new: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    assert old in PRICES
    path.write_text(PRICES.replace(old, new, 1))
    with pytest.raises(CapacityError, match=re.escape(told)) as error:
        files.prices(path)
    assert str(path) in error.value.what


def test_a_price_table_without_regions(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES.partition("[regions]")[0] + "[regions]\n")
    with pytest.raises(CapacityError, match="empty"):
        files.prices(path)


def test_a_price_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match="cannot be read"):
        files.prices(tmp_path / "none.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CapacityError, match="cannot be read"):
        files.prices(tmp_path / "binary")


def test_the_packaged_table_says_that_it_is_assumed() -> None:
    assert "assumed" in files.prices(None).note


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("messages_per_user_day", "no ="),
        ("messages=1", "no such figure"),
        ("messages_per_user_day=lots", "not a number"),
        ("messages_per_user_day=0", "above 0"),
        ("messages_per_user_day=-1", "above 0"),
        ("messages_per_user_day=inf", "above 0"),
        ("online_share=1.1", "at most 1"),
        ("stored_bytes_per_msg=nan", "0 or more"),
        ("retention_days=-1", "0 or more"),
    ],
)
def test_figures_that_make_no_sense_are_refused(text: str, told: str) -> None:
    with pytest.raises(CapacityError, match=told):
        files.with_given(files.packaged(), [text])


@pytest.mark.parametrize(
    ("regions", "told"),
    [
        (["mars"], "no such region"),
        (["europe", "europe"], "twice"),
        (["europe=50", "asia"], "some have none"),
        (["europe=50", "asia=40"], "90 %"),
        (["europe=0", "asia=100"], "above 0"),
        (["europe=x"], "above 0"),
        (["europe=nan"], "above 0"),
    ],
)
def test_regions_that_make_no_sense_are_refused(regions: list[str], told: str) -> None:
    with pytest.raises(CapacityError, match=told):
        files.shares(regions, KNOWN)


def test_regions_share_the_users() -> None:
    assert files.shares([], KNOWN) == {"any": 1.0}
    assert files.shares(["europe", "asia"], KNOWN) == {"europe": 0.5, "asia": 0.5}
    assert files.shares(["europe=25%", "asia=75"], KNOWN) == {"europe": 0.25, "asia": 0.75}


def run_of_bench(path: Path, *scenarios: dict[str, object]) -> Path:
    """What iris bench --json prints."""
    document = {"command": "iris bench login --json", "commit": "abc", "at": "2026-11-28T00:00:00Z"}
    path.write_text(json.dumps({**document, "scenarios": scenarios}))
    return path


def test_a_run_of_the_benchmarks_renews_what_it_has(tmp_path: Path) -> None:
    path = run_of_bench(tmp_path / "run.json", {"name": "login", "server_cpu_us": 77.5})
    old = files.packaged()
    new = files.from_bench(old, path)
    assert new.values["cpu_us_per_login"] == 77.5
    assert new.figures["cpu_us_per_login"].source == "iris bench login --json; abc, 2026-11-28"
    assert {name for name in old.figures if old.figures[name] != new.figures[name]} == {"cpu_us_per_login"}


def test_what_was_calculated_is_measured_then_and_what_was_extrapolated_still_is(tmp_path: Path) -> None:
    pairs = {"name": "pairs-5000-w1", "engine_cpu_us_per_msg": 20.5}
    path = run_of_bench(tmp_path / "run.json", pairs, {"name": "idle", "userland_kb_per_conn": 5.0})
    found = files.from_bench(files.packaged(), path).figures
    assert (found["engine_cpu_us_per_msg"].value, found["engine_cpu_us_per_msg"].kind) == (20.5, "measured")
    assert (found["userland_kb_per_conn"].value, found["userland_kb_per_conn"].kind) == (5.0, "extrapolated")


def test_what_is_no_run_of_the_benchmarks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for text in ("", "[]", "{}", '{"scenarios": [{}]}'):
        path.write_text(text)
        with pytest.raises(CapacityError, match="iris bench --json"):
            files.from_bench(files.packaged(), path)
    with pytest.raises(CapacityError, match="none of the scenarios"):
        files.from_bench(files.packaged(), run_of_bench(path, {"name": "idle", "kernel_kb_per_conn": None}))
    with pytest.raises(CapacityError, match="0 or more"):
        files.from_bench(files.packaged(), run_of_bench(path, {"name": "login", "server_cpu_us": -5}))


def test_what_is_measured_names_its_command_and_is_on_the_page() -> None:
    """A measured figure is one that the pages of performance have, and says how to get it again."""
    pages = [ROOT / "docs" / name for name in ("performance.md", "performance-history.md")]
    page = "".join(path.read_text(encoding="utf-8") for path in pages)
    for name, figure in files.packaged().figures.items():
        if figure.kind == "measured":
            assert re.search(r"iris bench .*--json; [0-9a-f]{7,}, \d{4}-\d\d-\d\d", figure.source), name
            assert f"{figure.value:g}" in page, name


def test_every_figure_says_where_it_comes_from() -> None:
    """What is only assumed must not look measured. The page docs/reference/costs.md is generated."""
    for name, figure in files.packaged().figures.items():
        assert figure.source, name
        assert figure.unit, name
        assert ("iris bench" in figure.source) == bool(figure.scenario), name
    page = (ROOT / "docs/capacity.md").read_text(encoding="utf-8")
    assert [name for name in files.packaged().figures if f"`{name}`" not in page] == []
