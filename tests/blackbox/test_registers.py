"""Receipts and read positions: registers with revisions, merged by maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, message_id, person
from tests.blackbox.conftest import Online
from tests.blackbox.schema import READ

Dial = Callable[[], Connection]
POSITION_UNKNOWN, BAD_CONVERSATION = 1011, 1012


def delivered(talk: Talk, seq: int) -> Callable[[Mailbox], bool]:
    """Until the receipt says so."""
    return lambda box: box.receipts.get(talk.conversation, (0, 0))[0] >= seq


def read(talk: Talk, seq: int) -> Callable[[Mailbox], bool]:
    """Until the receipt says so."""
    return lambda box: box.receipts.get(talk.conversation, (0, 0))[1] >= seq


def exchange(by: Connection, to: Connection, talk: Talk, box: Mailbox | None = None) -> tuple[Any, Mailbox]:
    """One message, delivered into `box` (a new device's) and acked."""
    talk.send(by)
    answer = talk.accepted(by)
    box = box or Mailbox()
    box.fill(to, lambda it: it.seq >= answer.seq)
    box.ack(to)
    return answer, box


def test_delivered_then_read(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to, own = online(ada), online(bob), Mailbox()
    answer, box = exchange(by, to, talk)
    own.fill(by, delivered(talk, answer.seq))
    assert own.receipts[talk.conversation] == (answer.seq, 0)
    to.put("read", conversation=talk.conversation, seq=answer.seq)
    box.fill(to, lambda it: it.read.get(talk.conversation, 0) == answer.seq)
    own.fill(by, read(talk, answer.seq))
    assert own.receipts[talk.conversation] == (answer.seq, answer.seq)


def test_not_delivered_before_the_ack(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to, box = online(ada), online(bob), Mailbox()
    seqs = []
    for _ in range(3):
        talk.send(by)
        seqs.append(talk.accepted(by).seq)
    box.fill(to, lambda it: it.seq >= seqs[2])
    to.put("ack", seq=seqs[1], rev=box.rev)
    own = Mailbox()
    own.fill(by, delivered(talk, seqs[1]))
    assert own.receipts[talk.conversation] == (seqs[1], 0)
    box.ack(to)
    own.fill(by, delivered(talk, seqs[2]))


def test_one_device_is_enough_for_delivered(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = bob.another_device()
    by, one, other, own = online(ada), online(bob), online(phone), Mailbox()
    answer, _ = exchange(by, other, talk)
    own.fill(by, delivered(talk, answer.seq))
    one.alive()


def test_read_reaches_the_second_device(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = bob.another_device()
    by, one, other, second = online(ada), online(bob), online(phone), Mailbox()
    answer, box = exchange(by, one, talk)
    one.put("read", conversation=talk.conversation, seq=answer.seq)
    second.fill(other, lambda it: it.read.get(talk.conversation, 0) == answer.seq)
    box.fill(one, lambda it: it.read.get(talk.conversation, 0) == answer.seq)
    third = bob.another_device()  # a new device starts with all registers
    late, device = Mailbox(), dial()
    welcome = device.hello(third.access)
    late.fill(device, lambda it: it.rev >= welcome.head_rev)
    assert late.read == {talk.conversation: answer.seq}


def test_receipts_reach_all_devices_of_the_sender(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = ada.another_device()
    by, there, to, box = online(ada), online(phone), online(bob), Mailbox()
    answer, _ = exchange(by, to, talk)
    box.fill(there, delivered(talk, answer.seq))
    assert box.rows[0].peer_seq == answer.seq  # what the receipt speaks of


def test_read_is_a_maximum(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to, own = online(ada), online(bob), Mailbox()
    first, box = exchange(by, to, talk)
    second, box = exchange(by, to, talk, box)
    for seq in (second.seq, first.seq, 0, second.seq):
        to.put("read", conversation=talk.conversation, seq=seq)
        box.fill(to, lambda it: it.read.get(talk.conversation, 0) == second.seq)
    third, box = exchange(by, to, talk, box)
    own.fill(by, delivered(talk, third.seq))
    assert own.receipts[talk.conversation] == (third.seq, second.seq)


def test_repeated_read_is_answered_again(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    """`Until a ReadSync of at least that seq came`: whose ReadSync was lost gets it again."""
    by, to = online(ada), online(bob)
    answer, _ = exchange(by, to, talk)
    to.put("read", conversation=talk.conversation, seq=answer.seq)
    lost = to.take("read_sync")
    to.put("read", conversation=talk.conversation, seq=answer.seq)
    again = to.take("read_sync")  # after deliver_repeat_ms at the latest
    assert (again.rev, again.seq, again.prev_rev) == (lost.rev, lost.seq, lost.prev_rev)


def test_read_beyond_the_newest_row_is_refused(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to = online(ada), online(bob)
    answer, _ = exchange(by, to, talk)
    for seq in (answer.seq + 1, 2**63, 2**64 - 1):
        to.put("read", conversation=talk.conversation, seq=seq)
        problem = to.take("problem")
        assert (problem.code, problem.frame, problem.retry) == (POSITION_UNKNOWN, READ, 1)
    to.put("read", conversation=talk.conversation, seq=answer.seq)
    assert to.take("read_sync").seq == answer.seq


def test_read_of_a_malformed_or_foreign_conversation(
    online: Online, api: Api, ada: Person, bob: Person, talk: Talk
) -> None:
    by, to = online(ada), online(bob)
    answer, _ = exchange(by, to, talk)
    stranger = person(api)
    for where in (conversation(ada.user, stranger.user), bob.user, b"", talk.conversation[::-1], bytes(64)):
        to.put("read", conversation=where, seq=answer.seq)
        problem = to.take("problem")
        assert (problem.code, problem.frame) == (BAD_CONVERSATION, READ), where.hex()
    to.alive()


def test_resume_at_every_earlier_revision(dial: Dial, online: Online, api: Api, ada: Person) -> None:
    by, own, answers = online(ada), Mailbox(), {}
    for _ in range(4):  # four conversations, one register each
        peer = person(api)
        talk = Talk(conversation(ada.user, peer.user))
        answer, _ = exchange(by, online(peer), talk)
        own.fill(by, delivered(talk, answer.seq))
        answers[talk.conversation] = (answer.seq, 0, own.rev)
    by.drop()
    revisions = [0, *(rev for _, _, rev in answers.values())]
    for rev in revisions:
        by, again = dial(), Mailbox(rev=rev)
        welcome = by.hello(ada.access, 0, rev)
        assert not welcome.reset
        assert welcome.head_rev == own.rev
        again.fill(by, lambda it, head=welcome.head_rev: it.rev == head)  # type: ignore[misc]
        assert again.receipts == {key: (at, seen) for key, (at, seen, of) in answers.items() if of > rev}
        assert again.dropped == 0
        by.drop()


def test_a_register_that_changed_twice_comes_once(
    dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    by, to, own, box = online(ada), online(bob), Mailbox(), Mailbox()
    for _ in range(3):
        answer, _ = exchange(by, to, talk, box)
        own.fill(by, delivered(talk, answer.seq))
    to.put("read", conversation=talk.conversation, seq=answer.seq)
    own.fill(by, read(talk, answer.seq))
    by.drop()
    by, again = dial(), Mailbox()
    welcome = by.hello(ada.access)
    only = by.take("receipt")
    assert (only.rev, only.delivered, only.read) == (welcome.head_rev, answer.seq, answer.seq)
    assert again.rev >= only.prev_rev


def test_unacked_registers_come_again(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to = online(ada), online(bob)
    _, box = exchange(by, to, talk)
    first = by.take("receipt")
    assert by.take("receipt") == first  # after deliver_repeat_ms
    by.put("ack", rev=first.rev)
    answer, _ = exchange(by, to, talk, box)
    following = by.take("receipt", lambda body: body.delivered == answer.seq)
    assert following.prev_rev == first.rev


def test_read_receipts_off_tells_the_peer_nothing(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    bob.privacy(read_receipts=False)
    by, to, own = online(ada), online(bob), Mailbox()
    first, box = exchange(by, to, talk)
    to.put("read", conversation=talk.conversation, seq=first.seq)
    box.fill(to, lambda it: it.read.get(talk.conversation, 0) == first.seq)  # own devices always learn it
    second, _ = exchange(by, to, talk, box)
    own.fill(by, delivered(talk, second.seq))
    assert own.receipts[talk.conversation] == (second.seq, 0)


def test_who_gives_no_read_receipts_gets_none(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    ada.privacy(read_receipts=False)
    by, to, own = online(ada), online(bob), Mailbox()
    first, box = exchange(by, to, talk)
    to.put("read", conversation=talk.conversation, seq=first.seq)
    box.fill(to, lambda it: it.read.get(talk.conversation, 0) == first.seq)
    second, _ = exchange(by, to, talk, box)
    own.fill(by, delivered(talk, second.seq))
    assert own.receipts[talk.conversation] == (second.seq, 0)


@pytest.mark.parametrize("known", [False, True])
def test_read_of_a_conversation_without_messages(
    online: Online, api: Api, ada: Person, bob: Person, talk: Talk, known: bool
) -> None:
    """The seq exists in the mailbox, but not in this conversation: nothing says more than that nobody is hurt."""
    by, to = online(ada), online(bob)
    answer, box = exchange(by, to, talk)
    other = person(api).user if known else bytes(2) + message_id()[:14]
    to.put("read", conversation=conversation(bob.user, other), seq=answer.seq)
    to.alive()
    exchange(by, to, talk, box)
