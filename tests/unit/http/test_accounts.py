"""Accounts: register, read, change, password, delete."""

from __future__ import annotations

from pathlib import Path

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_from_text, user_unit
from iris.core.requests import CreateUser, Refused
from iris.http import ApiSettings
from tests.support.api import NOW, PASSWORD, an_api, bearer, problem, quick, run


def test_register_gives_a_user_of_the_home_region(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, settings=ApiSettings(home_region=258)) as api:
            body = {"handle": "@Ada.L", "password": PASSWORD, "name": "  Ada Lovelace "}
            answer = await api.client.post("/v1/users", json=body)
            assert answer.status_code == 201
            found = answer.json()
            assert (found["handle"], found["name"]) == ("ada.l", "Ada Lovelace")
            user = user_from_text(found["user_id"])
            assert user[:2] == b"\x01\x02"
            stored = api.authority.users[user_unit(user)].password
            assert stored.startswith("$argon2id$")
            assert PASSWORD not in stored

    run(case)


def test_a_repeated_registration_gives_the_same_account(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            body = {"handle": "ada", "password": PASSWORD, "name": "Ada"}
            first, again = [await api.client.post("/v1/users", json=body) for _ in range(2)]
            assert first.json() == again.json()
            assert again.status_code == 201
            assert len(api.authority.users) == 1
            taken = await api.client.post("/v1/users", json={**body, "password": "somebody else"})
            assert problem(taken) == "HANDLE_TAKEN"

    run(case)


def test_registering_is_no_way_around_the_limit_of_wrong_passwords(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=2)) as api:
            await api.register("ada")
            for password in ("guess 001", "guess 002", PASSWORD):
                body = {"handle": "ada", "password": password}
                assert problem(await api.client.post("/v1/users", json=body)) == "HANDLE_TAKEN"

    run(case)


def test_closed_registration(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, settings=ApiSettings(registration="closed")) as api:
            body = {"handle": "ada", "password": PASSWORD}
            assert problem(await api.client.post("/v1/users", json=body)) == "REGISTRATION_CLOSED"
            assert api.authority.asked == []
            assert (await api.client.get("/v1/info")).json()["registration"] == "closed"

    run(case)


def test_an_invite_is_used_up_and_a_lost_answer_may_be_asked_for_again(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, settings=ApiSettings(registration="invite")) as api:
            api.authority.invite("welcome-1", 1)
            body = {"handle": "ada", "password": PASSWORD, "invite": "welcome-1"}
            for invite in ("", "unknown-1", "Bad Code"):
                answer = await api.client.post("/v1/users", json={**body, "invite": invite})
                assert problem(answer) == "INVITE_INVALID"
            first, again = [await api.client.post("/v1/users", json=body) for _ in range(2)]
            assert first.status_code == again.status_code == 201
            assert first.json() == again.json()
            other = await api.client.post("/v1/users", json={**body, "handle": "bob"})
            assert problem(other) == "INVITE_INVALID"

    run(case)


def test_open_registration_passes_no_invite_on(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            body = {"handle": "ada", "password": PASSWORD, "invite": "whatever"}
            assert (await api.client.post("/v1/users", json=body)).status_code == 201
            (made,) = [op for _, _, op in api.authority.asked if isinstance(op, CreateUser)]
            assert made.invite == ""

    run(case)


def test_the_account_is_read_and_changed(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            await api.register("bob")
            me = (await api.client.get("/v1/me", headers=bearer(tokens))).json()
            assert me == {
                "user_id": tokens["user_id"],
                "handle": "ada",
                "name": "",
                "privacy": {"presence": "everyone", "messages": "everyone", "read_receipts": True},
                "created_at": NOW,
            }
            change = {"name": "Ada", "privacy": {"presence": "nobody", "messages": "contacts", "read_receipts": False}}
            changed = (await api.client.patch("/v1/me", json=change, headers=bearer(tokens))).json()
            assert changed == {**me, **change}
            changed = (await api.client.patch("/v1/me", json={"handle": "countess"}, headers=bearer(tokens))).json()
            assert changed == {**me, **change, "handle": "countess"}
            taken = await api.client.patch("/v1/me", json={"handle": "bob"}, headers=bearer(tokens))
            assert problem(taken) == "HANDLE_TAKEN"
            assert (await api.log_in("countess"))["user_id"] == tokens["user_id"]

    run(case)


def test_a_new_password_logs_the_other_devices_out(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            one, two = await api.newcomer("ada"), await api.log_in("ada")
            body = {"old_password": PASSWORD, "new_password": "another password"}
            wrong = {**body, "old_password": "not it"}
            assert problem(await api.client.post("/v1/me/password", json=wrong, headers=bearer(one))) == (
                "CREDENTIALS_WRONG"
            )
            answer = await api.client.post("/v1/me/password", json=body, headers=bearer(one))
            assert answer.status_code == 200
            assert problem(await api.client.get("/v1/me", headers=bearer(two))) == "TOKEN_REVOKED"
            assert problem(await api.client.get("/v1/me", headers=bearer(one))) == "TOKEN_REVOKED"
            assert (await api.client.get("/v1/me", headers=bearer(answer.json()))).status_code == 200

            # The answer was lost: refresh, then the same again.
            refresh = {"refresh_token": one["refresh_token"], "nonce": "0123456789abcdef"}
            fresh = (await api.client.post("/v1/tokens", json=refresh)).json()
            again = await api.client.post("/v1/me/password", json=body, headers=bearer(fresh))
            assert again.status_code == 200
            assert (await api.client.get("/v1/me", headers=bearer(again.json()))).status_code == 200
            await api.log_in("ada", "another password")

    run(case)


def test_an_account_is_deleted_with_its_password_only(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=2)) as api:
            tokens = await api.newcomer("ada")

            async def delete(password: str) -> object:
                return await api.client.request("DELETE", "/v1/me", json={"password": password}, headers=bearer(tokens))

            assert problem(await delete("guess")) == "CREDENTIALS_WRONG"  # type: ignore[arg-type]
            answer = await delete(PASSWORD)
            assert answer.status_code == 204  # type: ignore[attr-defined]
            assert problem(await api.client.get("/v1/me", headers=bearer(tokens))) == "TOKEN_REVOKED"
            assert problem(await delete(PASSWORD)) == "TOKEN_REVOKED"  # type: ignore[arg-type]
            await api.register("ada")  # the handle is free again

    run(case)


def test_guessing_ones_own_password_is_limited_too(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(logins_per_handle_per_minute_max=2)) as api:
            tokens = await api.newcomer("ada")
            names = []
            for _ in range(3):
                body = {"old_password": "guess", "new_password": "long enough"}
                names.append(problem(await api.client.post("/v1/me/password", json=body, headers=bearer(tokens))))
            assert names == ["CREDENTIALS_WRONG", "CREDENTIALS_WRONG", "RATE_LIMITED"]

    run(case)


def test_an_overloaded_shard_leaves_the_account_as_it_was(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            api.authority.refuse_next = Refused(ErrorCode.OVERLOADED)
            answer = await api.client.post("/v1/users", json={"handle": "ada", "password": PASSWORD})
            assert problem(answer) == "OVERLOADED"
            await api.register("ada")

    run(case)
