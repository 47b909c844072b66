"""Accounts: registration, devices, tokens' gen, settings, contacts and blocks, as the API asks for them.

A handle (and an invite) belongs to a unit of its own, so claiming one goes through the outbox: the account is
`registering` until the claim is confirmed, and vanishes again when it is refused. One table says which operation is
done by what.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from iris.core import expiry, link_codes, links, outbox, presence
from iris.core.catalogue import ErrorCode
from iris.core.ids import handle_unit, invite_unit, user_unit
from iris.core.requests import (
    Account,
    Auth,
    Blocks,
    CheckToken,
    Contact,
    Contacts,
    CreateUser,
    Credentials,
    DeleteBlock,
    DeleteContact,
    DeleteUser,
    Device,
    Devices,
    Done,
    GetAccount,
    GetCredentials,
    GetProfile,
    LinkDevice,
    ListBlocks,
    ListContacts,
    ListDevices,
    LogoutAll,
    LogoutDevice,
    MakeLinkCode,
    Profile,
    PutBlock,
    PutContact,
    RedeemLinkCode,
    Refused,
    Request,
    Result,
    RevokeToken,
    RotateRefresh,
    SetPassword,
    UpdateAccount,
    UpgradePassword,
)
from iris.core.rows import (
    CONTACTS,
    EVERYONE,
    STATE_ACTIVE,
    STATE_DELETED,
    STATE_REGISTERING,
    AccountRow,
    BlockRow,
    ContactRow,
    DropUnit,
    Gone,
    RevokedRow,
)
from iris.core.sessions import stands
from iris.core.tables import own
from iris.core.turn import Turn
from iris.core.user import User

WAITS_FOR_CLAIM = "claim"
OPEN = frozenset(
    {CreateUser, GetCredentials, LinkDevice, RedeemLinkCode, UpgradePassword, RotateRefresh, GetProfile}
)  # asked without a token


def on_request(user: User, request: Request, turn: Turn) -> None:
    """One question of the API."""
    operation = request.operation
    try:
        action = ACTIONS[type(operation)]
    except KeyError:
        turn.reply(request.id, Refused(int(ErrorCode.INVALID_REQUEST)))
        return
    auth = request.auth
    if type(operation) not in OPEN and (auth is None or auth.user != user.id or not stands(user, auth)):
        turn.reply(request.id, Refused(int(ErrorCode.TOKEN_REVOKED)))
        return
    result = action(user, request, turn)
    if result is not None:
        if isinstance(result, Refused):
            turn.count_code("iris_refused_total", result.code)
        turn.reply(request.id, result)


def on_claimed(user: User, name: bytes, turn: Turn) -> None:
    """A name unit has confirmed a claim: the next step of a registration or a change of handle."""
    account = user.account
    if account is None:
        return
    if name.startswith(b"!"):
        user.outbox.add(turn, handle_unit(account.wanted_handle), (outbox.CLAIM,))
        return
    if name != handle_unit(account.wanted_handle):
        return
    if account.handle:
        user.outbox.add(turn, handle_unit(account.handle), (outbox.RELEASE,))
    created = account.state == STATE_REGISTERING
    _write_account(
        user, account._replace(state=STATE_ACTIVE, handle=account.wanted_handle, wanted_handle="", invite=""), turn
    )
    _answer_claim(user, Done() if created else _account(user), turn)


def on_claim_refused(user: User, name: bytes, turn: Turn) -> None:
    """A name unit has refused a claim."""
    account = user.account
    if account is None:
        return
    code = ErrorCode.INVITE_INVALID if name.startswith(b"!") else ErrorCode.HANDLE_TAKEN
    if account.state == STATE_REGISTERING:
        user.account = None
        turn.write(DropUnit(user.id))
        if account.invite and not name.startswith(b"!"):
            user.outbox.add(turn, invite_unit(account.invite), (outbox.RELEASE,))
    elif name == handle_unit(account.wanted_handle):
        _write_account(user, account._replace(wanted_handle=""), turn)
    _answer_claim(user, Refused(int(code)), turn)


def contacts_changed(user: User, turn: Turn) -> None:
    """Contacts, blocks or privacy are other than before."""
    presence.privacy_changed(user, turn)


def _create(user: User, request: Request, turn: Turn) -> Result | None:
    operation = request.operation
    assert isinstance(operation, CreateUser)
    if user.account is not None:
        return Refused(int(ErrorCode.HANDLE_TAKEN))
    _write_account(
        user,
        AccountRow(
            user.id, STATE_REGISTERING, "", operation.handle, operation.invite, operation.name, operation.password, 1,
            EVERYONE, EVERYONE, True, turn.now.wall, 1,
        ),
        turn,
    )  # fmt: skip
    _wait_for_claim(user, request)
    first = invite_unit(operation.invite) if operation.invite else handle_unit(operation.handle)
    user.outbox.add(turn, first, (outbox.CLAIM,))
    return None


def _credentials(user: User, request: Request, turn: Turn) -> Result:
    if not user.active or user.account is None:
        return Refused(int(ErrorCode.UNKNOWN_USER))
    return Credentials(user.account.password, user.account.gen)


def _link(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, LinkDevice)
    if not user.active:
        return Refused(int(ErrorCode.UNKNOWN_USER))
    return links.link(user, operation.name, operation.refresh, turn)


def _make_link_code(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, MakeLinkCode)
    return link_codes.make(user, operation.digest, _auth(request).device, turn)


def _redeem_link_code(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, RedeemLinkCode)
    return link_codes.redeem(user, operation, turn)


def _upgrade_password(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, UpgradePassword)
    if user.active and user.account is not None and hmac.compare_digest(user.account.password, operation.before):
        _write_account(user, user.account._replace(password=operation.after), turn)
    return Done()


def _rotate(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, RotateRefresh)
    device = user.device(operation.device)
    if not user.active or device is None:
        return Refused(int(ErrorCode.REFRESH_INVALID))
    row = device.row
    if hmac.compare_digest(operation.presented, row.refresh):
        return links.rotate(user, device, operation.next, turn)
    if hmac.compare_digest(operation.presented, row.refresh_before):
        if hmac.compare_digest(operation.next, row.refresh):
            return links.rotated(user)  # the same request again
        turn.count("iris_refresh_reuse_total")
        links.unlink(user, device.number, turn)
    return Refused(int(ErrorCode.REFRESH_INVALID))


def _check(user: User, request: Request, turn: Turn) -> Result:
    return Done()


def _logout(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, LogoutDevice)
    device = operation.device or _auth(request).device
    if user.device(device) is None:
        return Refused(int(ErrorCode.UNKNOWN_DEVICE))
    links.unlink(user, device, turn)
    return Done()


def _logout_all(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, LogoutAll)
    return links.unlink_all(user, _auth(request).device if operation.keep_current else 0, turn)


def _revoke(user: User, request: Request, turn: Turn) -> Result:
    auth = _auth(request)
    user.link_code = None  # whoever has the token may have asked for it
    ended = expiry.certain(turn.now, turn.limits.message_days) - links.CLOCK_MARGIN_MS
    for jti, until in list(user.revoked.items()):
        if until < ended:
            del user.revoked[jti]
            turn.write(Gone(RevokedRow(user.id, jti, 0)))
    if len(user.revoked) >= turn.limits.revoked_tokens_max:
        links.unlink_all(user, 0, turn)
        return Done()
    user.revoked = own(user.revoked)
    user.revoked[auth.jti] = auth.expires_at
    turn.write(RevokedRow(user.id, auth.jti, auth.expires_at))
    turn.count("iris_revocations_total")
    links.close_token(user, auth.jti, turn)
    return Done()


def _get(user: User, request: Request, turn: Turn) -> Result:
    return _account(user)


def _update(user: User, request: Request, turn: Turn) -> Result | None:
    operation, account = request.operation, user.account
    assert isinstance(operation, UpdateAccount)
    assert account is not None
    new_handle = operation.handle is not None and operation.handle != account.handle
    if new_handle and account.wanted_handle:
        return Refused(int(ErrorCode.OVERLOADED), 1_000, "another change of handle is under way")
    changed = account._replace(
        wanted_handle=operation.handle if new_handle and operation.handle else account.wanted_handle,
        name=account.name if operation.name is None else operation.name,
        presence=operation.presence or account.presence,
        messages=operation.messages or account.messages,
        read_receipts=account.read_receipts if operation.read_receipts is None else operation.read_receipts,
    )
    if changed != account:
        _write_account(user, changed, turn)
    if changed.presence != account.presence:
        contacts_changed(user, turn)
    if new_handle:
        _wait_for_claim(user, request)
        user.outbox.add(turn, handle_unit(changed.wanted_handle), (outbox.CLAIM,))
        return None
    return _account(user)


def _set_password(user: User, request: Request, turn: Turn) -> Result:
    operation, account = request.operation, user.account
    assert isinstance(operation, SetPassword)
    assert account is not None
    _write_account(user, account._replace(password=operation.password), turn)
    return links.unlink_all(user, _auth(request).device, turn)


def _delete(user: User, request: Request, turn: Turn) -> Result:
    account = user.account
    assert account is not None
    turn.count("iris_deleted_total", sum(user.pos - device.pos for device in user.devices))
    links.unlink_all(user, 0, turn)
    user.account = AccountRow(
        user.id, STATE_DELETED, "", "", "", "", "", account.gen + 1, EVERYONE, EVERYONE, False, account.created_at, 0
    )
    presence.privacy_changed(user, turn)
    user.outbox.add(turn, handle_unit(account.handle), (outbox.RELEASE,))
    if account.wanted_handle:  # a claim under way: it is confirmed or refused before this
        user.outbox.add(turn, handle_unit(account.wanted_handle), (outbox.RELEASE,))
        _answer_claim(user, Refused(int(ErrorCode.TOKEN_REVOKED)), turn)
    turn.write(DropUnit(user.id))
    turn.write(user.account)
    user.outbox.write_all(turn)
    user.forget_all()
    return Done()


def _devices(user: User, request: Request, turn: Turn) -> Result:
    current = _auth(request).device
    return Devices(
        tuple(
            Device(
                device.number, device.row.name, device.row.linked_at,
                turn.now.wall if user.session_at(device.number) else device.row.seen_at,
                user.session_at(device.number) is not None, device.number == current,
            )
            for device in user.devices
        )
    )  # fmt: skip


def _put_contact(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, PutContact)
    if operation.contact == user.id:
        return Refused(int(ErrorCode.SELF))
    old = user.contacts.get(operation.contact)
    if old is None and len(user.contacts) >= turn.limits.contacts_max:
        return Refused(int(ErrorCode.LIST_FULL))
    row = ContactRow(user.id, operation.contact, operation.name, old.added_at if old else turn.now.wall)
    user.contacts = own(user.contacts)
    user.contacts[operation.contact] = row
    turn.write(row)
    if old is None and user.account is not None and user.account.presence == CONTACTS:
        contacts_changed(user, turn)
    return Done()


def _delete_contact(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, DeleteContact)
    row = user.contacts.pop(operation.contact, None)
    if row is not None:
        turn.write(Gone(row))
        contacts_changed(user, turn)
    return Done()


def _contacts(user: User, request: Request, turn: Turn) -> Result:
    return Contacts(tuple(Contact(row.contact, row.name, row.added_at) for row in user.contacts.values()))


def _put_block(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, PutBlock)
    if operation.other == user.id:
        return Refused(int(ErrorCode.SELF))
    standing = sum(row.version % 2 for row in user.blocks.values())
    old = user.blocks.get(operation.other)
    if (old is None or old.version % 2 == 0) and standing >= turn.limits.blocks_max:
        return Refused(int(ErrorCode.LIST_FULL))
    if old is None and len(user.blocks) >= 2 * turn.limits.blocks_max:
        _forget_ended_blocks(user, turn)
        if len(user.blocks) >= 2 * turn.limits.blocks_max:
            return Refused(int(ErrorCode.LIST_FULL))
    return _set_block(user, operation.other, True, turn)


def _forget_ended_blocks(user: User, turn: Turn) -> None:
    """Those of earlier epochs: a new block of the same user has a higher version all the same."""
    for other, row in list(user.blocks.items()):
        if row.version % 2 == 0 and row.version < _first_version(turn):
            del user.blocks[other]
            turn.write(Gone(row))


def _first_version(turn: Turn) -> int:
    """Above every version of an earlier epoch, so that a block made after a restore is not taken for an old one."""
    return turn.epoch << 20


def _delete_block(user: User, request: Request, turn: Turn) -> Result:
    operation = request.operation
    assert isinstance(operation, DeleteBlock)
    return _set_block(user, operation.other, False, turn)


def _set_block(user: User, other: bytes, on: bool, turn: Turn) -> Result:
    old = user.blocks.get(other)
    version = old.version if old else 0
    if (version % 2 == 1) != on:
        user.blocks = own(user.blocks)
        row = user.blocks[other] = BlockRow(user.id, other, max(version + 1, _first_version(turn) + on))
        turn.write(row)
        user.outbox.raise_register(turn, user_unit(other), outbox.BLOCK, b"", row.version)
        contacts_changed(user, turn)
    return Done()


def _blocks(user: User, request: Request, turn: Turn) -> Result:
    return Blocks(tuple(other for other, row in user.blocks.items() if row.version % 2 == 1))


def _profile(user: User, request: Request, turn: Turn) -> Result:
    account = user.account
    if not user.active or account is None:
        return Refused(int(ErrorCode.UNKNOWN_USER))
    return Profile(user.id, account.handle, account.name)


def _auth(request: Request) -> Auth:
    assert request.auth is not None
    return request.auth


def _account(user: User) -> Account:
    account = user.account
    assert account is not None
    return Account(
        user.id, account.handle, account.name, account.presence, account.messages, account.read_receipts,
        account.created_at,
    )  # fmt: skip


def _write_account(user: User, account: AccountRow, turn: Turn) -> None:
    user.account = account
    turn.write(account)


def _wait_for_claim(user: User, request: Request) -> None:
    user.waiting_requests = own(user.waiting_requests)
    user.waiting_requests[WAITS_FOR_CLAIM] = request.id


def _answer_claim(user: User, result: Result, turn: Turn) -> None:
    request = user.waiting_requests.pop(WAITS_FOR_CLAIM, None)
    if request is not None:
        turn.reply(request, result)


ACTIONS: dict[type[Any], Callable[[User, Request, Turn], Result | None]] = {
    CreateUser: _create,
    GetCredentials: _credentials,
    LinkDevice: _link,
    MakeLinkCode: _make_link_code,
    RedeemLinkCode: _redeem_link_code,
    UpgradePassword: _upgrade_password,
    RotateRefresh: _rotate,
    CheckToken: _check,
    LogoutDevice: _logout,
    LogoutAll: _logout_all,
    RevokeToken: _revoke,
    GetAccount: _get,
    UpdateAccount: _update,
    SetPassword: _set_password,
    DeleteUser: _delete,
    ListDevices: _devices,
    PutContact: _put_contact,
    DeleteContact: _delete_contact,
    ListContacts: _contacts,
    PutBlock: _put_block,
    DeleteBlock: _delete_block,
    ListBlocks: _blocks,
    GetProfile: _profile,
}
