"""A shard node as an edge sees it: the lease with it, and the numbered batches to and from it."""

from __future__ import annotations

from iris.core.arrivals import Arrivals
from iris.core.lease import EdgeLease
from iris.fabric.port import Renewed


class NodeLink:
    """One shard node."""

    __slots__ = ("_epoch", "_losses", "_losses_there", "arrivals", "lease", "lost", "number", "sent")

    def __init__(self, number: int, lease_ms: int, renew_ms: int) -> None:
        self.number = number
        self.lease = EdgeLease(lease_ms, renew_ms)
        self.arrivals = Arrivals()
        self.sent = 0  # the number of the newest batch to it
        self.lost = 0  # batches that the newest answer has shown to be lost, in both directions
        self._epoch = -1  # of its newest answer
        self._losses = 0  # up to here, what was lost on the way from it has been made good
        self._losses_there = 0  # ... on the way to it

    def renewed(self, answer: Renewed, now: int) -> bool:
        """The node has answered a renewal. True when sessions must attach anew: the lease had lapsed, the node has
        started anew, or a batch was lost in either direction.
        """
        if answer.epoch < self._epoch:
            return False  # of an earlier life
        self.lost = 0
        lapsed = self.lease.renewed(answer.number, now)
        self.arrivals.told(answer.sent)
        if not self.lease.stands(now):
            return False  # too late to count; the next one tells the same
        fresh = lapsed or answer.epoch > self._epoch
        if not fresh:
            self.lost = self.arrivals.losses - self._losses + answer.losses - self._losses_there
        if not (fresh or self.lost):
            return False
        if fresh:  # the node may count from 1 again
            self.arrivals = Arrivals()
            self.arrivals.start(answer.sent)
        self._epoch = answer.epoch
        self._losses, self._losses_there = self.arrivals.losses, answer.losses
        return True
