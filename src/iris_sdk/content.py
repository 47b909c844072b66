"""What is inside a payload: iris.v1.Content. Only clients look at it."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from iris_sdk._pb import content_pb2, frames_pb2

CONTENT_TYPE: int = int(frames_pb2.CONTENT_TYPE_IRIS)
ALGORITHM: int = int(frames_pb2.ALGORITHM_NONE)


def encode_text(text: str) -> bytes:
    """The payload of a text message. Raises ValueError for text that is not Unicode (lone surrogates)."""
    return content_pb2.Content(text=content_pb2.Text(body=text)).SerializeToString()


def decode_text(payload: bytes, content_type: int, alg: int) -> str | None:
    """The text of a payload; None when it is something else, or of a later version."""
    if content_type != CONTENT_TYPE or alg != ALGORITHM:
        return None
    try:
        content = content_pb2.Content.FromString(payload)
    except DecodeError:
        return None
    return content.text.body if content.HasField("text") else None
