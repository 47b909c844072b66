"""What a messaging server's client must be able to do to be tortured. One adapter for each kind of server.

A profile is a folder that holds everything of one device; whatever process opens it continues where the last one ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """A device as the server knows it: text id of its user, number of the device."""

    user: str
    number: int


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a device can tell. `what` and `data` are an entry's (see history), without labels."""

    n: int  # its place in what the device tells; 0: it speaks of now and is not told again
    what: str
    data: dict[str, object]
    text: str = ""  # of a message


@dataclass(frozen=True, slots=True)
class Held:
    """A message in a profile. `state` is "" for somebody else's."""

    id: str
    n: int
    to: str
    text: str
    state: str
    mine: bool  # sent by this device


class Device(Protocol):
    """A profile in use."""

    async def send(self, to: str, texts: Sequence[str]) -> list[tuple[str, int]]:
        """(message id, n) of each; they are durable when it returns. Raises TargetError."""

    async def read(self, conversation: str, seq: int) -> None:
        """Mark everything up to this message as read."""

    async def chatter(self, to: str) -> None:
        """Typing, presence: whatever may be lost and must not do harm."""

    def events(self, after: int) -> AsyncIterator[Happened]:
        """Everything above that place, then what happens."""

    def position(self) -> int:
        """The place of the newest thing that `events` tells."""

    def held(self) -> list[Held]:
        """All messages of the profile, by n."""

    def screens(self) -> dict[str, list[tuple[str, int]]]:
        """Peer → (message id, at) of the conversation, as a screen sorts it; without what waits for an answer."""

    def state(self) -> str:
        """offline, connecting, catching_up, live, held_elsewhere or closed."""

    async def waiting(self) -> int:
        """How many messages have no answer yet."""

    async def close(self) -> None: ...


class TargetError(Exception):
    """The server or the client said no; the text says what."""


class Target(Protocol):
    """A server."""

    async def check(self) -> str:
        """A line that says which server it is. Raises TargetError."""

    def nobody(self) -> str:
        """The id of a user who does not exist."""

    async def register(self, handle: str, password: str, invite: str | None) -> None:
        """Make an account. Raises TargetError."""

    async def link(self, profile: Path, handle: str, password: str, name: str) -> None:
        """Log in and make the profile. Raises TargetError."""

    async def unlink(self, profile: Path) -> None:
        """Log the profile's device out. Raises TargetError."""

    def exists(self, profile: Path) -> bool:
        """Whether there is a profile."""

    def identity(self, profile: Path) -> Identity:
        """Whose profile it is."""

    async def open(self, profile: Path, hold: bool = True) -> Device:
        """Use a profile; without `hold` it does not connect. Raises TargetError."""
