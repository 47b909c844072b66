"""Rate counters: a minute's allowance, given back evenly, in a table that does not grow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris.http.rates import Rate, RateTable, address_key
from tests.support.api import NOW, quick

HANDLE = Rate.LOGIN_OF_HANDLE


def table(**limits: int) -> RateTable:
    return RateTable(quick(**limits))


def test_the_allowance_comes_back_evenly() -> None:
    rates = table(logins_per_handle_per_minute_max=3)
    assert [rates.spend(HANDLE, "ada", NOW) for _ in range(4)] == [0, 0, 0, 20_000]
    assert rates.spend(HANDLE, "ada", NOW + 19_000) == 1_000
    assert rates.spend(HANDLE, "ada", NOW + 20_000) == 0
    assert rates.spend(HANDLE, "ada", NOW + 20_000) == 20_000
    assert [rates.spend(HANDLE, "ada", NOW + 80_000) for _ in range(4)] == [0, 0, 0, 20_000]


def test_keys_and_rates_are_apart() -> None:
    rates = table(logins_per_handle_per_minute_max=1, lookups_per_user_per_minute_max=1)
    assert rates.spend(HANDLE, "ada", NOW) == 0
    assert rates.spend(HANDLE, "bob", NOW) == 0
    assert rates.spend(Rate.LOOKUP_BY_USER, "ada", NOW) == 0
    assert rates.spend(HANDLE, "ada", NOW) > 0
    assert rates.rows == 3


def test_what_is_given_back_can_be_spent_again() -> None:
    rates = table(logins_per_handle_per_minute_max=1)
    for _ in range(5):
        assert rates.spend(HANDLE, "ada", NOW) == 0
        rates.give_back(HANDLE, "ada")
    rates.give_back(HANDLE, "nobody")
    for _ in range(3):
        rates.give_back(HANDLE, "ada")  # more than was spent gives no more than the allowance
    assert rates.spend(HANDLE, "ada", NOW) == 0
    assert rates.spend(HANDLE, "ada", NOW) > 0


def test_the_row_touched_longest_ago_goes() -> None:
    rates = table(rate_table_rows_max=2, logins_per_handle_per_minute_max=1)
    for key in ("a", "b", "c"):
        assert rates.spend(HANDLE, key, NOW) == 0
    assert rates.rows == 2
    assert rates.spend(HANDLE, "c", NOW) > 0
    assert rates.spend(HANDLE, "a", NOW) == 0  # forgotten


def test_a_clock_set_back_locks_nobody_out_for_longer_than_a_minute() -> None:
    rates = table(logins_per_handle_per_minute_max=1)
    rates.spend(HANDLE, "ada", NOW)
    assert rates.spend(HANDLE, "ada", NOW - 86_400_000) <= 60_000
    rates.give_back(HANDLE, "ada")


def test_an_allowance_of_nothing_is_nothing() -> None:
    rates = table(logins_per_handle_per_minute_max=0)
    assert rates.spend(HANDLE, "ada", NOW) == 60_000
    rates.give_back(HANDLE, "ada")


@given(st.integers(1, 200), st.lists(st.integers(0, 5_000), max_size=150))
@settings(max_examples=100, deadline=None)
def test_never_more_than_twice_the_allowance_in_a_minute_and_never_less_after_the_wait(
    per_minute: int, steps: list[int]
) -> None:
    rates = table(logins_per_handle_per_minute_max=per_minute)
    now, allowed = NOW, []
    for step in steps:
        now += step
        wait = rates.spend(HANDLE, "ada", now)
        if wait == 0:
            allowed.append(now)
        else:
            assert rates.spend(HANDLE, "ada", now + wait) == 0
            allowed.append(now := now + wait)
    for start in allowed:
        assert sum(start <= at < start + 60_000 for at in allowed) <= 2 * per_minute


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("not an address", "not an address"),
        (None, "unknown"),
    ],
)
def test_addresses(host: str | None, key: str) -> None:
    assert address_key(host) == key
