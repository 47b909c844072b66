"""The frames, compiled from protocol/iris/v1/*.proto as any other project would: no generated code of Iris is used."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTOCOL = Path(__file__).parents[2] / "protocol"
FILES = ("iris/v1/frames.proto", "iris/v1/content.proto")


@cache
def _types() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "schema.bin"
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOCOL}", f"--descriptor_set_out={out}", *FILES],
            check=True,
        )
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()  # of our own, so that nothing is shared with other tests
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClassesForFiles(list(FILES), pool)


def new(name: str, **fields: Any) -> Any:
    """A message of iris.v1."""
    return _types()["iris.v1." + name](**fields)


def client_frame(body: str, **fields: Any) -> bytes:
    """The bytes of one ClientFrame; `body` is the name in its oneof."""
    frame = new("ClientFrame")
    part = getattr(frame, body)
    part.SetInParent()
    part.MergeFrom(type(part)(**fields))
    made: bytes = frame.SerializeToString()
    return made


def server_frame(raw: bytes) -> Any:
    """A ServerFrame read."""
    frame = new("ServerFrame")
    frame.ParseFromString(raw)
    return frame


def varint(value: int) -> bytes:
    """A protobuf varint, by hand: for fields that this version does not have."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_field(number: int, value: int) -> bytes:
    """One varint field."""
    return varint(number << 3) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """One length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


# Numbers of the enums and of ClientFrame's fields, as frames.proto gives them.
KIND_MESSAGE, KIND_OWN_COPY = 1, 2
RETRY_NEVER, RETRY_AFTER, RETRY_GAP, RETRY_NEW_STREAM = 1, 2, 3, 4
STATUS_HIDDEN, STATUS_OFFLINE, STATUS_ONLINE = 1, 2, 3
HELLO, SEND, ACK, READ, TYPING, WATCH, REFRESH = 1, 2, 3, 4, 5, 6, 7
