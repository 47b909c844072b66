"""`iris demo`: a server on this machine with a lively sample community, and a guest's account to look at it with."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iris.cli.beside import Beside
from iris.cli.bots import CAST, play
from iris.cli.errors import CliError, explain
from iris.cli.serve import check_free
from iris.cli.serve import run as run_server
from iris.cli.settings import checked
from iris.cli.up import this_command

DATA = Path("iris-demo")
BOTS = "bots"  # their profiles, inside the data folder
GUEST, PASSWORD = "guest", "demo-guest"  # known to everybody, which is why a demo is on loopback only


def demo(flags: Mapping[str, Any], sets: list[str], pace: float, browser: bool) -> int:
    """Serve and play until Ctrl-C; returns the exit code. Raises CliError when the server cannot start.

    With `browser` the web client is opened where there is a desktop.
    """
    loaded = checked(None, {"data": DATA, **{name: value for name, value in flags.items() if value is not None}}, sets)
    settings = loaded.settings
    if not settings.is_loopback:
        raise CliError("`iris demo` is for this machine: its guest's password is known", "listen on 127.0.0.1")
    for address in settings.listen:
        check_free(address)
    if "log_level" not in loaded.origins:
        settings = settings.model_copy(update={"log_level": "warning"})
    beside = Beside("bots", _failed)

    def ready(url: str, admin: str) -> None:
        print(f"iris: ready on {url}", flush=True)
        server = url.replace("ws", "http", 1)
        beside.start(lambda: _community(server, settings.data / BOTS, pace, browser))

    try:
        code = run_server(settings, ready)
    finally:
        beside.stop()
    print(f"iris: stopped; everything is kept in {settings.data}", flush=True)
    return code


async def _community(server: str, folder: Path, pace: float, browser: bool) -> None:
    import iris_sdk as sdk

    try:
        await sdk.register(server, GUEST, PASSWORD, name="You")
    except sdk.ApiError as error:
        if error.name != "HANDLE_TAKEN":
            raise

    def ready() -> None:
        _tell(server)
        if browser and has_desktop(os.environ, sys.stdout.isatty()):
            webbrowser.open(server)

    await play(server, folder, GUEST, pace, ready)


def has_desktop(environment: Mapping[str, str], terminal: bool) -> bool:
    """Whether a window can be opened and somebody is there: not over SSH, and not for a script."""
    return terminal and bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _tell(server: str) -> None:
    people = "\n".join(f"  @{one.name:<6} {one.about}" for one in CAST)
    print(
        f"""
Open {server}/ in a browser and log in: name {GUEST}, password {PASSWORD}
or in another terminal:  {this_command()} chat --server {server} --as {GUEST} --password {PASSWORD}

{people}

Write to each of them, and look at the ticks. Ctrl-C stops the demo.
""",
        flush=True,
    )


def _failed(error: Exception) -> None:
    if isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    told = error if isinstance(error, CliError) else explain(error)
    print(f"iris: the bots have stopped: {told.what if isinstance(told, CliError) else repr(error)}", flush=True)
