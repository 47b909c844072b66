"""Revocation: a device, all of them, one token, the account. Sessions are closed before the answer is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iris.core import frames as f
from iris.core.catalogue import CloseCode, ErrorCode
from iris.core.commands import CloseSession
from iris.core.ids import user_unit
from iris.core.requests import DeleteUser, LogoutAll, LogoutDevice, Refused, RevokeToken, SetPassword
from tests.support.world import World
from tests.support.world_client import Client


def code(result: Any) -> int:
    assert isinstance(result, Refused), result
    return result.code


def pair(world: World) -> tuple[Client, Client]:
    (ada,), (bob,) = world.join("ada"), world.join("bob")
    return ada, bob


def test_revocation_closes_the_session_before_it_is_answered(world: World) -> None:
    _ada, bob = pair(world)
    tablet = world.link(bob.user, "tablet")
    tablet.connect()
    world.settle()
    unit = user_unit(bob.user)
    asked = world.post(unit, LogoutDevice(tablet.device), bob.auth)
    while asked not in world.node.replies:
        assert world.node.replies == {}
        world.step()
    world.fabric.deliver()  # what was released with the answer: edges first
    assert tablet.closed == CloseCode.TOKEN_REVOKED
    assert bob.closed is None
    tablet.connect()
    world.settle()
    assert tablet.closed == CloseCode.TOKEN_REVOKED
    assert code(world.ask(unit, LogoutDevice(9), bob.auth)) == ErrorCode.UNKNOWN_DEVICE


@pytest.mark.parametrize("operation", [LogoutAll(False), DeleteUser(), RevokeToken(), LogoutDevice(0)])
def test_a_revoked_token_opens_nothing_also_after_a_restart(world: World, operation: Any) -> None:
    _ada, bob = pair(world)
    token = world.token(bob)
    world.ask(user_unit(bob.user), operation, bob.auth)
    assert bob.closed == CloseCode.TOKEN_REVOKED
    for restart in (False, True):
        if restart:
            world.crash()
        bob.connect(token=token)
        world.settle()
        assert bob.closed == CloseCode.TOKEN_REVOKED
        assert code(world.ask(user_unit(bob.user), LogoutAll(False), bob.auth)) == ErrorCode.TOKEN_REVOKED


def test_one_token_is_revoked_and_another_of_the_device_goes_on(world: World) -> None:
    _ada, bob = pair(world)
    first = bob.auth
    bob.jti = "second"
    bob.post(f.Refresh(f.REFRESH, 0, world.token(bob)))
    world.settle()
    assert bob.got(f.Refreshed)
    world.ask(user_unit(bob.user), RevokeToken(), first)
    assert bob.connected(), "the session shows the newer one by now"
    world.ask(user_unit(bob.user), RevokeToken(), bob.auth)
    assert bob.closed == CloseCode.TOKEN_REVOKED


def test_too_many_revoked_tokens_log_everybody_out(new_world: Callable[..., World]) -> None:
    """revoked_tokens_max; expired entries make room."""
    world = new_world(revoked_tokens_max=2)
    _ada, bob = pair(world)
    unit = user_unit(bob.user)
    for number in range(2):
        world.ask(unit, RevokeToken(), bob.auth._replace(jti=f"old{number}"))
    world.days(1)
    for number in range(2):
        world.ask(unit, RevokeToken(), bob.auth._replace(jti=f"new{number}"))
    assert bob.connected()
    world.ask(unit, RevokeToken(), bob.auth._replace(jti="one too many"))
    assert bob.closed == CloseCode.TOKEN_REVOKED
    assert not world.user(bob.user).devices


def test_a_wrong_clock_forgets_no_revocation(world: World) -> None:
    _ada, bob = pair(world)
    unit = user_unit(bob.user)
    world.ask(unit, RevokeToken(), bob.auth)
    world.shift(2 * 86_400_000)  # the clock is wrong
    world.ask(unit, RevokeToken(), bob.auth._replace(jti="another"))
    world.shift(-2 * 86_400_000)
    bob.connect()
    world.settle()
    assert bob.closed == CloseCode.TOKEN_REVOKED


def test_a_new_password_logs_out_the_others(world: World) -> None:
    """And ends this device's session, whose token is void too: a thief of that token does not come back."""
    _ada, bob = pair(world)
    tablet = world.link(bob.user, "tablet")
    tablet.connect()
    world.settle()
    world.ask(user_unit(bob.user), SetPassword("hash 2"), bob.auth)
    assert tablet.closed == CloseCode.TOKEN_REVOKED
    assert bob.closed == CloseCode.TOKEN_EXPIRED
    assert [device.number for device in world.user(bob.user).devices] == [bob.device]


def test_a_lost_close_is_said_again_until_the_edge_has_confirmed_it(world: World) -> None:
    _ada, bob = pair(world)
    world.fabric.lose(CloseSession, most=2)
    world.ask(user_unit(bob.user), LogoutAll(False), bob.auth)
    assert bob.connected()
    world.wait(2_500)
    assert bob.closed == CloseCode.TOKEN_REVOKED
    assert world.edges[0].edge.counters["iris_sessions_closed_total", CloseCode.TOKEN_REVOKED] == 1
    world.wait(3_000)
    assert not world.user(bob.user).closing, "confirmed by its Detach"
    assert not world.edges[0].edge.detaching


def test_a_refresh_with_a_revoked_token_is_a_problem_and_the_session_goes_on(world: World) -> None:
    _ada, bob = pair(world)
    bob.jti = "second"
    world.ask(user_unit(bob.user), RevokeToken(), bob.auth)
    bob.post(f.Refresh(f.REFRESH, 0, world.token(bob)))
    world.settle()
    (problem,) = bob.got(f.Problem)
    assert (problem.code, problem.frame) == (ErrorCode.TOKEN_REVOKED, f.REFRESH)
    assert bob.closed is None
