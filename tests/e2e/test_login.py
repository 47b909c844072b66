"""A log-in whose answer is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from iris_sdk import ApiClient, Client, Offline, login, register
from iris_sdk.api import Session
from tests.support.people import PASSWORD, run
from tests.support.server import Server


def test_a_lost_answer_links_one_device_not_two(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = ApiClient.login
    answers: list[Session] = []

    async def first_is_lost(
        api: ApiClient, handle: str, password: str, *, device_name: str, nonce: str | None = None
    ) -> Session:
        answers.append(await answered(api, handle, password, device_name=device_name, nonce=nonce))
        if len(answers) == 1:
            raise Offline("the answer was lost")
        return answers[-1]

    async def case() -> None:
        await register(server.url, "ada", PASSWORD)
        monkeypatch.setattr(ApiClient, "login", first_is_lost)
        await login(tmp_path / "ada", server.url, "ada", PASSWORD)
        assert [answer.device for answer in answers] == [1, 1]
        assert answers[0].refresh_token == answers[1].refresh_token
        async with Client(tmp_path / "ada") as me:
            assert [device.device for device in await me.api.devices()] == [1]

    run(case())
