"""What a world tells whoever watches it, and what may be read of it. Watching changes nothing: equal seeds stay equal.

The world calls the methods of Observer at the moment something happens; `world.now` is the time, in µs since the
world began (`world.ms` in ms). An observer raises Violation when a promise is broken: the run ends there.

Frames are the flat tuples of iris.core.frames in both directions (`frame[0]` the kind, `frame[1]` the connection), also
for clients, whose cores are given the protobuf messages made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from iris.core.requests import Auth, Operation, Result
    from iris.core.rows import Write
    from iris_sdk.core import effects as fx
    from iris_sim import client, people, profile, server, world


class Violation(AssertionError):
    """A promise is broken. `name`: the invariant's, as in docs/simulator.md; `users`: whose events explain it."""

    def __init__(self, name: str, text: str, users: Sequence[bytes] = ()) -> None:
        super().__init__(f"{name}: {text}")
        self.name, self.text, self.users = name, text, tuple(users)


class Step(NamedTuple):
    """One thing that happens to a world from outside: an operation of a person or an app, or a fault.

    Its choices are in the numbers, each 0 … 2**30 - 1, so that any subset of a plan's steps can be replayed.
    """

    number: int
    at: int  # µs since the world began
    kind: str  # of operations.OPERATIONS or faults.FAULTS
    a: int
    b: int
    c: int


class Positions(NamedTuple):
    """What a profile holds about a conversation, besides messages."""

    delivered: int  # to the peer's devices, in seqs of the peer's mailbox
    peer_read: int  # by the peer, likewise
    read: int  # by this user, in seqs of this user's mailbox, as the server has shown it
    read_wanted: int  # ... as the person has read; 0 when the server has shown as much


# What may be read, by the names under which observers know it; the classes say what their fields mean.
Profile: TypeAlias = "profile.Profile"
UserView: TypeAlias = "people.User"
DeviceView: TypeAlias = "client.Device"
ServerView: TypeAlias = "server.Server"
WorldView: TypeAlias = "world.World"


class Observer:
    """Does nothing with what it is told; an observer overrides what it wants to know."""

    world: WorldView

    def begin(self, world: WorldView) -> None:
        """The world is made; nothing has happened yet."""
        self.world = world

    # --- people ---
    def step(self, step: Step, text: str) -> None:
        """An operation or fault is done now; `text` says in words what it came to, "" when it had nothing to do."""

    def queued(self, device: DeviceView, peer: bytes, message_id: bytes, text: str) -> None:
        """A person has written a message; it is durable in the device's outbox."""

    def asked(self, device: DeviceView | None, request: int, unit: bytes, auth: Auth | None, what: Operation) -> None:
        """A request of the API leaves a client; repeated requests are new ones."""

    def answered(self, device: DeviceView | None, request: int, what: Operation, result: Result) -> None:
        """Its answer reaches the client (it may have been done without an answer)."""

    def linked(self, device: DeviceView) -> None:
        """A device has its number."""

    # --- clients ---
    def opened(self, device: DeviceView, conn: int, server: int) -> None:
        """A device has opened a connection."""

    def spoke(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """A client gives a frame to its connection."""

    def heard(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """A frame reaches a client, before its core is given it. A CLOSE too."""

    def lost(self, device: DeviceView, conn: int, code: int | None) -> None:
        """A client's connection is gone."""

    def saved(self, device: DeviceView, writes: Sequence[fx.Write]) -> None:
        """A commit of the client's core is in its profile."""

    def saw(self, device: DeviceView, effect: fx.PresenceSeen | fx.TypingSeen | fx.StateEntered) -> None:
        """The app shows something of the moment."""

    def started(self, device: DeviceView) -> None:
        """A client's process starts on its profile; `restored` says whether that was set back just now."""

    def died(self, device: DeviceView) -> None:
        """A client's process was killed."""

    # --- servers ---
    def took(self, server: ServerView, frame: tuple[Any, ...]) -> None:
        """An edge is given a frame of a client (CLOSED too)."""

    def said(self, server: ServerView, device: DeviceView | None, frame: tuple[Any, ...]) -> None:
        """An edge gives a frame to a connection; the device at its other end, None when that has left."""

    def submitted(self, server: ServerView, writes: Sequence[Write]) -> None:
        """A node submits a commit; it is not durable yet."""

    def durable(self, server: ServerView, writes: Sequence[Write]) -> None:
        """The commit is durable; the node is told after this."""

    def turned(self, server: ServerView) -> None:
        """A node has finished a turn: what it holds may be looked at. Called often: look at little."""

    def crashed(self, server: ServerView, lost: Sequence[Write], kept: Sequence[Write]) -> None:
        """A server process is gone. Of the commit under way `lost` is lost and `kept` (whole units) is durable."""

    def booted(self, server: ServerView, restored: bool) -> None:
        """A server has started on what its store holds; `restored`: on an older backup."""

    # --- the run ---
    def heal(self) -> None:
        """Faults end now; from here on everything must converge."""

    def rested(self) -> None:
        """Everything has come to rest, or the time for it is over. Then some devices vanish without a word."""

    def vanished(self) -> None:
        """31 s after some have vanished. Then everybody leaves."""

    def end(self) -> None:
        """The run is over: nobody is connected, every user was woken once."""
