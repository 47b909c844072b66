"""The state machines by name."""

from __future__ import annotations

from hypothesis.stateful import RuleBasedStateMachine

from tests.fuzz.client_machine import ClientMachine
from tests.fuzz.server_machine import ServerMachine

MACHINES: dict[str, type[RuleBasedStateMachine]] = {
    "client": ClientMachine,
    "server": ServerMachine,
}
