"""An Authority in memory that keeps the rules of iris.core.requests: what a shard would answer, without shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from iris.core import requests as rq
from iris.core.catalogue import ErrorCode
from iris.core.ids import handle_unit, invite_unit, user_unit
from iris.core.requests import Auth, Done, Operation, Refused, Result
from iris.core.rows import EVERYONE


@dataclass
class FakeDevice:
    name: str
    linked_at: int
    refresh: bytes
    before: bytes = b""


@dataclass
class FakeUser:
    user: bytes
    handle: str
    name: str
    password: str
    created_at: int
    gen: int = 1
    presence: int = EVERYONE
    messages: int = EVERYONE
    read_receipts: bool = True
    next_device: int = 1
    link_code: bytes = b""
    devices: dict[int, FakeDevice] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    contacts: dict[bytes, rq.Contact] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)


class FakeAuthority:
    """`refuse_next` answers the next question; `before_answer` is called before each (to change things in between)."""

    def __init__(self, clock: Callable[[], int], *, devices_max: int = 4, list_max: int = 3) -> None:
        self.clock = clock
        self.devices_max = devices_max
        self.list_max = list_max
        self.users: dict[bytes, FakeUser] = {}
        self.names: dict[bytes, bytes] = {}
        self.invites: dict[bytes, int] = {}
        self.asked: list[tuple[bytes, Auth | None, Operation]] = []
        self.refuse_next: Refused | None = None
        self.before_answer: Callable[[Operation], None] = lambda operation: None

    def invite(self, code: str, uses: int) -> None:
        self.invites[invite_unit(code)] = uses

    async def ask(self, unit: bytes, auth: Auth | None, operation: Operation) -> Result:
        self.asked.append((unit, auth, operation))
        self.before_answer(operation)
        if self.refuse_next is not None:
            answer, self.refuse_next = self.refuse_next, None
            return answer
        if isinstance(operation, rq.LookUpName):
            return rq.NameHolders((self.names[unit],) if unit in self.names else ())
        if isinstance(operation, rq.CreateUser):
            return self._create(unit, operation)
        user = self.users.get(unit)
        if user is None:
            return Refused(ErrorCode.UNKNOWN_USER)
        if isinstance(
            operation,
            (rq.GetCredentials, rq.LinkDevice, rq.RedeemLinkCode, rq.UpgradePassword, rq.RotateRefresh, rq.GetProfile),
        ):
            return self._without_token(user, operation)
        if auth is None or not self._stands(user, auth):
            return Refused(ErrorCode.TOKEN_REVOKED)
        return self._with_token(user, auth, operation)

    def _stands(self, user: FakeUser, auth: Auth) -> bool:
        known = auth.user == user.user and auth.gen == user.gen and auth.device in user.devices
        return known and auth.jti not in user.revoked

    def _create(self, unit: bytes, operation: rq.CreateUser) -> Result:
        if operation.invite:
            code = invite_unit(operation.invite)
            if self.invites.get(code, 0) < 1:
                return Refused(ErrorCode.INVITE_INVALID)
        if handle_unit(operation.handle) in self.names:
            return Refused(ErrorCode.HANDLE_TAKEN)
        if operation.invite:
            self.invites[invite_unit(operation.invite)] -= 1
        self.names[handle_unit(operation.handle)] = unit[1:]
        self.users[unit] = FakeUser(unit[1:], operation.handle, operation.name, operation.password, self.clock())
        return Done()

    def _without_token(self, user: FakeUser, operation: Operation) -> Result:
        match operation:
            case rq.GetCredentials():
                return rq.Credentials(user.password, user.gen)
            case rq.GetProfile():
                return rq.Profile(user.user, user.handle, user.name)
            case rq.UpgradePassword(before, after):
                if user.password == before:
                    user.password = after
                return Done()
            case rq.RedeemLinkCode(digest, name, refresh):
                if user.link_code != digest:
                    return Refused(ErrorCode.LINK_CODE_INVALID)
                linked = self._without_token(user, rq.LinkDevice(name, refresh))
                user.link_code = b"" if isinstance(linked, rq.Linked) else digest
                return linked
            case rq.LinkDevice(name, refresh):
                for number, device in user.devices.items():
                    if device.refresh == refresh:
                        return rq.Linked(number, user.gen)
                if len(user.devices) >= self.devices_max:
                    return Refused(ErrorCode.DEVICE_LIMIT)
                number, user.next_device = user.next_device, user.next_device + 1
                user.devices[number] = FakeDevice(name, self.clock(), refresh)
                return rq.Linked(number, user.gen)
            case rq.RotateRefresh(number, presented, following):
                found = user.devices.get(number)
                if found is not None and found.refresh == presented:
                    found.before, found.refresh = presented, following
                    return rq.Rotated(user.gen)
                if found is not None and found.before == presented:
                    if found.refresh == following:
                        return rq.Rotated(user.gen)
                    del user.devices[number]
                return Refused(ErrorCode.REFRESH_INVALID)
        raise AssertionError(operation)

    def _with_token(self, user: FakeUser, auth: Auth, operation: Operation) -> Result:
        match operation:
            case rq.CheckToken():
                return Done()
            case rq.MakeLinkCode(digest):
                user.link_code = digest
                return rq.LinkCodeMade(self.clock() + 300_000)
            case rq.LogoutDevice(number):
                if user.devices.pop(number or auth.device, None) is None:
                    return Refused(ErrorCode.UNKNOWN_DEVICE)
                return Done()
            case rq.LogoutAll(keep_current):
                user.devices = {auth.device: user.devices[auth.device]} if keep_current else {}
                user.gen += 1
                return rq.LoggedOut(user.gen)
            case rq.RevokeToken():
                user.revoked.add(auth.jti)
                return Done()
            case rq.SetPassword(password):
                user.password = password
                user.devices = {auth.device: user.devices[auth.device]}
                user.gen += 1
                return rq.LoggedOut(user.gen)
            case rq.DeleteUser():
                del self.users[user_unit(user.user)]
                del self.names[handle_unit(user.handle)]
                return Done()
            case rq.ListDevices():
                return rq.Devices(
                    tuple(
                        rq.Device(number, d.name, d.linked_at, 0, False, number == auth.device)
                        for number, d in user.devices.items()
                    )
                )
            case rq.GetAccount() | rq.UpdateAccount():
                return self._account(user, operation)
        return self._lists(user, operation)

    def _account(self, user: FakeUser, change: rq.GetAccount | rq.UpdateAccount) -> Result:
        if isinstance(change, rq.UpdateAccount):
            if change.handle is not None and change.handle != user.handle:
                if handle_unit(change.handle) in self.names:
                    return Refused(ErrorCode.HANDLE_TAKEN)
                self.names[handle_unit(change.handle)] = self.names.pop(handle_unit(user.handle))
            for name, value in change._asdict().items():
                if value is not None:
                    setattr(user, name, value)
        return rq.Account(
            user.user, user.handle, user.name, user.presence, user.messages, user.read_receipts, user.created_at
        )

    def _lists(self, user: FakeUser, operation: Operation) -> Result:
        match operation:
            case rq.ListContacts():
                return rq.Contacts(tuple(user.contacts.values()))
            case rq.DeleteContact(other):
                user.contacts.pop(other, None)
                return Done()
            case rq.ListBlocks():
                return rq.Blocks(tuple(user.blocks))
            case rq.DeleteBlock(other):
                user.blocks = [one for one in user.blocks if one != other]
                return Done()
            case rq.PutContact(other, name):
                if other == user.user:
                    return Refused(ErrorCode.SELF)
                if other not in user.contacts and len(user.contacts) >= self.list_max:
                    return Refused(ErrorCode.LIST_FULL)
                user.contacts[other] = rq.Contact(other, name, self.clock())
                return Done()
            case rq.PutBlock(other):
                if other == user.user:
                    return Refused(ErrorCode.SELF)
                if other not in user.blocks:
                    if len(user.blocks) >= self.list_max:
                        return Refused(ErrorCode.LIST_FULL)
                    user.blocks.append(other)
                return Done()
        raise AssertionError(operation)
