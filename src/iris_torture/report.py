"""The page at the end: what was done, what held, what did not with its story, how to do it again. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from iris_torture.driver import Outcome, Plan
from iris_torture.facts import gather
from iris_torture.history import Entry
from iris_torture.judge import PROMISES, Violation

STORIES_MAX = 5
LINES_MAX = 60
AROUND = ("opened", "connection", "fault", "restored", "linked", "unlinking", "gap")


@dataclass(frozen=True, slots=True)
class Page:
    """What a report is made from."""

    url: str
    plan: Plan
    outcome: Outcome
    command: str
    entries: list[Entry]


def markdown(page: Page) -> str:
    """For people."""
    outcome, counts = page.outcome, page.outcome.verdict.counts
    verdict = "every promise held" if outcome.verdict.clean else f"{len(outcome.verdict.violations):,} VIOLATIONS"
    size = f"{counts['users']} users with {counts['devices']} devices"
    time = f"{page.plan.minutes:g} minutes of faults ({outcome.seconds:.0f} s with set-up and calm)"
    heard = f"{counts['delivered']:,} that they were delivered, of {counts['read']:,} that they were read"
    lines = [
        f"# Torture of {page.url}: {verdict}",
        "",
        f"{outcome.server}. {size}, {time}, seed {page.plan.seed}.",
        "",
        f"Clients sent {counts['sent']:,} messages:",
        f"{counts['accepted']:,} were accepted, {counts['refused']:,} refused.",
        f"Devices showed {counts['shown']:,}; senders heard of {heard}.",
        f"{outcome.connections:,} connections were made. {_latency(page.entries)}",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {times:,} |" for name, times in sorted(outcome.faults.items())),
        "",
        "| promise | verdict |",
        "|---|---|",
    ]
    for promise, words in PROMISES.items():
        found = len(outcome.verdict.of(promise))
        lines.append(f"| {words} | {f'**broken {found:,} times** ({promise})' if found else 'held'} |")
    if counts["gaps_told"]:
        lines += ["", f"{counts['gaps_told']} times a restored device was told that older messages are gone."]
    if outcome.trouble:
        lines += ["", "The checker itself had trouble: " + "; ".join(outcome.trouble[:10])]
    for violation in _examples(outcome.verdict.violations):
        lines += ["", f"## {violation.promise}: {violation.why}", "", *_story(page.entries, violation)]
    lines += ["", "## Again", "", f"    {page.command}", ""]
    lines += ["The seed fixes who does what when; the moments of a network and of a disk it cannot fix.", ""]
    return "\n".join(lines)


def to_json(page: Page) -> str:
    """For programs."""
    outcome = page.outcome
    return json.dumps(
        {
            "url": page.url, "server": outcome.server, "seed": page.plan.seed, "minutes": page.plan.minutes,
            "clean": outcome.verdict.clean, "counts": outcome.verdict.counts, "faults": outcome.faults,
            "violations": [asdict(violation) for violation in outcome.verdict.violations],
            "trouble": outcome.trouble, "command": page.command,
        },
        indent=1,
    )  # fmt: skip


def _examples(violations: list[Violation]) -> list[Violation]:
    """The first of each kind, then more, up to STORIES_MAX."""
    first: dict[str, Violation] = {}
    for violation in violations:
        first.setdefault(violation.promise, violation)
    rest = [violation for violation in violations if violation not in first.values()]
    return [*first.values(), *rest][: max(STORIES_MAX, len(first))]


def _story(entries: list[Entry], violation: Violation) -> list[str]:
    """What all devices did with the message, and what happened meanwhile to the two that matter."""
    if not entries:
        return []
    zero = min(entry.t for entry in entries)
    label = next(
        (e.data["label"] for e in entries if e.data.get("id") == violation.message and e.data.get("label")), ""
    )
    about = [entry for entry in entries if violation.message and _concerns(entry, violation.message, label)]
    who = {violation.device, *(entry.device for entry in about if entry.what == "queued")}
    if about:
        first, last = min(entry.t for entry in about), max(entry.t for entry in about)
    else:
        first, last = zero, max(entry.t for entry in entries)
    around = [e for e in entries if e.what in AROUND and e.device in who and first - 10**10 <= e.t <= last + 10**10]
    rows = sorted([*about, *around], key=lambda entry: entry.t)
    shown = [
        f"    {(e.t - zero) / 1e9:9.3f} s  {e.device:6} {e.what:10} {_details(e, violation.message)}" for e in rows
    ]
    if len(shown) > LINES_MAX:
        shown = [*shown[: LINES_MAX // 2], f"    … {len(shown) - LINES_MAX} more …", *shown[-LINES_MAX // 2 :]]
    return shown


def _concerns(entry: Entry, message: str, label: str) -> bool:
    return (
        entry.data.get("id") == message
        or (entry.what == "invoke" and label in entry.data["labels"])
        or (entry.what == "restored" and message in entry.data["known"])
    )


def _details(entry: Entry, message: str) -> str:
    if entry.what == "restored":
        return (
            "holds it, " + (entry.data["known"][message] or "shown") if message in entry.data["known"] else "lacks it"
        )
    skip = ("id", "labels", "conversation", "sender")
    return " ".join(f"{key}={value}" for key, value in entry.data.items() if key not in skip and value != "")


def _latency(entries: list[Entry]) -> str:
    """From queued to accepted, as the sending device sees it, faults included."""
    facts = gather(entries)
    queued = {(e.device, e.data["id"]): e.t for e in entries if e.what == "queued"}
    times = sorted(
        (steps[0].t - queued[device.name, message]) / 1e6
        for device in facts.devices.values()
        for life in device.lives
        for message, steps in life.states.items()
        if (device.name, message) in queued and steps[0].state in ("accepted", "delivered", "read")
    )
    if not times:
        return ""
    middle, most = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"From sending to accepted: {middle:.0f} ms in the middle, {most:.0f} ms for 99 of 100."
