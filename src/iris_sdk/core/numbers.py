"""Numbers of frames, and times.

Which numbers of a server's frame can be meant: seqs, revs and times stay below 2**53, exact in every language.

A frame with a higher one is as good as one that cannot be read, and is ignored as such. It must be known before the
frame is acted on: the profile cannot store a number of 64 bits, and its Commit would fail.
"""

from __future__ import annotations

from typing import Final

from iris_sdk._pb import frames_pb2 as pb

NUMBER_MAX: Final = (1 << 53) - 1


def is_sound(frame: pb.ServerFrame) -> bool:
    """Whether every number of the frame's body is one that a server can mean."""
    body = frame.WhichOneof("body")
    if body is None:
        return True
    numbers = [value for _, value in getattr(frame, body).ListFields() if isinstance(value, int)]
    return not numbers or max(numbers) <= NUMBER_MAX


def sooner(one: int | None, other: int | None) -> int | None:
    """The earlier of two times; None is never."""
    return other if one is None or (other is not None and other < one) else one
