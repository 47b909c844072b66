"""Deliver, Ack, cursors and what a new connection resumes from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, person
from tests.blackbox.conftest import Online
from tests.blackbox.schema import KIND_MESSAGE, KIND_OWN_COPY

ACK_BEYOND = 4009
Dial = Callable[[], Connection]


def rows(count: int) -> Callable[[Mailbox], bool]:
    """Until so many rows are held."""
    return lambda box: len(box.rows) >= count


def write(by: Connection, talk: Talk, count: int) -> list[bytes]:
    """Send so many and wait for their answers; the message_ids."""
    made = []
    for first in range(0, count, 16):
        made += [talk.send(by) for _ in range(min(16, count - first))]
        for number in range(talk.answered + 1, talk.number + 1):
            talk.accepted(by, number)
    return made


def test_first_welcome(dial: Dial, ada: Person) -> None:
    welcome = dial().hello(ada.access)
    assert (welcome.user, welcome.device) == (ada.user, ada.login.device)
    assert welcome.session
    assert not welcome.reset
    assert not welcome.oldest
    assert not welcome.features
    assert welcome.token_expires_at == ada.login.expires_at
    assert abs(welcome.time - (ada.login.expires_at - 3_600_000)) < 60_000
    limits = welcome.limits
    assert (limits.payload_bytes_max or 65_536, limits.send_window or 32) == (65_536, 32)
    assert (limits.ping_interval_ms or 10_000, limits.idle_timeout_ms or 18_000) == (10_000, 18_000)
    assert (limits.watches_max or 256, limits.send_repeat_ms or 10_000) == (256, 10_000)


def test_acked_rows_do_not_come_again(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    to, by, box = online(bob), online(ada), Mailbox()
    write(by, talk, 5)
    box.fill(to, rows(5))
    box.ack(to)
    to.alive()
    to.drop()
    to = dial()
    welcome = to.hello(bob.access, box.seq, box.rev)
    assert welcome.head == box.seq
    last = write(by, talk, 1)
    box.fill(to, rows(6))
    assert box.ids()[5:] == last
    assert box.dropped == 0


def test_unacked_rows_come_again_on_the_next_connection(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by = online(ada)
    wanted = write(by, talk, 5)
    for _ in range(3):
        to, box = online(bob), Mailbox()
        box.fill(to, rows(5))
        assert box.ids() == wanted
        to.drop()


def test_resume_at_every_earlier_cursor(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    wanted = write(online(ada), talk, 6)
    box = Mailbox()
    to = online(bob)
    box.fill(to, rows(6))
    to.drop()
    for held in range(6):
        part = Mailbox(seq=box.rows[held].seq)
        to = dial()
        assert not to.hello(bob.access, part.seq).reset
        part.fill(to, rows(5 - held))
        assert part.ids() == wanted[held + 1 :]
        assert part.dropped == 0
        to.drop()


def test_cursor_between_two_rows_resumes_at_the_next(
    dial: Dial, online: Online, api: Api, ada: Person, bob: Person, talk: Talk
) -> None:
    by = online(ada)
    box, to = Mailbox(), online(bob)
    write(by, talk, 2)
    box.fill(to, rows(2))
    write(by, talk, 1)
    box.fill(to, rows(3))
    to.drop()
    for seq in range(box.rows[0].seq, box.rows[2].seq):
        part, to = Mailbox(seq=seq), dial()
        to.hello(bob.access, seq)
        part.fill(to, lambda it: it.seq == box.seq)
        assert part.ids() == [row.message_id for row in box.rows if row.seq > seq]
        to.drop()


def test_cursor_zero_after_everything_was_acked(
    dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    """A device that lost its store: it may get old rows again or a `oldest`; it must get every new one."""
    to, by, box = online(bob), online(ada), Mailbox()
    write(by, talk, 3)
    box.fill(to, rows(3))
    box.ack(to)
    to.alive()
    to.drop()
    to = dial()
    welcome = to.hello(bob.access)
    assert not welcome.reset
    late = Mailbox(seq=welcome.oldest - 1 if welcome.oldest else 0)
    last = write(by, talk, 1)
    late.fill(to, lambda it: last[0] in it.ids())
    assert late.ids() == [*box.ids(), *last][-len(late.rows) :]


def test_cursor_from_the_future_is_reset(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    """It goes on from what is kept: what it may have had comes again, known by its message_id."""
    by, to, box = online(ada), online(bob), Mailbox()
    written = write(by, talk, 2)
    box.fill(to, rows(2))
    acked = box.rows[0].seq
    to.put("ack", seq=acked)
    to.alive()
    to.drop()
    for seq, rev in ((box.seq + 10, 0), (2**53 - 1, 0), (2**64 - 1, 2**64 - 1), (0, 2**52)):
        to = dial()
        welcome = to.hello(bob.access, seq, rev)
        assert welcome.reset
        assert welcome.head <= acked
        at = max(min(seq, welcome.head), welcome.oldest - 1)  # 0: what was acked before may be gone, and that is told
        resumed = Mailbox(at, min(rev, welcome.head_rev))  # only the one that is above
        written += write(by, talk, 1)
        resumed.fill(to, lambda it, last=written[-1]: last in it.ids())  # type: ignore[misc]
        assert resumed.dropped == 0
        assert resumed.ids() == written[0 if at < acked else 1 :]
        to.drop()


@pytest.mark.parametrize(("seq", "rev"), [(1, 0), (0, 1), (2**63, 0), (2**64 - 1, 2**64 - 1)])
def test_ack_beyond_closes_and_loses_nothing(
    dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk, seq: int, rev: int
) -> None:
    by, to, box = online(ada), online(bob), Mailbox()
    wanted = write(by, talk, 3)
    box.fill(to, rows(3))
    to.put("ack", seq=min(box.seq + seq, 2**64 - 1) if seq else 0, rev=min((1 << 60) + rev, 2**64 - 1) if rev else 0)
    assert to.close_code() == ACK_BEYOND
    again, to = Mailbox(), dial()
    welcome = to.hello(bob.access)
    assert not welcome.oldest
    again.fill(to, rows(3))
    assert again.ids() == wanted
    again.ack(to)
    to.alive()
    by.alive()


def test_ack_of_what_another_connection_was_sent(
    dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    """`Above anything this connection was sent, or resumed at`: the row that waits behind the window is above."""
    by, to, box = online(ada), online(bob), Mailbox()
    wanted = write(by, talk, 300)  # more than deliver_window
    box.fill(to, rows(256))
    to.alive()
    to.drop()
    to = dial()
    welcome = to.hello(bob.access, box.rows[0].seq)
    assert welcome.head > box.seq
    to.put("ack", seq=welcome.head)
    assert to.close_code() == ACK_BEYOND
    again = Mailbox(seq=box.rows[0].seq)
    to = dial()
    to.hello(bob.access, again.seq)
    while len(again.rows) < 299:
        again.fill(to, rows(min(299, len(again.rows) + 100)))
        again.ack(to)
    assert again.ids() == wanted[1:]


def test_smaller_ack_and_zero_ack_do_no_harm(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to, box = online(ada), online(bob), Mailbox()
    wanted = write(by, talk, 4)
    box.fill(to, rows(4))
    box.ack(to)
    to.put("ack", seq=box.rows[0].seq)
    to.put("ack")
    wanted += write(by, talk, 1)
    box.fill(to, rows(5))
    assert box.ids() == wanted


def test_window_stops_and_an_ack_moves_it(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    wanted = write(online(ada), talk, 300)
    to, box = online(bob), Mailbox()
    box.fill(to, rows(256))
    to.alive()
    assert "deliver" not in to.names()  # it stops there
    box.ack(to)
    box.fill(to, rows(300))
    assert box.ids() == wanted
    assert box.dropped == 0


def test_never_acked_comes_again(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    wanted = write(online(ada), talk, 3)
    to = online(bob)
    for _ in range(3):  # the first time, and twice after deliver_repeat_ms
        assert [to.take("deliver").message_id for _ in range(3)] == wanted


def test_repeated_ack_of_an_unchanged_cursor_rewinds(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    by, to, box = online(ada), online(bob), Mailbox()
    wanted = write(by, talk, 2)
    box.fill(to, rows(2))
    box.ack(to)
    wanted += write(by, talk, 3)
    to.take("deliver")  # lost between socket and store: the client never sees the first of three
    box.fill(to, lambda it: it.dropped >= 2)
    assert len(box.rows) == 2
    box.ack(to)
    box.fill(to, rows(5))
    assert box.ids() == wanted


def test_lost_row_cannot_be_acked_over(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    """One of two is dropped, the connection is cut: the next one starts at the cursor."""
    by, to, box = online(ada), online(bob), Mailbox()
    wanted = write(by, talk, 4)
    to.take("deliver")
    box.fill(to, lambda it: it.dropped == 3)
    box.ack(to)
    to.drop()
    to = dial()
    to.hello(bob.access, box.seq, box.rev)
    box.fill(to, rows(4))
    assert box.ids() == wanted


def test_own_copies_reach_all_devices(online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = ada.another_device()
    here, there = online(ada), online(phone)
    identity = talk.send(here)
    answer = talk.accepted(here)
    for device in (here, there):
        copy = device.take("deliver")
        assert (copy.kind, copy.message_id, copy.sender, copy.device) == (KIND_OWN_COPY, identity, ada.user, 1)
        assert (copy.peer_seq, copy.at) == (answer.seq, answer.at)
    to = online(bob)
    Talk(talk.conversation).send(to)
    for device in (here, there):
        assert device.take("deliver").kind == KIND_MESSAGE


def test_each_device_has_its_own_cursor(dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk) -> None:
    phone = bob.another_device()
    by, one, box = online(ada), online(bob), Mailbox()
    wanted = write(by, talk, 3)
    box.fill(one, rows(3))
    box.ack(one)
    one.alive()
    other, late = dial(), Mailbox()
    other.hello(phone.access)
    late.fill(other, rows(3))
    assert late.ids() == wanted


def test_new_device_starts_at_the_newest_row_that_another_one_has(
    dial: Dial, online: Online, ada: Person, bob: Person, talk: Talk
) -> None:
    by, one, box = online(ada), online(bob), Mailbox()
    write(by, talk, 3)
    box.fill(one, rows(3))
    box.ack(one)
    one.alive()
    phone, late = bob.another_device(), Mailbox()
    other = dial()
    welcome = other.hello(phone.access)
    assert not welcome.reset
    new = write(by, talk, 1)
    late.fill(other, rows(1))
    assert late.ids() == new


def test_only_device_starts_where_the_last_one_ended(
    dial: Dial, online: Online, api: Api, ada: Person, bob: Person, talk: Talk
) -> None:
    by, one, box = online(ada), online(bob), Mailbox()
    write(by, talk, 2)
    box.fill(one, rows(2))
    box.ack(one)
    one.alive()
    api.good("DELETE", "/sessions/current", bob.access)
    assert one.close_code() == 4511
    missed = write(by, talk, 2)
    to, late = dial(), Mailbox()
    again = api.log_in(bob.handle)
    assert again.device > bob.login.device
    to.hello(again.access)
    late.fill(to, rows(2))
    assert late.ids() == missed


def test_first_device_gets_what_came_before_it(api: Api, dial: Dial, online: Online, ada: Person) -> None:
    """A registered user without any device has a mailbox too."""
    made = person(api)
    api.good("DELETE", "/sessions/current", made.access)
    talk = Talk(conversation(ada.user, made.user))
    wanted = write(online(ada), talk, 2)
    to, box = dial(), Mailbox()
    to.hello(api.log_in(made.handle).access)
    box.fill(to, rows(2))
    assert box.ids() == wanted
