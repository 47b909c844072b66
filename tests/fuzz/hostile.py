"""Values that a hostile client may put into fields, within what the engine lets through (engine/src/codec.rs)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from iris.core import frames as f
from iris.core.ids import direct_conversation

U64 = (1 << 64) - 1
EDGES = [0, 1, 2, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 53) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, U64]
numbers = st.one_of(st.integers(0, 6), st.sampled_from(EDGES), st.integers(0, U64))
enums = st.sampled_from([0, 1, 2, 3, 99, (1 << 31) - 1])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def users(known: list[bytes]) -> st.SearchStrategy[bytes]:
    """Ids of 16 bytes, mostly of people who exist."""
    return st.one_of(st.sampled_from(known), st.binary(min_size=16, max_size=16))


def conversations(known: list[bytes]) -> st.SearchStrategy[bytes]:
    """Ids of conversations, right and wrong: of strangers, in the wrong order, of the wrong length."""
    pairs = st.tuples(users(known), users(known))
    return st.one_of(
        pairs.map(lambda pair: direct_conversation(*pair)),
        pairs.map(lambda pair: pair[0] + pair[1]),
        st.binary(max_size=64),
    )


def client_frames(known: list[bytes], tokens: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Any, ...]]:
    """What may come from a client, after Hello; its connection is 0."""
    payloads = st.one_of(st.just(b""), st.binary(max_size=40), st.just(b"x" * 3_000))
    ids = st.one_of(st.sampled_from([bytes(16), b"i" * 16]), st.binary(min_size=16, max_size=16))
    return st.one_of(
        st.builds(
            f.Send, st.just(f.SEND), st.just(0), conversations(known), numbers, numbers, numbers, ids, numbers,
            payloads, enums, enums,
        ),
        st.builds(f.Ack, st.just(f.ACK), st.just(0), numbers, numbers),
        st.builds(f.Read, st.just(f.READ), st.just(0), conversations(known), numbers),
        st.builds(f.SetTyping, st.just(f.SET_TYPING), st.just(0), conversations(known), st.booleans()),
        st.builds(f.Watch, st.just(f.WATCH), st.just(0), st.lists(users(known), max_size=12).map(tuple)),
        st.builds(f.Refresh, st.just(f.REFRESH), st.just(0), tokens),
    )  # fmt: skip
