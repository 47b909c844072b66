"""Accounts: registration and handles, who may ask what, settings, contacts, blocks, deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from iris.core import accounts
from iris.core.catalogue import ErrorCode
from iris.core.commands import ItemIn, RegisterIn
from iris.core.ids import handle_unit, invite_unit, user_unit
from iris.core.requests import (
    Account,
    Blocks,
    CheckToken,
    Contact,
    Contacts,
    CreateInvite,
    CreateUser,
    Credentials,
    DeleteBlock,
    DeleteContact,
    DeleteUser,
    Devices,
    Done,
    GetAccount,
    GetCredentials,
    GetProfile,
    LinkDevice,
    ListBlocks,
    ListContacts,
    ListDevices,
    LoggedOut,
    LogoutAll,
    LookUpName,
    Operation,
    Profile,
    PutBlock,
    PutContact,
    Refused,
    RotateRefresh,
    UpdateAccount,
    UpgradePassword,
)
from iris.core.rows import CONTACTS
from iris.store.memory import at_once
from tests.support.world import World
from tests.support.world_client import Client

NAMES_ONLY = {LookUpName, CreateInvite}


def code(result: Any) -> int:
    assert isinstance(result, Refused), result
    return result.code


def one(world: World, handle: str = "ada") -> Client:
    return world.join(handle)[0]


# --- the table ---
def test_every_operation_has_its_action_or_is_for_names() -> None:
    operations = set(get_args(Operation))
    assert operations == accounts.ACTIONS.keys() | NAMES_ONLY
    assert accounts.ACTIONS.keys().isdisjoint(NAMES_ONLY)
    assert accounts.ACTIONS.keys() > accounts.OPEN


def sample(operation: type[Any]) -> Any:
    """An operation with fields of the right kind."""
    values = {str: "x", int: 1, bool: True, bytes: b"y" * 32}
    hints = operation.__annotations__.values()
    return operation(*(values[next(kind for kind in values if str(kind.__name__) in str(hint))] for hint in hints))


CLOSED = sorted(accounts.ACTIONS.keys() - accounts.OPEN, key=lambda operation: operation.__name__)


@pytest.mark.parametrize("operation", CLOSED, ids=lambda operation: operation.__name__)
def test_every_other_operation_asks_for_a_token_that_stands(world: World, operation: type[Any]) -> None:
    ada, bob = one(world), one(world, "bob")
    asked = sample(operation)
    unit = user_unit(ada.user)
    wrong = [
        None,
        bob.auth,
        ada.auth._replace(gen=2),
        ada.auth._replace(device=9),
        bob.auth._replace(user=ada.user, device=3),
    ]
    before = world.user(ada.user).account
    for auth in wrong:
        assert code(world.ask(unit, asked, auth)) == ErrorCode.TOKEN_REVOKED
    assert world.user(ada.user).account == before


@pytest.mark.parametrize("operation", sorted(NAMES_ONLY, key=str))
def test_a_user_is_not_asked_what_is_for_names(world: World, operation: type[Any]) -> None:
    ada = one(world)
    assert code(world.ask(user_unit(ada.user), sample(operation), ada.auth)) == ErrorCode.INVALID_REQUEST
    assert code(world.ask(handle_unit("ada"), GetAccount(), ada.auth)) == ErrorCode.INVALID_REQUEST


# --- registration ---
def test_registration_claims_the_handle(world: World) -> None:
    user = world.register("ada")
    assert world.holders("ada") == (user,)
    assert world.ask(user_unit(user), GetCredentials()) == Credentials("hash", 1)
    assert world.ask(user_unit(user), GetProfile()) == Profile(user, "ada", "Ada")


def test_of_two_who_want_a_handle_one_has_it_and_the_other_account_vanishes(world: World) -> None:
    users = [world.new_id(), world.new_id()]
    asked = [world.post(user_unit(user), CreateUser("ada", "A", "hash", "")) for user in users]
    world.settle()
    answers = [world.node.replies[number] for number in asked]
    winner = answers.index(Done())
    loser = 1 - winner
    assert code(answers[loser]) == ErrorCode.HANDLE_TAKEN
    assert world.holders("ada") == (users[winner],)
    assert code(world.ask(user_unit(users[loser]), GetCredentials())) == ErrorCode.UNKNOWN_USER
    assert at_once(world.store.users(b"", 99)) == [users[winner]]
    assert code(world.ask(user_unit(users[winner]), CreateUser("other", "A", "hash", ""))) == ErrorCode.HANDLE_TAKEN


@pytest.mark.parametrize("torn", [False, True])
def test_a_registration_that_a_crash_interrupts_is_finished_or_never_was(world: World, torn: bool) -> None:
    for point in range(1, 30):
        user, handle = world.new_id(), f"user{point}"
        number = world.post(user_unit(user), CreateUser(handle, "A", "hash", ""))
        for _ in range(point):
            world.step()
        answered = world.node.replies.get(number)
        world.crash(torn=torn)
        world.settle()
        there = world.ask(user_unit(user), GetCredentials()) == Credentials("hash", 1)
        assert there or answered is None
        assert world.holders(handle) == ((user,) if there else ())


def test_invites_are_used_up_and_given_back(world: World) -> None:
    unit = invite_unit("invite-1")
    assert world.ask(unit, CreateInvite(2)) == Done()
    assert code(world.ask(unit, CreateInvite(9))) == ErrorCode.INVALID_REQUEST, "it exists"
    world.register("ada", invite="invite-1")
    taken = world.new_id()
    assert code(world.ask(user_unit(taken), CreateUser("ada", "A", "h", "invite-1"))) == ErrorCode.HANDLE_TAKEN
    world.settle()
    world.register("bob", invite="invite-1")
    late = world.new_id()
    assert code(world.ask(user_unit(late), CreateUser("cyn", "C", "h", "invite-1"))) == ErrorCode.INVITE_INVALID
    unknown = world.new_id()
    assert code(world.ask(user_unit(unknown), CreateUser("cyn", "C", "h", "invite-9"))) == ErrorCode.INVITE_INVALID
    assert world.holders("cyn") == ()
    assert not world.user(late).outbox.lanes


# --- handle ---
def test_a_handle_is_changed_and_the_old_one_is_free(world: World) -> None:
    ada = one(world)
    changed = world.ask(user_unit(ada.user), UpdateAccount("ada.l", None, None, None, None), ada.auth)
    assert isinstance(changed, Account)
    assert changed.handle == "ada.l"
    assert (world.holders("ada.l"), world.holders("ada")) == ((ada.user,), ())
    world.register("ada")
    same = world.ask(user_unit(ada.user), UpdateAccount("ada.l", "Ada", None, None, None), ada.auth)
    assert isinstance(same, Account)


def test_a_taken_handle_changes_nothing(world: World) -> None:
    ada, bob = one(world), one(world, "bob")
    refused = world.ask(user_unit(ada.user), UpdateAccount("bob", None, None, None, None), ada.auth)
    assert code(refused) == ErrorCode.HANDLE_TAKEN
    assert (world.holders("bob"), world.holders("ada")) == ((bob.user,), (ada.user,))
    changed = world.ask(user_unit(ada.user), UpdateAccount("ada2", None, None, None, None), ada.auth)
    assert isinstance(changed, Account)


def test_one_change_of_handle_at_a_time(world: World) -> None:
    ada = one(world)
    world.fabric.lose(ItemIn)
    first = world.post(user_unit(ada.user), UpdateAccount("first", None, None, None, None), ada.auth)
    second = world.ask(user_unit(ada.user), UpdateAccount("second", None, None, None, None), ada.auth)
    assert code(second) == ErrorCode.OVERLOADED
    assert first not in world.node.replies
    world.fabric.passes = None
    world.wait(3_000)
    assert world.node.replies[first].handle == "first"  # type: ignore[union-attr]


# --- deletion ---
def test_deletion_leaves_nothing_and_frees_the_handle(world: World) -> None:
    ada, bob = one(world), one(world, "bob")
    bob.send(ada.user, "hello")
    world.settle()
    world.ask(user_unit(ada.user), PutContact(bob.user, "Bob"), ada.auth)
    world.ask(user_unit(ada.user), PutBlock(bob.user), ada.auth)
    assert world.ask(user_unit(ada.user), DeleteUser(), ada.auth) == Done()
    world.settle()
    assert world.holders("ada") == ()
    assert code(world.ask(user_unit(ada.user), GetProfile())) == ErrorCode.UNKNOWN_USER
    assert code(world.ask(user_unit(ada.user), LinkDevice("phone", b"r"))) == ErrorCode.UNKNOWN_USER
    assert code(world.ask(user_unit(ada.user), RotateRefresh(1, b"a", b"b"))) == ErrorCode.REFRESH_INVALID
    world.register("ada")
    world.crash()
    rows = at_once(world.store.load_user(ada.user))
    assert rows.account is not None
    assert (rows.account.handle, rows.account.password, rows.account.name) == ("", "", "")
    assert not (rows.devices)
    assert not (rows.cursors)
    assert not (rows.contacts)
    assert not (rows.registers)
    assert not (rows.last)
    assert not (rows.blocks)
    assert code(world.ask(user_unit(ada.user), CreateUser("again", "A", "h", ""))) == ErrorCode.HANDLE_TAKEN


@pytest.mark.parametrize("free", [True, False])
def test_deletion_during_a_change_of_handle_gives_both_back(world: World, free: bool) -> None:
    ada = one(world)
    other = None if free else world.register("wanted")
    world.fabric.lose(ItemIn)
    changing = world.post(user_unit(ada.user), UpdateAccount("wanted", None, None, None, None), ada.auth)
    world.settle()
    assert world.ask(user_unit(ada.user), DeleteUser(), ada.auth) == Done()
    assert code(world.node.replies[changing]) == ErrorCode.TOKEN_REVOKED
    world.fabric.passes = None
    world.wait(10_000)
    assert world.holders("ada") == ()
    assert world.holders("wanted") == (() if other is None else (other,))
    assert world.user(ada.user).idle


# --- settings, lists ---
def test_settings_are_kept(world: World) -> None:
    ada = one(world)
    unit = user_unit(ada.user)
    world.ask(unit, UpdateAccount(None, "Countess", CONTACTS, None, None), ada.auth)
    world.ask(unit, UpdateAccount(None, None, None, CONTACTS, False), ada.auth)
    world.crash()
    account = world.ask(unit, GetAccount(), ada.auth)
    assert isinstance(account, Account)
    assert account[:6] == (ada.user, "ada", "Countess", CONTACTS, CONTACTS, False)


def test_a_password_is_upgraded_only_from_the_one_that_was_checked(world: World) -> None:
    ada = one(world)
    unit = user_unit(ada.user)
    for before, after, want in (("other", "evil", "hash"), ("hash", "stronger", "stronger")):
        assert world.ask(unit, UpgradePassword(before, after)) == Done()
        assert world.ask(unit, GetCredentials()) == Credentials(want, 1), "and nobody is logged out"
    assert world.ask(unit, CheckToken(), ada.auth) == Done()


def test_contacts_are_kept_and_bounded(new_world: Callable[..., World]) -> None:
    """contacts_max."""
    world = new_world(contacts_max=2)
    ada = one(world)
    unit = user_unit(ada.user)
    people = [bytes([number]) * 16 for number in range(1, 4)]
    assert code(world.ask(unit, PutContact(ada.user, "me"), ada.auth)) == ErrorCode.SELF
    for person in people[:2]:
        assert world.ask(unit, PutContact(person, "a"), ada.auth) == Done()
    assert code(world.ask(unit, PutContact(people[2], "c"), ada.auth)) == ErrorCode.LIST_FULL
    added = world.wall
    world.wait(1_000)
    assert world.ask(unit, PutContact(people[0], "b"), ada.auth) == Done(), "another name for one on the list"
    assert world.ask(unit, DeleteContact(people[1]), ada.auth) == Done()
    assert world.ask(unit, DeleteContact(people[1]), ada.auth) == Done()
    world.crash()
    contacts = world.ask(unit, ListContacts(), ada.auth)
    assert contacts == Contacts((Contact(people[0], "b", added),))


def test_blocks_are_kept_bounded_and_counted_while_they_stand(new_world: Callable[..., World]) -> None:
    """blocks_max."""
    world = new_world(blocks_max=1)
    ada, bob, cyn = one(world), one(world, "bob"), one(world, "cyn")
    unit = user_unit(ada.user)
    assert code(world.ask(unit, PutBlock(ada.user), ada.auth)) == ErrorCode.SELF
    for _ in range(2):
        assert world.ask(unit, PutBlock(bob.user), ada.auth) == Done()
    assert code(world.ask(unit, PutBlock(cyn.user), ada.auth)) == ErrorCode.LIST_FULL
    assert world.ask(unit, ListBlocks(), ada.auth) == Blocks((bob.user,))
    assert world.user(bob.user).blocked_with(ada.user)
    assert world.ask(unit, DeleteBlock(bob.user), ada.auth) == Done()
    world.settle()
    assert not world.user(bob.user).blocked_with(ada.user)
    assert world.ask(unit, PutBlock(cyn.user), ada.auth) == Done()
    world.crash()
    assert world.ask(unit, ListBlocks(), ada.auth) == Blocks((cyn.user,))


def test_a_block_that_is_repeated_late_does_not_come_back(world: World) -> None:
    ada, bob = one(world), one(world, "bob")
    kept = world.fabric.see(RegisterIn)
    unit = user_unit(ada.user)
    world.ask(unit, PutBlock(bob.user), ada.auth)
    world.ask(unit, DeleteBlock(bob.user), ada.auth)
    world.settle()
    world.node.receive([(user_unit(bob.user), kept[0])])
    world.settle()
    assert not world.user(bob.user).blocked_with(ada.user)


def test_devices_are_listed(world: World) -> None:
    (phone, tablet) = world.join("ada", 2)
    tablet.disconnect()
    world.settle()
    left = world.wall
    world.wait(5_000)
    listed = world.ask(user_unit(phone.user), ListDevices(), phone.auth)
    assert isinstance(listed, Devices)
    assert [(d.device, d.online, d.current, d.seen_at) for d in listed.devices] == [
        (phone.device, True, True, world.wall), (tablet.device, False, False, left)
    ]  # fmt: skip


def test_log_out_everywhere_raises_gen(world: World) -> None:
    phone, tablet = world.join("ada", 2)
    answer = world.ask(user_unit(phone.user), LogoutAll(True), phone.auth)
    assert answer == LoggedOut(2)
    assert [device.number for device in world.user(phone.user).devices] == [phone.device]
    assert tablet.closed is not None
    assert world.ask(user_unit(phone.user), CheckToken(), phone.auth._replace(gen=2)) == Done()


def test_ended_blocks_are_forgotten_when_they_are_many_and_old(new_world: Callable[..., World]) -> None:
    """blocks_max: twice as many rows with those that ended."""
    world = new_world(blocks_max=1)
    ada, others = one(world), [one(world, name) for name in ("bob", "cyn", "dan")]
    unit = user_unit(ada.user)
    for other in others[:2]:
        assert world.ask(unit, PutBlock(other.user), ada.auth) == Done()
        assert world.ask(unit, DeleteBlock(other.user), ada.auth) == Done()
    assert code(world.ask(unit, PutBlock(others[2].user), ada.auth)) == ErrorCode.LIST_FULL
    world.crash()  # another epoch: versions go on above those that are forgotten now
    assert world.ask(unit, PutBlock(others[2].user), ada.auth) == Done()
    world.ask(unit, DeleteBlock(others[2].user), ada.auth)
    assert world.ask(unit, PutBlock(others[0].user), ada.auth) == Done()
    world.settle()
    assert world.user(others[0].user).blocked_with(ada.user), "not taken for the block that ended"


def test_a_block_made_after_a_restore_is_newer_than_one_that_was_lost(world: World) -> None:
    ada, bob = one(world), one(world, "bob")
    unit = user_unit(ada.user)
    world.ask(unit, PutBlock(bob.user), ada.auth)
    world.ask(unit, DeleteBlock(bob.user), ada.auth)
    world.settle()
    before = world.user(bob.user).blocked_by[ada.user].version
    world.crash()
    ada_now = world.node.shard(unit)
    world.sweep()
    del ada_now.users[ada.user].blocks[bob.user]  # what a restored backup would not have
    world.ask(unit, PutBlock(bob.user), ada.auth)
    world.settle()
    assert world.user(bob.user).blocked_by[ada.user].version > before
    assert world.user(bob.user).blocked_with(ada.user)


def test_those_who_block_a_user_are_kept_bounded(new_world: Callable[..., World]) -> None:
    """blocked_by_max: an ended block goes first, and a block that is forgotten here still holds where it was made."""
    world = new_world(blocked_by_max=2)
    (ada,), *others = [world.join(name) for name in ("ada", "bob", "cyn", "dan")]
    for (other,) in others:
        world.ask(user_unit(other.user), PutBlock(ada.user), other.auth)
        world.settle()
    known = world.user(ada.user).blocked_by
    assert list(known) == [others[1][0].user, others[2][0].user]
    assert world.node.turn.counters["iris_blocked_by_dropped_total"] == 1
    bob = others[0][0]
    ada.send(bob.user, "hello?")
    world.settle()
    assert bob.texts(ada.user) == []
    assert [answer.code for answer in ada.saved.answers.values()] == [ErrorCode.NOT_ALLOWED]
    world.crash()
    world.sweep()
    assert set(world.user(ada.user).blocked_by) == {others[1][0].user, others[2][0].user}
