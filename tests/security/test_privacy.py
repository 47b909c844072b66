"""What somebody learns of another who does not want it: presence, last seen, typing, receipts, blocks.

Whoever may not see gets the same answer as for somebody who does not exist.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, person
from tests.blackbox.schema import STATUS_HIDDEN, STATUS_OFFLINE, STATUS_ONLINE
from tests.security.conftest import Online

NOT_ALLOWED = 1003


def presence_of(connection: Connection, user: bytes) -> tuple[int, int]:
    """What a new Watch is answered: (status, last seen)."""
    connection.put("watch", users=[])
    connection.put("watch", users=[user])
    body = connection.take("presence", lambda body: body.user == user)
    return body.status, body.last_seen


def block(who: Person, other: Person) -> None:
    who.api.good("PUT", f"/blocks/{other.user_id}", who.access)


# --- presence ---
def hide_from_all(ada: Person, mallory: Person) -> None:
    ada.privacy(presence="nobody")


def hide_from_strangers(ada: Person, mallory: Person) -> None:
    ada.privacy(presence="contacts")


def block_her(ada: Person, mallory: Person) -> None:
    block(ada, mallory)


def be_blocked(ada: Person, mallory: Person) -> None:
    block(mallory, ada)


def contact_but_blocked(ada: Person, mallory: Person) -> None:
    ada.api.good("PUT", f"/contacts/{mallory.user_id}", ada.access)
    ada.privacy(presence="contacts")
    block(ada, mallory)


def only_her_own_contact(ada: Person, mallory: Person) -> None:
    """To be on Mallory's list is not Mallory's being on Ada's."""
    mallory.api.good("PUT", f"/contacts/{ada.user_id}", mallory.access)
    ada.privacy(presence="contacts")


HIDING = (hide_from_all, hide_from_strangers, block_her, be_blocked, contact_but_blocked, only_her_own_contact)


@pytest.mark.parametrize("hide", HIDING, ids=[hide.__name__ for hide in HIDING])
def test_who_may_not_see_is_told_what_nobody_is_told(ada: Person, mallory: Person, online: Online, hide: Any) -> None:
    """Hidden, and last seen 0, while Ada comes and goes; also for a watch that began when it was allowed."""
    m = online(mallory)
    assert presence_of(m, ada.user)[0] == STATUS_OFFLINE
    hide(ada, mallory)
    m.take("presence", lambda body: body.user == ada.user and body.status == STATUS_HIDDEN)
    m.waiting.clear()  # what it saw on the way, when it still might
    a = online(ada)
    a.close()
    online(ada)
    m.alive()
    unknown = presence_of(m, secrets.token_bytes(16))
    assert presence_of(m, ada.user) == unknown == (STATUS_HIDDEN, 0)
    shown = [frame.presence for frame in m.waiting if frame.WhichOneof("body") == "presence"]
    assert [body for body in shown if body.user == ada.user and (body.status, body.last_seen) != unknown] == []


def test_a_contact_sees_and_stops_to_see_at_once(ada: Person, bob: Person, online: Online) -> None:
    """So that the tests above fail for the right reason."""
    ada.api.good("PUT", f"/contacts/{bob.user_id}", ada.access)
    ada.privacy(presence="contacts")
    b = online(bob)
    online(ada)
    b.put("watch", users=[ada.user])
    b.take("presence", lambda body: body.status == STATUS_ONLINE)
    ada.api.good("DELETE", f"/contacts/{bob.user_id}", ada.access)
    assert b.take("presence").status == STATUS_HIDDEN


# --- typing ---
@pytest.mark.parametrize("hide", [block_her, be_blocked, contact_but_blocked, None])
def test_typing_of_who_may_not_write_is_not_shown(ada: Person, mallory: Person, online: Online, hide: Any) -> None:
    if hide is None:
        ada.privacy(messages="contacts")
    else:
        hide(ada, mallory)
    a, m = online(ada), online(mallory)
    m.put("typing", conversation=conversation(ada.user, mallory.user), active=True)
    m.alive()
    a.alive()
    assert a.names() == []


# --- messages and blocks ---
def test_a_block_looks_like_any_other_refusal(ada: Person, bob: Person, mallory: Person, online: Online) -> None:
    """Blocked, having blocked, no contact: the same word, in the same shape, and the next number is taken alike."""
    block(ada, mallory)
    bob.privacy(messages="contacts")
    m = online(mallory)
    found = []
    for other in (ada, bob):
        talk = Talk(conversation(mallory.user, other.user))
        talk.send(m)
        body = m.take("rejected")
        found.append((body.code, body.retry, body.expected, body.current_stream, body.retry_after_ms))
        a = online(other)
        a.alive()
        assert a.names() == []
    assert found[0] == found[1]
    assert found[0][0] == NOT_ALLOWED


def test_a_profile_shows_no_more_than_handle_and_name(api: Api, ada: Person, mallory: Person) -> None:
    ada.privacy(presence="nobody", messages="contacts")
    block(ada, mallory)
    for path in (f"/users/{ada.user_id}", f"/handles/{ada.handle}"):
        assert api.good("GET", path, mallory.access) == {"user_id": ada.user_id, "handle": ada.handle, "name": ""}


def test_nobody_learns_of_being_on_a_list(ada: Person, mallory: Person, online: Online) -> None:
    m = online(mallory)
    for method in ("PUT", "DELETE"):
        for kind in ("contacts", "blocks"):
            ada.api.good(method, f"/{kind}/{mallory.user_id}", ada.access)
    m.alive()
    assert m.names() == []


# --- receipts ---
def test_nobody_gets_receipts_of_others(ada: Person, bob: Person, mallory: Person, online: Online) -> None:
    """Delivered and read go to the sender's own devices and to nobody else."""
    a, b, m = online(ada), online(bob), online(mallory)
    talk = Talk(conversation(ada.user, bob.user))
    talk.send(a)
    talk.accepted(a)
    box = Mailbox()
    box.fill(b, lambda box: len(box.rows) == 1)
    box.ack(b)
    b.put("read", conversation=talk.conversation, seq=box.seq)
    a.take("receipt", lambda body: body.read == box.seq)
    m.alive()
    assert m.names() == []


def test_a_message_one_never_got_cannot_be_acked_or_read_for_another(
    ada: Person, bob: Person, mallory: Person, online: Online
) -> None:
    """Mallory has a mailbox of her own, and its numbers may be as high as Bob's: Ada hears nothing of hers."""
    m = online(mallory)
    for other in (ada, bob):
        talk = Talk(conversation(other.user, mallory.user))
        o = online(other)
        for _ in range(3):
            talk.send(o)
            talk.accepted(o)
    box = Mailbox()
    box.fill(m, lambda box: len(box.rows) == 6)
    a = online(ada)
    mine = Talk(conversation(ada.user, bob.user))
    mine.send(a)
    accepted = mine.accepted(a)
    box.ack(m)
    a.take("receipt", lambda body: body.conversation == conversation(ada.user, mallory.user))
    for seq in (accepted.seq, box.seq, 1):
        m.put("read", conversation=mine.conversation, seq=seq)
        assert m.take("problem").code == 1012  # BAD_CONVERSATION
    a.alive()
    receipts = [frame.receipt for frame in a.waiting if frame.WhichOneof("body") == "receipt"]
    assert [body for body in receipts if body.conversation == mine.conversation] == []


def test_nothing_is_read_that_is_not_there(ada: Person, mallory: Person, online: Online) -> None:
    """Read above the newest row would make receipts for messages that are still to come."""
    a, m = online(ada), online(mallory)
    talk = Talk(conversation(ada.user, mallory.user))
    talk.send(a)
    seq = talk.accepted(a).seq
    for above in (seq + 1, seq + 1000, 2**62):
        m.put("read", conversation=talk.conversation, seq=above)
        assert m.take("problem").code == 1011  # POSITION_UNKNOWN
    a.alive()
    assert [name for name in a.names() if name == "receipt"] == []


def test_after_a_block_no_receipts_go_out(ada: Person, mallory: Person, online: Online) -> None:
    """Read positions of somebody who blocks, or is blocked, are that one's own."""
    a, m = online(ada), online(mallory)
    talk = Talk(conversation(ada.user, mallory.user))
    talk.send(a)
    seq = talk.accepted(a).seq
    block(ada, mallory)
    m.put("read", conversation=talk.conversation, seq=seq)
    m.take("read_sync", lambda body: body.seq == seq)
    later = Talk(conversation(mallory.user, ada.user), stream=2)
    later.send(m)  # answered by Ada's shard: whatever the read set off has passed there
    assert m.take("rejected").code == NOT_ALLOWED
    a.alive()
    assert [frame.receipt.read for frame in a.waiting if frame.WhichOneof("body") == "receipt"] == []


def test_a_stranger_without_a_token_hears_nothing(ada: Person, online: Online, api: Api) -> None:
    online(ada)
    other = person(api)
    for path in (f"/users/{ada.user_id}", f"/handles/{ada.handle}", "/contacts", "/devices"):
        assert api.call("GET", path).status_code == 401
    api.good("DELETE", "/me", other.access, json={"password": "correct horse"})
    assert api.call("GET", f"/users/{ada.user_id}", other.access).status_code == 401
