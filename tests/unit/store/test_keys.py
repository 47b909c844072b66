"""Keys lead back to their rows, sort as their fields do, and never collide."""

from __future__ import annotations

import pytest
from hypothesis import given

from iris.core.rows import MessageRow, Row
from iris.store import keys
from tests.support.store_rows import ADA, BOB, ROW_TYPES, SAMPLES, any_row


def test_there_is_a_sample_and_a_key_for_every_row_type() -> None:
    assert {type(row) for row in SAMPLES} == set(ROW_TYPES) == set(keys.KEYS)
    assert {kind for kind, _ in keys.TABLES.values()} == set(ROW_TYPES)


@given(any_row())
def test_a_key_leads_back_to_its_row(row: Row) -> None:
    kind, fields = keys.split(keys.key_of(row))
    assert kind is type(row)
    assert fields == tuple(row)[: len(fields)]


@given(any_row(), any_row())
def test_rows_with_other_key_fields_have_other_keys(one: Row, other: Row) -> None:
    key_one, key_other = keys.key_of(one), keys.key_of(other)
    same = keys.split(key_one) == keys.split(key_other)
    assert (key_one == key_other) == same


def test_mailbox_keys_sort_by_seq_and_stay_in_their_range() -> None:
    seqs = [0, 1, 255, 256, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, keys.SEQ_MAX]
    found = [keys.mailbox(ADA, seq) for seq in seqs]
    assert found == sorted(found)
    first, end = keys.mailbox_range(ADA, 255, 1 << 32)
    assert [seq for seq, key in zip(seqs, found, strict=True) if first <= key < end] == [256, (1 << 32) - 1, 1 << 32]
    first, end = keys.mailbox_range(ADA, -1, keys.SEQ_MAX)
    assert all(first <= key < end for key in found)
    assert not first <= keys.mailbox(BOB, 0) < end


@pytest.mark.parametrize("prefix", [b"U", b"M" + b"\xff" * 16, b"U\x00", b"Ua\xff\xff"])
def test_after_a_prefix_is_the_first_key_without_it(prefix: bytes) -> None:
    end = keys.after(prefix)
    assert prefix + b"\xff" * 20 < end
    assert not end.startswith(prefix)


def test_a_user_id_of_another_length_is_refused() -> None:
    row = next(row for row in SAMPLES if isinstance(row, MessageRow))
    with pytest.raises(keys.BadRow, match="16 bytes, not 3"):
        keys.key_of(row._replace(user=b"abc"))


@pytest.mark.parametrize("key", [b"", b"?", b"U", b"U" + ADA, b"U" + ADA + b"\xee", b"M" + ADA + b"\x00", b"K" + ADA])
def test_a_foreign_key_is_unreadable(key: bytes) -> None:
    with pytest.raises(keys.Unreadable, match="not the key of any row"):
        keys.split(key)
