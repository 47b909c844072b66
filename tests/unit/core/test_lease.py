"""The lease between an edge and a shard node: the edge always stops first, and finds out that it had to.

The exhaustive part: every order in which a few renewals and answers may arrive, with every delay, on one clock. The
node must never end an edge's sessions while the edge believes in its lease, and after an end the edge must be told
that the lease had lapsed before it believes in it again.
"""

from __future__ import annotations

import random

from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import Attach, Attached
from iris.core.frames import Problem, Rejected
from iris.core.ids import user_unit
from iris.core.lease import EdgeLease, NodeLeases
from iris.core.requests import LogoutAll
from tests.support.world import World

LEASE, RENEW = 3_000, 1_000


def test_a_lease_is_counted_from_before_the_renewal_was_sent() -> None:
    lease = EdgeLease(LEASE, RENEW)
    number = lease.renew(100)
    assert not lease.stands(100)
    assert lease.renewed(number, 2_000)  # the first answer: it did not stand before
    assert lease.stands(3_099)
    assert not lease.stands(3_100)


def test_an_answer_that_comes_too_late_renews_nothing() -> None:
    lease = EdgeLease(LEASE, RENEW)
    number = lease.renew(0)
    assert not lease.renewed(number, LEASE)
    assert not lease.stands(LEASE)
    assert not lease.renewed(number, 100), "answered twice"
    assert not lease.renewed(77, 100), "never sent"


def test_only_a_lapse_asks_for_a_new_attach() -> None:
    lease = EdgeLease(LEASE, RENEW)
    lease.renewed(lease.renew(0), 1)
    assert not lease.renewed(lease.renew(1_000), 1_001)
    assert lease.renewed(lease.renew(4_000), 4_001)
    assert not lease.renewed(lease.renew(5_000), 5_001)


def test_unanswered_renewals_are_not_kept_for_ever() -> None:
    lease = EdgeLease(LEASE, RENEW)
    for when in range(0, 100_000, RENEW):
        lease.renew(when)
    assert len(lease._sent) <= 2 * LEASE // RENEW + 2


def test_a_node_names_a_lapsed_edge_once() -> None:
    leases = NodeLeases(LEASE)
    assert leases.next_timeout() is None
    assert leases.renew(1, 0)
    assert leases.renew(2, 500)
    assert leases.next_timeout() == LEASE
    assert leases.lapsed(LEASE - 1) == []
    assert leases.lapsed(LEASE) == [1]
    assert leases.lapsed(LEASE) == []
    assert not leases.renew(2, 500 + LEASE), "its sessions must go before it is renewed"
    assert leases.renew(2, 600 + LEASE)


def test_an_edge_that_is_heard_without_a_lease_gets_one_that_ends() -> None:
    leases = NodeLeases(LEASE)
    leases.heard(7, 100)
    assert leases.next_timeout() == 100 + LEASE
    leases.heard(7, 2_000)
    assert leases.lapsed(100 + LEASE) == [7], "only a renewal makes it longer"
    leases.heard(7, 5_000)
    assert leases.renew(7, 5_100)
    assert leases.lapsed(5_000 + LEASE) == []


def test_a_last_word_of_a_dead_edge_leaves_no_session(world: World) -> None:
    """Its Attach was under way when it died, and comes after its lease has lapsed."""
    (ada,) = world.join("ada")
    attaches = world.fabric.see(Attach)
    ada.connect()
    world.settle()
    late = attaches[-1]
    dead = late._replace(edge=99, conn=7, number=late.number + 1)
    world.node.receive_from(99, 5, [(user_unit(ada.user), dead)])
    world.settle()
    assert world.user(ada.user).sessions[0].edge == 99
    world.wait(world.limits.lease_ms + 100)
    assert not world.user(ada.user).sessions
    assert not world.user(ada.user).closing


def test_a_late_attach_that_was_replaced_before_its_edge_heard_of_it_leaves_nothing(world: World) -> None:
    """It came after a restart of the node, which knew no Detach; and the Attached that would have told is lost."""
    (ada,) = world.join("ada")
    attaches = world.fabric.see(Attach)
    ada.connect()
    world.settle()
    late = attaches[-1]
    ada.disconnect()
    world.wait(2_000)
    world.crash()
    world.wait(2_000)
    world.fabric.lose(Attached, most=1)
    world.node.receive([(user_unit(ada.user), late)])
    world.settle()
    assert world.user(ada.user).sessions[0].conn == late.conn
    ada.connect()
    world.wait(3_000)
    assert ada.connected()
    assert world.user(ada.user).sessions[0].conn == ada.conn
    assert not world.user(ada.user).closing, "its edge says that it is gone"
    assert not world.edges[0].edge.detaching


def test_the_node_never_ends_what_the_edge_believes_in() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        edge, node = EdgeLease(LEASE, RENEW), NodeLeases(LEASE)
        ups: list[tuple[int, int]] = []
        downs: list[tuple[int, int]] = []
        ended = False
        for now in range(0, 30_000, 100):
            if now % RENEW == 0:
                number = edge.renew(now)
                if chance.random() < 0.7:
                    ups.append((now + chance.choice([0, 100, 500, 2_900, 6_000]), number))
            for when, number in [entry for entry in ups if entry[0] <= now]:
                ups.remove((when, number))
                ended |= not node.renew(1, now)
                if chance.random() < 0.8:
                    downs.append((now + chance.choice([0, 200, 3_100]), number))
            if node.lapsed(now):
                ended = True
            if chance.random() < 0.1:
                node.heard(1, now)  # a batch, however late
            if ended:
                assert not edge.stands(now), f"seed {seed}: ended at {now}, believed until {edge.until}"
            for when, number in [entry for entry in downs if entry[0] <= now]:
                downs.remove((when, number))
                if edge.renewed(number, now):
                    ended = False  # it was told to attach anew


def test_a_lapse_ends_sessions_and_the_edge_attaches_them_again(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    world.fabric.renewals = False
    world.wait(3_500)
    assert not world.user(bob.user).sessions
    conn = bob.conn
    ada.say(bob.user, 1, 1)
    assert [rejected.code for rejected in ada.got(Rejected)] == [ErrorCode.OVERLOADED], "paused, not dropped"
    ada.frames.clear()
    ada.read(bob.user, 1)
    world.settle()
    assert ada.got(Problem)
    world.fabric.renewals = True
    world.wait(3_000)
    assert bob.conn == conn, "the client has not noticed anything"
    assert [session.device.number for session in world.user(bob.user).sessions] == [bob.device]
    ada.send(bob.user, "hello")
    world.settle()
    assert bob.texts(ada.user) == ["hello"]


def test_rows_that_came_in_the_pause_are_delivered_after_it(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    bob.auto = False
    ada.send(bob.user, "one")
    world.settle()
    world.fabric.renewals = False
    world.wait(3_500)
    bob.commit()  # the Ack is remembered by the edge
    world.settle()
    world.fabric.renewals = True
    world.wait(3_000)
    bob.auto = True
    ada.send(bob.user, "two")
    world.wait(20_000)
    assert bob.texts(ada.user) == ["one", "two"]
    assert ada.receipt(bob.user)[0] == bob.saved.seq
    assert bob.closed is None


def test_a_session_revoked_in_the_pause_does_not_come_back(world: World) -> None:
    (ada,) = world.join("ada")
    world.fabric.renewals = False
    world.wait(3_500)
    world.ask(user_unit(ada.user), LogoutAll(False), ada.auth)
    world.fabric.renewals = True
    world.wait(3_000)
    assert ada.closed == CloseCode.TOKEN_REVOKED
