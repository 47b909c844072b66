"""An API over a FakeAuthority, with a clock that tests set, and a client that speaks to it in process."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from iris.core.catalogue import Limits
from iris.http import ApiSettings, Argon2Profile, KeyRing, Passwords, create_api
from iris.http.web import WebFile
from tests.support.fake_authority import FakeAuthority

NOW = 1_760_000_000_000
PASSWORD = "correct horse battery"


@dataclass
class Clock:
    now_ms: int = NOW

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Api:
    app: FastAPI
    client: httpx.AsyncClient
    authority: FakeAuthority
    keys: KeyRing
    clock: Clock
    passwords: Passwords
    refused: Counter[str] = field(default_factory=Counter)

    async def register(self, handle: str, password: str = PASSWORD) -> str:
        answer = await self.client.post("/v1/users", json={"handle": handle, "password": password})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["user_id"])

    async def log_in(self, handle: str, password: str = PASSWORD, device: str = "test") -> dict[str, Any]:
        body = {"handle": handle, "password": password, "device_name": device}
        answer = await self.client.post("/v1/sessions", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def newcomer(self, handle: str) -> dict[str, Any]:
        await self.register(handle)
        return await self.log_in(handle)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def problem(answer: httpx.Response) -> str:
    """The catalogue name of a refusal, after checking the form every refusal has."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:iris:error:{body['title']}"
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) * 1000 >= body["retry_after_ms"] > 0
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    return str(body["title"])


def quick(**changes: int) -> Limits:
    """The default limits, except `changes` and log-ins, which tests make many of."""
    return replace(Limits(), **{"logins_per_address_per_minute_max": 10_000, **changes})


@contextlib.asynccontextmanager
async def an_api(
    folder: Path,
    *,
    settings: ApiSettings | None = None,
    limits: Limits | None = None,
    profile: Argon2Profile = Argon2Profile.CHEAP,
    wrap: Callable[[FakeAuthority], Any] = lambda authority: authority,
    client: tuple[str, int] = ("192.0.2.1", 4711),
    base_url: str = "http://test",
    web: Mapping[str, WebFile] | None = None,
) -> AsyncIterator[Api]:
    clock = Clock()
    authority = FakeAuthority(clock)
    limits = limits or quick()
    keys = KeyRing.open(folder, clock.now_ms)
    passwords = Passwords(profile, limits.password_hashes_max, limits.password_hashes_waiting_max)
    refused: Counter[str] = Counter()
    app = create_api(
        authority=wrap(authority),
        keys=keys,
        passwords=passwords,
        settings=settings or ApiSettings(version="0.1.0"),
        limits=limits,
        clock=clock,
        on_refused=lambda name: refused.update([name]),
        web=web,
    )
    transport = httpx.ASGITransport(app, client=client)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as http:
            yield Api(app, http, authority, keys, clock, passwords, refused)
    finally:
        passwords.close()


def run(case: Callable[[], Awaitable[None]]) -> None:
    """Run one async test case, for at most 30 s."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await case()

    asyncio.run(bounded())
