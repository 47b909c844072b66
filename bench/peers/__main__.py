"""`python -m bench.peers`: ejabberd under pairs that talk, and what it and Iris keep when something goes wrong.

    python -m bench.peers [--quick] [--folder DIR]

Prints JSON: {"peers": [...], "iris": {"promises": ...}}. A peer that cannot be had here is `skipped`, with the reason,
also on standard error; the exit code is 0 then. It is 1 when the peer does not start, or lost, doubled or reordered
something under load, and when Iris failed in its trials.
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
from bench.peers.iris_device import IrisServer
from bench.peers.load import Load
from bench.peers.packages import PeerError, Skipped, unpack
from bench.peers.promises import USERS, promises
from bench.peers.xmpp_device import XmppServer
from iris.bench import probe
from iris.bench.errors import BenchError
from iris.bench.report import per
from iris.bench.server import BenchServer

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
    folder = chosen.folder.resolve()
    peer: dict[str, Any] = {"name": "ejabberd"}
    document: dict[str, Any] = {"peers": [peer]}
    code = 0
    try:
        _fill(peer, folder, *((0.5, 2.0) if chosen.quick else (2.0, 8.0)))
        iris = document["iris"] = _iris(folder)
        if "error" in iris:
            sys.stderr.write(f"peers: Iris failed in its trials: {iris['error']}\n")
            code = 1
    except Skipped as reason:
        peer["skipped"] = str(reason)
        sys.stderr.write(f"peers: ejabberd is SKIPPED: {reason}\n")
    except PeerError as error:
        peer["error"] = str(error)
        sys.stderr.write(f"peers: ejabberd gave no figures: {error}\n")
        code = 1
    sys.stdout.write(json.dumps(document) + "\n")
    return code


def _fill(peer: dict[str, Any], folder: Path, warm_s: float, measure_s: float) -> None:
    """Measure ejabberd, then try it: a second one, because acks cost something. Raises PeerError, Skipped."""
    TARGET.mkdir(parents=True, exist_ok=True)
    packages = unpack(TARGET)
    peer["version"] = packages.version
    with Ejabberd(packages, folder, 2 * PAIRS) as server:
        peer["scenarios"] = [measure(server, window, warm_s, measure_s) for window in WINDOWS]
    with Ejabberd(packages, folder, USERS, acks=True) as server:
        peer["promises"] = asyncio.run(promises(XmppServer(server)))


def _iris(folder: Path) -> dict[str, Any]:
    """The same trials: its `promises`, or the `error`, or both when they were not kept."""
    found: dict[str, Any] = {}
    try:
        with BenchServer(folder, {}) as server:
            kept = found["promises"] = asyncio.run(promises(IrisServer(server)))
    except PeerError as error:
        return {"error": str(error)}
    except BenchError as error:
        sys.stderr.write(error.detail)
        return {"error": str(error)}
    if kept["repeated"]["shown"] != kept["repeated"]["sent"]:
        found["error"] = f"{kept['repeated']['shown']} messages were shown of {kept['repeated']['sent']}"
    if kept["killed"]["delivered"] != kept["killed"]["accepted"]:
        found["error"] = f"{kept['killed']['delivered']} messages came of {kept['killed']['accepted']} accepted"
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the peer must not outlive this process
    raise SystemExit(main(sys.argv[1:]))
