"""Bugs of the edge and of its leases with the shard nodes."""

from __future__ import annotations

from typing import Any

from iris.core import sessions, tokens
from iris.core.arrivals import Arrivals
from iris.core.catalogue import ErrorCode
from iris.core.commands import CLOSE_SESSION, SESSION_UPDATE, Detach
from iris.core.lease import EdgeLease, NodeLeases
from iris.edge import table
from iris.edge.edge import Edge
from iris.edge.nodes import NodeLink
from iris.edge.sessions import Sessions
from iris.shard.edges import EdgeLinks
from tests.mutants.patch import Patch, mutant


@mutant("edge", "The lease lapses and comes back; Bob's session is open, and nothing arrives on it any more.")
def not_attached_anew_after_a_lapse(patch: Patch) -> None:
    def on_renewed(original: Any, edge: Any, node: int, answer: Any) -> None:
        edge.nodes[node].renewed(answer, edge.now.mono)

    patch.change(Edge, "on_renewed", on_renewed)


@mutant(
    "edge",
    "The node has started anew within a lease: the edge serves sessions that nobody knows.",
    faults="crash drain",
)
def restarted_node_not_noticed(patch: Patch) -> None:
    def renewed(original: Any, link: Any, answer: Any, now: int) -> Any:
        link._epoch = max(link._epoch, answer.epoch)
        return original(link, answer, now)

    def init(original: Any, links: Any, lease_ms: int, epoch: int) -> None:
        original(links, lease_ms, 0)  # else the numbers of its batches tell of the new life, too

    patch.change(NodeLink, "renewed", renewed)
    patch.change(EdgeLinks, "__init__", init)


@mutant(
    "edge",
    "The edge believes in its lease for ever: the shard has forgotten Bob, and Bob thinks he is online.",
    faults="partition pause",
)
def lease_never_ends_at_the_edge(patch: Patch) -> None:
    patch.change(EdgeLease, "stands", lambda original, lease, now: lease.until >= 0)


@mutant("edge", "A server dies, and everybody who was on it is shown online for ever.")
def lease_never_ends_at_the_node(patch: Patch) -> None:
    patch.change(NodeLeases, "lapsed", lambda original, leases, now: original(leases, now)[:0])


@mutant("edge", "A batch between edge and node is lost and nobody notices.", faults="lose")
def lost_batch_not_noticed(patch: Patch) -> None:
    def got(original: Any, arrivals: Any, number: int) -> None:
        arrivals._next = max(arrivals._next, number + 1)

    def told(original: Any, arrivals: Any, sent: int) -> None:
        arrivals._next = max(arrivals._next, sent + 1)

    patch.change(Arrivals, "got", got)
    patch.change(Arrivals, "told", told)


@mutant("edge", "Bob's connection is gone; the word to his shard is lost, and he stays online.", faults="lose cut")
def detached_once(patch: Patch) -> None:
    def detach(original: Any, edge: Any, conn: int) -> None:
        waiting = edge.detaching.pop(conn, None)
        if waiting is not None:
            edge.to_units.append(waiting)

    patch.change(Sessions, "_detach", detach)


@mutant("edge", "Bob's connection is gone, and his shard is never told.")
def not_detached(patch: Patch) -> None:
    patch.change(Sessions, "detach_later", lambda original, edge, user, conn, number, device: None)


@mutant("edge", "A Detach that comes late takes Bob's newer connection with it.")
def late_detach_ends_the_newer_session(patch: Patch) -> None:
    def on_detach(original: Any, user: Any, detach: Detach, turn: Any) -> None:
        session = user.session_at(detach.device)
        if session is not None:
            detach = detach._replace(conn=session.conn, edge=session.edge)
        original(user, detach, turn)

    patch.change(sessions, "on_detach", on_detach)


@mutant("edge", "The Attach of Bob's connection is lost once, and he waits for his Welcome.", faults="hollow cut")
def attach_asked_once(patch: Patch) -> None:
    patch.change(Edge, "_attach_late", lambda original, edge, conn: None)


@mutant("edge", "Ada looks at Bob's chat, her session attaches anew, and Bob's presence stands still.")
def watches_forgotten_at_attach(patch: Patch) -> None:
    def attached(original: Any, edge: Any, session: Any, answer: Any) -> None:
        watches, session.watches = session.watches, ()
        original(edge, session, answer)
        session.watches = watches

    patch.change(Edge, "_attached", attached)


@mutant("edge", "Ada closed the chat, and is told for ever when Bob comes and goes.")
def watches_never_end(patch: Patch) -> None:
    def watch(original: Any, edge: Any, session: Any, target: bytes, on: bool) -> None:
        if on:
            original(edge, session, target, on)

    patch.change(Sessions, "watch", watch)
    patch.change(Edge, "_unwatch", lambda original, edge, item: None)


@mutant("edge", "Ada links a tablet while her phone is online: the phone's messages make no copies.")
def session_updates_ignored(patch: Patch) -> None:
    def record(original: Any, edge: Any, item: Any) -> None:
        if item[0] != SESSION_UPDATE:
            original(edge, item)

    patch.change(Edge, "_record", record)


@mutant("edge", "The shard says 'close' because the token was revoked; the edge lets the session go on.")
def close_from_the_shard_ignored(patch: Patch) -> None:
    def on_items(original: Any, edge: Any, node: int, number: int, items: Any) -> None:
        original(edge, node, number, [item for item in items if item[0] != CLOSE_SESSION])

    patch.change(Edge, "on_items", on_items)


@mutant("edge", "A token's time is over, and its session stays open.", faults="cut")
def expired_token_keeps_its_session(patch: Patch) -> None:
    patch.change(Sessions, "_expired", lambda original, edge, conn, due: None)


@mutant("edge", "A token's time is over, and it opens a new session.", faults="skew_client cut kill")
def expired_token_opens_a_session(patch: Patch) -> None:
    def check(original: Any, edge: Any, token: str) -> Any:
        found = original(edge, token)
        if found is not ErrorCode.TOKEN_EXPIRED:
            return found
        claims = tokens._json_object(token.split(".")[1])
        assert claims is not None
        return tokens._auth_of(claims)

    patch.change(Sessions, "check", check)
    patch.change(Sessions, "_expired", lambda original, edge, conn, due: None)  # it would close the session at once


@mutant("edge", "Bob's session is attached anew with the cursor of his Hello: what he acked since counts for nothing.")
def attached_anew_with_the_first_cursor(patch: Patch) -> None:
    def ack(original: Any, edge: Any, session: Any, frame: Any) -> None:
        before = session.ack_seq, session.ack_rev
        original(edge, session, frame)
        session.ack_seq, session.ack_rev = before

    patch.change(table, "_ack", ack)
