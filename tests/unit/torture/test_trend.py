"""What counts as flat."""

from __future__ import annotations

import random

import pytest

from iris_torture.trend import SAMPLES_MIN, Tolerance, sparkline, trend

SOME = Tolerance(0.1, 5, "")


def test_noise_and_single_peaks_are_flat() -> None:
    chance = random.Random(1)
    values = [100 + chance.uniform(-10, 10) for _ in range(100)]
    values[-5] = 10_000
    assert trend("x", values, SOME).flat


def test_a_slow_leak_is_not() -> None:
    chance = random.Random(1)
    values = [100 + place * 0.4 + chance.uniform(-10, 10) for place in range(100)]
    found = trend("x", values, SOME)
    assert not found.flat
    assert found.early < found.middle < found.late


def test_what_grows_only_while_it_warms_up_is_flat() -> None:
    assert trend("x", [*range(0, 100, 4), *[100] * 75], SOME).flat


def test_a_step_in_the_middle_is_not_flat() -> None:
    assert not trend("x", [100] * 60 + [120] * 40, SOME).flat


def test_from_a_few_samples_nothing_is_concluded() -> None:
    with pytest.raises(ValueError, match="11 samples"):
        trend("x", [1.0] * (SAMPLES_MIN - 1), SOME)


def test_the_line_of_blocks_goes_from_lowest_to_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([]) == ""
    assert len(sparkline(list(range(1000)))) == 40
