"""DIR/admin.sock: who may ask, what comes back, and what bad callers get."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from iris.admin_socket import CONNECTIONS_MAX, NAME, AdminError, AdminSocket, NotRunning, call


async def double(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"twice": params["n"] * 2}


async def refuse(_params: Mapping[str, Any]) -> dict[str, Any]:
    raise AdminError("the disk is full; free some space")


HANDLERS = {"double": double, "refuse": refuse}


def serving(data: Path, case: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        server = AdminSocket(data, HANDLERS)
        await server.start()
        try:
            await case()
        finally:
            await server.stop()

    asyncio.run(run())


def test_a_command_is_answered_and_the_socket_is_private(tmp_path: Path) -> None:
    async def case() -> None:
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
        assert await asyncio.to_thread(call, tmp_path, "double", {"n": 21}) == {"twice": 42}

    serving(tmp_path, case)
    assert not (tmp_path / NAME).exists()


def test_refusals_faults_and_unknown_commands_are_told(tmp_path: Path) -> None:
    async def case() -> None:
        with pytest.raises(AdminError, match="the disk is full; free some space"):
            await asyncio.to_thread(call, tmp_path, "refuse")
        with pytest.raises(AdminError, match="the server failed: KeyError"):
            await asyncio.to_thread(call, tmp_path, "double")
        with pytest.raises(AdminError, match="does not know 'nothing'"):
            await asyncio.to_thread(call, tmp_path, "nothing")
        assert await asyncio.to_thread(call, tmp_path, "double", {"n": 1}) == {"twice": 2}

    serving(tmp_path, case)


@pytest.mark.parametrize(
    "line", [b"\n", b"garbage\n", b"[]\n", b'{"params": {}}\n', b'{"command": []}\n', b"x" * (2 << 20)]
)
def test_garbage_is_answered_and_harms_nobody(tmp_path: Path, line: bytes) -> None:
    async def case() -> None:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / NAME))
        writer.write(line)
        assert json.loads(await asyncio.wait_for(reader.readline(), 10))["ok"] is False
        writer.close()
        assert await asyncio.to_thread(call, tmp_path, "double", {"n": 1}) == {"twice": 2}

    serving(tmp_path, case)


def test_callers_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    async def case() -> None:
        held = [await asyncio.open_unix_connection(str(tmp_path / NAME)) for _ in range(CONNECTIONS_MAX)]
        with pytest.raises(AdminError, match="too many"):
            await asyncio.to_thread(call, tmp_path, "double", {"n": 1})
        for _, writer in held:
            writer.close()

    serving(tmp_path, case)


def test_no_server_and_a_dead_servers_socket(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no server is running on"):
        call(tmp_path, "double")

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / NAME))
    assert (tmp_path / NAME).exists()
    with pytest.raises(NotRunning):
        call(tmp_path, "double")

    async def case() -> None:
        assert await asyncio.to_thread(call, tmp_path, "double", {"n": 2}) == {"twice": 4}

    serving(tmp_path, case)


def test_a_deep_folder_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    async def case() -> None:
        assert await asyncio.to_thread(call, deep, "double", {"n": 3}) == {"twice": 6}

    serving(deep, case)
