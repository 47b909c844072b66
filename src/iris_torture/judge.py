"""Did the promises hold? `judge(entries)`: a pure function of the record.

Each check names what it looks for and what it must not take for a fault. Told apart: what a device must show (linked
before the message was sent, not logged out since) and what it may show; what a restored profile has forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from iris_torture.facts import RANK, Device, Facts, Sent, Shown, State, gather
from iris_torture.history import Entry

# Checks by name, with the promise in words that a stranger reads.
PROMISES = {
    "lost": "an accepted message is shown on every device that was linked when it was sent",
    "twice": "no device shows a message twice",
    "order": "what one device sends in one conversation is shown in that order everywhere",
    "alike": "all devices sort a conversation alike",
    "receipt": "a receipt claims only what has happened: delivered what was shown, read what was marked as read",
    "missing": "every receipt that is due arrives",
    "contradiction": "answers agree: one verdict, one number and one time for a message, and no step back",
    "unanswered": "every message is accepted or refused in the end",
    "invented": "nothing is shown that nobody sent, or that was refused",
    "thrown_out": "a device that was not logged out keeps its session, and two processes never share one",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which, of which message (its id, or ""), on which device, in words."""

    promise: str
    message: str
    device: str
    why: str


@dataclass
class Verdict:
    """What was found, and how much there was to look at."""

    violations: list[Violation] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return not self.violations

    def of(self, promise: str) -> list[Violation]:
        return [found for found in self.violations if found.promise == promise]


def judge(entries: Iterable[Entry]) -> Verdict:
    """All checks on a whole record."""
    facts = gather(entries)
    verdict = Verdict(counts=_counts(facts))
    for check in CHECKS:
        verdict.violations += check(facts)
    return verdict


def _lost(facts: Facts) -> Iterator[Violation]:
    """Accepted, by an answer or because some device shows it: then it must be everywhere."""
    accepted = {
        m for d in facts.devices.values() for life in d.lives for m in life.states if _was_accepted(life.states[m])
    }
    accepted |= {row.id for d in facts.devices.values() for life in d.lives for row in life.shown}
    can_show = {d.name: d.life.has() for d in facts.devices.values()}
    by_user: dict[str, list[Device]] = defaultdict(list)
    for device in facts.devices.values():
        by_user[device.user].append(device)
    for message in accepted & facts.sent.keys():
        sent = facts.sent[message]
        sender = facts.devices[sent.origin].user
        for device in by_user[sender] + by_user[sent.to]:
            if device.name == sent.origin or message in can_show[device.name] or not _linked(device, sent):
                continue
            if any(told > sent.invoked for told in device.life.gaps) and len(device.lives) > 1:
                continue  # a restored profile came back with a cursor older than what is kept, and was told so
            yield Violation(
                "lost", message, device.name, f"{sent.label} was accepted and {device.name} never showed it"
            )


def _linked(device: Device, sent: Sent) -> bool:
    return device.linked is not None and device.linked < sent.invoked and device.unlinked is None


def _was_accepted(steps: list[State]) -> bool:
    return any(step.state in ("accepted", "delivered", "read") for step in steps)


def _twice(facts: Facts) -> Iterator[Violation]:
    """By id, and by label: a client that sends one text under two ids doubles it just as well."""
    for device in facts.devices.values():
        for life in device.lives:
            seen = dict.fromkeys(life.known, "in the restored copy")
            labels: dict[str, str] = {}
            for row in life.shown:
                if row.id in seen or labels.get(row.label, row.id) != row.id:
                    yield Violation("twice", row.id, device.name, f"{device.name} showed {row.label} twice")
                seen[row.id] = "shown"
                labels[row.label] = row.id


def _order(facts: Facts) -> Iterator[Violation]:
    """By the sender's numbering, on every screen and in the numbers that the server gave."""
    for device in facts.devices.values():
        for life in device.lives:
            newest: dict[tuple[str, str], Sent] = {}
            highest: dict[tuple[str, str], int] = {}
            for row in life.shown:
                sent = facts.sent.get(row.id)
                if sent is None or sent.unsure:
                    continue
                key = (sent.origin, row.conversation)
                before = newest.get(key)
                if before is not None and (sent.life, sent.n) < (before.life, before.n):
                    why = f"{device.name} showed {sent.label} after {before.label}, which was sent later"
                    yield Violation("order", row.id, device.name, why)
                elif row.seq <= highest.get(key, 0):
                    why = f"{sent.label} has the number {row.seq}, below an earlier message of the same device"
                    yield Violation("order", row.id, device.name, why)
                else:
                    newest[key], highest[key] = sent, row.seq


def _alike(facts: Facts) -> Iterator[Violation]:
    """Screens at the end: the same order of whatever two devices both have, no message twice, none missing."""
    first: dict[frozenset[str], tuple[str, list[tuple[str, int]]]] = {}
    for device in facts.devices.values():
        on_screen = {message for rows in device.screens.values() for message, _ in rows}
        for row in device.life.shown if device.screens else ():
            if row.id not in on_screen:
                yield Violation(
                    "alike", row.id, device.name, f"{device.name} showed {row.label} and its screen lacks it"
                )
        for peer, rows in device.screens.items():
            ids = [message for message, _ in rows]
            if len(ids) != len(set(ids)):
                yield Violation("twice", "", device.name, f"{device.name} has a message twice on its screen")
            other, theirs = first.setdefault(frozenset((device.user, peer)), (device.name, rows))
            if other == device.name:
                continue
            yield from _compare(facts, device.name, rows, other, theirs)


def _compare(
    facts: Facts, name: str, rows: list[tuple[str, int]], other: str, theirs: list[tuple[str, int]]
) -> Iterator[Violation]:
    both = {message for message, _ in rows} & {message for message, _ in theirs}
    both -= {message for message in both if message in facts.sent and facts.sent[message].unsure}
    mine = [message for message, _ in rows if message in both]
    yours = [message for message, _ in theirs if message in both]
    for here, there in zip(mine, yours, strict=True):
        if here != there:
            yield Violation("alike", here, name, f"{name} shows it where {other} shows {_label(facts, there)}")
            return


def _receipt(facts: Facts) -> Iterator[Violation]:
    """Delivered: some device of the recipient showed it, before or after. Read: marked as read, before."""
    shown = {(d.user, row.id) for d in facts.devices.values() for life in d.lives for row in life.shown}
    shown |= {(d.user, message) for d in facts.devices.values() for life in d.lives for message in life.known}
    reads: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for device in facts.devices.values():
        for t, _, seq, _ in device.reads:
            reads[device.user].append((t, seq))
    for name, message, step in _steps(facts):
        sent = facts.sent.get(message)
        if sent is None or step.state not in ("delivered", "read"):
            continue
        if (sent.to, message) not in shown:
            yield Violation(
                "receipt", message, name, f"{name} was told that {sent.label} is {step.state}; nobody showed it"
            )
        if (
            step.state == "read"
            and not sent.unsure
            and not any(t < step.t and seq >= step.seq for t, seq in reads[sent.to])
        ):
            yield Violation("receipt", message, name, f"{name} was told that {sent.label} is read; nobody has read it")


def _missing(facts: Facts) -> Iterator[Violation]:
    """The sending device, unless it was restored, knows at the end of every message that was shown or read."""
    shown = {(d.user, row.id): row.seq for d in facts.devices.values() for row in d.life.shown if not row.own}
    read: dict[tuple[str, str], int] = defaultdict(int)
    for device in facts.devices.values():
        for _, conversation, seq, life in device.reads:
            if life == len(device.lives) - 1 and device.unlinked is None:
                key = (device.user, conversation)
                read[key] = max(read[key], seq)
    holds = {device.name: device.life.has() for device in facts.devices.values() if device.lives}
    conversations = {row.id: row.conversation for d in facts.devices.values() for row in d.life.shown}
    for sent in facts.sent.values():
        origin = facts.devices[sent.origin]
        if sent.unsure or origin.unlinked is not None or sent.id not in holds[origin.name]:
            continue
        number = shown.get((sent.to, sent.id))
        if number is None:
            continue
        due = "read" if number <= read[sent.to, conversations[sent.id]] else "delivered"
        state = origin.life.last(sent.id)
        if RANK.get(state, 0) < RANK[due]:
            yield Violation(
                "missing", sent.id, origin.name, f"{sent.label} is {due}, and {origin.name} has {state or 'nothing'}"
            )


def _contradiction(facts: Facts) -> Iterator[Violation]:
    """Across all devices and lives; a message that may be stored twice has two numbers by right."""
    first: dict[str, tuple[int, int, str]] = {}
    for device in facts.devices.values():
        for life in device.lives:
            for message, steps in life.states.items():
                if message in facts.sent and facts.sent[message].unsure:
                    continue
                states = [step.state for step in steps]
                ranks = [RANK[state] for state in states if state in RANK]
                if ranks != sorted(ranks) or ("refused" in states and len(set(states)) > 1) or "expired" in states:
                    why = f"{device.name} was told of {_label(facts, message)}: {', '.join(states)}"
                    yield Violation("contradiction", message, device.name, why)
    told = [(name, m, step.seq, step.at) for name, m, step in _steps(facts) if step.state != "refused"]
    told += [
        (d.name, row.id, row.seq, row.at) for d in facts.devices.values() for life in d.lives for row in life.shown
    ]
    for name, message, seq, at in told:
        if message in facts.sent and facts.sent[message].unsure:
            continue
        before = first.setdefault(message, (seq, at, name))
        if before[:2] != (seq, at):
            why = f"{_label(facts, message)} is {seq} at {at} on {name}, and {before[0]} at {before[1]} on {before[2]}"
            yield Violation("contradiction", message, name, why)


def _unanswered(facts: Facts) -> Iterator[Violation]:
    """Of what a device has in its outbox at the end; what a restored copy does not hold is forgotten by right."""
    for device in facts.devices.values():
        if device.unlinked is not None:
            continue
        waiting = [m for m, state in device.life.known.items() if state == "queued"]
        for message in [*waiting, *device.life.queued]:
            if device.life.last(message) in ("", "queued"):
                why = f"{_label(facts, message)} of {device.name} was neither accepted nor refused"
                yield Violation("unanswered", message, device.name, why)


def _invented(facts: Facts) -> Iterator[Violation]:
    """Shown without a sender, to somebody who was not meant, or in spite of a refusal."""
    refused = {message for _, message, step in _steps(facts) if step.state == "refused"}
    for name, row in facts.stray:
        yield Violation("invented", row.id, name, f"{name} showed {row.label!r}, which nobody sent")
    for device in facts.devices.values():
        for life in device.lives:
            for row in life.shown:
                yield from _meant(facts, device, row, refused)


def _meant(facts: Facts, device: Device, row: Shown, refused: set[str]) -> Iterator[Violation]:
    sent = facts.sent.get(row.id)
    if sent is None:
        return
    origin = facts.devices[sent.origin]
    if row.id in refused:
        yield Violation("invented", row.id, device.name, f"{device.name} showed {row.label}, which was refused")
    if device.user not in (sent.to, origin.user):
        yield Violation(
            "invented", row.id, device.name, f"{device.name} showed {row.label}, which was for another user"
        )
    if (row.sender, row.number, row.label) != (origin.user, origin.number, sent.label):
        yield Violation(
            "invented", row.id, device.name, f"{device.name} showed {sent.label} as {row.label} of {row.sender}"
        )


def _thrown_out(facts: Facts) -> Iterator[Violation]:
    for device in facts.devices.values():
        for t, reason in device.closed:
            if device.unlinked is None or t < device.unlinked:
                yield Violation("thrown_out", "", device.name, f"{device.name} was closed for good: {reason}")
        for _, state in device.seconds:
            if state != "held_elsewhere":
                yield Violation("thrown_out", "", device.name, f"a second process on {device.name} was {state}")


def _steps(facts: Facts) -> Iterator[tuple[str, str, State]]:
    """(device, message, step) of everything that senders were told."""
    for device in facts.devices.values():
        for life in device.lives:
            for message, steps in life.states.items():
                for step in steps:
                    yield device.name, message, step


def _label(facts: Facts, message: str) -> str:
    sent = facts.sent.get(message)
    return sent.label if sent is not None else message


def _counts(facts: Facts) -> dict[str, int]:
    steps: dict[str, set[str]] = defaultdict(set)
    for _, message, step in _steps(facts):
        steps[step.state].add(message)
    accepted = steps["accepted"] | steps["delivered"] | steps["read"]
    return {
        "devices": len(facts.devices),
        "users": len({device.user for device in facts.devices.values()} - {""}),
        "sent": len(facts.sent),
        "accepted": len(accepted),
        "refused": len(steps["refused"]),
        "shown": sum(len(life.shown) for d in facts.devices.values() for life in d.lives),
        "delivered": len(steps["delivered"] | steps["read"]),
        "read": len(steps["read"]),
        "restores": sum(len(d.lives) - 1 for d in facts.devices.values()),
        "gaps_told": sum(len(life.gaps) for d in facts.devices.values() for life in d.lives),
    }


CHECKS: tuple[Callable[[Facts], Iterator[Violation]], ...] = (
    _lost, _twice, _order, _alike, _receipt, _missing, _contradiction, _unanswered, _invented, _thrown_out,
)  # fmt: skip
