"""Watch, Presence and typing, with the watched user's privacy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, message_id, person
from tests.blackbox.conftest import Online
from tests.blackbox.schema import STATUS_HIDDEN, STATUS_OFFLINE, STATUS_ONLINE, TYPING, WATCH

TOO_MANY_WATCHES, BAD_CONVERSATION, RATE_LIMITED = 1010, 1012, 1004
BAD_FRAME = 4501


def presence(connection: Connection, of: Person | bytes, status: int) -> Any:
    """The next Presence of somebody with this status."""
    user = of if isinstance(of, bytes) else of.user
    return connection.take("presence", lambda body: body.user == user and body.status == status)


def test_online_and_offline_are_told(online: Online, ada: Person, bob: Person) -> None:
    by = online(ada)
    by.put("watch", users=[bob.user])
    assert presence(by, bob, STATUS_OFFLINE).last_seen == 0  # never seen
    to = online(bob)
    presence(by, bob, STATUS_ONLINE)
    to.drop()
    gone = presence(by, bob, STATUS_OFFLINE)
    assert gone.last_seen > 1_600_000_000_000
    online(bob)
    assert presence(by, bob, STATUS_ONLINE).last_seen == gone.last_seen


def test_second_device_keeps_a_user_online(online: Online, ada: Person, bob: Person) -> None:
    phone = bob.another_device()
    one, other, by = online(bob), online(phone), online(ada)
    by.put("watch", users=[bob.user])
    presence(by, bob, STATUS_ONLINE)
    one.close()
    other.close()
    presence(by, bob, STATUS_OFFLINE)
    assert by.names().count("presence") == 0


def test_watch_replaces_the_set(online: Online, api: Api, ada: Person, bob: Person) -> None:
    carol = person(api)
    by = online(ada)
    by.put("watch", users=[bob.user])
    presence(by, bob, STATUS_OFFLINE)
    by.put("watch", users=[carol.user])
    presence(by, carol, STATUS_OFFLINE)
    online(bob)
    online(carol)
    presence(by, carol, STATUS_ONLINE)
    by.alive()
    assert "presence" not in by.names()  # nothing of Bob
    by.put("watch", users=[carol.user, bob.user])  # each newly watched one is answered
    presence(by, bob, STATUS_ONLINE)
    by.put("watch", users=[])
    by.alive()


def test_hidden_from_all_but_contacts(online: Online, api: Api, ada: Person, bob: Person) -> None:
    by = online(ada)
    online(bob)
    bob.privacy(presence="contacts")
    by.put("watch", users=[bob.user])
    assert presence(by, bob, STATUS_HIDDEN).last_seen == 0
    api.good("PUT", f"/contacts/{ada.user_id}", bob.access)
    by.put("watch", users=[])
    by.put("watch", users=[bob.user])
    presence(by, bob, STATUS_ONLINE)


@pytest.mark.parametrize("way", ["privacy", "block"])
def test_hiding_while_watched(online: Online, api: Api, ada: Person, bob: Person, way: str) -> None:
    by = online(ada)
    online(bob)
    by.put("watch", users=[bob.user])
    presence(by, bob, STATUS_ONLINE)
    if way == "block":
        api.good("PUT", f"/blocks/{ada.user_id}", bob.access)
    else:
        bob.privacy(presence="nobody")
    presence(by, bob, STATUS_HIDDEN)


def test_unknown_user_looks_hidden(online: Online, ada: Person) -> None:
    by = online(ada)
    nobody = bytes(2) + message_id()[:14]
    by.put("watch", users=[nobody])
    presence(by, nobody, STATUS_HIDDEN)


def test_too_many_watches_keep_the_earlier_set(online: Online, ada: Person, bob: Person) -> None:
    by = online(ada)
    by.put("watch", users=[bob.user])
    presence(by, bob, STATUS_OFFLINE)
    by.put("watch", users=[bytes(2) + message_id()[:14] for _ in range(257)])
    problem = by.take("problem")
    assert (problem.code, problem.frame) == (TOO_MANY_WATCHES, WATCH)
    online(bob)
    presence(by, bob, STATUS_ONLINE)
    by.put("watch", users=[bytes([0, 0, n]) + message_id()[:13] for n in range(256)])
    for _ in range(256):
        assert by.take("presence").status == STATUS_HIDDEN


def test_watch_of_a_malformed_user(online: Online, ada: Person) -> None:
    by = online(ada)
    by.put("watch", users=[b"short"])
    assert by.close_code() == BAD_FRAME


def test_typing_reaches_the_peer(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to, phone = online(ada), online(bob), online(bob.another_device())
    for active in (True, False):
        by.put("typing", conversation=talk.conversation, active=active)
        for device in (to, phone):
            given = device.take("typing")
            assert (given.conversation, given.sender, given.active) == (talk.conversation, ada.user, active)


def test_typing_of_who_may_not_write_is_not_shown(
    online: Online, api: Api, ada: Person, bob: Person, talk: Talk
) -> None:
    by, to = online(ada), online(bob)
    api.good("PUT", f"/blocks/{ada.user_id}", bob.access)
    by.put("typing", conversation=talk.conversation, active=True)
    by.alive()
    api.good("DELETE", f"/blocks/{ada.user_id}", bob.access)
    talk.send(by)  # what comes after it on the same way is there first
    answer = talk.accepted(by)
    Mailbox().fill(to, lambda box: box.seq >= answer.seq)
    assert "typing" not in to.names()


def test_typing_in_a_malformed_conversation(online: Online, api: Api, ada: Person, bob: Person) -> None:
    by = online(ada)
    for where in (b"", ada.user, conversation(bob.user, person(api).user)):
        by.put("typing", conversation=where, active=True)
        problem = by.take("problem")
        assert (problem.code, problem.frame) == (BAD_CONVERSATION, TYPING)


def test_too_many_signals_are_refused_and_the_connection_lives(online: Online, ada: Person, bob: Person) -> None:
    by, to = online(ada), online(bob)
    talk = Talk(conversation(ada.user, bob.user))
    for _ in range(200):  # 50 a second, and a burst of two seconds
        by.put("typing", conversation=talk.conversation, active=True)
    problem = by.take("problem")
    assert (problem.code, problem.frame, problem.retry) == (RATE_LIMITED, TYPING, 2)
    assert problem.retry_after_ms > 0
    talk.send(by)  # Sends are counted apart
    talk.accepted(by)
    to.alive()
