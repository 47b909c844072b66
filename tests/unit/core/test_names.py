"""Name units: claims, releases, repeats, eviction, and names that look like users."""

from __future__ import annotations

from collections.abc import Callable

from iris.core import names, outbox
from iris.core.catalogue import ErrorCode, Limits
from iris.core.commands import ItemIn, ItemRefused, ItemsDone
from iris.core.ids import handle_unit, invite_unit, user_unit
from iris.core.names import MARKS_MAX, Name
from iris.core.requests import CreateInvite, Done, NameHolders, Request
from iris.core.rows import NameRow
from iris.core.turn import Turn
from tests.support.world import World

ADA, BOB = user_unit(b"a" * 16), user_unit(b"b" * 16)
UNIT = handle_unit("name")


def said(name: Name, item: ItemIn) -> tuple[object, ...] | None:
    """What a claim or release is answered with."""
    turn = Turn(Limits(), 1, 8)
    names.on_item(name, item, turn)
    units = turn.take()[1].units
    return units[0][1] if units else None


def claim(source: bytes, number: int, prev: int = 0, unit: bytes = UNIT) -> ItemIn:
    return ItemIn(unit, source, number, prev, (outbox.CLAIM,))


def release(source: bytes, number: int, prev: int = 0) -> ItemIn:
    return ItemIn(UNIT, source, number, prev, (outbox.RELEASE,))


def test_the_first_claim_has_the_handle_and_a_repeat_is_told_the_same() -> None:
    name = Name(UNIT, None)
    refused = ItemRefused(BOB, UNIT, 5, int(ErrorCode.HANDLE_TAKEN))
    for _ in range(2):
        assert said(name, claim(ADA, 1)) == ItemsDone(ADA, UNIT, 1)
        assert said(name, claim(BOB, 5)) == refused
    loaded = Name(UNIT, name.row)
    assert said(loaded, claim(ADA, 1)) == ItemsDone(ADA, UNIT, 1)
    assert said(loaded, claim(BOB, 5)) == refused, "known after a restart"
    assert loaded.row is not None
    assert loaded.row.holders == (ADA[1:],)


def test_claim_and_release_are_taken_in_order_however_they_come() -> None:
    name = Name(UNIT, None)
    assert said(name, release(ADA, 2, prev=1)) is None, "the claim before it has not come"
    said(name, claim(ADA, 1))
    said(name, release(ADA, 2, prev=1))
    assert name.row is not None
    assert name.row.holders == ()
    said(name, claim(ADA, 1))
    assert name.row.holders == (), "an old claim that comes again takes nothing"
    assert said(name, claim(BOB, 1)) == ItemsDone(BOB, UNIT, 1)


def test_somebody_elses_release_frees_nothing() -> None:
    name = Name(UNIT, None)
    said(name, claim(ADA, 1))
    said(name, release(BOB, 1))
    assert name.row is not None
    assert name.row.holders == (ADA[1:],)


def test_an_invite_exists_by_being_made() -> None:
    unit = invite_unit("invite-1")
    name = Name(unit, None)
    assert said(name, claim(ADA, 1, unit=unit)) == ItemRefused(ADA, unit, 1, int(ErrorCode.INVITE_INVALID))
    assert name.row is None, "nothing is stored for a name that nobody made"
    turn = Turn(Limits(), 1, 8)
    names.on_request(name, Request(1, unit, None, CreateInvite(0)), turn)
    names.on_request(name, Request(2, unit, None, CreateInvite(1)), turn)
    assert [type(result).__name__ for _, result in turn.take()[1].replies] == ["Refused", "Done"]
    assert said(name, claim(BOB, 1, unit=unit)) == ItemsDone(BOB, unit, 1)


def test_the_marks_of_the_newest_sources_are_kept() -> None:
    name = Name(UNIT, None)
    for number in range(100):
        said(name, claim(user_unit(number.to_bytes(16, "big")), 1))
    assert len(name.marks) == MARKS_MAX
    assert isinstance(name.row, NameRow)
    assert len(name.row.marks) == MARKS_MAX


def test_names_are_put_out_of_memory_and_found_again(new_world: Callable[..., World]) -> None:
    """names_in_memory_max."""
    world = new_world(names_in_memory_max=1, num_shards=1)
    users = {handle: world.register(handle) for handle in ("ada", "bob", "cyn")}
    (shard,) = world.node.shards.values()
    assert len(shard._names) == 1
    for handle, user in users.items():
        assert world.holders(handle) == (user,)


def test_a_handle_as_long_as_a_user_id_is_a_name(world: World) -> None:
    handle = "u" * 15
    assert len(handle_unit(handle)) == 16
    (ada,) = world.join(handle)
    assert world.holders(handle) == (ada.user,)
    assert world.ask(handle_unit("x" * 15), CreateInvite(1)) == Done()
    assert set(world.node.users) == {ada.user}, "nobody was loaded under a name"
    world.crash()
    assert world.holders(handle) == (ada.user,)


def test_a_name_that_nobody_has_is_empty(world: World) -> None:
    assert world.holders("nobody") == ()
    assert NameHolders(()) == NameHolders(users=())
