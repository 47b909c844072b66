"""Reads what the model counts with: costs, assumptions and prices, from the package or from files of one's own.

Every way in which such a file can be wrong ends in a CapacityError that names the file, the entry and what is expected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from iris.capacity.model import Basis, Figure, Prices

# What a share or a multiple may be at most; every other number only has to be finite.
HIGHEST = {"online_share": 1, "python_edge_share": 1, "cpu_used_max": 1, "memory_used_max": 1, "disk_used_max": 1,
           "network_used_max": 1}  # fmt: skip
# Divisors: zero makes no sense.
NOT_ZERO = {"online_share", "connections_per_edge", "users_per_shard", "edges_per_region", "cpu_used_max",
            "memory_used_max", "disk_used_max", "network_used_max", "connections_per_node_max",
            "messages_per_user_day", "cassandra_writes_per_s_cpu", "fabric_msgs_per_s_node"}  # fmt: skip


class CapacityError(Exception):
    """An input that makes no sense: which, why, and what would."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class _Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cost: dict[str, Figure]
    assumption: dict[str, Figure]


def packaged() -> Basis:
    """The figures that come with Iris."""
    text = resources.files("iris.capacity").joinpath("costs.toml").read_text(encoding="utf-8")
    costs = msgspec.toml.decode(text, type=_Costs)
    return Basis({**costs.cost, **costs.assumption})


def from_bench(basis: Basis, path: Path) -> Basis:
    """The same with what a run of `iris bench … --json` has measured anew. Raises CapacityError."""
    try:
        run = json.loads(_read(path))
        scenarios = {one["name"]: one for one in run["scenarios"]}
        source = f"{run['command']}; {run['commit'] or 'no commit'}, {run['at'][:10]}"
    except (ValueError, LookupError, TypeError) as error:
        raise CapacityError(f"{path} is not what iris bench --json prints: {error}") from None
    renewed = {}
    for name, old in basis.figures.items():
        value = scenarios.get(old.scenario, {}).get(old.figure)
        if isinstance(value, int | float):
            kind = old.kind if old.kind == "extrapolated" else "measured"
            renewed[name] = _checked(name, msgspec.structs.replace(old, value=value, kind=kind, source=source))
    if not renewed:
        wanted = ", ".join(sorted({one.scenario for one in basis.figures.values() if one.scenario}))
        raise CapacityError(f"{path} has none of the scenarios that are counted with", f"they are {wanted}")
    return Basis({**basis.figures, **renewed})


def with_given(basis: Basis, given: Sequence[str]) -> Basis:
    """The same with NAME=VALUE put in by hand. Raises CapacityError."""
    figures = dict(basis.figures)
    for text in given:
        name, equals, number = text.partition("=")
        if not equals:
            raise CapacityError(f"--set {text}: there is no =", "such as --set messages_per_user_day=80")
        if name not in figures:
            raise CapacityError(f"--set {name}: there is no such figure", "iris capacity --json names them all")
        try:
            value = float(number)
        except ValueError:
            raise CapacityError(f"--set {text}: {number!r} is not a number") from None
        changed = msgspec.structs.replace(figures[name], value=value, kind="given", source="--set")
        figures[name] = _checked(name, changed)
    return Basis(figures)


def prices(path: Path | None) -> Prices:
    """A price table, the package's where none is given. Raises CapacityError."""
    if path is None:
        text = resources.files("iris.capacity").joinpath("prices.toml").read_text(encoding="utf-8")
    else:
        text = _read(path)
    try:
        table: Any = msgspec.toml.decode(text)
        found = msgspec.convert(table, Prices, strict=True)
    except (msgspec.DecodeError, ValueError) as error:
        where = str(path or "prices.toml")
        raise CapacityError(f"{where}: {error}", "docs/capacity.md shows a whole price table") from None
    numbers = [value for part in table.values() if isinstance(part, dict) for value in part.values()]
    if not all(math.isfinite(number) for number in numbers):
        raise CapacityError(f"{path}: a price is not finite")
    if not found.regions:
        raise CapacityError(f"{path}: [regions] is empty", "such as any = 1.0")
    return found


def shares(regions: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """Of the users by region, together 1, from NAME or NAME=PERCENT. Raises CapacityError."""
    named: dict[str, float | None] = {}
    for text in regions or [known[0]]:
        name, equals, percent = text.partition("=")
        if name not in known:
            raise CapacityError(f"--region {name}: the price table has no such region", f"it has {', '.join(known)}")
        if name in named:
            raise CapacityError(f"--region {name} is there twice")
        named[name] = _percent(text, percent) if equals else None
    given = [percent for percent in named.values() if percent is not None]
    if given and len(given) != len(named):
        raise CapacityError("some regions have a share and some have none", "give it to all, or to none")
    if given and abs(sum(given) - 100) > 0.01:
        raise CapacityError(f"the shares of the regions are {sum(given):g} % together", "they must be 100 %")
    return {name: 1 / len(named) if percent is None else percent / sum(given) for name, percent in named.items()}


def _percent(text: str, percent: str) -> float:
    try:
        number = float(percent.removesuffix("%"))
    except ValueError:
        number = 0.0
    if not 0 < number <= 100:
        raise CapacityError(f"--region {text}: the share must be above 0 and at most 100", "such as europe=40")
    return number


def _checked(name: str, figure: Figure) -> Figure:
    value, highest = figure.value, HIGHEST.get(name, math.inf)
    if not math.isfinite(value) or value < 0 or value > highest or (value == 0 and name in NOT_ZERO):
        least = "above 0" if name in NOT_ZERO else "0 or more"
        most = f" and at most {highest:g}" if highest < math.inf else ""
        raise CapacityError(f"{name} = {value:g}: it must be {least}{most}")
    return figure


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CapacityError(f"{path} cannot be read: {error}") from None
