"""Rows survive the disk, and their form on it cannot change unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris.core.rows import CursorRow, DeviceRow, MessageRow, NodeRow, Row, SeenRow
from iris.store import codec
from iris.store.keys import BadRow, Unreadable, key_of
from tests.support.store_rows import ADA, ROW_TYPES, SAMPLES, any_row, message

GOLDEN = Path(__file__).resolve().parents[2] / "vectors" / "store_rows.json"


@given(any_row())
def test_a_row_survives_the_disk(row: Row) -> None:
    key, value = codec.encode(row)
    assert key == key_of(row)
    again = codec.decode(key, value)
    assert again == row
    assert type(again) is type(row)
    assert [type(field) for field in again] == [type(field) for field in row]


def test_every_row_type_has_a_form() -> None:
    assert set(codec.VERSIONS) == set(codec.ENCODERS) == set(ROW_TYPES)


def test_devices_of_the_same_name_share_it() -> None:
    """Else a million of them would hold it a million times."""
    rows = [codec.encode(DeviceRow(bytes(16), number, "Firefox on Linux", 1, b"", b"", 1)) for number in (1, 2)]
    one, other = (codec.decode(*row) for row in rows)
    assert isinstance(one, DeviceRow)
    assert isinstance(other, DeviceRow)
    assert one.name == "Firefox on Linux"
    assert one.name is other.name


def test_the_forms_on_disk_have_not_changed() -> None:
    """Stores out there hold these bytes. A new form gets a new number in codec.VERSIONS and a reader in OLD_FORMS; then
    its bytes go into the file, and the old ones into a test of that reader.
    """
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    now = [[type(row).__name__, *(part.hex() for part in codec.encode(row))] for row in SAMPLES]
    assert now == golden
    assert [codec.decode(bytes.fromhex(key), bytes.fromhex(value)) for _, key, value in golden] == SAMPLES


@given(any_row(), st.data())
def test_cut_or_extended_values_are_unreadable_or_another_row_but_never_crash(row: Row, data: st.DataObject) -> None:
    key, value = codec.encode(row)
    changed = data.draw(st.one_of(st.integers(0, len(value) - 1).map(lambda n: value[:n]), st.just(value + b"\x00")))
    with pytest.raises(Unreadable):
        codec.decode(key, changed)


@pytest.mark.parametrize("row", SAMPLES, ids=lambda row: type(row).__name__)
def test_an_unknown_version_is_named(row: Row) -> None:
    key, value = codec.encode(row)
    with pytest.raises(Unreadable, match=rf"{type(row).__name__}: form 9 is unknown, this version reads up to 1"):
        codec.decode(key, b"\x09" + value[1:])


def test_an_older_form_is_read_by_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    key, value = codec.encode(NodeRow("horizon", 7))
    monkeypatch.setitem(codec.OLD_FORMS, (NodeRow, 0), lambda fields, old: NodeRow(fields[0], old[1] * 1000))
    assert codec.decode(key, b"\x00\x05") == NodeRow("horizon", 5000)
    assert codec.decode(key, value) == NodeRow("horizon", 7)
    key, _ = codec.encode(message(ADA, 1))
    monkeypatch.setitem(codec.OLD_FORMS, (MessageRow, 0), lambda fields, old: message(fields[0], 1, old[1:]))
    assert codec.decode(key, b"\x00" + bytes(60)) == message(ADA, 1, bytes(60))


@pytest.mark.parametrize(
    "row",
    [
        message(ADA, 1)._replace(seq=-1),
        message(ADA, 1)._replace(conversation=bytes(256)),
        message(ADA, 1)._replace(user=b"short"),
        CursorRow(ADA, 1, 1 << 64, 0, 0, 0, 0),
        SeenRow(ADA, 1 << 70),
    ],
    ids=["negative seq", "long conversation", "short user", "cursor beyond 64 bits", "time beyond 64 bits"],
)
def test_a_row_that_does_not_fit_is_refused_when_written(row: Row) -> None:
    with pytest.raises(BadRow):
        codec.encode(row)
