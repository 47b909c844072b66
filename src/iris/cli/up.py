"""`iris up`, what `make run` starts: a server on this machine, two sample users who talk over it, and how to join.

The server runs in this process, as `iris serve` would; the sample users run beside it in a thread and use the SDK over
the real port. Users and messages stay in the data folder, so the next start finds them.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iris.cli.beside import Beside
from iris.cli.errors import CliError, explain
from iris.cli.sample import Step, parse
from iris.cli.serve import check_free
from iris.cli.serve import run as run_server
from iris.cli.settings import checked

SAMPLES = "samples"
PROFILES = "profiles"
JOINERS = ("carol", "dave")


def up(config: Path | None, flags: Mapping[str, Any], sets: list[str], sample: Path) -> int:
    """Serve until Ctrl-C; returns the exit code. Raises CliError when the server cannot start."""
    loaded = checked(config, flags, sets)
    settings = loaded.settings
    if not settings.is_loopback:
        raise CliError("`iris up` is for trying Iris on this machine", "listen on 127.0.0.1, or use `iris serve`")
    for address in settings.listen:
        check_free(address, "--listen {0} (make run: IRIS_LISTEN={0} make run)")
    if "log_level" not in loaded.origins:
        settings = settings.model_copy(update={"log_level": "warning"})  # the conversation is what is to be read here
    show = _Show(settings.data, _steps(sample), sample)
    try:
        code = run_server(settings, show.start)
    finally:
        show.stop()
    print("iris: stopped; everything is kept in " + str(settings.data), flush=True)
    return code


def _steps(sample: Path) -> list[Step]:
    try:
        return parse(sample.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CliError(f"{sample}: {error}", "mend it, or give another one with --sample FILE") from None


class _Show:
    """What happens beside the server: the conversation, then the lines to paste."""

    def __init__(self, data: Path, steps: list[Step], sample: Path) -> None:
        self._data = data
        self._steps = steps
        self._sample = sample
        self._beside = Beside("sample users", _failed)

    def start(self, url: str, admin: str) -> None:
        """Called by the server once it serves."""
        print(f"iris: ready on {url}   (data in {self._data}, metrics on {admin}/metrics)", flush=True)
        server = url.replace("ws", "http", 1)
        self._beside.start(lambda: self._talk(server), lambda: _invite(server, self._data))

    def stop(self) -> None:
        """End the conversation where it is."""
        self._beside.stop()

    async def _talk(self, server: str) -> None:
        if not self._steps:
            print(f"iris: there is no {self._sample}, so nobody talks")
            return
        from iris.cli.actors import play

        await play(self._steps, server, self._data / SAMPLES, print)


def _failed(error: Exception) -> None:
    told = error if isinstance(error, CliError) else explain(error)
    print(f"iris: the sample users could not talk: {told.what if isinstance(told, CliError) else repr(error)}")


def _invite(server: str, data: Path) -> None:
    command = this_command()
    print(f"\nJoin in: open {server} in a browser and make an account. A private window beside it is a second person.")
    print("Or in terminals: paste each line into one of its own, in this folder:")
    for name, other in (JOINERS, JOINERS[::-1]):
        # `iris chat` looks there by itself when the data folder is the default one.
        where = "" if str(data) == "iris-data" else f" --profile {shlex.quote(str(data / PROFILES / name))}"
        print(f"  {command} chat --server {server} --as {name}{where} @{other}")
    print("Ctrl-C stops the server; what is written meanwhile goes out when it is back.\n", flush=True)


def this_command() -> str:
    """How this program was called, from the current folder."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m iris"
    with contextlib.suppress(ValueError):
        called = called.absolute().relative_to(Path.cwd())
    return shlex.quote(str(called))
