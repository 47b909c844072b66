"""Run the fuzzers in Python for longer than tests do: `python -m tests.fuzz [seconds of each] [name ...]`.

Every round has another seed, which is told when it fails; `--seed` repeats it. Prints a table; the exit code is 1 when
something was found.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.fuzz.machines import MACHINES

ROUND_EXAMPLES = 20
STEPS = 50


def one_round(machine: type[RuleBasedStateMachine], number: int) -> None:
    """So many examples from one seed. Raises what the machine finds, made as small as possible."""
    chosen = settings(
        max_examples=ROUND_EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip

    @seed(number)
    class Seeded(machine):  # type: ignore[misc, valid-type]
        pass

    run_state_machine_as_test(Seeded, settings=chosen)


def run(name: str, seconds: float, number: int | None) -> list[str]:
    """Rounds until the time is over; a row of the table."""
    began, rounds, end = time.monotonic(), 0, "clean"
    seeds = random.Random()
    while time.monotonic() - began < seconds and end == "clean":
        chosen = seeds.randrange(1 << 32) if number is None else number
        try:
            one_round(MACHINES[name], chosen)
        except Exception:
            traceback.print_exc()
            end = f"FOUND with --seed {chosen}"
        rounds += 1
        if number is not None:
            break
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    minutes = (time.monotonic() - began) / 60
    return [name, f"{rounds * ROUND_EXAMPLES:,}", f"{minutes:.1f}", str(memory), end]


def main() -> int:
    """Run, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, nargs="?", default=600)
    parser.add_argument("names", nargs="*", default=list(MACHINES), help=f"of {', '.join(MACHINES)}")
    parser.add_argument("--seed", type=int, help="one round, with this seed")
    chosen = parser.parse_args()
    rows = [run(name, chosen.seconds, chosen.seed) for name in chosen.names]
    print(f"{'machine':10} {'examples':>9} {'minutes':>8} {'MB':>5}  end")
    for name, examples, minutes, memory, end in rows:
        print(f"{name:10} {examples:>9} {minutes:>8} {memory:>5}  {end}")
    return int(any(row[-1] != "clean" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
