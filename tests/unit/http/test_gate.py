"""Bad requests: each gets its problem document, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from iris.core.catalogue import ERRORS, ErrorCode, Limits
from iris.core.requests import Auth, Done, GetAccount, LookUpName, Operation, Refused, Result
from iris.http.problems import documented
from tests.support.api import PASSWORD, an_api, bearer, problem, quick, run
from tests.support.fake_authority import FakeAuthority

USER = {"handle": "ada", "password": PASSWORD}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["handle", "password"]),
        ({**USER, "handle": "a"}, ["handle"]),
        ({**USER, "handle": "1ada"}, ["handle"]),
        ({**USER, "handle": "a" * 33}, ["handle"]),
        ({**USER, "handle": ["ada"]}, ["handle"]),
        ({**USER, "password": "short"}, ["password"]),
        ({**USER, "password": "x" * 257}, ["password"]),
        ({**USER, "password": 12345678}, ["password"]),
        ({**USER, "name": "x" * 65}, ["name"]),
        ({**USER, "name": "a\nb"}, ["name"]),
        ({**USER, "name": "a\u202eb"}, ["name"]),
        ({**USER, "admin": True}, ["admin"]),
        ([USER], ["body"]),
        (None, ["body"]),
    ],
)
def test_wrong_fields_are_named_and_not_echoed(tmp_path: Path, body: object, fields: list[str]) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            answer = await api.client.post("/v1/users", json=body)
            assert problem(answer) == "INVALID_REQUEST"
            assert [error["field"] for error in answer.json()["errors"]] == fields
            assert "x" * 65 not in answer.text
            assert PASSWORD not in answer.text
            assert api.authority.asked == []

    run(case)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"handle":"ada","password":"\\ud800aaaaaaaaa"}',
        b'{"\\ud800":1}',
        json.dumps({**USER, **{f"extra{n}": n for n in range(1000)}}).encode(),
        b'{"handle":"ada","password":' + b"9" * 5000 + b"}",
        b'{"handle":"ada","password":NaN}',
    ],
)
def test_bodies_that_are_not_what_they_should_be(tmp_path: Path, content: bytes) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            headers = {"content-type": "application/json"}
            answer = await api.client.post("/v1/users", content=content, headers=headers)
            assert problem(answer) == "INVALID_REQUEST"
            assert len(answer.content) < 6_000
            plain = await api.client.post("/v1/users", content=json.dumps(USER), headers={"content-type": "text/plain"})
            assert problem(plain) == "INVALID_REQUEST"

    run(case)


def test_unknown_paths_and_methods(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            for path in ("/", "/v1", "/v1/me/", "/docs", "/redoc", "/v2/me", "/v1/connect", "/v1/handles/a/b", "/%00"):
                assert problem(await api.client.get(path)) == "NOT_FOUND", path
            answer = await api.client.put("/v1/me")
            assert problem(answer) == "METHOD_NOT_ALLOWED"
            assert answer.headers["allow"] == "DELETE, GET, PATCH"
            answer = await api.client.post("/v1/openapi.json")
            assert problem(answer) == "METHOD_NOT_ALLOWED"
            assert answer.headers["allow"] == "GET"
            assert api.refused == {"NOT_FOUND": 9, "METHOD_NOT_ALLOWED": 2}

    run(case)


def test_a_body_over_the_limit_announced_or_not(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            limit = Limits().http_body_bytes_max
            fits = json.dumps({**USER, "x": ""}).encode()
            fits = fits[:-2] + b"y" * (limit - len(fits)) + fits[-2:]
            headers = {"content-type": "application/json"}
            assert problem(await api.client.post("/v1/users", content=fits, headers=headers)) == "INVALID_REQUEST"
            over = await api.client.post("/v1/users", content=fits + b" ", headers=headers)
            assert problem(over) == "REQUEST_TOO_LARGE"
            assert over.headers["connection"] == "close"

            async def pieces() -> Any:
                for _ in range(17):
                    yield b" " * (limit // 16)

            assert problem(await api.client.post("/v1/users", content=pieces(), headers=headers)) == "REQUEST_TOO_LARGE"

    run(case)


def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    async def case() -> None:
        for base_url in ("http://test", "https://test"):
            async with an_api(tmp_path, base_url=base_url) as api:
                for path in ("/v1/info", "/nowhere"):
                    answer = await api.client.get(path)
                    assert answer.headers["cache-control"] == "no-store"
                    assert answer.headers["x-content-type-options"] == "nosniff"
                    assert "date" in answer.headers
                    assert ("strict-transport-security" in answer.headers) is base_url.startswith("https")

    run(case)


class Stuck:
    """Answers LookUpName only when told to."""

    def __init__(self, authority: FakeAuthority) -> None:
        self.authority = authority
        self.go = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)

    async def ask(self, unit: bytes, auth: Auth | None, operation: Operation) -> Result:
        if isinstance(operation, LookUpName):
            self.waiting.release()
            await self.go.wait()
        return await self.authority.ask(unit, auth, operation)


def test_requests_in_flight_are_limited_and_the_place_is_free_again(tmp_path: Path) -> None:
    async def case() -> None:
        stuck: list[Stuck] = []

        def wrap(authority: FakeAuthority) -> Stuck:
            stuck.append(Stuck(authority))
            return stuck[0]

        async with an_api(tmp_path, wrap=wrap, limits=quick(http_requests_max=2)) as api:
            log_in = {**USER, "device_name": "d"}
            tasks = [asyncio.create_task(api.client.post("/v1/sessions", json=log_in)) for _ in range(2)]
            for _ in tasks:
                await stuck[0].waiting.acquire()
            assert problem(await api.client.get("/v1/info")) == "OVERLOADED"
            stuck[0].go.set()
            assert [problem(answer) for answer in await asyncio.gather(*tasks)] == ["CREDENTIALS_WRONG"] * 2
            assert (await api.client.get("/v1/info")).status_code == 200

    run(case)


def test_a_request_whose_shard_does_not_answer_ends(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path, wrap=Stuck, limits=quick(http_request_timeout_ms=50)) as api:
            answer = await api.client.post("/v1/sessions", json={**USER, "device_name": "d"})
            assert problem(answer) == "OVERLOADED"

    run(case)


class Broken:
    """A shard that makes mistakes: `answer` is raised or given."""

    def __init__(self, answer: Result | Exception) -> None:
        self.answer = answer

    async def ask(self, unit: bytes, auth: Auth | None, operation: Operation) -> Result:
        if isinstance(operation, GetAccount):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer
        return Done()


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("secret words"), TimeoutError("secret words"), Done(), Refused(1003), Refused(9999)],
    ids=["error", "time-out", "another record", "no HTTP error", "unknown error"],
)
def test_a_mistake_of_ours_is_internal_and_tells_nothing(
    tmp_path: Path, answer: Result | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def case() -> None:
        async with an_api(tmp_path, wrap=lambda _: Broken(answer)) as api:
            token = api.app.state.service.access(b"\0" * 16, 1, 1).model_dump()
            found = await api.client.get("/v1/me", headers=bearer(token))
            assert problem(found) == "INTERNAL"
            assert "secret" not in found.text
            assert api.refused == {"INTERNAL": 1}
            (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
            assert "/v1/me" in record.getMessage()
            assert token["access_token"] not in caplog.text
            assert (await api.client.get("/v1/info")).status_code == 200

    run(case)


def test_every_route_documents_its_refusals(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            schema = (await api.client.get("/v1/openapi.json")).json()
            assert "HTTPValidationError" not in schema["components"]["schemas"]
            references = set()

            def collect(node: object) -> None:
                if isinstance(node, dict):
                    references.update({node["$ref"]} if isinstance(node.get("$ref"), str) else set())
                    for value in node.values():
                        collect(value)
                elif isinstance(node, list):
                    for value in node:
                        collect(value)

            collect(schema["paths"])
            names = {reference.removeprefix("#/components/schemas/") for reference in references}
            assert names <= schema["components"]["schemas"].keys()
            paths = {(m.upper(), path) for path, methods in schema["paths"].items() for m in methods}
            assert len(paths) == 23
            open_to_all = {("POST", "/v1/users"), ("POST", "/v1/sessions"), ("POST", "/v1/tokens"), ("GET", "/v1/info")}
            open_to_all.add(("POST", "/v1/sessions/link-code"))
            for method, path in paths:
                operation = schema["paths"][path][method.lower()]
                assert {"422", "413", "500", "503"} <= operation["responses"].keys()
                assert ("security" in operation) is ((method, path) not in open_to_all)
                for status, response in operation["responses"].items():
                    if status >= "400":
                        assert list(response["content"]) == ["application/problem+json"]

    run(case)


def test_every_http_error_of_the_catalogue_has_an_example() -> None:
    for code, info in ERRORS.items():
        if info.http is not None:
            example = documented(code)[info.http]["content"]["application/problem+json"]["examples"][info.name]["value"]
            assert example["code"] == code
    with pytest.raises(AssertionError):
        documented(ErrorCode.NOT_ALLOWED)


def test_a_client_that_goes_away_in_its_body_leaves_nothing(tmp_path: Path) -> None:
    async def case() -> None:
        async with an_api(tmp_path) as api:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": "/v1/users", "headers": [], "query_string": b""}
            await api.app(scope, receive, send)
            assert sent == []
            assert isinstance(await api.client.get("/v1/info"), httpx.Response)

    run(case)
