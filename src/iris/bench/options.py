"""What can be chosen on the command line of `iris bench`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iris.bench.relay import Kind


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes and times of a scenario. folder: where temporary data goes."""

    folder: Path
    pairs: int = 100
    window: int = 1
    rate: int = 0
    seconds: float = 5.0
    warm: float = 1.0
    payload: int = 128
    ack_delay_ms: int = 20
    connections: int = 10_000
    hold: float = 2.0
    users: int = 500
    rounds: int = 6
    concurrency: int = 32
    threads: int = 1
    relay: Kind = "tls"
    resume: bool = False
    late: int = 2
    backlog: int = 10_000
    watchers: int = 1000
    watches: int = 20
    devices: int = 4
    slow: int = 20
    stall: float = 20.0
    day_users: int = 400
    day_seconds: float = 12.0
