"""Real processes, TLS and the real API: kill -9 in mid catch-up, the bot, certificates, API calls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from pathlib import Path

import httpx
import pytest

from iris_sdk import ApiClient, ApiError, Client, ConnectionState, Message, Offline, UnknownUser, login
from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import Limits
from iris_sdk.content import encode_text
from iris_sdk.ids import direct_conversation
from tests.support import api as real
from tests.support.certificate import certificate, make_certificate
from tests.support.fake_server import PASSWORD, FakeServer, now_ms, serving

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30
QUICK = Limits(reconnect_first_ms=20, reconnect_max_ms=100)
READER = """
import asyncio, sys
from iris_sdk import Client, Message

async def main():
    async with Client(sys.argv[1]) as me:
        async for event in me.events(after=0):
            if isinstance(event, Message):
                print(event.n, event.text, flush=True)

asyncio.run(main())
"""


async def spawn(*words: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, env=environment, limit=1 << 20
    )


def fill(server: FakeServer, sender: str, recipient: str, count: int) -> None:
    """So many messages in the recipient's mailbox."""
    one, other = server.handles[sender], server.handles[recipient]
    for n in range(1, count + 1):
        send = pb.Send(
            conversation=direct_conversation(one, other), stream=1, client_seq=n, answered=n - 1,
            message_id=n.to_bytes(16, "big"), payload=encode_text(f"{n:05d}"), content_type=pb.CONTENT_TYPE_IRIS,
        )  # fmt: skip
        assert server.iris.send(one, 0, send, now_ms()).HasField("accepted")


def test_a_receiver_killed_again_and_again_in_mid_catch_up_shows_each_message_once(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bob") as server:
            await login(tmp_path / "b", server.url, "bob", PASSWORD)
            fill(server, "ada", "bob", 5000)
            newest = 0
            for _ in range(6):
                process = await spawn("-c", READER, str(tmp_path / "b"))
                assert process.stdout is not None
                async with asyncio.timeout(DEADLINE_S):
                    async for line in process.stdout:
                        n = int(line.split()[0])
                        if n > newest + 500 or n == 5000:
                            newest = n
                            break
                process.send_signal(signal.SIGKILL)
                await process.wait()
            async with Client(tmp_path / "b", limits=QUICK) as bob, asyncio.timeout(DEADLINE_S):
                async for event in bob.events(after=0):
                    if isinstance(event, Message) and event.text == "05000":
                        break
            with contextlib.closing(sqlite3.connect(tmp_path / "b" / "profile.db")) as db:
                texts = [row[0] for row in db.execute("SELECT text FROM history WHERE kind = 'message' ORDER BY n")]
            assert texts == [f"{n:05d}" for n in range(1, 5001)]

    asyncio.run(case())


def test_the_bot_answers(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", "bot") as server:
            await login(tmp_path / "bot", server.url, "bot", PASSWORD)
            await login(tmp_path / "a", server.url, "ada", PASSWORD)
            process = await spawn(str(ROOT / "examples" / "bot.py"), str(tmp_path / "bot"))
            async with Client(tmp_path / "a", limits=QUICK) as ada, asyncio.timeout(DEADLINE_S):
                events = ada.events()
                await ada.send("@bot", "hello")
                async for event in events:
                    if isinstance(event, Message):
                        assert event.text == "You said: hello"
                        break
            process.terminate()
            await process.wait()

    asyncio.run(case())


def test_the_bot_has_at_most_fifteen_lines_of_code() -> None:
    lines = (ROOT / "examples" / "bot.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith('"""')]) <= 15


def test_the_certificate_and_the_host_name_are_verified(tmp_path: Path) -> None:
    async def case() -> None:
        async with serving("ada", tls=make_certificate(tmp_path)) as server:
            root = tmp_path / "root.pem"
            root.write_bytes(certificate().root)
            with pytest.raises(Offline, match="certificate"):
                await login(tmp_path / "a", server.url, "ada", PASSWORD)  # nobody knows this root
            await login(tmp_path / "a", server.url, "ada", PASSWORD, ca_file=str(root))
            async with Client(tmp_path / "a", limits=QUICK) as ada:  # the profile remembers the root
                assert await ada.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S) is ConnectionState.LIVE
            with contextlib.closing(sqlite3.connect(tmp_path / "a" / "profile.db")) as db:
                db.execute("UPDATE meta SET value = replace(value, 'localhost', '127.0.0.2') WHERE key = 'server'")
                db.commit()
            async with Client(tmp_path / "a", limits=QUICK) as ada:  # a name that the certificate lacks
                with pytest.raises(TimeoutError):
                    await ada.wait_state(ConnectionState.LIVE, timeout=0.5)

    asyncio.run(case())


def test_every_api_call_works_against_the_real_api(tmp_path: Path) -> None:
    async def case() -> None:
        async with real.an_api(tmp_path) as server:

            def client(token: str | None = None) -> ApiClient:
                made = ApiClient("http://localhost", token=token)
                made._http = httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://localhost")
                return made

            guest = client()
            assert (await guest.info())["server"] == "iris"
            ada = await guest.register("ada", PASSWORD, name="Ada")
            bob = await guest.register("@bob", PASSWORD)
            with pytest.raises(ApiError, match="HANDLE_TAKEN"):
                await guest.register("ada", "somebody else's password")
            with pytest.raises(ApiError) as wrong:
                await guest.register("x", PASSWORD)
            assert (wrong.value.name, [field for field, _ in wrong.value.fields]) == ("INVALID_REQUEST", ["handle"])
            session = await guest.login("ada", PASSWORD, device_name="laptop")
            tokens = await guest.refresh(session.refresh_token, "n" * 24)
            again = await guest.refresh(session.refresh_token, "n" * 24)  # the answer was lost
            assert again.refresh_token == tokens.refresh_token
            me = client(tokens.access_token)
            assert (await me.user(bob.user)).handle == (await me.handle("@BOB")).handle == "bob"
            with pytest.raises(UnknownUser):
                await me.handle("@carol")
            assert (await me.update_me(name="Countess", privacy={"presence": "nobody"})).privacy.presence == "nobody"
            assert (await me.me()).user == ada.user
            await me.put_contact(bob.user, "Bobby")
            assert [(c.user, c.name) for c in await me.contacts()] == [(bob.user, "Bobby")]
            await me.delete_contact(bob.user)
            await me.block(bob.user)
            assert await me.blocks() == [bob.user]
            await me.unblock(bob.user)
            other = await guest.login("ada", PASSWORD, device_name="phone")
            assert [(d.name, d.current) for d in await me.devices()] == [("laptop", True), ("phone", False)]
            await me.unlink(other.device)
            await me.change_password(PASSWORD, PASSWORD + "!")  # the new token is adopted
            assert await me.logout_all(keep_current=True) is not None
            await me.logout()
            with pytest.raises(ApiError, match="TOKEN_REVOKED"):
                await me.me()
            last = await guest.login("ada", PASSWORD + "!", device_name="laptop")
            await client(last.access_token).delete_me(PASSWORD + "!")

    asyncio.run(case())
