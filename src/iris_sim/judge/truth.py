"""What is true: everything that was ever durable at the servers, and what people and apps have done.

Built from commits as they become durable, never from what a server keeps in memory, so that it can be held against
what is said. One Unit holds the rows of one user. Breaches that show in the commits themselves (a message stored
twice, out of order, from somebody who may not write) are raised here.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from iris.core.ids import peer_of
from iris.core.outbox import DELIVERED, READ
from iris.core.rows import (
    REGISTER_RECEIPT,
    ROW_MESSAGE,
    ROW_OWN_COPY,
    ROW_REFUSED,
    STATE_DELETED,
    AccountRow,
    BlockedByRow,
    BlockRow,
    ContactRow,
    CursorRow,
    DeadLetterRow,
    DeviceRow,
    DropMark,
    DropUnit,
    Gone,
    MarkRow,
    MessageRow,
    OutboxRegisterRow,
    RegisterRow,
    RevokedRow,
    UserRows,
    Write,
)
from iris_sim.judge.units import Letter, Link, Unit
from iris_sim.observer import Violation
from iris_sim.server import WALL

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView, WorldView

LOSSY = frozenset({"lose", "hollow", "partition", "late"})  # faults that part a client's Sends from each other


class Truth:
    """All units, all letters."""

    def __init__(self, world: WorldView) -> None:
        self.world = world
        self.units: dict[bytes, Unit] = {}
        self.letters: dict[tuple[bytes, bytes], Letter] = {}  # (sender, message_id)
        self.ever: dict[tuple[bytes, int], MessageRow] = {}  # (user, seq): every mailbox row that was ever durable
        self.had: set[tuple[bytes, int]] = set()  # (user, seq): some device of the user has it, or had
        self.told_gone: set[tuple[bytes, int]] = set()  # (user, seq): a device was told that it will not get it
        self.read: dict[tuple[bytes, bytes], int] = {}  # (user, conversation): the highest that its apps have said
        self.first_sent: dict[tuple[bytes, bytes], int] = {}  # (sender, message_id) -> µs
        self.twice: set[tuple[bytes, bytes]] = set()  # stored twice, and excused
        self.left_at: dict[bytes, int] = {}  # user -> µs at which a device of theirs lost its connection last
        self.excused: Counter[str] = Counter()  # exemptions by name, as in docs/simulator.md
        self._devices: dict[tuple[bytes, int], DeviceView] = {}
        self._lost_line: set[tuple[bytes, bytes]] = set()  # letters of a profile's past that was given up
        self._persons: dict[
            tuple[bytes, int], int
        ] = {}  # (user, device) -> the device that it was before a log-in anew
        self._written = 0
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            MessageRow: self._message,
            MarkRow: self._mark,
            AccountRow: self._account,
            DeviceRow: self._device,
            CursorRow: self._cursor,
            RegisterRow: self._register,
            OutboxRegisterRow: self._outbox_register,
            ContactRow: self._contact,
            BlockRow: self._block,
            BlockedByRow: self._blocked_by,
            RevokedRow: self._revoked,
            DeadLetterRow: self._dead_letter,
            Gone: self._gone,
            DropMark: self._drop_mark,
            DropUnit: self._drop_unit,
        }

    # --- names for people ---
    def who(self, user: bytes) -> str:
        """A user's handle."""
        return next((one.handle for one in self.world.users if one.id == user), user.hex()[-6:])

    def what(self, sender: bytes, message_id: bytes) -> str:
        """A message in words."""
        letter = self.letters.get((sender, message_id))
        if letter is None:
            return f"message {message_id.hex()[:8]} of {self.who(sender)}"
        return f"“{letter.text}” of {self.who(sender)}/{letter.device} to {self.who(letter.peer)}"

    # --- what people do ---
    def wrote(self, device: DeviceView, peer: bytes, message_id: bytes, text: str) -> None:
        """A person has written a message."""
        self._written += 1
        user = device.user.id
        self.letters[user, message_id] = Letter(user, device.number, peer, message_id, self._written, text)

    def requeued(self, user: bytes, device: int, message_ids: Iterable[bytes]) -> None:
        """A profile was set back to a copy in which these wait: they are behind what was written since, elsewhere.

        What was written since may still be under way; it belongs to another line, and has no order with this one.
        """
        for key, letter in self.letters.items():
            stored = (ROW_MESSAGE, *key) in self.unit(letter.peer).places
            if key[0] == user and not stored and self.same_profile(user, letter.device, device):
                self._lost_line.add(key)
        for message_id in message_ids:
            self._lost_line.discard((user, message_id))
            letter = self.letters[user, message_id]
            if (ROW_MESSAGE, user, message_id) not in self.unit(letter.peer).places:  # what is stored keeps its place
                self._written += 1
                self.letters[user, message_id] = letter._replace(order=self._written)

    def linked(self, device: DeviceView) -> None:
        user = device.user.id
        self._devices[user, device.number] = device
        for other in device.user.devices:
            if other is not device and other.profile is device.profile:
                self._persons[user, device.number] = self._persons.get((user, other.number), other.number)

    def device(self, user: bytes, number: int) -> DeviceView | None:
        return self._devices.get((user, number))

    def anew(self, user: bytes, number: int) -> bool:
        """Whether a device was linked on the profile of an earlier one."""
        return (user, number) in self._persons

    def same_profile(self, user: bytes, one: int, other: int) -> bool:
        """Whether two devices are one profile, before and after its person has logged in anew."""
        return self._persons.get((user, one), one) == self._persons.get((user, other), other)

    def unit(self, user: bytes) -> Unit:
        """The unit of a user; an empty one when nothing of it is durable."""
        found = self.units.get(user)
        if found is None:
            found = self.units[user] = Unit(user)
        return found

    def set_back(self, *users: bytes) -> bool:
        """Whether the store of one of them was ever set back."""
        return any(self.unit(user).restored_at is not None for user in users)

    def excuse(self, name: str) -> bool:
        """Note that an exemption was needed."""
        self.excused[name] += 1
        return True

    # --- what becomes durable ---
    def apply(self, writes: Sequence[Write]) -> None:
        """Writes that are durable now, in their order."""
        handlers = self._handlers
        for write in writes:
            handler = handlers.get(write.__class__)
            if handler is not None:
                handler(write)

    def _message(self, row: MessageRow) -> None:
        unit = self.unit(row.user)
        known = self.ever.setdefault((row.user, row.seq), row)
        if known is not row and known != row:
            raise Violation(
                "SEQ-ONCE", f"{self.who(row.user)}: seq {row.seq} was given to two rows", (row.user, row.sender)
            )
        if row.seq in unit.rows:
            return
        unit.rows[row.seq] = row
        unit.stored_at[row.seq] = self.world.now
        if row.kind == ROW_REFUSED:
            return
        insort(unit.seqs, row.seq)
        if row.kind == ROW_MESSAGE:
            self._letter(unit, row)
        elif (peer := peer_of(row.conversation, row.user)) is None or (peer, row.peer_seq) not in self.ever:
            text = f"an own copy of {self.what(row.sender, row.message_id)} was stored before the message itself"
            raise Violation("P1-COPY", text, (row.user,))
        self._once(unit, row)

    def _letter(self, unit: Unit, row: MessageRow) -> None:
        users = (row.user, row.sender)
        if not unit.may_write(row.sender):
            said = self.what(row.sender, row.message_id)
            raise Violation("BLOCKED", f"{said} was stored although {self.who(row.user)} does not let them", users)
        insort(unit.letters.setdefault(row.sender, []), row.seq)
        letter = self.letters.get((row.sender, row.message_id))
        if letter is None or letter.peer != row.user or not self.same_profile(row.sender, letter.device, row.device):
            raise Violation("MADE-UP", f"{self.who(row.user)} got what nobody wrote: {row}", users)
        key = (row.sender, row.device)
        order, at = unit.newest.get(key, (0, 0))
        again = (ROW_MESSAGE, row.sender, row.message_id) in unit.places
        if not again and letter.order < order and (row.sender, row.message_id) in self._lost_line:
            self.twice.add((row.sender, row.message_id))
        elif not again and letter.order < order and self._two_lines(row):
            self.excuse("client set back: another order")
            self.twice.add((row.sender, row.message_id))
        elif not again and (letter.order < order or row.at <= at):
            said = self.what(row.sender, row.message_id)
            text = f"{said} was stored after a later one" if letter.order < order else f"{said}: its time is not later"
            raise Violation("P4-STORED", text, users)
        unit.newest[key] = max(order, letter.order), max(at, row.at)

    def _two_lines(self, row: MessageRow) -> bool:
        """A profile that was set back uses the numbers of its other line again. When what it sends first is lost
        between servers, what it sends next may be the very number that is due, and is taken before (ARCHITECTURE.md).
        """
        author = self.device(row.sender, row.device)
        return author is not None and author.restored and bool(self.world.plan.faults & LOSSY)

    def _once(self, unit: Unit, row: MessageRow) -> None:
        """P3. An exemption of DESIGN: after a client or a server was set back, “stored once” becomes “shown once”."""
        place = (row.kind, row.sender, row.message_id)
        before = unit.places.get(place)
        unit.places[place] = row.seq
        if before is None or before == row.seq:
            return
        key = (row.sender, row.message_id)
        excuse = self._twice_because(unit, row, unit.rows[before])
        if excuse:
            self.excuse(excuse)
            self.twice.add(key)
            return
        kind = "" if row.kind == ROW_MESSAGE else "the own copy of "
        text = f"{kind}{self.what(*key)} is in {self.who(row.user)}’s mailbox twice, at {before} and {row.seq}"
        raise Violation("P3-TWICE", text, (row.user, row.sender))

    def _twice_because(self, unit: Unit, row: MessageRow, before: MessageRow) -> str:
        """The exemption for a message that is stored a second time; "" when there is none."""
        author = self.device(row.sender, row.device)
        if author is not None and author.restored:
            return "client set back: stored twice"
        if row.kind == ROW_OWN_COPY and self.set_back(row.user, peer_of(row.conversation, row.user) or b""):
            return "server set back: copy twice"
        if before.device != row.device:
            return "logged in anew: stored twice"
        return "after its retention" if self.aged(unit, before) else ""

    def aged(self, unit: Unit, row: MessageRow) -> bool:
        """Whether a row's outcome may be forgotten."""
        limits, kept = self.world.limits, self.days(unit.stored_at[row.seq])
        return kept >= limits.message_days or self.days_by_clock(row.at) >= limits.mark_days

    def expired(self, unit: Unit, row: MessageRow, excuse: str) -> bool:
        """Whether a row may have expired since; then what is asked of it is excused."""
        least = self.world.limits.message_days - 1
        old = self.days(unit.stored_at[row.seq]) >= least or self.days_by_clock(row.at) >= least
        return old and self.excuse(excuse)

    def days(self, since: int) -> float:
        """Days that have passed on the world's calendar."""
        passed = (self.world.now - since) / 1_000 + sum(ms for at, ms in self.world.leaps if at >= since)
        return passed / 86_400_000

    def days_by_clock(self, at: int) -> float:
        """How old something of this time is; more than it really is, when its server's clock was behind."""
        return (WALL + self.world.ms - at) / 86_400_000

    def _mark(self, row: MarkRow) -> None:
        unit = self.unit(row.user)
        key = (row.sender, row.device, row.message_id)
        outcome = (row.seq, row.at, row.code)
        before = unit.outcomes.setdefault(key, outcome)
        if before != outcome:
            author = self.device(row.sender, row.device)
            if (row.sender, row.message_id) not in self.twice and not (author is not None and author.restored):
                text = f"{self.what(row.sender, row.message_id)} had the answer {before} and now {outcome}"
                raise Violation("P3-ANSWER", text, (row.user, row.sender))
            unit.outcomes[key] = outcome
        if row.code == 0 and (row.user, row.seq) not in self.ever:
            text = f"{self.what(row.sender, row.message_id)} has a mark, but no row {row.seq}"
            raise Violation("P1-MARK", text, (row.user, row.sender))

    def _account(self, row: AccountRow) -> None:
        unit = self.unit(row.user)
        before, unit.account = unit.account, row
        if before is None or row.gen != before.gen:
            unit.gen_at = self.world.now
        if before is None or (row.presence, row.messages) != (before.presence, before.messages):
            unit.changed_at = self.world.now
        unit.deleted = row.state == STATE_DELETED

    def _device(self, row: DeviceRow) -> None:
        unit = self.unit(row.user)
        link = unit.links.get(row.device)
        if link is None:
            unit.links[row.device] = Link(row.device, self.world.now)
        elif link.gone_at is not None and unit.restored_at is None:
            text = f"{self.who(row.user)}: device {row.device} was unlinked and is there again"
            raise Violation("P6-DEVICE", text, (row.user,))

    def _cursor(self, row: CursorRow) -> None:
        unit = self.unit(row.user)
        link = unit.links.get(row.device)
        if link is not None and link.start is None:
            link.start = row.seq
        before = unit.cursors.get(row.device)
        if before is not None and row.seq < before.seq and row.device:
            text = f"{self.who(row.user)}/{row.device}: the stored cursor went back from {before.seq} to {row.seq}"
            raise Violation("CURSOR", text, (row.user,))
        unit.cursors[row.device] = row

    def _register(self, row: RegisterRow) -> None:
        unit = self.unit(row.user)
        key = (row.conversation, row.kind)
        before = unit.registers.get(key)
        if before is not None and (row.a < before.a or row.b < before.b or row.rev <= before.rev):
            raise Violation("REGISTER", f"{self.who(row.user)}: a register went back: {before} {row}", (row.user,))
        raised = row.b > (before.b if before else 0)
        if row.kind == REGISTER_RECEIPT and raised and unit.account is not None and not unit.account.read_receipts:
            peer = peer_of(row.conversation, row.user) or b""
            text = f"{self.who(row.user)} has read receipts off and was told what {self.who(peer)} read"
            raise Violation("P5-PRIVACY", text, (row.user, peer))
        unit.registers[key] = row
        unit.revs.add(row.rev)

    def _outbox_register(self, row: OutboxRegisterRow) -> None:
        unit = self.unit(row.user)
        unit.promised[row.target, row.kind, row.topic] = row.value
        if row.kind != READ or unit.account is None or unit.deleted or not row.target.startswith(b"u"):
            return
        if not unit.account.read_receipts or unit.blocked_with(row.target[1:]):
            text = f"{self.who(row.user)} does not tell {self.who(row.target[1:])} what was read, but is about to"
            raise Violation("P5-PRIVACY", text, (row.user, row.target[1:]))

    def _contact(self, row: ContactRow) -> None:
        unit = self.unit(row.user)
        unit.contacts.add(row.contact)
        unit.changed_at = self.world.now

    def _block(self, row: BlockRow) -> None:
        unit = self.unit(row.user)
        unit.blocks[row.other] = row.version
        unit.changed_at = self.world.now

    def _blocked_by(self, row: BlockedByRow) -> None:
        unit = self.unit(row.user)
        if row.version < unit.blocked_by.get(row.other, 0):
            raise Violation("REGISTER", f"a block of {self.who(row.user)} went back: {row}", (row.user, row.other))
        unit.blocked_by[row.other] = row.version
        unit.changed_at = self.world.now

    def _revoked(self, row: RevokedRow) -> None:
        self.unit(row.user).revoked.setdefault(row.jti, self.world.now)

    def _dead_letter(self, row: DeadLetterRow) -> None:
        raise Violation("ERRORS", f"a dead letter of {self.who(row.user)}: {row}", (row.user,))

    def _gone(self, gone: Gone) -> None:
        row = gone.row
        if isinstance(row, DeviceRow):
            link = self.unit(row.user).links.get(row.device)
            if link is not None and link.gone_at is None:
                link.gone_at = self.world.now
        elif isinstance(row, ContactRow):
            unit = self.unit(row.user)
            unit.contacts.discard(row.contact)
            unit.changed_at = self.world.now
        elif isinstance(row, CursorRow):
            self.unit(row.user).cursors.pop(row.device, None)
        elif isinstance(row, RegisterRow):
            unit = self.unit(row.user)
            unit.registers.pop((row.conversation, row.kind), None)
            unit.forgetful = True
        elif isinstance(row, OutboxRegisterRow):
            self._promise_kept(row)

    def _promise_kept(self, row: OutboxRegisterRow) -> None:
        """P5: a receipt leaves the outbox when the other side has stored it, or is not there to do so."""
        value = self.unit(row.user).promised.pop((row.target, row.kind, row.topic), 0)
        if row.kind != DELIVERED or self.set_back(row.user, row.target[1:]):
            return
        target = self.unit(row.target[1:])
        if target.account is None or target.deleted or target.forgetful:
            return
        known = target.registers.get((row.topic, REGISTER_RECEIPT))
        if known is None or known.a < value:
            who, whom = self.who(row.user), self.who(target.user)
            text = f"{whom} was to be told that {who} has {value}, has {known}, and will not be told again"
            raise Violation("P5-PROMISED", text, (row.user, target.user))

    def _drop_mark(self, drop: DropMark) -> None:
        outcomes = self.unit(drop.user).outcomes
        for key in [key for key in outcomes if key[:2] == (drop.sender, drop.device)]:
            del outcomes[key]

    def _drop_unit(self, drop: DropUnit) -> None:
        """A registration that was refused, or a deleted account: the account row that follows says which."""
        old = self.unit(drop.user)
        unit = self.units[drop.user] = Unit(drop.user)
        unit.restored_at = old.restored_at
        unit.revs = old.revs
        unit.gen_at = unit.changed_at = self.world.now
        for link in old.links.values():
            link.gone_at = self.world.now if link.gone_at is None else link.gone_at
        unit.links = old.links

    # --- an older backup is in place ---
    def set_to(
        self, user: bytes, rows: UserRows, mailbox: list[MessageRow], marks: Callable[[bytes], list[MarkRow]]
    ) -> None:
        """The rows of this user are now these; what came after the backup was made is lost."""
        unit = self.unit(user)
        now = unit.restored_at = unit.changed_at = unit.gen_at = self.world.now
        account = unit.account = rows.account
        unit.deleted = account is not None and account.state == STATE_DELETED
        unit.cursors = {row.device: row for row in rows.cursors}
        kept = {row.device for row in rows.devices}
        for number, link in unit.links.items():
            if number in kept:
                link.gone_at = None
            elif link.gone_at is None:
                link.gone_at = now
        unit.contacts = {row.contact for row in rows.contacts}
        unit.blocks = {row.other: row.version for row in rows.blocks}
        unit.blocked_by = {row.other: row.version for row in rows.blocked_by}
        unit.revoked = {row.jti: now for row in rows.revoked}
        unit.registers = {(row.conversation, row.kind): row for row in rows.registers}
        floor = rows.counters.floor if rows.counters else 0
        kept_seqs = {row.seq for row in mailbox}
        for seq in [seq for seq in unit.rows if seq > floor and seq not in kept_seqs]:  # of another line
            row = unit.rows.pop(seq)
            if row.kind != ROW_REFUSED:
                unit.seqs.remove(seq)
                if unit.places.get((row.kind, row.sender, row.message_id)) == seq:
                    del unit.places[row.kind, row.sender, row.message_id]
            if row.kind == ROW_MESSAGE:
                unit.letters[row.sender].remove(seq)
        for row in mailbox:  # of an account that was deleted since
            if row.seq not in unit.rows:
                unit.rows[row.seq], unit.stored_at[row.seq] = row, now
                if row.kind != ROW_REFUSED:
                    insort(unit.seqs, row.seq)
                    unit.places[row.kind, row.sender, row.message_id] = row.seq
                if row.kind == ROW_MESSAGE:
                    insort(unit.letters.setdefault(row.sender, []), row.seq)
        unit.newest = {}
        for seqs in unit.letters.values():
            for seq in seqs:
                row = unit.rows[seq]
                letter = self.letters[row.sender, row.message_id]
                order, at = unit.newest.get((row.sender, row.device), (0, 0))
                unit.newest[row.sender, row.device] = max(order, letter.order), max(at, row.at)
        unit.outcomes = {}
        for sender in {key[0] for key in self.letters}:
            for mark in marks(sender):
                unit.outcomes[sender, mark.device, mark.message_id] = mark.seq, mark.at, mark.code
