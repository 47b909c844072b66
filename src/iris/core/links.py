"""Devices of a user: link, unlink, refresh secrets, and ending the sessions that must not go on.

A new device starts at the newest row that one of the others has: so no row is left behind that no device has, and a
receipt for a later one speaks for all before it. The only device starts where the last one had got to. Device numbers
are never reused, not even after a restore: else the token of a device that was linked after the backup would stand for
another device. Sessions are closed before the answer is given, in the same commit, so that "logged out" is true when
it is said.
"""

from __future__ import annotations

import hmac
from typing import Final

from iris.core import mailbox, sessions
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.requests import Linked, LoggedOut, Refused, Result, Rotated
from iris.core.rows import CursorRow, DeviceRow, Gone
from iris.core.turn import Turn
from iris.core.user import BASE_DEVICE, Device, User

RESTORE_EPOCHS_LOG2: Final = 12  # a restore raises the epoch by 4,096
NUMBERS_AT_RESTORE: Final = 1_024  # device numbers left out then: more than a user links between backup and restore
CLOCK_MARGIN_MS: Final = 120_000  # tokens are taken a little past their expiry (clock leeway); revocations live longer


def link(user: User, name: str, refresh: bytes, turn: Turn) -> Result:
    """A new device."""
    account = user.account
    assert account is not None
    known = linked_with(user, refresh)
    if known is not None:
        return Linked(known.number, account.gen)  # the same log-in again
    if len(user.devices) >= turn.limits.devices_max:
        return Refused(int(ErrorCode.DEVICE_LIMIT))
    number = max(account.next_device, (turn.epoch >> RESTORE_EPOCHS_LOG2) * NUMBERS_AT_RESTORE + 1)
    user.account = account._replace(next_device=number + 1)
    if user.devices:
        lead = max(user.devices, key=lambda other: other.seq)
        start = CursorRow(user.id, number, lead.seq, 0, lead.pos, lead.size, 0)
        user.due += user.pos - lead.pos
        turn.write(mailbox.counters_row(user))
    elif user.base is not None:
        start = user.base._replace(device=number, rev=0, acked=0)
        turn.write(Gone(user.base))
        user.base = None
    else:  # the first one ever: what came before it is for it
        start = CursorRow(user.id, number, 0, 0, 0, 0, 0)
    row = DeviceRow(user.id, number, name, turn.now.wall, refresh, b"", turn.now.wall)
    user.devices = (*user.devices, Device(row, start))
    turn.write(user.account)
    turn.write(row)
    turn.write(start)
    sessions.update_sessions(user, turn)
    return Linked(number, account.gen)


def linked_with(user: User, refresh: bytes) -> Device | None:
    """The device whose first refresh secret this is; it may have rotated once before a repeat comes."""
    for device in user.devices:
        if any(hmac.compare_digest(secret, refresh) for secret in (device.row.refresh, device.row.refresh_before)):
            return device
    return None


def unlink(user: User, number: int, turn: Turn) -> None:
    """A device goes: its session, its refresh secret, its cursor, and a link code that it shows."""
    if user.link_code is not None and user.link_code.device == number:
        user.link_code = None
    mailbox.close_session(user, turn, number, CloseCode.TOKEN_REVOKED)
    device = user.linked(number)
    user.devices = tuple([one for one in user.devices if one is not device])
    cursor = device.cursor_row(user.id)
    turn.write(Gone(device.row))
    turn.write(Gone(cursor))
    counters = user.counters._replace(acked=user.counters.acked + device.acked)
    if user.devices:
        counters = counters._replace(unlinked=counters.unlinked + user.pos - device.pos)
    else:  # the last one: its cursor is kept for the next
        user.base = cursor._replace(device=BASE_DEVICE, acked=0)
        turn.write(user.base)
    user.counters = counters
    turn.write(mailbox.counters_row(user))
    turn.count("iris_devices_unlinked_total")
    mailbox.trim(user, turn, turn.limits.trim_rows_min)
    sessions.update_sessions(user, turn)


def unlink_all(user: User, keep: int, turn: Turn) -> Result:
    """gen + 1; every device but `keep` goes, and so does a link code."""
    account = user.account
    assert account is not None
    user.link_code = None
    for device in user.devices:
        if device.number != keep:
            unlink(user, device.number, turn)
    # The token of this session is void like all others, and a thief may have it: only who gets a new one comes back.
    mailbox.close_session(user, turn, keep, CloseCode.TOKEN_EXPIRED)
    user.account = account._replace(gen=account.gen + 1)
    turn.write(user.account)
    turn.count("iris_revocations_total")
    return LoggedOut(user.account.gen)


def close_token(user: User, jti: str, turn: Turn) -> None:
    """End the sessions that were opened with this token."""
    for session in user.sessions:
        if session.jti == jti:
            mailbox.close_session(user, turn, session.device.number, CloseCode.TOKEN_REVOKED)


def rotate(user: User, device: Device, following: bytes, turn: Turn) -> Result:
    """`following` becomes the newest refresh secret."""
    device.row = device.row._replace(refresh=following, refresh_before=device.row.refresh, seen_at=turn.now.wall)
    turn.write(device.row)
    return rotated(user)


def rotated(user: User) -> Result:
    """The answer to a rotation."""
    account = user.account
    assert account is not None
    return Rotated(account.gen)
