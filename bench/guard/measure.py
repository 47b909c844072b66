"""Gets the counts: of Python in fresh interpreters, of the engine's codec from callgrind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.guard.compare import Baseline

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 1000
WORKS = ("decode", "encode")
COLLECTED = re.compile(r"Collected : (\d+)")


class CannotCount(Exception):
    """This machine lacks something; the text says what and how to get it."""


def python() -> tuple[Baseline, str]:
    """Bytecodes and C calls of the fixed work, bytes of an idle user; where in Iris the bytecodes were, in words."""
    said = _said("bench.guard.count")
    counts = {f"{part}.{kind}": count for part, kinds in said["counts"].items() for kind, count in kinds.items()}
    counts |= {f"memory.{kind}": count for kind, count in _said("bench.guard.memory").items()}
    parts = [
        f"  {work}: " + ", ".join(f"{part} {count:,.1f}" for part, count in found.items())
        for work, found in said["bytecodes_by_part"].items()
    ]
    return Baseline(".".join(map(str, sys.version_info[:2])), counts), "\n".join(["bytecodes by part", *parts])


def _said(module: str) -> Any:
    """What a module prints, in an interpreter of its own."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": paths}
    command = [sys.executable, "-m", module]
    return json.loads(subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def engine() -> Baseline:
    """Instructions of the codec for one round. Raises CannotCount."""
    if shutil.which("valgrind") is None:
        raise CannotCount("no valgrind: make valgrind installs it where apt can")
    cargo = os.environ.get("CARGO", "cargo")
    build = [cargo, "build", "--quiet", "--release", "--locked", "--example", "codec_trace"]
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    subprocess.run(build, cwd=ROOT, env={**os.environ, "CARGO_TARGET_DIR": str(target)}, check=True)
    binary = target / "release" / "examples" / "codec_trace"
    counts = {
        f"{work}.instructions": round(
            (_instructions(binary, work, ROUNDS) - _instructions(binary, work, 0)) / ROUNDS, 1
        )
        for work in WORKS
    }
    said = subprocess.run(["rustc", "--version"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return Baseline(said.split()[1], counts)


def _instructions(binary: Path, work: str, rounds: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(binary), work, str(rounds)]
    # The same words for every user: the length of the environment moves the stack, and with it a few instructions.
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    found = COLLECTED.search(done.stderr)
    if done.returncode != 0 or found is None:
        raise CannotCount(f"valgrind cannot run {binary.name} {work} {rounds}: {done.stderr.strip()[-500:]}")
    return int(found[1])
