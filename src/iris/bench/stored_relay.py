"""The least that keeps an accepted message: the engine, the least Python, and the store with its options and its sync.

A message is its row and the row that makes a repeat harmless, an Ack is the receiver's cursor. They are written as one
batch, synced in a thread, and only then the answers go out; what comes meanwhile is the next commit, as in the server.
Nothing is checked or read, no receipt is repeated, nobody can log in: that is what the server's rules do. So this is
what a message costs in Python on RocksDB before the first rule.
"""

from __future__ import annotations

import time
from pathlib import Path
from struct import Struct
from typing import Any

from iris._engine import LogSync
from iris.bench.python_relay import PythonRelay, Tell
from iris.core import frames as f
from iris.store.rocks_db import batch_for, open_db

SLOTS = 32  # outcomes that are kept of a sender
pack_message_key = Struct(">c16sQ").pack  # receiver, seq
pack_mark_key = Struct(">c32sB").pack  # both users, slot
pack_mark = Struct(">16sQ").pack  # message id, seq
pack_cursor_key = Struct(">c16s").pack
pack_cursor = Struct(">Q").pack


class StoredRelay(PythonRelay):
    """A relay that stores before it answers."""

    def __init__(self, certificate: bytes, key: bytes, control: int, tell: Tell, folder: Path) -> None:
        """folder: where the database is made."""
        super().__init__(certificate, key, control, tell)
        self._db = open_db(folder / "rocks", create=True)
        self._commit, self._committing = 1, False
        self._batch = batch_for(self._commit)
        self._waiting: list[tuple[Any, ...]] = []  # answers to what is in the batch
        self._durable: list[tuple[Any, ...]] = []  # ... in the commit under way
        self._write_ns = 0
        self._disk = LogSync(folder / "rocks")
        self._others[self._disk.fileno()] = self._on_synced

    def run(self) -> None:
        """Until `control` ends."""
        try:
            super().run()
        finally:
            self._disk.stop()
            self._db.close()

    def _release(self, out: list[tuple[Any, ...]]) -> None:
        put = self._batch.put
        for frame in out:
            kind = frame[0]
            if kind == f.DELIVER:
                _, _, seq, _, _, conversation, _, _, _, _, _, payload, _, _ = frame
                put(pack_message_key(b"M", conversation[16:], seq), conversation + payload)
            elif kind == f.ACCEPTED:
                _, _, conversation, _, client_seq, name, seq, _ = frame
                put(pack_mark_key(b"K", conversation, client_seq % SLOTS), pack_mark(name, seq))
            elif kind == f.RECEIPT:
                _, _, _, _, conversation, seq, _ = frame
                put(pack_cursor_key(b"U", conversation[16:]), pack_cursor(seq))
        self._waiting += out
        if self._waiting and not self._committing:
            self._write()

    def _write(self) -> None:
        started = time.thread_time_ns()
        self._db.write(self._batch)
        self._write_ns += time.thread_time_ns() - started
        self._durable, self._waiting = self._waiting, []
        self._commit += 1
        self._batch, self._committing = batch_for(self._commit), True
        self._disk.sync()

    def _on_synced(self) -> None:
        outcome = self._disk.take()
        if outcome is None:
            return
        error, _ = outcome
        if error is not None:
            raise error
        self._committing = False
        self._engine.send(self._durable)
        if self._waiting:
            self._write()

    def _counters(self) -> dict[str, int]:
        return {**super()._counters(), "fsyncs": self._commit - 1, "write_ns": self._write_ns}
