"""The tables of docs/conformance.md, which `python -m tests.conformance.page` writes from those of the cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.conformance.case import BINARY, NO_CODE, PONG, Case
from tests.conformance.closing import CLOSING
from tests.conformance.framing import BITS, CONTROL, FRAGMENTS, LENGTHS, MASKS, PILED, TEXTS
from tests.conformance.handshake import API, OPENINGS, Opening
from tests.conformance.tls import HIDDEN, LATER, NOTHING, OPENERS, Later, Opener

PAGE = Path(__file__).resolve().parents[2] / "docs/conformance.md"
MARK = "<!-- Below: written from the tables by `python -m tests.conformance.page`. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def count(number: int, what: str) -> str:
    """Such as '3 pongs'."""
    return f"{number} {what}{'s' if number > 1 else ''}"


def outcome(case: Case) -> str:
    """What comes back for frames."""
    pongs = sum(opcode == PONG for opcode, _ in case.answers)
    problems = sum(opcode == BINARY for opcode, _ in case.answers)
    heard = [(case.acks, "message"), (pongs, "pong"), (problems, "UNSUPPORTED")]
    said = [count(number, what) for number, what in heard if number]
    if case.end is not None:
        said.append("empty close" if case.end == NO_CODE else f"close {case.end:d}")
    return ", ".join(said) or "nothing; it lives"


def frames(cases: Iterable[Case]) -> str:
    """Cases of frames."""
    head = ("case", "RFC 6455", "outcome", "why", "Autobahn")
    return table(head, [(case.name, case.section, outcome(case), case.why, case.autobahn) for case in cases])


def openings(cases: Iterable[Opening]) -> str:
    """Cases of the opening handshake."""
    reason = {"": "101", API: "to the API"}
    rows = [
        (case.name, case.section, reason.get(case.refused, f"{case.status} {case.refused}"), case.why) for case in cases
    ]
    return table(("case", "RFC 6455, or", "outcome", "why"), rows)


def tls(cases: Iterable[Opener | Later], good: str) -> str:
    """Cases of TLS."""
    special = {None: good, NOTHING: "the end", HIDDEN: "alert, encrypted"}
    rows = [(case.name, case.section, special.get(case.alert, f"alert {case.alert}"), case.why) for case in cases]
    return table(("case", "RFC 8446, or", "outcome", "why"), rows)


def page() -> str:
    """The whole page: what people wrote above the mark, and the tables."""
    parts = {
        "Opening handshake": openings(OPENINGS),
        "Lengths": frames(LENGTHS),
        "Bits and opcodes": frames(BITS),
        "Masks": frames(MASKS),
        "Fragments": frames(FRAGMENTS),
        "Control frames": frames(CONTROL),
        "Text": frames(TEXTS),
        "Many at once": frames(PILED),
        "Closing": frames(CLOSING),
        "TLS: the first bytes": tls(OPENERS, "ServerHello"),
        "TLS: after the handshake": tls(LATER, "it lives"),
    }
    front = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return front + MARK + "".join(f"\n## {title}\n\n{text}" for title, text in parts.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
