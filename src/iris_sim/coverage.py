"""What a run has met: rows of the state tables, kinds of faults and operations. Trivial seeds prove nothing.

While `watching`, each table is replaced by one that takes its rows from it as they are looked up. `missing` names what
a whole run has not hit; what cannot be hit is argued in UNREACHABLE, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import iris.core.accounts
import iris.core.sending
import iris.core.shard
import iris.edge.edge
import iris_sdk.core.client
from iris.core import commands as c
from iris.core import frames as f
from iris.core import mark, requests
from iris_sim.names import FAULTS, OPERATIONS

RUN_SEEDS: Final = 200  # from so many seeds on, a run must have hit everything

# (module, name of the table in it, name of its rows in reports)
TABLES: tuple[tuple[Any, str, str], ...] = (
    (iris.edge.edge, "TABLE", "session"),
    (iris.edge.edge, "RECORDS", "record"),
    (iris.core.shard, "USER_ACTIONS", "command"),
    (iris.core.sending, "ANSWERS", "verdict"),
    (iris.core.accounts, "ACTIONS", "request"),
    (iris_sdk.core.client, "TABLE", "client"),
    (iris_sdk.core.client, "_HANDLERS", "client frame"),
)
_RECORDS = {
    c.ATTACHED: "ATTACHED", c.ATTACH_REFUSED: "ATTACH_REFUSED", c.SESSION_UPDATE: "SESSION_UPDATE",
    c.DETACHED: "DETACHED", c.REAUTHED: "REAUTHED", c.ATTACH_AGAIN: "ATTACH_AGAIN",
    c.CLOSE_SESSION: "CLOSE_SESSION",
}  # fmt: skip
_CLIENT_FRAMES = {
    f.SEND: "SEND", f.ACK: "ACK", f.READ: "READ", f.SET_TYPING: "SET_TYPING", f.WATCH: "WATCH", f.REFRESH: "REFRESH",
    f.CLOSED: "CLOSED",
}  # fmt: skip

# Rows that no run can hit, and why.
UNREACHABLE: dict[str, str] = {
    "client CATCHING_UP LOST_FOR_GOOD": "asks for a second process on one profile, which the profile's lock forbids",
    "client LIVE LOST_FOR_GOOD": "likewise: closed REPLACED twice within a minute",
    "client CONNECTING LOST_FOR_GOOD": "only a close code ends a client for good, and what never opened has none",
    f"request {requests.UpgradePassword.__name__}": "asked by the HTTP API alone, after argon2 parameters have changed",
    f"request {requests.CheckToken.__name__}": "asked by the HTTP API alone, before it asks another unit",
    f"request {requests.MakeLinkCode.__name__}": "asked by the HTTP API alone; nothing of it is stored",
    f"request {requests.RedeemLinkCode.__name__}": "asked by the HTTP API alone; what it stores, LinkDevice stores too",
}


def _label(row: Any) -> str:
    if isinstance(row, mark.Verdict):
        return row.name
    if isinstance(row, int):
        return _RECORDS[row]
    if isinstance(row, tuple) and len(row) == 2:
        state, what = row
        return f"{state.name} {_CLIENT_FRAMES[what] if isinstance(what, int) else what.name}"
    return row.__name__ if isinstance(row, type) else str(row)


class _Noted(dict[Any, Any]):
    """A table that holds the rows that were taken with [ ]; compiled code asks neither `get` nor `in` of a subclass."""

    __slots__ = ("rows",)

    def __init__(self, rows: dict[Any, Any]) -> None:
        super().__init__()
        self.rows = rows

    def __missing__(self, key: Any) -> Any:
        row = self[key] = self.rows[key]
        return row


@contextmanager
def watching(found: Counter[str]) -> Iterator[None]:
    """Count into `found` what is met in this context: each row once."""
    undo: list[Callable[[], None]] = []
    tables: list[tuple[str, _Noted]] = []
    for module, name, title in TABLES:
        table = getattr(module, name)
        noted = _Noted(table)
        setattr(module, name, noted)
        tables.append((title, noted))
        undo.append(lambda module=module, name=name, table=table: setattr(module, name, table))  # type: ignore[misc]
    try:
        yield
    finally:
        for back in undo:
            back()
        for title, noted in tables:
            found.update(f"{title} {_label(row)}" for row in noted)


def everything() -> set[str]:
    """All that a run of RUN_SEEDS seeds has to meet."""
    found = {f"{title} {_label(row)}" for module, name, title in TABLES for row in getattr(module, name)}
    found |= {f"fault {name}" for name in FAULTS}
    found |= {f"operation {name}" for name in OPERATIONS}
    return found - UNREACHABLE.keys()


def missing(found: Counter[str]) -> list[str]:
    """What was not met, sorted."""
    return sorted(everything() - found.keys())
