"""Max registers and their revisions."""

from __future__ import annotations

import random

import pytest

from iris.core.registers import NO_REGISTERS, Registers
from iris.core.rows import REGISTER_READ_SYNC, REGISTER_RECEIPT, RegisterRow

USER = b"u" * 16
RECEIPT, READ = REGISTER_RECEIPT, REGISTER_READ_SYNC


def test_a_register_only_grows() -> None:
    registers = Registers()
    assert registers.raise_to(USER, b"c", RECEIPT, 5, 0, 1) == RegisterRow(USER, b"c", RECEIPT, 1, 5, 0)
    assert registers.raise_to(USER, b"c", RECEIPT, 4, 0, 2) is None
    assert registers.raise_to(USER, b"c", RECEIPT, 0, 3, 2) == RegisterRow(USER, b"c", RECEIPT, 2, 5, 3)
    assert registers.raise_to(USER, b"c", RECEIPT, 5, 3, 3) is None, "again"
    assert registers.head == 2


def test_a_register_that_changed_again_is_sent_once_at_its_newest_rev() -> None:
    registers = Registers()
    registers.raise_to(USER, b"c", RECEIPT, 1, 0, 1)
    registers.raise_to(USER, b"d", RECEIPT, 1, 0, 2)
    registers.raise_to(USER, b"c", RECEIPT, 2, 0, 3)
    assert [(row.rev, row.conversation, row.a) for row in registers.after(0, 9)] == [(2, b"d", 1), (3, b"c", 2)]
    assert [row.rev for row in registers.after(2, 9)] == [3]
    assert [row.rev for row in registers.after(0, 1)] == [2]
    assert registers.after(3, 9) == []


def test_receipts_and_read_positions_are_two_registers() -> None:
    registers = Registers()
    registers.raise_to(USER, b"c", RECEIPT, 1, 0, 1)
    registers.raise_to(USER, b"c", READ, 9, 0, 2)
    assert len(registers) == 2
    assert registers.get(b"c", RECEIPT) != registers.get(b"c", READ)


def test_the_one_changed_longest_ago_goes_first() -> None:
    registers = Registers()
    for rev, conversation in enumerate([b"a", b"b", b"a", b"c"], 1):
        registers.raise_to(USER, conversation, RECEIPT, rev, 0, rev)
    dropped = [registers.drop_oldest() for _ in range(4)]
    assert [row.conversation if row else None for row in dropped] == [b"b", b"a", b"c", None]


def test_loaded_registers_are_those_that_were_stored() -> None:
    chance, registers, stored = random.Random(3), Registers(), {}
    for rev in range(1, 500):
        row = registers.raise_to(USER, bytes([chance.randint(0, 9)]), RECEIPT, rev, 0, rev)
        assert row is not None
        stored[row.conversation, row.kind] = row
    loaded = Registers()
    loaded.load(list(stored.values()))
    assert loaded.head == registers.head == 499
    for rev in (0, 250, 480, 499):
        assert loaded.after(rev, 99) == registers.after(rev, 99)
    assert len(registers._order) <= 2 * len(registers) + 64, "old entries are swept"


def test_the_registers_that_everybody_shares_stay_empty() -> None:
    with pytest.raises(TypeError, match="everybody's"):
        NO_REGISTERS.raise_to(USER, b"c", RECEIPT, 1, 0, 1)
    assert (len(NO_REGISTERS), NO_REGISTERS.head, NO_REGISTERS.after(0, 9)) == (0, 0, [])
