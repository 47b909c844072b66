"""What a person sees when a command fails: one line what, one line how to mend it, exit 1."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any

QUEUED = 75  # EX_TEMPFAIL: kept in the outbox, not yet answered
INTERRUPTED = 130


class CliError(Exception):
    """A failure that was foreseen: what went wrong and how to mend it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def show(error: CliError) -> None:
    """Print it on stderr."""
    print(f"iris: {error.what}", file=sys.stderr)
    if error.fix:
        print(f"      {error.fix}", file=sys.stderr)


# Error name of the catalogue → how to mend it. The `detail` of the answer says what.
_FIXES = {
    "CREDENTIALS_WRONG": "check the handle and --password",
    "LINK_CODE_INVALID": "ask for a new one where you are logged in: iris devices --link",
    "HANDLE_TAKEN": "choose another handle, or `iris login` if it is yours",
    "REGISTRATION_CLOSED": "ask the operator for an account",
    "INVITE_INVALID": "give an unused code with --invite",
    "DEVICE_LIMIT": "unlink one first: iris devices --profile DIR --unlink NUMBER",
    "RATE_LIMITED": "wait a little and try again",
    "OVERLOADED": "wait a little and try again",
    "UNKNOWN_USER": "check the spelling of the handle",
}


def explain(error: Exception) -> CliError | None:
    """What to tell about an error of the SDK; None when it is not one."""
    import iris_sdk as sdk

    if isinstance(error, sdk.ApiError):
        reasons = "; ".join(f"{field}: {why}" for field, why in _fields(error))
        detail = reasons or error.detail or error.name.replace("_", " ").lower()
        return CliError(f"{detail} ({error.name})", _FIXES.get(error.name, ""))
    if isinstance(error, sdk.LoggedOut):
        return CliError(
            f"this device was logged out: {error}", "log in again: iris login HANDLE --profile DIR --server URL"
        )
    if isinstance(error, sdk.Offline):
        return CliError(f"the server cannot be reached: {error}", "check the address, and that `iris serve` runs")
    if isinstance(error, sdk.WrongCertificate):
        return CliError(
            str(error), "somebody may stand in between: ask who invited you, and paste the whole line again"
        )
    if isinstance(error, sdk.IrisError):
        return CliError(str(error))
    return None


def _fields(error: Any) -> list[tuple[str, str]]:
    return [
        (field["field"], field["message"]) if isinstance(field, dict) else (str(field[0]), str(field[1]))
        for field in error.fields or ()
    ]


def run_async(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's coroutine; SDK errors become CliError, Ctrl-C the exit code 130."""
    import asyncio

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return INTERRUPTED
    except CliError:
        raise
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        raise told from error
