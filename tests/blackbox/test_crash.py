"""kill -9 of the server at the worst moments: what was accepted is there, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from tests.blackbox.client import Api, Closed, Connection, Mailbox, Talk, conversation, nonce, person
from tests.support.server import Server


def open_(server: Server, token: str, seq: int = 0, rev: int = 0) -> Connection:
    """A connection that has said Hello."""
    connection = Connection(server.ws_url)
    connection.hello(token, seq, rev)
    return connection


def test_killed_before_the_answer_was_read(own_iris: Server) -> None:
    api = Api(own_iris.url)
    ada, bob = person(api), person(api)
    talk, answers = Talk(conversation(ada.user, bob.user)), dict[bytes, tuple[int, int]]()
    for answered in (0, 1, 7):  # how many answers the client saw before the end
        by = open_(own_iris, ada.access)
        for number in range(talk.answered + 1, talk.number + 1):
            talk.send(by, again=number)
        for _ in range(8):
            talk.send(by)
        for _ in range(answered):
            given = by.take("accepted")
            assert answers.setdefault(given.message_id, (given.seq, given.at)) == (given.seq, given.at)
        own_iris.restart()
        by.drop()
    by = open_(own_iris, ada.access)
    for number in range(1, talk.number + 1):
        talk.send(by, again=number)
        given = talk.accepted(by, number)
        assert answers.setdefault(given.message_id, (given.seq, given.at)) == (given.seq, given.at)
    box, to = Mailbox(), open_(own_iris, bob.access)
    box.fill(to, lambda it: len(it.rows) == talk.number)
    assert box.ids() == [talk.sent[number] for number in range(1, talk.number + 1)]
    assert [(row.seq, row.at) for row in box.rows] == [answers[row.message_id] for row in box.rows]
    times = [row.at for row in box.rows]
    assert times == sorted(set(times))
    talk.answered = talk.number
    last = talk.send(by)
    talk.accepted(by)
    box.fill(to, lambda it: last in it.ids())
    assert box.dropped == 0


def test_all_that_was_told_stands_after_a_kill(own_iris: Server) -> None:
    api = Api(own_iris.url)
    ada, bob = person(api), person(api)
    phone = ada.another_device()
    same = nonce()
    tokens = api.good("POST", "/tokens", json={"refresh_token": bob.login.refresh, "nonce": same})
    api.good("POST", "/tokens/revoke", bob.access)
    talk = Talk(conversation(ada.user, bob.user))
    by, to, box, own = (
        open_(own_iris, ada.access),
        open_(own_iris, tokens["access_token"]),
        Mailbox(),
        Mailbox(),
    )
    talk.send(by)
    answer = talk.accepted(by)
    box.fill(to, lambda it: bool(it.rows))
    box.ack(to)
    to.put("read", conversation=talk.conversation, seq=box.seq)
    own.fill(by, lambda it: it.receipts.get(talk.conversation) == (answer.seq, answer.seq) and bool(it.rows))
    api.good("PUT", f"/blocks/{ada.user_id}", bob_access := tokens["access_token"])
    refused = talk.send(by)
    assert by.take("rejected").code == 1003
    own_iris.restart()

    assert by.close_code() == 1006
    again = Mailbox()
    by = open_(own_iris, ada.access)
    again.fill(by, lambda it: it.receipts.get(talk.conversation) == (answer.seq, answer.seq) and bool(it.rows))
    assert again.rows[0].peer_seq == answer.seq
    talk.send(by, again=2)
    assert by.take("rejected").message_id == refused  # a lasting refusal stays one
    talk.send(by, again=1)
    assert talk.accepted(by, 1) == answer
    welcome = Connection(own_iris.ws_url).hello(bob_access, box.seq, box.rev)
    assert (welcome.reset, welcome.oldest, welcome.head) == (False, 0, box.seq)
    assert Connection(own_iris.ws_url).hello(phone.access).device == phone.device
    repeated = api.good("POST", "/tokens", json={"refresh_token": bob.login.refresh, "nonce": same})
    assert repeated["refresh_token"] == tokens["refresh_token"]
    late = Connection(own_iris.ws_url)
    late.put("hello", token=bob.access)
    assert late.close_code() == 4511


def test_acked_rows_stay_acked_and_unacked_ones_come(own_iris: Server) -> None:
    api = Api(own_iris.url)
    ada, bob = person(api), person(api)
    talk, box = Talk(conversation(ada.user, bob.user)), Mailbox()
    by, to = open_(own_iris, ada.access), open_(own_iris, bob.access)
    for _ in range(10):
        talk.send(by)
    for number in range(1, 11):
        talk.accepted(by, number)
    box.fill(to, lambda it: len(it.rows) == 5)
    box.ack(to)
    by.take("receipt", lambda body: body.delivered == box.seq)  # the Ack was heard, and is durable
    own_iris.restart()
    to = open_(own_iris, bob.access, box.seq, box.rev)
    box.fill(to, lambda it: len(it.rows) == 10)
    assert box.ids() == list(talk.sent.values())
    assert box.dropped == 0


def kill_once(server: Server) -> None:
    """kill -9, unless it is dead."""
    if server.process is not None and server.process.poll() is None:
        server.kill()


def go_on(by: Connection, talk: Talk, taken: dict[int, int], before_read: Callable[[], None]) -> None:
    """Keep the window full until the connection breaks; `taken`: number → seq of what was accepted."""
    while True:
        while talk.number < talk.answered + 32:
            talk.send(by)
        before_read()
        given = by.take("accepted")
        assert taken.setdefault(given.client_seq, given.seq) == given.seq
        while talk.answered + 1 in taken:
            talk.answered += 1


def test_sends_that_are_on_their_way_when_it_dies(own_iris: Server) -> None:
    """The client goes on sending until the connection breaks, several times over."""
    api = Api(own_iris.url)
    ada, bob = person(api), person(api)
    talk, taken = Talk(conversation(ada.user, bob.user)), dict[int, int]()
    for until in (50, 120):
        by = open_(own_iris, ada.access)
        for number in range(talk.answered + 1, talk.number + 1):
            talk.send(by, again=number)
        with pytest.raises((Closed, ConnectionClosed)):
            go_on(by, talk, taken, lambda: kill_once(own_iris) if len(taken) >= until else None)  # noqa: B023
        by.drop()
        own_iris.start()
    by = open_(own_iris, ada.access)
    for number in range(talk.answered + 1, talk.number + 1):
        talk.send(by, again=number)
    for number in range(talk.answered + 1, talk.number + 1):
        taken[number] = talk.accepted(by, number).seq
    to, box = open_(own_iris, bob.access), Mailbox()
    box.fill(to, lambda it: len(it.rows) == talk.number)
    assert box.ids() == [talk.sent[number] for number in range(1, talk.number + 1)]
    assert [row.seq for row in box.rows] == [taken[number] for number in range(1, talk.number + 1)]
