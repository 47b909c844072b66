"""The state pages are what their tables say, and every row of a table is on its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from iris.edge.table import TABLE as SESSION_TABLE
from iris_sdk.core.lifecycle import TABLE as CONNECTION_TABLE
from scripts import states


def test_the_pages_are_committed_as_drawn() -> None:
    assert states.main(["--check"]) == 0, "run python scripts/states.py"


def test_a_stale_or_missing_page_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "FOLDER", tmp_path / "states")
    assert states.stale() == ["session.md", "connection.md"]
    assert states.main([]) == 0
    assert states.stale() == []
    (tmp_path / "states/session.md").write_text("old", encoding="utf-8")
    assert states.main(["--check"]) == 1


def test_every_row_of_the_connection_table_is_drawn() -> None:
    page = states.connection_page()
    drawn = {
        (*line.strip().split(": ")[0].split(" --> "), what)
        for line in page.splitlines()
        if " --> " in line and ": " in line
        for what in line.split(": ")[1].split(", ")
    }
    assert drawn == {(start.name, end.name, what.name) for (start, what), end in CONNECTION_TABLE.items()}


def test_every_frame_and_state_of_a_session_is_on_its_page() -> None:
    page = states.session_page()
    for state, kind in SESSION_TABLE:
        assert f"| {states.FRAME_NAMES[kind]} |" in page
        assert state.name in page
