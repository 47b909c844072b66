"""`iris tail`: the lines scripts read, and what is remembered as printed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

import iris_sdk as sdk
from iris.cli.errors import CliError
from iris.cli.tail import Lines, _Tailing, human

BOB, ID, CONVERSATION = "b" * 26, "ab" * 16, "c" * 64


def message(n: int, sender: str = BOB) -> sdk.Message:
    return sdk.Message(n, f"{n:032x}", CONVERSATION, sender, 1, 70 + n, 1000 + n, f"text {n}", b"", 1)


class FakeClient:
    """A profile with events; ends like a closed connection when told so."""

    closed_reason = "TOKEN_REVOKED"
    error: Exception | None = None

    def __init__(self, *events: sdk.Event, printed: int = 0) -> None:
        self.happened = events
        self.printed = printed
        self.watched: list[str] = []
        self.read: list[sdk.Message] = []
        self.asked = 0

    def conversations(self) -> list[sdk.Conversation]:
        return []

    async def events(self, after: int) -> AsyncIterator[sdk.Event]:
        for event in self.happened:
            if getattr(event, "n", after + 1) > after:
                yield event
        await asyncio.Event().wait()

    async def set_printed(self, n: int) -> None:
        self.printed = n

    async def handle_of(self, user: str) -> str | None:
        self.asked += 1
        return "bob" if user == BOB else None

    async def watch(self, users: list[str]) -> None:
        self.watched = list(users)

    async def mark_read(self, event: sdk.Message) -> None:
        self.read.append(event)


def tail(client: FakeClient, count: int | None, *, after: int | None = None, read: bool = False) -> int:
    async def case() -> int:
        return await asyncio.wait_for(_Tailing(client, True, count, after, read).run(), 10)  # type: ignore[arg-type]

    return asyncio.run(case())


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_message_has_the_promised_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert tail(FakeClient(message(3)), 1) == 0
    assert printed(capsys) == [
        {"event": "message", "from": "bob", "message_id": f"{3:032x}", "seq": 73, "text": "text 3", "at": 1003, "n": 3}
    ]


def test_the_other_events(capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeClient(
        sdk.StateChange(1, ID, CONVERSATION, BOB, "accepted", 7, 9, ""),
        sdk.StateChange(2, ID, CONVERSATION, BOB, "read", 7, 9, ""),
        sdk.OwnCopy(3, ID, CONVERSATION, BOB, "me", 2, 8, 10, "mine", b"", 1, "accepted"),
        sdk.Presence(BOB, "online", 0),
        sdk.Typing(CONVERSATION, BOB, True),
        sdk.HistoryGap(4, 11),
        sdk.ReadSync(5, CONVERSATION, BOB, 7),
        message(6),
    )
    tail(client, 1)
    assert printed(capsys)[:-1] == [
        {"event": "receipt", "from": "bob", "message_id": ID, "state": "read", "seq": 7, "at": 9, "n": 2},
        {
            "event": "own",
            "to": "bob",
            "message_id": ID,
            "seq": 8,
            "text": "mine",
            "at": 10,
            "state": "accepted",
            "n": 3,
        },
        {"event": "presence", "from": "bob", "status": "online", "last_seen": 0},
        {"event": "typing", "from": "bob", "active": True},
        {"event": "gap", "at": 11, "n": 4},
    ]


def test_what_is_done_to_a_message_has_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    target = sdk.Ref("me", ID)
    actions: list[sdk.Reaction | sdk.Edit | sdk.Delete] = [
        sdk.Reaction(target, "👍"),
        sdk.Reaction(target, ""),
        sdk.Edit(target, "new"),
        sdk.Delete(target),
    ]
    acted = [sdk.Acted(n, f"{n:032x}", CONVERSATION, BOB, 1, n, n, action) for n, action in enumerate(actions, 1)]
    assert tail(FakeClient(*acted, message(9)), 1) == 0
    lines = printed(capsys)[:-1]
    assert [(line["event"], line["from"], line["target"], line["text"]) for line in lines] == [
        ("reaction", "bob", ID, "👍"),
        ("reaction", "bob", ID, ""),
        ("edit", "bob", ID, "new"),
        ("delete", "bob", ID, None),
    ]
    said = [human(line).split("  ", 1)[1] for line in lines]
    assert said == [
        f"@bob put 👍 to {ID[:8]}",
        f"@bob took the reaction back from {ID[:8]}",
        f"@bob changed {ID[:8]}: new",
        f"@bob deleted {ID[:8]}",
    ]


def test_counting_stops_at_the_message_and_remembers_only_what_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeClient(*[message(n) for n in range(1, 600)])
    assert tail(client, 300) == 0
    assert client.printed == 300
    assert tail(client, 2) == 0
    assert client.printed == 302
    assert [line["n"] for line in printed(capsys)] == list(range(1, 303))


def test_after_rereads_without_moving_the_position_back(capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeClient(*[message(n) for n in range(1, 9)], printed=8)
    assert tail(client, 3, after=2) == 0
    assert [line["n"] for line in printed(capsys)] == [3, 4, 5]
    assert client.printed == 8


def test_the_position_follows_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    client = FakeClient(message(1))

    async def put(text: str) -> None:
        order.append("printed")

    monkeypatch.setattr("iris.cli.tail.put", put)

    async def remember(n: int) -> None:
        order.append(f"kept {n}")

    monkeypatch.setattr(client, "set_printed", remember)
    tail(client, 1)
    assert order == ["printed", "kept 1"]


def test_people_who_write_are_watched_and_names_asked_once() -> None:
    client = FakeClient(message(1), message(2), message(3, "x" * 26))
    tail(client, 3, read=True)
    assert client.watched == [BOB, "x" * 26]
    assert client.asked == 2
    assert client.read[-1].n == 3


def test_an_unknown_name_is_the_user_id(capsys: pytest.CaptureFixture[str]) -> None:
    tail(FakeClient(message(1, "x" * 26)), 1)
    assert printed(capsys)[0]["from"] == "x" * 26


def test_a_connection_closed_for_good_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    closed = sdk.ConnectionChange(sdk.ConnectionState.CLOSED, "TOKEN_REVOKED")
    live = sdk.ConnectionChange(sdk.ConnectionState.LIVE, "")
    with pytest.raises(CliError, match="TOKEN_REVOKED"):
        tail(FakeClient(live, message(1), closed), None)
    assert [line["n"] for line in printed(capsys)] == [1]


def test_lines_for_people() -> None:
    async def case() -> list[str]:
        lines = Lines(FakeClient())  # type: ignore[arg-type]
        events: list[sdk.Event] = [
            message(1),
            sdk.Presence(BOB, "online", 0),
            sdk.Typing(CONVERSATION, BOB, False),
            sdk.StateChange(2, ID, CONVERSATION, BOB, "read", 7, 9, ""),
        ]
        return [human(line) for event in events if (line := await lines.of(event))]

    texts = [text.split("  ", 1)[1].strip() for text in asyncio.run(case())]
    assert texts == ["@bob: text 1", "@bob is online", "@bob stopped typing", "@bob has read abababab"]
