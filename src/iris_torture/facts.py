"""What a record says, put in order: devices with their lives, messages with what became of them.

Pure. A device begins a new life whenever its profile is replaced by an older copy: what it has shown and queued since
the copy was made is forgotten, and the copy's content counts as shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from iris_torture.history import Entry

WINDOW = 64  # messages of a device that may be under way at once, generously
RANK = {"queued": 0, "accepted": 1, "delivered": 2, "read": 3}


@dataclass(frozen=True, slots=True)
class Shown:
    """A message on a screen. `place` is its index among all that this life has shown."""

    id: str
    label: str
    sender: str
    number: int
    conversation: str
    seq: int
    at: int
    own: bool
    t: int
    place: int


@dataclass(frozen=True, slots=True)
class State:
    """A step that a device saw of a message of its user."""

    state: str
    seq: int
    at: int
    code: str
    t: int


@dataclass
class Life:
    """A device between two restores. `since`: its beginning, ns."""

    since: int
    known: dict[str, str] = field(default_factory=dict)  # message id → its state in the copy ("" for others' messages)
    waiting: int = 0  # how many messages of the copy had no answer
    shown: list[Shown] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    states: dict[str, list[State]] = field(default_factory=lambda: defaultdict(list))
    gaps: list[int] = field(default_factory=list)  # when it was told

    def has(self) -> set[str]:
        """Ids of all messages that this device can show."""
        return self.known.keys() | {row.id for row in self.shown} | set(self.queued)

    def last(self, message: str) -> str:
        """The newest state of a message of mine, "" when there is none."""
        steps = self.states.get(message)
        return steps[-1].state if steps else self.known.get(message, "")


@dataclass
class Device:
    """One linked device."""

    name: str
    user: str = ""
    number: int = 0
    linked: int | None = None
    unlinked: int | None = None
    lives: list[Life] = field(default_factory=list)
    reads: list[tuple[int, str, int, int]] = field(default_factory=list)  # t, conversation, seq, number of the life
    seconds: list[tuple[int, str]] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    screens: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    @property
    def life(self) -> Life:
        """The last one."""
        return self.lives[-1]


@dataclass
class Sent:
    """A message by its sender. `life` and `n` order what one device has sent."""

    id: str
    label: str
    origin: str
    to: str
    life: int
    n: int
    invoked: int
    unsure: bool = False  # its sender's restored copy had it unanswered: it may be stored twice, and is shown once


@dataclass
class Facts:
    """A whole record."""

    devices: dict[str, Device]
    sent: dict[str, Sent]
    faults: dict[str, int]
    stray: list[tuple[str, Shown]] = field(default_factory=list)  # shown, and nobody has sent it

    def of_user(self, user: str) -> list[Device]:
        return [device for device in self.devices.values() if device.user == user]


def gather(entries: Iterable[Entry]) -> Facts:
    """Read a record; entries of one device must be in its order."""
    devices: dict[str, Device] = {}
    invoked: dict[str, tuple[int, str]] = {}
    sent: dict[str, Sent] = {}
    faults: dict[str, int] = defaultdict(int)
    rest: list[tuple[str, Shown]] = []
    for entry in entries:
        if entry.what == "fault":
            faults[entry.data["name"]] += 1
            continue
        device = devices.setdefault(entry.device, Device(entry.device))
        if not device.lives:
            device.lives.append(Life(entry.t))
        if entry.what == "invoke":
            invoked |= dict.fromkeys(entry.data["labels"], (entry.t, entry.data["to"]))
        elif entry.what == "queued":
            _queued(device, entry, invoked, sent)
        else:
            _add(device, entry, rest)
    facts = Facts(devices, sent, dict(faults))
    for device in devices.values():
        for life in device.lives[1:]:
            for message in _unsure(device, life, sent):
                sent[message].unsure = True
    facts.stray = [(name, row) for name, row in rest if row.id not in sent]
    return facts


def _unsure(device: Device, life: Life, sent: dict[str, Sent]) -> list[str]:
    """What the restored copy may send again: what waits in it, and what may wait though its state is known.

    (A copy of a message can come back from the server before its answer does; then it is accepted and still waits.)
    """
    mine = [message for message in life.known if message in sent and sent[message].origin == device.name]
    queued = [message for message in mine if life.known[message] == "queued"]
    if life.waiting > len(queued):
        mine.sort(key=lambda message: (sent[message].life, sent[message].n))
        queued += mine[-WINDOW - life.waiting :]
    return queued


def _queued(device: Device, entry: Entry, invoked: dict[str, tuple[int, str]], sent: dict[str, Sent]) -> None:
    data = entry.data
    t, _ = invoked.get(data["label"], (entry.t, ""))
    device.life.queued.append(data["id"])
    if data["id"] not in sent:
        life = len(device.lives) - 1
        sent[data["id"]] = Sent(data["id"], data["label"], device.name, data["to"], life, data["n"], t)


def _add(device: Device, entry: Entry, shown: list[tuple[str, Shown]]) -> None:
    data, life = entry.data, device.life
    match entry.what:
        case "linked":
            device.user, device.number = data["user"], data["number"]
            device.linked = entry.t
        case "unlinking":
            device.unlinked = entry.t
        case "shown":
            row = Shown(
                data["id"], data["label"], data["sender"], data["number"], data["conversation"], data["seq"],
                data["at"], data["own"], entry.t, len(life.shown),
            )  # fmt: skip
            life.shown.append(row)
            shown.append((device.name, row))
            if row.own:
                life.states[row.id].append(State(data["state"], row.seq, row.at, "", entry.t))
        case "state":
            life.states[data["id"]].append(State(data["state"], data["seq"], data["at"], data.get("code", ""), entry.t))
        case "reading":
            device.reads.append((entry.t, data["conversation"], data["seq"], len(device.lives) - 1))
        case "gap":
            life.gaps.append(entry.t)
        case "restored":
            device.lives.append(Life(entry.t, known=dict(data["known"]), waiting=data["waiting"]))
        case "second":
            device.seconds.append((entry.t, data["state"]))
        case "connection" if data["state"] == "closed":
            device.closed.append((entry.t, data["reason"]))
        case "screen":
            device.screens[data["peer"]] = [(row[0], row[1]) for row in data["rows"]]
        case _:
            pass
