"""The one thing the API needs of the rest of the server: an answer from the shard that owns a unit."""

from __future__ import annotations

from typing import Protocol

from iris.core.requests import Auth, Operation, Result


class Authority(Protocol):
    """Whoever carries a question to its shard and brings the answer back."""

    async def ask(self, unit: bytes, auth: Auth | None, operation: Operation) -> Result:
        """The shard's answer, after everything it says is durable.

        It never raises for what a shard, the fabric or time may do: an answer that does not come within
        http_request_timeout_ms is Refused(OVERLOADED), and then it is unknown whether the operation was done.
        It may be cancelled (the client's time is up); the operation may still be done.
        """
        ...
