"""docs/protocol.md tells the truth: its bytes are what they are said to be, and nothing of the protocol is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from iris.core.catalogue import CLOSES, ERRORS
from iris.core.ids import direct_conversation, user_text
from iris_sdk._pb import content_pb2, frames_pb2

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```hex (\w+)\n(.*?)^```\n\n```textproto\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MESSAGES: dict[str, type[Message]] = {
    "ClientFrame": frames_pb2.ClientFrame,
    "ServerFrame": frames_pb2.ServerFrame,
    "Content": content_pb2.Content,
}
EXAMPLES = BLOCK.findall(PAGE)


def words() -> set[str]:
    """Every word of the page."""
    return set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", PAGE))


def test_every_block_of_bytes_is_an_example() -> None:
    assert len(EXAMPLES) == PAGE.count("```hex ") == PAGE.count("```textproto") == 8


@pytest.mark.parametrize(("name", "digits", "said"), EXAMPLES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(EXAMPLES)])
def test_the_bytes_of_an_example_are_what_is_said(name: str, digits: str, said: str) -> None:
    raw = bytes.fromhex(digits)
    parsed = MESSAGES[name].FromString(raw)
    expected = text_format.Parse(said, MESSAGES[name]())
    assert parsed == expected
    assert parsed.SerializeToString(deterministic=True) == raw


def test_the_examples_hang_together() -> None:
    frames = [(name, MESSAGES[name].FromString(bytes.fromhex(digits))) for name, digits, _ in EXAMPLES]
    client = [frame for _, frame in frames if isinstance(frame, frames_pb2.ClientFrame)]
    server = [frame for _, frame in frames if isinstance(frame, frames_pb2.ServerFrame)]
    send, ack = client[1].send, client[2].ack
    welcome, accepted, deliver, receipt = server[0].welcome, server[1].accepted, server[2].deliver, server[3].receipt
    assert [frame.WhichOneof("body") for frame in client] == ["hello", "send", "ack"]
    assert [frame.WhichOneof("body") for frame in server] == ["welcome", "accepted", "deliver", "receipt"]
    bob = bytes.fromhex("00000b0b0b0b0b0b0b0b0b0b0b0b0b0b")
    assert send.conversation == direct_conversation(welcome.user, bob) == accepted.conversation == deliver.conversation
    assert send.message_id == accepted.message_id == deliver.message_id
    assert accepted.seq == deliver.seq == ack.seq == receipt.delivered
    assert content_pb2.Content.FromString(send.payload).text.body == "hi"
    assert f"`{welcome.user.hex()}` is\n`{user_text(welcome.user)}`" in PAGE


def test_every_frame_and_field_is_on_the_page() -> None:
    bodies = [frames_pb2.ClientFrame.DESCRIPTOR, frames_pb2.ServerFrame.DESCRIPTOR]
    found = words()
    missing = []
    for body in bodies:
        for frame in body.fields:
            assert frame.message_type is not None
            missing += [frame.message_type.name] if frame.message_type.name not in found else []
            missing += [f"{frame.message_type.name}.{f.name}" for f in frame.message_type.fields if f.name not in found]
    missing += [f"Limits.{field.name}" for field in frames_pb2.Limits.DESCRIPTOR.fields if field.name not in found]
    assert missing == []


def test_every_code_that_a_client_can_meet_is_on_the_page_with_its_number() -> None:
    wanted = {(info.code, info.name) for info in ERRORS.values() if set(info.answers) & {"Send", "frame"}}
    wanted |= {(info.code, info.name) for info in CLOSES.values()}
    rows = {(int(code), name) for code, name in re.findall(r"^\| (\d{4}) \| `(\w+)`", PAGE, re.MULTILINE)}
    assert wanted == rows


def test_close_codes_say_what_the_catalogue_says() -> None:
    said = {"yes": "yes", "backoff": "backoff", "no": "no", "after a refresh": "after_refresh"}
    rows = re.findall(r"^\| (\d{4}) \| `(\w+)` \| (yes|backoff|no|after a refresh) \|", PAGE, re.MULTILINE)
    assert {int(code): (name, said[what]) for code, name, what in rows} == {
        info.code: (info.name, info.reconnect) for info in CLOSES.values()
    }


def test_the_links_lead_somewhere() -> None:
    pages = [ROOT / "docs" / name for name in ("protocol.md", "glossary.md", "operations.md")]
    broken = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        anchors = {
            re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            if "://" not in target and not (page.parent / path if path else page).exists():
                broken.append(f"{page.name}: {target}")
            if not path and anchor not in anchors:
                broken.append(f"{page.name}: {target}")
    assert broken == []
