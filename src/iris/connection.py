"""A connection of the HTTP servers, which is freed when it has ended and not only when garbage is collected."""

from __future__ import annotations

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1.

    Until Python 3.13 a transport of asyncio holds a method of its own (`_read_ready_cb`), a cycle of 3 KB for each
    connection that was made. The server collects such seldom (app.py), so it is broken here.
    """

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        super().connection_lost(exc)
        if hasattr(self.transport, "_read_ready_cb"):
            self.transport._read_ready_cb = None
