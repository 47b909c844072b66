"""The operator's groups of commands: the store, the settings, the keys. See root.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iris.cli.options import Config, Data, DataFlag, Json, ListenFlag, SetFlag

store_app = typer.Typer(
    rich_markup_mode=None, help="Check, back up and restore a server's store.", no_args_is_help=True
)
config_app = typer.Typer(rich_markup_mode=None, help="Look at the settings.", no_args_is_help=True)
keys_app = typer.Typer(rich_markup_mode=None, help="The keys that sign tokens.", no_args_is_help=True)


@store_app.command("check")
def store_check(data: Data = Path("iris-data"), json: Json = False) -> None:
    """Read the whole store and say whether it is sound. The server must be stopped."""
    from iris.cli.operate import store_check as run

    raise typer.Exit(run(data, json))


@store_app.command("backup")
def store_backup(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="Must not exist yet.")],
    data: Data = Path("iris-data"),
    json: Json = False,
) -> None:
    """Copy the store into a new folder, whether the server runs or not."""
    from iris.cli.operate import store_backup as run

    raise typer.Exit(run(data, target, json))


@store_app.command("restore")
def store_restore(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="A backup.")],
    data: Data = Path("iris-data"),
    json: Json = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Take what can be read of a damaged source.")
    ] = False,
) -> None:
    """Make the data folder's store from a backup. The folder must not have a store yet."""
    from iris.cli.operate import store_restore as run

    raise typer.Exit(run(data, source, json, accept_loss))


@config_app.command("show")
def config_show(
    config: Config = None, data: DataFlag = None, listen: ListenFlag = None, set_: SetFlag = None, json: Json = False
) -> None:
    """Print every setting with its value and where it comes from."""
    from iris.cli.operate import config_show as run

    raise typer.Exit(run(config, {"data": data, "listen": listen}, set_ or [], json))


@keys_app.command("rotate")
def keys_rotate(data: Data = Path("iris-data"), json: Json = False) -> None:
    """Sign new tokens with a new key. Nobody is logged out. The server must be running."""
    from iris.cli.operate import keys_rotate as run

    raise typer.Exit(run(data, json))
