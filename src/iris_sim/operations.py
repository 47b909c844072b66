"""What people and their apps do, one function for each kind of step. Each says in words what it did, "" for nothing.

Which device, whom, how much: from the numbers of the step alone, and what is there by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from iris.core.ids import direct_conversation, user_unit
from iris.core.requests import (
    DeleteBlock,
    DeleteContact,
    DeleteUser,
    Done,
    GetAccount,
    GetProfile,
    ListBlocks,
    ListContacts,
    ListDevices,
    LoggedOut,
    LogoutAll,
    LogoutDevice,
    Operation,
    PutBlock,
    PutContact,
    Result,
    RevokeToken,
    SetPassword,
    UpdateAccount,
)
from iris_sim.client import Device
from iris_sim.observer import Step
from iris_sim.people import Then, User

if TYPE_CHECKING:
    from iris_sim.world import World


SECOND: Final = 1_000_000
TRIES: Final = 3


def pick(world: World, number: int) -> Device | None:
    """A device that is linked as far as it knows."""
    there = [device for device in world.devices if not device.unlinked]
    return there[number % len(there)] if there else None


def peer_of(world: World, device: Device, number: int) -> User:
    """Somebody else."""
    others = [user for user in world.users if user is not device.user]
    return others[number % len(others)]


def _send(world: World, step: Step) -> str:
    return _write(world, step, 1)


def _burst(world: World, step: Step) -> str:
    return _write(world, step, 2 + step.c % 11)


def _write(world: World, step: Step, count: int) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""
    peer = peer_of(world, device, step.b)
    user = device.user
    texts = [f"{user.handle}{user.said + n}" for n in range(count)]
    user.said += count
    made = device.write(peer.id, texts)
    if made > 1:
        world.counts["send"] += made - 1
    return f"{device.name} writes {made} to {peer.handle}" if made else ""


def _read(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""
    rows = [row for row in device.profile.history()[-40:] if row.kind == "message"]
    if not rows:
        return ""
    row = rows[-1 - step.b % min(len(rows), 8)]
    device.read_upto(row.conversation, row.seq)
    return f"{device.name} reads up to {row.seq}"


def _type(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or device.core is None:
        return ""
    peer = peer_of(world, device, step.b)
    device.type(direct_conversation(device.user.id, peer.id), step.c % 3 > 0)
    return f"{device.name} types to {peer.handle}"


def _watch(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or device.core is None:
        return ""
    others = [user for user in world.users if user is not device.user]
    first = step.b % len(others)
    chosen = (others[first:] + others[:first])[: step.c % 4]
    device.watch(tuple(user.id for user in chosen))
    return f"{device.name} watches {' '.join(user.handle for user in chosen) or 'nobody'}"


def _offline(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or not device.online:
        return ""
    device.go_offline()
    return f"{device.name} goes offline"


def _online(world: World, step: Step) -> str:
    away = [device for device in world.devices if not device.unlinked and (not device.online or device.closed)]
    device = away[step.a % len(away)] if away else pick(world, step.a)
    if device is None:
        return ""
    if device.closed:
        device.kill()
    device.go_online()
    return f"{device.name} goes online"


def _quit(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or device.core is None:
        return ""
    device.kill(done=step.b % 2 == 0)
    world.after(step.c % (2 * SECOND), start_again, device)
    return f"{device.name} quits"


def start_again(device: Device) -> None:
    """The app is started, if there is still something to start."""
    if not device.unlinked:
        device.boot()


def _link(world: World, step: Step) -> str:
    users = [user for user in world.users if not user.deleted]
    if not users:
        return ""
    user = users[step.a % len(users)]

    def linked(device: Device) -> None:
        device.boot()
        world.watch_all(device)

    world.api.log_in(user, None, linked)
    return f"{user.handle} links a device"


def _relink(world: World, step: Step) -> str:
    gone = [device for device in world.devices if device.unlinked and not device.given_up and not device.user.deleted]
    if not gone:
        return ""
    device = gone[step.a % len(gone)]
    device.kill()
    device.given_up = True
    world.api.log_in(device.user, device.profile, Device.boot)
    return f"{device.name} logs in again"


def call(world: World, device: Device | None, what: Operation, then: Then | None = None) -> str:
    """A request with the device's token."""
    if device is None:
        return ""
    auth = world.api.auth(device)
    if auth is None:
        return ""
    done: Then = then or _ignore
    world.api.ask(device, user_unit(device.user.id), auth, what, done, TRIES)
    return f"{device.name} asks {what}"


def _ignore(result: Result | None) -> None:
    pass


def _unlink(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""
    mates = [other for other in device.user.devices if not other.unlinked]
    other = mates[step.b % len(mates)]
    if other is not device:
        return call(world, device, LogoutDevice(other.number))
    return call(world, device, LogoutDevice(0), lambda result: _out(device, isinstance(result, Done)))


def _out(device: Device, done: bool) -> None:
    if done:
        device.unlinked = True
        device.kill()


def _logout_all(world: World, step: Step) -> str:
    device, keep = pick(world, step.a), step.b % 2 == 0

    def then(result: Result | None) -> None:
        assert device is not None
        if not keep:
            _out(device, isinstance(result, LoggedOut))
        elif isinstance(result, LoggedOut) and step.c % 2:  # else the app goes on with the token that it has
            world.api.new_gen(device, result.gen)

    return call(world, device, LogoutAll(keep), then)


def _password(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""
    word = f"pass{step.number}"
    device.user.passwords.add(word)

    def then(result: Result | None) -> None:
        if isinstance(result, LoggedOut) and step.c % 2:
            world.api.new_gen(device, result.gen)

    return call(world, device, SetPassword(word), then)


def _revoke(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), RevokeToken())


def _block(world: World, step: Step) -> str:
    device = pick(world, step.a)
    return "" if device is None else call(world, device, PutBlock(peer_of(world, device, step.b).id))


def _unblock(world: World, step: Step) -> str:
    device = pick(world, step.a)
    return "" if device is None else call(world, device, DeleteBlock(peer_of(world, device, step.b).id))


def _contact(world: World, step: Step) -> str:
    device = pick(world, step.a)
    return "" if device is None else call(world, device, PutContact(peer_of(world, device, step.b).id, "friend"))


def _forget_contact(world: World, step: Step) -> str:
    device = pick(world, step.a)
    return "" if device is None else call(world, device, DeleteContact(peer_of(world, device, step.b).id))


def _presence(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), UpdateAccount(None, None, 1 + step.b % 3, None, None))


def _messages(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), UpdateAccount(None, None, None, 1 + step.b % 2, None))


def _receipts(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), UpdateAccount(None, None, None, None, step.b % 2 == 0))


def _rename(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), UpdateAccount(None, f"name {step.b}", None, None, None))


def _handle(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), UpdateAccount(f"other{step.b % 3}", None, None, None, None))


def _account(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), GetAccount())


def _devices(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), ListDevices())


def _lists(world: World, step: Step) -> str:
    return call(world, pick(world, step.a), ListContacts() if step.b % 2 else ListBlocks())


def _profile(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None:
        return ""
    peer = peer_of(world, device, step.b)
    world.api.ask(device, user_unit(peer.id), None, GetProfile(), _ignore, TRIES)
    return f"{device.name} looks at {peer.handle}"


def _delete(world: World, step: Step) -> str:
    device = pick(world, step.a)
    if device is None or len([user for user in world.users if not user.deleted]) < 3:
        return ""

    def then(result: Result | None) -> None:
        if isinstance(result, Done):
            device.user.deleted = True
            _out(device, True)

    return call(world, device, DeleteUser(), then)


def _backup(world: World, step: Step) -> str:
    if step.a % 3 == 0:
        server = world.servers[step.b % len(world.servers)]
        if not server.alive:
            return ""
        name = f"b{step.number}"
        server.backup(name)
        return f"server {server.number} is backed up as {name}"
    device = pick(world, step.b)
    if device is None:
        return ""
    device.copies = [*device.copies[-2:], device.profile.copy()]
    return f"{device.name}'s profile is backed up"


DO: dict[str, Callable[[World, Step], str]] = {
    "send": _send,
    "burst": _burst,
    "read": _read,
    "type": _type,
    "watch": _watch,
    "offline": _offline,
    "online": _online,
    "quit": _quit,
    "link": _link,
    "relink": _relink,
    "unlink": _unlink,
    "logout_all": _logout_all,
    "password": _password,
    "revoke": _revoke,
    "block": _block,
    "unblock": _unblock,
    "contact": _contact,
    "forget_contact": _forget_contact,
    "presence": _presence,
    "messages": _messages,
    "receipts": _receipts,
    "rename": _rename,
    "handle": _handle,
    "account": _account,
    "devices": _devices,
    "lists": _lists,
    "profile": _profile,
    "delete": _delete,
    "backup": _backup,
}
