"""Expiry: messages after message_days, devices that were not seen for device_days.

A message goes when at + message_days < now and at < horizon. The horizon is stored, starts message_days before the
store was made and moves at most twice as fast as the process runs, so that a wrong clock deletes nothing that
matters. Rows expire from the bottom of the mailbox, page by page; a device that had not got them is told
HISTORY_GAP.
"""

from __future__ import annotations

from typing import Final

from iris.core import links, mailbox, sessions
from iris.core.catalogue import CloseCode
from iris.core.commands import Paged
from iris.core.rows import ROW_REFUSED, CursorRow, MessageRow
from iris.core.turn import LoadPage, Now, Turn
from iris.core.user import BASE_DEVICE, User

FOR_EXPIRY: Final = 3  # purpose of a page: (FOR_EXPIRY,)


def next_horizon(horizon: int, elapsed_ms: int, wall: int, message_days: int, pace: int) -> int:
    """Where the horizon stands after the process has run `elapsed_ms` more: at most `pace` times that further."""
    return max(horizon, min(wall - message_days * mailbox.DAY_MS, horizon + pace * elapsed_ms))


def expired(at: int, now: Now, message_days: int) -> bool:
    """Whether a message of this time is to go."""
    return at + message_days * mailbox.DAY_MS < now.wall and at < now.horizon


def certain(now: Now, message_days: int) -> int:
    """A time, ms since 1970, that has passed although the clock may be ahead: what goes by its age is older."""
    return min(now.wall, now.horizon + message_days * mailbox.DAY_MS)


def look(user: User, turn: Turn) -> None:
    """Begin to remove what has expired; unlink devices that were not seen for long."""
    if user.active:
        oldest = min(turn.now.wall - turn.limits.device_days * mailbox.DAY_MS, turn.now.horizon)
        for device in user.devices:
            if user.session_at(device.number) is not None:
                if turn.now.wall - device.row.seen_at >= mailbox.DAY_MS:
                    sessions.seen(device, turn)
            elif device.row.seen_at < oldest:
                links.unlink(user, device.number, turn)
    if user.oldest_at and not user.expiring and expired(user.oldest_at, turn.now, turn.limits.message_days):
        user.expiring = True
        _ask(user, turn)


def on_page(user: User, page: Paged, turn: Turn) -> None:
    """The lowest rows of the mailbox: remove those that have expired."""
    user.expiring = False
    gone: list[MessageRow] = []
    # What was trimmed, or deleted with the account, since the page was asked for is none of ours.
    rows = [row for row in page.rows if row.seq > user.floor] if user.active else []
    for row in rows:
        if not expired(row.at, turn.now, turn.limits.message_days):
            user.oldest_at = row.at
            break
        gone.append(row)
    if not gone:
        return
    last = gone[-1]
    lost = 0
    for device in user.devices:
        missing = sum(1 for row in gone if row.seq > device.seq and row.kind != ROW_REFUSED)
        device.lost += missing
        if device.seq < last.seq:
            device.seq, device.pos, device.size = last.seq, last.pos, last.size
            turn.write(device.cursor_row(user.id))
        if missing:
            lost += missing
            mailbox.close_session(user, turn, device.number, CloseCode.HISTORY_GAP)
    if not user.devices:
        base = user.base or CursorRow(user.id, BASE_DEVICE, 0, 0, 0, 0, 0)
        if base.seq < last.seq:
            missing = sum(1 for row in gone if row.seq > base.seq and row.kind != ROW_REFUSED)
            lost += missing
            user.base = base._replace(seq=last.seq, pos=last.pos, size=last.size, lost=base.lost + missing)
            turn.write(user.base)
    user.counters = user.counters._replace(expired=user.counters.expired + lost)
    turn.count("iris_expired_total", lost)
    mailbox.delete_upto(user, turn, last.seq, last.pos)
    if len(gone) == len(rows) and user.floor < user.head:
        user.expiring = True
        _ask(user, turn)


def _ask(user: User, turn: Turn) -> None:
    limits = turn.limits
    turn.ask(LoadPage(user.id, user.floor, user.head, limits.page_rows_max, limits.deliver_window_bytes, (FOR_EXPIRY,)))
