"""Bugs on the way of a message from its sender into the mailbox: numbers, marks, refusals, times, the commit."""

from __future__ import annotations

from typing import Any

from iris.core import mailbox, sending
from iris.core.catalogue import ErrorCode
from iris.core.frames import RETRY_AFTER, RETRY_NEVER
from iris.core.mark import Mark, Verdict
from iris.core.rows import MarkRow
from iris.core.turn import Effects
from iris.shard.core import NodeCore
from iris_sdk.core.sending import Outbound
from tests.mutants.patch import Patch, mutant


def renumbering_client(patch: Patch) -> None:
    """No bug: a client may begin a new stream whenever it likes. The SDK does so only when it must."""

    def reconnected(original: Any, outbound: Any, window: int) -> None:
        original(outbound, window)
        if outbound.waiting:
            outbound._new_stream(outbound.stream)

    patch.change(Outbound, "reconnected", reconnected)


def careful_client(patch: Patch) -> None:
    """No bug either: what was not answered it sends again in a new stream, one message at a time."""

    def reconnected(original: Any, outbound: Any, window: int) -> None:
        again = outbound.waiting
        original(outbound, 1 if again else window)
        if again:
            outbound._new_stream(outbound.stream)

    patch.change(Outbound, "reconnected", reconnected)


@mutant("core", "Ada sees one tick, the power goes, and what she wrote is nowhere.")
def effects_before_the_commit(patch: Patch) -> None:
    def gather(original: Any, node: Any, now: Any) -> None:
        if node.committing:
            return
        writes, effects = node.turn.take()
        node._release(effects, now)
        if writes:
            node.committing = True
            node._commit = node._writes = writes
            node._effects = Effects()

    patch.change(NodeCore, "_gather", gather)


@mutant("core", "Rows are read for Bob that a power cut takes back: he has a message that nobody sent.")
def pages_read_before_the_commit(patch: Patch) -> None:
    def gather(original: Any, node: Any, now: Any) -> None:
        asks = node.turn.effects.asks
        node.turn.effects.asks = []
        node._out.asks += asks
        original(node, now)

    patch.change(NodeCore, "_gather", gather)


@mutant("core", "After a restart the server has forgotten what it took from Ada: her repeat is a second message.")
def marks_forgotten_at_a_takeover(patch: Patch) -> None:
    patch.change(Mark, "load", lambda original, mark, rows: None)


@mutant("core", "Ada's phone opens a new stream and sends again: Bob has everything twice.", faults="cut")
def known_message_taken_for_new(patch: Patch) -> None:
    renumbering_client(patch)

    def judge(original: Any, mark: Any, *send: Any) -> Any:
        verdict = original(mark, *send)
        return (Verdict.NEW, None, 0) if verdict[0] is Verdict.MOVED else verdict

    patch.change(Mark, "judge", judge)


@mutant("core", "A frame is lost between Ada's 4th and 6th message: the 6th is stored first.", faults="lose late")
def gap_taken(patch: Patch) -> None:
    def judge(original: Any, mark: Any, *send: Any) -> Any:
        verdict = original(mark, *send)
        return (Verdict.NEW, None, 0) if verdict[0] is Verdict.GAP else verdict

    patch.change(Mark, "judge", judge)


@mutant(
    "core",
    "Ada restores her phone from a backup: what she writes next is taken for a repeat and vanishes.",
    faults="restore_profile",
)
def repeat_known_by_its_number_alone(patch: Patch) -> None:
    def judge(original: Any, mark: Any, stream: int, client_seq: int, answered: int, message_id: bytes) -> Any:
        verdict = original(mark, stream, client_seq, answered, message_id)
        if verdict[0] is not Verdict.STALE or stream != mark.stream or client_seq > mark.high:
            return verdict
        for known in mark._ring:
            if known is not None and (known.stream, known.client_seq) == (stream, client_seq):
                return Verdict.REPEAT, known, 0
        return verdict

    patch.change(Mark, "judge", judge)


@mutant(
    "core",
    "A message of the old stream, under way for long, arrives after the new stream began: out of order.",
    faults="late cut",
)
def old_streams_taken(patch: Patch) -> None:
    renumbering_client(patch)

    def judge(original: Any, mark: Any, stream: int, *rest: Any) -> Any:
        return original(mark, max(stream, mark.stream), *rest)

    patch.change(Mark, "judge", judge)


@mutant("core", "The server was restored from a backup: Ada's phone counts on and waits for an answer for ever.")
def restored_mark_not_noticed(patch: Patch) -> None:
    def judge(original: Any, mark: Any, stream: int, client_seq: int, answered: int, message_id: bytes) -> Any:
        return original(mark, stream, client_seq, 0, message_id)

    patch.change(Mark, "judge", judge)


@mutant(
    "core",
    "Ada's phone is killed while it sends its window anew: moved outcomes push out those still needed.",
    faults="kill slow_client",
    limits={"send_window": 4},
)
def moved_outcome_takes_another_place(patch: Patch) -> None:
    careful_client(patch)

    def move(original: Any, mark: Any, user: bytes, sender: bytes, device: int, known: Any, *number: int) -> MarkRow:
        moved = known._replace(stream=number[0], client_seq=number[1])
        del mark._by_id[moved.message_id]
        ring = mark._ring
        mark._ring = [None if outcome is known else outcome for outcome in ring]
        slot = mark.ordinal % len(ring)
        old = mark._ring[slot]
        if old is not None:
            mark._by_id.pop(old.message_id, None)
        mark._ring[slot] = mark._by_id[moved.message_id] = moved
        mark.stream, mark.high = number
        row = MarkRow(user, sender, device, slot, mark.ordinal, *moved)
        mark.ordinal += 1
        return row

    patch.change(Mark, "move", move)


@mutant("core", "The server keeps one outcome less than it promises: the oldest unanswered message is stored twice.")
def outcome_forgotten_too_early(patch: Patch) -> None:
    def record(original: Any, mark: Any, *outcome: Any) -> Any:
        row = original(mark, *outcome)
        if len(mark._by_id) == len(mark._ring):
            oldest = next(iter(mark._by_id.values()))
            del mark._by_id[oldest.message_id]
            mark._ring[mark._ring.index(oldest)] = None
        return row

    patch.change(Mark, "record", record)


@mutant("core", "Bob's mailbox is full, 'try again later' spends the number: Ada's message is never stored.")
def passing_refusal_spends_the_number(patch: Patch) -> None:
    def reject(original: Any, command: Any, turn: Any, code: int, retry: int, *rest: Any, **named: Any) -> None:
        original(command, turn, code, retry, *rest, **named)
        if retry == RETRY_AFTER:
            spent.add((command.user, command.sender, command.device, command.send.stream, command.send.client_seq))

    def on_send(original: Any, user: Any, command: Any, turn: Any) -> None:
        mark = user.marks.get(command.sender, {}).get(command.device)
        send = command.send
        number = (command.user, command.sender, command.device, send.stream, send.client_seq)
        if mark is not None and number in spent and (mark.stream, mark.high + 1) == (send.stream, send.client_seq):
            mark.high += 1
        original(user, command, turn)

    spent: set[Any] = set()
    patch.change(sending, "reject", reject)
    patch.change(sending, "on_send", on_send)


@mutant("core", "Cyn blocks Ada. Ada's refused message leaves no mark, and all that she writes later hangs.")
def lasting_refusal_leaves_no_mark(patch: Patch) -> None:
    def refuse(original: Any, user: Any, command: Any, mark: Any, turn: Any) -> None:
        sending.reject(command, turn, int(ErrorCode.NOT_ALLOWED), RETRY_NEVER)

    patch.change(sending, "_refuse", refuse)


@mutant("core", "Bob answers from a server whose clock is behind: his answer shows above the question.", faults="skew")
def what_the_sender_has_seen_ignored(patch: Patch) -> None:
    def at(original: Any, user: Any, command: Any, turn: Any) -> Any:
        return original(user, command._replace(send=command.send._replace(after=0)), turn)

    patch.change(sending, "_at", at)


@mutant("core", "The server's clock is set back: Ada's newer messages show above her older ones.")
def times_may_go_back(patch: Patch) -> None:
    patch.change(sending, "_at", lambda original, user, command, turn: turn.now.wall)


@mutant("core", "Users go out of memory, and with them the time of the newest message: two have the same time.")
def times_forgotten_with_the_user(patch: Patch) -> None:
    def at(original: Any, user: Any, command: Any, turn: Any) -> Any:
        user.last_at = {command.send.conversation: 0, **user.last_at}
        return original(user, command, turn)

    patch.change(sending, "_at", at)


@mutant("core", "Ada writes on her phone; her tablet never shows it.")
def own_copies_forgotten(patch: Patch) -> None:
    def new(original: Any, user: Any, command: Any, mark: Any, turn: Any) -> None:
        original(user, command._replace(copies=False), mark, turn)

    patch.change(sending, "_new", new)


@mutant("core", "Cyn has blocked Ada and still gets what Ada writes.")
def blocks_ignored(patch: Patch) -> None:
    patch.change(sending, "_may_write", lambda original, user, sender: user.account is not None)


@mutant("core", "Cyn takes messages from her contacts only, and gets everybody's.")
def contacts_only_ignored(patch: Patch) -> None:
    def may_write(original: Any, user: Any, sender: bytes) -> bool:
        return user.account is not None and not user.blocked_with(sender)

    patch.change(sending, "_may_write", may_write)


@mutant("core", "Bob was never online: his mailbox grows until the disk is full.")
def mailboxes_never_full(patch: Patch) -> None:
    patch.change(mailbox, "full", lambda original, user, turn, payload_bytes: False)


@mutant("core", "A refused message takes a place in Bob's quota: the books do not balance.")
def refused_rows_counted(patch: Patch) -> None:
    def append_refused(original: Any, user: Any, *rest: Any) -> None:
        user.pos += 1
        original(user, *rest)

    patch.change(mailbox, "append_refused", append_refused)
