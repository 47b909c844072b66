"""The shards as the HTTP API asks them."""

from __future__ import annotations

from iris.core.catalogue import ErrorCode, Limits
from iris.core.requests import Auth, Operation, Refused, Request, Result
from iris.shard.node import ShardNode


class NodeAuthority:
    """Asks the units of one node. A unit that does not answer in http_request_timeout_ms is OVERLOADED."""

    def __init__(self, node: ShardNode, limits: Limits) -> None:
        self._node = node
        self._timeout_ms = limits.http_request_timeout_ms

    async def ask(self, unit: bytes, auth: Auth | None, operation: Operation) -> Result:
        """The unit's answer, durable when it is given."""
        result = await self._node.ask(Request(0, unit, auth, operation), self._timeout_ms / 1000)
        return Refused(int(ErrorCode.OVERLOADED), self._timeout_ms) if result is None else result
