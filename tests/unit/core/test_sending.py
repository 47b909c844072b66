"""Sends through edge and shard: answers, refusals, times, and what is stored for each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iris.core import frames as f
from iris.core.catalogue import ErrorCode
from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import DeleteBlock, DeleteUser, PutBlock, PutContact, UpdateAccount
from iris.core.rows import CONTACTS, ROW_REFUSED, MessageRow
from iris.store.memory import at_once
from tests.support.world import World
from tests.support.world_client import Client


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def kept(world: World, user: bytes) -> list[MessageRow]:
    """Rows of a mailbox, as a restart would find them."""
    return at_once(world.store.page_mailbox(user, 0, 1 << 63, 1 << 30, 1 << 60))


def refusal(answer: f.Accepted | f.Rejected) -> tuple[int, int]:
    assert isinstance(answer, f.Rejected), answer
    return answer.code, answer.retry


def test_each_verdict_has_its_answer(world: World) -> None:
    ada, bob = pair(world)
    first = ada.say(bob.user, 2, 1, b"a" * 16)
    assert isinstance(first, f.Accepted)
    assert ada.say(bob.user, 2, 1, b"a" * 16) == first, "a repeat has the original answer"
    stale = ada.say(bob.user, 1, 1)
    assert refusal(stale) == (ErrorCode.STREAM_STALE, f.RETRY_NEW_STREAM)
    assert stale.current_stream == 2  # type: ignore[union-attr]
    gap = ada.say(bob.user, 2, 3)
    assert refusal(gap) == (ErrorCode.SEQUENCE_GAP, f.RETRY_GAP)
    assert gap.expected == 2  # type: ignore[union-attr]
    moved = ada.say(bob.user, 3, 1, b"a" * 16)
    assert isinstance(moved, f.Accepted)
    assert (moved.stream, moved.client_seq, moved.seq, moved.at) == (3, 1, first.seq, first.at)
    assert refusal(ada.say(bob.user, 3, 1, b"b" * 16))[0] == ErrorCode.STREAM_STALE, "its number went to another"
    assert len(bob.got(f.Deliver)) == 1


def test_what_a_restored_client_sends_in_one_breath_keeps_its_order(world: World) -> None:
    """Its numbers are of the past. The last one is the next that the server expects: it must not get in first."""
    ada, bob = pair(world)
    for number in (1, 2, 3):
        assert isinstance(ada.say(bob.user, 1, number), f.Accepted)
    fresh = [(number, bytes([number]) * 16) for number in (2, 3, 4)]
    assert [refusal(ada.say(bob.user, 1, *one)) for one in fresh] == [(ErrorCode.STREAM_STALE, f.RETRY_NEW_STREAM)] * 3
    assert isinstance(ada.say(bob.user, 2, 1, fresh[0][1]), f.Accepted)
    assert isinstance(ada.say(bob.user, 2, 2, fresh[1][1]), f.Accepted), "the new stream is open"


def test_nothing_is_said_before_the_commit(world: World) -> None:
    ada, bob = pair(world)
    world.hold = True
    ada.send(bob.user, "one")
    world.wait(30_000)
    assert not ada.got(f.Accepted)
    assert not bob.got(f.Deliver)
    world.hold = False
    world.settle()
    assert bob.texts(ada.user) == ["one"]
    assert {frame.seq for frame in bob.got(f.Deliver)} == {bob.saved.seq}


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_before_the_commit_loses_nothing_that_was_answered(world: World, torn: bool) -> None:
    ada, bob = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    world.hold = True
    ada.send(bob.user, "two")
    world.settle()
    world.crash(torn=torn)
    world.hold = False
    ada.connect()
    bob.connect()
    world.wait(5_000)
    assert bob.texts(ada.user) == ada.texts(bob.user) == ["one", "two"]


def test_marks_outlive_restart_and_memory(new_world: Callable[..., World]) -> None:
    world = new_world(marks_in_memory_max=1)
    (ada,), (bob,), (cyn,) = world.join("ada"), world.join("bob"), world.join("cyn")
    first = ada.say(bob.user, 1, 1, b"a" * 16)
    cyn.say(bob.user, 1, 1)
    assert list(world.user(bob.user).marks) == [cyn.user], "the other one's are out of memory"
    assert ada.say(bob.user, 1, 1, b"a" * 16) == first
    world.crash()
    ada.connect()
    world.settle()
    assert ada.say(bob.user, 1, 1, b"a" * 16)[3:] == first[3:]


def test_an_idle_mark_is_dropped_after_mark_days(new_world: Callable[..., World]) -> None:
    world = new_world(mark_days=40)  # below device_days: else nobody would be there to send
    ada, bob = pair(world)
    ada.say(bob.user, 5, 1, b"a" * 16)
    for days, known in ((39, True), (2, False)):
        world.days(days)
        world.crash()
        ada.connect()
        world.settle()
        answer = ada.say(bob.user, 5, 3, answered=1)
        assert refusal(answer)[0] == (ErrorCode.SEQUENCE_GAP if known else ErrorCode.STREAM_STALE)
    assert isinstance(ada.say(bob.user, 6, 1), f.Accepted), "a new stream, as the client is told"
    assert world.node.turn.counters["iris_marks_dropped_total"] == 1


def test_sends_wait_in_order_for_the_marks(new_world: Callable[..., World]) -> None:
    world = new_world(parked_commands_max=4)
    ada, bob = pair(world)
    world.hold = True  # so that the marks are not asked for yet
    world.ask(user_unit(bob.user), UpdateAccount(None, "Bob", None, None, None), bob.auth)
    for number in range(1, 7):
        ada.post(
            f.Send(
                f.SEND, 0, direct_conversation(ada.user, bob.user), 1, number, 0, bytes([number]) * 16, 0, b"", 1, 0
            )
        )  # fmt: skip
    world.hold = False
    world.settle()
    codes = [frame.code for frame in ada.got(f.Rejected)]
    assert codes == [ErrorCode.OVERLOADED] * 2
    assert [frame.client_seq for frame in ada.got(f.Accepted)] == [1, 2, 3, 4]


# --- refusals ---
def test_a_blocked_pair_is_refused_either_way_and_not_told_why(world: World) -> None:
    ada, bob = pair(world)
    world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    world.settle()
    for sender, peer in ((ada, bob), (bob, ada)):
        refused = sender.say(peer.user, 1, 1, b"a" * 16)
        assert refusal(refused) == (ErrorCode.NOT_ALLOWED, f.RETRY_NEVER)
        assert sender.say(peer.user, 1, 1, b"a" * 16) == refused, "an outcome, for ever"
        (row,) = kept(world, peer.user)
        assert (row.kind, row.payload) == (ROW_REFUSED, b"")
        assert not peer.got(f.Deliver)
    world.ask(user_unit(bob.user), DeleteBlock(ada.user), bob.auth)
    assert refusal(ada.say(bob.user, 2, 1, b"a" * 16))[0] == ErrorCode.NOT_ALLOWED, "that message stays refused"
    for sender, peer in ((ada, bob), (bob, ada)):
        assert isinstance(sender.say(peer.user, 2, 2 if sender is ada else 1), f.Accepted)


def test_only_contacts_may_write_when_the_user_says_so(world: World) -> None:
    ada, bob = pair(world)
    world.ask(user_unit(bob.user), UpdateAccount(None, None, None, CONTACTS, None), bob.auth)
    assert refusal(ada.say(bob.user, 1, 1))[0] == ErrorCode.NOT_ALLOWED
    world.ask(user_unit(bob.user), PutContact(ada.user, "Ada"), bob.auth)
    assert isinstance(ada.say(bob.user, 1, 2), f.Accepted)


def test_stored_refusals_are_rate_limited_and_then_spend_nothing(world: World) -> None:
    ada, bob = pair(world)
    world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    most = world.limits.refusals_per_minute_max
    for number in range(1, most + 1):
        assert refusal(ada.say(bob.user, 1, number))[0] == ErrorCode.NOT_ALLOWED
    assert refusal(ada.say(bob.user, 1, most + 1)) == (ErrorCode.RATE_LIMITED, f.RETRY_AFTER)
    assert len(kept(world, bob.user)) == most
    world.wait(60_000)
    assert refusal(ada.say(bob.user, 1, most + 1))[0] == ErrorCode.NOT_ALLOWED


def test_unknown_and_deleted_users_write_nothing(world: World) -> None:
    ada, bob = pair(world)
    ghost = b"\x00\x01" + b"?" * 14
    assert refusal(ada.say(ghost, 1, 1)) == (ErrorCode.UNKNOWN_USER, f.RETRY_NEVER)
    world.ask(user_unit(bob.user), DeleteUser(), bob.auth)
    assert refusal(ada.say(bob.user, 1, 1)) == (ErrorCode.UNKNOWN_USER, f.RETRY_NEVER)
    assert kept(world, ghost) == kept(world, bob.user) == []
    assert at_once(world.store.load_marks(ghost, ada.user)) == []


def test_a_message_to_oneself_and_a_strange_conversation(world: World) -> None:
    ada, bob = pair(world)
    assert refusal(ada.say(ada.user, 1, 1)) == (ErrorCode.SELF, f.RETRY_NEVER)
    low, high = sorted([ada.user, bob.user])
    for conversation in (b"", low, high + low, bob.user + b"\xff" * 16, low + high + b"x"):
        ada.frames.clear()
        ada.post(f.Send(f.SEND, 0, conversation, 1, 1, 0, b"m" * 16, 0, b"", 1, 0))
        world.settle()
        assert refusal(ada.frames[0]) == (ErrorCode.BAD_CONVERSATION, f.RETRY_NEVER)  # type: ignore[arg-type]


def test_a_refused_number_goes_on_and_the_next_message_is_delivered(world: World) -> None:
    ada, bob = pair(world)
    world.ask(user_unit(bob.user), PutBlock(ada.user), bob.auth)
    ada.send(bob.user, "no")
    world.settle()
    world.ask(user_unit(bob.user), DeleteBlock(ada.user), bob.auth)
    ada.send(bob.user, "yes")
    world.settle()
    assert bob.texts(ada.user) == ["yes"]
    assert [ada.saved.answers[m].code for m in ada.saved.answers] == [ErrorCode.NOT_ALLOWED, 0]


# --- at ---
def test_times_rise_in_a_conversation_whatever_the_clock_does(world: World) -> None:
    ada, bob = pair(world)
    first = ada.say(bob.user, 1, 1)
    again = ada.say(bob.user, 1, 2)
    world.shift(-3_600_000)
    back = ada.say(bob.user, 1, 3)
    assert [again.at - first.at, back.at - again.at] == [1, 1]  # type: ignore[union-attr]
    world.crash()
    ada.connect()
    world.settle()
    assert ada.say(bob.user, 1, 4).at == back.at + 1, "known after a restart too"  # type: ignore[union-attr]


def test_an_answer_is_later_than_its_question(world: World) -> None:
    ada, bob = pair(world)
    seen = world.wall + world.limits.clock_skew_ms
    assert ada.say(bob.user, 1, 1, after=seen).at == seen + 1  # type: ignore[union-attr]
    assert bob.say(ada.user, 1, 1, after=seen - 9).at == seen - 8  # type: ignore[union-attr]


def test_an_absurd_after_is_ignored(world: World) -> None:
    ada, bob = pair(world)
    answer = ada.say(bob.user, 1, 1, after=world.wall + world.limits.clock_skew_ms + 1)
    assert answer.at == world.wall  # type: ignore[union-attr]
    assert world.node.turn.counters["iris_after_ignored_total"] == 1


def test_both_ends_sort_a_conversation_alike(world: World) -> None:
    ada, bob = pair(world)
    for number in range(10):
        sender, peer = (ada, bob) if number % 3 else (bob, ada)
        sender.send(peer.user, str(number))
        if number % 4 == 0:
            world.settle()
    world.wait(2_000)
    assert ada.texts(bob.user) == bob.texts(ada.user)
    assert sorted(ada.texts(bob.user)) == [str(number) for number in range(10)]
