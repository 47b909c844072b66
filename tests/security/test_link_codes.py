"""Somebody wants to be linked to another's account: guesses a link code, uses one twice, or that of somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from iris.core.requests import MakeLinkCode, RedeemLinkCode
from tests.blackbox.client import PASSWORD as BLACKBOX_PASSWORD
from tests.blackbox.client import Api, Person, nonce, person
from tests.security.conftest import IMPATIENT
from tests.security.test_guessing import AWAY, from_address, guess
from tests.support.api import PASSWORD, an_api, bearer, problem, quick, run
from tests.support.api import Api as FakeApi
from tests.support.server import serving

WRONG = "0000-0000"


async def shown(api: FakeApi, tokens: dict[str, Any]) -> str:
    answer = await api.client.post("/v1/me/link-code", headers=bearer(tokens))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


async def redeem(client: httpx.AsyncClient, handle: str, code: str) -> httpx.Response:
    body = {"handle": handle, "code": code, "device_name": "laptop"}
    return await client.post("/v1/sessions/link-code", json=body)


def take(api: Api, who: Person, code: str, **more: Any) -> httpx.Response:
    """Redeem against the server as shipped."""
    body = {"handle": who.handle, "code": code, "device_name": "laptop", **more}
    return api.call("POST", "/sessions/link-code", json=body)


def code_of(api: Api, token: str) -> str:
    return str(api.good("POST", "/me/link-code", token)["code"])


# --- guessing ---
def test_wrong_codes_and_wrong_passwords_share_the_handles_allowance(tmp_path: Path) -> None:
    """Else there were twice as many guesses at one account."""

    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=5)) as api:
            code = await shown(api, await api.newcomer("ada"))
            told = []
            for number in range(20):
                async with from_address(api, f"203.0.113.{number}") as guesser:
                    told.append(problem(await redeem(guesser, "ada", WRONG)))
                    told.append(await guess(guesser, "ada"))
            assert (
                told == ["LINK_CODE_INVALID", "CREDENTIALS_WRONG"] * 2 + ["LINK_CODE_INVALID"] + ["RATE_LIMITED"] * 35
            )
            async with from_address(api, AWAY) as elsewhere:
                assert problem(await redeem(elsewhere, "ada", code)) == "RATE_LIMITED", "right, and not told"
            assert await guess(api.client, "ada", PASSWORD) == "in", "Ada has been at this address before"
            assert (await redeem(api.client, "ada", code)).status_code == 201

    run(case)


def test_right_codes_are_no_guesses(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=1)) as api:
            tokens = await api.newcomer("ada")
            async with from_address(api, AWAY) as phone:
                for _ in range(3):
                    assert (await redeem(phone, "ada", await shown(api, tokens))).status_code == 201
                full = await redeem(phone, "ada", await shown(api, tokens))
                assert problem(full) == "DEVICE_LIMIT"
                assert problem(await redeem(phone, "ada", WRONG)) == "LINK_CODE_INVALID", "the first wrong one"
                assert problem(await redeem(phone, "ada", WRONG)) == "RATE_LIMITED"

    run(case)


def test_codes_for_many_handles_are_limited_by_address(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_address_per_minute_max=30)) as api:
            told = [problem(await redeem(api.client, f"user{number}", WRONG)) for number in range(50)]
            assert told == ["LINK_CODE_INVALID"] * 30 + ["RATE_LIMITED"] * 20

    run(case)


def test_five_wrong_codes_void_the_right_one(api: Api, ada: Person) -> None:
    """link_code_tries_max, whatever the rates let through."""
    code = code_of(api, ada.access)
    for _ in range(5):
        assert take(api, ada, WRONG).json()["title"] == "LINK_CODE_INVALID"
    assert take(api, ada, code).json()["title"] == "LINK_CODE_INVALID"
    assert take(api, ada, code_of(api, ada.access)).status_code == 201


# --- what an answer tells ---
def test_an_unknown_handle_a_wrong_code_and_no_code_are_answered_and_asked_alike(tmp_path: Path) -> None:
    """Counted, not timed: as many questions to shards, of the same kinds. What a shard then does is tested with it."""

    async def case() -> None:
        async with an_api(tmp_path) as api:
            await shown(api, await api.newcomer("ada"))
            await api.newcomer("bob")
            answers, asked = [], []
            for handle in ("ada", "bob", "nobody"):
                api.authority.asked.clear()
                answers.append(await redeem(api.client, handle, WRONG))
                asked.append([type(operation) for _, _, operation in api.authority.asked])
            assert asked[0] == asked[1] == asked[2]
            assert answers[0].content == answers[1].content == answers[2].content
            assert len({str(sorted({**answer.headers, "date": ""}.items())) for answer in answers}) == 1

    run(case)


def test_the_shard_is_told_a_keyed_hash_and_nobody_is_told_a_code_again(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            ada, bob = await api.newcomer("ada"), await api.newcomer("bob")
            code = await shown(api, ada)
            await redeem(api.client, "bob", code)
            await redeem(api.client, "ada", code.lower().replace("-", ""))
            digests = [op.digest for _, _, op in api.authority.asked if isinstance(op, (MakeLinkCode, RedeemLinkCode))]
            assert len(digests) == 3
            assert digests[0] == digests[2] != digests[1], (
                "of the user too: one table of digests serves for nobody else"
            )
            assert all(code.replace("-", "").lower().encode() not in digest for digest in digests)
            assert await shown(api, bob) != await shown(api, bob)

    run(case)


# --- whose, when, how often: the server as shipped ---
def test_a_code_is_redeemed_once_and_gives_what_a_log_in_gives(api: Api, ada: Person) -> None:
    code = code_of(api, ada.access)
    answer = take(api, ada, code)
    assert answer.status_code == 201
    said = answer.json()
    log_in = api.good(
        "POST", "/sessions", json={"handle": ada.handle, "password": BLACKBOX_PASSWORD, "device_name": "other"}
    )
    assert said.keys() == log_in.keys()
    assert api.good("GET", "/me", said["access_token"])["handle"] == ada.handle
    body = {"refresh_token": said["refresh_token"], "nonce": nonce()}
    assert api.call("POST", "/tokens", json=body).status_code == 200
    assert take(api, ada, code).json()["title"] == "LINK_CODE_INVALID"


def test_a_lost_answer_is_had_again_with_its_nonce_and_with_no_other(api: Api, ada: Person) -> None:
    code, kept = code_of(api, ada.access), nonce()
    first, again = [take(api, ada, code, nonce=kept).json() for _ in range(2)]
    assert (first["device"], first["refresh_token"]) == (again["device"], again["refresh_token"])
    assert take(api, ada, code, nonce=nonce()).json()["title"] == "LINK_CODE_INVALID"
    assert take(api, ada, WRONG, nonce=kept).json()["title"] == "LINK_CODE_INVALID"
    assert len(api.good("GET", "/devices", ada.access)["devices"]) == 2


def test_another_users_code_is_worth_nothing(api: Api, ada: Person, mallory: Person) -> None:
    code = code_of(api, mallory.access)
    assert take(api, ada, code).json()["title"] == "LINK_CODE_INVALID"
    assert take(api, mallory, code).status_code == 201


def test_a_log_out_everywhere_ends_the_code(api: Api, ada: Person) -> None:
    code = code_of(api, ada.access)
    kept = api.call("DELETE", "/sessions?keep_current=true", ada.access).json()["access_token"]
    assert take(api, ada, code).json()["title"] == "LINK_CODE_INVALID"
    assert take(api, ada, code_of(api, kept)).status_code == 201


def test_a_stolen_token_that_is_void_gets_no_code(api: Api, ada: Person) -> None:
    assert api.call("DELETE", "/sessions", ada.access).status_code == 204
    assert api.call("POST", "/me/link-code", ada.access).json()["title"] == "TOKEN_REVOKED"
    assert api.call("POST", "/me/link-code").json()["title"] == "TOKEN_INVALID"


def test_a_code_counts_against_the_devices(api: Api, ada: Person) -> None:
    for _ in range(3):
        assert take(api, ada, code_of(api, ada.access)).status_code == 201
    assert take(api, ada, code_of(api, ada.access)).json()["title"] == "DEVICE_LIMIT"


def test_bad_codes_are_named_and_count_for_nothing(api: Api, ada: Person) -> None:
    code = code_of(api, ada.access)
    for bad in ("", "Z9Z9", "Z9Z9-Z9ZU", "Z9Z9-Z9Z9" * 40, "Z9Z9\x00Z9Z9", "٠٠٠٠-٠٠٠٠"):
        said = take(api, ada, bad).json()
        assert (said["title"], said["errors"][0]["field"]) == ("INVALID_REQUEST", "code"), bad
        assert bad == "" or bad not in str(said)
    assert take(api, ada, f" {code.lower().replace('-', ' ')} ").status_code == 201


def test_a_crash_ends_codes_and_keeps_the_devices_they_linked(tmp_path: Path) -> None:
    """kill -9 just after the answer: the device is there, its code is used, and one that was only shown is gone."""
    with serving(tmp_path / "data", settings=IMPATIENT) as iris:
        api = Api(iris.url)
        ada, bob = person(api), person(api)
        used, open_code = code_of(api, ada.access), code_of(api, bob.access)
        laptop = take(api, ada, used).json()
        iris.kill()
        iris.start()
        api = Api(iris.url)
        assert api.good("GET", "/me", laptop["access_token"])["handle"] == ada.handle
        assert take(api, ada, used).json()["title"] == "LINK_CODE_INVALID"
        assert take(api, bob, open_code).json()["title"] == "LINK_CODE_INVALID"
        assert take(api, bob, code_of(api, bob.access)).status_code == 201
        assert len(api.good("GET", "/devices", ada.access)["devices"]) == 2
