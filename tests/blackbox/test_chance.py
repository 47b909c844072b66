"""Chance decides what breaks; whatever it is, all that was sent arrives once, in order, on each device."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.blackbox.client import Api, Closed, Connection, Login, Mailbox, Person, Talk, conversation, person
from tests.support.server import Server

MESSAGES = 40
SHORT_S = 0.004


class Writer:
    """A device that sends by the rules of the document, over a network that breaks."""

    def __init__(self, server: Server, login: Login, where: bytes, chance: random.Random) -> None:
        self.server, self.login, self.chance = server, login, chance
        self.talk = Talk(where)
        self.seqs: dict[int, int] = {}
        self.connection: Connection | None = None

    def step(self) -> None:
        """Connect, send one more, send again, read an answer, or break off."""
        if self.connection is None:
            self.connection = Connection(self.server.ws_url)
            self.connection.hello(self.login.access)
            for number in range(self.talk.answered + 1, self.talk.number + 1):
                self.talk.send(self.connection, again=number)
        elif self.chance.random() < 0.04:
            self.cut()
        elif self.talk.number < min(MESSAGES, self.talk.answered + 32) and self.chance.random() < 0.6:
            self.talk.send(self.connection)
        elif self.chance.random() < 0.1 and self.talk.number > self.talk.answered:
            self.talk.send(self.connection, again=self.chance.randint(self.talk.answered + 1, self.talk.number))
        else:
            with contextlib.suppress(TimeoutError):
                self.note(self.connection.take("accepted", timeout=SHORT_S))

    def note(self, given: Any) -> None:
        """An answer never changes."""
        number, seq = given.client_seq, given.seq
        assert self.seqs.setdefault(number, seq) == seq
        while self.talk.answered + 1 in self.seqs:
            self.talk.answered += 1

    def cut(self) -> None:
        """The network breaks."""
        if self.connection is not None:
            self.connection.drop()
            self.connection = None

    def done(self) -> bool:
        """All is answered."""
        return self.talk.answered == MESSAGES


class Reader:
    """A device that loses frames, forgets to ack and breaks off; its store never goes back."""

    def __init__(self, server: Server, login: Login, chance: random.Random) -> None:
        self.server, self.login, self.chance = server, login, chance
        self.box = Mailbox()
        self.connection: Connection | None = None

    def step(self) -> None:
        """Connect, take or lose a frame, ack, or break off."""
        if self.connection is None:
            self.connection = Connection(self.server.ws_url)
            welcome = self.connection.hello(self.login.access, self.box.seq, self.box.rev)
            assert not welcome.reset
            assert not welcome.oldest
        elif self.chance.random() < 0.03:
            self.cut()
        elif self.chance.random() < 0.2:
            self.box.ack(self.connection)
        else:
            with contextlib.suppress(TimeoutError):
                waiting = self.connection.waiting
                frame = waiting.pop(0) if waiting else self.connection.read(SHORT_S)
                if self.chance.random() > 0.1:
                    self.box.offer(frame)

    def cut(self) -> None:
        """The network breaks."""
        if self.connection is not None:
            self.connection.drop()
            self.connection = None

    def messages(self, of: Person) -> list[bytes]:
        """What it took of one sender."""
        return [row.message_id for row in self.box.rows if row.sender == of.user]


@pytest.mark.parametrize("seed", range(2))
def test_whatever_breaks(own_iris: Server, seed: int) -> None:
    chance = random.Random(seed)
    api = Api(own_iris.url)
    ada, bob, carol = person(api), person(api), person(api)
    writers = [Writer(own_iris, who.login, conversation(who.user, bob.user), chance) for who in (ada, carol)]
    readers = [Reader(own_iris, login, chance) for login in (bob.login, bob.another_device())]
    kills = sorted(chance.sample(range(100, 500), 2))
    actors: list[Writer | Reader] = [*writers, *readers]
    for turn in range(20_000):
        if kills and turn == kills[0]:
            kills.pop(0)
            own_iris.restart()
        actor = chance.choice(actors)
        try:
            actor.step()
        except TimeoutError:  # no Welcome
            raise
        except (Closed, ConnectionClosed, OSError):
            actor.cut()
        if all(one.done() for one in writers) and all(len(one.box.rows) >= 2 * MESSAGES for one in readers):
            break
    for writer, who in zip(writers, (ada, carol), strict=True):
        wanted = [writer.talk.sent[number] for number in range(1, MESSAGES + 1)]
        assert sorted(writer.seqs.values()) == [writer.seqs[number] for number in range(1, MESSAGES + 1)]
        for reader in readers:
            assert reader.messages(who) == wanted
            assert {row.seq for row in reader.box.rows if row.sender == who.user} == set(writer.seqs.values())
