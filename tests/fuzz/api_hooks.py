"""What schemathesis loads (SCHEMATHESIS_HOOKS): requests are sent by a user who is logged in, a new one whenever the
last has logged out or is gone.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import httpx
import schemathesis

PASSWORD = "correct horse battery"
_numbers = itertools.count()


def _log_in(client: httpx.Client) -> str:
    account = {"handle": f"user{next(_numbers)}x{os.getpid()}", "password": PASSWORD}
    client.post("/v1/users", json=account).raise_for_status()
    answer = client.post("/v1/sessions", json={**account, "device_name": "test"}).raise_for_status()
    return str(answer.json()["access_token"])


@schemathesis.auth(refresh_interval=None)
class LoggedIn:
    """The token of every request."""

    def __init__(self) -> None:
        self._client = httpx.Client(base_url=os.environ["IRIS_FUZZ_URL"])
        self._token = "none"

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        """A token that stands."""
        asked = self._client.get("/v1/me", headers={"Authorization": f"Bearer {self._token}"})
        if asked.status_code != 200:
            self._token = _log_in(self._client)
        return self._token

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        """Put it into a request."""
        headers: Any = case.headers
        headers["Authorization"] = f"Bearer {data}"
