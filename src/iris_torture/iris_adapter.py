"""Iris as a target, through its own SDK."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import iris_sdk as sdk
from iris_sdk.ids import user_text
from iris_torture.adapter import Happened, Held, Identity, TargetError

PAGE = 1024
SCREEN = 10_000_000


class IrisDevice:
    """A profile of the Iris SDK in use."""

    def __init__(self, client: sdk.Client) -> None:
        self._client = client

    async def send(self, to: str, texts: Sequence[str]) -> list[tuple[str, int]]:
        try:
            return [(sent.message_id, sent.n) for sent in await self._client.send_many(to, texts)]
        except sdk.IrisError as error:
            raise TargetError(f"{type(error).__name__}: {error}") from error

    async def read(self, conversation: str, seq: int) -> None:
        await self._client.mark_read(sdk.Message(0, "", conversation, "", 0, seq, 0, None, b"", 0))

    async def chatter(self, to: str) -> None:
        with contextlib.suppress(sdk.IrisError):
            await self._client.watch([to])
            await self._client.set_typing(to)

    async def events(self, after: int) -> AsyncIterator[Happened]:
        async for event in self._client.events(after=after):
            match event:
                case sdk.Message() | sdk.OwnCopy():
                    data: dict[str, object] = {
                        "id": event.message_id, "sender": event.sender, "number": event.device,
                        "conversation": event.conversation, "seq": event.seq, "at": event.at,
                        "own": isinstance(event, sdk.OwnCopy), "state": getattr(event, "state", ""),
                    }  # fmt: skip
                    yield Happened(event.n, "shown", data, event.text or "")
                case sdk.StateChange():
                    data = {
                        "id": event.message_id, "state": event.state, "seq": event.seq, "at": event.at,
                        "code": event.code,
                    }  # fmt: skip
                    yield Happened(event.n, "state", data)
                case sdk.HistoryGap():
                    yield Happened(event.n, "gap", {})
                case sdk.ConnectionChange():
                    yield Happened(0, "connection", {"state": str(event.state), "reason": event.reason})
                case sdk.ReadSync():
                    yield Happened(event.n, "read_sync", {"conversation": event.conversation, "seq": event.seq})
                case _:
                    pass  # presence and typing promise nothing

    def position(self) -> int:
        after = newest = 0
        while rows := self._client.history(None, after=after, limit=PAGE):
            after = rows[-1].n
            newest = max(newest, *(row.changed for row in rows))
        return newest

    def held(self) -> list[Held]:
        found: list[Held] = []
        after = 0
        while rows := self._client.history(None, after=after, limit=PAGE):
            after = rows[-1].n
            found += [
                Held(row.message_id, row.n, row.peer, row.text or "", row.state, row.kind == "sent")
                for row in rows
                if row.kind != "gap"
            ]
        return found

    def screens(self) -> dict[str, list[tuple[str, int]]]:
        return {
            talk.peer: [
                (row.message_id, row.at)
                for row in self._client.conversation(talk.peer, limit=SCREEN)
                if row.state not in ("queued", "refused")
            ]
            for talk in self._client.conversations()
            if talk.peer
        }

    def state(self) -> str:
        return str(self._client.state)

    async def waiting(self) -> int:
        return await self._client.flush(timeout=0)

    async def close(self) -> None:
        await self._client.close()


class IrisTarget:
    """One Iris server. `ca_file`: a private certificate authority to trust."""

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        self._url, self._ca_file = url, ca_file

    async def check(self) -> str:
        try:
            async with sdk.ApiClient(self._url, self._ca_file) as api:
                info = await api.info()
        except sdk.IrisError as error:
            raise TargetError(str(error)) from error
        return f"Iris {info.get('version', '')}, registration {info.get('registration', '')}"

    def nobody(self) -> str:
        return user_text(b"\x00\x00" + secrets.token_bytes(14))

    async def register(self, handle: str, password: str, invite: str | None) -> None:
        try:
            await sdk.register(self._url, handle, password, invite=invite, ca_file=self._ca_file)
        except sdk.IrisError as error:
            raise TargetError(str(error)) from error

    async def link(self, profile: Path, handle: str, password: str, name: str) -> None:
        try:
            await sdk.login(profile, self._url, handle, password, device_name=name, ca_file=self._ca_file)
        except sdk.IrisError as error:
            raise TargetError(str(error)) from error

    async def unlink(self, profile: Path) -> None:
        try:
            async with sdk.Client(profile, hold=False) as client:
                await client.api.logout()
        except sdk.IrisError as error:
            raise TargetError(str(error)) from error

    def exists(self, profile: Path) -> bool:
        return sdk.profile_info(profile) is not None

    def identity(self, profile: Path) -> Identity:
        info = sdk.profile_info(profile)
        if info is None:
            raise TargetError(f"no profile in {profile}")
        return Identity(info.user, info.device)

    async def open(self, profile: Path, hold: bool = True) -> IrisDevice:
        try:
            return IrisDevice(await sdk.Client(profile, hold=hold).open())
        except sdk.IrisError as error:
            raise TargetError(str(error)) from error
