"""Devices: linking, unlinking, refresh secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.ids import user_unit
from iris.core.requests import LinkDevice, Linked, LogoutDevice, Refused, Rotated, RotateRefresh
from tests.support.world import World


def code(result: Any) -> int:
    assert isinstance(result, Refused), result
    return result.code


def test_a_fifth_device_is_refused(new_world: Callable[..., World]) -> None:
    """devices_max."""
    world = new_world()
    devices = world.join("ada", 4)
    unit = user_unit(devices[0].user)
    assert code(world.ask(unit, LinkDevice("fifth", b"5" * 32))) == ErrorCode.DEVICE_LIMIT
    world.ask(unit, LogoutDevice(devices[1].device), devices[0].auth)
    linked = world.ask(unit, LinkDevice("fifth", b"5" * 32))
    assert linked == Linked(5, 1), "numbers are never used again"


def test_numbers_are_never_used_again_also_after_a_restart(world: World) -> None:
    (ada,) = world.join("ada")
    world.ask(user_unit(ada.user), LogoutDevice(0), ada.auth)
    world.crash()
    assert world.link(ada.user).device == 2


def test_numbers_are_never_used_again_also_after_a_restore(world: World) -> None:
    """Else the token of a device that was linked after the backup would stand for the next device."""
    (ada,) = world.join("ada")
    world.store.backup("evening")
    later = world.link(ada.user)
    for client in world.clients:
        client.lost(None)
    world.store = world.store.restore("evening")
    world._boot()
    other = world.link(ada.user)
    assert other.device != later.device
    later.connect()
    world.settle()
    assert later.closed == CloseCode.TOKEN_REVOKED
    assert other.closed is None


def test_the_same_login_again_is_the_same_device(world: World) -> None:
    user = world.register("ada")
    first = world.ask(user_unit(user), LinkDevice("phone", b"r" * 32))
    assert world.ask(user_unit(user), LinkDevice("phone", b"r" * 32)) == first
    world.ask(user_unit(user), RotateRefresh(1, b"r" * 32, b"q" * 32))
    assert world.ask(user_unit(user), LinkDevice("phone", b"r" * 32)) == first, "late, when its secret has rotated"
    assert world.ask(user_unit(user), LinkDevice("phone", b"s" * 32)) != first


@pytest.mark.parametrize("crash", [False, True])
def test_unlinking_the_last_device_keeps_what_comes_for_the_next(world: World, crash: bool) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    ada.send(bob.user, "had")
    world.settle()
    bob.auto = False
    ada.send(bob.user, "not acked")
    world.settle()
    world.ask(user_unit(bob.user), LogoutDevice(0), bob.auth)
    assert bob.closed == CloseCode.TOKEN_REVOKED
    ada.send(bob.user, "meanwhile")
    world.settle()
    if crash:
        world.crash()
        ada.connect()
    phone = world.link(bob.user)
    phone.connect()
    world.settle()
    assert phone.texts(ada.user) == ["not acked", "meanwhile"]
    assert ada.receipt(bob.user)[0] == phone.saved.seq


def test_a_new_device_gets_what_no_other_has_and_receipts_claim_nothing_that_is_not_so(world: World) -> None:
    """Else the receipt for the later message would call the earlier one delivered, which no device has."""
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    ada.send(bob.user, "had")
    world.settle()
    bob.disconnect()
    ada.send(bob.user, "not yet")
    world.settle()
    seen = ada.receipt(bob.user)[0]
    phone = world.link(bob.user)
    world.crash()
    ada.connect()
    ada.send(bob.user, "later")
    world.settle()
    assert ada.receipt(bob.user)[0] == seen
    phone.connect()
    world.settle()
    assert phone.texts(ada.user) == ["not yet", "later"]
    assert ada.receipt(bob.user)[0] == phone.saved.seq
    world.audit()


# --- refresh secrets ---
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def linked(world: World) -> tuple[bytes, int]:
    user = world.register("ada")
    answer = world.ask(user_unit(user), LinkDevice("phone", A))
    assert isinstance(answer, Linked)
    return user_unit(user), answer.device


def test_refresh_secrets_rotate_and_a_repeated_request_has_the_same_answer(world: World) -> None:
    unit, device = linked(world)
    for _ in range(2):
        assert world.ask(unit, RotateRefresh(device, A, B)) == Rotated(1)
    assert world.ask(unit, RotateRefresh(device, B, C)) == Rotated(1)


def test_a_reused_secret_logs_the_device_out(world: World) -> None:
    unit, device = linked(world)
    world.ask(unit, RotateRefresh(device, A, B))
    assert code(world.ask(unit, RotateRefresh(device, A, C))) == ErrorCode.REFRESH_INVALID
    assert code(world.ask(unit, RotateRefresh(device, B, C))) == ErrorCode.REFRESH_INVALID, "also the good one"
    assert not world.user(unit[1:]).devices


def test_an_unknown_secret_or_device_harms_nobody(world: World) -> None:
    unit, device = linked(world)
    assert code(world.ask(unit, RotateRefresh(device, C, B))) == ErrorCode.REFRESH_INVALID
    assert code(world.ask(unit, RotateRefresh(9, A, B))) == ErrorCode.REFRESH_INVALID
    assert world.ask(unit, RotateRefresh(device, A, B)) == Rotated(1)


def test_a_device_that_never_rotated_has_no_secret_before(world: World) -> None:
    unit, device = linked(world)
    assert code(world.ask(unit, RotateRefresh(device, b"", B))) == ErrorCode.REFRESH_INVALID
