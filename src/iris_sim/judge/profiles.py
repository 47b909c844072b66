"""What devices hold: every commit of a client's core is held against what is true.

A Shadow follows one profile commit by commit. It keeps: the cursor never passes a row that the device has not got and
was not told to be gone; nothing is shown twice, made up, or before what its sender wrote earlier; receipts claim only
what happened.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from iris.core.ids import peer_of
from iris_sdk.core import effects as fx
from iris_sim.judge.truth import Truth
from iris_sim.observer import Violation

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView

COVERED = "expired, and covered by a later receipt"


class Shadow:
    """One profile, as its commits add up."""

    __slots__ = (
        "acked", "answers", "cursor", "delivered", "device", "gap_upto", "inherited", "known", "newest", "oldest",
        "read", "reset", "shown",
    )  # fmt: skip

    def __init__(self, device: DeviceView) -> None:
        self.device = device
        self.cursor = (0, 0)
        self.acked = 0  # the highest seq that this device has ever said it has
        self.known: set[tuple[bytes, bytes]] = set()  # (sender, message_id)
        self.inherited: frozenset[tuple[bytes, bytes]] = frozenset()  # what the profile held when it was linked
        self.shown: set[tuple[bytes, bytes]] = set()  # ... of messages of others
        self.newest: dict[tuple[bytes, int], int] = {}  # sender device -> order of its newest shown message
        self.answers: dict[bytes, tuple[int, int, int]] = {}  # message_id -> (code, seq, at)
        self.delivered: dict[bytes, int] = {}  # conversation -> how far the peer's devices are, as told
        self.read: dict[bytes, int] = {}
        self.gap_upto = 0  # rows up to here may be missing: the device was told so
        self.oldest = 0  # of the newest Welcome
        self.reset = False  # ... likewise


class Profiles:
    """The shadows of all devices."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._shadows: dict[DeviceView, Shadow] = {}
        self._handlers: dict[type[Any], Callable[[Shadow, Any], None]] = {
            fx.SaveMessage: self._message,
            fx.SaveAnswer: self._answer,
            fx.SaveCursor: self._cursor,
            fx.SaveReceipt: self._receipt,
            fx.SaveRead: self._read,
            fx.SaveGap: self._gap,
        }

    def of(self, device: DeviceView) -> Shadow:
        """The shadow of a device's profile."""
        found = self._shadows.get(device)
        if found is None:
            found = self._shadows[device] = Shadow(device)
        return found

    def saved(self, device: DeviceView, writes: Sequence[fx.Write]) -> None:
        """A commit is in the profile."""
        shadow = self.of(device)
        handlers = self._handlers
        for write in writes:
            handler = handlers.get(write.__class__)
            if handler is not None:
                handler(shadow, write)

    def welcomed(self, device: DeviceView, oldest: int, reset: bool) -> None:
        """A device is greeted: what its next commits may do with the cursor."""
        shadow = self.of(device)
        shadow.oldest, shadow.reset = oldest, reset

    def said_cursor(self, device: DeviceView, seq: int, rev: int, *, ack: bool) -> None:
        """A device says how far its profile is."""
        shadow = self.of(device)
        if seq > shadow.cursor[0] or rev > shadow.cursor[1]:
            text = f"{device.name} says that it has ({seq}, {rev}), its profile holds {shadow.cursor}"
            raise Violation("ACK-BEYOND", text, (device.user.id,))
        if ack:
            shadow.acked = max(shadow.acked, seq)

    def begun(self, device: DeviceView) -> None:
        """A device is linked; its profile may be that of a device that was logged out."""
        shadow = Shadow(device)
        self._read_in(shadow)
        shadow.inherited = frozenset(shadow.known)
        shadow.newest.clear()  # it begins where its user's other devices are, which may be further back

    def set_back(self, device: DeviceView) -> None:
        """An older copy of the profile is in place."""
        old, shadow = self.of(device), Shadow(device)
        shadow.acked, shadow.gap_upto, shadow.inherited = old.acked, old.gap_upto, old.inherited
        if not device.profile.cursor()[0]:  # “a device that has lost its whole store goes on where it had acked”
            shadow.gap_upto = max(shadow.gap_upto, shadow.acked)
        self._read_in(shadow)
        waiting = [message_id for _, _, message_id, answered in device.profile.outbox_after(0) if not answered]
        self._truth.requeued(device.user.id, device.number, waiting)

    def _read_in(self, shadow: Shadow) -> None:
        """Take what the profile holds."""
        device = shadow.device
        profile, me = device.profile, device.user.id
        self._shadows[device] = shadow
        shadow.cursor = profile.cursor()
        for row in profile.history():
            if row.kind == "gap":
                continue
            key = (row.sender, row.message_id)
            shadow.known.add(key)
            letter = self._truth.letters.get(key)
            if row.sender != me and letter is not None:
                shadow.shown.add(key)
                place = (row.sender, row.device)
                shadow.newest[place] = max(shadow.newest.get(place, 0), letter.order)
            elif row.sender == me and row.state not in ("queued", "refused"):
                shadow.answers[row.message_id] = (0, row.seq, row.at)
        for conversation, positions in profile.reads().items():
            shadow.delivered[conversation] = max(positions.delivered, positions.peer_read)
            shadow.read[conversation] = positions.read

    def shown(self) -> int:
        """Messages of others on all devices together."""
        return sum(len(shadow.shown) for shadow in self._shadows.values())

    # --- writes ---
    def _message(self, shadow: Shadow, row: fx.SaveMessage) -> None:
        truth, device = self._truth, shadow.device
        me = device.user.id
        key = (row.sender, row.message_id)
        stored = truth.ever.get((me, row.seq))
        if stored is None or (stored.message_id, stored.sender, stored.at) != (row.message_id, row.sender, row.at):
            text = f"{device.name} holds {truth.what(*key)} as seq {row.seq}, which no server ever stored so"
            raise Violation("MADE-UP", text, (me, row.sender))
        truth.had.add((me, row.seq))
        if row.own:
            shadow.known.add(key)
            return
        if key in shadow.known:
            if key not in truth.twice and key not in shadow.inherited and not truth.set_back(me, row.sender):
                text = f"{device.name} took {truth.what(*key)} a second time, as seq {row.seq}"
                raise Violation("P3-TWICE", text, (me, row.sender))
            return
        shadow.known.add(key)
        shadow.shown.add(key)
        letter = truth.letters[key]
        place = (row.sender, row.device)
        early = letter.order < shadow.newest.get(place, 0) and key not in truth.twice
        if early and not (truth.set_back(me) and truth.excuse("server set back: shown later")):
            text = f"{device.name} shows {truth.what(*key)} after a later one of the same device"
            raise Violation("P4-SHOWN", text, (me, row.sender))
        shadow.newest[place] = max(letter.order, shadow.newest.get(place, 0))

    def _answer(self, shadow: Shadow, answer: fx.SaveAnswer) -> None:
        truth, me = self._truth, shadow.device.user.id
        told = (answer.code, answer.seq, answer.at)
        before = shadow.answers.setdefault(answer.message_id, told)
        peer = peer_of(answer.conversation, me) or b""
        if (
            before != told
            and (me, answer.message_id) not in truth.twice
            and not truth.set_back(peer)
            and not (shadow.device.restored and truth.excuse("client set back: another answer"))
            and not self._asked_anew(shadow, answer, before)
        ):
            text = f"{shadow.device.name} was told {before} and now {told} of {truth.what(me, answer.message_id)}"
            raise Violation("P3-ANSWER", text, (me, peer))
        if answer.code == 0:
            row = truth.ever.get((peer, answer.seq))
            if row is None or row.message_id != answer.message_id:
                text = f"{shadow.device.name} holds {truth.what(me, answer.message_id)} as accepted, but it is not"
                raise Violation("P1-ACCEPTED", text, (me, peer))

    def _asked_anew(self, shadow: Shadow, answer: fx.SaveAnswer, before: tuple[int, int, int]) -> bool:
        """Whether an own copy told the profile's earlier device that it was accepted, and the new one is refused.

        The screen goes on to say “accepted”, which is true.
        """
        key = (shadow.device.user.id, answer.message_id)
        earlier = self._truth.letters[key].device != shadow.device.number and key in shadow.inherited
        refused = bool(answer.code) and before[0] == 0
        return earlier and refused and self._truth.excuse("logged in anew: another answer")

    def _cursor(self, shadow: Shadow, cursor: fx.SaveCursor) -> None:
        truth, device = self._truth, shadow.device
        me = device.user.id
        seq, rev = shadow.cursor
        if (cursor.seq < seq or cursor.rev < rev) and not shadow.reset:
            text = f"{device.name}: the cursor went back from {shadow.cursor} to {tuple(cursor)}"
            raise Violation("CURSOR", text, (me,))
        if cursor.seq > seq:
            link = truth.unit(me).links.get(device.number)
            after = max(seq, shadow.gap_upto, (link.start or 0) if link else 0)
            for row in truth.unit(me).owed(after, cursor.seq):
                if (row.sender, row.message_id) not in shadow.known:
                    text = f"{device.name} passed over {truth.what(row.sender, row.message_id)} (seq {row.seq})"
                    raise Violation("P2-PASSED", text, (me, row.sender))
        shadow.cursor = (cursor.seq, cursor.rev)

    def _receipt(self, shadow: Shadow, receipt: fx.SaveReceipt) -> None:
        """Of all that a receipt newly says to be delivered, some device must have each message."""
        truth, me = self._truth, shadow.device.user.id
        conversation = receipt.conversation
        peer = peer_of(conversation, me) or b""
        if receipt.read > truth.read.get((peer, conversation), 0):
            text = f"{shadow.device.name} is told that {truth.who(peer)} has read {receipt.read}; nobody has said so"
            raise Violation("P5-READ", text, (me, peer))
        upto = max(receipt.delivered, receipt.read)
        unit = truth.unit(peer)
        for row in unit.written_by(me, shadow.delivered.get(conversation, 0), upto):
            place = (peer, row.seq)
            if place not in truth.had and place not in truth.told_gone and not truth.expired(unit, row, COVERED):
                what = truth.what(row.sender, row.message_id)
                text = f"{shadow.device.name} is told that {what} was delivered; no device of {truth.who(peer)} has it"
                raise Violation("P5-DELIVERED", text, (me, peer))
        shadow.delivered[conversation] = max(upto, shadow.delivered.get(conversation, 0))

    def _read(self, shadow: Shadow, read: fx.SaveRead) -> None:
        truth, me = self._truth, shadow.device.user.id
        if read.seq > truth.read.get((me, read.conversation), 0):
            text = f"{shadow.device.name} is shown a read position {read.seq} that none of its user’s devices has said"
            raise Violation("P5-READ", text, (me,))
        shadow.read[read.conversation] = max(read.seq, shadow.read.get(read.conversation, 0))

    def _gap(self, shadow: Shadow, gap: fx.SaveGap) -> None:
        """The person is told that something is missing, up to the `oldest` of this connection's Welcome."""
        truth, unit = self._truth, self._truth.unit(shadow.device.user.id)
        upto = shadow.oldest - 1
        seqs = unit.seqs
        start = bisect_right(seqs, min(shadow.cursor[0], upto))
        truth.told_gone.update((unit.user, seq) for seq in seqs[start : bisect_right(seqs, upto)])
        shadow.gap_upto = max(shadow.gap_upto, upto)
