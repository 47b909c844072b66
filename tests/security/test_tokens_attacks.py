"""What somebody with tokens of all kinds tries against the API: none of it reaches a shard, or the shard refuses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_from_text, user_text, user_unit
from iris.core.requests import Auth
from iris.core.tokens import issue, validate
from iris.http import KeyRing
from tests.support.api import NOW, Api, an_api, bearer, problem, run
from tests.vectors import make_tokens


def vector_ring(folder: Path) -> None:
    """A key file that holds the keys of the shared vectors."""
    KeyRing.open(folder, NOW)
    path = folder / "keys.json"
    content = json.loads(path.read_text())
    content["signing"] = [
        {"kid": kid, "key": make_tokens.b64(key) + "=", "created_at": 1, "retired_at": 0 if kid == "k1" else 2}
        for kid, key in make_tokens.KEYS.items()
    ]
    path.write_text(json.dumps(content))


def test_every_bad_token_of_the_vectors_is_refused_before_a_shard_is_asked(tmp_path: Path) -> None:
    async def case() -> None:
        vector_ring(tmp_path)
        async with an_api(tmp_path) as api:
            api.clock.now_ms = make_tokens.NOW_MS
            tried = 0
            for row in make_tokens.cases():
                text = row["token"]
                if isinstance(row["expect"], dict) or not text or not text.isprintable() or not text.isascii():
                    continue  # it stands, or HTTP cannot carry it
                if text != text.strip():
                    continue  # HTTP strips it: then it stands
                headers = {"Authorization": f"Bearer {text}"}
                assert problem(await api.client.get("/v1/me", headers=headers)) == row["expect"], row["name"]
                tried += 1
            assert tried > 100
            assert api.authority.asked == []

    run(case)


def test_the_header_itself(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            token = (await api.newcomer("ada"))["access_token"]
            api.authority.asked.clear()
            wrong: list[dict[str, str]] = [{}]
            wrong += [{"Authorization": text} for text in ("", "Bearer", "Bearer ", f"Basic {token}", token)]
            wrong += [{"Authorization": f"Bearer {token} {token}"}, {"X-Authorization": f"Bearer {token}"}]
            wrong += [{"Cookie": f"access_token={token}"}]
            for headers in wrong:
                assert problem(await api.client.get("/v1/me", headers=headers)) == "TOKEN_INVALID", headers
            for path in (f"/v1/me?access_token={token}", f"/v1/me?token={token}"):
                assert problem(await api.client.get(path)) == "TOKEN_INVALID"
            assert api.authority.asked == []

    run(case)


def test_a_token_of_another_server_is_refused(tmp_path: Path) -> None:
    async def case() -> None:
        (tmp_path / "other").mkdir()
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            stranger = KeyRing.open(tmp_path / "other", NOW)
            for kid in (stranger.current.kid, api.keys.current.kid):
                token, _ = issue(
                    kid=kid,
                    key=stranger.current.key,
                    user=user_from_text(tokens["user_id"]),
                    device=1,
                    gen=1,
                    jti="x",
                    now_ms=NOW,
                    lifetime_ms=60_000,
                )
                answer = await api.client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
                assert problem(answer) == "TOKEN_INVALID"

    run(case)


def signed(api: Api, user: str, device: int, gen: int) -> dict[str, str]:
    """A token that is genuinely signed, with claims that may be out of date."""
    access = api.app.state.service.access(user_from_text(user), device, gen)
    return {"Authorization": f"Bearer {access.access_token}"}


@pytest.mark.parametrize(("device", "gen"), [(1, 0), (1, 2), (2, 1), (2**32 - 1, 1)])
def test_a_token_whose_device_or_gen_does_not_stand_is_revoked_everywhere(
    tmp_path: Path, device: int, gen: int
) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            ada = (await api.newcomer("ada"))["user_id"]
            bob = await api.register("bob")
            auth = signed(api, ada, device, gen)
            before = repr(api.authority.users)
            for method, path, body in (
                ("GET", "/v1/me", None),
                ("PATCH", "/v1/me", {"name": "mallory"}),
                ("DELETE", "/v1/me", {"password": "correct horse battery"}),
                ("POST", "/v1/me/password", {"old_password": "correct horse battery", "new_password": "mallory's own"}),
                ("GET", "/v1/devices", None),
                ("DELETE", "/v1/devices/1", None),
                ("DELETE", "/v1/sessions", None),
                ("GET", "/v1/contacts", None),
                ("PUT", f"/v1/contacts/{bob}", None),
                ("DELETE", f"/v1/contacts/{bob}", None),
                ("GET", "/v1/blocks", None),
                ("PUT", f"/v1/blocks/{bob}", None),
                ("DELETE", f"/v1/blocks/{bob}", None),
                ("GET", f"/v1/users/{bob}", None),
                ("GET", "/v1/handles/bob", None),
            ):
                answer = await api.client.request(method, path, json=body, headers=auth)
                assert problem(answer) == "TOKEN_REVOKED", (method, path)
            for method, path in (("POST", "/v1/tokens/revoke"), ("DELETE", "/v1/sessions/current")):
                assert (await api.client.request(method, path, headers=auth)).status_code == 204  # already so
            assert repr(api.authority.users) == before

    run(case)


def test_a_token_of_a_user_who_is_not_there(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            auth = signed(api, user_text(b"\1" * 16), 1, 1)
            assert problem(await api.client.get("/v1/me", headers=auth)) == "TOKEN_REVOKED"

    run(case)


def test_an_expired_token_is_told_apart_and_refresh_tokens_are_no_access_tokens(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            tokens = await api.newcomer("ada")
            text = tokens["refresh_token"]
            answer = await api.client.get("/v1/me", headers={"Authorization": f"Bearer {text}"})
            assert problem(answer) == "TOKEN_INVALID"
            api.clock.now_ms = tokens["expires_at"] + 59_999
            assert (await api.client.get("/v1/me", headers=bearer(tokens))).status_code == 200
            api.clock.now_ms += 1
            assert problem(await api.client.get("/v1/me", headers=bearer(tokens))) == "TOKEN_EXPIRED"
            api.clock.now_ms = NOW - 60_001
            assert problem(await api.client.get("/v1/me", headers=bearer(tokens))) == "TOKEN_INVALID"

    run(case)


def test_tokens_are_never_the_same_twice(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            user = user_from_text(await api.register("ada"))
            service = api.app.state.service
            found = [validate(service.access(user, 1, 1).access_token, api.keys.signing, NOW) for _ in range(50)]
            assert len({auth.jti for auth in found if isinstance(auth, Auth)}) == 50
            assert user_unit(user) in api.authority.users

    run(case)


def test_the_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr("iris.core.tokens.hmac.compare_digest", compare)
    token = make_tokens.of()
    assert isinstance(validate(token, make_tokens.KEYS, make_tokens.NOW_MS), Auth)
    forged = token[:-2] + "AA"
    assert validate(forged, make_tokens.KEYS, make_tokens.NOW_MS) is ErrorCode.TOKEN_INVALID
    assert compared == [token.rpartition(".")[2]] * 2
