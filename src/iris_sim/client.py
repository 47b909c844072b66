"""A device with its app: the real ClientCore on a profile, and what its shell would do for it.

A Device is one linked device of a user; the app's process on it lives and dies (`boot`, `kill`). Its clock counts from
an arbitrary time and never goes back; the wall clock of the machine may be wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.ids import direct_conversation
from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.content import encode_text
from iris_sdk.core import ClientCore, State
from iris_sdk.core import effects as fx
from iris_sdk.errors import OutboxFull
from iris_sim.codec import Frame, from_message, send_frame, to_message
from iris_sim.network import Conn
from iris_sim.server import WALL

if TYPE_CHECKING:
    from iris_sim.people import User
    from iris_sim.profile import Profile
    from iris_sim.world import World

TOKEN_MARGIN_MS: Final = 5_000
CONNECT_TIMEOUT: Final = 5_000_000  # µs


class Device:
    """See the module's text."""

    def __init__(self, world: World, user: User, number: int, profile: Profile, place: int) -> None:
        self.world, self.user, self.number, self.profile = world, user, number, profile
        self.name = f"{user.handle}/{number}"
        self.place = place  # among all devices of the world
        self.chance = random.Random(world.plan.seed * 64 + 16 + place)
        self.core: ClientCore | None = None  # None while the process does not run
        self.link: Conn | None = None
        self.server = 0  # the one it was connected to last
        self.linked_at = world.now  # µs
        self.unlinked = False  # as far as it knows: logged out, unlinked, or its account is deleted
        self.restored = False  # was ever set back to an older copy of its profile
        self.given_up = False  # its profile belongs to a later device
        self.online = True  # the person wants it to be connected
        self.presence: dict[bytes, tuple[int, int]] = {}  # what the app shows: user -> (status, last seen)
        self.watching: tuple[bytes, ...] = ()  # whose presence is on screen
        self.shift = 0  # ms, of its wall clock
        self.disk = 200  # µs, of a commit
        self.asking = False  # for a token
        self.copies: list[Profile] = []  # backups
        self._life = 0  # of the process
        self._offset = self.chance.randrange(1 << 40)
        self._outbox_seen = 0
        self._out: list[Frame] = []
        self._armed = 1 << 62
        self._commit: fx.Commit | None = None

    # --- what may be asked ---
    @property
    def conn(self) -> int:
        """The connection, 0 when there is none."""
        return 0 if self.link is None else self.link.number

    def wall(self) -> int:
        """ms since 1970 by this machine's clock."""
        return WALL + self.world.ms + self.shift

    def clock(self) -> int:
        """The core's clock, ms."""
        return self.world.now // 1000 + self._offset

    @property
    def closed(self) -> bool:
        """Whether the core has ended for good."""
        return self.core is not None and self.core.state is State.CLOSED

    # --- the process ---
    def boot(self) -> None:
        """Start the app on its profile."""
        if self.core is not None:
            return
        self._life += 1
        self._outbox_seen = 0
        self._armed = 1 << 62
        self._commit = None
        self.asking = False
        self.core = ClientCore(self.profile.load(), limits=self.world.sdk_limits, client="sim")
        self.world.watch.started(self)
        self.sync()
        if self.watching:  # the same is on screen again
            self.core.watch(self.watching)
        if self.online:
            self.core.start()
        self.drain()

    def kill(self, *, done: bool = False, silent: bool = False) -> None:
        """The process dies. done: the commit that is under way is on the disk. silent: no server hears of it."""
        if self.core is None:
            return
        commit, self._commit = self._commit, None
        if commit is not None and done:
            self._apply(commit)
        if "restore_profile" in self.world.plan.faults and not self.world.healing:
            self.copies = [*self.copies[-2:], self.profile.copy()]
        self.core = None
        self._life += 1
        self.cut(self.chance.random(), silent=silent)
        self.world.watch.died(self)

    def cut(self, share: float, *, silent: bool = False) -> None:
        """The connection breaks."""
        link = self.link
        if link is not None:
            link.cut(share, silent=silent)
            self.gone(link, None)

    # --- what a person does ---
    def go_online(self) -> None:
        self.online = True
        if self.core is None:
            self.boot()
        else:
            self.core.start()
            self.drain()

    def go_offline(self) -> None:
        self.online = False
        if self.core is not None:
            self.core.stop()
            self.drain()

    def write(self, peer: bytes, texts: list[str]) -> int:
        """Queue messages; how many were taken."""
        conversation = direct_conversation(self.user.id, peer)
        payloads: list[tuple[bytes, str | None]] = [(encode_text(text), text) for text in texts]
        try:
            made = self.profile.enqueue(conversation, payloads, self.wall(), self.world.limits.outbox_messages_max)
        except OutboxFull:
            return 0
        for (message_id, _), text in zip(made, texts, strict=True):
            self.world.watch.queued(self, peer, message_id, text)
        self.sync()
        self.drain()
        return len(made)

    def read_upto(self, conversation: bytes, seq: int) -> None:
        """The person has read up to here."""
        self.profile.want_read(conversation, seq)
        self.sync()
        self.drain()

    def type(self, conversation: bytes, active: bool) -> None:
        if self.core is not None:
            self.core.set_typing(conversation, active)
            self.drain()

    def watch(self, users: tuple[bytes, ...]) -> None:
        if self.core is None:
            return
        try:
            self.core.watch(users)
        except ValueError:
            return  # more than this server takes
        self.watching = users
        self.presence = {user: seen for user, seen in self.presence.items() if user in users}
        self.drain()

    def sync(self) -> None:
        """Take up what is new in the profile, as Holder.sync does."""
        core, now = self.core, self.clock()
        if core is None:
            return
        rows = self.profile.outbox_after(self._outbox_seen)
        if rows:
            self._outbox_seen = rows[-1][0]
            core.queued([row[1:] for row in rows], now)
        for conversation, seq in self.profile.reads_wanted():
            core.want_read(conversation, seq, now)

    # --- the connection ---
    def heard(self, frame: Frame) -> None:
        """A frame has arrived."""
        self.world.watch.heard(self, frame)
        if frame[0] != f.CLOSE and self.core is not None:
            self.core.receive(to_message(frame), self.clock())

    def gone(self, link: Conn, code: int | None) -> None:
        """The connection is over."""
        if self.link is not link:
            return
        self._left(code)
        if self.core is not None:
            self.core.lost(code, self.clock(), self.chance.random())
            self.drain()

    def _left(self, code: int | None) -> None:
        assert self.link is not None
        number, self.link = self.link.number, None
        self.presence = {}
        self.world.watch.lost(self, number, code)

    def _connect(self, life: int, hello: pb.ClientFrame | None) -> None:
        if life != self._life or self.core is None or self.core.state is not State.CONNECTING:
            return
        self.server, process = self.world.choose_server(self)
        if process is None:
            self.core.lost(None, self.clock(), self.chance.random())
        else:
            self.link = self.world.open(self, process)
            if hello is not None:
                self._out.append(from_message(hello))
            self.core.opened(hello is not None)
        self.drain()

    # --- effects ---
    def drain(self) -> None:
        """Do what the core asks; then look when it wants to be asked again."""
        core = self.core
        if core is None:
            return
        while (effect := core.poll()) is not None:
            _PERFORM[type(effect)](self, effect)
        if self._out:
            self._flush()
        if self.core is core:
            due = core.next_timeout()
            if due is not None:
                when = (due - self._offset) * 1000
                if when < self._armed:
                    self._armed = when
                    self.world.at(when, self._timeout, when)

    def _flush(self) -> None:
        frames, self._out = self._out, []
        if self.link is not None:
            for frame in frames:
                self.world.watch.spoke(self, frame)
            self.link.send(frames)

    def _timeout(self, when: int) -> None:
        if when != self._armed:
            return
        self._armed = 1 << 62
        core = self.core
        if core is None:
            return
        now = self.clock()
        due = core.next_timeout()
        if due is not None and due <= now:
            core.tick(now, self.chance.random())
        self.drain()

    def _on_commit(self, commit: fx.Commit) -> None:
        self._commit = commit
        self.world.after(int(self.disk * (0.3 + self.chance.random())), self._committed, self._life, commit)

    def _committed(self, life: int, commit: fx.Commit) -> None:
        if life != self._life or self.core is None:
            return
        self._commit = None
        self._apply(commit)
        self.core.committed(commit.number, self.clock())
        self.drain()

    def _apply(self, commit: fx.Commit) -> None:
        self.profile.apply(commit.writes)
        self.world.watch.saved(self, commit.writes)

    def _on_token(self, need: fx.NeedToken) -> None:
        if not need.fresh and self.wall() < self.profile.meta("access_until") - TOKEN_MARGIN_MS:
            self.world.after(10, self.has_token, self._life, self.profile.meta("access_token"))
        elif not self.asking:
            self.asking = True
            self.world.api.refresh(self, self._life)

    def has_token(self, life: int, token: str) -> None:
        """There is a token."""
        if life == self._life and self.core is not None:
            self.asking = False
            self.core.token(token)
            self.drain()

    def no_token(self, life: int, *, for_good: bool) -> None:
        """There is none, just now or any more."""
        if life != self._life or self.core is None:
            return
        self.asking = False
        if for_good:
            self.unlinked = True
            self.core.logged_out()
        else:
            self.core.token_unavailable(self.clock(), self.chance.random())
        self.drain()

    def _on_connect(self, effect: fx.Connect) -> None:
        hello = effect.hello if self.world.plan.early else None
        self.world.after(3 * self.world.plan.far, self._connect, self._life, hello)

    def _on_close(self, effect: fx.CloseConnection) -> None:
        if self.link is not None:
            if self._out:
                self._flush()
            self.link.leave(effect.code)
            self._left(effect.code)

    def _on_frame(self, effect: fx.SendFrame) -> None:
        self._out.append(from_message(effect.frame))

    def _on_message(self, effect: fx.SendMessage) -> None:
        payload = self.profile.payload(effect.message_id)
        if payload is not None:
            self._out.append(send_frame(effect, payload))

    def _on_state(self, effect: fx.StateEntered) -> None:
        self.world.watch.saw(self, effect)

    def _on_presence(self, effect: fx.PresenceSeen) -> None:
        self.presence[effect.user] = (effect.status, effect.last_seen)
        self.world.watch.saw(self, effect)

    def _on_typing(self, effect: fx.TypingSeen) -> None:
        self.world.watch.saw(self, effect)


_PERFORM: dict[type[Any], Callable[[Device, Any], None]] = {
    fx.Commit: Device._on_commit,
    fx.NeedToken: Device._on_token,
    fx.Connect: Device._on_connect,
    fx.CloseConnection: Device._on_close,
    fx.SendFrame: Device._on_frame,
    fx.SendMessage: Device._on_message,
    fx.StateEntered: Device._on_state,
    fx.PresenceSeen: Device._on_presence,
    fx.TypingSeen: Device._on_typing,
}
