"""One client connection as its edge holds it. 50,000 of these must be cheap: slots, no task, no future, no closure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from iris.core.requests import Auth
from iris.edge.nodes import NodeLink

NEVER: Final = 1 << 62  # mono ms


class State(IntEnum):
    """Where a session is. docs/states/session.md is drawn from edge/table.py."""

    ATTACHING = 1  # its shard has not answered yet (first time, or again after the lease was lost)
    READY = 2
    CLOSING = 3  # a close frame is on its way


class Bucket:
    """A token bucket: `rate` a second, a burst of two seconds. Times are mono ms. It is full when it is made."""

    __slots__ = ("at", "left")

    def __init__(self, rate: int, now: int) -> None:
        self.left = 2.0 * rate
        self.at = now

    def take(self, rate: int, now: int, cost: float = 1.0) -> bool:
        """Whether one more is allowed now, one that counts for `cost`."""
        if now != self.at:
            self.left = min(2.0 * rate, self.left + (now - self.at) * rate / 1000)
            self.at = now
        if self.left < cost:
            return False
        self.left -= cost
        return True


class Session:
    """A connection that has said Hello with a good token."""

    __slots__ = (
        "ack_rev", "ack_seq", "asked_at", "attempt", "conn", "copies", "device", "expires_at", "expiry_due",
        "features", "gen", "jti", "node", "number", "sends", "sends_per_second", "signals", "started_at", "state",
        "unit", "user", "watches", "welcomed",
    )  # fmt: skip

    def __init__(
        self, conn: int, auth: Auth, unit: bytes, node: NodeLink, seq: int, rev: int, features: tuple[str, ...]
    ) -> None:
        self.conn = conn
        self.node = node  # that owns the user: the session is served while its lease stands
        self.state = State.ATTACHING
        self.user = auth.user
        self.device = auth.device
        self.gen = auth.gen
        self.jti = auth.jti
        self.unit = unit
        self.expires_at = auth.expires_at
        self.expiry_due = NEVER  # mono ms of the timeout that looks at it
        self.ack_seq = seq  # the cursor to attach with: Hello's, then the newest Ack
        self.ack_rev = rev
        self.features = features
        self.number = 0  # rises with every connection of this edge
        self.attempt = 0  # the Attach that counts; its answer carries it
        self.copies = True  # until the shard has said otherwise: an own copy too many is harmless
        self.sends_per_second = 0
        self.sends: Bucket | None = None  # from the first one on
        self.signals: Bucket | None = None
        self.watches: tuple[bytes, ...] = ()
        self.welcomed = False
        self.started_at = 0  # mono ms of Hello, or of the loss of the lease
        self.asked_at = 0  # mono ms of the last Attach

    @property
    def auth(self) -> Auth:
        """The newest token's claims."""
        return tuple.__new__(Auth, (self.user, self.device, self.gen, self.jti, self.expires_at))
