"""`python -m tests.mutants`: does the simulator catch every known bug? Exit code 1 when one survives.

    python -m tests.mutants                    every mutant from seed 0 on; renews catchers.toml
    python -m tests.mutants --known            the seeds that are known to catch first: what `make test` runs
    python -m tests.mutants rewind_ignored     one or some
    python -m tests.mutants --missing          those that no seed is known to catch

The code as it is then runs the same seeds (--full: all up to the highest that was needed) without alarm.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.hunt import Found, Run, hunt, search
from tests.mutants.patch import MUTANTS, Mutant

CATCHERS = Path(__file__).with_name("catchers.toml")
SEEDS = 500
KNOWN_SEEDS = 60  # tried when a known seed does not catch any more


def catchers() -> dict[str, tuple[int, str]]:
    """Which seed caught which mutant the last time, and by which invariant."""
    if not CATCHERS.exists():
        return {}
    return {name: (row["seed"], row["by"]) for name, row in tomllib.loads(CATCHERS.read_text()).items()}


def write_catchers(known: dict[str, tuple[int, str]]) -> None:
    """Keep them for the next time."""
    rows = [f'{name} = {{ seed = {seed}, by = "{by}" }}\n' for name, (seed, by) in sorted(known.items())]
    head = "# Which seed catches which mutant, by which invariant. Written by python -m tests.mutants.\n"
    CATCHERS.write_text(head + "".join(row for row in rows if row.split(" ")[0] in MUTANTS))


def part(one: Mutant) -> str:
    """Where the bug is; with a star when whoever thought it up had not read the invariants."""
    return one.part + ("*" if one.put_in.__module__.endswith(".blind") else "")


def show(found: Found) -> None:
    """One line of the table."""
    one = MUTANTS[found.name]
    what, seed = (found.invariant, str(found.seed)) if found.caught else ("SURVIVES", "-")
    print(f"{found.name:45} {part(one):8} {what:18} {seed:>5} {found.runs:>5} {found.seconds:8.1f}")
    if not found.caught:
        print(f"    {one.story}\n    the changed code was called {found.calls} times")
        for crash in found.crashes[:2]:
            print("    does not count: " + crash.replace("\n", "\n    "))
    sys.stdout.flush()


def quiet(runs: Sequence[Run], processes: int) -> bool:
    """Whether the code as it is passes these runs."""
    parts = [runs[place::processes] for place in range(processes)]
    good = True
    for found in hunt([(None, one) for one in parts if one], processes):
        if found.caught or found.crashes:
            good = False
            print(f"the code as it is fails: seed {found.seed}, {found.invariant}: {found.message}")
            print("\n".join(found.crashes[:1]))
    return good


def arguments_of(given: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="put known bugs into Iris")
    parser.add_argument("names", nargs="*", choices=[[], *MUTANTS], metavar="mutant")
    parser.add_argument("--known", action="store_true", help="first the seeds that caught it the last time")
    parser.add_argument("--missing", action="store_true", help="only those that no seed is known to catch")
    parser.add_argument("--seeds", type=int, default=0, help=f"at most so many ({SEEDS}; --known: {KNOWN_SEEDS})")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--full", action="store_true", help="run all seeds on the code as it is")
    parser.add_argument("--list", action="store_true", help="tell the mutants and their stories")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Run it; the exit code."""
    chose = arguments_of(given)
    mutants = [MUTANTS[name] for name in chose.names] if chose.names else list(MUTANTS.values())
    if chose.list:
        for one in mutants:
            print(f"{one.name} ({part(one)})\n    {one.story}")
        return 0
    known = catchers()
    if chose.missing:
        mutants = [one for one in mutants if one.name not in known]
    seeds = range(chose.first, chose.first + (chose.seeds or (KNOWN_SEEDS if chose.known else SEEDS)))
    order = {one.name: [(seed, one.faults, one.limits) for seed in seeds] for one in mutants}
    if chose.known:
        for name in order.keys() & known.keys():
            order[name].insert(0, (known[name][0], MUTANTS[name].faults, MUTANTS[name].limits))
    print(f"{'mutant':45} {'part':8} {'caught by':18} {'seed':>5} {'runs':>5} {'seconds':>8}")
    results = []
    for found in search([(one, order[one.name]) for one in mutants], chose.jobs, trust=chose.known):
        results.append(found)
        show(found)
        if found.caught:
            known[found.name] = found.seed, found.invariant
            write_catchers(known)
    caught = [found for found in results if found.caught]
    runs: list[Run] = []  # `search` has looked at those of the catches
    if chose.known:
        runs = list(dict.fromkeys(found.run for found in caught if found.run is not None))
    if chose.full:
        runs = [(seed, None, ()) for seed in range(max((found.seed for found in caught), default=0) + 1)]
    good = quiet(runs, chose.jobs)
    print(f"{len(caught)} of {len(results)} mutants are caught; the code as it is passes the same seeds: {good}")
    return 0 if good and len(caught) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
