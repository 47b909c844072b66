"""Routes of accounts: register, one's own account, its password and its end."""

from __future__ import annotations

import secrets

from fastapi import APIRouter

from iris.core.catalogue import ErrorCode
from iris.core.ids import USER_BYTES, invite_unit, user_text, user_unit
from iris.core.requests import (
    Account,
    CreateUser,
    DeleteUser,
    Done,
    GetAccount,
    GetProfile,
    LoggedOut,
    Profile,
    Refused,
    SetPassword,
    UpdateAccount,
)
from iris.core.rows import CONTACTS, EVERYONE, NOBODY
from iris.http.credentials import Known, confirm, who_is
from iris.http.models import (
    AccessAnswer,
    AccountAnswer,
    AccountChange,
    MessagesPrivacy,
    NewUser,
    PasswordChange,
    PasswordProof,
    PresencePrivacy,
    PrivacyAnswer,
    PrivacyChange,
    ProfileAnswer,
)
from iris.http.problems import WITH_TOKEN, Problem, documented, expect
from iris.http.rates import Rate
from iris.http.service import Address, Asker, Service, TheService

router = APIRouter(tags=["accounts"])

_PRESENCE: dict[PresencePrivacy, int] = {"everyone": EVERYONE, "contacts": CONTACTS, "nobody": NOBODY}
_MESSAGES: dict[MessagesPrivacy, int] = {"everyone": EVERYONE, "contacts": CONTACTS}
_PRESENCE_NAMES = {value: name for name, value in _PRESENCE.items()}
_MESSAGES_NAMES = {value: name for name, value in _MESSAGES.items()}


@router.post(
    "/v1/users",
    status_code=201,
    responses=documented(
        ErrorCode.REGISTRATION_CLOSED, ErrorCode.INVITE_INVALID, ErrorCode.HANDLE_TAKEN, ErrorCode.RATE_LIMITED
    ),
)
async def register(body: NewUser, service: TheService, address: Address) -> ProfileAnswer:
    """Make an account. A repeat with the same handle and password gives the account that the first one made."""
    policy = service.settings.registration
    if policy == "closed":
        raise Problem(ErrorCode.REGISTRATION_CLOSED)
    service.spend(Rate.LOGIN_FROM_ADDRESS, address)
    invite = ""
    if policy == "invite":
        invite = body.invite
        try:
            invite_unit(invite)
        except ValueError:
            raise Problem(ErrorCode.INVITE_INVALID) from None
    user = service.settings.home_region.to_bytes(2, "big") + secrets.token_bytes(USER_BYTES - 2)
    encoded = await service.passwords.hash(body.password)
    result = await service.authority.ask(user_unit(user), None, CreateUser(body.handle, body.name, encoded, invite))
    if isinstance(result, Refused) and result.code in (ErrorCode.HANDLE_TAKEN, ErrorCode.INVITE_INVALID):
        earlier = await _registered_before(service, body, address)
        if earlier is not None:
            profile = await service.ask(user_unit(earlier.user), GetProfile(), Profile)
            return ProfileAnswer(user_id=user_text(profile.user), handle=profile.handle, name=profile.name)
    expect(result, Done)
    service.familiar.note(user, address)
    return ProfileAnswer(user_id=user_text(user), handle=body.handle, name=body.name)


async def _registered_before(service: Service, body: NewUser, address: str) -> Known | None:
    """The user of this handle and password. It is no better an oracle than a log-in: the same attempts are counted."""
    try:
        return await who_is(service, body.handle, body.password, address)
    except Problem as problem:
        if problem.code == ErrorCode.RATE_LIMITED:
            return None
        raise


@router.get("/v1/me", responses=documented(*WITH_TOKEN))
async def read_account(service: TheService, auth: Asker) -> AccountAnswer:
    """One's own account."""
    return _account(await service.ask_own(auth, GetAccount(), Account))


@router.patch("/v1/me", responses=documented(*WITH_TOKEN, ErrorCode.HANDLE_TAKEN, ErrorCode.RATE_LIMITED))
async def change_account(body: AccountChange, service: TheService, auth: Asker) -> AccountAnswer:
    """Change handle, name or privacy; what is left out or null stays. A new handle counts as a look-up of it."""
    if body.handle is not None:
        await service.check(auth)
        service.spend(Rate.LOOKUP_BY_USER, user_text(auth.user))
    privacy = body.privacy or PrivacyChange()
    change = UpdateAccount(
        handle=body.handle,
        name=body.name,
        presence=None if privacy.presence is None else _PRESENCE[privacy.presence],
        messages=None if privacy.messages is None else _MESSAGES[privacy.messages],
        read_receipts=privacy.read_receipts,
    )
    return _account(await service.ask_own(auth, change, Account))


@router.delete(
    "/v1/me", status_code=204, responses=documented(*WITH_TOKEN, ErrorCode.CREDENTIALS_WRONG, ErrorCode.RATE_LIMITED)
)
async def delete_account(body: PasswordProof, service: TheService, auth: Asker) -> None:
    """Delete the account and everything in it. It cannot be undone."""
    await confirm(service, auth, body.password)
    await service.ask_own(auth, DeleteUser(), Done)


@router.post("/v1/me/password", responses=documented(*WITH_TOKEN, ErrorCode.CREDENTIALS_WRONG, ErrorCode.RATE_LIMITED))
async def change_password(body: PasswordChange, service: TheService, auth: Asker) -> AccessAnswer:
    """Change the password. All other devices are logged out, and this one gets a new access token.

    When the answer was lost: refresh, then repeat it. That the account already has the new password is success too.
    """
    changed_before = await confirm(service, auth, body.old_password, body.new_password) == 1
    if changed_before:
        return service.access(auth.user, auth.device, auth.gen)
    encoded = await service.passwords.hash(body.new_password)
    logged_out = await service.ask_own(auth, SetPassword(encoded), LoggedOut)
    return service.access(auth.user, auth.device, logged_out.gen)


def _account(account: Account) -> AccountAnswer:
    return AccountAnswer(
        user_id=user_text(account.user),
        handle=account.handle,
        name=account.name,
        privacy=PrivacyAnswer(
            presence=_PRESENCE_NAMES[account.presence],
            messages=_MESSAGES_NAMES[account.messages],
            read_receipts=account.read_receipts,
        ),
        created_at=account.created_at,
    )
