"""The machines, for as many examples as `make test` has time for. `python -m tests.fuzz` runs them for longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.fuzz.machines import MACHINES

EXAMPLES = {"client": 120, "server": 25}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MACHINES)
def test_no_events_break_it(name: str) -> None:
    machine: type[RuleBasedStateMachine] = MACHINES[name]
    some = settings(
        max_examples=EXAMPLES[name], stateful_step_count=40, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],  # -m tests.fuzz makes it small
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=some)
