"""What servers hold in memory: limits (P7), books, sessions on dead tokens (P6), mistakes.

Looked at from time to time, after a turn: `look`. Reads the product's own structures; changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iris.core.mailbox import imbalance
from iris.core.user import User
from iris.edge.session import Session, State
from iris_sim.judge.frames import Frames
from iris_sim.judge.truth import Truth
from iris_sim.observer import Violation

if TYPE_CHECKING:
    from iris.core.catalogue import Limits
    from iris_sim.observer import ServerView

TIMEOUTS_PER_PART: Final = 12  # pending timeouts for each session, detaching connection, user, …: more is a leak
TIMEOUTS_FREE: Final = 64


class States:
    """Judges what servers hold."""

    def __init__(self, truth: Truth, frames: Frames) -> None:
        self._truth = truth
        self._frames = frames
        self._mailboxes: dict[bytes, tuple[int, int]] = {}  # user -> (pos, pos of the most advanced device), last look
        self.most: dict[str, int] = {}  # the most that was seen of each thing, for the report

    def look(self, server: ServerView) -> None:
        """Everything about one server."""
        self._mistakes(server)
        self._edge(server)
        users = 0
        for shard in server.core.shards.values():
            for user in shard.users.values():
                users += 1
                self._user(user)
            waiting = max(map(len, shard._parked.values()), default=0)
            self._within("parked_commands_max", waiting, self._truth.world.limits.parked_commands_max)
            watches = max(map(len, shard._parked_watches.values()), default=0)
            self._within("watchers_max", watches, self._truth.world.limits.watchers_max)
            self._within("names_in_memory_max", len(shard._names), self._truth.world.limits.names_in_memory_max)
        parts = users * 4 + len(server.edge.sessions) + TIMEOUTS_FREE
        self._within("timeouts of a node", server.core.turn.timeouts, TIMEOUTS_PER_PART * parts)

    def _mistakes(self, server: ServerView) -> None:
        edge, turn = server.edge, server.core.turn
        if edge.mistakes:
            raise Violation("SIM-EXC", f"server {server.number}, edge:\n{edge.mistakes[0]}")
        for counters in (edge.counters, turn.counters):
            for name in ("iris_internal_errors_total", "iris_dead_letters_total"):
                if counters[name]:
                    raise Violation("ERRORS", f"server {server.number} counts {name} = {counters[name]}")

    def _edge(self, server: ServerView) -> None:
        edge, mono = server.edge, server.mono()
        parts = len(edge.sessions) + len(edge.detaching) + len(edge.nodes) + TIMEOUTS_FREE
        self._within("timeouts of an edge", edge.timeouts, TIMEOUTS_PER_PART * parts)
        for session in edge.sessions.values():
            if session.state is not State.READY or not session.node.lease.stands(mono):
                continue
            auth = session.auth
            jti = self._confirmed(session, server) or auth.jti
            fallen = self._truth.unit(auth.user).fallen_at(auth.device, auth.gen, jti)
            if self._frames.fallen(fallen):
                who = f"{self._truth.who(auth.user)}/{auth.device}"
                text = f"server {server.number} still serves {who} on a token that no longer stands"
                raise Violation("P6-REVOKED", text, (auth.user,))
            if len(session.watches) > edge.limits.watches_max:
                self._within("watches_max", len(session.watches), edge.limits.watches_max)

    def _confirmed(self, session: Session, server: ServerView) -> str:
        """The token on which the shard has this session: a Refresh that got lost on its way there changes nothing."""
        world = self._truth.world
        owner = world.servers[world.owner(session.unit)]
        user = owner.core.shard(session.unit).users.get(session.user)
        held = user.session(session.device, server.edge.settings.number, session.conn) if user is not None else None
        return held.jti if held is not None else ""

    def _user(self, user: User) -> None:
        limits = self._truth.world.limits
        if imbalance(user):
            text = f"the books of {self._truth.who(user.id)} are off by {imbalance(user)}"
            raise Violation("BOOKS", text, (user.id,))
        self._grown(user, limits)
        for name, amount, most in _amounts(user, limits):
            if amount > most:
                self._over(name, amount, most, user.id)

    def _grown(self, user: User, limits: Limits) -> None:
        """No mailbox grows when it is full. It may become more than full when the most advanced device is unlinked."""
        lead = user.lead[0]
        pos, led = self._mailboxes.get(user.id, (user.pos, lead))
        self._mailboxes[user.id] = user.pos, lead
        if user.pos > pos and lead >= led and user.pos - lead > limits.mailbox_rows_max:
            self._over("mailbox_rows_max", user.pos - lead, limits.mailbox_rows_max, user.id)

    def _within(self, name: str, amount: int, most: int) -> None:
        if amount > self.most.get(name, 0):
            self.most[name] = amount
            if amount > most:
                self._over(name, amount, most, b"")

    def _over(self, name: str, amount: int, most: int, user: bytes) -> None:
        whose = f" of {self._truth.who(user)}" if user else ""
        raise Violation("P7-LIMIT", f"{name}{whose}: {amount}, the limit is {most}", (user,) if user else ())


def _amounts(user: User, limits: Limits) -> list[tuple[str, int, int]]:
    """(limit, how much there is, its value) of one user in memory."""
    found = [
        ("devices_max", len(user.devices), limits.devices_max),
        ("contacts_max", len(user.contacts), limits.contacts_max),
        ("revoked_tokens_max", len(user.revoked), limits.revoked_tokens_max),
        ("marks_in_memory_max", len(user.marks), limits.marks_in_memory_max),
        ("watchers_max", len(user.watchers), limits.watchers_max),
        ("conversations_max", len(user.last_at), limits.conversations_max),
        ("registers", len(user.registers), 2 * limits.conversations_max),
        ("tail", len(user.tail), limits.deliver_window),
        ("waiting for marks", max(map(len, user.waiting.values()), default=0), limits.parked_commands_max),
    ]
    if not user.counters.unlinked:  # the most advanced device may have been unlinked: then the others lack more
        lacks = user.size - user.lead[1]
        found.append(("mailbox_bytes_max", lacks, limits.mailbox_bytes_max + limits.payload_bytes_max))
    if user.devices:  # what one device has and another one still waits for; a cut waits for the next row
        lead = max(device.pos for device in user.devices)
        most = limits.mailbox_lag_rows_max + limits.trim_rows_min + limits.mailbox_rows_max
        found.append(("rows kept", lead - user.trimmed_pos, most))
    for lane in user.outbox.lanes.values():
        found.append(("outbox_rows_max", len(lane.items), limits.outbox_rows_max))
    for session in user.sessions:
        found.append(("deliver_window", len(session.window), limits.deliver_window))
        found.append(("register_window", len(session.rev_window), limits.register_window))
    return found
