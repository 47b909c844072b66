"""`python -m bench.peers`: ejabberd under pairs that talk, as JSON: {"peers": [...]}.

    python -m bench.peers [--quick] [--folder DIR]

A peer that cannot be had here is `skipped`, with the reason, also on standard error; the exit code is 0 then. It is 1
when the peer does not start, or lost, doubled or reordered something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from bench.peers.ejabberd import Ejabberd
from bench.peers.load import Load
from bench.peers.packages import PeerError, Skipped, unpack
from iris.bench import probe
from iris.bench.report import per

TARGET = Path(__file__).resolve().parents[2] / "target" / "peers"
PAIRS, PAYLOAD = 100, 128
WINDOWS = (1, 8)


def measure(server: Ejabberd, window: int, warm_s: float, measure_s: float) -> dict[str, Any]:
    """One scenario. Raises PeerError."""
    clocks: dict[str, probe.Cpu] = {}
    flushes: dict[str, int | None] = {}

    def on_moment(moment: str) -> None:
        clocks[moment], flushes[moment] = probe.cpu(server.pid), probe.disk_flushes(server.folder)

    load = Load(PAIRS, window, PAYLOAD)
    seen = asyncio.run(load.run(server.port, server.root, warm_s, measure_s, on_moment))
    faults = [fault for pair in load.pairs for fault in pair.ended()]
    if faults:
        raise PeerError("; ".join(faults[:5]))
    if not seen.messages:
        raise PeerError("no message was answered in the measured time")
    before, after = flushes["measure"], flushes["stop"]
    return {
        "name": f"pairs-{PAIRS}-w{window}",
        "server_cpu_us_per_msg": per((clocks["stop"] - clocks["measure"]).total, seen.messages),
        "msgs_per_s": round(seen.messages / seen.seconds, 1),
        "messages": seen.messages,
        **_times(seen.delivered, ""),
        **_times(seen.receipted, "receipt_"),
        "disk_flushes": None if before is None or after is None else after - before,
    }


def _times(seconds: list[float], prefix: str) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        f"{prefix}p{percent}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1e3, 3)
        for percent in (50, 99)
        if ordered
    }


def main(args: list[str]) -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=probe.disk_folder(), help="where its data goes: a disk")
    chosen = parser.parse_args(args)
    warm_s, measure_s = (0.5, 2.0) if chosen.quick else (2.0, 8.0)
    peer: dict[str, Any] = {"name": "ejabberd"}
    code = 0
    try:
        TARGET.mkdir(parents=True, exist_ok=True)
        packages = unpack(TARGET)
        peer["version"] = packages.version
        with Ejabberd(packages, chosen.folder.resolve(), 2 * PAIRS) as server:
            peer["scenarios"] = [measure(server, window, warm_s, measure_s) for window in WINDOWS]
    except Skipped as reason:
        peer["skipped"] = str(reason)
        sys.stderr.write(f"peers: ejabberd is SKIPPED: {reason}\n")
    except PeerError as error:
        peer["error"] = str(error)
        sys.stderr.write(f"peers: ejabberd gave no figures: {error}\n")
        code = 1
    sys.stdout.write(json.dumps({"peers": [peer]}) + "\n")
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the peer must not outlive this process
    raise SystemExit(main(sys.argv[1:]))
