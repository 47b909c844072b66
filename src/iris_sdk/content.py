"""What is inside a payload: iris.v1.Content, as records. Only clients look at it.

    decode(encode(Text("hello @bob")), CONTENT_TYPE, ALGORITHM)  ->  Text("hello @bob")

What this version cannot read becomes Unknown, which keeps the bytes: a body of a later version, an action without a
target, bytes that are no Content at all. Ids are text, as everywhere in the SDK.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from google.protobuf.message import DecodeError

from iris_sdk._pb import content_pb2, frames_pb2
from iris_sdk.catalogue import Limits
from iris_sdk.ids import USER_BYTES, user_from_text, user_text

CONTENT_TYPE: int = int(frames_pb2.CONTENT_TYPE_IRIS)
ALGORITHM: int = int(frames_pb2.ALGORITHM_NONE)
MESSAGE_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ref:
    """Names a message: ids are unique only for one sender."""

    sender: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Mention:
    """Somebody named in a text: `length` code points from `start` on. A Python string counts in code points."""

    user: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Text:
    """Words. `forwarded`: they are somebody else's."""

    body: str
    reply_to: Ref | None = None
    forwarded: bool = False
    mentions: tuple[Mention, ...] = ()
    kind: ClassVar[str] = "text"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What its sender thinks of a message; an empty emoji takes that back."""

    target: Ref
    emoji: str
    kind: ClassVar[str] = "reaction"


@dataclass(frozen=True, slots=True)
class Edit:
    """Other words for a text of its sender."""

    target: Ref
    body: str
    mentions: tuple[Mention, ...] = ()
    kind: ClassVar[str] = "edit"


@dataclass(frozen=True, slots=True)
class Delete:
    """Nobody shows this message of its sender any more."""

    target: Ref
    kind: ClassVar[str] = "delete"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that this version cannot read."""

    payload: bytes
    content_type: int
    alg: int
    kind: ClassVar[str] = "unknown"


@dataclass(frozen=True, slots=True)
class Deleted:
    """What is left of a message whose words were deleted. Nobody sends it: the profile says so."""

    kind: ClassVar[str] = "deleted"


Action = Reaction | Edit | Delete
Content = Text | Action | Unknown | Deleted


def encode(content: Text | Action, limits: Limits | None = None) -> bytes:
    """The payload. Raises ValueError: text that is not Unicode (lone surrogates), a long emoji, wrong mentions."""
    if limits is None:
        limits = Limits()
    match content:
        case Text(body, reply_to, forwarded, mentions):
            text = content_pb2.Text(body=body, forwarded=forwarded, mentions=_encode_mentions(body, mentions, limits))
            if reply_to is not None:
                text.reply_to.CopyFrom(_encode_ref(reply_to))
            made = content_pb2.Content(text=text)
        case Reaction(target, emoji):
            if len(emoji.encode()) > limits.reaction_bytes_max:
                raise ValueError(f"a reaction has at most {limits.reaction_bytes_max} bytes")
            made = content_pb2.Content(reaction=content_pb2.Reaction(target=_encode_ref(target), emoji=emoji))
        case Edit(target, body, mentions):
            listed = _encode_mentions(body, mentions, limits)
            made = content_pb2.Content(edit=content_pb2.Edit(target=_encode_ref(target), body=body, mentions=listed))
        case Delete(target):
            made = content_pb2.Content(delete=content_pb2.Delete(target=_encode_ref(target)))
    return made.SerializeToString()


def decode(payload: bytes, content_type: int, alg: int, limits: Limits | None = None) -> Content:
    """What a payload says. It never raises."""
    unknown = Unknown(payload, content_type, alg)
    if content_type != CONTENT_TYPE or alg != ALGORITHM:
        return unknown
    try:
        content = content_pb2.Content.FromString(payload)
    except DecodeError:
        return unknown
    return _decode_body(content, limits or Limits()) or unknown


def encode_text(text: str) -> bytes:
    """The payload of a plain text. Raises ValueError for text that is not Unicode (lone surrogates)."""
    return encode(Text(text))


def decode_text(payload: bytes, content_type: int, alg: int) -> str | None:
    """The words of a text; None when it is something else, or of a later version."""
    content = decode(payload, content_type, alg)
    return content.body if isinstance(content, Text) else None


def _decode_body(content: content_pb2.Content, limits: Limits) -> Text | Action | None:
    match content.WhichOneof("body"):
        case "text":
            text = content.text
            reply_to = _decode_ref(text.reply_to)
            return Text(text.body, reply_to, text.forwarded, _decode_mentions(text.body, text.mentions, limits))
        case "reaction" if target := _decode_ref(content.reaction.target):
            emoji = content.reaction.emoji
            return Reaction(target, emoji) if len(emoji.encode()) <= limits.reaction_bytes_max else None
        case "edit" if target := _decode_ref(content.edit.target):
            body = content.edit.body
            return Edit(target, body, _decode_mentions(body, content.edit.mentions, limits))
        case "delete" if target := _decode_ref(content.delete.target):
            return Delete(target)
    return None


def _encode_ref(ref: Ref) -> content_pb2.Reference:
    message_id = bytes.fromhex(ref.message_id)
    if len(message_id) != MESSAGE_ID_BYTES:
        raise ValueError(f"{ref.message_id!r} is not a message id")
    return content_pb2.Reference(sender=user_from_text(ref.sender), message_id=message_id)


def _decode_ref(ref: content_pb2.Reference) -> Ref | None:
    if len(ref.sender) != USER_BYTES or len(ref.message_id) != MESSAGE_ID_BYTES:
        return None
    return Ref(user_text(ref.sender), ref.message_id.hex())


def _encode_mentions(body: str, mentions: tuple[Mention, ...], limits: Limits) -> list[content_pb2.Mention]:
    if len(mentions) > limits.mentions_max:
        raise ValueError(f"a text has at most {limits.mentions_max} mentions")
    listed = sorted(mentions, key=lambda mention: mention.start)
    if list(_sound(body, listed)) != listed:
        raise ValueError("mentions lie inside the text and do not overlap")
    return [content_pb2.Mention(user=user_from_text(m.user), start=m.start, length=m.length) for m in listed]


def _decode_mentions(
    body: str, mentions: Iterable[content_pb2.Mention], limits: Limits
) -> tuple[Mention, ...]:  # fmt: skip
    known = [Mention(user_text(m.user), m.start, m.length) for m in mentions if len(m.user) == USER_BYTES]
    listed = sorted(known, key=lambda mention: mention.start)
    return tuple(_sound(body, listed))[: limits.mentions_max]


def _sound(body: str, mentions: Iterable[Mention]) -> Iterable[Mention]:
    """Those that lie inside the body behind the one before; `mentions` is sorted by start."""
    end = 0
    for mention in mentions:
        if mention.length >= 1 and mention.start >= end and mention.start + mention.length <= len(body):
            end = mention.start + mention.length
            yield mention
