"""Numbered batches as one end of a link sees them arrive: in order, late, repeated, or not at all.

Both ends of the link between an edge and a shard node number what they send. What was lost cannot be had again, but
its loss is noticed: by the next batch, or by the number that a lease renewal carries. See docs/adr/0011-lost-batch.md.
"""

from __future__ import annotations


class Arrivals:
    """The batches of one sender."""

    __slots__ = ("_next", "losses")

    def __init__(self) -> None:
        self.losses = 0  # how often a batch was missing; a late one counts too
        self._next = 0  # the number that is expected; 0: none has come

    def got(self, number: int) -> bool:
        """This batch has come; False when it is late or a repeat: then it has been made good, or will be."""
        if number < self._next:
            return False
        self.losses += self._next not in (0, number)
        self._next = number + 1
        return True

    def told(self, sent: int) -> None:
        """The sender says which batch was its newest."""
        if sent >= self._next:
            self.losses += self._next != 0
            self._next = sent + 1

    def start(self, sent: int) -> None:
        """Everything up to `sent` is made good in another way."""
        self._next = max(self._next, sent + 1)
