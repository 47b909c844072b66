"""What is said: every frame that an edge gives to a connection is held against what is durable at that moment.

P1: nobody hears of a row before it is durable. P6: nobody is served on a token that no longer stands. Presence and
typing keep privacy. Closes: a client that keeps the protocol never earns certain codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from iris.core import frames as f
from iris.core.catalogue import ERRORS, CloseCode, ErrorCode
from iris.core.ids import peer_of
from iris.core.rows import REGISTER_READ_SYNC, REGISTER_RECEIPT
from iris_sim.judge.truth import Truth
from iris_sim.observer import Violation

if TYPE_CHECKING:
    from iris_sim.observer import DeviceView, ServerView

SECOND: Final = 1_000_000  # µs
REVOKED_MS: Final = 1_000  # P6
REVOKED_TROUBLED_MS: Final = 10_000  # the close is lost and repeated: the promise speaks of whole cuts only, see Limits
PRIVATE_MS: Final = 2_000  # what was said before a change of privacy may be under way so long
PRIVATE_TROUBLED_MS: Final = 20_000
# Codes that only a client that breaks the protocol, or a server that made a mistake, can bring about.
UNEARNED = {
    CloseCode.PROTOCOL_ERROR, CloseCode.TEXT_FRAME, CloseCode.INVALID_UTF8, CloseCode.TOO_BIG, CloseCode.SERVER_ERROR,
    CloseCode.BAD_FRAME, CloseCode.HELLO_FIRST, CloseCode.SECOND_HELLO, CloseCode.PAYLOAD_TOO_LARGE,
    CloseCode.ACK_BEYOND, CloseCode.HELLO_TIMEOUT, CloseCode.FLOODING, CloseCode.TOO_MANY_CONNECTIONS,
}  # fmt: skip


class Frames:
    """Judges what is said to clients."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._handlers: dict[int, Callable[[ServerView, DeviceView, Any], None]] = {
            f.WELCOME: self._welcome,
            f.ACCEPTED: self._accepted,
            f.REJECTED: self._rejected,
            f.DELIVER: self._deliver,
            f.RECEIPT: self._receipt,
            f.READ_SYNC: self._read_sync,
            f.PRESENCE: self._presence,
            f.TYPING: self._typing,
            f.CLOSE: self._close,
        }

    def said(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        """An edge gives a frame to a connection of this device."""
        handler = self._handlers.get(frame[0])
        if handler is not None:
            handler(server, device, frame)

    def allowed_ms(self, since: int, quiet_ms: int, troubled_ms: int) -> int:
        """How long something may last that began at `since` (µs): longer when the servers had trouble since."""
        return troubled_ms if self._truth.world.troubled >= since - SECOND else quiet_ms

    def fallen(self, since: int | None) -> bool:
        """Whether a token that fell at this time (µs) should be dead everywhere by now."""
        if since is None:
            return False
        allowed = self.allowed_ms(since, REVOKED_MS, REVOKED_TROUBLED_MS)
        return self._truth.world.now - since > allowed * 1_000

    def _welcome(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        truth, me = self._truth, device.user.id
        unit = truth.unit(me)
        if frame[8] != me or frame[9] != device.number:
            raise Violation("P6-IDENTITY", f"{device.name} was greeted as {truth.who(frame[8])}/{frame[9]}", (me,))
        if frame[4] and (me, frame[4]) not in truth.ever:
            raise Violation("P1-HEAD", f"{device.name} was told of head {frame[4]}, which is not durable", (me,))
        if frame[5] and frame[5] not in unit.revs:
            raise Violation("P1-HEAD", f"{device.name} was told of rev {frame[5]}, which is not durable", (me,))
        session = server.edge.sessions.get(frame[1])
        auth = session.auth if session is not None and device.conn == frame[1] else None  # else nobody hears it
        if auth is not None and self.fallen(unit.fallen_at(auth.device, auth.gen, auth.jti)):
            raise Violation("P6-OPENED", f"{device.name} got a session with a token that no longer stands", (me,))

    def _accepted(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        truth, me = self._truth, device.user.id
        _, _, conversation, _, _, message_id, seq, at = frame
        peer = peer_of(conversation, me) or b""
        row = truth.ever.get((peer, seq))
        if row is None or (row.message_id, row.sender, row.at) != (message_id, me, at):
            text = f"{device.name} was told that {truth.what(me, message_id)} is accepted as {seq}; it is not durable"
            raise Violation("P1-ACCEPTED", text, (me, peer))

    def _rejected(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        truth, me = self._truth, device.user.id
        message_id, code = frame[5], frame[6]
        if not ERRORS[ErrorCode(code)].outcome:
            return
        peer = peer_of(frame[2], me) or b""
        unit = truth.unit(peer)
        outcome = unit.outcomes.get((me, device.number, message_id))
        if (outcome is None or outcome[2] != code) and unit.restored_at is None and not unit.deleted:
            text = f"{device.name} was told that {truth.what(me, message_id)} is refused; that is not durable"
            raise Violation("P1-REFUSED", text, (me, peer))

    def _deliver(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        truth, me = self._truth, device.user.id
        row = truth.ever.get((me, frame[2]))
        # From row_kind to alg a Deliver has the row's fields, in its order.
        if row is None or frame[4:14] != row[2:12]:
            sender, message_id = frame[6], frame[8]
            text = f"{device.name} is sent {truth.what(sender, message_id)} as {frame[2]}, which is not durable so"
            raise Violation("P1-DELIVER", text, (me, sender))

    def _receipt(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        self._register(device, frame[2], frame[4], REGISTER_RECEIPT)
        truth, me = self._truth, device.user.id
        peer = peer_of(frame[4], me) or b""
        if frame[5] and (peer, frame[5]) not in truth.had:
            text = f"{device.name} is told that {truth.who(peer)} has row {frame[5]}; no device of theirs has it"
            raise Violation("P5-DELIVERED", text, (me, peer))

    def _read_sync(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        self._register(device, frame[2], frame[4], REGISTER_READ_SYNC)

    def _register(self, device: DeviceView, rev: int, conversation: bytes, kind: int) -> None:
        unit = self._truth.unit(device.user.id)
        if rev not in unit.revs:
            text = f"{device.name} is sent register {rev}, which is not durable"
            raise Violation("P1-REGISTER", text, (unit.user,))

    def _presence(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        target, status = frame[2], frame[3]
        truth, me = self._truth, device.user.id
        unit = truth.unit(target)
        if status == f.STATUS_HIDDEN or unit.may_see(me):
            return
        allowed = self.allowed_ms(unit.changed_at, PRIVATE_MS, PRIVATE_TROUBLED_MS)
        if truth.world.now - unit.changed_at > allowed * 1_000:
            text = f"{device.name} is told when {truth.who(target)} is online, which {truth.who(target)} does not want"
            raise Violation("PRESENCE-PRIVATE", text, (me, target))

    def _typing(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        truth, me, sender = self._truth, device.user.id, frame[3]
        unit = truth.unit(me)
        allowed = self.allowed_ms(unit.changed_at, PRIVATE_MS, PRIVATE_TROUBLED_MS)
        if not unit.may_write(sender) and truth.world.now - unit.changed_at > allowed * 1_000:
            text = f"{device.name} is shown that {truth.who(sender)} types, who may not write to them"
            raise Violation("BLOCKED", text, (me, sender))

    def _close(self, server: ServerView, device: DeviceView, frame: tuple[Any, ...]) -> None:
        if frame[2] in UNEARNED:
            name = CloseCode(frame[2]).name
            raise Violation("CLOSED", f"{device.name} keeps the protocol and is closed with {name}", (device.user.id,))
