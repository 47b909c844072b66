"""Somebody guesses: passwords, handles, invites, refresh secrets. How often, what it tells, and whom it hurts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from iris.core.catalogue import Limits
from iris.core.requests import CreateUser
from iris.http import ApiSettings, Argon2Profile, Passwords
from iris.http.rates import ADDRESSES_PER_USER, Familiar
from tests.support.api import PASSWORD, Api, an_api, bearer, problem, quick, run

HOME, AWAY = "192.0.2.1", "198.51.100.7"  # an_api's own client comes from HOME


@asynccontextmanager
async def from_address(api: Api, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client at another address."""
    transport = httpx.ASGITransport(api.app, client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def guess(
    client: httpx.AsyncClient, handle: str, password: str = "a wrong guess", path: str = "/v1/sessions"
) -> str:
    """One log-in (or registration): the refusal's name, or "in"."""
    more = {"device_name": "d"} if path == "/v1/sessions" else {}
    answer = await client.post(path, json={"handle": handle, "password": password, **more})
    return "in" if answer.is_success else problem(answer)


# --- passwords ---
def test_guessers_at_many_addresses_share_the_handles_allowance_and_keep_nobody_out(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=5)) as api:
            await api.newcomer("ada")
            guesses = []
            for number in range(40):
                async with from_address(api, f"203.0.113.{number}") as guesser:
                    guesses.append(await guess(guesser, "ada"))
            assert guesses == ["CREDENTIALS_WRONG"] * 5 + ["RATE_LIMITED"] * 35
            assert await guess(api.client, "ada", PASSWORD) == "in", "Ada has been at this address before"
            async with from_address(api, AWAY) as elsewhere:
                assert await guess(elsewhere, "ada", PASSWORD) == "RATE_LIMITED"  # nothing tells her from a guesser

    run(case)


def test_a_known_address_has_no_more_guesses_than_others(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=5)) as api:
            await api.newcomer("ada")
            guesses = [await guess(api.client, "ada") for _ in range(8)]
            assert guesses == ["CREDENTIALS_WRONG"] * 5 + ["RATE_LIMITED"] * 3
            assert await guess(api.client, "ada", PASSWORD) == "RATE_LIMITED"

    run(case)


def test_a_refresh_makes_an_address_known_and_a_wrong_password_does_not(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=2)) as api:
            tokens = await api.newcomer("ada")
            async with from_address(api, AWAY) as phone, from_address(api, "203.0.113.9") as guesser:
                body = {"refresh_token": tokens["refresh_token"], "nonce": "0123456789abcdef"}
                assert (await phone.post("/v1/tokens", json=body)).status_code == 200
                assert [await guess(guesser, "ada") for _ in range(3)] == ["CREDENTIALS_WRONG"] * 2 + ["RATE_LIMITED"]
                assert await guess(guesser, "ada", PASSWORD) == "RATE_LIMITED"
                assert await guess(phone, "ada", PASSWORD) == "in"

    run(case)


def test_one_password_for_many_handles_is_limited_by_address(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=Limits(logins_per_address_per_minute_max=30)) as api:
            names = [await guess(api.client, f"user{number}", "123456789") for number in range(100)]
            assert names == ["CREDENTIALS_WRONG"] * 30 + ["RATE_LIMITED"] * 70

    run(case)


def test_a_registration_is_no_guess_beyond_the_limit(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=3)) as api:
            await api.newcomer("ada")
            async with from_address(api, AWAY) as guesser:
                for _ in range(3):
                    assert await guess(guesser, "ada", path="/v1/users") == "HANDLE_TAKEN"
                assert await guess(guesser, "ada") == "RATE_LIMITED"
                assert await guess(guesser, "ada", PASSWORD, "/v1/users") == "HANDLE_TAKEN"  # right, and not told

    run(case)


def test_a_stolen_access_token_does_not_help_to_guess_the_password(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=3)) as api:
            stolen = bearer(await api.newcomer("ada"))
            tried = []
            for path, body in (
                ("/v1/me/password", {"old_password": "a wrong guess", "new_password": "mallory's own"}),
                ("/v1/me", {"password": "a wrong guess"}),
            ):
                method = "POST" if "old_password" in body else "DELETE"
                for _ in range(3):
                    tried.append(problem(await api.client.request(method, path, json=body, headers=stolen)))
            assert tried == ["CREDENTIALS_WRONG"] * 3 + ["RATE_LIMITED"] * 3
            assert await guess(api.client, "ada", PASSWORD) == "in", "and her log-in is another matter"

    run(case)


def test_known_addresses_take_a_bounded_place() -> None:
    familiar = Familiar(users_max=3)
    for number in range(ADDRESSES_PER_USER + 2):
        familiar.note(b"ada", f"192.0.2.{number}")
    assert [familiar.knows(b"ada", f"192.0.2.{number}") for number in (1, 2)] == [False, True]
    familiar.note(b"ada", "192.0.2.2")  # renewed
    familiar.note(b"ada", "192.0.2.99")
    assert [familiar.knows(b"ada", f"192.0.2.{number}") for number in (2, 3)] == [True, False]
    for user in (b"bob", b"cyn", b"dan"):
        familiar.note(user, HOME)
    assert not familiar.knows(b"ada", "192.0.2.2")
    assert familiar.knows(b"bob", HOME)
    assert not familiar.knows(b"bob", AWAY)


# --- what time tells ---
def test_a_log_in_asks_and_hashes_the_same_for_known_and_unknown(tmp_path: Path) -> None:
    """Counted, not timed: as many questions to shards, of the same kinds, and as many argon2id runs."""

    async def case() -> None:
        async with an_api(tmp_path) as api:
            await api.register("ada")
            hashed: list[bool] = []
            verify = api.passwords.verify

            async def counted(encoded: str | None, password: str) -> bool:
                hashed.append(encoded is not None)
                return await verify(encoded, password)

            api.passwords.verify = counted  # type: ignore[method-assign]
            asked = {}
            for handle in ("ada", "nobody", "nobody2"):
                api.authority.asked.clear()
                assert await guess(api.client, handle) == "CREDENTIALS_WRONG"
                asked[handle] = [type(operation) for _, _, operation in api.authority.asked]
            assert asked["nobody"] == asked["nobody2"] == asked["ada"]
            assert hashed == [True, False, False]

    run(case)


def test_the_stand_in_of_a_handle_is_nobody_and_does_not_change(tmp_path: Path) -> None:
    """A new one at each try would be loaded each time; one that another handle has too could be told apart."""

    async def case() -> None:
        async with an_api(tmp_path) as api:
            units = []
            for handle in ("nobody", "nobody", "nobody2"):
                api.authority.asked.clear()
                await guess(api.client, handle)
                units.append(api.authority.asked[-1][0])
            assert units[0] == units[1] != units[2]

    run(case)


def test_argon2_takes_the_same_processor_time_for_known_and_unknown() -> None:
    """The least of interleaved runs at full cost, since a busy machine only adds to it."""

    async def case() -> None:
        passwords = Passwords(Argon2Profile.FULL, 1, 8)
        encoded = await passwords.hash(PASSWORD)
        spent: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(12):
            known = turn % 2 == 0
            began = time.process_time()
            assert not await passwords.verify(encoded if known else None, "a wrong guess")
            spent[known].append(time.process_time() - began)
        passwords.close()
        known_s, unknown_s = min(spent[True]), min(spent[False])
        assert abs(known_s - unknown_s) < 0.25 * known_s, (known_s, unknown_s)

    asyncio.run(case())


def test_passwords_are_hashed_at_rfc_9106_cost() -> None:
    found = Argon2Profile.FULL.parameters
    assert (found.type.name, found.version) == ("ID", 0x13)
    assert (found.memory_cost, found.time_cost, found.parallelism) == (65_536, 3, 4)
    assert (found.salt_len, found.hash_len) == (16, 32)


# --- a storm of log-ins ---
def test_a_storm_of_log_ins_leaves_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """password_hashes_waiting_max: without it log-ins would take every place of http_requests_max."""

    async def case() -> None:
        limits = quick(password_hashes_max=1, password_hashes_waiting_max=3, http_requests_max=10)
        async with an_api(tmp_path, limits=limits) as api:
            tokens = await api.newcomer("ada")
            go = asyncio.Event()
            run_hash = api.passwords._run

            async def held(work: Any) -> Any:
                async def slow() -> Any:
                    await go.wait()
                    return work()

                loop = asyncio.get_running_loop()
                return await run_hash(lambda: asyncio.run_coroutine_threadsafe(slow(), loop).result(20))

            monkeypatch.setattr(api.passwords, "_run", held)
            storm = [asyncio.create_task(guess(api.client, f"user{number}")) for number in range(30)]
            done: list[str] = []
            while len(done) < 26:  # one is being hashed, three wait
                finished, _ = await asyncio.wait(storm, return_when=asyncio.FIRST_COMPLETED)
                done += [task.result() for task in finished]
                storm = [task for task in storm if task not in finished]
            assert done == ["OVERLOADED"] * 26
            assert (await api.client.get("/v1/me", headers=bearer(tokens))).status_code == 200
            go.set()
            assert await asyncio.gather(*storm) == ["CREDENTIALS_WRONG"] * 4

    run(case)


# --- handles ---
def test_looking_for_handles_is_limited_at_every_door(tmp_path: Path) -> None:
    """Look-up, change of one's own handle, and registration: each tells whether somebody has a handle."""

    async def case() -> None:
        limits = quick(lookups_per_user_per_minute_max=6, logins_per_address_per_minute_max=10)
        async with an_api(tmp_path, limits=limits) as api:
            mallory = bearer(await api.newcomer("mallory"))
            await api.newcomer("ada")  # four of the ten are spent
            looked = [await api.client.get("/v1/handles/ada", headers=mallory) for _ in range(3)]
            changed = [await api.client.patch("/v1/me", json={"handle": "ada"}, headers=mallory) for _ in range(5)]
            assert [answer.status_code for answer in looked] == [200] * 3
            assert [problem(answer) for answer in changed] == ["HANDLE_TAKEN"] * 3 + ["RATE_LIMITED"] * 2
            assert problem(await api.client.get("/v1/handles/bob", headers=mallory)) == "RATE_LIMITED"
            assert (await api.client.patch("/v1/me", json={"name": "M"}, headers=mallory)).status_code == 200
            registered = [await guess(api.client, "ada", path="/v1/users") for _ in range(8)]
            assert registered == ["HANDLE_TAKEN"] * 6 + ["RATE_LIMITED"] * 2

    run(case)


def test_a_log_in_tells_nothing_of_a_handle(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            await api.register("ada")
            bodies = [{"handle": name, "password": "a wrong guess", "device_name": "d"} for name in ("ada", "nobody")]
            one, other = [await api.client.post("/v1/sessions", json=body) for body in bodies]
            assert one.content == other.content
            without_date = [{**answer.headers, "date": ""} for answer in (one, other)]
            assert without_date[0] == without_date[1]

    run(case)


# --- invites ---
def test_an_invite_cannot_be_guessed(tmp_path: Path) -> None:
    """80 random bits at some tries a minute; a wrong one and a missing one get the same answer, a bad form no ask."""

    async def case() -> None:
        settings = ApiSettings(registration="invite")
        limits = Limits(logins_per_address_per_minute_max=4)
        async with an_api(tmp_path, settings=settings, limits=limits) as api:
            answers = []
            for invite in ("0" * 20, "", "../../etc/passwd", "0" * 20, "0" * 20):
                body = {"handle": "mallory", "password": PASSWORD, "invite": invite}
                answers.append(await api.client.post("/v1/users", json=body))
            assert [problem(answer) for answer in answers] == ["INVITE_INVALID"] * 4 + ["RATE_LIMITED"]
            assert answers[0].content == answers[1].content == answers[2].content
            assert sum(isinstance(op, CreateUser) for _, _, op in api.authority.asked) == 2

    run(case)


# --- refresh tokens ---
def test_a_made_up_refresh_token_logs_nobody_out(tmp_path: Path) -> None:
    """Else whoever knows a user's id could end all of the user's sessions."""

    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            user = tokens["user_id"]
            for text in (f"r1.{user}.1.{'A' * 43}", f"r1.{user}.2.{'A' * 43}", f"r1.{user}.4294967295.{'A' * 43}"):
                body = {"refresh_token": text, "nonce": "0123456789abcdef"}
                assert problem(await api.client.post("/v1/tokens", json=body)) == "REFRESH_INVALID"
            assert (await api.client.get("/v1/me", headers=bearer(tokens))).status_code == 200
            body = {"refresh_token": tokens["refresh_token"], "nonce": "0123456789abcdef"}
            assert (await api.client.post("/v1/tokens", json=body)).status_code == 200

    run(case)
