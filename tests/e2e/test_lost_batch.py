"""A fabric that loses a quarter of what shards say: nothing is lost, nothing is shown twice, every receipt arrives."""

from __future__ import annotations

from pathlib import Path

from iris_sdk import Client
from tests.e2e.conftest import QUICK
from tests.support.people import WAIT_S, join, live, run, screen, shown, texts, until_shown
from tests.support.server import serving

IMPATIENT = {
    **QUICK,
    "limits.send_repeat_ms": 400,
    "limits.deliver_repeat_ms": 400,
    "limits.rewind_interval_ms": 50,
    "limits.deliver_window": 16,
}


def test_lost_batches_are_made_good(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=IMPATIENT, module="tests.support.lossy") as server:

        async def case() -> None:
            ada = await join(server, tmp_path, "ada", devices=2)
            [bob] = await join(server, tmp_path, "bob")
            async with Client(ada[0]) as a, Client(ada[1]) as other, Client(bob) as b:
                for client in (a, other, b):
                    await live(client)
                expected = []
                for part in range(12):
                    said = [f"{part}-{n}" for n in range(10)]
                    sent = await a.send_many(b.user, said)
                    expected += said
                    await a.wait(sent[-1].message_id, "accepted", timeout=WAIT_S)
                await a.wait(sent[-1].message_id, "delivered", timeout=WAIT_S)
                assert await a.flush(timeout=WAIT_S) == 0
                await until_shown(b, len(expected))
                await until_shown(other, len(expected))
                assert texts(shown(b)) == expected
                assert texts(shown(other)) == expected
                assert screen(a, b.user) == screen(b, a.user) == screen(other, b.user)
                await b.mark_read(a.user)
                await a.wait(sent[-1].message_id, "read", timeout=WAIT_S)

        run(case())
