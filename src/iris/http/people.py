"""Routes of other users, and of the server itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from iris.core.catalogue import ErrorCode
from iris.core.ids import handle_unit, user_text, user_unit
from iris.core.requests import GetProfile, LookUpName, NameHolders, Profile
from iris.http.models import Handle, InfoAnswer, ProfileAnswer, UserId
from iris.http.problems import WITH_TOKEN, Problem, documented
from iris.http.rates import Rate
from iris.http.service import Asker, Service, TheService

router = APIRouter(tags=["people"])

SUBPROTOCOLS = ["iris.v1.pb"]


@router.get("/v1/info", tags=["server"], responses=documented())
async def info(service: TheService) -> InfoAnswer:
    """What this server is, and whether it takes registrations."""
    settings = service.settings
    return InfoAnswer(version=settings.version, registration=settings.registration, protocols=SUBPROTOCOLS)


@router.get("/v1/users/{user_id}", responses=documented(*WITH_TOKEN, ErrorCode.UNKNOWN_USER))
async def read_user(user_id: Annotated[UserId, Path()], service: TheService, auth: Asker) -> ProfileAnswer:
    """The user of an id."""
    await service.check(auth)
    return await _profile(service, user_id)


@router.get("/v1/handles/{handle}", responses=documented(*WITH_TOKEN, ErrorCode.UNKNOWN_USER, ErrorCode.RATE_LIMITED))
async def look_up_handle(handle: Annotated[Handle, Path()], service: TheService, auth: Asker) -> ProfileAnswer:
    """The user who has a handle now."""
    await service.check(auth)
    service.spend(Rate.LOOKUP_BY_USER, user_text(auth.user))
    holders = await service.ask(handle_unit(handle), LookUpName(), NameHolders)
    if not holders.users:
        raise Problem(ErrorCode.UNKNOWN_USER)
    return await _profile(service, holders.users[0])


async def _profile(service: Service, user: bytes) -> ProfileAnswer:
    profile = await service.ask(user_unit(user), GetProfile(), Profile)
    return ProfileAnswer(user_id=user_text(profile.user), handle=profile.handle, name=profile.name)
