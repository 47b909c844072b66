"""The edge: Hello, attach, routing, limits, refresh, the end of a token, shutdown, connections that come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import ATTACHED, Attach, Attached, Detach, Detached, SendIn
from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import LogoutAll
from iris.edge.session import Bucket, State
from iris.edge.table import TABLE
from tests.support.world import KEY, KID, LEEWAY_MS, World
from tests.support.world_client import Client

NEXT = 1 << 40  # a batch that comes next, whatever the node has sent


@pytest.fixture
def new_world() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**options: int) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for world in made:
        world.settle()
        world.audit()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def problems(client: Client) -> list[tuple[int, int]]:
    return [(problem.frame, problem.code) for problem in client.got(f.Problem)]


# --- Hello ---
def test_welcome_says_what_a_client_must_know(world: World) -> None:
    ada, bob = pair(world)
    ada.send(bob.user, "one")
    world.settle()
    bob.connect()
    world.settle()
    welcome, limits = bob.welcome, world.limits
    assert welcome is not None
    assert (welcome.user, welcome.device, welcome.time) == (bob.user, bob.device, world.wall)
    assert (welcome.head, welcome.head_rev) == (bob.saved.seq, bob.saved.rev)
    assert (welcome.oldest, welcome.reset, welcome.features) == (0, False, ())
    assert 0 <= world.wall + 3_600_000 - welcome.token_expires_at < 1_000, "tokens count whole seconds"
    assert welcome.limits == (
        limits.payload_bytes_max, limits.send_window, limits.ping_interval_ms, limits.idle_timeout_ms,
        limits.watches_max, limits.send_repeat_ms,
    )  # fmt: skip
    assert len(welcome.session) == 16


@pytest.mark.parametrize(("shift", "code"), [
    (0, CloseCode.TOKEN_INVALID), (3_600_000 + LEEWAY_MS + 1, CloseCode.TOKEN_EXPIRED),
    (-LEEWAY_MS - 1_000, CloseCode.TOKEN_INVALID),
])  # fmt: skip
def test_a_token_that_does_not_stand_opens_nothing(world: World, shift: int, code: CloseCode) -> None:
    """Forged, expired, or from the future: the leeway is for clocks that differ."""
    ada, _bob = pair(world)
    token = world.token(ada)
    world.shift(shift)
    ada.connect(token=token if shift else token[:-4] + "AAAA")
    world.settle()
    assert ada.closed == code
    assert ada.welcome is None
    assert not [session for session in world.edges[0].edge.sessions.values() if session.user == ada.user]


@pytest.mark.parametrize("shift", [3_600_000 + LEEWAY_MS - 1_000, -LEEWAY_MS])
def test_a_token_within_the_leeway_opens_a_session(world: World, shift: int) -> None:
    ada, _bob = pair(world)
    token = world.token(ada)
    world.shift(shift)
    ada.connect(token=token)
    world.settle()
    assert ada.welcome is not None


def test_a_shard_that_does_not_answer_costs_the_session_not_the_messages(world: World) -> None:
    """attach_timeout_ms."""
    ada, bob = pair(world)
    attaches = world.fabric.lose(Attach)
    bob.connect()
    world.wait(world.limits.attach_timeout_ms + 1_500)
    assert bob.closed == CloseCode.SHARD_MOVED
    assert len(attaches) >= 4, "it was asked again and again"
    assert len({attach.attempt for attach in attaches}) == 1, "as one attempt"
    world.fabric.passes = None
    ada.send(bob.user, "one")
    bob.connect()
    world.settle()
    assert bob.texts(ada.user) == ["one"]


def test_nothing_is_said_before_welcome(world: World) -> None:
    """The answer to Bob's Attach is lost; what the shard sends him since waits for another one."""
    ada, bob = pair(world)
    bob.disconnect()
    ada.send(bob.user, "waits")
    world.settle()
    seen = len(bob.frames)
    lost = world.fabric.lose(Attached, most=1)
    bob.connect()
    world.settle()
    assert lost
    assert bob.frames[seen:] == []
    world.fabric.passes = None
    world.wait(2_000)
    assert isinstance(bob.frames[seen], f.Welcome)
    assert bob.texts(ada.user) == ["waits"]
    assert not world.edges[0].edge.unwelcomed


def test_frames_before_welcome_are_refused_not_lost(world: World) -> None:
    """A client that does not wait: a Send is to be repeated, an Ack and a Watch are remembered."""
    ada, bob = pair(world)
    world.fabric.lose(Attach)
    ada.connect()
    conversation = direct_conversation(ada.user, bob.user)
    for frame in (
        f.Send(f.SEND, 0, conversation, 1, 1, 0, b"m" * 16, 0, b"", 1, 0), f.Read(f.READ, 0, conversation, 1),
        f.SetTyping(f.SET_TYPING, 0, conversation, True), f.Refresh(f.REFRESH, 0, "x"),
        f.Watch(f.WATCH, 0, (bob.user,)), f.Ack(f.ACK, 0, 0, 0),
    ):  # fmt: skip
        ada.post(frame)
    ada.frames.clear()
    world.settle()
    (rejected,) = ada.got(f.Rejected)
    assert (rejected.code, rejected.retry) == (ErrorCode.OVERLOADED, f.RETRY_AFTER)
    assert problems(ada) == [(kind, ErrorCode.OVERLOADED) for kind in (f.READ, f.SET_TYPING, f.REFRESH)]
    world.fabric.passes = None
    world.wait(2_000)
    assert ada.presence[bob.user][0] == f.STATUS_ONLINE


# --- routing ---
def test_a_send_goes_to_the_recipients_shard_with_what_is_known_of_the_sender(world: World) -> None:
    (ada, _other), (bob,) = world.join("ada", 2), world.join("bob")
    commands = world.fabric.see(SendIn)
    ada.say(bob.user, 1, 1)
    (command,) = commands
    assert (command.user, command.sender, command.device, command.copies) == (bob.user, ada.user, ada.device, True)


def test_two_edges_serve_one_user(new_world: Callable[..., World]) -> None:
    world = new_world(edges=2)
    (ada,), bobs = world.join("ada"), world.join("bob", 2)
    bobs[1].connect(1)
    world.settle()
    ada.send(bobs[0].user, "one")
    world.settle()
    assert [bob.texts(ada.user) for bob in bobs] == [["one"], ["one"]]
    bobs[0].connect(1)
    world.settle()
    assert bobs[0].welcome is not None
    assert not world.edges[0].edge.detaching


# --- limits of a device ---
def test_sends_above_the_allowance_are_refused_and_go_out_later(new_world: Callable[..., World]) -> None:
    """sends_per_second_max, with a burst of two seconds."""
    world = new_world(sends_per_second_max=5)
    ada, bob = pair(world)
    for number in range(14):
        ada.send(bob.user, f"{number:02d}")
    world.settle()
    codes = {rejected.code for rejected in ada.got(f.Rejected)}
    assert ErrorCode.RATE_LIMITED in codes
    world.wait(20_000)
    assert bob.texts(ada.user) == [f"{number:02d}" for number in range(14)]


def test_signals_above_the_allowance_are_refused(new_world: Callable[..., World]) -> None:
    """signals_per_second_max: Read, SetTyping, Watch and Refresh together; Acks are never refused."""
    world = new_world(signals_per_second_max=2)
    ada, bob = pair(world)
    conversation = direct_conversation(ada.user, bob.user)
    for frame in (
        f.SetTyping(f.SET_TYPING, 0, conversation, True), f.SetTyping(f.SET_TYPING, 0, conversation, False),
        f.Watch(f.WATCH, 0, ()), f.Read(f.READ, 0, conversation, 0), f.Refresh(f.REFRESH, 0, world.token(ada)),
        f.SetTyping(f.SET_TYPING, 0, conversation, True), f.Ack(f.ACK, 0, 0, 0),
    ):  # fmt: skip
        ada.post(frame)
    world.settle()
    assert problems(ada) == [(f.REFRESH, ErrorCode.RATE_LIMITED), (f.SET_TYPING, ErrorCode.RATE_LIMITED)]
    assert all(problem.retry == f.RETRY_AFTER and problem.retry_after_ms for problem in ada.got(f.Problem))
    world.wait(1_000)
    ada.post(f.SetTyping(f.SET_TYPING, 0, conversation, True))
    world.settle()
    assert len(problems(ada)) == 2


def test_too_many_watches_leave_the_earlier_set(new_world: Callable[..., World]) -> None:
    """watches_max."""
    world = new_world(watches_max=2)
    ada, bob = pair(world)
    (cyn,) = world.join("cyn")
    ada.post(f.Watch(f.WATCH, 0, (bob.user, bob.user, cyn.user)))
    world.settle()
    assert not problems(ada), "naming one twice is one"
    ada.post(f.Watch(f.WATCH, 0, (bob.user, cyn.user, ada.user)))
    world.settle()
    assert problems(ada) == [(f.WATCH, ErrorCode.TOO_MANY_WATCHES)]
    assert len(world.user(bob.user).watchers) == 1


@pytest.mark.parametrize(("stream", "number"), [(0, 1), (1, 0), (1 << 53, 1), ((1 << 64) - 1, 1), (1, 1 << 53)])
def test_numbers_that_cannot_be_are_a_bad_frame(world: World, stream: int, number: int) -> None:
    """A stream at the end of all numbers would leave no newer one to open."""
    ada, bob = pair(world)
    ada.post(f.Send(f.SEND, 0, direct_conversation(ada.user, bob.user), stream, number, 0, b"m" * 16, 0, b"", 1, 0))
    world.settle()
    assert ada.closed == CloseCode.BAD_FRAME


def test_a_mistake_of_ours_costs_one_connection_not_the_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = pair(world)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(TABLE, (State.READY, f.SET_TYPING), broken)
    edge = world.edges[0].edge
    ada.post(f.SetTyping(f.SET_TYPING, 0, direct_conversation(ada.user, bob.user), True))
    bob.send(ada.user, "still here")
    world.settle()
    assert ada.closed == CloseCode.SERVER_ERROR
    assert edge.counters["iris_internal_errors_total"] == 1
    assert "ZeroDivisionError" in edge.mistakes[0]
    ada.connect()
    world.settle()
    assert ada.texts(bob.user) == ["still here"]


def test_typing_in_a_strange_conversation_is_a_problem(world: World) -> None:
    ada, bob = pair(world)
    for conversation in (b"", b"x" * 32, ada.user + ada.user, bob.user + b"\xff" * 16):
        ada.frames.clear()
        ada.post(f.SetTyping(f.SET_TYPING, 0, conversation, True))
        world.settle()
        assert problems(ada) == [(f.SET_TYPING, ErrorCode.BAD_CONVERSATION)]


def test_a_bucket_holds_two_seconds() -> None:
    bucket = Bucket(10, 0)
    assert [bucket.take(10, 0) for _ in range(21)] == [True] * 20 + [False]
    assert [bucket.take(10, 100), bucket.take(10, 100)] == [True, False]
    assert sum(bucket.take(10, 100_000) for _ in range(30)) == 20


# --- tokens in a session ---
def test_a_session_ends_with_its_token_unless_it_is_refreshed(world: World) -> None:
    ada, bob = pair(world)
    ada.connect(token=world.token(ada, lifetime_ms=100_000))
    bob.connect(token=world.token(bob, lifetime_ms=100_000))
    world.wait(50_000)
    bob.jti = "second"
    bob.post(f.Refresh(f.REFRESH, 0, world.token(bob, lifetime_ms=100_000)))
    world.settle()
    (refreshed,) = bob.got(f.Refreshed)
    assert 0 <= world.wall + 100_000 - refreshed.token_expires_at < 1_000
    world.wait(50_000 + LEEWAY_MS - 1_000)
    assert ada.connected()
    world.wait(2_000)
    assert ada.closed == CloseCode.TOKEN_EXPIRED
    assert bob.connected()
    world.wait(50_000)
    assert bob.closed == CloseCode.TOKEN_EXPIRED


def test_a_token_that_ends_before_the_shard_answers_opens_nothing(world: World) -> None:
    ada, _bob = pair(world)
    world.fabric.lose(Attach)
    world.fabric.renewals = False  # the shard is cut off: without a lease the edge waits for it
    world.wait(4_000)
    ada.connect(token=world.token(ada, lifetime_ms=10_000))
    world.wait(10_000 + LEEWAY_MS + 1_000)
    assert ada.closed == CloseCode.TOKEN_EXPIRED
    world.fabric.passes = None
    world.fabric.renewals = True
    world.wait(5_000)
    assert ada.got(f.Welcome)[1:] == []


def test_a_clock_that_was_set_back_delays_the_end_but_does_not_forget_it(world: World) -> None:
    ada, _bob = pair(world)
    ada.connect(token=world.token(ada, lifetime_ms=100_000))
    world.wait(10_000)
    world.shift(-20_000)
    world.wait(100_000 + LEEWAY_MS)
    assert ada.connected()
    world.wait(20_000)
    assert ada.closed == CloseCode.TOKEN_EXPIRED


def test_refreshing_again_and_again_leaves_one_timeout(world: World) -> None:
    """Else each Refresh, 50 a second, would be remembered until its token ends."""
    ada, _bob = pair(world)
    ada.connect(token=world.token(ada, lifetime_ms=100_000))
    world.settle()
    before = world.edges[0].edge.timeouts
    for lifetime in [3_600_000, 100_000] * 10:  # the same ones again and again will do
        ada.post(f.Refresh(f.REFRESH, 0, world.token(ada, lifetime_ms=lifetime)))
        world.wait(100)
    assert len(ada.got(f.Refreshed)) == 20
    assert world.edges[0].edge.timeouts <= before + 1
    world.wait(100_000 + LEEWAY_MS - 4_000)
    assert ada.connected()
    world.wait(4_000)
    assert ada.closed == CloseCode.TOKEN_EXPIRED


def test_a_refresh_that_does_not_stand_is_a_problem(world: World) -> None:
    ada, bob = pair(world)
    old = world.token(ada, lifetime_ms=1_000)
    world.wait(2_000 + LEEWAY_MS)
    for token in ("junk", old, world.token(bob)):
        ada.post(f.Refresh(f.REFRESH, 0, token))
    world.settle()
    invalid, expired = ErrorCode.TOKEN_INVALID, ErrorCode.TOKEN_EXPIRED
    assert problems(ada) == [(f.REFRESH, invalid), (f.REFRESH, expired), (f.REFRESH, invalid)]
    assert ada.closed is None


def test_a_key_that_rotates_logs_nobody_out(world: World) -> None:
    ada, _bob = pair(world)
    token = world.token(ada)
    edge = world.edges[0].edge
    edge.keys = lambda: {"k2": b"n" * 32, KID: KEY}
    ada.connect(token=token)
    world.settle()
    assert ada.welcome is not None
    edge.keys = lambda: {"k2": b"n" * 32}
    ada.connect(token=token)
    world.settle()
    assert ada.closed == CloseCode.TOKEN_INVALID


# --- ends ---
def test_a_connection_that_ends_is_detached_until_that_is_confirmed(world: World) -> None:
    ada, bob = pair(world)
    world.fabric.lose(Detach)
    bob.disconnect()
    world.wait(3_000)
    assert [session.device.number for session in world.user(bob.user).sessions] == [bob.device]
    world.fabric.lose(Detached)
    world.wait(3_000)
    assert not world.user(bob.user).sessions
    assert len(world.edges[0].edge.detaching) == 1
    world.fabric.passes = None
    world.wait(2_000)
    assert not world.edges[0].edge.detaching
    assert ada.closed is None


def test_frames_of_a_connection_that_is_being_closed_do_nothing(world: World) -> None:
    ada, bob = pair(world)
    end, conn = world.edges[0], ada.conn or 0
    edge = end.edge
    edge.now = world.now()
    edge.close(edge.sessions[conn], CloseCode.GOING_AWAY)
    edge.close(edge.sessions[conn], CloseCode.GOING_AWAY)
    assert [frame for frame in edge.to_engine if frame[0] == f.CLOSE] == [f.Close(f.CLOSE, conn, 1001)], "said once"
    edge.on_frames([f.Ack(f.ACK, conn, 0, 0), f.Watch(f.WATCH, conn, (bob.user,))])
    assert not edge.to_units
    end.flush()
    world.settle()
    assert ada.closed == CloseCode.GOING_AWAY
    assert conn not in edge.sessions


def test_clients_are_told_before_the_server_goes(world: World) -> None:
    """go_away_ms."""
    ada, bob = pair(world)
    end = world.edges[0]
    end.edge.now = world.now()
    end.edge.go_away()
    end.flush()
    world.settle()
    assert [frame.within_ms for frame in ada.got(f.GoAway)] == [world.limits.go_away_ms]
    end.edge.close_all()
    end.flush()
    world.settle()
    assert (ada.closed, bob.closed) == (CloseCode.GOING_AWAY, CloseCode.GOING_AWAY)
    assert not end.edge.sessions


def test_a_stranger_among_the_answers_is_passed_over(world: World) -> None:
    """Answers for connections that are gone, and to attempts that no longer count."""
    ada, _bob = pair(world)
    edge = world.edges[0].edge
    session = edge.sessions[ada.conn or 0]
    attempt = session.attempt
    edge.now = world.now()
    late = Attached(
        ATTACHED, session.conn, attempt - 1, session.number, ada.user, ada.device, 9, 9, 9, True, True, 1
    )  # fmt: skip
    session.state = State.ATTACHING
    edge.on_items(0, NEXT, [late])
    states = [session.state]
    edge.on_items(0, NEXT + 1, [late._replace(attempt=attempt, oldest=0, reset=False)])
    assert [*states, session.state] == [State.ATTACHING, State.READY]
    assert not edge.to_engine, "it was welcomed before"


def test_what_only_a_new_welcome_can_say_closes_a_session_that_attaches_again(world: World) -> None:
    ada, _bob = pair(world)
    edge = world.edges[0].edge
    session = edge.sessions[ada.conn or 0]
    edge.now = world.now()
    for number, (reset, oldest) in enumerate(((True, 0), (False, 7))):
        session.state = State.ATTACHING
        attached = Attached(
            ATTACHED, session.conn, session.attempt, session.number, ada.user, ada.device, 9, 9, oldest, reset, True, 1
        )
        edge.on_items(0, NEXT + number, [attached])
        assert session.state is State.CLOSING
    assert edge.to_engine[0] == f.Close(f.CLOSE, session.conn, CloseCode.SHARD_MOVED)
    world.edges[0].flush()


def test_connections_are_ordered_over_restarts_of_the_edge(world: World) -> None:
    ada, _bob = pair(world)
    first = world.user(ada.user).sessions[0].number
    world.wait(1_000)
    world.crash()
    ada.connect()
    world.settle()
    assert world.user(ada.user).sessions[0].number > first


def test_a_revoked_session_is_not_counted_twice(world: World) -> None:
    ada, _bob = pair(world)
    world.ask(user_unit(ada.user), LogoutAll(False), ada.auth)
    world.wait(5_000)
    assert world.edges[0].edge.counters["iris_sessions_closed_total", CloseCode.TOKEN_REVOKED] == 1
