"""Standard output: a reader who pauses holds up the writer, and nothing else."""

from __future__ import annotations

import asyncio
import os

import pytest

from iris.cli.output import put


def test_the_loop_goes_on_while_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "é" * 200_000  # more than a pipe takes

    async def case() -> None:
        read, write = os.pipe()
        with os.fdopen(read, encoding="utf-8") as source, os.fdopen(write, "w", encoding="utf-8") as sink:
            monkeypatch.setattr("sys.stdout", sink)
            putting = asyncio.create_task(put(text))
            await asyncio.wait([putting], timeout=0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert not putting.done()
            assert await asyncio.to_thread(source.read, len(text)) == text
            await putting

    asyncio.run(case())


def test_a_reader_who_has_gone_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w", encoding="utf-8") as sink:
            monkeypatch.setattr("sys.stdout", sink)
            with pytest.raises(BrokenPipeError):
                await put("hello")

    asyncio.run(case())
