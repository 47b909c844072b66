"""Real clients over real TLS: each holds the whole conversation of interop.py, and either side may end it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.clients import CLIENTS
from tests.conformance.interop import Plan, Report, play


@pytest.mark.parametrize("server_closes", [False, True], ids=["client closes", "server closes"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation(client: Callable[[Plan], Report], server_closes: bool) -> None:
    play(client, server_closes=server_closes)
