"""What must be so once faults have ended: everything accepted is everywhere, everything is answered, all ends agree.

`rested` is judged when the world has come to rest, `vanished` half a minute after some clients have gone without a
word, `ended` when everybody has left. Exemptions are narrow and have names: docs/simulator.md argues each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iris.core.catalogue import ErrorCode
from iris.core.frames import STATUS_HIDDEN, STATUS_OFFLINE, STATUS_ONLINE
from iris.core.ids import direct_conversation, peer_of, user_unit
from iris.core.mailbox import imbalance
from iris.core.rows import REGISTER_READ_SYNC, ROW_MESSAGE, ROW_OWN_COPY, ROW_REFUSED, MessageRow
from iris.core.user import User
from iris.store.memory import at_once
from iris_sdk.core.lifecycle import State
from iris_sim.judge.profiles import COVERED, Profiles
from iris_sim.judge.truth import Truth
from iris_sim.judge.units import Unit
from iris_sim.observer import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from iris_sdk.rows import HistoryRow
    from iris_sim.observer import DeviceView, ServerView

NOISES = frozenset({"lose", "repeat", "late", "hollow", "partition", "pause"})
LEFT_MAX: Final = 30_000_000  # µs until watchers must know that somebody has left
COPY_MS: Final = 5_000  # a device that was linked so shortly before a message of another one may lack its copy
HELD_UP = frozenset({"pause", "slow_disk", "slow_reads", "late"})  # faults by which a Send is under way for longer
STEPS = {"queued": 0, "accepted": 1, "delivered": 2, "read": 3}


class Healed:
    """Judges a world at rest."""

    def __init__(self, truth: Truth, profiles: Profiles) -> None:
        self._truth = truth
        self._profiles = profiles

    # --- at rest ---
    def rested(self) -> None:
        """Every device that is to be connected is, and nothing is under way."""
        for device in self.standing():
            self._connected(device)
        for device in self.standing():
            self._complete(device)
            self._answered(device)
        for unit in self._truth.units.values():
            if not unit.deleted and unit.account is not None:
                self._copies(unit)
                self._alike(unit)
                self._blocks(unit)

    def standing(self) -> list[DeviceView]:
        """Devices that stand by the servers' rows and that are to be connected."""
        found = []
        for device in self._truth.world.devices:
            unit = self._truth.unit(device.user.id)
            link = unit.links.get(device.number)
            if link is not None and link.gone_at is None and not device.unlinked and device.online:
                found.append(device)
        return found

    def _connected(self, device: DeviceView) -> None:
        state = device.core.state if device.core is not None else None
        if state is not State.LIVE:
            reason = device.core.closed_reason if device.core is not None else "no process"
            text = f"{device.name} is not connected after all faults have ended: {state} {reason}"
            raise Violation("P8-CONNECTED", text, (device.user.id,))

    def _complete(self, device: DeviceView) -> None:
        """P2: all that was accepted after this device was linked is in its profile, or it was told of a gap."""
        truth, me = self._truth, device.user.id
        unit = truth.unit(me)
        shadow = self._profiles.of(device)
        start = max(unit.links[device.number].start or 0, shadow.gap_upto)
        held = {(row.sender, row.message_id): row for row in device.profile.history() if row.kind != "gap"}
        for row in unit.owed(start, 1 << 62):
            found = held.get((row.sender, row.message_id))
            what = truth.what(row.sender, row.message_id)
            if found is None:
                text = f"{what} was accepted as {row.seq} and is not on {device.name}, which was not told of a gap"
                raise Violation("P2-LOST", text, (me, row.sender))
            if found.at != row.at and (row.sender, row.message_id) not in truth.twice and not self._moved(row):
                text = f"{device.name} shows {what} at {found.at}, its mailbox says {row.at}"
                raise Violation("P4-ALIKE", text, (me, row.sender))
        for key, kept in held.items():
            if kept.kind == "message" and kept.changed != kept.n:
                raise Violation("P2-SHOWN-TWICE", f"{device.name} showed {truth.what(*key)} twice", (me, key[0]))
            if kept.kind == "message" and key not in shadow.shown:
                raise Violation("MADE-UP", f"{device.name} shows {truth.what(*key)}, which it never got", (me, key[0]))

    def _moved(self, row: MessageRow) -> bool:
        """Whether a server was set back, so that the message may have been accepted anew at another time."""
        peer = peer_of(row.conversation, row.user) or b""
        return self._truth.set_back(row.user, peer) and self._truth.excuse("server set back: another time")

    def _answered(self, device: DeviceView) -> None:
        """Every message has an answer, the right one, and is as far as it really is."""
        truth, me = self._truth, device.user.id
        waiting = [row for row in device.profile.history() if row.state == "queued"]
        if (waiting or device.profile.waiting()) and not self._for_nobody(me, waiting):
            what = truth.what(me, waiting[0].message_id) if waiting else "a message"
            raise Violation("P8-ANSWERED", f"{what} has no answer after all faults have ended", (me,))
        for row in device.profile.history():
            if row.kind not in ("sent", "own"):
                continue
            peer = peer_of(row.conversation, me) or b""
            if row.state == "refused":
                self._refused(device, row, peer)
            elif row.state in STEPS and row.state != "queued":
                self._progress(device, row, peer)
        unit = truth.unit(me)
        for conversation, positions in device.profile.reads().items():
            register = unit.registers.get((conversation, REGISTER_READ_SYNC))
            stored = register.a if register is not None else 0
            if positions.read_wanted > max(positions.read, stored) and not truth.set_back(me):
                text = f"{device.name} has read up to {positions.read_wanted}; the server shows {stored}"
                raise Violation("P8-READ", text, (me,))
            if positions.read < stored:
                raise Violation("P8-READ", f"{device.name} shows read {positions.read}, others {stored}", (me,))

    def _for_nobody(self, me: bytes, waiting: list[HistoryRow]) -> bool:
        """Whether all of this waits for people whom an old backup has left without a device: it fills up, for ever.

        Their account had been deleted and is there again; or devices long logged out take all places of devices_max.
        """
        truth = self._truth
        peers = {peer_of(row.conversation, me) or b"" for row in waiting}
        gone = {user.id for user in truth.world.users if user.deleted or all(one.unlinked for one in user.devices)}
        back = bool(peers) and peers <= gone and all(truth.set_back(peer) for peer in peers)
        return back and truth.excuse("server set back: nobody comes for it")

    def _refused(self, device: DeviceView, row: HistoryRow, peer: bytes) -> None:
        truth, me = self._truth, device.user.id
        unit = truth.unit(peer)
        seq = unit.places.get((ROW_MESSAGE, me, row.message_id))
        if (
            seq is not None
            and unit.rows[seq].device != device.number
            and truth.excuse("logged in anew: another answer")
        ):
            return
        if seq is not None and device.restored and truth.excuse("client set back: another answer"):
            return  # sent again when its outcome had left the window
        if seq is not None and truth.aged(unit, unit.rows[seq]) and truth.excuse("after its retention"):
            return
        if seq is not None and (me, row.message_id) not in truth.twice and not truth.set_back(peer):
            text = f"{device.name} shows {truth.what(me, row.message_id)} as refused ({row.code}); it is in the mailbox"
            raise Violation("P3-ANSWER", text, (me, peer))
        if row.code == ErrorCode.UNKNOWN_USER and not unit.deleted and unit.restored_at is None:
            text = f"{truth.what(me, row.message_id)} was refused as to an unknown user, who is there"
            raise Violation("P3-ANSWER", text, (me, peer))

    def _progress(self, device: DeviceView, row: HistoryRow, peer: bytes) -> None:
        """P5: delivered when a device of the peer has it; read when that was said and both want it told."""
        truth, me = self._truth, device.user.id
        unit = truth.unit(peer)
        kept = unit.rows.get(row.seq)
        what = truth.what(me, row.message_id)
        if kept is None or kept.message_id != row.message_id:
            if (peer, row.seq) not in truth.ever:
                raise Violation("P1-ACCEPTED", f"{device.name} shows {what} as accepted; it never was", (me, peer))
            return  # lost with an old backup, or the account was deleted
        had = (peer, row.seq) in truth.had
        gone = (peer, row.seq) in truth.told_gone
        if STEPS[row.state] >= 2 and not had and not gone and not truth.expired(unit, kept, COVERED):
            raise Violation("P5-DELIVERED", f"{device.name} shows {what} as {row.state}; nobody has it", (me, peer))
        if row.state == "read" and truth.read.get((peer, row.conversation), 0) < row.seq:
            raise Violation("P5-READ", f"{device.name} shows {what} as read; nobody has said so", (me, peer))
        if truth.set_back(me, peer) or unit.deleted:
            return  # a receipt may be lost with the backup
        if had and STEPS[row.state] < 2 and truth.expired(unit, kept, "expired before its Ack came"):
            return
        if had and STEPS[row.state] < 2 and not self._dropped(me):
            text = f"{device.name} shows {what} as {row.state}; a device of {truth.who(peer)} has had it for long"
            raise Violation("P5-TOLD", text, (me, peer))

    def _dropped(self, user: bytes) -> bool:
        """conversations_max: the receipts that changed longest ago are forgotten."""
        registers = self._truth.unit(user).registers
        full = len(registers) >= 2 * self._truth.world.limits.conversations_max
        return full and self._truth.excuse("receipts above conversations_max")

    def _copies(self, unit: Unit) -> None:
        """P2: what one device sends is on the user's other devices, if they were linked when it was accepted."""
        truth = self._truth
        for sender, seqs in unit.letters.items():
            author = truth.unit(sender)
            if author.deleted or author.account is None:
                continue
            for seq in seqs:
                row = unit.rows[seq]
                if (ROW_OWN_COPY, sender, row.message_id) in author.places:
                    continue
                stored = unit.stored_at[seq]
                others = [
                    link
                    for link in author.links.values()
                    if link.number != row.device and link.linked_at <= stored and link.gone_at is None
                ]
                if not others or truth.set_back(sender, unit.user):
                    continue
                linked = min(link.linked_at for link in others)
                until = stored  # a Send that left the sender's edge before it knew of the device asks for no copy
                if truth.world.counts.keys() & HELD_UP:
                    until = truth.first_sent.get((sender, row.message_id), stored)
                if until - linked <= COPY_MS * 1_000 and truth.excuse("copy for a device linked just before"):
                    continue
                text = f"{truth.what(sender, row.message_id)} has no copy for {truth.who(sender)}/{others[0].number}"
                raise Violation("P2-COPY", text, (sender, unit.user))

    def _alike(self, unit: Unit) -> None:
        """P4: both ends show the messages that both have in the same order."""
        truth = self._truth
        mine = [device for device in self.standing() if device.user.id == unit.user]
        if not mine:
            return
        me = mine[0]
        for device in self.standing():
            if device is me or device.user.id < unit.user:
                continue
            other = device.user.id
            if other == unit.user:
                here, there = self._order(me, None), self._order(device, None)
            else:
                conversation = direct_conversation(unit.user, other)
                here, there = self._order(me, conversation), self._order(device, conversation)
            both = {key for key in here if key in there}
            if [key for key in here if key in both] != [key for key in there if key in both]:
                if truth.set_back(unit.user, other) and truth.excuse("server set back: another order"):
                    continue
                if both & truth.twice and truth.excuse("client set back: another order"):
                    continue
                text = f"{me.name} and {device.name} show their conversation in different orders"
                raise Violation("P4-ALIKE", text, (unit.user, other))

    def _order(self, device: DeviceView, conversation: bytes | None) -> dict[tuple[bytes, bytes], None]:
        """Messages as a device sorts them."""
        rows = [
            (row.conversation, row.at, row.sender, row.message_id)
            for row in device.profile.history()
            if row.kind != "gap"
            and row.state not in ("queued", "refused")
            and (conversation is None or row.conversation == conversation)
        ]
        return dict.fromkeys((row[2], row[3]) for row in sorted(rows))

    def _blocks(self, unit: Unit) -> None:
        for other, version in unit.blocks.items():
            peer = self._truth.unit(other)
            if peer.account is None or peer.deleted or self._truth.set_back(unit.user, other):
                continue
            if peer.blocked_by.get(unit.user, 0) != version:
                who, whom = self._truth.who(unit.user), self._truth.who(other)
                text = f"{who} has changed a block of {whom}, whose own shard does not know of it"
                raise Violation("P8-BLOCK", text, (unit.user, other))

    # --- some have vanished ---
    def vanished(self, unheard: Callable[[DeviceView, bytes], bool]) -> None:
        """Presence tells the truth: online are those who are connected, nobody who left half a minute ago.

        unheard: whether a change of who may see a user came to a device in a batch without contents.
        """
        truth = self._truth
        online = {device.user.id for device in truth.world.devices if device.conn}
        for device in self.standing():
            if not device.conn or device.core is None or device.core.state is not State.LIVE:
                continue
            for target, (status, _) in device.presence.items():
                if target not in device.watching:
                    continue  # under way when the person looked away
                unit = truth.unit(target)
                sees = unit.may_see(device.user.id)
                wanted = STATUS_HIDDEN if not sees else STATUS_ONLINE if target in online else STATUS_OFFLINE
                if status != wanted and not (status == STATUS_HIDDEN and self._crowded(target)):
                    just_left = truth.world.now - truth.left_at.get(target, 0) < LEFT_MAX
                    if (status, wanted) == (STATUS_ONLINE, STATUS_OFFLINE) and just_left:
                        continue  # logged out a moment ago, say: nobody has to know that yet
                    hidden = STATUS_HIDDEN in (status, wanted)
                    if hidden and unheard(device, target) and truth.excuse("presence in a hollow batch"):
                        continue
                    shown = f"{device.name} shows {truth.who(target)} as {_STATUS[status]}"
                    text = f"{shown}, it should be {_STATUS[wanted]}"
                    raise Violation("PRESENCE-TRUE", text, (device.user.id, target))

    def _crowded(self, target: bytes) -> bool:
        """watchers_max: the server tells no more watchers of this user, or told none when this Watch came."""
        watchers = sum(target in device.watching for device in self._truth.world.devices)
        counted = (server.core.turn.counters["iris_watches_refused_total"] for server in self._truth.world.servers)
        full = watchers > self._truth.world.limits.watchers_max or any(counted)
        return full and self._truth.excuse("watchers above watchers_max")

    # --- everybody has left ---
    def ended(self) -> None:
        """Nothing is left: no session, no row on its way; the stored books are right to the last row."""
        for server in self._truth.world.servers:
            if not server.alive:
                raise Violation("P8-CONNECTED", f"server {server.number} did not come back")
            if server.edge.sessions or server.edge.detaching:
                left = len(server.edge.sessions) + len(server.edge.detaching)
                raise Violation("GHOST", f"server {server.number}: {left} connections are still known at its edge")
            for shard in server.core.shards.values():
                for user in shard.users.values():
                    self._left(user)
            self._stored(server)

    def _left(self, user: User) -> None:
        if user.idle:
            return
        kept = [name for name in _LEFT if getattr(user, name)]
        if kept == ["watchers"] and not user.outbox.lanes and self._late(user):
            return
        if user.outbox.lanes:
            targets = ", ".join(sorted({_target(self._truth, target) for target in user.outbox.lanes}))
            kept.append(f"outbox to {targets}")
        raise Violation("GHOST", f"{self._truth.who(user.id)} still has {', '.join(kept)}", (user.id,))

    def _late(self, user: User) -> bool:
        """A Watch came after its connection's end, by a noisy way: the next Presence to it brings its end, too."""
        world = self._truth.world
        alive = all(edge in world.edges for edge, _ in user.watchers)
        return alive and bool(world.plan.faults & NOISES) and self._truth.excuse("watch that came late")

    def _stored(self, server: ServerView) -> None:
        store = server.store
        for name in at_once(store.users(b"", 1 << 30)):
            rows = at_once(store.load_user(name))
            who = self._truth.who(name)
            if rows.outbox_items or rows.outbox_registers:
                left = rows.outbox_items or rows.outbox_registers
                raise Violation("GHOST", f"{who} has outbox rows left: {left}", (name,))
            user = User(name, rows)
            if imbalance(user):
                raise Violation("BOOKS", f"the stored books of {who} are off by {imbalance(user)}", (name,))
            kept = at_once(store.page_mailbox(name, 0, 1 << 63, 1 << 30, 1 << 60))
            for device in user.devices:
                lacks = sum(row.seq > device.seq and row.kind != ROW_REFUSED for row in kept)
                if lacks != user.pos - device.pos:
                    text = f"{who}/{device.number} lacks {lacks} rows, its cursor says {user.pos - device.pos}"
                    raise Violation("BOOKS", text, (name,))


_LEFT = ("sessions", "closing", "watchers", "waiting", "waiting_requests")  # of a User
_STATUS = {STATUS_HIDDEN: "hidden", STATUS_OFFLINE: "offline", STATUS_ONLINE: "online"}


def _target(truth: Truth, unit: bytes) -> str:
    """A unit in words."""
    return truth.who(unit[1:]) if unit.startswith(b"u") else unit.decode(errors="replace")


assert user_unit(b"") == b"u"
