"""Bugs in what people are to each other: devices, tokens, blocks, presence, typing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from iris.core import accounts, links, mailbox, presence, sending, sessions
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.frames import RETRY_AFTER
from iris.core.requests import LoggedOut
from iris.core.rows import BlockedByRow, CursorRow
from iris.core.user import User
from tests.mutants.patch import Patch, mutant


@mutant("core", "Ada's phone is stolen, she logs it out, and it goes on reading.")
def session_outlives_its_device(patch: Patch) -> None:
    def close_session(original: Any, user: Any, turn: Any, device: int, code: int) -> None:
        if code != CloseCode.TOKEN_REVOKED:
            original(user, turn, device, code)
        else:
            user.leave(device)

    patch.change(mailbox, "close_session", close_session)


@mutant("core", "Ada logs out everywhere; a device whose token was copied comes back in.", faults="no_answer cut")
def generation_not_looked_at(patch: Patch) -> None:
    def stands(original: Any, user: Any, auth: Any) -> bool:
        return user.active and user.device(auth.device) is not None and auth.jti not in user.revoked

    patch.change(sessions, "stands", stands)


@mutant("core", "A token was revoked, and opens the next session.")
def revoked_token_taken(patch: Patch) -> None:
    def stands(original: Any, user: Any, auth: Any) -> bool:
        return user.active and user.device(auth.device) is not None and auth.gen == user.account.gen

    patch.change(sessions, "stands", stands)


@mutant("core", "A token was revoked, and the session that it had opened stays.")
def revoked_token_keeps_its_session(patch: Patch) -> None:
    patch.change(links, "close_token", lambda original, user, jti, turn: None)


@mutant("core", "A revocation is not written: after a restart the token is good again.")
def revocation_not_written(patch: Patch) -> None:
    def revoke(original: Any, user: Any, request: Any, turn: Any) -> Any:
        before = len(turn.writes)
        result = original(user, request, turn)
        del turn.writes[before:]
        return result

    patch.change(accounts, "_revoke", revoke)


@mutant("core", "Ada links a tablet, and every message that she ever got is owed to it.")
def new_device_starts_at_the_bottom(patch: Patch) -> None:
    def link(original: Any, user: Any, name: str, refresh: bytes, turn: Any) -> Any:
        known = set(user.devices)
        result = original(user, name, refresh, turn)
        for device in set(user.devices) - known:
            device.seq = device.pos = device.size = 0
            turn.write(CursorRow(user.id, device.number, 0, 0, 0, 0, 0))
        return result

    patch.change(links, "link", link)


@mutant("core", "Ada unlinks her only phone and links a new one: what came in between is gone.")
def last_cursor_not_kept(patch: Patch) -> None:
    def link(original: Any, user: Any, name: str, refresh: bytes, turn: Any) -> Any:
        if user.base is not None:
            user.base = user.base._replace(seq=user.head, pos=user.pos, size=user.size)
        return original(user, name, refresh, turn)

    patch.change(links, "link", link)


@mutant("core", "Ada unlinks a tablet that had not got everything: the books do not balance.")
def unlinked_rows_not_counted(patch: Patch) -> None:
    def unlink(original: Any, user: Any, number: int, turn: Any) -> None:
        before = user.counters.unlinked
        original(user, number, turn)
        user.counters = user.counters._replace(unlinked=before)
        turn.write(mailbox.counters_row(user))

    patch.change(links, "unlink", unlink)


@mutant("core", "Ada unlinks a tablet and links another: it gets the old one's number, and its marks.")
def device_number_given_twice(patch: Patch) -> None:
    def link(original: Any, user: Any, name: str, refresh: bytes, turn: Any) -> Any:
        free = max((device.number for device in user.devices), default=0) + 1
        user.account = user.account._replace(next_device=free)
        return original(user, name, refresh, turn)

    patch.change(links, "link", link)


@mutant("core", "Cyn has blocked Ada. Ada's server never hears of it, so Cyn can write to somebody she blocks.")
def block_told_to_nobody(patch: Patch) -> None:
    def blocked_with(original: Any, user: Any, other: bytes) -> bool:
        mine = user.blocks.get(other)
        return mine is not None and mine.version % 2 == 1

    patch.change(User, "blocked_with", blocked_with)


@mutant("core", "Cyn blocks Ada, and Ada still sees when Cyn is online.")
def block_does_not_end_watching(patch: Patch) -> None:
    patch.change(accounts, "contacts_changed", lambda original, user, turn: None)


@mutant("core", "Bob shows to nobody that he is online, and everybody sees it.")
def presence_privacy_ignored(patch: Patch) -> None:
    patch.change(presence, "may_see", lambda original, user, watcher: user.active)


@mutant("core", "Bob has vanished an hour ago, and Ada still sees him online.")
def offline_never_said(patch: Patch) -> None:
    patch.change(presence, "_grace_over", lambda original, user, turn: None)


@mutant(
    "core",
    "A node takes over: everybody whose session comes back in a second is shown offline first.",
    faults="crash drain",
)
def offline_said_at_a_takeover(patch: Patch) -> None:
    def on_watch(original: Any, user: Any, watch: Any, turn: Any) -> None:
        user.grace_at = min(user.grace_at, turn.now.mono)
        original(user, watch, turn)

    patch.change(presence, "on_watch", on_watch)


@mutant("core", "Bob goes through a tunnel, and Ada sees him go and come at every gap of a second.", faults="cut kill")
def offline_said_without_grace(patch: Patch) -> None:
    def went_offline(original: Any, user: Any, turn: Any) -> None:
        original(user, turn)
        user.grace_at = turn.now.mono
        presence._grace_over(user, turn)

    patch.change(presence, "went_offline", went_offline)


@mutant("core", "Bob comes online and nobody is told.")
def online_not_told(patch: Patch) -> None:
    def came_online(original: Any, user: Any, turn: Any) -> None:
        user.announced = True

    patch.change(presence, "came_online", came_online)


@mutant("core", "Cyn has blocked Ada and still sees her typing.")
def typing_through_a_block(patch: Patch) -> None:
    def on_typing(original: Any, user: Any, typing: Any, turn: Any) -> None:
        blocks, blocked_by = user.blocks, user.blocked_by
        user.blocks, user.blocked_by = {}, dict[bytes, BlockedByRow]()
        original(user, typing, turn)
        user.blocks, user.blocked_by = blocks, blocked_by

    patch.change(presence, "on_typing", on_typing)


@mutant("core", "Ada asks to link a fifth device: it is linked, and a sixth, and a hundredth.")
def devices_without_limit(patch: Patch) -> None:
    def link(original: Any, user: Any, name: str, refresh: bytes, turn: Any) -> Any:
        limits = turn.limits
        turn.limits = replace(limits, devices_max=1_000)
        try:
            return original(user, name, refresh, turn)
        finally:
            turn.limits = limits

    patch.change(links, "link", link)


@mutant(
    "core",
    "An older connection of Bob's phone, given up, arrives late and throws out the newer one.",
    faults="late repeat cut",
)
def older_connection_wins(patch: Patch) -> None:
    patch.change(User, "newest_attach", lambda original, user, edge, device: (0, 0))


@mutant("core", "Bob's newer connection is served, the older one is not closed: two windows show one device.")
def older_connection_not_closed(patch: Patch) -> None:
    patch.change(mailbox, "close_connection", lambda original, user, turn, session, code: None)


@mutant(
    "core",
    "A close frame is lost between shard and edge; it is said only once, and the session stays.",
    faults="hollow",
)
def close_said_once(patch: Patch) -> None:
    patch.change(mailbox, "_close_again", lambda original, user, turn: None)


@mutant("core", "A user in the midst of a session is put out of memory, and the session with it.")
def busy_users_put_out_of_memory(patch: Patch) -> None:
    patch.change(User, "idle", lambda original, user: not (user.waiting or user.waiting_requests))


@mutant("core", "Ada changes her password; the thief's device stays linked.", faults="no_answer")
def password_change_keeps_devices(patch: Patch) -> None:
    def unlink_all(original: Any, user: Any, keep: int, turn: Any) -> Any:
        return original(user, keep, turn) if not keep else LoggedOut(user.account.gen)

    patch.change(links, "unlink_all", unlink_all)


@mutant("core", "The overload has passed, and the server says 'try again later' to Ada's sixth message for ever.")
def passing_refusal_never_passes(patch: Patch) -> None:
    def new(original: Any, user: Any, command: Any, mark: Any, turn: Any) -> None:
        if command.send.client_seq == 6:
            sending.reject(command, turn, int(ErrorCode.OVERLOADED), RETRY_AFTER, after_ms=1_000)
        else:
            original(user, command, mark, turn)

    patch.change(sending, "_new", new)
