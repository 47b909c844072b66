"""Routes of sessions and tokens: log in (link a device), refresh, log out."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_text, user_unit
from iris.core.requests import (
    Auth,
    Credentials,
    Done,
    GetCredentials,
    LinkDevice,
    Linked,
    LoggedOut,
    LogoutAll,
    LogoutDevice,
    Refused,
    RevokeToken,
    Rotated,
    RotateRefresh,
    UpgradePassword,
)
from iris.core.tokens import LIFETIME_MS_MAX
from iris.http import link_codes
from iris.http.credentials import (
    BY_PASSWORD,
    Known,
    RefreshToken,
    first_secret,
    next_secret,
    read_refresh_token,
    who_is,
)
from iris.http.models import AccessAnswer, LinkCodeLogIn, LogIn, Refresh, SessionAnswer, TokensAnswer
from iris.http.problems import WITH_TOKEN, Problem, documented, expect
from iris.http.rates import Rate
from iris.http.service import Address, Asker, Service, TheService

router = APIRouter(tags=["sessions"])


@router.post(
    "/v1/sessions",
    status_code=201,
    responses=documented(ErrorCode.CREDENTIALS_WRONG, ErrorCode.DEVICE_LIMIT, ErrorCode.RATE_LIMITED),
)
async def log_in(body: LogIn, service: TheService, address: Address) -> SessionAnswer:
    """Log in: link a device and get its tokens."""
    service.spend(Rate.LOGIN_FROM_ADDRESS, address)
    known = await who_is(service, body.handle, body.password, address)
    if known is None:
        raise Problem(ErrorCode.CREDENTIALS_WRONG)
    secret = first_secret(service.keys.refresh, BY_PASSWORD, known.user, known.credentials.password, body.nonce)
    linked = await service.ask(user_unit(known.user), LinkDevice(body.device_name, _digest(secret)), Linked)
    if linked.gen != known.credentials.gen:
        await _same_password(service, known, linked)
    elif service.passwords.outdated(known.credentials.password):
        encoded = await service.passwords.hash(body.password)
        # When it is refused the old hash stays, and the next log-in tries again.
        await service.authority.ask(
            user_unit(known.user), None, UpgradePassword(before=known.credentials.password, after=encoded)
        )
    return _session(service, body.handle, linked.gen, RefreshToken(known.user, linked.device, secret))


async def _same_password(service: Service, known: Known, linked: Linked) -> None:
    """Sessions were logged out while this log-in was under way: with a password that has changed it must not stand.

    Raises Problem(CREDENTIALS_WRONG) after the device was unlinked again.
    """
    now = await service.ask(user_unit(known.user), GetCredentials(), Credentials)
    if now.password == known.credentials.password:
        return
    auth = Auth(known.user, linked.device, linked.gen, "unlink", service.clock() + LIFETIME_MS_MAX)
    await service.authority.ask(user_unit(known.user), auth, LogoutDevice(0))
    raise Problem(ErrorCode.CREDENTIALS_WRONG)


@router.post(
    "/v1/sessions/link-code",
    status_code=201,
    responses=documented(ErrorCode.LINK_CODE_INVALID, ErrorCode.DEVICE_LIMIT, ErrorCode.RATE_LIMITED),
)
async def log_in_with_code(body: LinkCodeLogIn, service: TheService, address: Address) -> SessionAnswer:
    """Log in with a link code that another device of the account shows: link a device and get its tokens."""
    service.spend(Rate.LOGIN_FROM_ADDRESS, address)
    linked, refresh = await link_codes.redeem(service, body, address)
    return _session(service, body.handle, linked.gen, refresh)


def _session(service: Service, handle: str, gen: int, refresh: RefreshToken) -> SessionAnswer:
    """What a device that was linked just now is told."""
    access = service.access(refresh.user, refresh.device, gen)
    return SessionAnswer(
        user_id=user_text(refresh.user),
        handle=handle,
        device=refresh.device,
        refresh_token=refresh.text,
        **access.model_dump(),
    )


@router.post("/v1/tokens", responses=documented(ErrorCode.REFRESH_INVALID))
async def refresh(body: Refresh, service: TheService, address: Address) -> TokensAnswer:
    """A new access token and the next refresh token.

    Keep the nonce until the answer is stored: a repeat with it is safe. A refresh token that was used before,
    with another nonce, is taken for stolen: its device is logged out.
    """
    token = read_refresh_token(body.refresh_token)
    if token is None:
        raise Problem(ErrorCode.REFRESH_INVALID)
    following = next_secret(service.keys.refresh, token.secret, body.nonce)
    result = await service.authority.ask(
        user_unit(token.user), None, RotateRefresh(token.device, _digest(token.secret), _digest(following))
    )
    if isinstance(result, Refused) and result.code in (ErrorCode.UNKNOWN_USER, ErrorCode.UNKNOWN_DEVICE):
        raise Problem(ErrorCode.REFRESH_INVALID)
    access = service.access(token.user, token.device, expect(result, Rotated).gen)
    service.familiar.note(token.user, address)
    return TokensAnswer(refresh_token=token._replace(secret=following).text, **access.model_dump())


@router.post("/v1/tokens/revoke", status_code=204, responses=documented(*WITH_TOKEN))
async def revoke_token(service: TheService, auth: Asker) -> None:
    """The presented access token stops working at once; its device stays linked."""
    await _until_revoked(service, auth, RevokeToken())


@router.delete("/v1/sessions/current", status_code=204, responses=documented(*WITH_TOKEN))
async def log_out(service: TheService, auth: Asker) -> None:
    """Log out this device: it is unlinked."""
    await _until_revoked(service, auth, LogoutDevice(0))


async def _until_revoked(service: Service, auth: Auth, operation: RevokeToken | LogoutDevice) -> None:
    """A token that is revoked already is what was wanted: the answer to the first try may have been lost."""
    try:
        await service.ask_own(auth, operation, Done)
    except Problem as problem:
        if problem.code not in (ErrorCode.TOKEN_REVOKED, ErrorCode.UNKNOWN_DEVICE):
            raise


@router.delete(
    "/v1/sessions",
    responses={
        200: {"model": AccessAnswer, "description": "This device stays; its new access token."},
        204: {"description": "Every device is logged out."},
        **documented(*WITH_TOKEN),
    },
)
async def log_out_everywhere(service: TheService, auth: Asker, keep_current: bool = Query(False)) -> Response:
    """Log out all devices; with keep_current all but this one, which gets a new access token.

    When the answer was lost and this device stays: refresh, then repeat it.
    """
    logged_out = await service.ask_own(auth, LogoutAll(keep_current), LoggedOut)
    if not keep_current:
        return Response(status_code=204)
    return JSONResponse(service.access(auth.user, auth.device, logged_out.gen).model_dump())


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
