"""Passwords: argon2id at full cost, off the event loop, a bounded number at once.

The library's RFC 9106 low-memory profile (64 MiB, 3 passes, 4 lanes) is the full cost. A log-in to a handle nobody
has does the same work against a hash that fits nothing, so that its time tells nothing. Passwords are never kept,
logged or shown.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import os
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from argon2 import Parameters, PasswordHasher, profiles
from argon2.exceptions import InvalidHashError, VerificationError

from iris.core.catalogue import ErrorCode
from iris.http.problems import Problem

LENGTH_MIN, LENGTH_MAX = 8, 256  # characters
_NICENESS = 10

_Found = TypeVar("_Found")


class Argon2Profile(Enum):
    """How dear a hash is."""

    FULL = "full"  # RFC 9106, second recommended option
    CHEAP = "cheap"  # for tests only: a server that listens beyond loopback must refuse it

    @property
    def parameters(self) -> Parameters:
        """What argon2 is told."""
        if self is Argon2Profile.FULL:
            return profiles.RFC_9106_LOW_MEMORY
        return dataclasses.replace(profiles.RFC_9106_LOW_MEMORY, time_cost=1, memory_cost=32, parallelism=1)


class Passwords:
    """Hashes and checks passwords in `threads` threads; others wait. Close it at shutdown.

    Limits: password_hashes_max, password_hashes_waiting_max. At the second one Problem(OVERLOADED) is raised.
    """

    def __init__(self, profile: Argon2Profile, threads: int, waiting_max: int) -> None:
        self.profile = profile
        self._hasher = PasswordHasher.from_parameters(profile.parameters)
        self._nobodys = _hash_of_nobody(profile.parameters)
        self._threads = ThreadPoolExecutor(threads, "iris-argon2", initializer=_be_nice)
        self._limit = threads
        self._waiting_max = waiting_max
        self._begun = 0

    @property
    def waiting(self) -> int:
        """Passwords that wait for a thread (iris_http_hashes_waiting)."""
        return max(0, self._begun - self._limit)

    async def hash(self, password: str) -> str:
        """The encoded argon2id hash, with its own salt."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether `password` is the one of `encoded`. None, for a user who is not there, takes as long and is False."""
        return await self._run(lambda: self._verify(encoded or self._nobodys, _normal(password)))

    def outdated(self, encoded: str) -> bool:
        """Whether a hash that fits should be replaced by one of today's parameters.

        Never with the cheap profile: it must not weaken what it finds.
        """
        return self.profile is Argon2Profile.FULL and self._hasher.check_needs_rehash(encoded)

    def close(self) -> None:
        """End the threads; what still waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _Found]) -> _Found:
        if self.waiting >= self._waiting_max:
            raise Problem(ErrorCode.OVERLOADED)
        self._begun += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._begun -= 1


def _normal(password: str) -> str:
    """One spelling for what two keyboards write differently (RFC 8265, OpaqueString)."""
    return unicodedata.normalize("NFC", password)


def _hash_of_nobody(parameters: Parameters) -> str:
    """An encoded hash that costs as much to check as a real one and that no password has: its bytes are random."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (parameters.salt_len, parameters.hash_len)
    )
    cost = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${cost}${salt}${digest}"


def _be_nice() -> None:
    """Messages go first: a storm of log-ins must not take the processor from the event loop and the engine."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)  # on Linux of this thread and its lanes
