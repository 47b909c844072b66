"""The records that are built from others by position keep their order."""

from __future__ import annotations

from iris.core.frames import Deliver
from iris.core.mark import Outcome
from iris.core.rows import MarkRow, MessageRow


def test_a_deliver_carries_the_fields_of_its_row_in_their_order() -> None:
    names = list(Deliver._fields[4:])
    assert ["row_kind" if name == "kind" else name for name in MessageRow._fields[2:12]] == names


def test_a_mark_row_ends_with_an_outcome() -> None:
    assert MarkRow._fields[5:] == Outcome._fields
