"""What the HTTP API asks of a unit's shard, and what it is told. The shard is the authority: it checks `auth` itself.

A request is sent to the unit it concerns (`Request.unit`) and answered with a result record of this file, or a Refused.
"""

from __future__ import annotations

from typing import NamedTuple


class Auth(NamedTuple):
    """The claims of a token whose signature and times were checked."""

    user: bytes
    device: int
    gen: int
    jti: str
    expires_at: int  # ms since 1970


class Refused(NamedTuple):
    """An error of errors.toml."""

    code: int
    retry_after_ms: int = 0
    detail: str = ""


class Done(NamedTuple):
    """It is done, and durable."""


# --- asked without a token ---
class CreateUser(NamedTuple):
    """To the new user's unit. Answered with Done when handle (and invite) are confirmed; HANDLE_TAKEN,
    INVITE_INVALID.
    """

    handle: str
    name: str
    password: str  # argon2id, encoded
    invite: str  # "" when registration is open


class GetCredentials(NamedTuple):
    """To a user's unit, before a log-in. Answered with Credentials or UNKNOWN_USER."""


class Credentials(NamedTuple):
    password: str
    gen: int


class LinkDevice(NamedTuple):
    """To a user's unit, after the password was checked. Answered with Linked or DEVICE_LIMIT.

    A device that has this very `refresh` as its newest: the same log-in again, answered with that device.
    """

    name: str
    refresh: bytes  # SHA-256 of the refresh secret


class Linked(NamedTuple):
    device: int
    gen: int


class RedeemLinkCode(NamedTuple):
    """To a user's unit, by a new device. Answered with Linked, LINK_CODE_INVALID or DEVICE_LIMIT (the code stays good).

    A device that was linked a moment ago with this very `refresh`: the same again, answered with that device.
    """

    digest: bytes  # of the code, keyed: see http/credentials.py
    name: str
    refresh: bytes  # SHA-256 of the refresh secret


class UpgradePassword(NamedTuple):
    """To a user's unit, after a log-in: the same password, hashed with today's parameters. Answered with Done.

    Nobody is logged out. Nothing is changed when the stored hash is not `before`.
    """

    before: str
    after: str


class RotateRefresh(NamedTuple):
    """To a user's unit. Answered with Rotated or REFRESH_INVALID.

    presented equals the newest secret: `next` becomes the newest. presented equals the one before and `next` equals
    the newest: the same request again, the same answer. presented equals the one before otherwise: it was stolen or
    copied, and the device is logged out.
    """

    device: int
    presented: bytes  # SHA-256 of the presented secret
    next: bytes  # SHA-256 of the secret that follows; derived from the presented one and the client's nonce


class Rotated(NamedTuple):
    gen: int


class LookUpName(NamedTuple):
    """To a name unit. Answered with NameHolders (empty when nobody has it)."""


class NameHolders(NamedTuple):
    users: tuple[bytes, ...]


class CreateInvite(NamedTuple):
    """To an invite's unit, by the operator. Answered with Done."""

    uses: int


# --- asked with a token; TOKEN_REVOKED when the token does not stand ---
class CheckToken(NamedTuple):
    """Answered with Done."""


class MakeLinkCode(NamedTuple):
    """A code with which one new device may be linked; the one before it is void. Answered with LinkCodeMade."""

    digest: bytes


class LinkCodeMade(NamedTuple):
    expires_at: int


class LogoutDevice(NamedTuple):
    """Unlink a device (0: the asking one). Answered with Done or UNKNOWN_DEVICE. Its sessions are closed first."""

    device: int


class LogoutAll(NamedTuple):
    """gen + 1, every device unlinked (the asking one too unless keep_current). Answered with LoggedOut."""

    keep_current: bool


class LoggedOut(NamedTuple):
    gen: int


class RevokeToken(NamedTuple):
    """The asking token itself stops working. Answered with Done."""


class GetAccount(NamedTuple):
    """Answered with Account."""


class Account(NamedTuple):
    user: bytes
    handle: str
    name: str
    presence: int
    messages: int
    read_receipts: bool
    created_at: int


class UpdateAccount(NamedTuple):
    """None leaves a field as it is. Answered with Account, or HANDLE_TAKEN."""

    handle: str | None
    name: str | None
    presence: int | None
    messages: int | None
    read_receipts: bool | None


class SetPassword(NamedTuple):
    """After the old one was checked. Other devices are logged out (gen + 1). Answered with LoggedOut (the new gen)."""

    password: str


class DeleteUser(NamedTuple):
    """Everything of the user goes; the handle is free again. Answered with Done."""


class ListDevices(NamedTuple):
    """Answered with Devices."""


class Device(NamedTuple):
    device: int
    name: str
    linked_at: int
    seen_at: int
    online: bool
    current: bool


class Devices(NamedTuple):
    devices: tuple[Device, ...]


class PutContact(NamedTuple):
    """Answered with Done, SELF or LIST_FULL. That the contact exists was asked of its own shard."""

    contact: bytes
    name: str


class DeleteContact(NamedTuple):
    contact: bytes


class ListContacts(NamedTuple):
    """Answered with Contacts."""


class Contact(NamedTuple):
    user: bytes
    name: str
    added_at: int


class Contacts(NamedTuple):
    contacts: tuple[Contact, ...]


class PutBlock(NamedTuple):
    """Answered with Done, SELF or LIST_FULL."""

    other: bytes


class DeleteBlock(NamedTuple):
    other: bytes


class ListBlocks(NamedTuple):
    """Answered with Blocks."""


class Blocks(NamedTuple):
    users: tuple[bytes, ...]


class GetProfile(NamedTuple):
    """What anyone logged in may know of a user; sent to that user's unit, so `auth` was checked by the asker's
    shard.
    """


class Profile(NamedTuple):
    user: bytes
    handle: str
    name: str


Operation = (
    CreateUser | GetCredentials | LinkDevice | RedeemLinkCode | UpgradePassword | RotateRefresh | LookUpName
    | CreateInvite | CheckToken | MakeLinkCode | LogoutDevice | LogoutAll | RevokeToken | GetAccount | UpdateAccount
    | SetPassword | DeleteUser | ListDevices | PutContact | DeleteContact | ListContacts | PutBlock | DeleteBlock
    | ListBlocks | GetProfile
)  # fmt: skip
Result = (
    Refused | Done | Credentials | Linked | LinkCodeMade | Rotated | NameHolders | LoggedOut | Account | Devices
    | Contacts | Blocks | Profile
)  # fmt: skip


class Request(NamedTuple):
    """One question to a unit's shard; `id` is the asker's and comes back with the answer."""

    id: int
    unit: bytes
    auth: Auth | None
    operation: Operation
