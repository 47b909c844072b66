"""Bugs of the SDK: the client's core and its profile."""

from __future__ import annotations

from typing import Any

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.core import effects as fx
from iris_sdk.core.client import ClientCore
from iris_sdk.core.ledger import Batch, Ledger
from iris_sdk.core.outbox import Outbox
from iris_sdk.core.receiving import Cursor, Inbox
from iris_sdk.core.sending import Answer, Entry, Outbound
from iris_sdk.core.signals import ReadRequests, TypingTable
from tests.mutants.patch import Patch, mutant


@mutant("client", "Bob's phone says 'got it', runs out of power before its disk has it, and never shows it.")
def acked_before_the_commit(patch: Patch) -> None:
    def ack(original: Any, inbox: Any, now: int) -> Any:
        durable = inbox.seq.durable, inbox.rev.durable
        inbox.seq.durable, inbox.rev.durable = inbox.seq.taken, inbox.rev.taken
        found = original(inbox, now)
        inbox.seq.durable, inbox.rev.durable = durable
        return found

    patch.change(Inbox, "ack", ack)


@mutant("client", "A batch is lost, the phone takes what comes behind it and never asks for the rest.")
def rows_taken_over_a_gap(patch: Patch) -> None:
    patch.change(Cursor, "take", lambda original, cursor, prev, position: original(cursor, 0, position))


@mutant("client", "Every repeated row is taken again: the cursor goes back and forth.")
def repeats_taken(patch: Patch) -> None:
    def take(original: Any, cursor: Any, prev: int, position: int) -> bool:
        if prev <= cursor.taken:
            cursor.taken = position
            return True
        return False

    patch.change(Cursor, "take", take)


@mutant("client", "A row is missing, and the phone does not ask: it waits until somebody sends it again.")
def rewind_never_asked(patch: Patch) -> None:
    patch.change(Inbox, "dropped", lambda original, inbox: None)


@mutant(
    "client",
    "Bob's phone says Hello with rows that its disk does not have yet, and is killed.",
    faults="slow_client cut",
)
def hello_before_the_commit(patch: Patch) -> None:
    def maybe_hello(original: Any, core: Any) -> None:
        if core.state.name != "GREETING" or not core._hello_due:
            return
        in_flight, core._ledger._in_flight = core._ledger._in_flight, None
        durable = core._inbox.seq.durable, core._inbox.rev.durable
        core._inbox.seq.durable, core._inbox.rev.durable = core._inbox.seq.taken, core._inbox.rev.taken
        original(core)
        core._ledger._in_flight = in_flight
        core._inbox.seq.durable, core._inbox.rev.durable = durable

    patch.change(ClientCore, "_maybe_hello", maybe_hello)


@mutant("client", "The cursor is written a commit earlier than the last row below it; the phone is killed in between.")
def cursor_written_before_its_row(patch: Patch) -> None:
    def commit(original: Any, ledger: Any, seq: int, rev: int) -> Any:
        if ledger.busy or not ledger._next.writes or not isinstance(ledger._next.writes[-1], fx.SaveMessage):
            return original(ledger, seq, rev)
        late = ledger._next.writes.pop()
        found = original(ledger, seq, rev)
        ledger._next.writes.insert(0, late)
        return found

    patch.change(Ledger, "commit", commit)


@mutant(
    "client",
    "Ada's phone sends under a new stream before its disk knows it; killed, it gives numbers twice.",
    faults="restore_store kill slow_client",
)
def new_stream_used_before_the_commit(patch: Patch) -> None:
    def new_stream_wanted(original: Any, outbound: Any) -> Any:
        wanted = original(outbound)
        if wanted is not None:
            outbound.stream_durable(wanted)
        return wanted

    patch.change(Outbound, "new_stream_wanted", new_stream_wanted)


@mutant(
    "client",
    "The window moves on an answer that the disk does not have; killed, the phone sends from far behind.",
    faults="slow_client kill",
)
def window_moves_before_the_commit(patch: Patch) -> None:
    def due(original: Any, outbound: Any, *rest: Any) -> Any:
        answered = [entry for entry in outbound._entries if entry.answer is Answer.RECEIVED]
        while outbound._entries and outbound._entries[0].answer is not Answer.NONE:
            outbound._entries.popleft()
            outbound._base += 1
        for entry in answered:
            entry.answer = Answer.DURABLE
        return original(outbound, *rest)

    patch.change(Outbound, "due", due)


@mutant("client", "The phone sends as much as it has at once: outcomes fall out of the server's window.")
def more_sent_than_the_window(patch: Patch) -> None:
    def due(original: Any, outbound: Any, *rest: Any) -> Any:
        window, outbound._window = outbound._window, 1_000
        found = original(outbound, *rest)
        outbound._window = window
        return found

    patch.change(Outbound, "due", due)


@mutant("client", "A new stream begins, and messages that were never answered are left behind in the old one.")
def unanswered_left_in_the_old_stream(patch: Patch) -> None:
    def new_stream(original: Any, outbound: Any, floor: int) -> None:
        for entry in outbound._entries:
            if entry.sent_at is not None and entry.answer is Answer.NONE:
                entry.answer = Answer.DURABLE
        original(outbound, floor)

    patch.change(Outbound, "_new_stream", new_stream)


@mutant("client", "A new stream begins with the newest message: Ada's words come in another order.")
def new_stream_in_another_order(patch: Patch) -> None:
    def new_stream(original: Any, outbound: Any, floor: int) -> None:
        original(outbound, floor)
        outbound._queue.reverse()

    patch.change(Outbound, "_new_stream", new_stream)


@mutant("client", "The server says 'try again later', and the phone gives the message up.")
def passing_refusal_taken_for_final(patch: Patch) -> None:
    def on_rejected(original: Any, outbox: Any, answer: Any, now: int) -> None:
        if answer.retry == pb.RETRY_AFTER:
            final = pb.Rejected()
            final.CopyFrom(answer)
            final.retry = pb.RETRY_NEVER
            answer = final
        original(outbox, answer, now)

    patch.change(Outbox, "on_rejected", on_rejected)


@mutant("client", "The server refuses for good, and the phone asks for ever.")
def final_refusal_not_taken(patch: Patch) -> None:
    def on_rejected(original: Any, outbox: Any, answer: Any, now: int) -> None:
        if answer.retry != pb.RETRY_NEVER:
            original(outbox, answer, now)

    patch.change(Outbox, "on_rejected", on_rejected)


@mutant("client", "An answer is shown, not written: after a restart the message is sending for ever, or sent again.")
def answer_not_written(patch: Patch) -> None:
    def answer(original: Any, ledger: Any, outbound: Any, entry: Entry, write: fx.SaveAnswer) -> None:
        ledger._next.answers.append((outbound, entry))

    patch.change(Ledger, "answer", answer)


@mutant("client", "The server says 'new stream', and the phone goes on in the old one.")
def stale_stream_kept(patch: Patch) -> None:
    patch.change(Outbound, "stale", lambda original, outbound, current: None)


@mutant("client", "A Send or its answer is lost, and on this connection the phone never asks again.")
def sends_never_repeated(patch: Patch) -> None:
    def due(original: Any, outbound: Any, now: int, repeat_ms: int, most: int) -> Any:
        return original(outbound, now, 1 << 62, most)

    def reconnected(original: Any, outbound: Any, window: int) -> None:
        outbound._window, outbound.paused_until = window, 0

    patch.change(Outbound, "due", due)
    patch.change(Outbound, "reconnected", reconnected)


@mutant("client", "Rows are gone at the server; the phone does not go on behind them and drops all that comes.")
def oldest_row_ignored(patch: Patch) -> None:
    def welcome(original: Any, core: Any, told: Any, now: int) -> None:
        told.oldest = 0
        original(core, told, now)

    patch.change(ClientCore, "_welcome", welcome)


@mutant("client", "Rows are gone at the server; the phone is told and says nothing to Bob.")
def gap_not_shown(patch: Patch) -> None:
    def write(original: Any, ledger: Any, write: fx.Write) -> None:
        if not isinstance(write, fx.SaveGap):
            original(ledger, write)

    patch.change(Ledger, "write", write)


@mutant(
    "client",
    "Bob has read to the end; the server shows an older position, and the phone is content.",
    faults="lose hollow",
)
def read_wish_dropped_early(patch: Patch) -> None:
    def shown(original: Any, reads: Any, conversation: bytes, seq: int) -> None:
        original(reads, conversation, 1 << 62)

    patch.change(ReadRequests, "shown", shown)


@mutant("client", "'Read' is said once; the frame is lost, and Ada never gets her blue ticks.")
def read_said_once(patch: Patch) -> None:
    def due(original: Any, reads: Any, now: int, repeat_ms: int) -> Any:
        return original(reads, now, 1 << 62)

    def next_timeout(original: Any, reads: Any, repeat_ms: int) -> Any:
        return original(reads, 1 << 62)

    patch.change(ReadRequests, "due", due)
    patch.change(ReadRequests, "next_timeout", next_timeout)
    patch.change(ReadRequests, "reconnected", lambda original, reads: None)


@mutant("client", "The connection breaks, and the phone never comes back by itself.")
def never_reconnects(patch: Patch) -> None:
    def wait(original: Any, core: Any, now: int, jitter: float, reason: str) -> None:
        original(core, now, jitter, reason)
        core._retry_at = None

    patch.change(ClientCore, "_wait", wait)


@mutant("client", "The token is over; the phone comes again and again with the same one.", faults="no_answer cut")
def fresh_token_not_asked(patch: Patch) -> None:
    def ask_token(original: Any, core: Any, what: Any) -> None:
        core._token_fresh = False
        original(core, what)

    patch.change(ClientCore, "_ask_token", ask_token)


@mutant("client", "After a reconnect the phone does not say whom it watches: presence stands still.")
def watches_not_said_again(patch: Patch) -> None:
    def welcome(original: Any, core: Any, told: Any, now: int) -> None:
        watched, core._watched = core._watched, ()
        original(core, told, now)
        core._watched = watched

    patch.change(ClientCore, "_welcome", welcome)


@mutant("client", "The phone's clock is a year ahead: every message to a friend who is away is 'expired' for good.")
def expired_by_the_clients_clock(patch: Patch) -> None:
    def write(original: Any, ledger: Any, write: fx.Write) -> None:
        if isinstance(write, fx.Expire):
            write = fx.Expire(1 << 60)
        original(ledger, write)

    patch.change(Ledger, "write", write)


@mutant("client", "'Delivered' is shown as 'read'.")
def delivered_shown_as_read(patch: Patch) -> None:
    def on_receipt(original: Any, core: Any, frame: Any, now: int) -> None:
        frame.receipt.read = max(frame.receipt.read, frame.receipt.delivered)
        original(core, frame, now)

    patch.change(ClientCore, "_on_receipt", on_receipt)


@mutant("client", "A receipt takes the cursor on and is not written: after a restart the tick is gone.")
def receipts_not_written(patch: Patch) -> None:
    def write(original: Any, ledger: Any, write: fx.Write) -> None:
        if not isinstance(write, fx.SaveReceipt):
            original(ledger, write)

    patch.change(Ledger, "write", write)


@mutant("client", "What Ada wrote on her phone is saved on her tablet as if somebody else had written it.")
def own_copies_taken_for_others(patch: Patch) -> None:
    def write(original: Any, ledger: Any, write: fx.Write) -> None:
        if isinstance(write, fx.SaveMessage) and write.own:
            write = write._replace(own=False)
        original(ledger, write)

    patch.change(Ledger, "write", write)


@mutant(
    "client", "The newest time that Ada has seen is not told: her answer may show above the question.", faults="skew"
)
def what_was_seen_not_told(patch: Patch) -> None:
    patch.change(Outbox, "seen", lambda original, outbox, conversation, at: None)


@mutant("client", "Two commits are under way at once, and the second answers for the first.", faults="slow_client kill")
def commit_confirmed_unwritten(patch: Patch) -> None:
    def committed(original: Any, ledger: Any, number: int) -> Batch:
        batch: Batch = original(ledger, number)
        batch.answers = [*batch.answers, *ledger._next.answers]
        ledger._next.answers = []
        return batch

    patch.change(Ledger, "committed", committed)


@mutant("client", "Somebody stopped typing an hour ago, and Ada still sees the dots.")
def typing_never_ends(patch: Patch) -> None:
    patch.change(TypingTable, "expired", lambda original, typing, now: original(typing, now)[:0])
