"""Old backups come back to life: of a client's profile, of the server's store. Every new message still arrives."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from iris_sdk import Client
from tests.support.people import WAIT_S, join, live, run, shown, texts, until_text
from tests.support.server import Server


def test_a_restored_profile_sends_and_receives_everything_new(server: Server, tmp_path: Path) -> None:
    backup = tmp_path / "backup"

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        async with Client(bob) as b:
            await live(b)
            async with Client(ada) as a:
                await live(a)
                sent = await a.send_many(b.user, [f"old {n}" for n in range(5)])
                await a.wait(sent[-1].message_id, "delivered", timeout=WAIT_S)
                await b.send(a.user, "old answer")
                await until_text(a, "old answer")
            shutil.copytree(ada, backup)
            async with Client(ada) as a:  # what the backup does not know
                await live(a)
                sent = await a.send_many(b.user, [f"between {n}" for n in range(40)])
                await a.wait(sent[-1].message_id, "delivered", timeout=WAIT_S)
                await b.send(a.user, "between answer")
                await until_text(a, "between answer")
            shutil.rmtree(ada)
            shutil.copytree(backup, ada)
            async with Client(ada) as a:  # its numbers and its cursor are of the past
                await live(a)
                fresh = [f"new {n}" for n in range(40)]
                sent = await a.send_many(b.user, fresh)
                await a.wait(sent[-1].message_id, "delivered", timeout=WAIT_S)
                await b.send(a.user, "new answer")
                await until_text(a, "new answer")
                await until_text(b, "new 39")
            got = texts([row for row in shown(b) if row.kind == "message"])
            assert [text for text in got if text.startswith("new")] == fresh
            assert len(got) == len(set(got))

    run(case())


def test_a_restored_server_takes_and_delivers_everything_new(server: Server, tmp_path: Path) -> None:
    def iris(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "iris", *words], check=True, capture_output=True, cwd=tmp_path)

    async def case() -> None:
        [ada] = await join(server, tmp_path, "ada")
        [bob] = await join(server, tmp_path, "bob")
        async with Client(ada) as a, Client(bob) as b:
            await live(a)
            await live(b)
            sent = await a.send_many(b.user, [f"kept {n}" for n in range(10)])
            await a.wait(sent[-1].message_id, "delivered", timeout=WAIT_S)
            iris("store", "backup", "--data", str(server.data), str(tmp_path / "copy"))
            sent = await a.send_many(b.user, [f"forgotten {n}" for n in range(10)])
            await a.wait(sent[-1].message_id, "delivered", timeout=WAIT_S)
            server.stop()
            shutil.rmtree(server.data / "store")
            iris("store", "restore", "--data", str(server.data), str(tmp_path / "copy"))
            server.start()
            fresh = [f"new {n}" for n in range(20)]
            sent = await a.send_many(b.user, fresh)
            await a.wait(sent[-1].message_id, "delivered", timeout=60)
            await until_text(b, "new 19")
            got = texts(shown(b))
            assert [text for text in got if text.startswith("new")] == fresh
            assert len(got) == len(set(got))

    run(case())
