"""Becoming somebody on a server: use the profile that is there, else log in, else register."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from iris.cli.errors import CliError

PROFILES = Path("iris-data/profiles")  # where a profile is when nobody says where
PASSWORD_FILE = "password"  # inside the profile, which only its owner may read


async def join(
    profile: Path,
    server: str | None,
    handle: str | None,
    *,
    password: str | None = None,
    invite: str | None = None,
    ca: Path | None = None,
    fingerprint: str | None = None,
    new_password: bool = False,
    moved: bool = False,
    code: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Make sure that `profile` is a device of `handle` on `server`.

    A new user without a password gets a random one on a loopback server; it is kept in the profile. Elsewhere it is
    asked for, twice with `new_password`. `fingerprint` is that of the server's certificate, for a server that is known
    by it. A profile of another address is refused, or with `moved` logged in anew as another device, without what still
    waits for the old one. Another fingerprint of the same address is taken, after a new log-in: it comes in an
    invitation. With `code`, a link code, there is no password. `say` is told what was done. Raises CliError, and what
    the SDK raises.
    """
    import iris_sdk as sdk

    known = sdk.profile_info(str(profile))
    if known is not None:
        if handle is not None and known.handle != handle.removeprefix("@").lower():
            raise CliError(f"{profile} is @{known.handle}, not @{handle}", "give another folder with --profile")
        same = server is None or _same(known.server, server)
        if same and fingerprint in (None, known.fingerprint):
            return
        if not same and not moved:
            raise CliError(
                f"{profile} is a device on {known.server}, not on {server}",
                f"give --server {known.server}, or another folder with --profile",
            )
    if server is None or handle is None:
        raise CliError(f"there is no profile in {profile} yet", "say who you are and where: --as NAME --server URL")
    ca_file = None if ca is None else str(ca)
    if code is not None:
        await sdk.login_with_code(str(profile), server, handle, code, ca_file=ca_file, fingerprint=fingerprint)
        say(f"linked to {'@' + handle.removeprefix('@')}; this device is {profile}")
        return
    secret = password or _kept(profile)
    if secret is None and _is_local(server):
        secret = secrets.token_urlsafe(18)
        _keep(profile, secret)  # before it is used: a password that nobody knows locks the handle for ever
    elif secret is None:
        secret = _ask(handle, new_password)
    made = await _register(server, handle, secret, invite, ca_file, fingerprint)
    try:
        await sdk.login(str(profile), server, handle, secret, ca_file=ca_file, fingerprint=fingerprint)
    except sdk.ApiError as error:
        if error.name == "CREDENTIALS_WRONG" and not made and password is None:
            raise CliError(
                f"@{handle} is taken, and the password is not known here", "give --password PW, or choose another name"
            ) from error
        raise
    say(f"logged in as {'@' + handle.removeprefix('@')}; this device is {profile}")


async def _register(
    server: str, handle: str, password: str, invite: str | None, ca_file: str | None, fingerprint: str | None
) -> bool:
    """Register; False when the handle exists or nobody may register, so that only a log-in is left."""
    import iris_sdk as sdk

    try:
        await sdk.register(server, handle, password, invite=invite, ca_file=ca_file, fingerprint=fingerprint)
    except sdk.ApiError as error:
        if error.name in ("HANDLE_TAKEN", "REGISTRATION_CLOSED") or (error.name == "INVITE_INVALID" and invite is None):
            return False
        raise
    return True


def _same(one: str, other: str) -> bool:
    from iris_sdk.address import parse_server

    return parse_server(one)[:3] == parse_server(other)[:3]


def _is_local(server: str) -> bool:
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    host = urlsplit(server).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _ask(handle: str, new: bool) -> str:
    from iris.cli.accounts import ask_new_password, ask_password

    return ask_new_password(handle) if new else ask_password(handle)


def _kept(profile: Path) -> str | None:
    path = profile / PASSWORD_FILE
    return path.read_text().strip() if path.exists() else None


def _keep(profile: Path, password: str) -> None:
    profile.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(profile / PASSWORD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as writer:
        writer.write(password + "\n")
