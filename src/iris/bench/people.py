"""Thousands of users with their devices, made through the API like any others."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from iris.bench.errors import BenchError
from iris.bench.server import HOST, BenchServer
from iris.core.ids import user_from_text

REQUESTS_AT_ONCE = 4
TIMEOUT_S = 60.0


class Person(NamedTuple):
    """A user and the access token of one device."""

    user: bytes
    token: str


def register(
    server: BenchServer,
    count: int,
    progress: Callable[[str, int, int], None],
    *,
    first: int = 0,
    deadline: float | None = None,
    devices: int = 1,
) -> list[Person]:
    """Make users from number `first` on, each logged in; fewer when the monotonic time is `deadline`.

    A user's devices follow each other; users with several have handles of their own. progress: what, done, of how
    many. Raises BenchError.
    """
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(server.root))
    people: list[Person] = []
    errors: list[BaseException] = []
    numbers = iter(range(count))
    lock = threading.Lock()
    password = secrets.token_urlsafe(16)

    def work() -> None:
        connection = http.client.HTTPSConnection(HOST, server.port, timeout=TIMEOUT_S, context=context)
        try:
            while not errors and (deadline is None or time.monotonic() < deadline):
                with lock:
                    number = next(numbers, None)
                    progress("users", len(people) // devices, count)
                if number is None:
                    return
                handle = f"bench_{first + number}" if devices == 1 else f"bench{devices}_{first + number}"
                made = _persons(connection, handle, password, devices)
                with lock:
                    people.extend(made)
        except (OSError, http.client.HTTPException, BenchError) as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, name="registering") for _ in range(REQUESTS_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise BenchError(f"cannot register users: {errors[0]}", server.output)
    return people


def _persons(connection: http.client.HTTPSConnection, handle: str, password: str, devices: int) -> list[Person]:
    _post(connection, "/v1/users", {"handle": handle, "password": password})
    body = {"handle": handle, "password": password, "device_name": "bench"}
    sessions = [_post(connection, "/v1/sessions", body) for _ in range(devices)]
    return [Person(user_from_text(session["user_id"]), session["access_token"]) for session in sessions]


def _post(connection: http.client.HTTPSConnection, path: str, body: dict[str, str]) -> dict[str, str]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise BenchError(f"{path} answers {answer.status}: {text[:300]!r}")
    made: dict[str, str] = json.loads(text)
    return made
