"""Rows of the profile as they are read. Knows no SQL."""

from __future__ import annotations

from typing import NamedTuple


class HistoryRow(NamedTuple):
    """A row of the history, ids as bytes."""

    n: int
    changed: int
    kind: str
    conversation: bytes
    sender: bytes
    device: int
    message_id: bytes
    seq: int
    at: int
    state: str
    code: int
    content_type: int
    payload: bytes
    text: str | None
    alg: int
    wiped: int = 0

    def place(self, after: int) -> int:
        """Where on the line it is for a reader who has seen everything up to `after`.

        A copy from another device is first met where it came, though its state may have changed since: else it would
        be met behind later ones, or never by a reader who stopped in between.
        """
        return self.n if self.kind == "own" and self.n > after else self.changed


class ReadRow(NamedTuple):
    """This user's read position in a conversation."""

    changed: int
    conversation: bytes
    seq: int

    def place(self, after: int) -> int:
        """Where on the line it is."""
        return self.changed
