"""Routes of one's own lists: contacts and blocks. They are private; nobody learns that they are on one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_text, user_unit
from iris.core.requests import (
    Blocks,
    Contacts,
    DeleteBlock,
    DeleteContact,
    Done,
    GetProfile,
    ListBlocks,
    ListContacts,
    Profile,
    PutBlock,
    PutContact,
)
from iris.http.models import BlocksAnswer, ContactAnswer, ContactChange, ContactsAnswer, UserId
from iris.http.problems import WITH_TOKEN, documented
from iris.http.service import Asker, TheService

router = APIRouter(tags=["contacts and blocks"])

Other = Annotated[UserId, Path()]


@router.get("/v1/contacts", responses=documented(*WITH_TOKEN))
async def list_contacts(service: TheService, auth: Asker) -> ContactsAnswer:
    """One's own contacts."""
    found = await service.ask_own(auth, ListContacts(), Contacts)
    return ContactsAnswer(
        contacts=[ContactAnswer(user_id=user_text(c.user), name=c.name, added_at=c.added_at) for c in found.contacts]
    )


@router.put(
    "/v1/contacts/{user_id}",
    status_code=204,
    responses=documented(*WITH_TOKEN, ErrorCode.UNKNOWN_USER, ErrorCode.SELF, ErrorCode.LIST_FULL),
)
async def put_contact(user_id: Other, service: TheService, auth: Asker, body: ContactChange | None = None) -> None:
    """Put a user on one's list of contacts, or change the name it has there."""
    await service.check(auth)  # before the other's shard is asked: a revoked token must not learn who exists
    await service.ask(user_unit(user_id), GetProfile(), Profile)
    await service.ask_own(auth, PutContact(user_id, body.name if body else ""), Done)


@router.delete("/v1/contacts/{user_id}", status_code=204, responses=documented(*WITH_TOKEN))
async def delete_contact(user_id: Other, service: TheService, auth: Asker) -> None:
    """Take a user from one's list of contacts. It is no error when it is not there."""
    await service.ask_own(auth, DeleteContact(user_id), Done)


@router.get("/v1/blocks", responses=documented(*WITH_TOKEN))
async def list_blocks(service: TheService, auth: Asker) -> BlocksAnswer:
    """The users one has blocked."""
    found = await service.ask_own(auth, ListBlocks(), Blocks)
    return BlocksAnswer(users=[user_text(user) for user in found.users])


@router.put(
    "/v1/blocks/{user_id}", status_code=204, responses=documented(*WITH_TOKEN, ErrorCode.SELF, ErrorCode.LIST_FULL)
)
async def put_block(user_id: Other, service: TheService, auth: Asker) -> None:
    """Block a user: no messages either way, and no presence. The other is not told."""
    await service.ask_own(auth, PutBlock(user_id), Done)


@router.delete("/v1/blocks/{user_id}", status_code=204, responses=documented(*WITH_TOKEN))
async def delete_block(user_id: Other, service: TheService, auth: Asker) -> None:
    """Unblock a user. It is no error when it is not blocked."""
    await service.ask_own(auth, DeleteBlock(user_id), Done)
