"""The lease between an edge and a shard node: while it stands, the edge may serve the sessions it has attached
there.

The edge counts it from before it sent a renewal, the node from when it received it, so the edge always stops first.
When it lapses the edge pauses those sessions and the node forgets them; when it is renewed the edge attaches them
anew. See docs/adr/0002-lease.md. Pure: times are mono ms of the one clock each side has.
"""

from __future__ import annotations


class EdgeLease:
    """An edge's half, for one shard node."""

    __slots__ = ("_lease_ms", "_number", "_renew_ms", "_sent", "until")

    def __init__(self, lease_ms: int, renew_ms: int) -> None:
        self._lease_ms = lease_ms
        self._renew_ms = renew_ms
        self._number = 0
        self._sent: dict[int, int] = {}  # renewal -> when it was sent
        self.until = -1  # the lease stands before this time

    def stands(self, now: int) -> bool:
        return now < self.until

    def renew(self, now: int) -> int:
        """The number of a renewal to send now."""
        self._number += 1
        self._sent[self._number] = now
        while len(self._sent) > 2 * self._lease_ms // self._renew_ms + 2:
            del self._sent[next(iter(self._sent))]
        return self._number

    def renewed(self, number: int, now: int) -> bool:
        """The node has answered; True when the lease had lapsed, so that sessions must attach anew."""
        sent = self._sent.pop(number, None)
        if sent is None or sent + self._lease_ms <= now:
            return False
        lapsed = not self.stands(now)
        self.until = max(self.until, sent + self._lease_ms)
        return lapsed


class NodeLeases:
    """A shard node's half, for all edges."""

    __slots__ = ("_lease_ms", "_until")

    def __init__(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._until: dict[int, int] = {}

    def renew(self, edge: int, now: int) -> bool:
        """An edge has renewed; False when its lease had lapsed, so that its old sessions must go first."""
        stood = self._until.get(edge, now + 1) > now
        self._until[edge] = now + self._lease_ms
        return stood

    def heard(self, edge: int, now: int) -> None:
        """Something of an edge without a lease has come: a term begins, so that what it brought about has an end."""
        self._until.setdefault(edge, now + self._lease_ms)

    def lapsed(self, now: int) -> list[int]:
        """Edges whose lease is over; each is named once."""
        gone = [edge for edge, until in self._until.items() if until <= now]
        for edge in gone:
            del self._until[edge]
        return gone

    def next_timeout(self) -> int | None:
        return min(self._until.values()) if self._until else None
