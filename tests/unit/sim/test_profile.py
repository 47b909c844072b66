"""The profile in dictionaries does what the SDK's SQLite profile does.

Goal: a simulated run with either is the same run. Method: the same writes, by chance from a seed, to both; everything
that can be read must be equal after each commit, and for a copy that was taken on the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from iris_sdk.core import effects as fx
from iris_sdk.errors import OutboxFull
from iris_sim.profile import DictProfile, Profile, SqliteProfile

ME, TALKS = b"m" * 16, [bytes([n]) * 32 for n in (1, 2)]
OUTBOX_MAX = 6


def ids() -> Callable[[], bytes]:
    counter = iter(range(1, 1 << 30))
    return lambda: next(counter).to_bytes(16, "big")


def everything(profile: Profile) -> tuple[object, ...]:
    saved = profile.load()
    rows = sorted(profile.history())
    return (
        rows, profile.cursor(), dict(profile.reads()), profile.waiting(), profile.outbox_after(0),
        profile.reads_wanted(), saved.seq, saved.rev, sorted(saved.conversations, key=lambda one: one.conversation),
        [profile.payload(row.message_id) for row in rows if row.sender == ME],
    )  # fmt: skip


def a_write(chance: random.Random, mine: list[bytes], at: int) -> fx.Write:
    talk = chance.choice(TALKS)
    seq = chance.randint(1, 12)
    kind = chance.randrange(9)
    if kind < 2:
        row = chance.choice(mine) if mine and kind else chance.randbytes(16)
        sender = ME if kind else b"p" * 16
        return fx.SaveMessage(
            bool(kind), talk, sender, 2, row, seq, seq, at, b"\n\x03\n\x01x", 1, chance.choice((0, 7))
        )
    if kind < 5 and mine:
        return fx.SaveAnswer(chance.choice(mine), talk, seq, at, chance.choice((0, 0, 1003)))
    if kind == 5:
        return fx.SaveReceipt(talk, seq, chance.randint(0, seq))
    if kind == 6:
        return fx.SaveRead(talk, seq)
    others = (
        fx.SaveStream(talk, seq),
        fx.DropReadWanted(talk),
        fx.SaveGap(at),
        fx.Expire(at - 500),
        fx.SaveCursor(seq, seq),
    )
    return chance.choice(others)


@pytest.mark.parametrize("seed", range(12))
def test_both_profiles_hold_the_same(seed: int) -> None:
    chance = random.Random(seed)
    both: list[Profile] = [SqliteProfile(ids()), DictProfile(ids())]
    for profile in both:
        profile.set_meta(user=ME, device=1)
    mine: dict[bytes, list[bytes]] = {talk: [] for talk in TALKS}
    copies: list[Profile] = []
    for step in range(60):
        talk = chance.choice(TALKS)
        if chance.random() < 0.3:
            texts: list[tuple[bytes, str | None]] = [(b"x%d" % n, "x") for n in range(chance.randint(1, 3))]
            made = [_taken(profile, talk, texts, 1_000 * step) for profile in both]
            assert made[0] == made[1]
            mine[talk] += [message_id for message_id, _ in made[0] or []]
        elif chance.random() < 0.2:
            seq = chance.randint(1, 12)
            for profile in both:
                profile.want_read(talk, seq)
        else:
            sent = [message_id for rows in mine.values() for message_id in rows]
            writes = [_of_its_talk(a_write(chance, sent, 1_000 * step + n), mine) for n in range(chance.randint(1, 5))]
            for profile in both:
                profile.apply(writes)
        assert everything(both[0]) == everything(both[1])
        if step == 30:
            copies = [profile.copy() for profile in both]
            before = everything(both[0])
    assert everything(copies[0]) == everything(copies[1]) == before


def _taken(
    profile: Profile, talk: bytes, texts: list[tuple[bytes, str | None]], now: int
) -> list[tuple[bytes, int]] | None:
    try:
        return profile.enqueue(talk, texts, now, OUTBOX_MAX)
    except OutboxFull:
        return None


def _of_its_talk(write: fx.Write, mine: dict[bytes, list[bytes]]) -> fx.Write:
    """An answer, or an own copy, names the conversation that its message is in."""
    if isinstance(write, fx.SaveAnswer | fx.SaveMessage):
        for talk, rows in mine.items():
            if write.message_id in rows:
                return write._replace(conversation=talk)
    return write
