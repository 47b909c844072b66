"""`python -m tests.mutants`: does the simulator catch every known bug? Exit code 1 when one survives.

    python -m tests.mutants                    every mutant from seed 0 on; renews catchers.toml
    python -m tests.mutants --known            the seeds that are known to catch first: what `make test` runs
    python -m tests.mutants rewind_ignored     one or some

The code as it is then runs the same seeds, as many as the worst mutant needed (--full: all), without alarm.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.hunt import Found, chosen, hunt
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
    rows = [
        f'{name} = {{ seed = {seed}, by = "{by}" }}\n' for name, (seed, by) in sorted(known.items()) if name in MUTANTS
    ]
    CATCHERS.write_text("# Which seed catches which mutant, by which invariant. Written by python -m tests.mutants.\n")
    with CATCHERS.open("a") as file:
        file.writelines(rows)


def part(one: Mutant) -> str:
    """Where the bug is; with a star when whoever thought it up had not read the invariants."""
    return one.part + ("*" if one.put_in.__module__.endswith(".blind") else "")


def show(found: Found, mutants: dict[str, Mutant]) -> None:
    """One line of the table."""
    what = found.invariant if found.caught else "SURVIVES"
    seed = found.seed if found.caught else "-"
    print(f"{found.name:45} {part(mutants[found.name]):8} {what:24} {seed:>5} {found.seeds:>5} {found.seconds:7.1f}")
    if not found.caught:
        print(f"    {mutants[found.name].story}\n    the changed code was called {found.calls} times")
        for crash in found.crashes[:2]:
            print("    does not count: " + crash.replace("\n", "\n    "))
    sys.stdout.flush()


def clean(seeds: Sequence[int], processes: int) -> bool:
    """Whether the code as it is passes these seeds."""
    parts = [seeds[part::processes] for part in range(processes)]
    good = True
    for found in hunt([(None, part) for part in parts if part], processes):
        if found.caught or found.crashes:
            good = False
            print(f"the code as it is fails: seed {found.seed}, {found.invariant}: {found.message}")
            print("\n".join(found.crashes[:1]))
    return good


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="put known bugs into Iris")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--known", action="store_true", help="first the seeds that caught it the last time")
    parser.add_argument(
        "--seeds", type=int, default=0, help=f"at most so many for each ({SEEDS}; --known: {KNOWN_SEEDS})"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--full", action="store_true", help="run all seeds on the code as it is")
    parser.add_argument("--list", action="store_true", help="tell the mutants and their stories")
    chose = parser.parse_args(arguments)
    mutants = chosen(chose.names)
    if chose.list:
        for one in mutants:
            print(f"{one.name} ({one.part})\n    {one.story}")
        return 0
    known = catchers()
    most = chose.seeds or (KNOWN_SEEDS if chose.known else SEEDS)
    order = {one.name: list(range(most)) for one in mutants}
    if chose.known:
        for name in order.keys() & known.keys():
            order[name] = [known[name][0], *(seed for seed in range(most) if seed != known[name][0])]
    print(f"{'mutant':45} {'part':8} {'caught by':24} {'seed':>5} {'seeds':>5} {'seconds':>7}")
    results = []
    for found in hunt([(one, order[one.name]) for one in mutants], chose.jobs):
        results.append(found)
        show(found, MUTANTS)
    caught = [found for found in results if found.caught]
    if chose.known:
        seeds = sorted({found.seed for found in caught})
    else:
        seeds = list(range(most if chose.full else max((found.seed for found in caught), default=0) + 1))
        write_catchers(known | {found.name: (found.seed, found.invariant) for found in caught})
    quiet = clean(seeds, chose.jobs)
    print(f"{len(caught)} of {len(results)} mutants are caught; {len(seeds)} seeds of the code as it is: "
          f"{'no alarm' if quiet else 'ALARM'}")  # fmt: skip
    return 0 if quiet and len(caught) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
