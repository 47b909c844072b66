"""What everybody was told, noted as it happens, and judged at the end.

The ledger knows devices, messages and what was said of them; nothing of servers and crashes. What it holds against the
system: a message that was accepted and is missing somewhere, shown twice, shown out of order, under another seq or
time than the sender was told; a receipt for what had not happened; two screens that sort a conversation differently.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from iris_sdk import Client, Event, Message, OwnCopy, Row, StateChange
from iris_sdk.ids import user_from_text
from tests.support.people import SHOWN, shown

WRONG_MAX = 40


@dataclass(frozen=True)
class Device:
    """One device of somebody."""

    user: str
    handle: str
    number: int  # as the server counts
    profile: Path

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.handle}.{self.number}"


@dataclass
class Ledger:
    """Everything that was sent, accepted, shown and receipted."""

    devices: list[Device] = field(default_factory=list)
    accepted: dict[str, tuple[int, int]] = field(default_factory=dict)  # message: seq, at
    sent: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))  # (device, peer): texts
    marked: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))  # (reader, writer): seq
    seen: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # device: messages
    order: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # the same, as they came
    receipts: int = 0
    wrong: list[str] = field(default_factory=list)
    _profiles: dict[str, list[sqlite3.Connection]] = field(default_factory=lambda: defaultdict(list))

    def join(self, device: Device) -> None:
        """A device takes part; its profile exists."""
        self.devices.append(device)
        db = sqlite3.connect(f"file:{device.profile}/profile.db?mode=ro", uri=True, timeout=15)
        self._profiles[device.user].append(db)

    def blame(self, what: str) -> None:
        """Something that must not be."""
        if len(self.wrong) < WRONG_MAX:
            self.wrong.append(what)

    @property
    def shown(self) -> int:
        """Messages that a device emitted."""
        return sum(counter.total() for counter in self.seen.values())

    # --- as it happens ---

    def hear(self, device: Device, event: Event) -> None:
        """A device emitted an event."""
        if isinstance(event, Message | OwnCopy):
            self.seen[device.name][event.message_id] += 1
            self.order[device.name].append(event.message_id)
            if self.seen[device.name][event.message_id] > 1:
                self.blame(f"{device.name} was shown {brief([event.text or ''])} twice")
        if isinstance(event, StateChange):
            self._hear_state(device, event)
        elif isinstance(event, OwnCopy) and event.state in ("delivered", "read"):
            self._hear_receipt(device, event.peer, event.message_id, event.state, event.seq)

    def _hear_state(self, device: Device, event: StateChange) -> None:
        if event.state in ("refused", "expired"):
            self.blame(f"{device.name}: {event.message_id} is {event.state} ({event.code})")
            return
        told = (event.seq, event.at)
        if self.accepted.setdefault(event.message_id, told) != told:
            self.blame(
                f"{device.name}: {event.message_id} was accepted as {self.accepted[event.message_id]}, now {told}"
            )
        if event.state in ("delivered", "read"):
            self._hear_receipt(device, event.peer, event.message_id, event.state, event.seq)

    def _hear_receipt(self, device: Device, peer: str, message_id: str, state: str, seq: int) -> None:
        self.receipts += 1
        if not self._holds(peer, device.user, message_id):
            self.blame(f"{device.name} was told {message_id} is {state}, and no device of {peer} has it")
        if state == "read" and self.marked[peer, device.user] < seq:
            self.blame(f"{device.name} was told {message_id} was read, and {peer} had not")

    def _holds(self, user: str, sender: str, message_id: str) -> bool:
        words = "SELECT 1 FROM history WHERE sender = ? AND message_id = ?"
        key = (user_from_text(sender), bytes.fromhex(message_id))
        return any(db.execute(words, key).fetchone() for db in self._profiles[user])

    # --- at the end ---

    def expected(self, device: Device) -> int:
        """How many messages a device must show in the end, its own included."""
        by_user = {other.name: other.user for other in self.devices}
        return sum(len(texts) for (sender, peer), texts in self.sent.items() if device.user in (peer, by_user[sender]))

    def judge(self, clients: dict[str, Client]) -> None:
        """Compare what every profile holds with what was said. `clients` by device name, none of them busy."""
        rows = {name: shown(client) for name, client in clients.items()}
        for device in self.devices:
            mine = rows[device.name]
            self._judge_streams(device, mine)
            self._judge_rows(device, mine)
            held = {row.message_id for row in mine}
            for message_id in self.order[device.name]:
                if message_id not in held:
                    self.blame(f"{device.name} has shown {message_id} and forgotten it")
        self._judge_accepted(rows)
        self._judge_screens(clients)

    def _judge_streams(self, device: Device, rows: list[Row]) -> None:
        """From each device in each conversation: all of it, once, in order."""
        found: dict[tuple[str, int, str], list[str]] = defaultdict(list)
        for row in rows:
            peer = row.peer if row.kind != "message" else device.user
            found[row.sender, row.device, peer].append(row.text or "")
        for other in self.devices:
            for (sender, peer), texts in self.sent.items():
                if sender != other.name or device.user not in (other.user, peer):
                    continue
                got = found.get((other.user, other.number, peer), [])
                if got != texts:
                    self.blame(f"{device.name} has from {sender}: {difference(texts, got)}")

    def _judge_rows(self, device: Device, rows: list[Row]) -> None:
        """Seq and time are what the sender was told; every message of mine is read in the end."""
        before: dict[str, int] = defaultdict(int)
        for row in rows:
            assert row.kind in SHOWN
            told = self.accepted.get(row.message_id)
            if told is not None and told != (row.seq, row.at):
                self.blame(
                    f"{device.name} has {brief([row.text or ''])} as {(row.seq, row.at)}, the sender was told {told}"
                )
            if row.kind != "message" and row.state != "read":
                self.blame(f"{device.name}: {brief([row.text or ''])} to {row.peer} is {row.state}, not read")
            if row.kind == "message":
                if row.seq <= before[device.user]:
                    self.blame(f"{device.name}: seq {row.seq} came after {before[device.user]}")
                before[device.user] = row.seq

    def _judge_accepted(self, rows: dict[str, list[Row]]) -> None:
        """Whatever anybody was told is accepted lies in a profile of the recipient under a seq of its own."""
        places: dict[tuple[str, int], str] = {}
        for device in self.devices:
            for row in rows[device.name]:
                mailbox = device.user if row.kind == "message" else row.peer
                if places.setdefault((mailbox, row.seq), row.message_id) != row.message_id:
                    self.blame(f"seq {row.seq} of {mailbox} was given to two messages")
        kept = set(places.values())
        for message_id in self.accepted:
            if message_id not in kept:
                self.blame(f"{message_id} was accepted and is nowhere")

    def _judge_screens(self, clients: dict[str, Client]) -> None:
        screens: dict[frozenset[str], tuple[str, list[str]]] = {}
        for device in self.devices:
            for peer in sorted({other.user for other in self.devices} - {device.user}):
                try:
                    screen = [row.message_id for row in clients[device.name].conversation(peer, 1 << 30)]
                except LookupError:
                    continue
                name, first = screens.setdefault(frozenset((device.user, peer)), (device.name, screen))
                if first != screen:
                    self.blame(f"{name} and {device.name} sort their conversation differently")


def difference(wanted: list[str], got: list[str]) -> str:
    """How what came differs from what was sent."""
    more = Counter(got)
    more.subtract(Counter(wanted))
    lost = [text for text in wanted if more[text] < 0]
    twice = sorted(text for text, count in more.items() if count > 0)
    if lost or twice:
        return f"{len(lost)} of {len(wanted)} missing {brief(lost)}, {len(twice)} too many {brief(twice)}"
    first = next(n for n, (a, b) in enumerate(zip(wanted, got, strict=True)) if a != b)
    return (
        f"all {len(wanted)}, but out of order: {brief(got[first : first + 5])} for {brief(wanted[first : first + 5])}"
    )


def brief(texts: list[str]) -> list[str]:
    """The first few, without what makes them long."""
    return [text[:20].rstrip(" x") for text in texts[:5]]
