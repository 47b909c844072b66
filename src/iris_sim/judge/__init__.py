"""The judge: hears everything that happens in a world and holds it against the promises.

`Judge` is the Observer; the parts are truth (what is durable), frames (what is said), profiles (what devices hold),
states (what servers hold), rules (single frames and rows), manners (how clients behave), moments (what no store holds)
and healed (what must be so in the end). docs/simulator.md lists every invariant by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.ids import shard_of, user_unit
from iris.core.requests import Auth, Done, LinkDevice, Linked, LogoutDevice, Operation, PutBlock, Result
from iris.core.rows import Write
from iris.store.memory import at_once
from iris_sdk.core import effects as fx
from iris_sim.judge.frames import Frames
from iris_sim.judge.healed import Healed
from iris_sim.judge.manners import Manners
from iris_sim.judge.moments import Moments
from iris_sim.judge.profiles import Profiles
from iris_sim.judge.rules import Rules
from iris_sim.judge.states import States
from iris_sim.judge.truth import Truth
from iris_sim.observer import Observer, Step, Violation

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView, ServerView, WorldView

LOOK_US: Final = 400_000  # between two looks at all that a server holds


class Judge(Observer):
    """Raises Violation when a promise is broken."""

    def begin(self, world: WorldView) -> None:
        self.world = world
        self.truth = Truth(world)
        self.frames = Frames(self.truth)
        self.profiles = Profiles(self.truth)
        self.states = States(self.truth, self.frames)
        self.rules = Rules(self.truth, self.profiles)
        self.manners = Manners(self.truth)
        self.moments = Moments(self.truth)
        self.healed = Healed(self.truth, self.profiles)
        self._looked: dict[int, int] = {}
        self._commits = 0

    def step(self, step: Step, text: str) -> None:
        self.moments.step(step.kind)

    def heal(self) -> None:
        self.moments.heal()

    # --- people ---
    def queued(self, device: DeviceView, peer: bytes, message_id: bytes, text: str) -> None:
        self.truth.wrote(device, peer, message_id, text)
        self.moments.wrote(device, peer, message_id)
        self.profiles.of(device).known.add((device.user.id, message_id))

    def linked(self, device: DeviceView) -> None:
        self.truth.linked(device)
        self.profiles.begun(device)

    def asked(self, device: DeviceView | None, request: int, unit: bytes, auth: Auth | None, what: Operation) -> None:
        self.rules.asked(request)

    def answered(self, device: DeviceView | None, request: int, what: Operation, result: Result) -> None:
        """What the API said to be done is durable."""
        if device is None:
            return
        self.rules.answered(device, request, what, result)
        unit = self.truth.unit(device.user.id)
        wrong = False
        if isinstance(what, LinkDevice) and isinstance(result, Linked):
            wrong = result.device not in unit.links
        elif isinstance(what, LogoutDevice) and isinstance(result, Done) and what.device:
            link = unit.links.get(what.device)
            wrong = link is not None and link.gone_at is None and unit.restored_at is None
        elif isinstance(what, PutBlock) and isinstance(result, Done):
            wrong = what.other not in unit.blocks and unit.restored_at is None and not unit.deleted
        if wrong:
            text = f"{device.name} was told that {what} is done; it is not durable"
            raise Violation("P1-REQUEST", text, (unit.user,))

    # --- clients ---
    def spoke(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        kind = frame[0]
        self.rules.spoke(device, frame)
        self.manners.spoke(device, frame)
        if kind == f.ACK:
            self.profiles.said_cursor(device, frame[2], frame[3], ack=True)
        elif kind == f.HELLO:
            self.profiles.said_cursor(device, frame[3], frame[4], ack=True)
        elif kind == f.SEND:
            self.truth.first_sent.setdefault((device.user.id, frame[6]), self.world.now)
        elif kind == f.READ:
            key = (device.user.id, frame[2])
            if frame[3] > self.truth.read.get(key, 0):
                self.truth.read[key] = frame[3]

    def opened(self, device: DeviceView, conn: int, server: int) -> None:
        self.moments.opened(conn)
        self.rules.opened(device, conn)

    def saw(self, device: DeviceView, effect: fx.PresenceSeen | fx.TypingSeen | fx.StateEntered) -> None:
        self.moments.saw(device, effect)

    def died(self, device: DeviceView) -> None:
        self.moments.died(device)

    def lost(self, device: DeviceView, conn: int, code: int | None) -> None:
        self.truth.left_at[device.user.id] = self.truth.world.now
        self.manners.lost(conn)

    def heard(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        self.moments.heard(device, frame)
        self.manners.heard(device, frame)
        if frame[0] == f.WELCOME:
            self.profiles.welcomed(device, frame[6], frame[7])

    def saved(self, device: DeviceView, writes: Sequence[fx.Write]) -> None:
        self.profiles.saved(device, writes)
        self.moments.saved(device, writes)
        self.rules.saved(device, writes)

    def started(self, device: DeviceView) -> None:
        if device.restored:
            self.profiles.set_back(device)
            self.moments.set_back(device)

    # --- servers ---
    def said(self, server: ServerView, device: DeviceView | None, frame: tuple[Any, ...]) -> None:
        if device is not None:
            self.frames.said(server, device, frame)
            self.moments.said(server, device, frame)
            self.rules.said(device, frame)

    def took(self, server: ServerView, frame: tuple[Any, ...]) -> None:
        self.moments.took(server, frame)

    def durable(self, server: ServerView, writes: Sequence[Write]) -> None:
        self._commits += 1
        self.moments.clocks()
        self.rules.before(writes)
        self.truth.apply(writes)
        self.rules.after(writes)
        self.moments.durable(writes)
        self.manners.durable(writes)

    def turned(self, server: ServerView) -> None:
        if self.world.now - self._looked.get(server.number, 0) >= LOOK_US:
            self._looked[server.number] = self.world.now
            self.states.look(server)
            self.moments.look(server)

    def crashed(self, server: ServerView, lost: Sequence[Write], kept: Sequence[Write]) -> None:
        self.truth.apply(kept)

    def booted(self, server: ServerView, restored: bool) -> None:
        self.moments.booted(server)
        if not restored:
            return
        self.manners.restored()
        store, servers = server.store, len(self.world.servers)
        for user in list(self.truth.units):
            if shard_of(user_unit(user), store.num_shards) % servers == server.number:
                rows = at_once(store.load_user(user))
                mailbox = at_once(store.page_mailbox(user, 0, 1 << 62, 1 << 30, 1 << 60))
                self.truth.set_to(user, rows, mailbox, lambda one, user=user: at_once(store.load_marks(user, one)))  # type: ignore[misc]

    def counts(self) -> Counter[str]:
        """What the servers did."""
        found = Counter({"messages accepted": 0})
        for unit in self.truth.units.values():
            found["messages accepted"] += sum(len(seqs) for seqs in unit.letters.values())
            found["messages refused for good"] += sum(outcome[2] != 0 for outcome in unit.outcomes.values())
        found["messages shown"] = self.profiles.shown()
        found["commits"] = self._commits
        return found

    # --- the run ---
    def rested(self) -> None:
        self.healed.rested()

    def vanished(self) -> None:
        self.healed.vanished(self.moments.unheard)
        self.moments.vanished(self.healed.standing())

    def end(self) -> None:
        self.healed.ended()
