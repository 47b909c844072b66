"""Log in, refresh, log out: what a client sees, and what it sees when an answer was lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_from_text, user_unit
from iris.core.requests import GetCredentials, LinkDevice, Operation, Refused
from iris.core.tokens import validate
from iris.http.credentials import read_refresh_token
from tests.support.api import NOW, PASSWORD, Api, an_api, bearer, problem, quick, run

NONCE = "0123456789abcdef"


async def refresh(api: Api, tokens: dict[str, Any], nonce: str = NONCE) -> Any:
    return await api.client.post("/v1/tokens", json={"refresh_token": tokens["refresh_token"], "nonce": nonce})


def test_a_log_in_links_a_device_and_its_token_names_it(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            user = await api.register("ada")
            first, second = await api.log_in("ada"), await api.log_in("@ADA")
            assert (first["user_id"], first["handle"], first["device"]) == (user, "ada", 1)
            assert second["device"] == 2
            assert first["expires_at"] == NOW + 3_600_000
            auth = validate(first["access_token"], api.keys.signing, NOW)
            assert not isinstance(auth, ErrorCode)
            assert (auth.user, auth.device, auth.gen) == (user_from_text(user), 1, 1)

    run(case)


def test_wrong_password_and_unknown_handle_look_alike(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            await api.register("ada")
            verified: list[bool] = []
            verify = api.passwords.verify

            async def counted(encoded: str | None, password: str) -> bool:
                verified.append(encoded is not None)
                return await verify(encoded, password)

            api.passwords.verify = counted  # type: ignore[method-assign]
            answers = [
                await api.client.post("/v1/sessions", json={"handle": h, "password": "not it", "device_name": "d"})
                for h in ("ada", "nobody")
            ]
            assert [problem(answer) for answer in answers] == ["CREDENTIALS_WRONG"] * 2
            assert answers[0].content == answers[1].content
            assert verified == [True, False]  # the unknown handle costs a hash too

    run(case)


def test_the_fifth_device_is_refused(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            await api.register("ada")
            for _ in range(4):
                await api.log_in("ada")
            body = {"handle": "ada", "password": PASSWORD, "device_name": "five"}
            assert problem(await api.client.post("/v1/sessions", json=body)) == "DEVICE_LIMIT"

    run(case)


def test_a_repeated_log_in_with_its_nonce_is_the_same_device(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            await api.register("ada")
            body = {"handle": "ada", "password": PASSWORD, "device_name": "d", "nonce": NONCE}
            first, again = [(await api.client.post("/v1/sessions", json=body)).json() for _ in range(2)]
            other = (await api.client.post("/v1/sessions", json={**body, "nonce": NONCE[::-1]})).json()
            assert (first["device"], first["refresh_token"]) == (again["device"], again["refresh_token"])
            assert other["device"] == 2

    run(case)


def test_a_password_changed_during_a_log_in_stops_it(tmp_path: Path) -> None:
    """The old password was checked, then the password is changed and all are logged out, then the device is linked."""

    async def case() -> None:
        async with an_api(tmp_path) as api:
            user = await api.register("ada")
            row = api.authority.users[user_unit(user_from_text(user))]

            def change(operation: Operation) -> None:
                if isinstance(operation, LinkDevice):
                    row.password, row.gen = "$argon2id$another", row.gen + 1

            api.authority.before_answer = change
            body = {"handle": "ada", "password": PASSWORD, "device_name": "d"}
            assert problem(await api.client.post("/v1/sessions", json=body)) == "CREDENTIALS_WRONG"
            assert row.devices == {}

            def log_out_all(operation: Operation) -> None:
                if isinstance(operation, LinkDevice):
                    row.gen += 1

            row.password = await api.passwords.hash(PASSWORD)
            api.authority.before_answer = log_out_all
            tokens = await api.log_in("ada")  # the same password: a log-in in the same moment works
            api.authority.before_answer = lambda operation: None
            assert (await api.client.get("/v1/me", headers=bearer(tokens))).status_code == 200

    run(case)


def test_refresh_rotates_and_a_repeat_gets_the_same_secret(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            first = (await refresh(api, tokens)).json()
            again = (await refresh(api, tokens)).json()
            assert first["refresh_token"] == again["refresh_token"] != tokens["refresh_token"]
            for each in (first, again):
                assert (await api.client.get("/v1/me", headers=bearer(each))).status_code == 200
            api.keys.rotate(NOW)  # signing keys; the chain of refresh secrets goes on
            assert (await refresh(api, tokens)).json()["refresh_token"] == first["refresh_token"]
            assert (await refresh(api, first)).status_code == 200

    run(case)


def test_a_refresh_token_used_again_with_another_nonce_logs_the_device_out(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            following = (await refresh(api, tokens)).json()
            assert problem(await refresh(api, tokens, "another nonce: a thief")) == "INVALID_REQUEST"  # a space
            assert problem(await refresh(api, tokens, "another-nonce:a-thief")) == "REFRESH_INVALID"
            assert problem(await refresh(api, following)) == "REFRESH_INVALID"
            assert problem(await api.client.get("/v1/me", headers=bearer(following))) == "TOKEN_REVOKED"

    run(case)


def test_refresh_tokens_that_are_none_are_refused(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            good = tokens["refresh_token"]
            _, user, device, secret = good.split(".")
            other = "0" * 26
            wrong = ["", "r1", good[:-1], good + "A", good.upper(), f"r1.{user}.0.{secret}", f"r1.{user}.9.{secret}"]
            wrong += [f"r1.{other}.{device}.{secret}", f"r2.{user}.{device}.{secret}", f"r1.{user}.{2**32}.{secret}"]
            wrong += [f"r1.{user}.0{device}.{secret}", tokens["access_token"][:256], good + "\n"]
            for text in wrong:
                answer = await refresh(api, {"refresh_token": text})
                assert problem(answer) == "REFRESH_INVALID", text
            assert (await refresh(api, tokens)).status_code == 200  # none of them harmed the device

    run(case)


def test_a_refresh_secret_has_one_spelling() -> None:
    text = "r1." + "0" * 26 + ".1." + "A" * 42
    assert read_refresh_token(text + "A") is not None
    assert read_refresh_token(text + "B") is None  # the same 32 bytes, other spare bits


def test_log_out_of_this_device_and_a_repeat_of_it(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            for _ in range(2):
                answer = await api.client.delete("/v1/sessions/current", headers=bearer(tokens))
                assert (answer.status_code, answer.content) == (204, b"")
            assert problem(await api.client.get("/v1/me", headers=bearer(tokens))) == "TOKEN_REVOKED"
            assert problem(await refresh(api, tokens)) == "REFRESH_INVALID"

    run(case)


def test_a_revoked_token_stops_and_its_device_stays(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            for _ in range(2):
                assert (await api.client.post("/v1/tokens/revoke", headers=bearer(tokens))).status_code == 204
            assert problem(await api.client.get("/v1/me", headers=bearer(tokens))) == "TOKEN_REVOKED"
            following = (await refresh(api, tokens)).json()
            assert (await api.client.get("/v1/me", headers=bearer(following))).status_code == 200

    run(case)


def test_log_out_everywhere_with_and_without_this_device(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            one, two = await api.newcomer("ada"), await api.log_in("ada")
            answer = await api.client.delete("/v1/sessions?keep_current=true", headers=bearer(one))
            assert answer.status_code == 200
            assert problem(await api.client.get("/v1/me", headers=bearer(one))) == "TOKEN_REVOKED"
            assert problem(await refresh(api, two)) == "REFRESH_INVALID"
            kept = answer.json()
            assert (await api.client.get("/v1/me", headers=bearer(kept))).status_code == 200

            assert (await api.client.delete("/v1/sessions", headers=bearer(kept))).status_code == 204
            assert problem(await api.client.delete("/v1/sessions", headers=bearer(kept))) == "TOKEN_REVOKED"
            fresh = await api.log_in("ada")  # in the same moment
            assert (await api.client.get("/v1/me", headers=bearer(fresh))).status_code == 200

    run(case)


def test_failed_log_ins_are_limited_per_handle_even_all_at_once(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=3)) as api:
            await api.register("ada")
            await api.register("bob")
            for _ in range(4):
                await api.log_in("bob")  # a right password is not counted
            wrong = {"handle": "ada", "password": "guess", "device_name": "d"}
            answers = await asyncio.gather(*(api.client.post("/v1/sessions", json=wrong) for _ in range(10)))
            names = sorted(problem(answer) for answer in answers)
            assert names == ["CREDENTIALS_WRONG"] * 3 + ["RATE_LIMITED"] * 7
            assert sum(isinstance(op, GetCredentials) for _, _, op in api.authority.asked) == 4 + 3
            right = {**wrong, "password": PASSWORD}
            assert problem(await api.client.post("/v1/sessions", json=right)) == "RATE_LIMITED"
            api.clock.now_ms += 60_000
            assert (await api.client.post("/v1/sessions", json=right)).status_code == 201

    run(case)


def test_log_ins_are_limited_per_address(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_address_per_minute_max=2)) as api:
            await api.newcomer("ada")
            body = {"handle": "ada", "password": PASSWORD, "device_name": "d"}
            answer = await api.client.post("/v1/sessions", json=body)
            assert problem(answer) == "RATE_LIMITED"
            assert answer.headers["retry-after"] == "30"
            assert api.refused == {"RATE_LIMITED": 1}

    run(case)


def test_an_overloaded_shard_is_no_wrong_password(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=1)) as api:
            await api.register("ada")
            body = {"handle": "ada", "password": PASSWORD, "device_name": "d"}
            for _ in range(3):
                api.authority.refuse_next = Refused(ErrorCode.OVERLOADED, 2_500)
                answer = await api.client.post("/v1/sessions", json=body)
                assert problem(answer) == "OVERLOADED"
                assert (answer.json()["retry_after_ms"], answer.headers["retry-after"]) == (2_500, "3")
            await api.log_in("ada")

    run(case)
