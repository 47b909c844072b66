"""A shard: routing of commands, loading and parking, eviction, and that no kind of command is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from iris.core import commands, shard
from iris.core import frames as f
from iris.core.catalogue import CloseCode, ErrorCode, Limits
from iris.core.commands import (
    Attach,
    AttachRefused,
    Command,
    ItemIn,
    Loaded,
    NameLoaded,
    RegisterIn,
    RequestIn,
    SendIn,
    Wake,
    WatchIn,
)
from iris.core.frames import Rejected
from iris.core.ids import direct_conversation, handle_unit, user_unit
from iris.core.requests import Auth, GetCredentials, LookUpName, Refused, Request
from iris.core.shard import DROPPED, TO_ANY_UNIT, USER_ACTIONS, Residents, Shard
from iris.core.turn import LoadName, LoadUser, Turn
from iris.store.memory_rows import MemoryRows
from tests.support.world import World

USER, SENDER = b"u" * 16, b"s" * 16
BY_SHARD = {Loaded, NameLoaded}  # handled by the shard itself
FROM_NODE = {"EdgeGone"}  # for every shard, by edge_gone


def test_every_kind_of_command_is_handled() -> None:
    assert set(get_args(Command)) == USER_ACTIONS.keys() | BY_SHARD
    assert USER_ACTIONS.keys().isdisjoint(BY_SHARD)


def test_every_record_to_a_shard_is_a_command() -> None:
    """A record of commands.py goes to a shard, comes from one (its first field is `kind`), or is named here."""
    records = {
        record
        for record in vars(commands).values()
        if isinstance(record, type) and record.__module__ == commands.__name__
    }
    to_edge = {record for record in records if record._fields[0] == "kind"}  # type: ignore[attr-defined]
    assert records - to_edge - set(get_args(Command)) == {commands.EdgeGone}


def test_commands_start_with_the_unit_they_are_for() -> None:
    for record in get_args(Command):
        assert record._fields[0] == ("unit" if record in TO_ANY_UNIT | {NameLoaded} else "user"), record


def made(**limits: int) -> tuple[Shard, Turn]:
    turn = Turn(Limits(**limits), 1, 8)
    alone = Shard(turn, Residents(turn.limits.users_in_memory_max, lambda user: alone))
    return alone, turn


def send(number: int) -> SendIn:
    conversation = direct_conversation(USER, SENDER)
    return SendIn(USER, 1, SENDER, 1, False, f.Send(f.SEND, 9, conversation, 1, number, 0, bytes(16), 0, b"", 1, 0))


def attach() -> Attach:
    return Attach(USER, 1, 9, 7, 5, Auth(USER, 1, 1, "j", 1), 0, 0)


@pytest.mark.parametrize("kind", sorted(DROPPED, key=str))
def test_what_speaks_of_a_session_that_is_not_there_loads_nobody(kind: type[Any]) -> None:
    owner, turn = made()
    unit = user_unit(USER) if kind in TO_ANY_UNIT else USER
    owner.handle(kind(*([unit] + [0] * (len(kind._fields) - 1))))
    assert not turn.take()[1]


def test_a_user_is_loaded_once_and_its_commands_wait_in_order(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    bob.disconnect()
    world.settle()
    world.crash()
    ada.connect()
    world.settle()
    world.loads = False
    for number in range(5):
        ada.send(bob.user, str(number))
    bob.connect()
    world.settle()
    assert world.node.asks.count(LoadUser(bob.user)) == 1
    world.loads = True
    world.settle()
    assert bob.texts(ada.user) == ["0", "1", "2", "3", "4"]


def test_too_many_waiting_commands_are_answered_or_dropped() -> None:
    """parked_commands_max."""
    owner, turn = made(parked_commands_max=2)
    for number in (1, 2, 3):
        owner.handle(send(number))
    owner.handle(attach())
    owner.handle(RequestIn(user_unit(USER), Request(7, user_unit(USER), None, GetCredentials())))
    owner.handle(WatchIn(USER, 1, 9, SENDER, True))
    effects = turn.take()[1]
    assert effects.asks == [LoadUser(USER)]
    (_, rejected), (_, refused) = effects.edge
    assert isinstance(rejected, Rejected)
    assert (rejected.client_seq, rejected.code, rejected.retry) == (3, ErrorCode.OVERLOADED, f.RETRY_AFTER)
    assert refused == AttachRefused(commands.ATTACH_REFUSED, 9, 5, CloseCode.SERVER_BUSY)
    ((number, answer),) = effects.replies
    assert (number, type(answer)) == (7, Refused)


def test_watches_wait_apart_and_the_newest_of_a_connection_counts() -> None:
    """watchers_max: whatever else waits, whoever watches is told; nobody would say it again."""
    owner, turn = made(parked_commands_max=1, watchers_max=2)
    owner.handle(send(1))
    for conn, on in ((1, True), (2, True), (3, True), (1, False), (4, True), (2, True)):
        owner.handle(WatchIn(USER, 1, conn, SENDER, on))
    effects = turn.take()[1]
    assert effects.asks == [LoadUser(USER)]
    assert effects.edge == [(1, f.Presence(f.PRESENCE, 3, USER, f.STATUS_HIDDEN, 0))]
    owner.handle(Loaded(USER, MemoryRows().load_user(USER)))
    assert sorted(owner.users[USER].watchers) == [(1, 2), (1, 4)]


def test_names_wait_too() -> None:
    owner, turn = made(parked_commands_max=1)
    unit = handle_unit("ada")
    for number in (1, 2):
        owner.handle(RequestIn(unit, Request(number, unit, None, LookUpName())))
    effects = turn.take()[1]
    assert effects.asks == [LoadName(unit)]
    assert [(number, type(answer)) for number, answer in effects.replies] == [(2, Refused)]
    owner.handle(NameLoaded(unit, None))
    assert [number for number, _ in turn.take()[1].replies] == [1]


def test_a_busy_server_closes_the_session_that_it_cannot_take(new_world: Callable[..., World]) -> None:
    world = new_world(parked_commands_max=1)
    (ada,) = world.join("ada")
    ada.disconnect()
    world.settle()
    world.crash()
    world.loads = False
    world.node.wake([ada.user])
    ada.connect()
    world.settle()
    assert ada.closed == CloseCode.SERVER_BUSY
    world.loads = True
    world.settle()
    ada.connect()
    world.settle()
    assert ada.welcome is not None


# --- eviction ---
def test_idle_users_go_out_of_memory_and_come_back_as_they_were(new_world: Callable[..., World]) -> None:
    """users_in_memory_max."""
    world = new_world(users_in_memory_max=2)
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    ada.send(bob.user, "one")
    world.settle()
    bob.disconnect()
    world.settle()
    for name in ("cyn", "dan", "eve", "fay", "gus"):
        world.register(name)
    assert bob.user not in world.node.users
    assert ada.user in world.node.users, "it has a session"
    assert len(world.node.core.residents) <= 4
    ada.send(bob.user, "two")
    world.settle()
    bob.connect()
    world.settle()
    assert bob.texts(ada.user) == ["one", "two"]
    assert ada.receipt(bob.user)[0] == bob.saved.seq


def test_a_user_put_out_of_memory_with_its_rows_not_yet_durable_loses_nothing(new_world: Callable[..., World]) -> None:
    world = new_world(users_in_memory_max=1)
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    bob.disconnect()
    world.settle()
    ada.send(bob.user, "one")
    world.settle()
    world.hold = True
    ada.send(bob.user, "two")
    world.settle()
    world.node.wake([bytes([number]) * 16 for number in range(9)])
    ada.send(bob.user, "three")
    world.settle()
    world.hold = False
    world.settle()
    bob.connect()
    world.settle()
    assert bob.texts(ada.user) == ["one", "two", "three"]


def test_a_user_with_work_under_way_stays(new_world: Callable[..., World]) -> None:
    world = new_world(users_in_memory_max=1)
    (ada, _other), (bob,) = world.join("ada", 2), world.join("bob")
    bob.disconnect()
    world.settle()
    world.fabric.lose(ItemIn)
    ada.send(bob.user, "one")
    world.settle()
    world.node.wake([bytes([number]) * 16 for number in range(9)])
    world.settle()
    assert bob.user in world.node.users, "its copy is not confirmed"
    world.fabric.passes = None
    world.wait(3_000)
    world.node.wake([bytes([number]) * 16 for number in range(9, 18)])
    world.settle()
    assert bob.user not in world.node.users


def test_a_limit_below_what_is_busy_does_not_turn_for_ever(new_world: Callable[..., World]) -> None:
    world = new_world(users_in_memory_max=1)
    people = [world.join(name)[0] for name in ("ada", "bob", "cyn", "dan")]
    people[0].send(people[3].user, "hello")
    world.wait(5_000)
    assert people[3].texts(people[0].user) == ["hello"]


def test_a_restart_wakes_those_with_work_for_others(world: World) -> None:
    (ada, other), (bob,) = world.join("ada", 2), world.join("bob")
    world.fabric.lose(ItemIn, RegisterIn)
    ada.send(bob.user, "one")
    world.settle()
    world.crash()
    world.fabric.passes = None
    world.settle()
    assert not world.user(bob.user).outbox.lanes, "sent without anybody coming"
    other.connect()
    world.settle()
    assert other.texts(bob.user) == ["one"]


def test_wake_loads_and_looks(world: World) -> None:
    ghost = b"\x00\x01" + b"?" * 14
    world.node.receive([(user_unit(ghost), Wake(ghost))])
    world.settle()
    assert world.user(ghost).account is None
    assert shard.USER_ACTIONS[Wake] is not None
