"""Accounts and profiles: register, log a device in, say what a profile is, keep its tokens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from iris_sdk import schema
from iris_sdk.address import Address, parse_server
from iris_sdk.api import Account, ApiClient, Session
from iris_sdk.errors import ApiError, IrisError, LoggedOut, Offline, ProfileError
from iris_sdk.ids import user_from_text, user_text
from iris_sdk.store import Reader, Writer
from iris_sdk.worker import FileLock, StoreWorker

LOCK = "lock"  # held by the process that holds the profile's connection
REFRESH_LOCK = "refresh.lock"  # held while a refresh token is being used
LOGIN_TRIES = 2  # of a log-in whose answer was lost
TOKEN_MARGIN_MS = 30_000  # a token that ends sooner is not used any more

ProfilePath = str | os.PathLike[str]
LogIn = Callable[[ApiClient, str], Awaitable[Session]]  # with a nonce


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """What a profile is. `printed` is the number up to which its history was printed (see Client.set_printed)."""

    server: str
    user: str
    handle: str
    device: int
    ca_file: str | None
    printed: int
    fingerprint: str | None = None  # of the server's certificate, when it was pinned


def now_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


async def register(
    server: str,
    handle: str,
    password: str,
    *,
    name: str | None = None,
    invite: str | None = None,
    ca_file: str | None = None,
    fingerprint: str | None = None,
) -> Account:
    """Make an account; then `login` links a device.

    Raises ApiError, Offline, ProfileError (a bad address), WrongCertificate.
    """
    async with ApiClient(parse_server(server, ca_file, fingerprint)) as api:
        return await api.register(handle, password, name=name, invite=invite)


async def login(
    profile: ProfilePath,
    server: str,
    handle: str,
    password: str,
    *,
    device_name: str | None = None,
    ca_file: str | None = None,
    fingerprint: str | None = None,
) -> Account:
    """Link a device and make its profile in the folder `profile`.

    A profile of the same user keeps its history and becomes the new device. Raises ApiError, Offline, and
    ProfileError when the folder holds another user's profile or is in use. With `fingerprint` (SHA-256, hex) the
    server is known by its certificate alone, now and later; another one raises WrongCertificate, unless its key is
    the same.
    """
    address = parse_server(server, _absolute(ca_file), fingerprint)
    return await _link(
        Path(profile),
        address,
        lambda api, nonce: api.login(handle, password, device_name=_name(device_name), nonce=nonce),
    )


async def login_with_code(
    profile: ProfilePath,
    server: str,
    handle: str,
    code: str,
    *,
    device_name: str | None = None,
    ca_file: str | None = None,
    fingerprint: str | None = None,
) -> Account:
    """`login` without the password: with a link code that another device of the account shows (ApiClient.link_code)."""
    address = parse_server(server, _absolute(ca_file), fingerprint)
    return await _link(
        Path(profile),
        address,
        lambda api, nonce: api.login_with_code(handle, code, device_name=_name(device_name), nonce=nonce),
    )


def _name(device_name: str | None) -> str:
    return device_name or socket.gethostname() or "python"


async def _link(folder: Path, address: Address, log_in: LogIn) -> Account:
    lock = FileLock(folder / LOCK)
    if schema.exists(folder) and not lock.try_acquire():
        raise ProfileError(f"the profile {folder} is in use by another process")
    try:
        async with ApiClient(address) as api:
            said = await _log_in(api, log_in)
            try:
                old_device = await _write(folder, address._replace(server_key=api.server_key), said)
            except (ProfileError, OSError):
                await _forget(ApiClient(address, token=said.access_token), None)
                raise
            if old_device is not None and old_device != said.device:
                await _forget(ApiClient(address, token=said.access_token), old_device)
    finally:
        lock.release()
    return Account(said.user, said.handle, "")


async def _log_in(api: ApiClient, log_in: LogIn) -> Session:
    """Log in; a lost answer is asked for again under the same nonce, so that it links one device and not two."""
    nonce = secrets.token_urlsafe(18)
    for _ in range(LOGIN_TRIES - 1):
        with contextlib.suppress(Offline):
            return await log_in(api, nonce)
    return await log_in(api, nonce)


async def _write(folder: Path, address: Address, said: Session) -> int | None:
    """Returns the device that the profile was before."""
    worker = StoreWorker(schema.connect(folder, create=True))

    def job(writer: Writer) -> int | None:
        known, device = writer.meta("user"), writer.meta("device")
        user = user_from_text(said.user)
        if known is not None and known != user:
            raise ProfileError(f"{folder} is the profile of another user ({writer.meta('handle')})")
        if device != said.device:
            writer.set_meta(seq=0, rev=0)
        writer.set_meta(
            server=address.api_url,
            ca_file=address.ca_file,
            fingerprint=address.fingerprint,
            server_key=address.server_key,
            user=user,
            device=said.device,
            handle=said.handle,
            access_token=said.access_token,
            access_until=_until(said.expires_at, said.server_time),
            refresh_token=said.refresh_token,
            refresh_nonce=None,
        )
        writer.put_handle(user, said.handle, now_ms())
        return None if device is None else int(device)

    try:
        return await worker.run(job)
    finally:
        await worker.close()


async def _forget(api: ApiClient, device: int | None) -> None:
    """Unlink a device that nobody uses, as well as it goes."""
    async with api:
        with contextlib.suppress(IrisError):  # it ends by itself after device_days
            await (api.logout() if device is None else api.unlink(device))


def profile_info(profile: ProfilePath) -> ProfileInfo | None:
    """What the profile in this folder is, without the network; None when there is none. Raises ProfileError."""
    folder = Path(profile)
    if not schema.exists(folder):
        return None
    reader = Reader(schema.connect(folder))
    try:
        return ProfileInfo(
            reader.meta("server"),
            user_text(reader.meta("user")),
            reader.meta("handle"),
            reader.meta("device"),
            reader.meta("ca_file"),
            int(reader.meta("printed", 0)),
            reader.meta("fingerprint"),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ProfileError(f"{folder / schema.FILE} is damaged: it does not say whose profile it is") from error
    finally:
        reader.close()


class TokenKeeper:
    """The profile's tokens. Several processes may ask; one at a time refreshes."""

    def __init__(self, folder: Path, reader: Reader, worker: StoreWorker, address: Address) -> None:
        self._folder, self._reader, self._worker, self._address = folder, reader, worker, address
        self._mutex = asyncio.Lock()

    @property
    def stored(self) -> str:
        """The newest access token, good or not."""
        return str(self._reader.meta("access_token"))

    async def access(self, fresh: bool) -> str:
        """An access token; with `fresh` a new one. Raises Offline, ApiError, LoggedOut."""
        before = self.stored
        if not fresh and self._good():
            return before
        async with self._mutex, FileLock(self._folder / REFRESH_LOCK):
            if self.stored != before and self._good():
                return self.stored  # somebody else was quicker
            return await self._refresh()

    def _good(self) -> bool:
        return now_ms() < int(self._reader.meta("access_until", 0)) - TOKEN_MARGIN_MS

    async def _refresh(self) -> str:
        used = self._reader.meta("refresh_token")
        nonce = await self._worker.run(_pending_nonce)  # durable before it is used
        async with ApiClient(self._address) as api:
            try:
                said = await api.refresh(used, nonce)
            except ApiError as error:
                if error.status in (401, 403) or error.name in ("REFRESH_INVALID", "TOKEN_REVOKED"):
                    raise LoggedOut("this device was logged out: log in again") from error
                raise
        until = _until(said.expires_at, said.server_time)
        await self._worker.run(
            lambda writer: writer.set_meta(
                access_token=said.access_token, access_until=until, refresh_token=said.refresh_token, refresh_nonce=None
            )
        )
        return said.access_token

    async def adopt(self, access_token: str, expires_at: int) -> None:
        """The server gave a new access token on another way."""
        until = _until(expires_at, 0)
        await self._worker.run(lambda writer: writer.set_meta(access_token=access_token, access_until=until))


def _pending_nonce(writer: Writer) -> str:
    """The nonce of the refresh that is under way, or a new one."""
    nonce = writer.meta("refresh_nonce")
    if nonce is None:
        nonce = secrets.token_urlsafe(24)
        writer.set_meta(refresh_nonce=nonce)
    return str(nonce)


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _until(expires_at: int, server_time: int) -> int:
    """When a token ends by this machine's clock, which may be wrong."""
    return expires_at if not server_time else now_ms() + expires_at - server_time
