"""Devices, contacts, blocks and the look-up of others."""

from __future__ import annotations

from pathlib import Path

from iris.core.requests import GetProfile
from tests.support.api import NOW, an_api, bearer, problem, quick, run

NOBODY = "0" * 26


def test_devices_are_listed_and_unlinked(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            one, two = await api.newcomer("ada"), await api.log_in("ada", device="phone")
            found = (await api.client.get("/v1/devices", headers=bearer(one))).json()["devices"]
            assert found == [
                {"device": 1, "name": "test", "linked_at": NOW, "seen_at": 0, "online": False, "current": True},
                {"device": 2, "name": "phone", "linked_at": NOW, "seen_at": 0, "online": False, "current": False},
            ]
            assert (await api.client.delete("/v1/devices/2", headers=bearer(one))).status_code == 204
            assert problem(await api.client.get("/v1/me", headers=bearer(two))) == "TOKEN_REVOKED"
            assert problem(await api.client.delete("/v1/devices/2", headers=bearer(one))) == "UNKNOWN_DEVICE"
            for wrong in ("0", "-1", "x", str(2**32)):
                assert (
                    problem(await api.client.delete(f"/v1/devices/{wrong}", headers=bearer(one))) == "INVALID_REQUEST"
                )

    run(case)


def test_contacts(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            bob, auth = await api.register("bob"), bearer(tokens)
            url = f"/v1/contacts/{bob}"
            assert (await api.client.put(url, headers=auth)).status_code == 204
            assert (await api.client.put(url, json={"name": "Bobby"}, headers=auth)).status_code == 204
            found = (await api.client.get("/v1/contacts", headers=auth)).json()
            assert found == {"contacts": [{"user_id": bob, "name": "Bobby", "added_at": NOW}]}
            assert problem(await api.client.put(f"/v1/contacts/{NOBODY}", headers=auth)) == "UNKNOWN_USER"
            assert problem(await api.client.put(f"/v1/contacts/{tokens['user_id']}", headers=auth)) == "SELF"
            for handle in ("bo1", "bo2"):
                await api.client.put(f"/v1/contacts/{await api.register(handle)}", headers=auth)
            full = await api.client.put(f"/v1/contacts/{await api.register('bo3')}", headers=auth)
            assert problem(full) == "LIST_FULL"
            for _ in range(2):
                assert (await api.client.delete(url, headers=auth)).status_code == 204
            assert len((await api.client.get("/v1/contacts", headers=auth)).json()["contacts"]) == 2

    run(case)


def test_blocks(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            bob, auth = await api.register("bob"), bearer(tokens)
            for _ in range(2):
                assert (await api.client.put(f"/v1/blocks/{bob.upper()}", headers=auth)).status_code == 204
            assert (await api.client.get("/v1/blocks", headers=auth)).json() == {"users": [bob]}
            assert problem(await api.client.put(f"/v1/blocks/{tokens['user_id']}", headers=auth)) == "SELF"
            assert problem(await api.client.put("/v1/blocks/nobody", headers=auth)) == "INVALID_REQUEST"
            for _ in range(2):
                assert (await api.client.delete(f"/v1/blocks/{bob}", headers=auth)).status_code == 204
            assert (await api.client.get("/v1/blocks", headers=auth)).json() == {"users": []}

    run(case)


def test_others_are_looked_up_by_id_and_by_handle(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            auth = bearer(await api.newcomer("ada"))
            bob = await api.register("bob")
            profile = {"user_id": bob, "handle": "bob", "name": ""}
            for path in (f"/v1/users/{bob}", "/v1/handles/bob", "/v1/handles/@Bob"):
                assert (await api.client.get(path, headers=auth)).json() == profile
            for path in (f"/v1/users/{NOBODY}", "/v1/handles/nobody"):
                assert problem(await api.client.get(path, headers=auth)) == "UNKNOWN_USER"
            for path in ("/v1/users/x", "/v1/handles/x", "/v1/handles/a%20b", "/v1/handles/%00%00%00"):
                assert problem(await api.client.get(path, headers=auth)) == "INVALID_REQUEST"

    run(case)


def test_a_revoked_token_learns_nothing_of_others(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            bob = await api.register("bob")
            await api.client.delete("/v1/sessions", headers=bearer(tokens))
            api.authority.asked.clear()
            for method, path in (
                ("GET", f"/v1/users/{bob}"),
                ("GET", "/v1/handles/bob"),
                ("PUT", f"/v1/contacts/{bob}"),
            ):
                answer = await api.client.request(method, path, headers=bearer(tokens))
                assert problem(answer) == "TOKEN_REVOKED"
            assert not any(isinstance(operation, GetProfile) for _, _, operation in api.authority.asked)

    run(case)


def test_look_ups_of_handles_are_limited_per_user(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, limits=quick(lookups_per_user_per_minute_max=2)) as api:
            ada, bob = bearer(await api.newcomer("ada")), bearer(await api.newcomer("bob"))
            for _ in range(2):
                assert (await api.client.get("/v1/handles/bob", headers=ada)).status_code == 200
            assert problem(await api.client.get("/v1/handles/bob", headers=ada)) == "RATE_LIMITED"
            assert (await api.client.get("/v1/handles/ada", headers=bob)).status_code == 200

    run(case)
