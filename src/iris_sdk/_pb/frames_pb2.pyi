from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_MESSAGE: _ClassVar[Kind]
    KIND_OWN_COPY: _ClassVar[Kind]

class ContentType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTENT_TYPE_UNSPECIFIED: _ClassVar[ContentType]
    CONTENT_TYPE_IRIS: _ClassVar[ContentType]

class Algorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALGORITHM_NONE: _ClassVar[Algorithm]

class Retry(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_UNSPECIFIED: _ClassVar[Retry]
    RETRY_NEVER: _ClassVar[Retry]
    RETRY_AFTER: _ClassVar[Retry]
    RETRY_GAP: _ClassVar[Retry]
    RETRY_NEW_STREAM: _ClassVar[Retry]

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[Status]
    STATUS_HIDDEN: _ClassVar[Status]
    STATUS_OFFLINE: _ClassVar[Status]
    STATUS_ONLINE: _ClassVar[Status]
KIND_UNSPECIFIED: Kind
KIND_MESSAGE: Kind
KIND_OWN_COPY: Kind
CONTENT_TYPE_UNSPECIFIED: ContentType
CONTENT_TYPE_IRIS: ContentType
ALGORITHM_NONE: Algorithm
RETRY_UNSPECIFIED: Retry
RETRY_NEVER: Retry
RETRY_AFTER: Retry
RETRY_GAP: Retry
RETRY_NEW_STREAM: Retry
STATUS_UNSPECIFIED: Status
STATUS_HIDDEN: Status
STATUS_OFFLINE: Status
STATUS_ONLINE: Status

class ClientFrame(_message.Message):
    __slots__ = ("hello", "send", "ack", "read", "typing", "watch", "refresh")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    TYPING_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    REFRESH_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    send: Send
    ack: Ack
    read: Read
    typing: SetTyping
    watch: Watch
    refresh: Refresh
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., send: _Optional[_Union[Send, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., read: _Optional[_Union[Read, _Mapping]] = ..., typing: _Optional[_Union[SetTyping, _Mapping]] = ..., watch: _Optional[_Union[Watch, _Mapping]] = ..., refresh: _Optional[_Union[Refresh, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("welcome", "accepted", "rejected", "deliver", "receipt", "read_sync", "presence", "typing", "go_away", "refreshed", "problem")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    DELIVER_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    READ_SYNC_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    TYPING_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    REFRESHED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    accepted: Accepted
    rejected: Rejected
    deliver: Deliver
    receipt: Receipt
    read_sync: ReadSync
    presence: Presence
    typing: Typing
    go_away: GoAway
    refreshed: Refreshed
    problem: Problem
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., rejected: _Optional[_Union[Rejected, _Mapping]] = ..., deliver: _Optional[_Union[Deliver, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., read_sync: _Optional[_Union[ReadSync, _Mapping]] = ..., presence: _Optional[_Union[Presence, _Mapping]] = ..., typing: _Optional[_Union[Typing, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ..., refreshed: _Optional[_Union[Refreshed, _Mapping]] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Cursor(_message.Message):
    __slots__ = ("seq", "rev")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    REV_FIELD_NUMBER: _ClassVar[int]
    seq: int
    rev: int
    def __init__(self, seq: _Optional[int] = ..., rev: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("token", "cursor", "features", "client")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    token: str
    cursor: Cursor
    features: _containers.RepeatedScalarFieldContainer[str]
    client: str
    def __init__(self, token: _Optional[str] = ..., cursor: _Optional[_Union[Cursor, _Mapping]] = ..., features: _Optional[_Iterable[str]] = ..., client: _Optional[str] = ...) -> None: ...

class Send(_message.Message):
    __slots__ = ("conversation", "stream", "client_seq", "answered", "message_id", "after", "payload", "content_type", "alg")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ALG_FIELD_NUMBER: _ClassVar[int]
    conversation: bytes
    stream: int
    client_seq: int
    answered: int
    message_id: bytes
    after: int
    payload: bytes
    content_type: ContentType
    alg: Algorithm
    def __init__(self, conversation: _Optional[bytes] = ..., stream: _Optional[int] = ..., client_seq: _Optional[int] = ..., answered: _Optional[int] = ..., message_id: _Optional[bytes] = ..., after: _Optional[int] = ..., payload: _Optional[bytes] = ..., content_type: _Optional[_Union[ContentType, str]] = ..., alg: _Optional[_Union[Algorithm, str]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("seq", "rev")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    REV_FIELD_NUMBER: _ClassVar[int]
    seq: int
    rev: int
    def __init__(self, seq: _Optional[int] = ..., rev: _Optional[int] = ...) -> None: ...

class Read(_message.Message):
    __slots__ = ("conversation", "seq")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    conversation: bytes
    seq: int
    def __init__(self, conversation: _Optional[bytes] = ..., seq: _Optional[int] = ...) -> None: ...

class SetTyping(_message.Message):
    __slots__ = ("conversation", "active")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    conversation: bytes
    active: bool
    def __init__(self, conversation: _Optional[bytes] = ..., active: _Optional[bool] = ...) -> None: ...

class Watch(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, users: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Refresh(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("payload_bytes_max", "send_window", "ping_interval_ms", "idle_timeout_ms", "watches_max", "send_repeat_ms")
    PAYLOAD_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    SEND_WINDOW_FIELD_NUMBER: _ClassVar[int]
    PING_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    WATCHES_MAX_FIELD_NUMBER: _ClassVar[int]
    SEND_REPEAT_MS_FIELD_NUMBER: _ClassVar[int]
    payload_bytes_max: int
    send_window: int
    ping_interval_ms: int
    idle_timeout_ms: int
    watches_max: int
    send_repeat_ms: int
    def __init__(self, payload_bytes_max: _Optional[int] = ..., send_window: _Optional[int] = ..., ping_interval_ms: _Optional[int] = ..., idle_timeout_ms: _Optional[int] = ..., watches_max: _Optional[int] = ..., send_repeat_ms: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session", "limits", "time", "head", "head_rev", "oldest", "reset", "user", "device", "features", "token_expires_at")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    HEAD_REV_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    session: bytes
    limits: Limits
    time: int
    head: int
    head_rev: int
    oldest: int
    reset: bool
    user: bytes
    device: int
    features: _containers.RepeatedScalarFieldContainer[str]
    token_expires_at: int
    def __init__(self, session: _Optional[bytes] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., time: _Optional[int] = ..., head: _Optional[int] = ..., head_rev: _Optional[int] = ..., oldest: _Optional[int] = ..., reset: _Optional[bool] = ..., user: _Optional[bytes] = ..., device: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., token_expires_at: _Optional[int] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("conversation", "stream", "client_seq", "message_id", "seq", "at")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    conversation: bytes
    stream: int
    client_seq: int
    message_id: bytes
    seq: int
    at: int
    def __init__(self, conversation: _Optional[bytes] = ..., stream: _Optional[int] = ..., client_seq: _Optional[int] = ..., message_id: _Optional[bytes] = ..., seq: _Optional[int] = ..., at: _Optional[int] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("conversation", "stream", "client_seq", "message_id", "code", "retry", "expected", "current_stream", "retry_after_ms")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    CURRENT_STREAM_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    conversation: bytes
    stream: int
    client_seq: int
    message_id: bytes
    code: int
    retry: Retry
    expected: int
    current_stream: int
    retry_after_ms: int
    def __init__(self, conversation: _Optional[bytes] = ..., stream: _Optional[int] = ..., client_seq: _Optional[int] = ..., message_id: _Optional[bytes] = ..., code: _Optional[int] = ..., retry: _Optional[_Union[Retry, str]] = ..., expected: _Optional[int] = ..., current_stream: _Optional[int] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Deliver(_message.Message):
    __slots__ = ("seq", "prev", "kind", "conversation", "sender", "device", "message_id", "at", "peer_seq", "payload", "content_type", "alg")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PEER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ALG_FIELD_NUMBER: _ClassVar[int]
    seq: int
    prev: int
    kind: Kind
    conversation: bytes
    sender: bytes
    device: int
    message_id: bytes
    at: int
    peer_seq: int
    payload: bytes
    content_type: ContentType
    alg: Algorithm
    def __init__(self, seq: _Optional[int] = ..., prev: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ..., conversation: _Optional[bytes] = ..., sender: _Optional[bytes] = ..., device: _Optional[int] = ..., message_id: _Optional[bytes] = ..., at: _Optional[int] = ..., peer_seq: _Optional[int] = ..., payload: _Optional[bytes] = ..., content_type: _Optional[_Union[ContentType, str]] = ..., alg: _Optional[_Union[Algorithm, str]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("rev", "prev_rev", "conversation", "delivered", "read")
    REV_FIELD_NUMBER: _ClassVar[int]
    PREV_REV_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    rev: int
    prev_rev: int
    conversation: bytes
    delivered: int
    read: int
    def __init__(self, rev: _Optional[int] = ..., prev_rev: _Optional[int] = ..., conversation: _Optional[bytes] = ..., delivered: _Optional[int] = ..., read: _Optional[int] = ...) -> None: ...

class ReadSync(_message.Message):
    __slots__ = ("rev", "prev_rev", "conversation", "seq")
    REV_FIELD_NUMBER: _ClassVar[int]
    PREV_REV_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    rev: int
    prev_rev: int
    conversation: bytes
    seq: int
    def __init__(self, rev: _Optional[int] = ..., prev_rev: _Optional[int] = ..., conversation: _Optional[bytes] = ..., seq: _Optional[int] = ...) -> None: ...

class Presence(_message.Message):
    __slots__ = ("user", "status", "last_seen")
    USER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    user: bytes
    status: Status
    last_seen: int
    def __init__(self, user: _Optional[bytes] = ..., status: _Optional[_Union[Status, str]] = ..., last_seen: _Optional[int] = ...) -> None: ...

class Typing(_message.Message):
    __slots__ = ("conversation", "sender", "active")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    conversation: bytes
    sender: bytes
    active: bool
    def __init__(self, conversation: _Optional[bytes] = ..., sender: _Optional[bytes] = ..., active: _Optional[bool] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("within_ms",)
    WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    within_ms: int
    def __init__(self, within_ms: _Optional[int] = ...) -> None: ...

class Refreshed(_message.Message):
    __slots__ = ("token_expires_at",)
    TOKEN_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    token_expires_at: int
    def __init__(self, token_expires_at: _Optional[int] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("code", "frame", "retry", "retry_after_ms", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: int
    frame: int
    retry: Retry
    retry_after_ms: int
    detail: str
    def __init__(self, code: _Optional[int] = ..., frame: _Optional[int] = ..., retry: _Optional[_Union[Retry, str]] = ..., retry_after_ms: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...
