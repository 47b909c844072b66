"""The one way a benchmark fails."""

from __future__ import annotations


class BenchError(Exception):
    """A figure cannot be had, or is worth nothing: what happened, and the lines that show it."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.detail = detail
