"""Everything the SDK raises, as one tree.

IrisError
├─ ApiError            the server said no; `name` is in the catalogue
│  └─ UnknownUser
├─ Offline             the server cannot be reached
├─ WrongCertificate    another server answers, or ours has a new certificate
├─ ProfileError        no profile there, or not one that may be used
├─ LoggedOut           the server takes no token of this device any more
├─ ClientClosed        close() was called
├─ OutboxFull
├─ PayloadTooLarge
├─ MessageRefused      by `Client.wait`
└─ MessageExpired      by `Client.wait`
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """Where a message of mine is.

    `state`: queued, accepted, delivered, read, expired or refused. `seq` and `at` (ms since 1970) are the server's, 0
    before it has accepted. `code` names the refusal. `n` is the message's number in the profile.
    """

    message_id: str
    state: str
    seq: int
    at: int
    code: str
    n: int


class IrisError(Exception):
    """Base of all errors of the SDK."""


class ApiError(IrisError):
    """The server refused a request.

    `name` and `code` are the catalogue's; `fields` names what was wrong with which field.
    """

    def __init__(
        self,
        name: str,
        *,
        code: int = 0,
        status: int = 0,
        detail: str = "",
        retry_after_ms: int = 0,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        said = "; ".join(f"{field}: {message}" for field, message in fields)
        super().__init__(": ".join(part for part in (name, detail, said) if part))
        self.name, self.code, self.status, self.detail = name, code, status, detail
        self.retry_after_ms, self.fields = retry_after_ms, fields


class UnknownUser(ApiError):
    """There is no such user."""


class Offline(IrisError):
    """The server cannot be reached."""


class WrongCertificate(IrisError):
    """The server's certificate is not the one whose fingerprint was given. Nothing was sent to it."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"the server shows another certificate: its SHA-256 is {found}, and {expected} was expected")
        self.expected, self.found = expected, found


class ProfileError(IrisError):
    """The profile is missing, another user's, newer than this SDK, damaged, or would send secrets in the clear."""


class LoggedOut(IrisError):
    """The device was logged out: log in again."""


class ClientClosed(IrisError):
    """The client was closed while something waited for it."""


class OutboxFull(IrisError):
    """As many messages wait as the outbox holds (`outbox_messages_max`)."""


class PayloadTooLarge(IrisError):
    """The message is above `payload_bytes_max`."""


class MessageRefused(IrisError):
    """The server refused the message for good; `status.code` says why."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.code)
        self.status = status


class MessageExpired(IrisError):
    """The message was accepted and not delivered within 30 days."""

    def __init__(self, status: Status) -> None:
        super().__init__("not delivered in time")
        self.status = status
