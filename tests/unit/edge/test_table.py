"""The session's table: every (state, kind of frame) is decided, once."""

from __future__ import annotations

from itertools import product

from iris.core import frames
from iris.core.frames import HELLO
from iris.edge.session import State
from iris.edge.table import CLIENT_KINDS, TABLE

# A second Hello never reaches the edge: the engine closes the connection (SECOND_HELLO).
REFUSED = set(product(State, [HELLO]))


def test_every_pair_is_decided_once() -> None:
    assert TABLE.keys() | REFUSED == set(product(State, CLIENT_KINDS))
    assert TABLE.keys().isdisjoint(REFUSED)


def test_the_table_knows_every_kind_that_a_client_sends() -> None:
    records = {frames.Hello, frames.Send, frames.Ack, frames.Read, frames.SetTyping, frames.Watch, frames.Refresh}
    assert set(frames.ClientFrame.__args__) == records | {frames.Closed}
    assert len(CLIENT_KINDS) == len(set(CLIENT_KINDS)) == len(frames.ClientFrame.__args__)


def test_a_session_that_closes_takes_only_its_end() -> None:
    actions = {kind: TABLE[State.CLOSING, kind] for state, kind in TABLE if state is State.CLOSING}
    assert {kind for kind, action in actions.items() if action.__name__ != "_ignore"} == {frames.CLOSED}
