"""The Python SDK of Iris. What a message goes through:

    account = await register("https://chat.example.org", "ada", "a long password")
    await login("my-profile", "https://chat.example.org", "ada", "a long password")
    async with Client("my-profile") as me:
        sent = await me.send("@bob", "hello")       # durable in the profile
        await me.wait(sent.message_id, "delivered")
        async for event in me.events():
            ...

`Client.screen` is what people see of a conversation, with replies, reactions, edits and deletions. `Client` is the
manual's first page; `events` says what can happen, `errors` what can be raised, `ApiClient` what an account can do.
Everything public is here.
"""

from iris_sdk.api import Account, ApiClient, Contact, DeviceInfo, LinkCode, Me, Privacy
from iris_sdk.client import Client, Named, connect
from iris_sdk.content import Content, Delete, Deleted, Edit, Mention, Reaction, Ref, Text, Unknown
from iris_sdk.core.conversation import Reacted, Shown
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
    WrongCertificate,
)
from iris_sdk.events import (
    Acted,
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
from iris_sdk.profile import ProfileInfo, login, login_with_code, profile_info, register

__all__ = [
    "Account",
    "Acted",
    "ApiClient",
    "ApiError",
    "Client",
    "ClientClosed",
    "ConnectionChange",
    "ConnectionState",
    "Contact",
    "Content",
    "Conversation",
    "Delete",
    "Deleted",
    "DeviceInfo",
    "Edit",
    "Event",
    "HistoryGap",
    "IrisError",
    "LinkCode",
    "LoggedOut",
    "Me",
    "Mention",
    "Message",
    "MessageExpired",
    "MessageRefused",
    "Named",
    "Offline",
    "OutboxFull",
    "OwnCopy",
    "PayloadTooLarge",
    "Presence",
    "Privacy",
    "ProfileError",
    "ProfileInfo",
    "Reacted",
    "Reaction",
    "ReadSync",
    "Ref",
    "Row",
    "Sent",
    "Shown",
    "StateChange",
    "Status",
    "Text",
    "Typing",
    "Unknown",
    "UnknownUser",
    "WrongCertificate",
    "connect",
    "login",
    "login_with_code",
    "profile_info",
    "register",
]
