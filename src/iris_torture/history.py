"""The record of a run: JSON lines, one file per device, in the order in which that device did and saw things.

Owns the format. An entry that speaks of an action is written before the action begins, one that speaks of a result
after it is known, so for any two entries: if the cause of one is the other, its `t` is higher. `t` is the machine's
monotonic clock, shared by all processes of a run and not touched by clocks that are set wrong on purpose.

| what | data |
|---|---|
| linked | user, number: the device exists from here on |
| opened | skew_ms: a process uses the profile |
| invoke | to (user), labels: about to be sent; a message's text begins with its label |
| queued | id, label, to, n: durable in the outbox |
| state | id, state (accepted, delivered, read, refused, expired), seq, at, code, n |
| shown | id, label, sender, number, conversation, seq, at, own, state, n: `own`: a copy, sent by the same user |
| reading | conversation, seq: about to be marked as read |
| gap | n: the server told that some older messages are lost to this device |
| connection | state, reason |
| second | state: what another process on the same profile was told while this one held it |
| restored | known {id: state}, waiting, last: the profile was replaced by an older copy that holds these messages |
| unlinking | the device is about to be logged out |
| screen | peer, rows [[id, at]]: a conversation as it is shown at the end |
| fault | name: what the driver did to it |
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `t` in ns, the device's name (such as u2.1), what happened and its details."""

    t: int
    device: str
    what: str
    data: dict[str, Any]


class Log:
    """Appends to one device's file. A line is with the kernel when `add` returns: kill -9 does not lose it."""

    def __init__(self, path: Path, device: str) -> None:
        self.device = device
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if torn:
            os.write(self._fd, b"\n")

    def add(self, what: str, **data: Any) -> None:
        """Write an entry with the time of now."""
        line = json.dumps([time.monotonic_ns(), self.device, what, data], separators=(",", ":"), ensure_ascii=False)
        os.write(self._fd, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._fd)


class Tail:
    """Reads a run's folder bit by bit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[Path, int] = {}

    def new(self) -> list[Entry]:
        """What was written since the last time; whole lines."""
        found: list[Entry] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._places.get(path, 0))
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._places[path] = self._places.get(path, 0) + len(whole)
            found += parse(whole.decode().split("\n"))
        return found


def parse(lines: Iterable[str]) -> list[Entry]:
    """The entries of some lines; a line that was cut by a kill is left out."""
    found = []
    for line in lines:
        try:
            t, device, what, data = json.loads(line)
        except ValueError:
            continue
        found.append(Entry(t, device, what, data))
    return found


def read(folder: Path) -> list[Entry]:
    """Every entry of a run's folder: each device's in its own order, devices one after the other."""
    found: list[Entry] = []
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            found += parse(file)
    return found
