"""Link codes: good once, for a short time, for one device, and for few wrong tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iris.core.catalogue import ErrorCode, Limits
from iris.core.ids import link_code, normal_link_code, user_unit
from iris.core.requests import (
    Auth,
    DeleteUser,
    Devices,
    LinkCodeMade,
    Linked,
    ListDevices,
    LogoutAll,
    LogoutDevice,
    MakeLinkCode,
    RedeemLinkCode,
    Refused,
    RevokeToken,
    SetPassword,
)
from tests.support.world import World
from tests.support.world_client import Client

CODE, OTHER = b"c" * 32, b"d" * 32
A, B = b"a" * 32, b"b" * 32
LIFETIME_MS = Limits().link_code_ms


def shown(world: World, client: Client, digest: bytes = CODE) -> int:
    made = world.ask(user_unit(client.user), MakeLinkCode(digest), client.auth)
    assert isinstance(made, LinkCodeMade), made
    return made.expires_at


def redeem(world: World, user: bytes, digest: bytes = CODE, refresh: bytes = A) -> Any:
    result = world.ask(user_unit(user), RedeemLinkCode(digest, "laptop", refresh))
    return ErrorCode(result.code).name if isinstance(result, Refused) else result


def names(world: World, client: Client) -> list[str]:
    found = world.ask(user_unit(client.user), ListDevices(), client.auth)
    assert isinstance(found, Devices), found
    return [device.name for device in found.devices]


def test_a_code_links_one_device_once(world: World) -> None:
    (ada,) = world.join("ada")
    assert shown(world, ada) == world.wall + LIFETIME_MS
    assert redeem(world, ada.user) == Linked(2, 1)
    assert names(world, ada) == ["device 0", "laptop"]
    assert redeem(world, ada.user, refresh=B) == "LINK_CODE_INVALID"
    world.crash()
    assert redeem(world, ada.user, refresh=B) == "LINK_CODE_INVALID"


def test_no_code_is_left_after_a_crash_nor_one_that_was_redeemed(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    shown(world, ada)
    shown(world, bob)
    assert redeem(world, ada.user) == Linked(2, 1)
    world.crash()
    assert redeem(world, ada.user, refresh=B) == "LINK_CODE_INVALID"
    assert redeem(world, bob.user, refresh=B) == "LINK_CODE_INVALID", "asked for again by whoever shows it"
    shown(world, bob)
    assert redeem(world, bob.user, refresh=B) == Linked(2, 1)


def test_a_crash_before_the_new_device_is_durable_leaves_neither_code_nor_device(world: World) -> None:
    (ada,) = world.join("ada")
    shown(world, ada)
    world.hold = True
    assert world.ask(user_unit(ada.user), RedeemLinkCode(CODE, "laptop", A)) is None, "nobody is told yet"
    world.crash()
    world.hold = False
    assert names(world, ada) == ["device 0"]
    assert redeem(world, ada.user) == "LINK_CODE_INVALID"


@pytest.mark.parametrize("crash", [False, True])
def test_the_same_redemption_again_is_the_same_device_for_a_while(world: World, crash: bool) -> None:
    """The answer to the first try was lost."""
    (ada,) = world.join("ada")
    shown(world, ada)
    first = redeem(world, ada.user)
    if crash:
        world.crash()
    assert redeem(world, ada.user) == first == Linked(2, 1)
    world.wait(LIFETIME_MS)
    assert redeem(world, ada.user) == "LINK_CODE_INVALID", "not for ever: a code that was redeemed is worth nothing"
    assert names(world, ada) == ["device 0", "laptop"]


def test_a_code_is_over_after_its_time(world: World) -> None:
    """link_code_ms."""
    (ada,) = world.join("ada")
    shown(world, ada)
    world.wait(LIFETIME_MS - 1_000)
    shown(world, ada, OTHER)  # its own time
    world.wait(LIFETIME_MS - 1)
    assert world.node.users[ada.user].link_code is not None
    world.wait(1)
    assert world.node.users[ada.user].link_code is None, "and it keeps nobody in memory any more"
    assert redeem(world, ada.user, OTHER) == "LINK_CODE_INVALID"


def test_a_code_whose_timeout_is_late_is_over_all_the_same(world: World) -> None:
    (ada,) = world.join("ada")
    shown(world, ada)
    code = world.node.users[ada.user].link_code
    assert code is not None
    code.ends_at = world.node.turn.now.mono
    assert redeem(world, ada.user) == "LINK_CODE_INVALID"


def test_a_user_with_a_code_stays_in_memory(world: World) -> None:
    (ada,) = world.join("ada")
    ada.disconnect()
    world.settle()
    assert world.node.users[ada.user].idle
    shown(world, ada)
    assert not world.node.users[ada.user].idle
    world.wait(LIFETIME_MS)
    assert world.node.users[ada.user].idle


def test_many_codes_take_one_timeout(world: World) -> None:
    (ada,) = world.join("ada")
    shown(world, ada)
    before = world.node.turn.timeouts
    for number in range(50):
        shown(world, ada, bytes([number]) * 32)
    assert world.node.turn.timeouts == before


def test_too_many_wrong_codes_void_the_right_one(new_world: Callable[..., World]) -> None:
    """link_code_tries_max: whoever shows it asks for a new one."""
    world = new_world(link_code_tries_max=3)
    (ada,) = world.join("ada")
    shown(world, ada)
    assert [redeem(world, ada.user, OTHER) for _ in range(2)] == ["LINK_CODE_INVALID"] * 2
    assert redeem(world, ada.user) == Linked(2, 1), "the last try was right"
    shown(world, ada)
    assert [redeem(world, ada.user, OTHER, B) for _ in range(3)] == ["LINK_CODE_INVALID"] * 3
    assert redeem(world, ada.user, CODE, B) == "LINK_CODE_INVALID"
    shown(world, ada)
    assert redeem(world, ada.user, CODE, B) == Linked(3, 1), "a new code has its own tries"


def test_a_new_code_replaces_the_old_one(world: World) -> None:
    ada, other = world.join("ada", 2)
    shown(world, ada)
    shown(world, other, OTHER)
    assert redeem(world, ada.user) == "LINK_CODE_INVALID"
    assert redeem(world, ada.user, OTHER) == Linked(3, 1)


def test_a_code_is_good_for_its_own_user_alone(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    shown(world, ada)
    assert redeem(world, bob.user) == "LINK_CODE_INVALID"
    assert redeem(world, world.new_id()) == "LINK_CODE_INVALID", "nobody"
    assert redeem(world, ada.user) == Linked(2, 1)


def test_with_four_devices_the_code_stays_good_until_there_is_room(world: World) -> None:
    devices = world.join("ada", 4)
    shown(world, devices[0])
    assert redeem(world, devices[0].user) == "DEVICE_LIMIT"
    world.ask(user_unit(devices[0].user), LogoutDevice(3), devices[0].auth)
    assert redeem(world, devices[0].user) == Linked(5, 1)


@pytest.mark.parametrize(
    "ends",
    [
        SetPassword("another hash"),
        LogoutAll(keep_current=True),
        LogoutAll(keep_current=False),
        RevokeToken(),
        LogoutDevice(0),
        DeleteUser(),
    ],
    ids=str,
)
def test_what_ends_sessions_ends_the_code(world: World, ends: Any) -> None:
    (ada,) = world.join("ada")
    shown(world, ada)
    assert not isinstance(world.ask(user_unit(ada.user), ends, ada.auth), Refused)
    assert redeem(world, ada.user) == "LINK_CODE_INVALID"


def test_another_device_that_is_logged_out_takes_its_own_code_alone(world: World) -> None:
    ada, other = world.join("ada", 2)
    shown(world, ada)
    world.ask(user_unit(ada.user), LogoutDevice(other.device), ada.auth)
    assert redeem(world, ada.user) == Linked(3, 1)
    shown(world, ada)
    third = Auth(ada.user, 3, 1, "third", ada.auth.expires_at)
    world.ask(user_unit(ada.user), MakeLinkCode(OTHER), third)
    world.ask(user_unit(ada.user), LogoutDevice(3), ada.auth)
    assert redeem(world, ada.user, OTHER, B) == "LINK_CODE_INVALID", "a thief's device leaves no code behind"


def test_a_code_is_asked_for_with_a_token_that_stands(world: World) -> None:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    for auth in (None, bob.auth, ada.auth._replace(gen=7), ada.auth._replace(device=9)):
        refused = world.ask(user_unit(ada.user), MakeLinkCode(CODE), auth)
        assert isinstance(refused, Refused)
        assert refused.code == ErrorCode.TOKEN_REVOKED
    assert redeem(world, ada.user) == "LINK_CODE_INVALID"


def test_wrong_codes_write_nothing_whether_a_code_is_shown_or_not(world: World) -> None:
    """A commit takes milliseconds: it would tell a stranger that somebody is linking a device just now."""
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    shown(world, ada)
    for user in (ada.user, bob.user, world.new_id()):
        before = world.store._commits
        assert redeem(world, user, OTHER) == "LINK_CODE_INVALID"
        assert world.store._commits == before


# --- its text ---
def test_a_code_is_read_however_it_is_typed() -> None:
    code = link_code(bytes.fromhex("0123456789"))
    assert code == "04HM-ASW9"
    for typed in (code, "04hmasw9", " 04HM ASW9", "O4hm-asw9", "0-4-H-M-A-S-W-9"):
        assert normal_link_code(typed) == "04hmasw9"
    assert normal_link_code("ILOI-LOIL") == normal_link_code("1101-1011")
    assert link_code(bytes(5)) == "0000-0000"
    assert link_code(b"\xff" * 5) == "ZZZZ-ZZZZ"


@pytest.mark.parametrize(
    "text", ["", "04HM-ASW", "04HM-ASW99", "04HM-ASWU", "04HM-ASW\u0661", "04HM_ASW9", "ſ4HM-ASW9"]
)
def test_what_cannot_be_a_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="8 letters or digits"):
        normal_link_code(text)
