"""`iris torture URL`, also `python -m iris_torture URL`.

Exit 0: every promise held; 1: one did not; 2: it could not run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from iris_torture.adapter import TargetError
from iris_torture.crew import Where
from iris_torture.driver import Driver, Plan
from iris_torture.faults import FAULTS, named
from iris_torture.report import Page, markdown, to_json
from iris_torture.worker import ADAPTERS

HELD, BROKEN, COULD_NOT_RUN = 0, 1, 2


def main(argv: Sequence[str] | None = None, program: str = "python -m iris_torture") -> int:
    """Parse, run, report."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser(program).parse_args(words)
    try:
        faults = tuple(named(options.faults))
        options.ca = None if options.ca is None else os.path.abspath(options.ca)
        with tempfile.TemporaryDirectory(prefix="iris-torture-") as temporary:
            folder = Path(options.keep or temporary).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            plan = Plan(
                minutes=options.minutes, users=options.users, devices=options.devices, seed=options.seed,
                rate=options.rate, calm_s=options.calm, invite=options.invite, faults=faults,
            )  # fmt: skip
            return asyncio.run(_run(options, folder, plan, f"{program} {shlex.join(words)}"))
    except KeyboardInterrupt:
        return COULD_NOT_RUN
    except (TargetError, ValueError, OSError) as error:
        sys.stderr.write(f"\niris torture: could not run: {error}\n")
        return COULD_NOT_RUN


async def _run(options: argparse.Namespace, folder: Path, plan: Plan, command: str) -> int:
    ca_file = options.ca
    where = Where(options.adapter, options.url, ca_file, folder)
    target = ADAPTERS[options.adapter](options.url, ca_file)
    driver = Driver(target, where, plan, _show)
    outcome = await driver.run()
    sys.stderr.write("\n")
    page = Page(options.url, plan, outcome, command, driver.record())
    text = to_json(page) if (options.out or "").endswith(".json") else markdown(page)
    if options.out:
        _write(Path(options.out), text + "\n")
        sys.stderr.write(f"iris torture: {'all held' if outcome.verdict.clean else 'BROKEN'}; see {options.out}\n")
    else:
        sys.stdout.write(text + "\n")
    if not outcome.verdict.clean:
        return BROKEN
    return HELD if outcome.verdict.counts["accepted"] else COULD_NOT_RUN


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _show(line: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"iris torture: {line:<90}{end}")
    sys.stderr.flush()


def parser(program: str) -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog=program,
        description="Try to make a messaging server break its promises, and judge what every device saw.",
        epilog=f"Faults: {', '.join(FAULTS)}.",
    )
    add = made.add_argument
    add("url", metavar="URL", help="http://HOST:PORT on loopback, else https://HOST:PORT")
    add("--minutes", type=float, default=2.0, metavar="M", help="length of the bad time [2]")
    add("--users", type=int, default=4, metavar="N", help="users to register, at least 2 [4]")
    add("--devices", type=int, default=2, metavar="D", help="devices of each at first, 1 to 4 [2]")
    add("--rate", type=float, default=0.5, metavar="R", help="sendings a second and device, of 1 to 40 messages [0.5]")
    add("--seed", type=int, default=1, metavar="S", help="who does what when [1]")
    add(
        "--faults", default="all", metavar="LIST", help="names with commas; all, none, or -name to leave some out [all]"
    )
    add("--calm", type=float, default=90.0, metavar="S", help="seconds to wait for what is still due at the end [90]")
    add("--out", metavar="FILE", help="where the report goes, .md or .json; else it is printed")
    add("--keep", metavar="DIR", help="keep the record (JSON lines), profiles and logs here; an empty folder")
    add("--ca", metavar="FILE", help="PEM file of a private certificate authority")
    add("--invite", metavar="CODE", help="where registration needs one; it must do for all users")
    add("--adapter", choices=sorted(ADAPTERS), default="iris", help="kind of server [iris]")
    return made
