"""The guard's rules: which counts are held against which baselines, what is too much, and how that is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Counts = Mapping[str, float]  # by name, such as "pairs.bytecodes" or "decode.instructions"

# By how much a count may differ from its baseline. Counts of bytecodes and calls are exact: this is room for small
# changes, which add up until somebody says why. Instructions also differ with the C library's variant for the CPU, and
# the compiler shares the crate out among its units anew when another file of it changes (1.3 % were seen).
# Bytes are exact too, and of another minor version of Python they are not compared.
TOLERANCE = {"bytecodes": 0.02, "c_calls": 0.02, "instructions": 0.05, "bytes_per_idle_user": 0.01}
OTHER_COMPILER = 0.15  # instructions, where the baseline is from another rustc


class Baseline(NamedTuple):
    """The counts of one tool in one version."""

    version: str
    counts: dict[str, float]


class Finding(NamedTuple):
    """One count beside its baseline. wrong: too far from it, up or down."""

    name: str
    now: float
    before: float
    wrong: bool

    def __str__(self) -> str:
        change = f"{(self.now / self.before - 1) * 100:+.1f} %" if self.before else "new"
        return f"{self.name:<24}{self.now:>12,.1f}{self.before:>12,.1f}{change:>10}{'  !' if self.wrong else ''}"


def compare(now: Counts, before: Counts, *, same_compiler: bool = True) -> list[Finding]:
    """Each count beside its baseline. One that has none, or is gone, is wrong too."""
    found = []
    for name in sorted({*now, *before}):
        one, other = now.get(name, 0.0), before.get(name, 0.0)
        kind = name.rpartition(".")[2]
        room = TOLERANCE[kind] if same_compiler or kind != "instructions" else OTHER_COMPILER
        missing = name not in now or name not in before
        found.append(Finding(name, one, other, missing or abs(one - other) > room * other))
    return found


def verdict(findings: Sequence[Finding]) -> str:
    """What to do about it; empty when nothing is wrong."""
    wrong = [one for one in findings if one.wrong]
    if not wrong:
        return ""
    advice = "If it is meant: make guard-update REASON='why', and commit what it wrote."
    if all(one.now < one.before for one in wrong):
        return f"guard: it got cheaper. Lower the baseline, or the gain can be lost unseen. {advice}"
    return f"guard: it got dearer, by what a count says that no load of the machine can change. {advice}"


def entry(day: str, reason: str, findings: Sequence[Finding]) -> str:
    """The line of an update in the log."""
    changed = [
        f"{one.name} {f'{one.before:,.1f} → ' if one.before else ''}{one.now:,.1f}"
        for one in findings
        if one.now != one.before
    ]
    return f"- {day}: {reason.strip()} ({'; '.join(changed) or 'nothing changed'})\n"


def written(baselines: Mapping[str, Baseline]) -> str:
    """The file of baselines."""
    lines = ["# Counts for one unit of the fixed work. Written by make guard-update; updates.md says why.\n"]
    for tool, baseline in baselines.items():
        lines.append(f'\n[{tool}]\nversion = "{baseline.version}"\n\n[{tool}.counts]\n')
        lines += [f'"{name}" = {count:.1f}\n' for name, count in sorted(baseline.counts.items())]
    return "".join(lines)
