"""What only a moment shows: presence and its grace, typing, the end of tokens, “expired”, and times of answers.

Nothing of this is in a store. Where clocks or ways are in trouble the promises say less; then less is judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.ids import direct_conversation, user_unit
from iris.core.rows import ROW_MESSAGE, MessageRow, Write
from iris.edge.session import State as SessionState
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import State
from iris_sim.judge.truth import Truth
from iris_sim.observer import Violation
from iris_sim.server import WALL

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView, ServerView

SECOND: Final = 1_000_000  # µs
DAY_MS: Final = 86_400_000
WALL_SLACK_MS: Final = 1_000  # between a server's clock and what a client makes of its Welcome
TOKEN_SLACK_MS: Final = 2_500  # a session may outlive its token by a second; looked at from time to time
TYPING_SLACK_US: Final = 1_500_000
HOLLOW_US = 14 * SECOND  # batches may come without their contents for so long
FRAMES_KEPT: Final = 24  # times of a connection's newest frames


class Moments:
    """Judges what is so for a moment only."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._limits = truth.world.limits
        self._booted: dict[int, int] = {}  # server -> µs
        self._heard_of: dict[bytes, dict[int, deque[int]]] = {}  # user -> conn -> µs of frames taken in a session
        self._typing: dict[DeviceView, dict[tuple[bytes, bytes], int]] = {}  # (conversation, sender) -> last heard, µs
        self._dots: dict[DeviceView, set[tuple[bytes, bytes]]] = {}  # ... that are on screen
        self._seen: dict[tuple[DeviceView, bytes], int] = {}  # newest `at` that a device holds of a conversation
        self._after: dict[tuple[bytes, bytes], int] = {}  # (sender, message_id) -> newest `at` when it was written
        self._shifts = (0, 0)  # ms: lowest and highest of all servers' clocks, ever
        self._clocks: dict[int, tuple[int, int]] = {}  # server -> its clock's shift, and since when (µs)
        self._opened: dict[int, int] = {}  # conn -> µs
        self._welcomes: dict[int, int] = {}  # conn -> shift of the clock of the server that said Welcome, ms
        self._clock_of: dict[DeviceView, int] = {}  # ... of the newest Welcome that the device has heard
        self._hollow = -1  # µs until which batches may come without their contents

    def step(self, kind: str) -> None:
        if kind == "hollow":
            self._hollow = self._truth.world.now + HOLLOW_US

    def heal(self) -> None:
        self._hollow = min(self._hollow, self._truth.world.now)

    # --- clients ---
    def wrote(self, device: DeviceView, peer: bytes, message_id: bytes) -> None:
        """A person has written something, with what is on the screen in mind."""
        conversation = direct_conversation(device.user.id, peer)
        self._after[device.user.id, message_id] = self._seen.get((device, conversation), 0)

    def saved(self, device: DeviceView, writes: Iterable[fx.Write]) -> None:
        for write in writes:
            if isinstance(write, fx.SaveMessage):
                key = (device, write.conversation)
                self._seen[key] = max(write.at, self._seen.get(key, 0))
            elif isinstance(write, fx.Expire):
                self._expires(device, write.before_at)

    def _expires(self, device: DeviceView, before_at: int) -> None:
        """By the clock of the server that welcomed it, right or wrong: a client has no better one."""
        shift = self._clock_of.get(device)
        wall = WALL + self._truth.world.ms + shift if shift is not None else 0
        if before_at > wall + WALL_SLACK_MS - self._limits.message_days * DAY_MS:
            text = f"{device.name} takes messages of today for expired"
            raise Violation("P5-EXPIRED", text, (device.user.id,))

    def set_back(self, device: DeviceView) -> None:
        """Its profile is another one."""
        for key in [key for key in self._seen if key[0] is device]:
            del self._seen[key]

    def opened(self, conn: int) -> None:
        self._opened[conn] = self._truth.world.now

    def heard(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        if frame[0] == f.WELCOME:
            self._clock_of[device] = self._welcomes.get(device.conn, 0)
        elif frame[0] == f.TYPING and frame[4]:
            self._typing.setdefault(device, {})[frame[2], frame[3]] = self._truth.world.now

    def saw(self, device: DeviceView, effect: Any) -> None:
        if isinstance(effect, fx.TypingSeen):
            dots = self._dots.setdefault(device, set())
            (dots.add if effect.active else dots.discard)((effect.conversation, effect.sender))

    def died(self, device: DeviceView) -> None:
        self._dots.pop(device, None)

    # --- servers ---
    def booted(self, server: ServerView) -> None:
        self._booted[server.number] = self._truth.world.now

    def took(self, server: ServerView, frame: tuple[Any, ...]) -> None:
        """A client is heard in a session that stands: its user is online."""
        session = server.edge.sessions.get(frame[1])
        if frame[0] != f.CLOSED and session is not None and session.state is SessionState.READY:
            times = self._heard_of.setdefault(session.user, {}).setdefault(frame[1], deque(maxlen=FRAMES_KEPT))
            times.append(self._truth.world.now)

    def said(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        kind = frame[0]
        if kind == f.PRESENCE and frame[3] == f.STATUS_OFFLINE:
            self._offline(server, device, frame[2])
        elif kind == f.CLOSE:
            self._heard_of.get(device.user.id, {}).pop(frame[1], None)
        elif kind == f.WELCOME:
            self._welcomes[frame[1]] = server.shift
            self._token(server, device, frame[1], frame[11])

    def _offline(self, server: ServerView, device: DeviceView, target: bytes) -> None:
        """Nobody is said to be offline within the grace after the last session, or after the start of a node."""
        world, grace = self._truth.world, self._limits.offline_grace_ms * 1_000
        me, now = device.user.id, world.now
        who = self._truth.who(target)
        if server.number == world.owner(user_unit(target)) and now - self._booted.get(server.number, -grace) < grace:
            text = f"{device.name} is told that {who} is offline as soon as server {server.number} has started"
            raise Violation("PRESENCE-GRACE", text, (me, target))
        if world.troubled > now - grace - 2 * self._limits.lease_ms * 1_000:
            return  # sessions may have lapsed
        for times in self._heard_of.get(target, {}).values():
            if any(SECOND <= now - then < grace - SECOND // 2 for then in times):
                text = f"{device.name} is told that {who} is offline, who was there less than the grace ago"
                raise Violation("PRESENCE-GRACE", text, (me, target))

    def _token(self, server: ServerView, device: DeviceView, conn: int, expires_at: int) -> None:
        """A session was opened on a token with this end."""
        late = expires_at + server.edge.settings.leeway_ms + TOKEN_SLACK_MS < server.wall()
        if late and self._steady(server, conn):
            self._outlived(server, device.name, device.user.id)

    def _outlived(self, server: ServerView, name: str, user: bytes) -> None:
        text = f"server {server.number} serves {name} on a token whose time is over"
        raise Violation("P6-EXPIRED", text, (user,))

    def durable(self, writes: Iterable[Write]) -> None:
        """P4: an answer is never earlier than what its writer had seen; told by clocks that are less than 5 s apart."""
        low, high = self._shifts
        if high - low >= self._limits.clock_skew_ms:
            return
        for row in writes:
            if not isinstance(row, MessageRow) or row.kind != ROW_MESSAGE:
                continue
            if row.at <= self._after.get((row.sender, row.message_id), 0):
                text = f"{self._truth.what(row.sender, row.message_id)} is shown before what its writer had read"
                raise Violation("P4-AFTER", text, (row.user, row.sender))

    def clocks(self) -> None:
        """Note how far the clocks of servers are off."""
        low, high = self._shifts
        for server in self._truth.world.servers:
            low, high = min(low, server.shift), max(high, server.shift)
            if self._clocks.get(server.number, (0, 0))[0] != server.shift:
                self._clocks[server.number] = server.shift, self._truth.world.now
        self._shifts = low, high

    def look(self, server: ServerView) -> None:
        """From time to time."""
        self.clocks()
        now = self._truth.world.now
        for device, dots in self._dots.items():
            for key in dots:
                last = self._typing.get(device, {}).get(key, 0)
                if device.core is not None and now - last > self._limits.typing_ms * 1_000 + TYPING_SLACK_US:
                    text = f"{device.name} shows that {self._truth.who(key[1])} types, who has long stopped"
                    raise Violation("TYPING-ENDS", text, (device.user.id, key[1]))
        late = server.wall() - server.edge.settings.leeway_ms - TOKEN_SLACK_MS
        for session in server.edge.sessions.values():
            served = session.state is SessionState.READY
            if served and session.expires_at < late and self._steady(server, session.conn):
                self._outlived(server, f"{self._truth.who(session.user)}/{session.device}", session.user)

    def _steady(self, server: ServerView, conn: int) -> bool:
        """Whether the server's clock has not jumped since this connection was opened: its timeouts know of no jump."""
        self.clocks()
        leaps = self._truth.world.leaps
        jumped = max(self._clocks.get(server.number, (0, -1))[1], leaps[-1][0] if leaps else -1)
        return self._opened.get(conn, 0) > jumped

    # --- at rest ---
    def unheard(self, device: DeviceView, target: bytes) -> bool:
        """Whether who may see `target` changed while batches came without their contents on this connection's way."""
        changed = self._truth.unit(target).changed_at
        return self._opened.get(device.conn, 0) <= changed <= self._hollow

    def vanished(self, standing: Iterable[DeviceView]) -> None:
        """Who is watched is shown. What was lost behind the edge is not said again: a moment later it is old."""
        for device in standing:
            if not device.conn or device.core is None or device.core.state is not State.LIVE:
                continue
            for target in device.watching:
                if target not in device.presence and not (
                    self._opened.get(device.conn, 0) <= self._hollow
                    and self._truth.excuse("presence in a hollow batch")
                ):
                    text = f"{device.name} watches {self._truth.who(target)} and is told nothing"
                    raise Violation("PRESENCE-TOLD", text, (device.user.id, target))
