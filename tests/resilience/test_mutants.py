"""Known bugs are caught: each by the seed that caught it the last time (tests/mutants/catchers.toml).

`make mutants` looks for them from seed 0 on, and renews the list; what is shown here is that none has gone unnoticed
since: neither a rule of the judge that went soft, nor a mutant that no longer changes anything.
"""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import catchers
from tests.mutants.hunt import hunt
from tests.mutants.patch import MUTANTS

PARTS = 12
NAMES = sorted(MUTANTS)


def test_every_mutant_has_a_seed_that_catches_it() -> None:
    assert sorted(catchers()) == NAMES, "make mutants"


@pytest.mark.parametrize("part", range(PARTS))
def test_known_bugs_are_caught_and_their_seeds_are_clean_without_them(part: int) -> None:
    known = catchers()
    jobs = [
        (MUTANTS[name], [(known[name][0], MUTANTS[name].faults, MUTANTS[name].limits)]) for name in NAMES[part::PARTS]
    ]
    found = list(hunt(jobs, 1))
    assert [one.name for one in found if not one.caught] == [], "these survive: python -m tests.mutants --known"
    runs = dict.fromkeys(run for _, (run,) in jobs)
    assert [(one.seed, one.invariant) for one in hunt([(None, [run]) for run in runs], 1) if one.caught] == []
