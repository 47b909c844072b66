"""Acks on their way from a client to its shard: the newest one counts, so those that follow each other closely are one.

An Ack is passed on at once when none was for ack_linger_ms: somebody who chats waits for nothing. What comes sooner
waits until all that linger go together, in one batch and mostly in one commit. An Ack that frees much of the delivery
window, or asks for a rewind by repeating the one before, never waits.
"""

from __future__ import annotations

from typing import Any, Final

from iris.core.commands import AckIn
from iris.edge.session import Session, State
from iris.edge.sessions import Sessions

STRIDES: Final = 4  # an Ack that goes so many parts of the delivery window further is passed on at once


def on_ack(edge: Sessions, session: Session, frame: tuple[Any, ...]) -> None:
    """An Ack of a client."""
    seq, rev, now = frame[2], frame[3], edge.now.mono
    repeated = seq == session.ack_seq and rev == session.ack_rev
    if repeated and session.ack_lingers:
        pass_on(edge, session)  # or the repeated one would be the first that the shard hears
    session.ack_seq, session.ack_rev = seq, rev
    limits = edge.limits
    if (
        repeated
        or now - session.told_at >= limits.ack_linger_ms
        or seq - session.told_seq >= limits.deliver_window // STRIDES
    ):
        pass_on(edge, session)
    elif not session.ack_lingers:
        session.ack_lingers = True
        if not edge.lingering:
            edge.call_at(now + limits.ack_linger_ms, _linger_over, edge)
        edge.lingering.append(session)


def pass_on(edge: Sessions, session: Session) -> None:
    """Give the shard the newest Ack of a session."""
    session.ack_lingers = False
    session.told_seq, session.told_at = session.ack_seq, edge.now.mono
    # Past the record's own constructor, which takes twice as long.
    fields = (session.user, edge.settings.number, session.conn, session.device, session.ack_seq, session.ack_rev)
    edge.to_units.append((session.unit, tuple.__new__(AckIn, fields)))


def _linger_over(edge: Sessions) -> None:
    """Pass on what lingers. A session that attaches anew says its newest Ack with that."""
    lingering, edge.lingering = edge.lingering, []
    for session in lingering:
        if session.ack_lingers and session.state is not State.ATTACHING:
            pass_on(edge, session)
    edge.counters["iris_acks_lingered_total"] += len(lingering)
