"""The bodies of requests and answers. Requests take no field they do not know, and every text has a bound."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from iris.core.ids import normal_handle, normal_link_code, user_from_text
from iris.http.passwords import LENGTH_MAX, LENGTH_MIN

NAME_LENGTH_MAX = 64
_DIRECTION_MARKS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they make one name look like another
# What `_plain` refuses, as the OpenAPI document says it.
_CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069"


def _plain(text: str) -> str:
    if any(letter in _DIRECTION_MARKS or unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError("control characters are not allowed")
    return text


def _user(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("a user id is a text")
    return user_from_text(value)


Handle = Annotated[
    str,
    StringConstraints(min_length=3, max_length=33),  # 32 and an @
    AfterValidator(normal_handle),
    Field(
        examples=["ada"],
        description="3 to 32 of a-z, 0-9, dot and underscore; upper case and a leading @ are taken.",
        json_schema_extra={"pattern": "^@?[A-Za-z][A-Za-z0-9_.]{1,30}[A-Za-z0-9]$"},
    ),
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=NAME_LENGTH_MAX),
    AfterValidator(_plain),
    Field(json_schema_extra={"pattern": f"^[^{_CONTROLS}]*$"}),
]
DeviceName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX),
    AfterValidator(_plain),
    Field(json_schema_extra={"pattern": f"^[^{_CONTROLS}]*[^{_CONTROLS}\\s][^{_CONTROLS}]*$"}),
]
NewPassword = Annotated[str, Field(min_length=LENGTH_MIN, max_length=LENGTH_MAX)]
GivenPassword = Annotated[str, Field(max_length=LENGTH_MAX)]  # one that is too short is just wrong
Nonce = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]{16,128}$"),
    Field(
        description="Random, chosen by the client and kept until the answer is there: a repeat gets the same answer."
    ),
]
LinkCode = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(normal_link_code),
    Field(
        examples=["7K3M-9QXT"],
        description="8 letters or digits of Crockford base32, upper or lower case; hyphens and spaces do not matter.",
        json_schema_extra={"pattern": "^[ -]*([0-9A-TV-Za-tv-z][ -]*){8}$"},
    ),
]
UserId = Annotated[
    bytes,
    BeforeValidator(_user),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-7][0-9a-hjkmnp-tv-z]{25}$", "examples": ["00000h3qk0v7c2m9x4nwrs8t6b"]}
    ),
]
DeviceNumber = Annotated[int, Field(ge=1, le=2**32 - 1)]
PresencePrivacy = Literal["everyone", "contacts", "nobody"]
MessagesPrivacy = Literal["everyone", "contacts"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NewUser(_Request):
    """A new account."""

    handle: Handle
    password: NewPassword
    name: Name = ""
    invite: Annotated[str, Field(max_length=64)] = ""


class LogIn(_Request):
    """A new device of an account. With the same nonce a repeat after a lost answer links no second device."""

    handle: Handle
    password: GivenPassword
    device_name: DeviceName
    nonce: Nonce | None = None


class LinkCodeLogIn(_Request):
    """A new device of an account, with a code that another of its devices shows. The nonce is as in LogIn."""

    handle: Handle
    code: LinkCode
    device_name: DeviceName
    nonce: Nonce | None = None


class Refresh(_Request):
    """A refresh token and the nonce of this refresh."""

    refresh_token: Annotated[str, Field(max_length=256)]
    nonce: Nonce


class PrivacyChange(_Request):
    """What is left out stays as it is."""

    presence: PresencePrivacy | None = None
    messages: MessagesPrivacy | None = None
    read_receipts: Annotated[bool | None, Field(strict=True)] = None


class AccountChange(_Request):
    """What is left out stays as it is."""

    handle: Handle | None = None
    name: Name | None = None
    privacy: PrivacyChange | None = None


class PasswordChange(_Request):
    """The password now, and from now on."""

    old_password: GivenPassword
    new_password: NewPassword


class PasswordProof(_Request):
    """The password, once more, before something that cannot be undone."""

    password: GivenPassword


class ContactChange(_Request):
    """What a contact is called on one's own list."""

    name: Name = ""


class ProfileAnswer(BaseModel):
    """What anyone who is logged in may know of a user."""

    user_id: str
    handle: str
    name: str


class AccessAnswer(BaseModel):
    """An access token; `expires_at` is in ms since 1970."""

    access_token: str
    expires_at: int


class TokensAnswer(AccessAnswer):
    """An access token and the refresh token that follows the presented one."""

    refresh_token: str


class SessionAnswer(TokensAnswer):
    """A linked device and its first tokens."""

    user_id: str
    handle: str
    device: int


class PrivacyAnswer(BaseModel):
    """Who sees presence, who may write, and whether read receipts are given."""

    presence: PresencePrivacy
    messages: MessagesPrivacy
    read_receipts: bool


class AccountAnswer(ProfileAnswer):
    """One's own account; `created_at` is in ms since 1970."""

    privacy: PrivacyAnswer
    created_at: int


class DeviceAnswer(BaseModel):
    """A linked device. Times are ms since 1970; `seen_at` is that of the log-in until it has connected."""

    device: int
    name: str
    linked_at: int
    seen_at: int
    online: bool
    current: bool


class DevicesAnswer(BaseModel):
    """All linked devices."""

    devices: list[DeviceAnswer]


class LinkCodeAnswer(BaseModel):
    """A link code as people read and type it; `expires_at` is in ms since 1970."""

    code: str
    expires_at: int


class ContactAnswer(BaseModel):
    """A contact, with the name it has on one's own list."""

    user_id: str
    name: str
    added_at: int


class ContactsAnswer(BaseModel):
    """One's own list of contacts."""

    contacts: list[ContactAnswer]


class BlocksAnswer(BaseModel):
    """The users one has blocked, by id."""

    users: list[str]


class InfoAnswer(BaseModel):
    """What this server is."""

    server: Literal["iris"] = "iris"
    version: str
    registration: Literal["open", "invite", "closed"]
    protocols: list[str]
