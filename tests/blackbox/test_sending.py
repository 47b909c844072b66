"""Numbers, streams and outcomes of Send, one rule of the document after the other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, message_id, person, text
from tests.blackbox.conftest import Online
from tests.blackbox.schema import RETRY_GAP, RETRY_NEVER, RETRY_NEW_STREAM

STREAM_STALE, SEQUENCE_GAP, NOT_ALLOWED, UNKNOWN_USER, SELF, BAD_CONVERSATION = 1001, 1002, 1003, 1007, 1008, 1012


def rejected(connection: Connection, identity: bytes) -> Any:
    """The Rejected of a message."""
    return connection.take("rejected", lambda body: body.message_id == identity)


def stored(to: Connection, count: int) -> list[bytes]:
    """The first `count` rows of a mailbox; a row that `prev` jumps over would never be taken."""
    box = Mailbox()
    box.fill(to, lambda it: len(it.rows) == count)
    return box.ids()


def test_message_arrives_as_it_was_sent(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    to, by = online(bob), online(ada)
    identity = talk.send(by, "hi")
    answer = talk.accepted(by)
    row = to.take("deliver")
    assert (row.seq, row.at, row.message_id) == (answer.seq, answer.at, identity)
    assert (row.sender, row.device, row.kind) == (ada.user, ada.login.device, 1)
    assert (row.payload, row.content_type, row.alg) == (text("hi"), 1, 0)
    assert row.conversation == talk.conversation
    assert row.prev < row.seq


def test_payload_of_any_kind_is_carried(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    to, by = online(bob), online(ada)
    given = [
        (b"", 0, 0),
        (bytes(range(256)) * 256, 77, 12),
    ]  # empty, and the full 65,536 bytes; enum values of tomorrow
    for payload, kind, alg in given:
        talk.send(by, payload=payload, content_type=kind, alg=alg)
        talk.accepted(by)
        row = to.take("deliver")
        assert (row.payload, row.content_type, row.alg) == (payload, kind, alg)


def test_drop_before_the_answer_then_the_same_again(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    to = online(bob)
    by = online(ada)
    identity = talk.send(by)
    row = to.take("deliver")  # so it is stored
    by.drop()
    for _ in range(2):
        by = online(ada)
        talk.send(by, again=1)
        answer = talk.accepted(by, 1)
        assert (answer.seq, answer.at) == (row.seq, row.at)
        by.drop()
    by = online(ada)
    after = talk.send(by)
    talk.accepted(by)
    assert to.take("deliver").prev == row.seq  # nothing between
    assert stored(online(bob), 2) == [identity, after]


def test_drops_at_any_moment_store_all_once_and_in_order(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    wanted: list[bytes] = []
    answers: dict[bytes, int] = {}
    for cut in range(6):  # the cut comes while answers are on their way: nobody knows how far the server got
        by = online(ada)
        for number in range(1, talk.number + 1):
            talk.send(by, again=number)
        wanted += [talk.send(by) for _ in range(4)]
        for _ in range(cut):
            given = by.take("accepted")
            assert answers.setdefault(given.message_id, given.seq) == given.seq
        by.drop()
    by = online(ada)
    for number in range(1, talk.number + 1):
        talk.send(by, again=number)
    for number in range(1, talk.number + 1):
        given = talk.accepted(by, number)
        assert answers.setdefault(given.message_id, given.seq) == given.seq
    assert stored(online(bob), len(wanted)) == wanted
    assert sorted(answers.values()) == [answers[identity] for identity in wanted]


def test_repeat_on_the_same_connection(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    talk.send(by)
    first = talk.accepted(by)
    for _ in range(3):
        talk.send(by, again=1, payload=text("something else"), after=5)  # the first outcome counts
        assert talk.accepted(by, 1) == first
    talk.send(by)
    talk.accepted(by)
    assert len(stored(online(bob), 2)) == 2


def test_skipped_number_is_a_gap(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    talk.send(by)
    talk.accepted(by)
    late = message_id()
    for number in (3, 4, 1000, 2**53 - 1):
        talk.send(by, client_seq=number, message_id=late, again=50)
        answer = rejected(by, late)
        assert (answer.code, answer.retry, answer.expected) == (SEQUENCE_GAP, RETRY_GAP, 2)
        assert (answer.stream, answer.client_seq) == (1, number)
    talk.send(by)
    talk.accepted(by)
    assert stored(online(bob), 2) == [talk.sent[1], talk.sent[2]]


def test_first_number_of_a_stream_is_one(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    identity = talk.send(by, client_seq=2)
    assert rejected(by, identity).expected == 1
    identity = talk.send(by, stream=9, client_seq=5)
    assert rejected(by, identity).expected == 1
    # nothing was stored: stream 1 still stands
    talk.send(by, again=7, client_seq=1)
    assert by.take("accepted").client_seq == 1


def test_number_with_another_message_is_stale(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    for _ in range(3):
        talk.send(by)
        talk.accepted(by)
    strange = message_id()
    talk.send(by, again=60, client_seq=2, message_id=strange)
    answer = rejected(by, strange)
    assert (answer.code, answer.retry, answer.current_stream) == (STREAM_STALE, RETRY_NEW_STREAM, 1)
    # the same number with the message of another number is no repeat either
    talk.send(by, again=61, client_seq=2, message_id=talk.sent[3])
    assert rejected(by, talk.sent[3]).code == STREAM_STALE
    talk.stream, talk.number, talk.answered, talk.sent = 2, 0, 0, {}
    again = talk.send(by, message_id=strange)
    assert again == strange
    talk.accepted(by)
    assert stored(online(bob), 4)[3] == strange


def test_older_stream_is_stale(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    talk.send(by, stream=7)
    assert by.take("accepted").stream == 7
    for stream in (1, 6):
        identity = talk.send(by, again=10 + stream, stream=stream, client_seq=1)
        answer = rejected(by, identity)
        assert (answer.code, answer.current_stream, answer.stream) == (STREAM_STALE, 7, stream)
        assert answer.retry == RETRY_NEW_STREAM


def test_answered_above_what_was_spent_is_stale(online: Online, ada: Person, talk: Talk) -> None:
    by = online(ada)
    talk.send(by)
    talk.accepted(by)
    identity = talk.send(by, answered=2)
    answer = rejected(by, identity)
    assert (answer.code, answer.current_stream) == (STREAM_STALE, 1)
    identity = talk.send(by, again=9, stream=2, client_seq=1, answered=1)  # in a new stream all counts from 0
    assert rejected(by, identity).code == STREAM_STALE


def test_known_message_under_a_new_number_keeps_its_outcome(
    online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    by = online(ada)
    first = talk.send(by)
    given = talk.accepted(by)
    second = talk.send(by)
    talk.accepted(by)
    talk.send(by, message_id=first)  # the same stream, number 3
    again = by.take("accepted", lambda body: body.client_seq == 3)
    assert (again.seq, again.at, again.message_id) == (given.seq, given.at, first)
    talk.send(by, again=20, stream=2, client_seq=1, message_id=first)  # a new stream
    again = by.take("accepted", lambda body: body.stream == 2)
    assert (again.seq, again.at, again.client_seq) == (given.seq, given.at, 1)
    third = talk.send(by, again=21, stream=2, client_seq=2)
    by.take("accepted", lambda body: body.client_seq == 2 and body.stream == 2)
    assert stored(online(bob), 3) == [first, second, third]


def test_known_message_under_another_new_stream_spends_its_number(
    online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    by = online(ada)
    talk.send(by)
    first = talk.accepted(by)
    for stream in (2, 3, 4):  # a client that restarts again and again with one unanswered message
        talk.send(by, again=1, stream=stream, client_seq=1)
        given = by.take("accepted", lambda body: body.message_id == talk.sent[1])
        assert (given.seq, given.stream, given.client_seq) == (first.seq, stream, 1)
        identity = talk.send(by, again=100 + stream, stream=stream, client_seq=3)
        assert rejected(by, identity).expected == 2
    assert stored(online(bob), 1) == [talk.sent[1]]


def test_window_of_32_outcomes_is_remembered(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    for _ in range(32):  # the whole window at once, no answer awaited
        talk.send(by)
    given = {number: talk.accepted(by, number).seq for number in range(1, 33)}
    by.drop()
    by = online(ada)
    talk.answered = 0  # none was durable
    for number in range(1, 33):
        talk.send(by, again=number)
    assert {number: talk.accepted(by, number).seq for number in range(1, 33)} == given
    by.drop()
    by = online(ada)
    for number in range(1, 33):  # the program was started again: a new stream, the same messages
        talk.send(by, again=number, stream=2, answered=0)
    again = [by.take("accepted", lambda body: body.stream == 2) for _ in range(32)]
    assert {body.client_seq: body.seq for body in again} == given
    assert stored(online(bob), 32) == [talk.sent[number] for number in range(1, 33)]


def test_outcomes_of_an_older_stream_are_kept_across_streams(
    online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    by = online(ada)
    for _ in range(20):
        talk.send(by)
        talk.accepted(by)
    talk.send(by, again=40, stream=2, client_seq=1, answered=0)
    by.take("accepted", lambda body: body.stream == 2)
    for number in range(2, 22):  # 20 of stream 1 repeated in stream 2, after a new one
        talk.send(by, again=number - 1, stream=2, client_seq=number, answered=0)
    for number in range(2, 22):
        answer = by.take("accepted", lambda body, n=number: body.stream == 2 and body.client_seq == n)  # type: ignore[misc]
        assert answer.message_id == talk.sent[number - 1]
    assert stored(online(bob), 21) == [talk.sent[n] for n in (*range(1, 21), 40)]


def test_number_whose_outcome_was_forgotten_is_stale(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    for _ in range(40):
        talk.send(by)
        talk.accepted(by)
    talk.send(by, again=1, answered=0)
    assert rejected(by, talk.sent[1]).code == STREAM_STALE
    talk.send(by, again=9, answered=0)  # the oldest of 32
    assert talk.accepted(by, 9).client_seq == 9
    assert stored(online(bob), 40) == [talk.sent[number] for number in range(1, 41)]


def test_streams_of_two_devices_do_not_meet(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = ada.another_device()
    here, there = online(ada), online(phone)
    other = Talk(talk.conversation)
    one = talk.send(here)
    two = other.send(there)
    assert talk.accepted(here).message_id == one
    assert other.accepted(there).message_id == two
    assert sorted(stored(online(bob), 2)) == sorted([one, two])


def test_same_message_id_of_two_devices_is_two_messages(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = ada.another_device()
    here, there = online(ada), online(phone)
    same = talk.send(here)
    talk.accepted(here)
    other = Talk(talk.conversation)
    other.send(there, message_id=same)
    other.accepted(there)
    assert stored(online(bob), 2) == [same, same]  # the recipient shows it once: (sender, message_id)


def test_final_refusals_spend_no_number(online: Online, api: Api, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    nobody = bytes([0, 0]) + message_id()[:14]
    stranger = person(api)
    cases = [
        (conversation(ada.user, nobody), UNKNOWN_USER),
        (conversation(ada.user, ada.user), SELF),
        (conversation(bob.user, stranger.user), BAD_CONVERSATION),  # not hers
        (max(ada.user, bob.user) + min(ada.user, bob.user), BAD_CONVERSATION),
        (ada.user, BAD_CONVERSATION),
        (b"", BAD_CONVERSATION),
        (bytes(64), BAD_CONVERSATION),
        (bytes(32), BAD_CONVERSATION),
    ]
    for where, code in cases:
        for _ in range(2):
            wrong = Talk(where)
            identity = wrong.send(by)
            answer = rejected(by, identity)
            assert (answer.code, answer.retry) == (code, RETRY_NEVER), where.hex()
            assert (answer.stream, answer.client_seq, answer.conversation) == (1, 1, where)
    wrong = Talk(conversation(ada.user, nobody))
    wrong.number = 1
    identity = wrong.send(by)
    assert rejected(by, identity).code in (SEQUENCE_GAP, UNKNOWN_USER)  # number 1 was not spent
    talk.send(by)
    talk.accepted(by)
    assert stored(online(bob), 1) == [talk.sent[1]]


def test_block_is_a_lasting_refusal(online: Online, api: Api, ada: Person, bob: Person, talk: Talk) -> None:
    to, by = online(bob), online(ada)
    api.good("PUT", f"/blocks/{ada.user_id}", bob.access)
    refused = talk.send(by)
    answer = rejected(by, refused)
    assert (answer.code, answer.retry) == (NOT_ALLOWED, RETRY_NEVER)
    back = Talk(talk.conversation)
    identity = back.send(to)  # nor the other way
    assert rejected(to, identity).code == NOT_ALLOWED
    api.good("DELETE", f"/blocks/{ada.user_id}", bob.access)
    talk.send(by, again=1)  # an answer never changes
    assert rejected(by, refused).code == NOT_ALLOWED
    taken = talk.send(by)  # number 2: number 1 is spent
    talk.accepted(by, 2)
    talk.send(by, again=1, stream=2, client_seq=1)  # under another number too
    assert rejected(by, refused).code == NOT_ALLOWED
    assert stored(online(bob), 1) == [taken]


def test_only_contacts_may_write(online: Online, api: Api, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    bob.privacy(messages="contacts")
    assert rejected(by, talk.send(by)).code == NOT_ALLOWED
    api.good("PUT", f"/contacts/{ada.user_id}", bob.access)
    talk.send(by)
    talk.accepted(by, 2)


def test_at_grows_and_comes_after_the_question(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    to, by = online(bob), online(ada)
    times: list[int] = []
    back = Talk(talk.conversation)
    for _ in range(10):
        talk.send(by, after=times[-1] if times else 0)
        times.append(talk.accepted(by).at)
        back.send(to, after=times[-1])
        times.append(back.accepted(to).at)
    assert times == sorted(set(times))
    ahead = times[-1] + 3000  # within 5 s of the server's clock: taken
    talk.send(by, after=ahead)
    assert talk.accepted(by).at == ahead + 1
    talk.send(by)
    assert talk.accepted(by).at == ahead + 2
    back.send(to, after=ahead + 2)
    assert back.accepted(to).at == ahead + 3


def test_at_grows_over_all_devices_of_a_sender(online: Online, ada: Person, talk: Talk) -> None:
    here, there = online(ada), online(ada.another_device())
    other = Talk(talk.conversation)
    talk.send(here)
    ahead = talk.accepted(here).at + 3000
    talk.send(here, after=ahead)
    assert talk.accepted(here).at == ahead + 1
    other.send(there)
    assert other.accepted(there).at == ahead + 2


@pytest.mark.parametrize("far", [60_000, 2**62])
def test_after_far_in_the_future_is_ignored(online: Online, ada: Person, bob: Person, talk: Talk, far: int) -> None:
    by = online(ada)
    talk.send(by)
    first = talk.accepted(by).at
    talk.send(by, after=first + far)
    assert first < talk.accepted(by).at < first + 30_000
