"""`iris send`: the lines scripts read, the exit codes, and reading standard input."""

from __future__ import annotations

import asyncio
import io
import json
import os

import pytest

import iris_sdk as sdk
from iris.cli.send import LINES_MAX, _Sending, lines, render

ID = "ab" * 16


def status(state: str, code: str = "") -> sdk.Status:
    return sdk.Status(message_id=ID, state=state, seq=7 if state != "queued" else 0, at=99, code=code, n=1)


@pytest.mark.parametrize(
    ("state", "wait", "line", "code"),
    [
        ("accepted", "accepted", {"message_id": ID, "state": "accepted", "seq": 7, "at": 99}, 0),
        ("read", "accepted", {"message_id": ID, "state": "accepted", "seq": 7, "at": 99}, 0),
        ("delivered", "delivered", {"message_id": ID, "state": "delivered", "seq": 7, "at": 99}, 0),
        ("read", "delivered", {"message_id": ID, "state": "read", "seq": 7, "at": 99}, 0),
        ("accepted", "delivered", {"message_id": ID, "state": "accepted", "seq": 7, "at": 99}, 75),
        ("delivered", "read", {"message_id": ID, "state": "delivered", "seq": 7, "at": 99}, 75),
        ("queued", "accepted", {"state": "queued"}, 75),
        ("queued", "read", {"state": "queued"}, 75),
        ("expired", "delivered", {"message_id": ID, "state": "expired", "seq": 7, "at": 99}, 1),
    ],
)
def test_the_line_and_exit_code_of_each_state(state: str, wait: str, line: dict[str, object], code: int) -> None:
    text, got = render(status(state), wait)
    assert (json.loads(text), got) == (line, code)


def test_refusals() -> None:
    assert render(status("refused", "NOT_ALLOWED"), "accepted") == ('{"state": "rejected", "code": "NOT_ALLOWED"}', 1)
    assert render(None, "accepted", "UNKNOWN_USER") == ('{"state": "rejected", "code": "UNKNOWN_USER"}', 1)


def collect(data: bytes) -> list[str]:
    async def case() -> list[str]:
        return [text async for batch in lines(io.BytesIO(data)) for text in batch]

    return asyncio.run(case())


def test_lines_of_standard_input() -> None:
    assert collect(b"one\ntwo\r\n\nfour \xff\nlast") == ["one", "two", "", "four �", "last"]
    assert collect(b"") == []
    many = [str(number) for number in range(LINES_MAX * 3)]
    assert collect("\n".join(many).encode()) == many


def test_a_line_goes_on_before_the_next_is_written() -> None:
    async def case() -> None:
        read, write = os.pipe()
        with os.fdopen(read, "rb") as source, os.fdopen(write, "wb", buffering=0) as sink:
            batches = lines(source)
            sink.write(b"first\n")
            assert await asyncio.wait_for(anext(batches), 10) == ["first"]
            sink.write(b"second\n")
            assert await asyncio.wait_for(anext(batches), 10) == ["second"]
            sink.close()
            assert [batch async for batch in batches] == []

    asyncio.run(case())


class FakeClient:
    """Answers by text: what it says becomes of a message, and what send_many refuses."""

    closed_reason = ""
    error: Exception | None = None

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def send_many(self, to: str, texts: list[str]) -> list[sdk.Sent]:
        if to == "nobody":
            raise sdk.UnknownUser("UNKNOWN_USER")
        if "long" in texts:
            raise sdk.PayloadTooLarge("too long")
        if "full" in texts:
            raise sdk.OutboxFull("full")
        self.texts += texts
        return [sdk.Sent(f"{len(self.texts) - len(texts) + index:032x}", 0) for index in range(len(texts))]

    async def wait(self, message_id: str, state: str, **_: float) -> sdk.Status:
        known = self.status(message_id)
        if known.state == "refused":
            raise sdk.MessageRefused(known)
        if known.state == "queued":
            raise TimeoutError
        return known

    def status(self, message_id: str) -> sdk.Status:
        text = self.texts[int(message_id, 16)]
        state = {"blocked": "refused", "stuck": "queued"}.get(text, "accepted")
        code = "NOT_ALLOWED" if state == "refused" else ""
        return sdk.Status(message_id, state, int(message_id, 16) + 1, 5, code, 0)


def sent(texts: list[str], capsys: pytest.CaptureFixture[str], to: str = "bob") -> tuple[list[tuple[str, str]], int]:
    """((state, code or seq) of each line, exit code)."""

    async def case() -> int:
        source = io.BytesIO("\n".join(texts).encode())
        return await _Sending(FakeClient(), to, "accepted", 5).run(lines(source))  # type: ignore[arg-type]

    code = asyncio.run(case())
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["state"], str(line.get("code", line.get("seq", "")))) for line in told], code


def test_a_line_for_each_message_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert sent(["a", "b"], capsys) == ([("accepted", "1"), ("accepted", "2")], 0)
    assert sent(["a", "blocked", "b"], capsys) == (
        [("accepted", "1"), ("rejected", "NOT_ALLOWED"), ("accepted", "3")],
        1,
    )
    assert sent(["stuck", "blocked", "a"], capsys) == (
        [("queued", ""), ("rejected", "NOT_ALLOWED"), ("accepted", "3")],
        75,
    )


def test_a_device_that_was_logged_out_is_told_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeClient, "closed_reason", "TOKEN_REVOKED")
    client = FakeClient()
    code = asyncio.run(_Sending(client, "bob", "accepted", 5).run(lines(io.BytesIO(b"stuck"))))  # type: ignore[arg-type]
    told = capsys.readouterr()
    assert (json.loads(told.out), code) == ({"state": "queued"}, 75)
    assert "TOKEN_REVOKED" in told.err
    assert "iris login" in told.err


def test_one_bad_line_does_not_take_the_others_along(capsys: pytest.CaptureFixture[str]) -> None:
    assert sent(["a", "long", "b", "full", "c"], capsys) == (
        [
            ("accepted", "1"),
            ("rejected", "PAYLOAD_TOO_LARGE"),
            ("accepted", "2"),
            ("rejected", "OUTBOX_FULL"),
            ("accepted", "3"),
        ],
        1,
    )
    assert sent(["a", "b"], capsys, to="nobody") == ([("rejected", "UNKNOWN_USER")] * 2, 1)
