"""`python -m bench.records` makes what the server makes: records of the right length, rows that can be read again."""

from __future__ import annotations

import pytest

from bench import records
from iris.core.frames import Send
from iris.store.codec import decode, encode


def test_its_rows_are_rows_and_its_frame_is_a_send() -> None:
    assert decode(*encode(records.MESSAGE)) == records.MESSAGE
    assert decode(*encode(records.MARK)) == records.MARK
    assert Send._make(records.FRAME).payload == records.PAYLOAD


def test_every_part_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(records, "MESSAGES", 50)
    records.main()
    first, last = capsys.readouterr().out.splitlines()
    assert first.count("µs") == 1
    assert float(last.split()[-2]) > 0
