"""Made-up records of a perfect server, for the judge: every message goes everywhere at once."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

from iris_torture.history import Entry


class World:
    """Users u1, u2 … with devices u1.1, u1.2 …; what they do is told to `entries` as a run would."""

    def __init__(self, users: int = 3, devices: int = 2) -> None:
        self.entries: list[Entry] = []
        self._t = 0
        self._places: dict[str, int] = defaultdict(int)
        self._seqs: dict[str, int] = defaultdict(int)
        self._made: dict[str, int] = defaultdict(int)
        self._unread: dict[tuple[str, str], list[tuple[str, str, int, int]]] = defaultdict(list)
        self.devices = {f"u{u}": [f"u{u}.{d}" for d in range(1, devices + 1)] for u in range(1, users + 1)}
        self.screens: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)
        self.holds: dict[str, dict[str, str]] = defaultdict(dict)
        for user, names in self.devices.items():
            for number, name in enumerate(names, 1):
                self.add(name, "linked", user=user, number=number)

    def add(self, device: str, what: str, **data: Any) -> None:
        """One entry, later than all before."""
        self._t += 1
        self.entries.append(Entry(self._t, device, what, data))

    def tell(self, device: str, what: str, **data: Any) -> None:
        """One entry of what a profile tells, with its place."""
        self._places[device] += 1
        self.add(device, what, **data, n=self._places[device])

    def send(self, device: str, to: str, read: bool = False) -> str:
        """Sent, accepted, shown, delivered and perhaps read. Returns the message's id."""
        self._made[device] += 1
        label = f"{device}-{self._made[device]:06}"
        message, user = f"id-{label}", device.partition(".")[0]
        conversation = "".join(sorted((user, to)))
        self.add(device, "invoke", to=to, labels=[label])
        self.tell(device, "queued", id=message, label=label, to=to)
        self._seqs[to] += 1
        seq, at = self._seqs[to], self._t
        self.tell(device, "state", id=message, state="accepted", seq=seq, at=at, code="")
        for own, names in ((True, self.devices[user]), (False, self.devices[to])):
            for name in names:
                self.screens[name, to if own else user].append([message, at])
                self.holds[name][message] = "accepted" if own else ""
                if name != device:
                    self.tell(
                        name, "shown", id=message, label=label, sender=user, number=int(device.partition(".")[2]),
                        conversation=conversation, seq=seq, at=at, own=own,
                        state="accepted" if own else "",
                    )  # fmt: skip
        self.tell(device, "state", id=message, state="delivered", seq=seq, at=at, code="")
        self._unread[conversation, to].append((device, message, seq, at))
        if read:
            self.add(self.devices[to][0], "reading", conversation=conversation, seq=seq)
            for origin, earlier, its_seq, its_at in self._unread.pop((conversation, to)):
                self.tell(origin, "state", id=earlier, state="read", seq=its_seq, at=its_at, code="")
        return message

    def end(self) -> list[Entry]:
        """The whole record, with the screens of the end."""
        for (device, peer), rows in self.screens.items():
            self.add(device, "screen", peer=peer, rows=rows)
        return self.entries


def clean(seed: int, messages: int = 30) -> list[Entry]:
    """A record without fault."""
    chance = random.Random(seed)
    world = World()
    names = [name for names in world.devices.values() for name in names]
    for _ in range(messages):
        device = chance.choice(names)
        to = chance.choice([user for user in world.devices if not device.startswith(user)])
        world.send(device, to, read=chance.random() < 0.3)
    return world.end()


def changed(entry: Entry, **data: Any) -> Entry:
    """The same entry with other data."""
    return replace(entry, data={**entry.data, **data})
