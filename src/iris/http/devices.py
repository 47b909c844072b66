"""Routes of one's own devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from iris.core.catalogue import ErrorCode
from iris.core.requests import Devices, Done, ListDevices, LogoutDevice
from iris.http import link_codes
from iris.http.models import DeviceAnswer, DeviceNumber, DevicesAnswer, LinkCodeAnswer
from iris.http.problems import WITH_TOKEN, documented
from iris.http.service import Asker, TheService

router = APIRouter(tags=["devices"])


@router.get("/v1/devices", responses=documented(*WITH_TOKEN))
async def list_devices(service: TheService, auth: Asker) -> DevicesAnswer:
    """All linked devices; `current` is the asking one."""
    found = await service.ask_own(auth, ListDevices(), Devices)
    return DevicesAnswer(devices=[DeviceAnswer(**device._asdict()) for device in found.devices])


@router.post("/v1/me/link-code", status_code=201, responses=documented(*WITH_TOKEN))
async def make_link_code(service: TheService, auth: Asker) -> LinkCodeAnswer:
    """A code with which one new device logs in, once and soon, without the password. The code before it is void."""
    return await link_codes.make(service, auth)


@router.delete("/v1/devices/{device}", status_code=204, responses=documented(*WITH_TOKEN, ErrorCode.UNKNOWN_DEVICE))
async def unlink_device(device: Annotated[DeviceNumber, Path()], service: TheService, auth: Asker) -> None:
    """Unlink a device: it is logged out and what waits for it is dropped."""
    await service.ask_own(auth, LogoutDevice(device), Done)
