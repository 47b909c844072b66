"""`check` reads every row and names what is wrong with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from iris.core import rows
from iris.core.rows import Write
from iris.store import Report, StoreForeign, check
from iris.store.checks import PROBLEMS_SHOWN
from iris.store.keys import mailbox
from iris.store.rocks_open import open_rocks
from tests.support.store_rows import ADA, BOB, EPOCH, SAMPLES, account, commit, message


def checked(path: Path, writes: list[Write], raw: dict[bytes, bytes] | None = None) -> Report:
    """The report of a store with these rows, and these bytes beside them."""

    async def case() -> None:
        store = open_rocks(str(path))
        await commit(store, writes)
        for key, value in (raw or {}).items():
            store._db[key] = value
        store.close()

    asyncio.run(case())
    return check(str(path))


def test_a_whole_store_is_ok_and_counted(tmp_path: Path) -> None:
    report = checked(tmp_path / "s", [*SAMPLES, account(BOB)])
    assert (report.ok, report.problems) == (True, [])
    wanted = Counter(type(row).__name__ for row in [*SAMPLES, account(BOB)])
    assert report.rows == dict(wanted)
    assert report.users == 2
    assert (report.epoch, report.schema, report.num_shards, report.state) == (1, 1, 4096, "ready")
    assert report.commit == report.witness == 3
    assert report.bytes > 1000


two = [message(ADA, 1), message(ADA, 2)]
CASES: list[tuple[str, list[Write], str]] = [
    ("pos falls", [two[0], two[1]._replace(pos=0)], "seq 4294967298: pos 0 after 1"),
    ("pos stands still", [two[0], two[1]._replace(pos=1)], "pos 1 after 1"),
    ("size falls", [two[0], two[1]._replace(size=4)], "size 4 after 5"),
    ("due falls", [two[0], two[1]._replace(due=0)], "due 0 after 1"),
    ("seq of a later epoch", [message(ADA, 1)._replace(seq=2 << 32)], "its epoch 2 is above the store's, 1"),
    (
        "outbox number of a later epoch",
        [rows.OutboxItemRow(ADA, b"@a", 9 << 32, (1,))],
        "item 38654705664 has an ",
    ),
    ("cursor above the head", [*two, rows.CursorRow(ADA, 1, EPOCH | 3, 0, 0, 0, 0)], "above the head 4294967298"),
    ("cursor of a later epoch", [rows.CursorRow(ADA, 1, 5 << 32, 0, 0, 0, 0)], "device 1: its epoch is above"),
    ("rows below the floor", [*two, rows.CountersRow(ADA, EPOCH | 1, 1, 5, 1, 0, 0, 0, 0)], "at or below its floor"),
    ("device never given out", [account(ADA), rows.DeviceRow(ADA, 3, "", 0, b"", b"", 0)], "device 3 of "),
    ("device of nobody", [rows.DeviceRow(ADA, 1, "", 0, b"", b"", 0)], "its account never gave out that number"),
]


@pytest.mark.parametrize(("writes", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_contradicts_itself_is_named(tmp_path: Path, writes: list[Write], words: str) -> None:
    report = checked(tmp_path / "s", writes)
    assert report.problems_total == 1, report.problems
    assert words in report.problems[0]


def test_refused_rows_hold_a_number_only(tmp_path: Path) -> None:
    refused = message(ADA, 2, b"", kind=rows.ROW_REFUSED)._replace(pos=1, size=5, due=1)
    assert checked(tmp_path / "s", [message(ADA, 1), refused, message(ADA, 3)._replace(pos=2, size=10)]).ok


def test_values_and_keys_that_are_no_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    raw = {mailbox(ADA, 7): b"\x09junk", b"U" + ADA + b"\xee": b"\x01", b"Zebra": b"\x01"}
    report = checked(tmp_path / "s", [account(ADA), message(ADA, 9), message(BOB, 1)], raw)
    assert report.rows == {"AccountRow": 1, "MessageRow": 2}
    assert report.problems_total == 3
    words = "\n".join(report.problems)
    assert "MessageRow: form 9 is unknown" in words
    assert "not the key of any row" in words
    assert b"Zebra".hex() in words


def test_only_the_first_problems_are_listed_but_all_are_counted(tmp_path: Path) -> None:
    raw = {mailbox(ADA, number): b"" for number in range(PROBLEMS_SHOWN + 50)}
    report = checked(tmp_path / "s", [], raw)
    assert (len(report.problems), report.problems_total) == (PROBLEMS_SHOWN, PROBLEMS_SHOWN + 50)


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreForeign, match="holds no store"):
        check(str(tmp_path / "nothing"))
