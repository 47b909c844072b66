"""Payloads say what sdk/scenarios/content/encoding.json says, and what cannot be sent is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iris_sdk.catalogue import Limits
from iris_sdk.content import (
    ALGORITHM,
    CONTENT_TYPE,
    Action,
    Content,
    Delete,
    Deleted,
    Edit,
    Mention,
    Reaction,
    Ref,
    Text,
    Unknown,
    decode,
    encode,
)
from iris_sdk.ids import user_text

FOLDER = Path(__file__).resolve().parents[3] / "sdk/scenarios/content"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "encoding.json").read_text(encoding="utf-8"))
ADA = Ref(user_text(bytes(16)), "00" * 16)


def ref_of(value: list[str]) -> Ref:
    return Ref(user_text(bytes.fromhex(value[0])), value[1])


def mentions_of(given: dict[str, Any]) -> tuple[Mention, ...]:
    return tuple(Mention(user_text(bytes.fromhex(u)), s, n) for u, s, n in given.get("mentions", []))


def content_of(case: dict[str, Any]) -> Content:
    """The record that a case's words stand for."""
    ((kind, given),) = case["content"].items()
    match kind:
        case "text":
            reply_to = ref_of(given["reply_to"]) if "reply_to" in given else None
            return Text(given["body"], reply_to, given.get("forwarded", False), mentions_of(given))
        case "reaction":
            return Reaction(ref_of(given["target"]), given["emoji"])
        case "edit":
            return Edit(ref_of(given["target"]), given["body"], mentions_of(given))
        case "delete":
            return Delete(ref_of(given["target"]))
    assert kind == "unknown"
    return Unknown(bytes.fromhex(case["payload"]), case.get("content_type", CONTENT_TYPE), case.get("alg", ALGORITHM))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_payloads(case: dict[str, Any]) -> None:
    payload, content = bytes.fromhex(case["payload"]), content_of(case)
    assert decode(payload, case.get("content_type", CONTENT_TYPE), case.get("alg", ALGORITHM)) == content
    if case.get("both"):
        assert not isinstance(content, Unknown | Deleted)
        assert encode(content) == payload


def test_only_the_first_mentions_count() -> None:
    mentions = tuple(Mention(ADA.sender, start, 1) for start in range(5))
    payload = encode(Text("12345", mentions=mentions))
    found = decode(payload, CONTENT_TYPE, ALGORITHM, Limits(mentions_max=3))
    assert found == Text("12345", mentions=mentions[:3])


@pytest.mark.parametrize(
    ("words", "content"),
    [
        ("a reaction has at most 64 bytes", Reaction(ADA, "x" * 65)),
        ("is not a message id", Delete(Ref(ADA.sender, "00"))),
        ("is not a user id", Delete(Ref("ada", ADA.message_id))),
        ("do not overlap", Text("12", mentions=(Mention(ADA.sender, 0, 2), Mention(ADA.sender, 1, 1)))),
        ("lie inside the text", Edit(ADA, "12", (Mention(ADA.sender, 1, 2),))),
        ("at most 256 mentions", Text("x" * 300, mentions=tuple(Mention(ADA.sender, n, 1) for n in range(257)))),
        ("surrogates not allowed", Text("\ud800")),
    ],
)
def test_what_cannot_be_sent(words: str, content: Text | Action) -> None:
    assert (Limits().reaction_bytes_max, Limits().mentions_max) == (64, 256)
    with pytest.raises(ValueError, match=words):
        encode(content)
