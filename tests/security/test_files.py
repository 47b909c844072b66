"""Files, sockets and folders that Iris makes: nobody but their owner may read or open them, whatever the umask."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from iris.admin_socket import call
from iris.http.keys import KeyFileError, KeyRing
from iris_sdk import Client
from tests.e2e.conftest import QUICK
from tests.support.people import join, live, run
from tests.support.server import Server

OTHERS = 0o077


def open_to_others(folder: Path) -> list[str]:
    """What others may touch: name and mode of everything below a folder, and of the folder."""
    found = []
    for path in [folder, *folder.rglob("*")]:
        mode = path.lstat().st_mode
        # What lies in a folder of 0700 cannot be reached, whatever its own mode.
        hidden = any(parent.stat().st_mode & OTHERS == 0 for parent in path.parents if parent.is_relative_to(folder))
        if mode & OTHERS and not hidden and not stat.S_ISLNK(mode):
            found.append(f"{path.relative_to(folder)} {mode & 0o777:04o}")
    return found


def start_with_umask(server: Server, mask: int) -> None:
    before = os.umask(mask)
    try:
        server.start()
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_the_data_folder_that_iris_makes_is_its_owners(tmp_path: Path, mask: int) -> None:
    server = Server(tmp_path / "data", settings=QUICK)
    try:
        start_with_umask(server, mask)
        assert stat.S_IMODE((server.data).stat().st_mode) == 0o700
        assert open_to_others(server.data) == []
        for name in ("keys.json", "admin.sock", "api.sock"):
            assert stat.S_IMODE((server.data / name).lstat().st_mode) == 0o600, name
    finally:
        server.close()


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_in_a_folder_that_others_may_read_all_that_matters_is_still_private(tmp_path: Path, mask: int) -> None:
    """As when somebody made it with mkdir, or a container gave it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    server = Server(data, settings=QUICK)
    try:
        start_with_umask(server, mask)
        assert open_to_others(data) == [". 0755"]
        assert server.stop() == 0
        assert open_to_others(data) == [". 0755"]
    finally:
        server.close()


def test_a_clients_profile_is_its_owners(tmp_path: Path) -> None:
    """It holds tokens and everything that was said."""
    server = Server(tmp_path / "data", settings=QUICK)

    async def case() -> None:
        before = os.umask(0)
        try:
            (profile,) = await join(server, tmp_path, "ada")
            async with Client(profile) as client:
                await live(client)
                assert open_to_others(profile) == []
        finally:
            os.umask(before)
        assert open_to_others(profile) == []

    try:
        server.start()
        run(case())
    finally:
        server.close()


def test_the_api_socket_believes_only_a_proxy_header_and_listens_to_its_owner(tmp_path: Path) -> None:
    """Who can open it may claim any address, so nobody else can; and plain HTTP on it is not answered."""
    server = Server(tmp_path / "data", settings=QUICK)
    try:
        server.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(os.path.relpath(server.data / "api.sock"))
            sock.sendall(b"GET /v1/info HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n")
            assert sock.recv(100) == b""
    finally:
        server.close()


def test_a_key_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever put it there knows the keys."""
    KeyRing.open(tmp_path, 1)
    uid = os.geteuid()
    monkeypatch.setattr("iris.http.keys.os.geteuid", lambda: uid + 1)
    with pytest.raises(KeyFileError, match="belongs to another user"):
        KeyRing.open(tmp_path, 1)


def test_a_backup_is_its_owners(tmp_path: Path) -> None:
    """It holds every message that waits and every password's hash. Keys are not in it."""
    server = Server(tmp_path / "data", settings=QUICK)
    try:
        start_with_umask(server, 0)
        before = os.umask(0)
        try:
            call(server.data, "store backup", {"target": str(tmp_path / "backup")})
        finally:
            os.umask(before)
        assert open_to_others(tmp_path / "backup") == []
        names = {path.name for path in (tmp_path / "backup").rglob("*")}
        assert "keys.json" not in names
    finally:
        server.close()
