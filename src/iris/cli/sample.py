"""The sample text of `iris up`: who says what, who leaves and returns. Pure: text in, steps out."""

from __future__ import annotations

import re
from dataclasses import dataclass

STEPS_MAX = 500
_SAID = re.compile(r"(?P<who>[A-Za-z][\w.]{2,31}):\s*(?P<text>\S.*)\Z")
_MOVE = re.compile(r"\((?P<who>[A-Za-z][\w.]{2,31}) (?P<move>leaves|returns)\)\Z")


@dataclass(frozen=True, slots=True)
class Say:
    """`who` writes `text` to the other."""

    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Leave:
    """`who` goes offline."""

    who: str


@dataclass(frozen=True, slots=True)
class Return:
    """`who` comes back."""

    who: str


Step = Say | Leave | Return


def parse(text: str) -> list[Step]:
    """The steps of a sample text. Raises ValueError, with the number of the line, when it cannot be played."""
    steps: list[Step] = []
    away: set[str] = set()
    names: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        step = _step(line, away)
        if isinstance(step, str):
            raise ValueError(f"line {number}: {step}")
        if step.who not in names:
            names.append(step.who)
        if len(names) > 2 or len(steps) >= STEPS_MAX:
            raise ValueError(
                f"line {number}: " + ("only two can talk" if len(names) > 2 else f"more than {STEPS_MAX} lines")
            )
        steps.append(step)
    if len(names) != 2:
        raise ValueError("it takes two to talk: no line of a second one")
    return steps


def _step(line: str, away: set[str]) -> Step | str:
    """The step of a line, or what is wrong with it; keeps `away`."""
    if said := _SAID.match(line):
        who = said["who"].lower()
        return f"{who} is away: write ({who} returns) first" if who in away else Say(who, said["text"])
    if move := _MOVE.match(line):
        who, leaves = move["who"].lower(), move["move"] == "leaves"
        if leaves is (who in away):
            return f"{who} is {'away already' if leaves else 'not away'}"
        (away.add if leaves else away.discard)(who)
        return Leave(who) if leaves else Return(who)
    return "write NAME: TEXT, (NAME leaves) or (NAME returns)"
