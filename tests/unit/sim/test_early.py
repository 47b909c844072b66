"""Hello with the upgrade in the simulator: clients that always take this way lose nothing, and a bug of it is found."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from iris_sdk.core import ClientCore, State
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import Input
from iris_sdk.core.receiving import Inbox
from iris_sim.plan import Plan
from iris_sim.seed import run_plan

SEEDS = range(6)
CATCHER = 7


def early(seed: int) -> Plan:
    return dataclasses.replace(Plan.make(seed), early=True)


def test_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: Counter[bool] = Counter()

    def opened(core: ClientCore, greeted: bool = False) -> None:
        ways[greeted] += 1
        right(core, greeted)

    right = ClientCore.opened
    monkeypatch.setattr(ClientCore, "opened", opened)
    for seed in SEEDS:
        assert run_plan(early(seed)).failure is None
    assert ways[True] > 100


def test_a_hello_that_names_what_is_not_durable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for the commit that is under way."""

    def token(core: ClientCore, token: str) -> None:
        if core.state is not State.AUTHORISING:
            right(core, token)
            return
        core._asking_token = False
        core._token, core._token_fresh = token, False
        core._enter(Input.TOKEN)
        core._effects.append(fx.Connect(core._hello()))

    def taken(inbox: Inbox) -> tuple[int, int]:
        return inbox.seq.taken, inbox.rev.taken

    right = ClientCore.token
    monkeypatch.setattr(ClientCore, "token", token)
    monkeypatch.setattr(Inbox, "hello", taken)
    failure = run_plan(early(CATCHER)).failure
    assert failure is not None
    assert failure.invariant == "ACK-BEYOND"
