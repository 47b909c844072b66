"""From what was written in a conversation to what is shown: texts with their edits, deletions and reactions.

Owns these rules, and knows nothing of a profile, a clock or a screen. What is shown depends on the set of rows only,
never on the order in which they came, so that two devices with the same rows show the same:

- Rows stand in the order (at, sender, message_id); those that wait in the outbox come last, in its order. That is also
  what “newer” means. Reactions, edits and deletions are not rows of the screen.
- An edit or a deletion counts only if its sender wrote the target; an edit only if the target is a text.
- A deletion is final: no edit or reaction shows through it.
- Of edits the newest counts, of reactions the newest of each person. An empty one counts as none.
- A row that was refused or has expired reached nobody: its action does not count. It stays on the screen if it is a
  text, for its sender to see.
- A message whose words have left the profile is deleted, whatever becomes of the deletion.
- What hangs on a message that is not among the rows waits there: `Fold.shown` gives it when the message comes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from iris_sdk.content import Content, Delete, Deleted, Edit, Mention, Reaction, Ref, Text, Unknown

LOST = ("refused", "expired")


@dataclass(frozen=True, slots=True)
class Written:
    """A row of a conversation. `state` is that of a message of mine, else ""; `n` its place in the outbox."""

    sender: str
    message_id: str
    at: int
    content: Content
    state: str = ""
    n: int = 0

    @property
    def ref(self) -> Ref:
        return Ref(self.sender, self.message_id)


@dataclass(frozen=True, slots=True)
class Reacted:
    """An emoji and who chose it, the first one first."""

    emoji: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as people see it. `kind`: text, deleted, or unknown: its payload is for a later version."""

    sender: str
    message_id: str
    at: int
    kind: str
    body: str = ""
    reply_to: Ref | None = None
    forwarded: bool = False
    mentions: tuple[Mention, ...] = ()
    edited_at: int = 0
    reactions: tuple[Reacted, ...] = ()
    state: str = ""

    @property
    def ref(self) -> Ref:
        return Ref(self.sender, self.message_id)


class Fold:
    """Takes rows one by one, in any order and more than once."""

    def __init__(self, rows: Iterable[Written] = (), hidden: Collection[Ref] = ()) -> None:
        self._messages: dict[Ref, Written] = {}
        self._actions: dict[Ref, dict[Ref, Written]] = {}  # by target
        self._hidden = set(hidden)
        for row in rows:
            self.add(row)

    def add(self, row: Written) -> None:
        """One more row. The same row again, such as one with a newer state, takes its place."""
        content = row.content
        if isinstance(content, Text | Unknown | Deleted):
            self._messages[row.ref] = row
        else:
            self._actions.setdefault(content.target, {})[row.ref] = row

    def hide(self, ref: Ref) -> None:
        """Delete for me: not shown any more."""
        self._hidden.add(ref)

    def shown(self) -> list[Shown]:
        """Everything that is shown, in the order of the screen."""
        order = sorted(self._messages.values(), key=_place)
        return [self._show(row) for row in order if row.ref not in self._hidden]

    def one(self, ref: Ref) -> Shown | None:
        """One message as it is shown, such as what a reply answers; None when it is not here or hidden."""
        row = self._messages.get(ref)
        return None if row is None or ref in self._hidden else self._show(row)

    def _show(self, row: Written) -> Shown:
        actions = [action for action in self._actions.get(row.ref, {}).values() if action.state not in LOST]
        own = [action for action in actions if action.sender == row.sender]
        if isinstance(row.content, Deleted) or any(isinstance(action.content, Delete) for action in own):
            return Shown(row.sender, row.message_id, row.at, "deleted", state=row.state)
        reactions = _gather(actions)
        content = row.content
        if not isinstance(content, Text):
            return Shown(row.sender, row.message_id, row.at, "unknown", reactions=reactions, state=row.state)
        body, mentions, edited_at = content.body, content.mentions, 0
        for action in sorted(own, key=_place):
            if isinstance(action.content, Edit):
                body, mentions, edited_at = action.content.body, action.content.mentions, action.at
        return Shown(
            row.sender, row.message_id, row.at, "text", body, content.reply_to, content.forwarded, mentions, edited_at,
            reactions, row.state,
        )  # fmt: skip


def _place(row: Written) -> tuple[bool, int, str, str]:
    """Where a row stands among all rows of its conversation. What waits has no time of the server's yet."""
    waits = row.state == "queued"
    return waits, row.n if waits else row.at, row.sender, row.message_id


def _gather(actions: Iterable[Written]) -> tuple[Reacted, ...]:
    """The newest reaction of each person, one entry for each emoji, the emoji that was chosen first in front."""
    newest: dict[str, Written] = {}
    for action in sorted(actions, key=_place):
        if isinstance(action.content, Reaction):
            newest[action.sender] = action
    by_emoji: dict[str, list[str]] = {}
    for action in sorted(newest.values(), key=_place):
        if isinstance(action.content, Reaction) and action.content.emoji:
            by_emoji.setdefault(action.content.emoji, []).append(action.sender)
    return tuple(Reacted(emoji, tuple(users)) for emoji, users in by_emoji.items())
