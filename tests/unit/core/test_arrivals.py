"""Numbered batches: what was lost is noticed, once; what is only late or repeated does no harm."""

from __future__ import annotations

import random

import pytest

from iris.core.arrivals import Arrivals


def losses_of(*numbers: int) -> int:
    arrivals = Arrivals()
    for number in numbers:
        arrivals.got(number)
    return arrivals.losses


@pytest.mark.parametrize(
    ("numbers", "losses"),
    [((1, 2, 3), 0), ((7, 8), 0), ((1, 3), 1), ((1, 3, 2), 1), ((1, 1, 2, 2), 0), ((1, 4, 5, 9), 2), ((2, 1), 0)],
)
def test_a_gap_is_a_loss(numbers: tuple[int, ...], losses: int) -> None:
    assert losses_of(*numbers) == losses


def test_the_last_batch_is_missed_when_the_sender_names_it() -> None:
    arrivals = Arrivals()
    arrivals.told(4)
    assert arrivals.losses == 0, "the first that is heard of this sender"
    arrivals.got(5)
    arrivals.told(5)
    assert arrivals.losses == 0
    arrivals.told(6)
    assert arrivals.losses == 1
    arrivals.told(6)
    arrivals.got(6)
    assert arrivals.losses == 1, "counted once, also when it was only late"
    arrivals.start(9)
    arrivals.got(10)
    assert arrivals.losses == 1


def test_by_chance_a_loss_is_never_overlooked() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        arrivals = Arrivals()
        arrivals.got(1)
        lost = {number for number in range(2, 40) if chance.random() < 0.1}
        for number in range(2, 40):
            if number not in lost:
                for _ in range(chance.choice([1, 1, 2])):
                    arrivals.got(number)
        arrivals.told(39)
        assert (arrivals.losses > 0) == bool(lost), f"seed {seed}"
