"""ApiClient: the HTTP API (accounts, devices, lists), one method per route.

Every method raises ApiError (UnknownUser) when the server says no, Offline when it cannot be reached, WrongCertificate
when it is not the one whose certificate was pinned.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from iris_sdk.address import Address, parse_server
from iris_sdk.errors import ApiError, Offline, UnknownUser
from iris_sdk.ids import normal_handle
from iris_sdk.pinning import server_key, wrong_certificate

if TYPE_CHECKING:
    import httpx

_REFRESH_HELPS = ("TOKEN_EXPIRED", "TOKEN_REVOKED")  # revoked: perhaps all other tokens, and this device still stands
TIMEOUT_S = 30.0  # above the server's own time-out for a request
TokenSink = Callable[[str, int], Awaitable[None]]  # (access token, expires_at) that replaces the one in use
TokenSource = Callable[[bool], Awaitable[str]]  # asked with True when the last one was refused as expired


@dataclass(frozen=True, slots=True)
class Account:
    """A user as others see it."""

    user: str
    handle: str
    name: str


@dataclass(frozen=True, slots=True)
class Privacy:
    """Who sees my presence, who may write to me, whether others see what I have read."""

    presence: str  # everyone, contacts or nobody
    messages: str  # everyone or contacts
    read_receipts: bool


@dataclass(frozen=True, slots=True)
class Me:
    """My own account."""

    user: str
    handle: str
    name: str
    privacy: Privacy
    created_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """What a log-in gives: one device with its tokens."""

    user: str
    handle: str
    device: int
    access_token: str
    expires_at: int
    refresh_token: str
    server_time: int  # ms since 1970 by the answer's Date, 0 when it had none


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a refresh gives."""

    access_token: str
    expires_at: int
    refresh_token: str
    server_time: int


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One of my devices."""

    device: int
    name: str
    linked_at: int
    seen_at: int
    online: bool
    current: bool


@dataclass(frozen=True, slots=True)
class LinkCode:
    """A code with which one new device logs in, as people read and type it."""

    code: str
    expires_at: int
    server_time: int  # ms since 1970 by the answer's Date, 0 when it had none


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody on my list, under the name I gave."""

    user: str
    name: str
    added_at: int


class ApiClient:
    """The HTTP API of one server.

    `token` is an access token, or what is asked for one: a coroutine function that takes whether a fresh one is needed.
    Close it with `await api.close()`, or use it in `async with`.
    """

    def __init__(
        self,
        server: str | Address,
        ca_file: str | None = None,
        token: str | TokenSource | None = None,
        *,
        adopt: TokenSink | None = None,
    ) -> None:
        self.address = server if isinstance(server, Address) else parse_server(server, ca_file)
        self._token = token
        self._adopt = adopt
        self._http: httpx.AsyncClient | None = None
        self._context: ssl.SSLContext | None = None

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    @property
    def server_key(self) -> str | None:
        """SHA-256 of the key of the pinned server that was met; None without a pin, or before the first answer."""
        return server_key(self._context)

    # --- without a token ---

    async def info(self) -> dict[str, Any]:
        """What the server is: version, registration (open, invite, closed), protocols."""
        return (await self._call("GET", "/v1/info", auth=False))[0]

    async def register(
        self, handle: str, password: str, *, name: str | None = None, invite: str | None = None
    ) -> Account:
        """Make an account. Raises HANDLE_TAKEN, INVITE_INVALID, REGISTRATION_CLOSED, INVALID_REQUEST."""
        body = _without_none(handle=handle.removeprefix("@"), password=password, name=name, invite=invite)
        return _account((await self._call("POST", "/v1/users", body, auth=False))[0])

    async def login(self, handle: str, password: str, *, device_name: str, nonce: str | None = None) -> Session:
        """Link a new device. Raises CREDENTIALS_WRONG, DEVICE_LIMIT, RATE_LIMITED.

        `nonce` is a random text of at least 16 characters: a repeat with the same one, after a lost answer, is
        answered with the same device instead of linking another.
        """
        body = _without_none(handle=handle.removeprefix("@"), password=password, device_name=device_name, nonce=nonce)
        return _session(*await self._call("POST", "/v1/sessions", body, auth=False))

    async def login_with_code(self, handle: str, code: str, *, device_name: str, nonce: str | None = None) -> Session:
        """Link a new device with a code that another one shows. Raises LINK_CODE_INVALID, DEVICE_LIMIT, RATE_LIMITED.

        `nonce` is as in `login`.
        """
        body = _without_none(handle=handle.removeprefix("@"), code=code, device_name=device_name, nonce=nonce)
        return _session(*await self._call("POST", "/v1/sessions/link-code", body, auth=False))

    async def refresh(self, refresh_token: str, nonce: str) -> Tokens:
        """Turn a refresh token into the next one and an access token.

        `nonce` is a random text of at least 16 characters; keep it until this returns and repeat it after a lost
        answer. Another nonce with a used refresh token logs the device out. Raises REFRESH_INVALID.
        """
        body = {"refresh_token": refresh_token, "nonce": nonce}
        said, server_time = await self._call("POST", "/v1/tokens", body, auth=False)
        return Tokens(said["access_token"], said["expires_at"], said["refresh_token"], server_time)

    # --- sessions and devices ---

    async def revoke_token(self) -> None:
        """The access token that this request carries stops working at once."""
        await self._call("POST", "/v1/tokens/revoke")

    async def logout(self) -> None:
        """Unlink this device."""
        await self._call("DELETE", "/v1/sessions/current")

    async def logout_all(self, *, keep_current: bool = False) -> tuple[str, int] | None:
        """Log out everywhere. With `keep_current` returns (access token, expires_at): the old one is void too."""
        said, _ = await self._call(
            "DELETE", "/v1/sessions", params={"keep_current": "true" if keep_current else "false"}
        )
        return await self._adopted(said) if keep_current else None

    async def devices(self) -> list[DeviceInfo]:
        """My linked devices."""
        said, _ = await self._call("GET", "/v1/devices")
        return [
            DeviceInfo(d["device"], d["name"], d["linked_at"], d["seen_at"], d["online"], d["current"])
            for d in said["devices"]
        ]

    async def link_code(self) -> LinkCode:
        """A code that logs in one new device without the password, once and soon. The one before it is void."""
        said, server_time = await self._call("POST", "/v1/me/link-code")
        return LinkCode(said["code"], said["expires_at"], server_time)

    async def unlink(self, device: int) -> None:
        """Log out one of my devices. Raises UNKNOWN_DEVICE."""
        await self._call("DELETE", f"/v1/devices/{device}")

    # --- my account ---

    async def me(self) -> Me:
        return _me((await self._call("GET", "/v1/me"))[0])

    async def update_me(
        self, *, handle: str | None = None, name: str | None = None, privacy: Mapping[str, object] | None = None
    ) -> Me:
        """Change what is given. `privacy` may hold presence, messages, read_receipts. Raises HANDLE_TAKEN."""
        body = _without_none(handle=handle, name=name, privacy=dict(privacy) if privacy is not None else None)
        return _me((await self._call("PATCH", "/v1/me", body))[0])

    async def delete_me(self, password: str) -> None:
        """Delete the account and everything of it. Raises CREDENTIALS_WRONG."""
        await self._call("DELETE", "/v1/me", {"password": password})

    async def change_password(self, old: str, new: str) -> tuple[str, int]:
        """All other devices are logged out. Returns (access token, expires_at). Raises CREDENTIALS_WRONG."""
        said, _ = await self._call("POST", "/v1/me/password", {"old_password": old, "new_password": new})
        return await self._adopted(said)

    async def _adopted(self, said: Mapping[str, Any]) -> tuple[str, int]:
        token, expires_at = said["access_token"], said["expires_at"]
        if isinstance(self._token, str):
            self._token = token
        if self._adopt is not None:
            await self._adopt(token, expires_at)
        return token, expires_at

    # --- lists ---

    async def contacts(self) -> list[Contact]:
        said, _ = await self._call("GET", "/v1/contacts")
        return [Contact(c["user_id"], c["name"] or "", c["added_at"]) for c in said["contacts"]]

    async def put_contact(self, user: str, name: str | None = None) -> None:
        """Raises UnknownUser, LIST_FULL, SELF."""
        await self._call("PUT", f"/v1/contacts/{quote(user)}", _without_none(name=name))

    async def delete_contact(self, user: str) -> None:
        await self._call("DELETE", f"/v1/contacts/{quote(user)}")

    async def blocks(self) -> list[str]:
        said, _ = await self._call("GET", "/v1/blocks")
        return list(said["users"])

    async def block(self, user: str) -> None:
        """Raises UnknownUser, LIST_FULL, SELF."""
        await self._call("PUT", f"/v1/blocks/{quote(user)}")

    async def unblock(self, user: str) -> None:
        await self._call("DELETE", f"/v1/blocks/{quote(user)}")

    # --- others ---

    async def user(self, user: str) -> Account:
        """Raises UnknownUser."""
        return _account((await self._call("GET", f"/v1/users/{quote(user)}"))[0])

    async def handle(self, handle: str) -> Account:
        """Who has this handle. Raises UnknownUser, also for what cannot be a handle."""
        try:
            normal = normal_handle(handle)
        except ValueError as error:
            raise UnknownUser("UNKNOWN_USER", code=1007, status=404, detail=str(error)) from error
        return _account((await self._call("GET", f"/v1/handles/{quote(normal)}"))[0])

    # --- transport ---

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        params: dict[str, str] | None = None,
        auth: bool = True,
    ) -> tuple[dict[str, Any], int]:
        """(answer, server's time). An expired token is replaced once."""
        said = await self._once(method, path, body, params, auth, False)
        if isinstance(said, ApiError) and said.name in _REFRESH_HELPS and callable(self._token):
            said = await self._once(method, path, body, params, auth, True)
        if isinstance(said, ApiError):
            raise said
        return said

    async def _once(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
        auth: bool,
        fresh: bool,
    ) -> tuple[dict[str, Any], int] | ApiError:
        headers = {"Authorization": f"Bearer {await self._access_token(fresh)}"} if auth else {}
        answer = await self._request(method, path, body, params, headers)
        if answer.status_code >= 400:
            return _error(answer.status_code, answer.content)
        try:
            said = answer.json() if answer.content else {}
        except ValueError as error:
            raise Offline(f"{self.address.api_url}{path}: the answer is not JSON") from error
        return said, _server_time(answer.headers.get("Date"))

    async def _access_token(self, fresh: bool) -> str:
        if callable(self._token):
            return await self._token(fresh)
        if self._token is None:
            raise ApiError("TOKEN_INVALID", code=1020, status=401, detail="no token")
        return self._token

    async def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
        headers: dict[str, str],
    ) -> httpx.Response:
        import httpx  # slow to import: only when it is needed

        if self._http is None:
            context = self._context = self.address.ssl_context()
            self._http = httpx.AsyncClient(
                base_url=self.address.api_url,
                verify=True if context is None else context,
                timeout=TIMEOUT_S,
                trust_env=not self.address.loopback,  # no proxy to this machine
            )
        try:
            return await self._http.request(method, path, json=body, params=params, headers=headers)
        except httpx.TransportError as error:
            if (wrong := wrong_certificate(error)) is not None:
                raise wrong from error
            raise Offline(f"{self.address.api_url} cannot be reached: {error or type(error).__name__}") from error


def _error(status: int, content: bytes) -> ApiError:
    try:
        said = json.loads(content)
        name = str(said["title"])
    except (ValueError, KeyError, TypeError):
        return ApiError(f"HTTP_{status}", status=status)
    fields = tuple((str(e.get("field", "")), str(e.get("message", ""))) for e in said.get("errors") or ())
    return (UnknownUser if name == "UNKNOWN_USER" else ApiError)(
        name,
        code=int(said.get("code") or 0),
        status=status,
        detail=str(said.get("detail") or ""),
        retry_after_ms=int(said.get("retry_after_ms") or 0),
        fields=fields,
    )


def _server_time(date: str | None) -> int:
    from email.utils import parsedate_to_datetime

    if date is None:
        return 0
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except ValueError:
        return 0


def _session(said: Mapping[str, Any], server_time: int) -> Session:
    return Session(
        said["user_id"], said["handle"], said["device"], said["access_token"], said["expires_at"],
        said["refresh_token"], server_time,
    )  # fmt: skip


def _account(said: Mapping[str, Any]) -> Account:
    return Account(said["user_id"], said["handle"], said["name"] or "")


def _me(said: Mapping[str, Any]) -> Me:
    privacy = said["privacy"]
    return Me(
        said["user_id"],
        said["handle"],
        said["name"] or "",
        Privacy(privacy["presence"], privacy["messages"], privacy["read_receipts"]),
        said["created_at"],
    )


def _without_none(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
