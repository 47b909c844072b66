"""People, and the API as their apps use it: requests to a unit's owner, which may be lost, late or repeated.

What the HTTP handlers do between a client and a shard (src/iris/http) is done here: log in, refresh, the tokens. An app
asks again when it gets no answer; `done` gets None when it has given up.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from iris.core import tokens
from iris.core.catalogue import ErrorCode
from iris.core.commands import RequestIn
from iris.core.ids import handle_unit, user_unit
from iris.core.requests import (
    Auth,
    CreateUser,
    Credentials,
    Done,
    GetCredentials,
    LinkDevice,
    Linked,
    LookUpName,
    NameHolders,
    Operation,
    Refused,
    Request,
    Result,
    Rotated,
    RotateRefresh,
)
from iris_sim.client import Device
from iris_sim.profile import Profile, new_profile

if TYPE_CHECKING:
    from iris_sim.world import World

KID, KEY = "k1", b"k" * 32
TIMEOUT: Final = 3_000_000  # µs until an app takes it that there is no answer
GONE = (ErrorCode.REFRESH_INVALID, ErrorCode.UNKNOWN_USER, ErrorCode.UNKNOWN_DEVICE, ErrorCode.TOKEN_REVOKED)

Then = Callable[[Result | None], None]


class User:
    """A person with some devices."""

    def __init__(self, world: World, handle: str, place: int) -> None:
        self.world = world
        self.handle = handle
        self.place = place
        self.id = b""  # until registered
        self.passwords = {"pass"}  # the last of them; a change whose answer was lost may count or not
        self.deleted = False
        self.devices: list[Device] = []
        self.said = 0  # messages written, for their texts
        self.coming = 0  # µs until which a log-in may be under way, after the faults


class _Waiting(NamedTuple):
    device: Device | None
    what: Operation
    server: int  # the one whose API was asked
    done: Then


class Api:
    """All requests under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loss = 0.0  # how likely a request or an answer is lost on the way between client and server
        self.chance = random.Random(world.plan.seed * 64 + 9)
        self._number = 0
        self._waiting: dict[int, _Waiting] = {}
        self._tokens = 0

    # --- requests ---
    def ask(
        self, device: Device | None, unit: bytes, auth: Auth | None, what: Operation, done: Then, tries: int = 1
    ) -> None:
        """One request; again as long as there is no answer, `tries` times altogether."""
        world = self.world
        self._number += 1
        number = self._number
        server = self.chance.randrange(world.plan.nodes)
        again: Then = done
        if tries > 1:

            def again(result: Result | None) -> None:
                busy = isinstance(result, Refused) and result.code == ErrorCode.OVERLOADED
                if result is None or busy:
                    world.after(500_000 if busy else 1_000, self.ask, device, unit, auth, what, done, tries - 1)
                else:
                    done(result)

        self._waiting[number] = _Waiting(device, what, server, again)
        world.watch.asked(device, number, unit, auth, what)
        world.after(TIMEOUT, self._late, number)
        if self.chance.random() >= self.loss:
            world.after(world.plan.far, self._forward, server, unit, Request(number, unit, auth, what))

    def reply(self, node: int, number: int, result: Result) -> None:
        """A node has answered."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        if self.chance.random() < self.loss:
            return
        self.world.links[node][waiting.server].carry(self._back, number, result)

    def _forward(self, server: int, unit: bytes, request: Request) -> None:
        world = self.world
        if world.servers[server].alive:
            owner = world.owner(unit)
            batch: list[tuple[bytes, tuple[object, ...]]] = [(unit, RequestIn(unit, request))]
            world.links[server][owner].carry(_arrive, world, owner, batch)

    def _back(self, number: int, result: Result) -> None:
        self.world.after(self.world.plan.far, self._answered, number, result)

    def _answered(self, number: int, result: Result) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self.world.watch.answered(waiting.device, number, waiting.what, result)
            waiting.done(result)

    def _late(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.done(None)

    # --- people ---
    def register(self, user: User, then: Callable[[], None]) -> None:
        """Until the account is there. Each try has another user id, as in http/accounts.py."""
        world = self.world
        made = world.new_user_id()

        def created(result: Result | None) -> None:
            if isinstance(result, Done):
                self._registered(user, made, then)
            elif isinstance(result, Refused) and result.code == ErrorCode.HANDLE_TAKEN:
                self.ask(None, handle_unit(user.handle), None, LookUpName(), held)
            else:
                world.after(300_000, self.register, user, then)

        def held(result: Result | None) -> None:
            if isinstance(result, NameHolders) and len(result.users) == 1:
                self._registered(user, result.users[0], then)  # the password is right: the first try was ours
            else:
                world.after(300_000, self.register, user, then)

        self.ask(None, user_unit(made), None, CreateUser(user.handle, user.handle.title(), "pass", ""), created)

    def _registered(self, user: User, made: bytes, then: Callable[[], None]) -> None:
        user.id = made
        self.world.by_id[made] = user
        then()

    def log_in(self, user: User, profile: Profile | None, then: Callable[[Device], None], tries: int = 4) -> None:
        """Link a device; `profile` is an old one of this user's, or None for a new one."""
        world = self.world
        secret = self.chance.randbytes(32)
        unit = user_unit(user.id)

        def known(result: Result | None) -> None:
            if isinstance(result, Credentials) and result.password in user.passwords:
                self.ask(None, unit, None, LinkDevice("sim", secret), linked, tries)

        def linked(result: Result | None) -> None:
            if isinstance(result, Linked):
                then(self._linked(user, profile, result, secret))

        world.after(0, self.ask, None, unit, None, GetCredentials(), known, tries)

    def _linked(self, user: User, profile: Profile | None, linked: Linked, secret: bytes) -> Device:
        world = self.world
        for other in user.devices:
            if other.number == linked.device:
                return other  # an answer that came twice
        if profile is None:
            sqlite = world.plan.sqlite
            profile = new_profile(sqlite=sqlite, new_id=world.new_id, user=user.id, device=linked.device)
        else:
            profile.set_meta(device=linked.device, seq=0, rev=0)
        device = Device(world, user, linked.device, profile, len(world.devices))
        user.devices.append(device)
        world.devices.append(device)
        self._give_token(device, linked.gen)
        profile.set_meta(secret=secret, nonce=None)
        world.watch.linked(device)
        return device

    def refresh(self, device: Device, life: int) -> None:
        """A new access token, as TokenKeeper gets one: the nonce is durable before it is used."""
        profile = device.profile
        nonce = profile.meta("nonce")
        if nonce is None:
            nonce = self.chance.randbytes(16)
            profile.set_meta(nonce=nonce)
        secret = profile.meta("secret")
        following = hashlib.blake2b(secret + nonce, digest_size=32).digest()

        def rotated(result: Result | None) -> None:
            if isinstance(result, Rotated):
                token = self._give_token(device, result.gen)
                profile.set_meta(secret=following, nonce=None)
                device.has_token(life, token)
            elif isinstance(result, Refused) and result.code in GONE:
                device.no_token(life, for_good=True)
            else:
                device.no_token(life, for_good=False)

        number = profile.meta("device")
        self.ask(device, user_unit(device.user.id), None, RotateRefresh(number, secret, following), rotated)

    def new_gen(self, device: Device, gen: int) -> None:
        """An answer of the API has brought a new access token."""
        self._give_token(device, gen)

    def auth(self, device: Device) -> Auth | None:
        """What the access token in the profile says; None when it is over."""
        meta = device.profile.meta
        if device.wall() >= meta("access_until"):
            return None
        return Auth(device.user.id, meta("device"), meta("gen"), meta("jti"), meta("token_ends"))

    def _give_token(self, device: Device, gen: int) -> str:
        """A token issued by a server that is up, by its clock."""
        world = self.world
        self._tokens += 1
        jti = f"j{self._tokens}"
        wall = world.servers[self.chance.randrange(world.plan.nodes)].wall()
        user, number = device.user.id, device.profile.meta("device")
        token, expires_at = tokens.issue(
            kid=KID, key=KEY, user=user, device=number, gen=gen, jti=jti, now_ms=wall, lifetime_ms=world.plan.token_ms
        )
        device.profile.set_meta(
            access_token=token, access_until=device.wall() + expires_at - wall, gen=gen, jti=jti, token_ends=expires_at
        )
        return token


def _arrive(world: World, owner: int, batch: list[tuple[bytes, tuple[object, ...]]]) -> None:
    process = world.servers[owner].process
    process.hand(process.receive, batch)
