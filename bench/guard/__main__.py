"""Hold the counts of the fixed work against the baselines: `make guard`, or `make guard-update REASON='…'`.

Exit code: 0 all as it was (or nothing that could be counted here, which is said), 1 something changed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.guard import measure
from bench.guard.compare import Baseline, Finding, compare, entry, verdict, written
from bench.guard.measure import CannotCount

FOLDER = Path(__file__).resolve().parent
REASON_LETTERS_MIN = 15  # less is no reason
HEAD = f"{'for one unit of work':<24}{'now':>12}{'baseline':>12}\n"


def main(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Compare, or with --update write the new baselines and why."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--update", metavar="REASON", help="take the counts of now as baselines; why, in a sentence")
    reason: str | None = parser.parse_args(arguments).update
    if reason is not None and len(reason.strip()) < REASON_LETTERS_MIN:
        say("guard: say why the baselines change, in a sentence: make guard-update REASON='…'")
        return 2
    before = read(folder / "baselines.toml")
    now, notes, skipped = counted()
    findings = []
    for tool, found in now.items():
        baseline = before.get(tool, Baseline(found.version, {}))
        if tool == "python" and baseline.version != found.version and reason is None:
            say(f"guard: SKIPPED: the baselines are of Python {baseline.version}, and this is {found.version}:")
            say("       its bytecodes are others. Nothing of the Python core was compared")
            continue
        same = baseline.version == found.version
        if not same:
            say(f"guard: {tool} {found.version} here, {baseline.version} in the baselines: compared loosely")
        findings += compare(found.counts, baseline.counts, same_compiler=same)
    sys.stdout.write(HEAD + "".join(f"{one}\n" for one in findings) + notes)
    for why in skipped:
        say(f"guard: SKIPPED: {why}. Nothing of it was compared")
    if reason is None:
        told = verdict(findings)
        if told:
            say(told)
        return 1 if told else 0
    return update(folder, {**before, **now}, reason, findings)


def counted() -> tuple[dict[str, Baseline], str, list[str]]:
    """What can be counted here, by tool; where the counts arose; why the rest cannot be counted."""
    python, parts = measure.python()
    try:
        return {"python": python, "engine": measure.engine()}, f"{parts}\n", []
    except CannotCount as error:
        return {"python": python}, f"{parts}\n", [f"engine: {error}"]


def update(folder: Path, baselines: dict[str, Baseline], reason: str, findings: Sequence[Finding]) -> int:
    """Write baselines and log."""
    (folder / "baselines.toml").write_text(written(baselines), encoding="utf-8")
    with (folder / "updates.md").open("a", encoding="utf-8") as log:
        log.write(entry(datetime.now(UTC).date().isoformat(), reason, findings))
    return 0


def read(path: Path) -> dict[str, Baseline]:
    """The baselines by tool; none where there is no file yet."""
    if not path.is_file():
        return {}
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {tool: Baseline(table["version"], table["counts"]) for tool, table in tables.items()}


def say(text: str) -> None:
    """A line for whoever looks."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
