"""The edges of a shard node: their leases, and the numbered batches to and from each."""

from __future__ import annotations

from iris.core.arrivals import Arrivals
from iris.core.ids import seq_of
from iris.core.lease import NodeLeases


class EdgeLinks:
    """All edges that have a lease; what was known of one is forgotten when its lease lapses.

    A link begins above every number that this node, or an earlier life of it, has ever given: so a batch that comes
    very late is known as such.
    """

    def __init__(self, lease_ms: int, epoch: int) -> None:
        self._top = seq_of(epoch, 0)
        self._leases = NodeLeases(lease_ms)
        self._sent: dict[int, int] = {}
        self._arrivals: dict[int, Arrivals] = {}

    def renew(self, edge: int, sent: int, now: int) -> bool:
        """An edge has renewed its lease, and has sent so many batches; False when the lease had lapsed."""
        self._of(edge).told(sent)
        return self._leases.renew(edge, now)

    def heard(self, edge: int, now: int) -> None:
        """A turn takes up what an edge has sent, perhaps long ago, perhaps one that is gone."""
        self._leases.heard(edge, now)

    def lapsed(self, now: int) -> list[int]:
        """Edges whose lease is over; each is named once."""
        gone = self._leases.lapsed(now)
        for edge in gone:
            self._sent.pop(edge, None)
            self._arrivals.pop(edge, None)
        return gone

    def next_timeout(self) -> int | None:
        """When the next lease lapses, mono ms."""
        return self._leases.next_timeout()

    def got(self, edge: int, number: int) -> None:
        """A batch has come from an edge."""
        self._of(edge).got(number)

    def next_number(self, edge: int) -> int:
        """The number of the next batch to an edge."""
        number = self._sent[edge] = self.sent(edge) + 1
        self._top = max(self._top, number)
        return number

    def sent(self, edge: int) -> int:
        """The number of the newest batch to an edge."""
        return self._sent.setdefault(edge, self._top)

    def losses(self, edge: int) -> int:
        """How often a batch of an edge was missing."""
        return self._of(edge).losses

    def _of(self, edge: int) -> Arrivals:
        arrivals = self._arrivals.get(edge)
        if arrivals is None:
            arrivals = self._arrivals[edge] = Arrivals()
        return arrivals
