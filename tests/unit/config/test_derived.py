"""Relations between settings: each one is broken once, and the defaults keep all."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest

from iris.config import Settings, raise_file_limit
from iris.config.derived import RELATIONS, problems
from iris.core.catalogue import Limits

BREAKS = [
    {"ping_interval_ms": 18_000},
    {"offline_grace_ms": 12_000},
    {"lease_renew_ms": 1_500},
    {"payload_bytes_max": 131_072, "deliver_window_bytes": 1 << 20},
    {"token_bytes_max": 131_072},
    {"send_queue_bytes_max": 131_071},
    {"bytes_per_second_max": 65_535},
    {"deliver_window_bytes": 65_535},
    {"commit_bytes_max": 66_559},
    {"mailbox_bytes_max": 65_535},
    {"mailbox_lag_rows_max": 99_999},
    {"mark_days": 29},
    {"device_days": 29},
    {"link_code_ms": 300_001},
    {"outbox_window": 10_001},
    {"reconnect_first_ms": 30_001},
]


def test_the_defaults_keep_every_relation() -> None:
    assert problems(Settings()) == []


@pytest.mark.parametrize(("index", "change"), list(enumerate(BREAKS)))
def test_each_relation_is_checked(index: int, change: dict[str, int]) -> None:
    limits = replace(Limits(), **change)
    assert RELATIONS[index][1] in problems(Settings(limits=limits))
    assert next(iter(change)) in RELATIONS[index][1]


def test_there_is_a_break_for_every_relation() -> None:
    assert len(BREAKS) == len(RELATIONS)


def test_an_address_given_twice_is_refused_unless_the_system_chooses() -> None:
    assert problems(Settings(listen=["127.0.0.1:5", "127.0.0.1:5"])) == [
        "listen: an address is given twice; name each once"
    ]
    assert problems(Settings(listen=["127.0.0.1:0", "127.0.0.1:0"])) == []


def test_the_file_limit_is_raised_and_the_shortfall_told() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        enough = raise_file_limit(Settings(limits={"connections_max": 1, "pipes_max": 1}))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
        if hard != resource.RLIM_INFINITY and hard >= 1027:
            assert enough.shortfall is None
            short = raise_file_limit(Settings(limits={"connections_max": hard, "pipes_max": 1}))
            assert short.shortfall is not None
            assert f"{hard - 1026} of limits.connections_max {hard} connections fit" in short.shortfall
            assert f"raise it to {hard + 1026}" in short.shortfall
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
