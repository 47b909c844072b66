"""Bugs between units and on the disk: the outbox, the inbox, names, and the store itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from iris.core import inbox, links
from iris.core.commands import ItemsDone
from iris.core.outbox import Outbox
from iris.core.rows import BlockedByRow, CutMailbox, Gone, InboxMarkRow, MarkRow, OutboxItemRow, Write
from iris.shard.core import NodeCore
from iris.store import memory
from iris.store.memory import MemoryStore
from iris.store.memory_rows import MemoryRows
from tests.mutants.patch import Patch, mutant


@mutant(
    "core",
    "The copy for Ada's tablet is on its way, the row is deleted when it is sent, and the power goes.",
    faults="crash lose",
)
def outbox_row_dropped_when_it_is_sent(patch: Patch) -> None:
    def send_item(original: Any, box: Outbox, turn: Any, lane: Any, row: Any, prev: int) -> None:
        original(box, turn, lane, row, prev)
        turn.write(Gone(row))

    patch.change(Outbox, "_send_item", send_item)


@mutant("core", "The batch between two nodes is lost once: Ada's tablet waits for the copy for ever.")
def outbox_never_repeats(patch: Patch) -> None:
    patch.change(Outbox, "_repeat", lambda original, box, turn, when: None)


@mutant("core", "After a restart what was on its way to other users stays where it is.", faults="crash")
def outbox_not_started_after_a_load(patch: Patch) -> None:
    patch.change(Outbox, "start", lambda original, box, turn: None)


@mutant(
    "core",
    "Bob goes out of memory, his outbox begins to count anew: the other side has 'had' all that.",
    limits={"users_in_memory_max": 1},
)
def outbox_numbers_begin_anew(patch: Patch) -> None:
    patch.change(Outbox, "rest", lambda original, box, turn: None)


@mutant(
    "core", "A copy that has come before its time is confirmed, not taken: the sender drops it.", faults="lose late"
)
def item_confirmed_but_not_taken(patch: Patch) -> None:
    def on_item(original: Any, user: Any, item: Any, turn: Any) -> None:
        original(user, item, turn)
        if item.number > user.inbox_marks.get(item.source, 0):
            turn.to_unit(item.source, ItemsDone(item.source, item.unit, item.number))

    patch.change(inbox, "on_item", on_item)


@mutant(
    "core",
    "The second copy overtakes the first between two nodes: the first is taken for a repeat.",
    faults="lose late",
)
def items_taken_out_of_order(patch: Patch) -> None:
    def on_item(original: Any, user: Any, item: Any, turn: Any) -> None:
        original(user, item._replace(prev=0), turn)

    patch.change(inbox, "on_item", on_item)


@mutant("core", "The other node says 'done' before its disk has the copy, and fails.", faults="crash slow_disk")
def items_confirmed_before_the_commit(patch: Patch) -> None:
    def run(original: Any, node: Any, now: Any) -> None:
        original(node, now)
        effects = node._effects.units
        early = [entry for entry in effects if isinstance(entry[1], ItemsDone)]
        node._effects.units = [entry for entry in effects if not isinstance(entry[1], ItemsDone)]
        node._out.units += early

    patch.change(NodeCore, "run", run)


@mutant("core", "A receipt's place in the outbox is given up although an older one was confirmed.", faults="late lose")
def any_confirmation_ends_a_register(patch: Patch) -> None:
    def register_done(original: Any, box: Outbox, turn: Any, target: bytes, kind: int, topic: bytes, _: int) -> None:
        original(box, turn, target, kind, topic, 1 << 62)

    patch.change(Outbox, "register_done", register_done)


@mutant("core", "Everything on the way to one user fills the outbox of all.")
def outbox_rows_stay(patch: Patch) -> None:
    patch.change(Outbox, "items_done", lambda original, box, turn, target, number: [])


@mutant(
    "core",
    "The log-in is asked twice because its answer was lost: Ada has a device that nobody holds.",
    faults="no_answer",
)
def repeated_login_links_twice(patch: Patch) -> None:
    def link(original: Any, user: Any, name: str, refresh: bytes, turn: Any) -> Any:
        rows = [(device, device.row) for device in user.devices]
        for device in user.devices:
            device.row = device.row._replace(refresh=b"another")
        result = original(user, name, refresh, turn)
        for device, row in rows:
            device.row = row
        return result

    patch.change(links, "link", link)


@mutant(
    "store",
    "The power goes between a message and the mark that speaks of it: the repeat is stored twice.",
    faults="crash slow_disk",
)
def mark_and_row_are_not_one_unit(patch: Patch) -> None:
    def unit_of(original: Any, write: Any) -> Any:
        return ("mark", write[1]) if isinstance(write, MarkRow) else original(write)

    patch.change(memory, "unit_of", unit_of)


@mutant(
    "store",
    "The power goes between a copy and the inbox mark that speaks of it: the tablet shows it twice.",
    faults="crash slow_disk",
)
def inbox_mark_and_row_are_not_one_unit(patch: Patch) -> None:
    def unit_of(original: Any, write: Any) -> Any:
        return ("inbox", write[1]) if isinstance(write, InboxMarkRow) else original(write)

    patch.change(memory, "unit_of", unit_of)


@mutant(
    "store",
    "The power goes between a message and the copy for the sender's tablet: there is none.",
    faults="crash slow_disk",
)
def outbox_row_and_message_are_not_one_unit(patch: Patch) -> None:
    def unit_of(original: Any, write: Any) -> Any:
        return ("outbox", write[1]) if isinstance(write, OutboxItemRow) else original(write)

    patch.change(memory, "unit_of", unit_of)


@mutant("store", "A restart gives numbers a second time that clients have already acked.")
def epoch_not_raised(patch: Patch) -> None:
    patch.change(MemoryStore, "_next", lambda original, store, rows, epoch: original(store, rows, epoch - 1))


@mutant(
    "store",
    "An old backup is restored, and numbers are given again that clients have already had.",
    faults="restore_store",
)
def epoch_not_raised_at_a_restore(patch: Patch) -> None:
    def restore(original: Any, store: Any, target: str) -> Any:
        rows, epoch = store._backups[target]
        return store._next(rows.copy(), epoch)

    patch.change(MemoryStore, "restore", restore)


@mutant("store", "The disk says 'done' before it is: a power cut takes back what was accepted.")
def disk_lies(patch: Patch) -> None:
    def sync(original: Any, store: Any) -> None:
        done = store._settle()
        late, store._pending = getattr(store, "late", ()), store._pending
        store._durable.apply(late)
        store.late, store._pending = store._pending, ()
        store._commits += 1
        done(None)

    patch.change(MemoryStore, "sync", sync)


@mutant("store", "The range that is deleted ends one row too far: Bob's next message is gone.")
def one_row_too_many_deleted(patch: Patch) -> None:
    def cut(original: Any, rows: Any, write: CutMailbox) -> None:
        user = rows.users.get(write.user)
        end = 0 if user is None else bisect_right(user.seqs, write.upto)
        if user is not None and end < len(user.seqs):
            write = write._replace(upto=user.seqs[end])
        original(rows, write)

    patch.change(MemoryRows, "_cut", cut)


@mutant("store", "A page from the store begins one row too late: each page hides a message.")
def page_begins_one_row_late(patch: Patch) -> None:
    def page(original: Any, rows: Any, user: bytes, after: int, upto: int, rows_max: int, bytes_max: int) -> Any:
        found = original(rows, user, after, upto, rows_max + 1, bytes_max)
        return found[1:] if len(found) > rows_max else found

    patch.change(MemoryRows, "page_mailbox", page)


@mutant(
    "store", "Marks of inboxes are not stored: after a restart copies are taken a second time.", faults="crash lose"
)
def inbox_mark_not_stored(patch: Patch) -> None:
    def apply(original: Any, rows: Any, writes: Sequence[Write]) -> None:
        original(rows, [row for row in writes if not isinstance(row, InboxMarkRow)])

    patch.change(MemoryRows, "apply", apply)


@mutant("store", "Deleted outbox rows come back at each restart: they are sent for ever.")
def deleted_outbox_rows_stay(patch: Patch) -> None:
    def delete(original: Any, rows: Any, row: Any) -> None:
        if not isinstance(row, OutboxItemRow):
            original(rows, row)

    patch.change(MemoryRows, "_delete", delete)


@mutant("store", "After a restart nobody is blocked any more.")
def blocks_not_loaded(patch: Patch) -> None:
    def load_user(original: Any, rows: Any, user: bytes) -> Any:
        return original(rows, user)._replace(blocks=[], blocked_by=list[BlockedByRow]())

    patch.change(MemoryRows, "load_user", load_user)


@mutant("store", "A power cut takes half of a user's rows: some of a commit, not all of it.", faults="crash slow_disk")
def units_are_torn(patch: Patch) -> None:
    patch.change(memory, "unit_of", lambda original, write: (original(write), type(write)))
