"""A shard: the only authority for its users and names.

`handle` takes one command; a unit that is not in memory is asked for and its commands wait (parked_commands_max), all
but watches: of those the newest of each connection waits (watchers_max), since nobody would say it again.
What may be dropped without a load is named in DROPPED: it speaks of a session or an outbox that an unloaded user
does not have. Units are forgotten by second chance when the node holds more than users_in_memory_max (`Residents`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from iris.core import accounts, expiry, inbox, mailbox, names, presence, pump, receipts, sending, sessions
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import (
    ATTACH_REFUSED,
    DETACHED,
    AckIn,
    Attach,
    AttachRefused,
    Command,
    Detach,
    Detached,
    EdgeGone,
    ItemIn,
    ItemRefused,
    ItemsDone,
    Loaded,
    MarksLoaded,
    NameLoaded,
    Paged,
    ReadIn,
    Reauth,
    RegisterDone,
    RegisterIn,
    RequestIn,
    SendIn,
    TypingIn,
    Wake,
    WatchIn,
)
from iris.core.frames import RETRY_AFTER
from iris.core.ids import is_user
from iris.core.names import Name
from iris.core.requests import Refused
from iris.core.turn import LoadName, LoadUser, Turn
from iris.core.user import User


def _on_request(user: User, command: RequestIn, turn: Turn) -> None:
    accounts.on_request(user, command.request, turn)


def _on_page(user: User, page: Paged, turn: Turn) -> None:
    turn.count("iris_pages_total")
    purpose = page.purpose
    if purpose[0] == pump.FOR_PUMP:
        session = user.session_of(purpose)
        if session is not None:
            pump.paged(user, session, page.after, page.upto, page.rows, turn)
    elif purpose[0] == sessions.FOR_RESUME:
        sessions.on_resume_page(user, page, turn)
    elif purpose[0] == sessions.FOR_ATTACH:
        sessions.on_cursor_page(user, page, turn)
    else:
        expiry.on_page(user, page, turn)


def _on_wake(user: User, wake: Wake, turn: Turn) -> None:
    expiry.look(user, turn)


USER_ACTIONS: dict[type[Any], Callable[[User, Any, Turn], None]] = {
    SendIn: sending.on_send,
    AckIn: receipts.on_ack,
    ReadIn: receipts.on_read,
    TypingIn: presence.on_typing,
    WatchIn: presence.on_watch,
    Attach: sessions.on_attach,
    Detach: sessions.on_detach,
    Reauth: sessions.on_reauth,
    ItemIn: inbox.on_item,
    ItemsDone: inbox.on_items_done,
    ItemRefused: inbox.on_item_refused,
    RegisterIn: inbox.on_register,
    RegisterDone: inbox.on_register_done,
    RequestIn: _on_request,
    MarksLoaded: sending.on_marks,
    Paged: _on_page,
    Wake: _on_wake,
}
DROPPED = frozenset({AckIn, ReadIn, TypingIn, Reauth, ItemsDone, ItemRefused, RegisterDone, MarksLoaded, Paged})
TO_ANY_UNIT = frozenset({ItemIn, ItemsDone, ItemRefused, RegisterIn, RegisterDone, RequestIn})


class Residents:
    """Which users are in memory, over all shards of a node. Limit: users_in_memory_max."""

    __slots__ = ("_limit", "_order", "_shard_of")

    TRIES_MAX = 8  # users looked at for each one admitted

    def __init__(self, limit: int, shard_of: Callable[[bytes], Shard]) -> None:
        """shard_of: who holds a user."""
        self._limit = limit
        self._shard_of = shard_of
        self._order: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._order)

    def admit(self, user: bytes, turn: Turn) -> None:
        """A user was loaded; forget one that is idle and was not used since the last look."""
        self._order.append(user)
        for _ in range(self.TRIES_MAX):
            if len(self._order) <= self._limit:
                return
            other = self._order.popleft()
            owner = self._shard_of(other)
            resident = owner.users[other]
            if other == user:  # its commands wait: it is not idle
                self._order.append(other)
            elif resident.idle and not resident.touched:
                owner.forget(other, turn)
            else:
                resident.touched = False
                self._order.append(other)


class Shard:
    """The users and names of one shard."""

    __slots__ = ("_names", "_parked", "_parked_names", "_parked_watches", "_residents", "_turn", "users")

    def __init__(self, turn: Turn, residents: Residents) -> None:
        self._turn = turn
        self._residents = residents
        self.users: dict[bytes, User] = {}
        self._parked: dict[bytes, list[Command]] = {}
        self._parked_watches: dict[bytes, dict[tuple[int, int], WatchIn]] = {}  # user -> (edge, conn) -> the newest
        self._names: dict[bytes, Name] = {}
        self._parked_names: dict[bytes, list[Command]] = {}

    def handle(self, command: Command) -> None:
        """Take one command for a unit of this shard."""
        kind = command.__class__
        unit = command[0]
        assert isinstance(unit, bytes)
        try:
            action = USER_ACTIONS[kind]
        except KeyError:  # an answer of the store
            if isinstance(command, Loaded):
                self._loaded(command)
            elif isinstance(command, NameLoaded):
                self._name_loaded(command)
            return
        if kind in TO_ANY_UNIT:
            if not is_user(unit):
                self._handle_name(unit, command)
                return
            unit = unit[1:]
        user = self.users.get(unit)
        if user is not None:
            user.touched = True
            action(user, command, self._turn)
        else:
            self._park(unit, command)

    def edge_gone(self, gone: EdgeGone) -> None:
        """The lease of an edge has lapsed: end its sessions and watches."""
        for user in self.users.values():
            sessions.edge_gone(user, gone.edge, self._turn)
        for parked in self._parked.values():
            parked[:] = [
                command for command in parked if not (isinstance(command, Attach) and command.edge == gone.edge)
            ]
        for watches in self._parked_watches.values():
            for key in [key for key in watches if key[0] == gone.edge]:
                del watches[key]

    def forget(self, user: bytes, turn: Turn) -> None:
        """Drop an idle user from memory."""
        gone = self.users.pop(user)
        for device in gone.devices:
            sessions.write_rev(gone, device, turn)
        mailbox.trim(gone, turn, 1)
        gone.outbox.rest(turn)

    def _park(self, user: bytes, command: Command) -> None:
        if command.__class__ in DROPPED:
            return
        if isinstance(command, WatchIn):
            self._park_watch(user, command)
            return
        parked = self._parked.get(user)
        if parked is None:
            if isinstance(command, Detach):
                self._turn.to_edge(command.edge, Detached(DETACHED, command.conn))
                return
            self._parked[user] = [command]
            self._turn.ask(LoadUser(user))
        elif len(parked) < self._turn.limits.parked_commands_max:
            parked.append(command)
        else:
            self._overloaded(command)

    def _park_watch(self, user: bytes, watch: WatchIn) -> None:
        """Only the newest of a connection counts."""
        key = (watch.edge, watch.conn)
        if not watch.on:
            self._parked_watches.get(user, {}).pop(key, None)
            return
        if user not in self._parked:
            self._parked[user] = []
            self._turn.ask(LoadUser(user))
        watches = self._parked_watches.setdefault(user, {})
        if key in watches or len(watches) < self._turn.limits.watchers_max:
            watches[key] = watch
        else:
            presence.refuse_watch(watch, self._turn)

    def _overloaded(self, command: Command) -> None:
        """Too much waits for a load: whoever asked is told, or asks again by itself."""
        turn = self._turn
        if isinstance(command, SendIn):
            sending.reject(command, turn, ErrorCode.OVERLOADED, RETRY_AFTER, after_ms=sending.RETRY_MS)
        elif isinstance(command, RequestIn):
            turn.reply(command.request.id, Refused(int(ErrorCode.OVERLOADED), sending.RETRY_MS))
        elif isinstance(command, Attach):
            code = int(CloseCode.SERVER_BUSY)
            turn.to_edge(command.edge, AttachRefused(ATTACH_REFUSED, command.conn, command.attempt, code))
        turn.count_code("iris_refused_total", ErrorCode.OVERLOADED)

    def _loaded(self, loaded: Loaded) -> None:
        if loaded.user in self.users:
            return
        user = self.users[loaded.user] = User(loaded.user, loaded.rows)
        turn = self._turn
        user.grace_at = turn.limits.lease_ms + turn.limits.offline_grace_ms  # mono: counted from the start of the node
        self._residents.admit(loaded.user, turn)
        user.outbox.start(turn)
        expiry.look(user, turn)
        for command in self._parked.pop(loaded.user, ()):
            self.handle(command)
        if not self._parked:
            self._parked.clear()  # gives back the place that a storm of log-ins has taken
        for watch in self._parked_watches.pop(loaded.user, {}).values():
            self.handle(watch)

    def _handle_name(self, unit: bytes, command: Command) -> None:
        name = self._names.get(unit)
        if name is None:
            parked = self._parked_names.get(unit)
            if parked is None:
                self._parked_names[unit] = [command]
                self._turn.ask(LoadName(unit))
            elif len(parked) < self._turn.limits.parked_commands_max:
                parked.append(command)
            else:
                self._overloaded(command)
        elif isinstance(command, ItemIn):
            names.on_item(name, command, self._turn)
        elif isinstance(command, RequestIn):
            names.on_request(name, command.request, self._turn)

    def _name_loaded(self, loaded: NameLoaded) -> None:
        if loaded.unit not in self._names:
            self._names[loaded.unit] = Name(loaded.unit, loaded.row)
        for command in self._parked_names.pop(loaded.unit, ()):
            self.handle(command)
        if len(self._names) > self._turn.limits.names_in_memory_max:
            del self._names[next(iter(self._names))]
