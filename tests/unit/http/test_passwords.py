"""Passwords: full cost as shipped, a bounded number at once, and nothing to be read from the time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import argon2
import pytest

from iris.core.catalogue import Limits
from iris.core.ids import user_from_text, user_unit
from iris.http import Argon2Profile, Passwords
from tests.support.api import PASSWORD, an_api, quick, run


def test_full_cost_is_the_rfc_9106_profile_and_works_end_to_end(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, profile=Argon2Profile.FULL) as api:
            user = await api.register("ada")
            stored = api.authority.users[user_unit(user_from_text(user))].password
            found = argon2.extract_parameters(stored)
            assert found == argon2.profiles.RFC_9106_LOW_MEMORY
            assert (found.memory_cost, found.time_cost, found.type) == (65_536, 3, argon2.Type.ID)
            await api.log_in("ada")

    run(case)


def test_a_password_of_yesterdays_parameters_is_hashed_anew_at_log_in(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, profile=Argon2Profile.FULL) as api:
            user = await api.register("ada")
            row = api.authority.users[user_unit(user_from_text(user))]
            cheap = Passwords(Argon2Profile.CHEAP, 1, 8)
            row.password = old = await cheap.hash(PASSWORD)
            cheap.close()
            tokens = await api.log_in("ada")
            assert row.password != old
            assert argon2.extract_parameters(row.password) == argon2.profiles.RFC_9106_LOW_MEMORY
            assert row.gen == 1  # nobody was logged out
            assert tokens["device"] in row.devices

    run(case)


def test_the_cheap_profile_weakens_no_stored_hash() -> None:
    async def case() -> None:
        full, cheap = Passwords(Argon2Profile.FULL, 1, 8), Passwords(Argon2Profile.CHEAP, 1, 8)
        encoded = full._nobodys
        assert not cheap.outdated(encoded)
        assert not full.outdated(encoded)
        assert full.outdated(await cheap.hash(PASSWORD))
        full.close()
        cheap.close()

    run(case)


def test_right_wrong_and_nobodys_password() -> None:
    async def case() -> None:
        passwords = Passwords(Argon2Profile.CHEAP, 2, 8)
        encoded = await passwords.hash(PASSWORD)
        assert encoded != await passwords.hash(PASSWORD)
        assert await passwords.verify(encoded, PASSWORD)
        assert not await passwords.verify(encoded, PASSWORD + " ")
        assert not await passwords.verify(None, PASSWORD)
        assert not await passwords.verify("not a hash", PASSWORD)
        composed, decomposed = "pässword", "pa\u0308ssword"
        assert await passwords.verify(await passwords.hash(composed), decomposed)
        passwords.close()

    run(case)


@pytest.mark.parametrize("profile", Argon2Profile)
def test_nobodys_hash_costs_what_a_real_one_costs(profile: Argon2Profile) -> None:
    passwords = Passwords(profile, 1, 8)
    assert argon2.extract_parameters(passwords._nobodys) == profile.parameters
    passwords.close()


def test_no_more_hashes_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        threads = quick(password_hashes_max=2).password_hashes_max
        passwords = Passwords(Argon2Profile.CHEAP, threads, 8)
        running, most, lock, go = 0, 0, threading.Lock(), threading.Event()
        full_house = threading.Barrier(threads + 1)

        def slow(encoded: str, password: str) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                first = running <= threads and not go.is_set()
            if first:
                full_house.wait(20)
                go.wait(20)
            with lock:
                running -= 1
            return True

        monkeypatch.setattr(passwords, "_verify", slow)
        tasks = [asyncio.create_task(passwords.verify(None, PASSWORD)) for _ in range(6)]
        await asyncio.get_running_loop().run_in_executor(None, full_house.wait, 20)
        assert passwords.waiting == 4
        go.set()
        assert await asyncio.gather(*tasks) == [True] * 6
        assert most == threads == 2
        assert passwords.waiting == 0
        passwords.close()

    run(case)


def test_the_default_limit_is_small() -> None:
    assert Limits().password_hashes_max * 64 <= 512  # MiB
