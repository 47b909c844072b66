"""The judge of `iris torture` on made-up records: it passes the clean ones and finds every kind of fault."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_torture.history import Entry
from iris_torture.judge import PROMISES, judge
from tests.unit.torture.made_up import World, changed, clean

QUICK = settings(max_examples=30, deadline=None)


def broken(entries: list[Entry]) -> set[str]:
    """Names of the promises that the judge says are broken."""
    return {violation.promise for violation in judge(entries).violations}


def places(entries: list[Entry], what: str, **data: object) -> list[int]:
    return [
        index
        for index, entry in enumerate(entries)
        if entry.what == what and all(entry.data.get(key) == value for key, value in data.items())
    ]


@QUICK
@given(st.integers(0, 10**9))
def test_a_clean_record_passes(seed: int) -> None:
    verdict = judge(clean(seed))
    assert verdict.violations == []
    assert verdict.counts["accepted"] == verdict.counts["sent"] == verdict.counts["delivered"] == 30
    assert verdict.counts["shown"] == 90


@QUICK
@given(st.integers(0, 10**9), st.data())
def test_a_dropped_message_is_found(seed: int, data: st.DataObject) -> None:
    entries = clean(seed)
    del entries[data.draw(st.sampled_from(places(entries, "shown")))]
    assert "lost" in broken(entries)


@QUICK
@given(st.integers(0, 10**9), st.data())
def test_a_doubled_message_is_found(seed: int, data: st.DataObject) -> None:
    entries = clean(seed)
    place = data.draw(st.sampled_from(places(entries, "shown")))
    entries.insert(place + data.draw(st.integers(1, len(entries) - place)), entries[place])
    assert "twice" in broken(entries)


@QUICK
@given(st.integers(0, 10**9), st.data())
def test_two_swapped_messages_are_found(seed: int, data: st.DataObject) -> None:
    entries = clean(seed)
    pairs = [
        (one, other)
        for one in places(entries, "shown")
        for other in places(entries, "shown")
        if one < other and _same_line(entries[one], entries[other])
    ]
    one, other = data.draw(st.sampled_from(pairs))
    entries[one], entries[other] = entries[other], entries[one]
    assert "order" in broken(entries)


def _same_line(one: Entry, other: Entry) -> bool:
    keys = ("conversation", "sender", "number")
    return one.device == other.device and all(one.data[key] == other.data[key] for key in keys)


@QUICK
@given(st.integers(0, 10**9), st.data())
def test_a_false_answer_is_found(seed: int, data: st.DataObject) -> None:
    entries = clean(seed)
    place = data.draw(st.sampled_from(places(entries, "state")))
    key = data.draw(st.sampled_from(["seq", "at"]))
    entries[place] = changed(entries[place], **{key: entries[place].data[key] + 1})
    assert "contradiction" in broken(entries)


@QUICK
@given(st.integers(0, 10**9), st.data())
def test_two_screens_that_differ_are_found(seed: int, data: st.DataObject) -> None:
    entries = clean(seed)
    long = [place for place in places(entries, "screen") if len(entries[place].data["rows"]) > 1]
    place = data.draw(st.sampled_from(long))
    entries[place] = changed(entries[place], rows=entries[place].data["rows"][::-1])
    assert "alike" in broken(entries)


def small() -> tuple[World, str]:
    """ada (u1) has written to bob (u2), two devices each; nobody has read it."""
    world = World(users=2)
    return world, world.send("u1.1", "u2")


def test_read_without_a_reader_is_a_false_receipt() -> None:
    world, message = small()
    world.tell("u1.1", "state", id=message, state="read", seq=1, at=world.entries[-1].data["at"], code="")
    assert broken(world.end()) == {"receipt"}


def test_read_before_the_reader_did_is_a_false_receipt() -> None:
    world, message = small()
    world.tell("u1.1", "state", id=message, state="read", seq=1, at=world.entries[-1].data["at"], code="")
    world.add("u2.1", "reading", conversation="u1u2", seq=1)
    assert broken(world.end()) == {"receipt"}


def test_delivered_to_nobody_is_a_false_receipt() -> None:
    world, _ = small()
    entries = [e for e in world.end() if not (e.what == "shown" and e.device.startswith("u2"))]
    assert broken(entries) >= {"receipt", "lost"}


def test_a_receipt_that_never_comes_is_missed() -> None:
    world, _ = small()
    entries = [e for e in world.end() if e.data.get("state") != "delivered"]
    assert broken(entries) == {"missing"}


def test_a_read_receipt_that_never_comes_is_missed() -> None:
    world, _ = small()
    world.add("u2.2", "reading", conversation="u1u2", seq=1)
    assert broken(world.end()) == {"missing"}


def test_a_message_without_answer_is_found() -> None:
    world, _ = small()
    world.add("u1.1", "invoke", to="u2", labels=["u1.1-000009"])
    world.tell("u1.1", "queued", id="x", label="u1.1-000009", to="u2")
    assert broken(world.end()) == {"unanswered"}


def test_a_message_that_its_sender_was_not_told_of_must_still_be_everywhere() -> None:
    world, _ = small()
    entries = [e for e in world.end() if e.what != "state"]
    assert broken(entries) == {"unanswered", "missing"}
    entries = [e for e in entries if not (e.what == "shown" and e.device == "u2.2")]
    assert "lost" in broken(entries)


def test_a_refused_message_that_is_shown_is_found() -> None:
    world, message = small()
    world.tell("u1.1", "state", id=message, state="refused", seq=0, at=0, code="NOT_ALLOWED")
    assert broken(world.end()) == {"invented", "contradiction", "missing"}


@pytest.mark.parametrize(
    "lie",
    [{"id": "unknown"}, {"sender": "u2"}, {"number": 2}, {"label": "u1.1-000002"}],
    ids=lambda lie: next(iter(lie)),
)
def test_a_message_that_nobody_sent_is_found(lie: dict[str, object]) -> None:
    world, _ = small()
    [place] = [p for p in places(world.entries, "shown") if world.entries[p].device == "u2.1"]
    world.entries[place] = changed(world.entries[place], **lie)
    assert "invented" in broken(world.end())


def test_a_message_for_somebody_else_is_found() -> None:
    world = World(users=3)
    world.send("u1.1", "u2")
    [place] = [p for p in places(world.entries, "shown") if world.entries[p].device == "u2.1"]
    world.tell("u3.1", "shown", **{k: v for k, v in world.entries[place].data.items() if k != "n"})
    assert broken(world.end()) >= {"invented"}


def test_a_device_that_is_thrown_out_is_found() -> None:
    world, _ = small()
    world.add("u2.1", "connection", state="closed", reason="TOKEN_REVOKED")
    assert broken(world.end()) == {"thrown_out"}


def test_two_holders_of_one_profile_are_found() -> None:
    world, _ = small()
    world.add("u2.1", "second", state="held_elsewhere")
    assert broken(world.entries) == set()
    world.add("u2.1", "second", state="live")
    assert broken(world.entries) == {"thrown_out"}


def test_nothing_is_owed_to_devices_that_came_later_or_have_left() -> None:
    world, _ = small()
    world.add("u2.3", "linked", user="u2", number=3)
    world.add("u2.2", "unlinking")
    world.send("u1.1", "u2")
    entries = [e for e in world.end() if not (e.device == "u2.2" and e.data.get("label") == "u1.1-000002")]
    assert broken(entries) == {"lost"}  # to the new device, the second message
    assert [v.device for v in judge(entries).violations] == ["u2.3"]


def restored(keep: int) -> World:
    """bob's first device goes back to a copy of after the first `keep` of two messages."""
    world, _ = small()
    world.send("u1.1", "u2")
    known = dict(list(world.holds["u2.1"].items())[:keep])
    world.add("u2.1", "restored", known=known, waiting=0, last=0)
    return world


def test_a_restored_profile_must_get_again_what_its_copy_lacks() -> None:
    assert broken(restored(2).entries) == set()
    assert broken(restored(1).entries) == {"lost"}


def test_a_restored_profile_may_be_told_that_the_past_is_gone() -> None:
    world = restored(1)
    world.tell("u2.1", "gap")
    assert broken(world.entries) == set()
    world, _ = small()
    world.tell("u2.1", "gap")  # nobody restored it: no reason to lose anything
    entries = [e for e in world.entries if not (e.what == "shown" and e.device == "u2.1")]
    assert broken(entries) == {"lost"}


def test_a_restored_profile_may_show_again_what_its_copy_lacks_and_nothing_else() -> None:
    for message, expected in ((1, set()), (0, {"twice"})):
        world = restored(1)
        place = [p for p in places(world.entries, "shown") if world.entries[p].device == "u2.1"][message]
        world.tell("u2.1", "shown", **{k: v for k, v in world.entries[place].data.items() if k != "n"})
        assert broken(world.entries) - {"lost"} == expected


def test_every_promise_has_words_and_a_test() -> None:
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    assert [promise for promise in PROMISES if f'"{promise}"' not in text] == []
