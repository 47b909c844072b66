"""docs/conformance.md is what the tables say, and each case of them can be told from the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conformance.case import Case
from tests.conformance.closing import CLOSING
from tests.conformance.framing import FRAMING
from tests.conformance.handshake import OPENINGS, Opening
from tests.conformance.page import PAGE, page
from tests.conformance.tls import LATER, OPENERS, Later, Opener

TABLES: dict[str, Sequence[Case | Opening | Opener | Later]] = {
    "frames": FRAMING + CLOSING,
    "handshake": OPENINGS,
    "first bytes": OPENERS,
    "later": LATER,
}


def test_the_page_is_committed_as_written() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.conformance.page"


@pytest.mark.parametrize("name", TABLES)
def test_every_case_has_a_name_and_a_section(name: str) -> None:
    cases = TABLES[name]
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.section for case in cases)
