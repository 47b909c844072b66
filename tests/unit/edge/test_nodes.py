"""An edge with two shard nodes: each node's lease, restarts and losses are its own."""

from __future__ import annotations

from typing import Any

import pytest

from iris.core import frames as f
from iris.core import tokens
from iris.core.catalogue import Limits
from iris.core.commands import ATTACHED, Attach, Attached, WatchIn
from iris.core.turn import Now
from iris.edge.edge import Edge
from iris.edge.nodes import NodeLink
from iris.edge.session import State
from iris.edge.sessions import EdgeSettings
from iris.fabric.port import Renewed

WALL = 1_700_000_000_000
KEY = b"k" * 32
ADA, BOB = b"\0\1" + bytes(13) + b"a", b"\0\1" + bytes(13) + b"b"


def owner(unit: bytes) -> int:
    """Ada lives on node 0, Bob on node 1."""
    return int(unit[1:] == BOB)


class Rig:
    """One edge, time, and what it says."""

    def __init__(self) -> None:
        self.edge = Edge(EdgeSettings(1, bytes(8), 0, (0, 1)), Limits(), lambda: {"k": KEY}, owner)
        self.renewed_at = dict.fromkeys((0, 1), 0)
        self.sent = dict.fromkeys((0, 1), 0)
        self.tell(0)

    def tell(self, mono: int) -> list[tuple[int, int, list[tuple[bytes, tuple[Any, ...]]]]]:
        self.edge.now = Now(mono, WALL + mono, 0)
        self.edge.run_timeouts(mono)
        return self.edge.take_units()

    def renew(self, node: int, epoch: int = 1, losses: int = 0) -> list[tuple[bytes, tuple[Any, ...]]]:
        """The node answers the newest renewal; what the edge then says to units."""
        number = [number for to, number, _ in self.edge.renewals if to == node][-1]
        self.edge.on_renewed(node, Renewed(epoch, number, self.sent[node], losses))
        return [entry for _, _, batch in self.edge.take_units() for entry in batch]

    def items(self, node: int, *items: tuple[Any, ...]) -> None:
        self.sent[node] += 1
        self.edge.on_items(node, self.sent[node], items)

    def hello(self, conn: int, user: bytes) -> None:
        token = tokens.issue(kid="k", key=KEY, user=user, device=1, gen=1, jti="j", now_ms=WALL, lifetime_ms=3_600_000)[
            0
        ]
        self.edge.on_frames([f.Hello(f.HELLO, conn, token, 0, 0, (), "test", "")])
        for node, _, batch in self.edge.take_units():
            for _, command in batch:
                if isinstance(command, Attach):
                    answer = Attached(
                        ATTACHED, conn, command.attempt, command.number, user, 1, 0, 0, 0, False, False, 9
                    )
                    self.items(node, answer)
        self.edge.take_units()


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for node in (0, 1):
        rig.renew(node)
    rig.hello(1, ADA)
    rig.hello(2, BOB)
    assert [session.state for session in rig.edge.sessions.values()] == [State.READY, State.READY]
    return rig


def attached_anew(units: list[tuple[bytes, tuple[Any, ...]]]) -> list[bytes]:
    return [command.user for _, command in units if isinstance(command, Attach)]


def test_commands_go_to_the_node_that_owns_the_unit_and_are_numbered(rig: Rig) -> None:
    rig.edge.on_frames([f.Ack(f.ACK, 1, 0, 0), f.Ack(f.ACK, 2, 0, 0)])
    first = rig.edge.take_units()
    rig.edge.on_frames([f.Ack(f.ACK, 2, 0, 0)])
    second = rig.edge.take_units()
    assert [(node, len(batch)) for node, _, batch in first] == [(0, 1), (1, 1)]
    assert [(node, number - first[1][1]) for node, number, _ in second] == [(1, 1)]


def test_a_lapse_pauses_the_users_of_that_node_alone(rig: Rig) -> None:
    for mono in (1_000, 2_000, 3_100):
        rig.tell(mono)
        rig.renew(0)
    conversation = ADA + BOB
    for conn in (1, 2):
        rig.edge.on_frames([f.Send(f.SEND, conn, conversation, 1, 1, 0, b"m" * 16, 0, b"", 1, 0)])
    refused = [frame[1] for frame in rig.edge.to_engine if frame[0] == f.REJECTED]
    assert refused == [2]
    assert [node for node, _, _ in rig.edge.take_units()] == [1], "Ada's goes to Bob's node all the same"
    assert attached_anew(rig.renew(1)) == [BOB]


def test_a_node_that_started_anew_within_the_lease_is_noticed(rig: Rig) -> None:
    rig.tell(1_000)
    assert attached_anew(rig.renew(0)) == []
    rig.tell(2_000)
    rig.sent[0] = 0
    assert attached_anew(rig.renew(0, epoch=2)) == [ADA]
    rig.tell(3_000)
    assert attached_anew(rig.renew(0, epoch=2)) == []


def test_a_late_answer_of_a_dead_life_changes_nothing(rig: Rig) -> None:
    rig.tell(1_000)
    rig.renew(0, epoch=2)
    rig.tell(2_000)
    assert attached_anew(rig.renew(0, epoch=1)) == []


@pytest.mark.parametrize("way", ["to the edge", "to the node"])
def test_a_lost_batch_is_made_good_by_attaching_anew_once(rig: Rig, way: str) -> None:
    rig.tell(1_000)
    if way == "to the edge":
        rig.sent[0] += 1  # ... which never came
    losses = int(way == "to the node")
    assert attached_anew(rig.renew(0, losses=losses)) == [ADA]
    assert rig.edge.counters["iris_batches_lost_total"] == 1
    rig.tell(2_000)
    assert attached_anew(rig.renew(0, losses=losses)) == []


def test_users_of_a_node_that_forgot_are_watched_anew_by_sessions_of_others(rig: Rig) -> None:
    rig.edge.on_frames([f.Watch(f.WATCH, 1, (BOB,))])
    rig.edge.take_units()
    rig.tell(1_000)
    units = rig.renew(1, epoch=2)
    assert [command for _, command in units if isinstance(command, WatchIn)] == [WatchIn(BOB, 1, 1, ADA, True)]


def test_presence_of_somebody_who_is_not_watched_ends_the_watch_again(rig: Rig) -> None:
    """The word that a watch has ended was lost."""
    rig.edge.to_engine.clear()
    rig.items(1, f.Presence(f.PRESENCE, 1, BOB, f.STATUS_ONLINE, 0))
    assert rig.edge.to_engine == []
    ((_, _, ((_, command),)),) = rig.edge.take_units()
    assert command == WatchIn(BOB, 1, 1, b"", False)


def test_an_answer_that_comes_too_late_keeps_the_loss_for_the_next() -> None:
    link = NodeLink(0, 3_000, 1_000)
    link.renewed(Renewed(1, link.lease.renew(0), 0, 0), 10)
    late = link.lease.renew(1_000)
    assert not link.renewed(Renewed(1, late, 0, 1), 5_000)
    assert link.renewed(Renewed(1, link.lease.renew(5_000), 0, 1), 5_010)


def test_a_late_batch_says_nothing(rig: Rig) -> None:
    """Bob went and came back: what is known is newer, and nothing in the batch would tell. Its loss was noticed."""
    session = rig.edge.sessions[1]
    session.watches = (BOB,)
    rig.items(1, f.Presence(f.PRESENCE, 1, BOB, f.STATUS_OFFLINE, 5))
    late = rig.sent[1]
    rig.items(1, f.Presence(f.PRESENCE, 1, BOB, f.STATUS_ONLINE, 5))
    rig.edge.to_engine.clear()
    rig.edge.on_items(1, late, [f.Presence(f.PRESENCE, 1, BOB, f.STATUS_OFFLINE, 5)])
    assert rig.edge.to_engine == []
