from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Content(_message.Message):
    __slots__ = ("text", "reaction", "edit", "delete")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REACTION_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    text: Text
    reaction: Reaction
    edit: Edit
    delete: Delete
    def __init__(self, text: _Optional[_Union[Text, _Mapping]] = ..., reaction: _Optional[_Union[Reaction, _Mapping]] = ..., edit: _Optional[_Union[Edit, _Mapping]] = ..., delete: _Optional[_Union[Delete, _Mapping]] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("sender", "message_id")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    sender: bytes
    message_id: bytes
    def __init__(self, sender: _Optional[bytes] = ..., message_id: _Optional[bytes] = ...) -> None: ...

class Mention(_message.Message):
    __slots__ = ("user", "start", "length")
    USER_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    user: bytes
    start: int
    length: int
    def __init__(self, user: _Optional[bytes] = ..., start: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("body", "reply_to", "forwarded", "mentions")
    BODY_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    body: str
    reply_to: Reference
    forwarded: bool
    mentions: _containers.RepeatedCompositeFieldContainer[Mention]
    def __init__(self, body: _Optional[str] = ..., reply_to: _Optional[_Union[Reference, _Mapping]] = ..., forwarded: _Optional[bool] = ..., mentions: _Optional[_Iterable[_Union[Mention, _Mapping]]] = ...) -> None: ...

class Reaction(_message.Message):
    __slots__ = ("target", "emoji")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    EMOJI_FIELD_NUMBER: _ClassVar[int]
    target: Reference
    emoji: str
    def __init__(self, target: _Optional[_Union[Reference, _Mapping]] = ..., emoji: _Optional[str] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("target", "body", "mentions")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    target: Reference
    body: str
    mentions: _containers.RepeatedCompositeFieldContainer[Mention]
    def __init__(self, target: _Optional[_Union[Reference, _Mapping]] = ..., body: _Optional[str] = ..., mentions: _Optional[_Iterable[_Union[Mention, _Mapping]]] = ...) -> None: ...

class Delete(_message.Message):
    __slots__ = ("target",)
    TARGET_FIELD_NUMBER: _ClassVar[int]
    target: Reference
    def __init__(self, target: _Optional[_Union[Reference, _Mapping]] = ...) -> None: ...
