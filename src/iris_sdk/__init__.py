"""The Python SDK of Iris. What a message goes through:

    account = await register("https://chat.example.org", "ada", "a long password")
    await login("my-profile", "https://chat.example.org", "ada", "a long password")
    async with Client("my-profile") as me:
        sent = await me.send("@bob", "hello")       # durable in the profile
        await me.wait(sent.message_id, "delivered")
        async for event in me.events():
            ...

`Client` is the manual's first page; `events` says what can happen, `errors` what can be raised, `ApiClient` what an
account can do. Everything public is here.
"""

from iris_sdk.api import Account, ApiClient, Contact, DeviceInfo, Me, Privacy
from iris_sdk.client import Client, connect
from iris_sdk.errors import (
    ApiError,
    ClientClosed,
    IrisError,
    LoggedOut,
    MessageExpired,
    MessageRefused,
    Offline,
    OutboxFull,
    PayloadTooLarge,
    ProfileError,
    Status,
    UnknownUser,
)
from iris_sdk.events import (
    ConnectionChange,
    ConnectionState,
    Conversation,
    Event,
    HistoryGap,
    Message,
    OwnCopy,
    Presence,
    ReadSync,
    Row,
    Sent,
    StateChange,
    Typing,
)
from iris_sdk.profile import ProfileInfo, login, profile_info, register

__all__ = [
    "Account",
    "ApiClient",
    "ApiError",
    "Client",
    "ClientClosed",
    "ConnectionChange",
    "ConnectionState",
    "Contact",
    "Conversation",
    "DeviceInfo",
    "Event",
    "HistoryGap",
    "IrisError",
    "LoggedOut",
    "Me",
    "Message",
    "MessageExpired",
    "MessageRefused",
    "Offline",
    "OutboxFull",
    "OwnCopy",
    "PayloadTooLarge",
    "Presence",
    "Privacy",
    "ProfileError",
    "ProfileInfo",
    "ReadSync",
    "Row",
    "Sent",
    "StateChange",
    "Status",
    "Typing",
    "UnknownUser",
    "connect",
    "login",
    "profile_info",
    "register",
]
