"""A user as its shard holds it in memory: what was loaded, and what its sessions are doing.

The rules live in the modules around this one (mailbox, pump, receipts, presence, accounts, …); this one only says
what a user is made of and how it is put together from its rows. A user without an account is kept too: it is the
answer "unknown user", and the unit of an outbox that outlives it.
"""

from __future__ import annotations

from typing import Final

from iris.core.commands import Attach, CloseSession, SendIn
from iris.core.ids import user_unit
from iris.core.mark import Mark
from iris.core.outbox import Outbox
from iris.core.registers import NO_REGISTERS, Registers
from iris.core.rows import (
    ROW_REFUSED,
    STATE_ACTIVE,
    AccountRow,
    BlockedByRow,
    BlockRow,
    ContactRow,
    CountersRow,
    CursorRow,
    DeviceRow,
    MessageRow,
    UserRows,
)
from iris.core.tables import NO_ITEMS, NOTHING, own

NO_COUNTERS: Final = CountersRow(b"", 0, 0, 0, 0, 0, 0, 0, 0)  # of whoever has no row; mailbox.counters_row names it
ATTACHED_MAX: Final = 64  # (edge, device) pairs of a user whose newest Attach is remembered
BASE_DEVICE: Final = 0  # the cursor of a user without devices; the next device starts there


class Device:
    """A linked device and its durable cursor."""

    __slots__ = ("acked", "lost", "number", "pos", "rev", "rev_written", "row", "seq", "size")

    def __init__(self, row: DeviceRow, cursor: CursorRow) -> None:
        self.row = row
        self.number = row.device
        self.seq, self.rev, self.pos, self.size, self.acked, self.lost = cursor[2:]
        self.rev_written = self.rev  # ... in the newest row; see receipts.on_ack

    def cursor_row(self, user: bytes) -> CursorRow:
        """The cursor as it stands, to be written."""
        self.rev_written = self.rev
        fields = (user, self.number, self.seq, self.rev, self.pos, self.size, self.acked, self.lost)
        return tuple.__new__(CursorRow, fields)  # past the record's own constructor, which takes twice as long


class Session:
    """A device's connection, as seen by the shard: the delivery pump's state."""

    __slots__ = (
        "acked", "armed", "attempt", "bytes", "conn", "device", "edge", "jti", "loading", "moved_at", "number", "prev",
        "reset", "rev_acked", "rev_sent", "rev_top", "rev_window", "rewound_at", "sent", "start_pos", "user",
        "window",
    )  # fmt: skip

    def __init__(self, user: User, edge: int, conn: int, number: int, attempt: int, device: Device, jti: str) -> None:
        self.user = user
        self.edge = edge
        self.conn = conn
        self.number = number  # of its Attach
        self.attempt = attempt  # likewise; above 1 the connection may ack what an earlier session was sent
        self.device = device
        self.jti = jti
        self.acked = 0  # the newest seq acked on this connection, or resumed at
        self.prev = 0  # seq of the last Deliver: what the next one carries
        self.sent = 0  # every row up to here was sent (or is none to send); the pump goes on after it
        self.window: list[MessageRow] = NO_ITEMS  # sent and not acked; a list: an empty deque takes 760 bytes
        self.bytes = 0  # payload bytes of the window
        self.rev_acked = 0
        self.rev_sent = 0
        self.rev_top = 0  # the highest rev ever sent on this connection
        self.rev_window: list[int] = NO_ITEMS
        self.loading = False  # a page is under way
        self.moved_at = 0  # mono ms of the last progress
        self.rewound_at = -(1 << 60)
        self.armed = False
        self.start_pos = device.pos - device.acked - device.lost  # rows up to here are from before it was linked
        self.reset = False  # the cursor of its Attach was none of this store

    def purpose(self, what: int) -> tuple[object, ...]:
        """Of a page for this session: one that its connection asked for before it attached anew is none of it."""
        return (what, self.device.number, self.edge, self.conn, self.attempt)


class LinkCode:
    """A code that a device shows, with which a new one may be linked; kept here and nowhere else (link_codes.py)."""

    __slots__ = ("device", "digest", "ends_at", "tries")

    def __init__(self, digest: bytes, device: int, ends_at: int) -> None:
        self.digest = digest
        self.device = device  # that shows it
        self.ends_at = ends_at  # mono ms
        self.tries = 0  # wrong codes given meanwhile


class User:
    """One user."""

    __slots__ = (
        "account",
        "announced",
        "attached",
        "base",
        "blocked_by",
        "blocks",
        "checking",
        "closing",
        "closing_armed",
        "contacts",
        "counters",
        "devices",
        "due",
        "expiring",
        "floor",
        "grace_at",
        "head",
        "id",
        "inbox_marks",
        "last_at",
        "last_seq",
        "link_code",
        "link_code_armed",
        "marks",
        "oldest_at",
        "outbox",
        "pos",
        "registers",
        "revoked",
        "seen_at",
        "sessions",
        "size",
        "tail",
        "tail_from",
        "touched",
        "trimmed_pos",
        "waiting",
        "waiting_requests",
        "watchers",
    )  # fmt: skip

    def __init__(self, user: bytes, rows: UserRows) -> None:
        self.id = user
        self.account: AccountRow | None = rows.account
        self.counters = rows.counters or NO_COUNTERS
        cursors = {cursor.device: cursor for cursor in rows.cursors}
        self.base: CursorRow | None = cursors.get(BASE_DEVICE)
        self.devices: tuple[Device, ...] = tuple(  # in the order in which they were linked
            [Device(row, cursors.get(row.device) or CursorRow(user, row.device, 0, 0, 0, 0, 0)) for row in rows.devices]
        )
        self.floor = self.counters.floor
        last = rows.last
        seqs = [cursor.seq for cursor in cursors.values()]
        self.head = max([last.seq if last else 0, self.floor, *seqs])  # newest row, refused ones included
        self.last_seq = 0 if last is None else last.peer_seq if last.kind == ROW_REFUSED else last.seq
        self.pos = max(last.pos if last else 0, self.counters.pos)
        self.size = max(last.size if last else 0, self.counters.size)
        self.due = max(last.due if last else 0, self.counters.due)
        self.oldest_at = rows.first.at if rows.first else 0  # no kept row is older; 0: there is none
        self.trimmed_pos = self.counters.pos if rows.first is None else rows.first.pos - 1
        self.tail: list[MessageRow] = NO_ITEMS  # the newest rows, while somebody is connected
        self.tail_from = self.head  # the tail holds every row after this seq
        self.last_at: dict[bytes, int] = NOTHING  # conversation -> newest at
        self.marks: dict[bytes, dict[int, Mark]] = NOTHING  # sender -> device -> mark, loaded ones
        self.waiting: dict[bytes, list[SendIn]] = NOTHING  # sender -> Sends that wait for its marks
        self.registers = NO_REGISTERS
        if rows.registers:
            self.registers = Registers()
            self.registers.load(rows.registers)
        self.outbox = Outbox(user)
        self.inbox_marks: dict[bytes, int] = {row.source: row.number for row in rows.inbox_marks} or NOTHING
        self.outbox.load(
            rows.outbox_items, rows.outbox_registers, self.inbox_marks.get(self.unit, 0) if self.inbox_marks else 0
        )
        self.contacts: dict[bytes, ContactRow] = {row.contact: row for row in rows.contacts} or NOTHING
        self.blocks: dict[bytes, BlockRow] = {row.other: row for row in rows.blocks} or NOTHING
        self.blocked_by: dict[bytes, BlockedByRow] = {row.other: row for row in rows.blocked_by} or NOTHING
        self.revoked: dict[str, int] = {row.jti: row.until for row in rows.revoked} or NOTHING
        self.seen_at = rows.seen.at if rows.seen else 0
        self.sessions: tuple[Session, ...] = ()  # one for a device; a tuple: there are few, and a dict takes 232 bytes
        self.attached: dict[tuple[int, int], tuple[int, int]] = NOTHING  # see `remember`
        self.checking: dict[int, Attach] = NOTHING  # device -> newest Attach whose cursor is looked for in the store
        self.closing: dict[tuple[int, int], CloseSession] = NOTHING  # (edge, conn) -> what is repeated until its Detach
        self.closing_armed = False  # a timeout will say it again
        self.watchers: dict[tuple[int, int], bytes] = NOTHING  # (edge, conn) -> who watches
        self.announced: bool | None = None  # what watchers were told: online, offline, nothing yet
        self.grace_at = 0  # mono ms from which offline may be said
        self.waiting_requests: dict[str, int] = NOTHING  # what a request waits for -> its id
        self.expiring = False
        self.link_code: LinkCode | None = None
        self.link_code_armed = False  # a timeout will forget it
        self.touched = True  # since the residents looked last

    @property
    def unit(self) -> bytes:
        return user_unit(self.id)

    @property
    def active(self) -> bool:
        return self.account is not None and self.account.state == STATE_ACTIVE

    @property
    def lead(self) -> tuple[int, int]:
        """(pos, size) of the most advanced device's cursor."""
        devices = self.devices
        if len(devices) == 1:  # the usual case, on the way of every message
            return devices[0].pos, devices[0].size
        if devices:
            first = max(devices, key=lambda device: device.pos)
            return first.pos, first.size
        return (self.base.pos, self.base.size) if self.base else (0, 0)

    @property
    def idle(self) -> bool:
        """Whether it may be forgotten: everything that matters is in the store."""
        return not (
            self.sessions
            or self.checking
            or self.closing
            or self.watchers
            or self.outbox.lanes
            or self.waiting
            or self.waiting_requests
            or self.link_code is not None
        )

    def blocked_with(self, other: bytes) -> bool:
        """Whether one of the two blocks the other."""
        mine, theirs = self.blocks.get(other), self.blocked_by.get(other)
        return (mine is not None and mine.version % 2 == 1) or (theirs is not None and theirs.version % 2 == 1)

    def forget_all(self) -> None:
        """After the account was deleted: nothing is left but the account row and the outbox."""
        self.base = None
        self.counters = NO_COUNTERS
        self.head = self.last_seq = self.floor = self.tail_from = self.pos = self.size = self.due = 0
        self.oldest_at = self.trimmed_pos = self.seen_at = 0
        self.registers = NO_REGISTERS
        for table in (self.marks, self.inbox_marks, self.contacts, self.blocks, self.blocked_by, self.last_at):
            table.clear()
        self.revoked.clear()

    def device(self, number: int) -> Device | None:
        """The device of this number, if it is linked."""
        for device in self.devices:
            if device.number == number:
                return device
        return None

    def linked(self, number: int) -> Device:
        """The device of this number, which is known to be linked. Raises KeyError when it is not."""
        device = self.device(number)
        if device is None:
            raise KeyError(number)
        return device

    def session(self, device: int, edge: int, conn: int) -> Session | None:
        """The device's session, if it is still this connection."""
        for session in self.sessions:
            if session.conn == conn and session.edge == edge and session.device.number == device:
                return session
        return None

    def session_at(self, device: int) -> Session | None:
        """The device's session."""
        for session in self.sessions:
            if session.device.number == device:
                return session
        return None

    def enter(self, session: Session, old: Session | None) -> None:
        """Let it be its device's session, in the place of the old one, which is remembered. It says itself what its
        Attach was.
        """
        device = session.device.number
        if old is not None and old.edge != session.edge:
            self.remember(old.edge, device, old.number, old.attempt)
        if self.attached and (session.edge, device) in self.attached:
            del self.attached[session.edge, device]
            self.attached = self.attached or NOTHING
        if old is None:
            self.sessions = (*self.sessions, session)
        else:
            self.sessions = tuple([session if one is old else one for one in self.sessions])

    def leave(self, device: int) -> Session | None:
        """End the device's session, and remember its Attach, which may come once more."""
        session = self.session_at(device)
        if session is not None:
            self.sessions = tuple([one for one in self.sessions if one is not session])
            self.remember(session.edge, device, session.number, session.attempt)
        return session

    def remember(self, edge: int, device: int, number: int, attempt: int) -> None:
        """The newest Attach of an edge and device, as (number, attempt), whose session is over; see `newest_attach`."""
        newest = max(self.attached.pop((edge, device), (0, 0)), (number, attempt))
        self.attached = own(self.attached)
        self.attached[edge, device] = newest
        if len(self.attached) > ATTACHED_MAX:
            del self.attached[next(iter(self.attached))]

    def newest_attach(self, edge: int, device: int) -> tuple[int, int]:
        """(number, attempt) of the newest Attach of an edge and device, whether its session is over or not."""
        over = self.attached.get((edge, device), (0, 0))
        session = self.session_at(device)
        return over if session is None or session.edge != edge else max(over, (session.number, session.attempt))

    def session_of(self, purpose: tuple[object, ...]) -> Session | None:
        """The session that asked for a page, if it has not begun anew since: see Session.purpose."""
        _, device, edge, conn, attempt = purpose
        session = self.session(device, edge, conn)  # type: ignore[arg-type]
        return session if session is not None and session.attempt == attempt else None
