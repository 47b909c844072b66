"""Counts what the interpreter does for the fixed work: bytecodes executed, and calls into C, by part of Iris.

    PYTHONHASHSEED=0 python -m bench.guard.count        prints them as JSON

Both counts are exact: the same on every machine and under any load, for one version of Python. They are taken in a
process of its own, since hash seeds, imports and other code's caches would show in them. The code of
the trace and the store in memory are not counted: they stand for others.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bench.guard import trace

ROOT = Path(__file__).resolve().parents[2]
SRC = str(ROOT / "src" / "iris") + os.sep
NOT_COUNTED = str(ROOT / "bench") + os.sep


def part_of(code: CodeType) -> str | None:
    """The part of Iris that a code object is of; "python" for the standard library and packages; None: not counted."""
    file = code.co_filename
    if file.startswith(NOT_COUNTED):
        return None
    if file.startswith(SRC):
        return file[len(SRC) :].partition(os.sep)[0]
    return "python"


def count(work: Callable[[], None]) -> dict[str, Counter[str]]:
    """Of `work`: bytecodes and c_calls, each by part."""
    bytecodes: Counter[str] = Counter()
    c_calls: Counter[str] = Counter()
    parts: dict[CodeType, str | None] = {}

    def part(frame: FrameType) -> str | None:
        code = frame.f_code
        if code not in parts:
            parts[code] = part_of(code)
        return parts[code]

    def local_for(name: str) -> Callable[[FrameType, str, Any], Any]:
        def local(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "opcode":
                bytecodes[name] += 1
            return local

        return local

    locals_of: dict[str, Callable[[FrameType, str, Any], Any]] = {}

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        name = None if trace.Outside.on else part(frame)
        if name is None:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if name not in locals_of:
            locals_of[name] = local_for(name)
        return locals_of[name]

    def on_profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and not trace.Outside.on and (name := part(frame)) is not None:
            c_calls[name] += 1

    gc.collect()
    gc.disable()  # a collection in the middle runs nothing of ours, but would hide whose garbage it was
    sys.setprofile(on_profile)
    sys.settrace(on_call)
    try:
        work()
    finally:
        sys.settrace(None)
        sys.setprofile(None)
        gc.enable()
    return {"bytecodes": bytecodes, "c_calls": c_calls}


def main() -> int:
    """Print the counts of every part of the trace, for one unit of it."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.stderr.write("guard: PYTHONHASHSEED must be 0, or sets have another order each time\n")
        return 2
    found: dict[str, dict[str, float]] = {}
    by_part: dict[str, dict[str, float]] = {}
    for name, work, units in trace.parts():
        counts = count(work)
        found[name] = {kind: round(counter.total() / units, 1) for kind, counter in counts.items()}
        by_part[name] = {part: round(n / units, 1) for part, n in sorted(counts["bytecodes"].items())}
    sys.stdout.write(json.dumps({"counts": found, "bytecodes_by_part": by_part}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
