"""Between the flat tuples of the server and the protobuf messages of the client's core, as the engine would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iris.core import frames as f
from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.core import effects as fx

Frame = tuple[Any, ...]


def to_message(frame: Frame) -> pb.ServerFrame:
    """What a client reads when the engine is given this tuple. Not for CLOSE."""
    return _SERVER[frame[0]](frame)


def from_message(message: pb.ClientFrame) -> Frame:
    """The tuple of what a client sends; its connection is 0. Not for Send: see `send_frame`."""
    body = message.WhichOneof("body")
    match body:
        case "ack":
            return f.ACK, 0, message.ack.seq, message.ack.rev
        case "hello":
            hello = message.hello
            cursor = hello.cursor
            return f.HELLO, 0, hello.token, cursor.seq, cursor.rev, tuple(hello.features), hello.client, "127.0.0.1"
        case "read":
            return f.READ, 0, message.read.conversation, message.read.seq
        case "typing":
            return f.SET_TYPING, 0, message.typing.conversation, message.typing.active
        case "watch":
            return f.WATCH, 0, tuple(message.watch.users)
        case "refresh":
            return f.REFRESH, 0, message.refresh.token
    raise AssertionError(f"a client sends no {body}")


def send_frame(send: fx.SendMessage, payload: tuple[bytes, int, int]) -> Frame:
    """A Send with the payload that the profile holds."""
    conversation, stream, client_seq, answered, message_id, after = send
    return f.SEND, 0, conversation, stream, client_seq, answered, message_id, after, *payload


def _welcome(frame: Frame) -> pb.ServerFrame:
    _, _, session, time, head, head_rev, oldest, reset, user, device, features, expires_at, told = frame
    payload_bytes_max, send_window, ping_ms, idle_ms, watches_max, repeat_ms = told
    limits = pb.Limits(
        payload_bytes_max=payload_bytes_max, send_window=send_window, ping_interval_ms=ping_ms,
        idle_timeout_ms=idle_ms, watches_max=watches_max, send_repeat_ms=repeat_ms,
    )  # fmt: skip
    welcome = pb.Welcome(
        session=session, limits=limits, time=time, head=head, head_rev=head_rev, oldest=oldest, reset=reset,
        user=user, device=device, features=features, token_expires_at=expires_at,
    )  # fmt: skip
    return pb.ServerFrame(welcome=welcome)


def _accepted(frame: Frame) -> pb.ServerFrame:
    message = pb.ServerFrame()
    row = message.accepted
    _, _, row.conversation, row.stream, row.client_seq, row.message_id, row.seq, row.at = frame
    return message


def _rejected(frame: Frame) -> pb.ServerFrame:
    message = pb.ServerFrame()
    row = message.rejected
    (
        _, _, row.conversation, row.stream, row.client_seq, row.message_id, row.code, row.retry, row.expected,
        row.current_stream, row.retry_after_ms,
    ) = frame  # fmt: skip
    return message


def _deliver(frame: Frame) -> pb.ServerFrame:
    message = pb.ServerFrame()
    row = message.deliver
    (
        _, _, row.seq, row.prev, row.kind, row.conversation, row.sender, row.device, row.message_id, row.at,
        row.peer_seq, row.payload, row.content_type, row.alg,
    ) = frame  # fmt: skip
    return message


def _receipt(frame: Frame) -> pb.ServerFrame:
    message = pb.ServerFrame()
    row = message.receipt
    _, _, row.rev, row.prev_rev, row.conversation, row.delivered, row.read = frame
    return message


def _read_sync(frame: Frame) -> pb.ServerFrame:
    message = pb.ServerFrame()
    row = message.read_sync
    _, _, row.rev, row.prev_rev, row.conversation, row.seq = frame
    return message


def _presence(frame: Frame) -> pb.ServerFrame:
    return pb.ServerFrame(presence=pb.Presence(user=frame[2], status=frame[3], last_seen=frame[4]))


def _typing(frame: Frame) -> pb.ServerFrame:
    return pb.ServerFrame(typing=pb.Typing(conversation=frame[2], sender=frame[3], active=frame[4]))


def _go_away(frame: Frame) -> pb.ServerFrame:
    return pb.ServerFrame(go_away=pb.GoAway(within_ms=frame[2]))


def _refreshed(frame: Frame) -> pb.ServerFrame:
    return pb.ServerFrame(refreshed=pb.Refreshed(token_expires_at=frame[2]))


def _problem(frame: Frame) -> pb.ServerFrame:
    _, _, code, kind, retry, after_ms, detail = frame
    return pb.ServerFrame(
        problem=pb.Problem(code=code, frame=kind, retry=retry, retry_after_ms=after_ms, detail=detail)
    )


_SERVER: dict[int, Callable[[Frame], pb.ServerFrame]] = {
    f.WELCOME: _welcome,
    f.ACCEPTED: _accepted,
    f.REJECTED: _rejected,
    f.DELIVER: _deliver,
    f.RECEIPT: _receipt,
    f.READ_SYNC: _read_sync,
    f.PRESENCE: _presence,
    f.TYPING: _typing,
    f.GO_AWAY: _go_away,
    f.REFRESHED: _refreshed,
    f.PROBLEM: _problem,
}
