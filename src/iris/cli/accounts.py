"""`iris user add`, `iris login`, `iris devices`."""

from __future__ import annotations

import dataclasses
import getpass
import json
import shlex
import sys
from datetime import datetime
from pathlib import Path

from iris.cli.errors import CliError, run_async
from iris.cli.link import drawn, offer, told


def add_user(
    server: str, handle: str, password: str | None, *, name: str | None, invite: str | None, ca: Path | None
) -> int:
    """Register and say who it is."""
    secret = password or ask_new_password(handle)

    async def work() -> int:
        from iris_sdk import register

        account = await register(server, handle, secret, name=name, invite=invite, ca_file=_text(ca))
        print(f"@{account.handle} is registered, user {account.user}")
        return 0

    return run_async(work())


def log_in(
    server: str,
    handle: str,
    password: str | None,
    profile: Path,
    *,
    code: str | None,
    device_name: str | None,
    ca: Path | None,
) -> int:
    """Make the folder a device of the user, by the password or by a link code."""
    secret = "" if code is not None else password or ask_password(handle)

    async def work() -> int:
        from iris_sdk import login, login_with_code, profile_info

        way, proof = (login, secret) if code is None else (login_with_code, code)
        account = await way(str(profile), server, handle, proof, device_name=device_name, ca_file=_text(ca))
        info = profile_info(str(profile))
        print(f"@{account.handle} is logged in, device {info.device if info else '?'}, profile {profile}")
        return 0

    return run_async(work())


def join_line(line: str, handle: str, profile: Path | None, password: str | None) -> int:
    """Take an invitation."""
    from iris.cli.invitation import parse
    from iris.cli.join import PROFILES, join

    try:
        said = parse(line)
    except ValueError as error:
        raise CliError(str(error), "paste the whole line that `iris invite` printed") from None
    name = handle.removeprefix("@").lower()
    folder = profile or PROFILES / name

    async def work() -> int:
        await join(
            folder, said.server, name, password=password, invite=said.code, fingerprint=said.fingerprint, say=print,
            new_password=True,
        )  # fmt: skip
        where = "" if profile is None else f" --profile {shlex.quote(str(profile))}"
        print(f"talk to somebody: iris chat --as {name}{where} @NAME")
        return 0

    return run_async(work())


def devices(profile: Path, as_json: bool, unlink: int | None, link: bool) -> int:
    """List, unlink, or show a code for a new one."""

    async def work() -> int:
        from iris_sdk import Client

        async with Client(str(profile), hold=False) as me:
            if unlink is not None:
                await me.api.unlink(unlink)
                print(json.dumps({"unlinked": unlink}) if as_json else f"device {unlink} is logged out")
                return 0
            if link:
                line, code = await offer(me)
                if as_json:
                    print(json.dumps({"code": code.code, "expires_at": code.expires_at, "line": line.line}))
                else:
                    print("\n".join([drawn(line.line), *told(line, code)]))
                return 0
            for device in await me.api.devices():
                if as_json:
                    print(json.dumps(dataclasses.asdict(device), ensure_ascii=False))
                    continue
                seen = "online" if device.online else f"seen {_day(device.seen_at)}"
                mark = "  (this one)" if device.current else ""
                print(f"{device.device:4}  {device.name:24}  linked {_day(device.linked_at)}  {seen}{mark}")
        return 0

    return run_async(work())


def ask_password(handle: str) -> str:
    """Ask on the terminal. Raises CliError when there is none."""
    if not sys.stdin.isatty():
        raise CliError(
            f"the password of @{handle.removeprefix('@')} is needed", "give --password PW or set IRIS_PASSWORD"
        )
    return getpass.getpass(f"password of @{handle.removeprefix('@')}: ")


def ask_new_password(handle: str) -> str:
    """Ask twice on the terminal. Raises CliError when there is none or the two differ."""
    first = ask_password(handle)
    if getpass.getpass("again: ") != first:
        raise CliError("the two passwords differ", "try again")
    return first


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M") if at else "never"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
