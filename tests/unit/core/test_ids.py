"""Ids: text form, conversations, handles, units, shards, seqs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris.core import ids

USERS = st.binary(min_size=16, max_size=16)


@given(USERS)
def test_a_user_id_survives_its_text_form(user: bytes) -> None:
    text = ids.user_text(user)
    assert len(text) == 26
    assert ids.user_from_text(text) == user
    assert ids.user_from_text(text.upper()) == user


def test_letters_that_look_like_digits_are_read_as_these() -> None:
    assert ids.user_from_text("o" * 26) == bytes(16)
    assert ids.user_from_text("0" * 25 + "l") == ids.user_from_text("0" * 25 + "I") == bytes(15) + b"\x01"


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "z" * 26])
def test_what_is_no_user_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a user id has"):
        ids.user_from_text(text)


@pytest.mark.parametrize(
    "letter", ["u", "U", "-", "_", " ", "\n", "\u212a", "\u0661"]
)  # the last two: Kelvin sign, a digit
def test_a_letter_of_no_user_id_is_named(letter: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(letter))):
        ids.user_from_text("0" * 12 + letter + "0" * 13)


@given(USERS, USERS)
def test_both_members_name_a_conversation_alike(one: bytes, other: bytes) -> None:
    conversation = ids.direct_conversation(one, other)
    assert conversation == ids.direct_conversation(other, one)
    assert ids.peer_of(conversation, one) == other
    assert ids.peer_of(conversation, other) == one


def test_only_members_have_a_peer() -> None:
    low, high, third = b"a" * 16, b"b" * 16, b"c" * 16
    assert ids.peer_of(low + high, third) is None
    assert ids.peer_of(high + low, low) is None  # not in order: no conversation at all
    assert ids.peer_of(low, low) is None
    assert ids.peer_of(low + low, low) == low  # with oneself: the caller refuses it


@pytest.mark.parametrize(("text", "handle"), [("@Ada", "ada"), ("a_b.c9", "a_b.c9"), ("A" * 32, "a" * 32)])
def test_handles_have_one_spelling(text: str, handle: str) -> None:
    assert ids.normal_handle(text) == handle


@pytest.mark.parametrize("text", ["", "ab", "a" * 33, "9ab", "_ab", "ab_", "ab.", "a b", "ada\n", "ädа", "@@ada"])
def test_what_is_no_handle_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ids.normal_handle(text)


@pytest.mark.parametrize("code", ["", "short12", "A" * 8, "a" * 65, "with space", "new\nline"])
def test_what_is_no_invite_is_refused(code: str) -> None:
    with pytest.raises(ValueError):
        ids.invite_unit(code)


def test_a_name_as_long_as_a_user_id_is_no_user() -> None:
    name = ids.handle_unit("a" * 15)
    assert len(name) == 16
    assert not ids.is_user(name)
    assert not ids.is_user(ids.handle_unit("uuu"))
    assert not ids.is_user(ids.invite_unit("uuuuuuuu"))
    assert ids.is_user(ids.user_unit(b"@" * 16))


def test_shards_are_even_and_stay() -> None:
    units = [ids.user_unit(number.to_bytes(16, "big")) for number in range(4_000)]
    counts = [0] * 16
    for unit in units:
        counts[ids.shard_of(unit, 16)] += 1
    assert min(counts) > 180
    assert max(counts) < 320
    assert ids.shard_of(b"u" + bytes(16), 4_096) == 609  # of a store that exists: it may never change


def test_seqs_sort_by_epoch_first_and_stay_exact_in_javascript() -> None:
    assert ids.seq_of(2, 1) > ids.seq_of(1, ids.COUNTER_MAX)
    assert ids.seq_of(ids.EPOCH_MAX, ids.COUNTER_MAX) == 2**53 - 1
