"""Presence, last seen and typing: what a user's contacts see of the moment. Nothing here is stored but the
last-seen time.

A watch is (watcher's connection, target). The target's shard decides whether the watcher may see, and decides again
when privacy, contacts or blocks change. Online is told at once; offline only after offline_grace_ms, and after the
start of a shard only after a lease and the grace, when every living session has attached again.
"""

from __future__ import annotations

from iris.core.commands import TypingIn, WatchIn
from iris.core.frames import PRESENCE, STATUS_HIDDEN, STATUS_OFFLINE, STATUS_ONLINE, TYPING, Presence, Typing
from iris.core.rows import CONTACTS, EVERYONE, SeenRow
from iris.core.tables import own
from iris.core.turn import Turn
from iris.core.user import User


def on_watch(user: User, watch: WatchIn, turn: Turn) -> None:
    """Somebody starts or stops to watch this user."""
    key = (watch.edge, watch.conn)
    if not watch.on:
        user.watchers.pop(key, None)
        return
    if key not in user.watchers and len(user.watchers) >= turn.limits.watchers_max:
        refuse_watch(watch, turn)
        return
    user.watchers = own(user.watchers)
    user.watchers[key] = watch.watcher
    if user.sessions:
        user.announced = True
    elif user.announced is None:
        if turn.now.mono >= user.grace_at:
            user.announced = False
        elif may_see(user, watch.watcher):
            turn.call_at(user.grace_at, _grace_over, user, turn)
            return
    _tell(user, key, watch.watcher, turn)


def refuse_watch(watch: WatchIn, turn: Turn) -> None:
    """watchers_max: one watcher too many is shown “hidden”."""
    turn.count("iris_watches_refused_total")
    turn.to_edge(watch.edge, Presence(PRESENCE, watch.conn, watch.user, STATUS_HIDDEN, 0))


def came_online(user: User, turn: Turn) -> None:
    """The first session of the user has attached."""
    if user.announced is not True:
        user.announced = True
        _tell_all(user, turn)


def went_offline(user: User, turn: Turn) -> None:
    """The last session of the user has ended: remember when, and say so after the grace."""
    user.seen_at = turn.now.wall
    turn.write(SeenRow(user.id, user.seen_at))
    user.grace_at = turn.now.mono + turn.limits.offline_grace_ms
    turn.call_at(user.grace_at, _grace_over, user, turn)


def privacy_changed(user: User, turn: Turn) -> None:
    """Every watcher is looked at anew."""
    if user.announced is not None:
        _tell_all(user, turn)


def on_typing(user: User, typing: TypingIn, turn: Turn) -> None:
    """Somebody types, or stops to, in a conversation with this user."""
    if not user.sessions or user.blocked_with(typing.sender) or user.account is None:
        return
    if user.account.messages == CONTACTS and typing.sender not in user.contacts:
        return
    turn.count("iris_typing_total")
    for session in user.sessions:
        turn.to_edge(session.edge, Typing(TYPING, session.conn, typing.conversation, typing.sender, typing.active))


def may_see(user: User, watcher: bytes) -> bool:
    """Whether `watcher` may see presence and last seen."""
    if not user.active or user.account is None or user.blocked_with(watcher):
        return False
    setting = user.account.presence
    return setting == EVERYONE or (setting == CONTACTS and watcher in user.contacts)


def _grace_over(user: User, turn: Turn) -> None:
    if user.sessions or turn.now.mono < user.grace_at or user.announced is False:
        return
    user.announced = False
    _tell_all(user, turn)


def _tell_all(user: User, turn: Turn) -> None:
    turn.count("iris_presence_changes_total")
    for key, watcher in user.watchers.items():
        _tell(user, key, watcher, turn)


def _tell(user: User, key: tuple[int, int], watcher: bytes, turn: Turn) -> None:
    edge, conn = key
    if not may_see(user, watcher):
        frame = Presence(PRESENCE, conn, user.id, STATUS_HIDDEN, 0)
    elif user.announced:
        frame = Presence(PRESENCE, conn, user.id, STATUS_ONLINE, user.seen_at)
    else:
        frame = Presence(PRESENCE, conn, user.id, STATUS_OFFLINE, user.seen_at)
    turn.to_edge(edge, frame)
