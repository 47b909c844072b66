"""The random worlds bite: each known bug below, put in for the time of a test, is caught by one of the first seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from iris.core import mailbox, pump, sessions
from iris.core.mark import Mark, Verdict
from iris.core.outbox import Outbox
from iris.core.registers import Registers
from iris.core.rows import Gone, InboxMarkRow, MarkRow, Write
from iris.core.shard import USER_ACTIONS
from iris.core.turn import Effects
from iris.edge.edge import Edge
from iris.shard.core import NodeCore
from iris.store import memory
from iris.store.memory import MemoryStore
from iris.store.memory_rows import MemoryRows
from tests.unit.core.test_random_world import live

SEEDS = 150
Patch = pytest.MonkeyPatch
MUTANTS: dict[str, Callable[[Patch], None]] = {}


def mutant(put_in: Callable[[Patch], None]) -> Callable[[Patch], None]:
    """One known bug."""
    MUTANTS[put_in.__name__] = put_in
    return put_in


@mutant
def effects_before_the_commit(patch: Patch) -> None:
    gather = NodeCore._gather

    def hasty(core: NodeCore, now: Any) -> None:
        gather(core, now)
        effects, core._effects = core._effects, Effects()
        core._release(effects, now)

    patch.setattr(NodeCore, "_gather", hasty)


@mutant
def mark_and_row_are_not_one_unit(patch: Patch) -> None:
    whole = memory.unit_of
    patch.setattr(memory, "unit_of", lambda row: ("mark", row[1]) if isinstance(row, MarkRow) else whole(row))


@mutant
def epoch_not_raised(patch: Patch) -> None:
    following = MemoryStore._next
    patch.setattr(MemoryStore, "_next", lambda store, rows, epoch: following(store, rows, epoch - 1))


@mutant
def outbox_row_dropped_when_it_is_sent(patch: Patch) -> None:
    send = Outbox._send_item

    def dropped(box: Outbox, turn: Any, lane: Any, row: Any, prev: int) -> None:
        send(box, turn, lane, row, prev)
        turn.write(Gone(row))

    patch.setattr(Outbox, "_send_item", dropped)


@mutant
def outbox_never_repeats(patch: Patch) -> None:
    patch.setattr(Outbox, "_repeat", lambda box, turn, when: None)


@mutant
def outbox_numbers_begin_anew(patch: Patch) -> None:
    patch.setattr(Outbox, "rest", lambda box, turn: None)


@mutant
def inbox_mark_not_stored(patch: Patch) -> None:
    apply = MemoryRows.apply

    def without(rows: MemoryRows, writes: Sequence[Write]) -> None:
        apply(rows, [row for row in writes if not isinstance(row, InboxMarkRow)])

    patch.setattr(MemoryRows, "apply", without)


@mutant
def rewind_ignored(patch: Patch) -> None:
    patch.setattr(pump, "rewind", lambda user, session, turn: None)


@mutant
def known_message_taken_for_new(patch: Patch) -> None:
    judge = Mark.judge

    def forgetful(mark: Mark, *send: Any) -> Any:
        verdict = judge(mark, *send)
        return (Verdict.NEW, None, 0) if verdict[0] is Verdict.MOVED else verdict

    patch.setattr(Mark, "judge", forgetful)


@mutant
def gap_taken(patch: Patch) -> None:
    judge = Mark.judge

    def generous(mark: Mark, *send: Any) -> Any:
        verdict = judge(mark, *send)
        return (Verdict.NEW, None, 0) if verdict[0] is Verdict.GAP else verdict

    patch.setattr(Mark, "judge", generous)


@mutant
def cursor_moved_over_a_gap(patch: Patch) -> None:
    frame = pump._frame
    patch.setattr(pump, "_frame", lambda session, row, prev: frame(session, row, 0))


@mutant
def trimmed_to_the_furthest_cursor(patch: Patch) -> None:
    def furthest(user: Any) -> tuple[int, int]:
        return max((device.seq, device.pos) for device in user.devices)

    patch.setattr(mailbox, "lowest_cursor", furthest)


@mutant
def window_not_reset_at_attach(patch: Patch) -> None:
    attach = sessions.on_attach

    def at_the_head(user: Any, command: Any, turn: Any) -> None:
        before = user.session_at(command.auth.device)
        attach(user, command, turn)
        after = user.session_at(command.auth.device)
        if after is not None and after is not before:
            after.sent = user.last_seq

    _patch_action(patch, attach, at_the_head)


@mutant
def marks_begun_anew(patch: Patch) -> None:
    patch.setattr(Mark, "load", lambda mark, rows: None)


@mutant
def registers_not_merged(patch: Patch) -> None:
    raise_to = Registers.raise_to

    def replaced(registers: Registers, user: bytes, conversation: bytes, kind: int, *rest: int) -> Any:
        registers._rows.pop((conversation, kind), None)
        return raise_to(registers, user, conversation, kind, *rest)

    patch.setattr(Registers, "raise_to", replaced)


@mutant
def edge_does_not_attach_after_a_lapse(patch: Patch) -> None:
    patch.setattr(
        Edge, "on_renewed", lambda edge, node, answer: edge.nodes[node].renewed(answer, edge.now.mono) and None
    )


def _patch_action(patch: Patch, old: Any, new: Any) -> None:
    """Put another action into the shard's table."""
    for kind, action in USER_ACTIONS.items():
        if action is old:
            patch.setitem(USER_ACTIONS, kind, new)
            return
    raise AssertionError(f"no command has the action {old}")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_known_bug_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    for seed in range(SEEDS):
        try:
            live(seed, 150 + seed % 7 * 60)
        except AssertionError:
            return
    raise AssertionError(f"{SEEDS} seeds have not caught it")
