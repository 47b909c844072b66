"""Bugs on the way of a row from the mailbox to the devices: pump, acks, cursors, receipts, trimming, expiry."""

from __future__ import annotations

from typing import Any

from iris.core import expiry, mailbox, outbox, pump, receipts, sending, sessions
from iris.core.catalogue import CloseCode
from iris.core.ids import user_unit
from iris.core.registers import Registers
from iris.core.rows import REGISTER_READ_SYNC
from tests.mutants.patch import Patch, mutant


@mutant("core", "A batch to Bob is lost; his phone acks over it: one message is never shown.")
def cursor_moved_over_a_gap(patch: Patch) -> None:
    patch.change(pump, "_frame", lambda original, session, row, prev: original(session, row, 0))


@mutant("core", "A batch to Bob is lost, and nobody sends it again while he stays connected.")
def rewind_ignored(patch: Patch) -> None:
    patch.change(pump, "rewind", lambda original, user, session, turn: None)


@mutant("core", "Bob reconnects and the pump goes on at the newest row: what came meanwhile is skipped.")
def window_not_reset_at_attach(patch: Patch) -> None:
    def on_attach(original: Any, user: Any, command: Any, turn: Any) -> None:
        before = user.session_at(command.auth.device)
        original(user, command, turn)
        after = user.session_at(command.auth.device)
        if after is not None and after is not before:
            after.sent = user.last_seq

    patch.change(sessions, "on_attach", on_attach)


@mutant("core", "The whole mailbox of a month is pushed to Bob's phone at once: its window has no end.")
def window_without_end(patch: Patch) -> None:
    patch.change(pump, "_room", lambda original, session, turn: True)


@mutant("core", "Bob's phone is full behind a page from the store: the pump stops for good.", faults="cut")
def pump_stops_after_a_page(patch: Patch) -> None:
    def paged(original: Any, user: Any, session: Any, after: int, upto: int, rows: Any, turn: Any) -> None:
        original(user, session, after, upto, rows, turn)
        session.loading = session.loading or len(rows) == turn.limits.page_rows_max

    patch.change(pump, "paged", paged)


@mutant("core", "Bob's tablet is behind his phone: what only the phone had is deleted.")
def trimmed_to_the_furthest_cursor(patch: Patch) -> None:
    def furthest(original: Any, user: Any) -> tuple[int, int]:
        if not user.devices:
            return original(user)  # type: ignore[no-any-return]
        return max((device.seq, device.pos) for device in user.devices)

    patch.change(mailbox, "lowest_cursor", furthest)


@mutant("core", "Bob's cursor is not written: after a restart the books say that he lacks what he has.")
def cursor_not_written(patch: Patch) -> None:
    def advance(original: Any, user: Any, device: Any, taken: Any, turn: Any) -> None:
        original(user, device, taken[:-1], turn)
        if taken:
            device.seq = taken[-1].seq

    patch.change(receipts, "advance", advance)


@mutant("core", "Bob's tablet was away for so long that rows were deleted; it is not told and shows a hole.")
def gap_not_told(patch: Patch) -> None:
    patch.change(sessions, "_missed", lambda original, user, device, seq: False)


@mutant(
    "core",
    "Bob's tablet, far behind, is cut while it is online: the rows jump, and it hears nothing.",
    faults="slow_client vanish",
)
def cut_without_closing(patch: Patch) -> None:
    def close_session(original: Any, user: Any, turn: Any, device: int, code: int) -> None:
        if code != CloseCode.HISTORY_GAP:
            original(user, turn, device, code)

    patch.change(mailbox, "close_session", close_session)


@mutant("core", "A tablet that lies in a drawer keeps every row of the mailbox for ever.")
def laggards_never_cut(patch: Patch) -> None:
    patch.change(mailbox, "cut_laggards", lambda original, user, turn: None)


@mutant("core", "Ada sees two ticks for a message that no device of Bob has.")
def receipt_ahead_of_delivery(patch: Patch) -> None:
    def new(original: Any, user: Any, command: Any, mark: Any, turn: Any) -> None:
        before = user.head
        original(user, command, mark, turn)
        if user.last_seq > before:
            send = command.send
            target = user_unit(command.sender)
            user.outbox.raise_register(turn, target, outbox.DELIVERED, send.conversation, user.last_seq)

    patch.change(sending, "_new", new)


@mutant("core", "Bob has the message, and Ada never gets her second tick.")
def delivered_not_told(patch: Patch) -> None:
    def raise_register(original: Any, box: Any, turn: Any, target: bytes, kind: int, topic: bytes, value: int) -> None:
        if kind != outbox.DELIVERED:
            original(box, turn, target, kind, topic, value)

    patch.change(outbox.Outbox, "raise_register", raise_register)


@mutant("core", "Bob wants nobody to know what he has read, and everybody is told.")
def read_receipts_against_privacy(patch: Patch) -> None:
    def on_read(original: Any, user: Any, read: Any, turn: Any) -> None:
        account = user.account
        if account is not None:
            user.account = account._replace(read_receipts=True)
        original(user, read, turn)
        user.account = account

    patch.change(receipts, "on_read", on_read)


@mutant("core", "A late repeat of an older receipt takes Ada's blue ticks back.")
def registers_not_merged(patch: Patch) -> None:
    def raise_to(original: Any, registers: Any, user: bytes, conversation: bytes, kind: int, *rest: int) -> Any:
        registers._rows.pop((conversation, kind), None)
        return original(registers, user, conversation, kind, *rest)

    patch.change(Registers, "raise_to", raise_to)


@mutant("core", "The server restarts, and Ada's tablet never hears that Bob has read.")
def register_not_written(patch: Patch) -> None:
    def raise_register(original: Any, user: Any, turn: Any, *rest: Any) -> Any:
        before = len(turn.writes)
        grown = original(user, turn, *rest)
        del turn.writes[before:]
        return grown

    patch.change(receipts, "raise_register", raise_register)


@mutant("core", "A receipt to Ada is lost on the way; the next one hides that.", faults="lose hollow")
def register_gap_hidden(patch: Patch) -> None:
    def send_register(original: Any, session: Any, row: Any, turn: Any) -> None:
        original(session, row, turn)
        items = turn.effects.edge[session.edge]
        items[-1] = items[-1]._replace(prev_rev=0)

    patch.change(pump, "_send_register", send_register)


@mutant("core", "Bob reads on his phone; his tablet shows it unread for ever.")
def read_position_kept_from_own_devices(patch: Patch) -> None:
    def offer_register(original: Any, user: Any, session: Any, row: Any, before: int, turn: Any) -> None:
        if row.kind != REGISTER_READ_SYNC:
            original(user, session, row, before, turn)
        elif session.rev_sent >= before:
            session.rev_sent = row.rev

    patch.change(pump, "offer_register", offer_register)


@mutant(
    "core",
    "Messages expire that Bob's tablet has not got: it is not told, and the books do not balance.",
    faults="leap",
)
def expiry_not_counted(patch: Patch) -> None:
    def on_page(original: Any, user: Any, page: Any, turn: Any) -> None:
        counters = user.counters
        original(user, page, turn)
        user.counters = user.counters._replace(expired=counters.expired)

    patch.change(expiry, "on_page", on_page)


@mutant(
    "core",
    "Every message is deleted after a day, whoever has not been online loses it.",
    faults="leap kill vanish slow_client",
)
def expired_after_a_day(patch: Patch) -> None:
    def expired(original: Any, at: int, now: Any, message_days: int) -> bool:
        wall: int = now.wall
        return at + mailbox.DAY_MS < wall

    patch.change(expiry, "expired", expired)
