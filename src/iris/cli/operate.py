"""What an operator asks: settings, store, keys, invites, traces. A running server is asked through DIR/admin.sock."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iris.cli.errors import CliError

if TYPE_CHECKING:
    from iris.store import Report

STORE = "store"  # folder of the store inside the data folder
MESSAGE_ID_HEX = 32


def config_show(config: Path | None, flags: Mapping[str, Any], sets: list[str], as_json: bool) -> int:
    """Print every setting with its origin; exit 1 when they do not fit together."""
    from iris.cli.settings import lenient

    loaded, wrong = lenient(config, flags, sets)
    rows = list(loaded.rows())
    if as_json:
        values = {name: {"value": value, "origin": origin} for name, value, origin in rows}
        print(json.dumps(values, ensure_ascii=False, indent=2))
    else:
        texts = [(name, json.dumps(value, ensure_ascii=False), origin) for name, value, origin in rows]
        names, width = max(len(name) for name, _, _ in texts), max(len(value) for _, value, _ in texts)
        for name, value, origin in texts:
            print(f"{name:{names}}  {value:{min(width, 40)}}  {origin}")
    if wrong:
        raise CliError("\n      ".join(wrong), "iris serve would not start with these")
    return 0


def store_check(data: Path, as_json: bool) -> int:
    """Print the report; exit 0 only when the store is sound."""
    from iris.store import StoreError, StoreLocked, check

    try:
        report = check(str(data / STORE))
    except StoreLocked as error:
        raise CliError(
            str(error), "stop the server first; a running store is copied with `iris store backup`"
        ) from None
    except StoreError as error:
        raise CliError(str(error)) from None
    if as_json:
        print(json.dumps(report_object(report), ensure_ascii=False))
        return 0 if report.ok else 1
    print(f"{report.path}: {'sound' if report.ok else 'DAMAGED'}, {report.bytes} bytes")
    print(f"  schema {report.schema}, {report.num_shards} shards, epoch {report.epoch}, {report.users} users")
    print(f"  last commit {report.commit}, witness {report.witness}")
    print("  rows: " + (", ".join(f"{table} {rows}" for table, rows in sorted(report.rows.items())) or "none"))
    for problem in report.problems:
        print(f"  problem: {problem}")
    if report.problems_total > len(report.problems):
        print(f"  and {report.problems_total - len(report.problems)} more")
    return 0 if report.ok else 1


def report_object(report: Report) -> dict[str, Any]:
    """A report as JSON."""
    return {**dataclasses.asdict(report), "users": report.users, "ok": report.ok}


def store_backup(data: Path, target: Path, as_json: bool) -> int:
    """Copy the store: through the server when one is running, else from its folder."""
    from iris.admin_socket import NotRunning

    try:
        size = ask(data, "store backup", {"target": str(target.absolute())}, running=False)["bytes"]
    except NotRunning:
        from iris.store import StoreError, backup

        try:
            size = backup(str(data / STORE), str(target))
        except StoreError as error:
            raise CliError(str(error)) from None
    print(json.dumps({"target": str(target), "bytes": size}) if as_json else f"{target}: {size} bytes")
    return 0


def store_restore(data: Path, source: Path, as_json: bool, accept_loss: bool) -> int:
    """Make the store of `data` from `source`."""
    from iris.store import StoreError, restore

    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        report = restore(str(source), str(data / STORE), accept_loss=accept_loss)
    except StoreError as error:
        raise CliError(str(error)) from None
    if as_json:
        print(json.dumps(report_object(report), ensure_ascii=False))
    else:
        print(f"{data / STORE}: restored, {report.users} users, {sum(report.rows.values())} rows, epoch {report.epoch}")
    return 0


def keys_rotate(data: Path, as_json: bool) -> int:
    """Have the server sign with a new key."""
    kid = ask(data, "keys rotate")["kid"]
    print(json.dumps({"kid": kid}) if as_json else f"new tokens are signed with key {kid}; older ones stay valid")
    return 0


def invite_create(data: Path, uses: int, as_json: bool) -> int:
    """Have the server make an invite."""
    code = ask(data, "invite create", {"uses": uses})["invite"]
    print(json.dumps({"invite": code, "uses": uses}) if as_json else code)
    return 0


def trace(data: Path, message_id: str, as_json: bool) -> int:
    """Print where a message was; exit 1 when the server does not remember it."""
    wanted = message_id.lower()
    if len(wanted) != MESSAGE_ID_HEX or any(letter not in "0123456789abcdef" for letter in wanted):
        raise CliError(
            f"{message_id} is not a message id", f"it has {MESSAGE_ID_HEX} hexadecimal digits, as `iris send` prints it"
        )
    points = ask(data, "trace", {"message_id": wanted})["points"]
    if as_json:
        for point in points:
            print(json.dumps(point, ensure_ascii=False))
    elif points:
        first = points[0]["at"]
        for point in points:
            more = "  ".join(f"{name} {value}" for name, value in point.items() if name not in ("at", "point"))
            time = datetime.fromtimestamp(point["at"] / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
            print(f"{time}  +{point['at'] - first:>6} ms  {point['point']:10}  {more}".rstrip())
    if not points:
        raise CliError(f"the server does not remember {wanted}", "it keeps the traces of the newest messages only")
    return 0


def ask(data: Path, command: str, params: Mapping[str, Any] | None = None, *, running: bool = True) -> dict[str, Any]:
    """Ask the server that serves `data`. Raises CliError, or NotRunning when `running` is False and there is none."""
    from iris.admin_socket import AdminError, NotRunning, call

    try:
        return call(data, command, params)
    except NotRunning as error:
        if not running:
            raise
        raise CliError(
            str(error), f"start it with `iris serve --data {data}`, or give its folder with --data"
        ) from None
    except AdminError as error:
        what, _, fix = str(error).partition("; ")
        raise CliError(what, fix) from None
