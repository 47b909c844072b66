"""What `iris capacity` prints, as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iris.cli.root import run


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Of a command that ends well."""
    assert run(["capacity", *args]) == 0
    return capsys.readouterr().out


def test_the_planet_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--dau", "5_000_000_000", "--region", "europe=40", "--region", "asia=60")
    assert "5,000 edges, 50,000 shards on 100,000 nodes (primary and replica)" in text
    for word in ("europe", "asia", "together", "target below $0.000100", "target below $0.000001", "assumed"):
        assert word in text
    assert "cassandra_copies 3" in text
    assert "cpu_us_per_login" not in text  # it was measured


def test_the_planet_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "--dau", "5000000000", "--region", "europe", "--region", "asia", "--json"))
    assert found["by_plan"]["regions"] == 100
    assert [region["connections"] for region in found["regions"]] == [250_000_000, 250_000_000]
    total, nodes = found["total"], [region["edge"]["nodes"] for region in found["regions"]]
    assert total["edge"]["nodes"] == sum(nodes)
    assert total["dollars"] == pytest.approx(sum(region["dollars"] for region in found["regions"]))
    assert found["cost"]["connection_month"]["target"] == 0.0001
    assert found["cost"]["message"]["met"] is True
    assert found["figures"]["cpu_us_per_login"]["kind"] == "measured"


def test_a_cost_above_its_target_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    args = ("--dau", "1000000000", "--set", "connections_per_node_max=50000")
    assert "missed, 50.0 times as much" in printed(capsys, *args)
    assert json.loads(printed(capsys, *args, "--json"))["cost"]["connection_month"]["met"] is False


def test_without_users_the_four_phases(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    for phase in ("Proof", "Growth", "Scale", "Planet"):
        assert text.count(phase) == 2
    assert "50,000     100,000      100" in text
    assert [one["phase"] for one in json.loads(printed(capsys, "--json"))] == ["Proof", "Growth", "Scale", "Planet"]


def test_prices_and_costs_of_one_s_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[3] / "src/iris/capacity/prices.toml").read_text()
    path = tmp_path / "prices.toml"
    path.write_text(text.replace("nobody's offer", "paid by us").replace("any = 1.0", "home = 2.0"))
    assert "paid by us" in printed(capsys, "--dau", "1000", "--prices", str(path), "--region", "home")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--region", "europe"], "--region without --dau"),
        (["--dau", "1000", "--region", "mars"], "it has any"),
        (["--dau", "1000", "--prices", "none.toml"], "cannot be read"),
        (["--dau", "1000", "--bench", "none.json"], "cannot be read"),
        (["--dau", "1000", "--set", "x=1"], "no such figure"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(args: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["capacity", *args]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("dau", ["0", "-5", "many", "1e30", "99999999999"])
def test_users_that_cannot_be_are_wrong_usage(dau: str) -> None:
    assert run(["capacity", "--dau", dau]) == 2


def test_the_page_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/capacity.md").read_text(encoding="utf-8")
    text = printed(capsys, "--dau", "5_000_000_000", "--region", "europe=40", "--region", "asia=60")
    assert text[: text.index("\nPrices:")] in page
