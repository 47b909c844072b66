"""Rules that one frame, one row or one answer can break: numbers of Sends, refusals, log-outs, what is cut and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from iris.core import frames as f
from iris.core.catalogue import ERRORS, CloseCode, ErrorCode
from iris.core.ids import direct_conversation, peer_of
from iris.core.requests import LoggedOut, LogoutAll, Operation, Result, SetPassword
from iris.core.rows import ROW_REFUSED, CursorRow, CutMailbox, DeviceRow, Gone, MarkRow, MessageRow, Write
from iris_sdk.core import effects as fx
from iris_sim.judge.profiles import Profiles
from iris_sim.judge.truth import Truth
from iris_sim.judge.units import Link, Unit
from iris_sim.observer import Violation

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView

DELAYED = {"skew", "skew_far", "pause", "vanish", "cut_off"}  # faults by which an older connection may look newer
# Faults by which a Send may come after the end of its stream, or after its mark was dropped.
UNSTEADY = {"lose", "repeat", "late", "hollow", "partition", "pause", "leap", "skew_far"}
SLACK_DAYS = 1.0  # clocks of servers may be off


class Rules:
    """See the module's text."""

    def __init__(self, truth: Truth, profiles: Profiles) -> None:
        self._truth = truth
        self._profiles = profiles
        self._sent: dict[tuple[bytes, int, bytes, int, int], bytes] = {}  # number of a Send -> message_id
        self._streams: dict[tuple[bytes, bytes, int], int] = {}  # (user, sender, device) -> stream of its mark
        self._asked: dict[int, int] = {}  # request -> µs
        self._secrets: dict[tuple[bytes, bytes], int] = {}  # (user, first refresh secret) -> device
        self._newest: dict[DeviceView, int] = {}  # the connection that was opened last
        self._before: dict[bytes, dict[int, CursorRow]] = {}  # cursors before the commit that is judged

    # --- clients ---
    def spoke(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """P3: a number means one message for ever, unless the profile was set back."""
        if frame[0] != f.SEND or device.restored:
            return
        key = (device.user.id, device.number, frame[2], frame[3], frame[4])
        self._answered(device, frame)
        known = self._sent.setdefault(key, frame[6])
        if known != frame[6]:
            one, other = (self._truth.what(device.user.id, message_id) for message_id in (known, frame[6]))
            text = f"{device.name} sends {other} under the number of {one}: stream {frame[3]}, {frame[4]}"
            raise Violation("P3-NUMBER", text, (device.user.id,))

    def _answered(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """What a Send says to be answered is in the profile: the server may forget those outcomes."""
        user = device.user.id
        message_id = self._sent.get((user, device.number, frame[2], frame[3], frame[5]))
        if message_id is not None and message_id not in self._profiles.of(device).answers:
            what = self._truth.what(user, message_id)
            text = f"{device.name} says that {what} is answered; its profile has no answer"
            raise Violation("ANSWERED", text, (user,))

    def saved(self, device: DeviceView, writes: Iterable[fx.Write]) -> None:
        """A message is given up only for a refusal that lasts."""
        for write in writes:
            if isinstance(write, fx.SaveAnswer) and write.code and ERRORS[ErrorCode(write.code)].retry != "never":
                what = self._truth.what(device.user.id, write.message_id)
                name = ErrorCode(write.code).name
                text = f"{device.name} gives up {what} for {name}, which says “try again”"
                raise Violation("P8-REFUSED", text, (device.user.id,))

    def opened(self, device: DeviceView, conn: int) -> None:
        self._newest[device] = conn

    def said(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """Only an older connection is replaced, where all clocks agree and each Hello comes at once."""
        if frame[0] == f.REJECTED and frame[6] == ErrorCode.STREAM_STALE:
            self._stale(device, frame)
        if frame[0] != f.CLOSE or frame[2] != CloseCode.REPLACED or self._truth.world.counts.keys() & DELAYED:
            return
        if frame[1] >= self._newest.get(device, 0):
            text = f"{device.name}’s newest connection is closed as if there were a newer one"
            raise Violation("REPLACED", text, (device.user.id,))

    def _stale(self, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """A client that counts as it should is only told to begin anew when something was set back, lost or late."""
        truth, me = self._truth, device.user.id
        unit = truth.unit(peer_of(frame[2], me) or b"")
        if device.restored or truth.anew(me, device.number) or unit.restored_at is not None or unit.deleted:
            return
        if truth.world.counts.keys() & UNSTEADY:
            return
        text = f"{device.name} is told to begin a new stream with {truth.what(me, frame[5])}, and has kept the rules"
        raise Violation("STALE-EARNED", text, (me, unit.user))

    # --- people ---
    def asked(self, request: int) -> None:
        self._asked[request] = self._truth.world.now

    def answered(self, device: DeviceView, request: int, what: Operation, result: Result) -> None:
        """P6: after “log out everywhere” and a new password no other device stands."""
        if not isinstance(what, LogoutAll | SetPassword) or not isinstance(result, LoggedOut):
            return
        unit = self._truth.unit(device.user.id)
        kept = device.number if isinstance(what, SetPassword) or what.keep_current else 0
        for link in unit.links.values():
            stands = link.gone_at is None and link.number != kept and link.linked_at < self._asked.get(request, 0)
            if stands and unit.restored_at is None:
                who = self._truth.who(unit.user)
                text = f"{device.name} has logged all others out, and {who}/{link.number} is still linked"
                raise Violation("P6-LOGOUT", text, (unit.user,))

    # --- commits ---
    def before(self, writes: Sequence[Write]) -> None:
        """A commit is durable; the truth does not know of it yet."""
        self._before = {}
        for write in writes:
            if isinstance(write, MessageRow | CutMailbox):
                self._before[write.user] = dict(self._truth.unit(write.user).cursors)
            if isinstance(write, CutMailbox):
                self._cut(write, writes)
            elif isinstance(write, DeviceRow):
                self._device(write, writes)
            elif isinstance(write, MarkRow):
                self._mark(write)

    def after(self, writes: Sequence[Write]) -> None:
        """P7: no device lags more than mailbox_lag_rows_max rows behind while another one is further."""
        most = self._truth.world.limits.mailbox_lag_rows_max
        for user, cursors in self._before.items():
            unit = self._truth.unit(user)
            pos = max((w.pos for w in writes if isinstance(w, MessageRow) and _appended(w, user)), default=0)
            live = _live(unit)
            best = max((cursors[link.number].pos for link in live if link.number in cursors), default=0)
            for link in live:
                cursor, now = cursors.get(link.number), unit.cursors.get(link.number)
                if cursor is not None and now is not None and now.pos < best and pos - now.pos > most:
                    text = f"{self._truth.who(user)}/{link.number} lags {pos - now.pos} rows, the limit is {most}"
                    raise Violation("P7-LIMIT", text, (user,))

    def _cut(self, cut: CutMailbox, writes: Sequence[Write]) -> None:
        """P2: a row goes when all devices have it, when its time is over, or when a device lags too far."""
        truth = self._truth
        unit, limits = truth.unit(cut.user), truth.world.limits
        ends = {w.row.device for w in writes if isinstance(w, Gone) and isinstance(w.row, DeviceRow)}
        rows = [w for w in writes if isinstance(w, MessageRow) and _appended(w, cut.user)]
        newest = rows[-1].pos if rows else unit.rows[unit.seqs[-1]].pos if unit.seqs else 0
        for link in _live(unit):
            device, cursor = truth.device(cut.user, link.number), unit.cursors.get(link.number)
            if device is None or cursor is None or link.number in ends:
                continue
            if newest - cursor.pos > limits.mailbox_lag_rows_max:
                continue
            shadow = self._profiles.of(device)
            had = max(link.start or 0, cursor.seq, shadow.acked, shadow.gap_upto)
            for row in unit.owed(had, cut.upto):
                days = max(truth.days(unit.stored_at[row.seq]), truth.days_by_clock(row.at))
                if days < limits.message_days - SLACK_DAYS:  # a copy long on its way has its message's time
                    what = truth.what(row.sender, row.message_id)
                    text = f"{what} is deleted from {truth.who(cut.user)}’s mailbox; {device.name} does not have it"
                    raise Violation("P2-CUT", text, (cut.user, row.sender))

    def _mark(self, row: MarkRow) -> None:
        """P3: a number is spent for the message that its device gave it to."""
        device = self._truth.device(row.sender, row.device)
        if device is None or device.restored:
            return
        mark = (row.user, row.sender, row.device)
        if row.stream < self._streams.get(mark, 0) and not self._truth.set_back(row.user):
            text = f"the mark of {device.name} at {self._truth.who(row.user)} goes back to stream {row.stream}"
            raise Violation("P3-NUMBER", text, (row.user, row.sender))
        self._streams[mark] = row.stream
        key = (row.sender, row.device, direct_conversation(row.user, row.sender), row.stream, row.client_seq)
        said = self._sent.get(key)
        if said != row.message_id:
            what = self._truth.what(row.sender, row.message_id)
            text = (
                f"{self._truth.who(row.user)} has {what} as {row.client_seq} of stream {row.stream}, which it never was"
            )
            raise Violation("P3-NUMBER", text, (row.user, row.sender))

    def _device(self, row: DeviceRow, writes: Sequence[Write]) -> None:
        """P6: a log-in that is asked again is one device."""
        unit = self._truth.unit(row.user)
        if row.device in unit.links or unit.restored_at is not None:
            return
        other = self._secrets.setdefault((row.user, row.refresh), row.device)
        ends = {w.row.device for w in writes if isinstance(w, Gone) and isinstance(w.row, DeviceRow)}
        if other != row.device and other not in ends and any(link.number == other for link in _live(unit)):
            text = f"one log-in of {self._truth.who(row.user)} has linked two devices, {other} and {row.device}"
            raise Violation("P6-LINKED-TWICE", text, (row.user,))


def _appended(row: MessageRow, user: bytes) -> bool:
    return row.user == user and row.kind != ROW_REFUSED


def _live(unit: Unit) -> list[Link]:
    return [link for link in unit.links.values() if link.gone_at is None]
