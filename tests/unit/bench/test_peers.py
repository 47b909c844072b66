"""The peers of the benchmark: stanzas are cut rightly, nothing wrong is overseen, and what cannot be had is skipped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.peers import __main__ as command
from bench.peers import packages
from bench.peers.client import Client
from bench.peers.judge import Pair
from bench.peers.packages import PeerError
from bench.peers.promises import MESSAGES, promises
from bench.peers.stanzas import NotXmpp, cut
from scripts.performance import beside_peers, kept_by_peers

STREAM = (
    b"<?xml version='1.0'?><stream:stream id='1' version='1.0' xmlns='jabber:client'>"
    b"<stream:features><mechanisms xmlns='x'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
    b"<success xmlns='y'/>\n<message id='1'><body>a &lt; b</body></message><iq type='result' id='b'/><message id='2'/>"
)
NAMES = ["stream:features", "success", "message", "iq", "message"]


def test_a_stream_is_cut_into_stanzas() -> None:
    found, left = cut(STREAM)
    assert ([name for name, _ in found], left) == (NAMES, b"")
    assert found[2][1] == b"<message id='1'><body>a &lt; b</body></message>"


@pytest.mark.parametrize("size", [1, 7, 50])
def test_stanzas_may_come_in_pieces(size: int) -> None:
    found: list[tuple[str, bytes]] = []
    left = b""
    for at in range(0, len(STREAM), size):
        more, left = cut(left + STREAM[at : at + size])
        found += more
    assert (found, left) == cut(STREAM)


def test_the_end_of_a_stream_comes_after_what_was_before_it() -> None:
    found, left = cut(b"<message id='1'/></stream:stream>")
    assert ([name for name, _ in found], left) == (["message", "end"], b"")
    assert cut(b"</stream:str") == ([], b"</stream:str")


def test_what_is_no_stanza_is_an_error() -> None:
    with pytest.raises(NotXmpp):
        cut(b"hello")


def test_what_comes_before_the_end_of_a_stream_is_taken_and_a_loss_is_told() -> None:
    came: list[bytes] = []
    client = Client(0, came.append)
    client.data_received(b"<presence/><message id='1'/></stream:str")
    assert (came, client.ended.is_set()) == ([b"<message id='1'/>"], False)
    client.data_received(b"eam>")
    client.connection_lost(None)
    assert (client.ended.is_set(), client.lost) == (True, None)
    cut_off = Client(1, came.append)
    cut_off.connection_lost(None)
    assert (cut_off.ended.is_set(), bool(cut_off.lost)) == (True, True)


def pair(*steps: tuple[str, int]) -> list[str]:
    one = Pair(3)
    for kind, number in steps:
        if kind == "send":
            one.sent = number
        elif kind == "message":
            one.on_message(number, b"p", b"p")
        else:
            one.on_receipt(number)
    return one.ended()


def test_a_pair_that_sees_everything_once_and_in_order_is_good() -> None:
    assert pair(("send", 2), ("message", 1), ("message", 2), ("receipt", 1), ("receipt", 2)) == []


@pytest.mark.parametrize(
    "steps",
    [
        [("send", 1)],
        [("send", 1), ("message", 1)],
        [("send", 2), ("message", 2), ("message", 1), ("receipt", 1), ("receipt", 2)],
        [("send", 1), ("message", 1), ("message", 1), ("receipt", 1)],
        [("send", 1), ("message", 1), ("receipt", 1), ("receipt", 1)],
        [("send", 1), ("receipt", 1), ("message", 1)],
    ],
    ids=["lost", "no receipt", "out of order", "twice", "receipt twice", "receipt first"],
)
def test_whatever_goes_wrong_is_a_fault(steps: list[tuple[str, int]]) -> None:
    assert pair(*steps)


def test_another_body_is_a_fault() -> None:
    one = Pair(0)
    one.sent = 1
    one.on_message(1, b"q", b"p")
    one.on_receipt(1)
    assert one.ended()


def test_without_apt_the_peer_is_skipped_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(command, "TARGET", tmp_path / "peers")
    assert command.main(["--quick"]) == 0
    said = capsys.readouterr()
    assert "SKIPPED" in said.err
    assert "apt-get" in json.loads(said.out)["peers"][0]["skipped"]


def test_packages_that_are_there_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "ejabberd-1.0-1").mkdir()
    found = packages.unpack(tmp_path)
    assert found == packages.Packages(tmp_path / "ejabberd-1.0-1", "1.0-1")
    with pytest.raises(packages.Skipped):
        found.only("usr/lib/erlang/erts-*/bin/erlexec")


def test_the_table_is_a_ratio_to_iris() -> None:
    ours = {"name": "pairs-100-w1", "msgs_per_s": 9.0, "server_cpu_us_per_msg": 100.0, "floor_cpu_us_per_msg": 30.0}
    theirs = {
        "name": "pairs-100-w1", "server_cpu_us_per_msg": 450.0, "msgs_per_s": 1000.0, "messages": 200, "disk_flushes": 4
    }  # fmt: skip
    peers = [{"name": "ejabberd", "version": "23", "scenarios": [theirs]}, {"name": "other", "skipped": "no apt"}]
    text = beside_peers({"scenarios": [ours], "peers": peers})
    assert "| `pairs-100-w1` | ejabberd 23 | 450 | 30 | 100 | 4.5 | 1,000 | 0.02 |" in text
    assert "other: no figures. no apt" in text
    assert beside_peers({"scenarios": [ours]}) == ""


class Kept:
    """A server in memory, for the trials of `promises`, with what can be wrong with one."""

    def __init__(self, folder: Path, *, once: bool = True, forgets: int = 0, drops: int | None = None) -> None:
        self.folder = folder
        self.rows: dict[int, list[int]] = {}
        self.once, self.forgets, self.drops = once, forgets, drops
        self.up = True

    async def connect(self, user: int) -> KeptDevice:
        assert self.up
        return KeptDevice(self, user)

    def kill(self) -> None:
        self.up = False
        for rows in self.rows.values():
            del rows[len(rows) - self.forgets :]

    def start(self) -> None:
        assert not self.up, "it is killed first"
        self.up = True


class KeptDevice:
    """A user of it."""

    def __init__(self, server: Kept, user: int) -> None:
        self.server, self.user = server, user

    async def send(self, to: int, numbers: Sequence[int]) -> None:
        rows = self.server.rows.setdefault(to, [])
        taken = [number for number in numbers if number != self.server.drops]
        rows += [number for number in taken if not (self.server.once and number in rows)]

    async def take(self) -> list[int]:
        return self.server.rows.get(self.user, [])

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("once", "forgets", "shown", "delivered"),
    [(True, 0, MESSAGES, MESSAGES), (False, 0, 2 * MESSAGES, MESSAGES), (True, 9, MESSAGES, MESSAGES - 9)],
    ids=["keeps all", "takes a repeat for another", "forgets when killed"],
)
def test_the_trials_tell_what_a_server_keeps(
    once: bool, forgets: int, shown: int, delivered: int, tmp_path: Path
) -> None:
    found = asyncio.run(promises(Kept(tmp_path, once=once, forgets=forgets)))
    assert found["repeated"] == {"sent": MESSAGES, "shown": shown}
    assert (found["killed"]["accepted"], found["killed"]["delivered"]) == (MESSAGES, delivered)


def test_what_nobody_sent_ends_the_trials(tmp_path: Path) -> None:
    server = Kept(tmp_path)
    server.rows[1] = [MESSAGES]
    with pytest.raises(PeerError, match="nobody sent"):
        asyncio.run(promises(server))


def test_a_message_lost_without_a_kill_ends_the_trials(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="99 were shown"):
        asyncio.run(promises(Kept(tmp_path, drops=7)))


def kept(shown: int, delivered: int, flushes: int | None) -> dict[str, dict[str, int | None]]:
    return {
        "repeated": {"sent": 100, "shown": shown},
        "killed": {"accepted": 100, "delivered": delivered, "flushes": flushes},
    }


def test_the_promises_are_beside_those_of_iris() -> None:
    peers = [{"name": "ejabberd", "version": "23", "promises": kept(200, 91, None)}, {"name": "other", "skipped": "no"}]
    text = kept_by_peers({"iris": {"promises": kept(100, 100, 12)}, "peers": peers})
    assert "| tried | Iris | ejabberd 23 |" in text
    assert "| … times they were shown in all | 100 | 200 |" in text
    assert "| … of them delivered after the restart | 100 | 91 |" in text
    assert "| disk flushes while they were accepted | 12 |  |" in text
    assert kept_by_peers({"peers": peers[1:]}) == ""


def test_a_promise_of_iris_that_was_not_kept_is_told() -> None:
    peers = [{"name": "ejabberd", "promises": kept(200, 91, 0)}]
    text = kept_by_peers({"iris": {"error": "no users"}, "peers": peers})
    assert "| … times they were shown in all |  | 200 |" in text
    assert "Iris: no users" in text
