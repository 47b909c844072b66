"""From the flags of a command to checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iris.cli.errors import CliError
from iris.config import ConfigError, Loaded, load, load_lenient

SEE = "iris config show prints every setting with its origin"


def merge(flags: Mapping[str, Any], sets: list[str]) -> dict[str, Any]:
    """The flags and the `--set NAME=VALUE` ones as one mapping. Raises CliError."""
    merged: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise CliError(
                f"--set {text}: there is no =", "write --set NAME=VALUE, such as --set limits.contacts_max=100"
            )
        table, dot, limit = name.strip().partition(".")
        if dot and table == "limits":
            merged.setdefault("limits", {})[limit] = value
        else:
            merged[name.strip()] = value
    return merged


def checked(config: Path | None, flags: Mapping[str, Any], sets: list[str]) -> Loaded:
    """The settings a server would start with. Raises CliError with all that is wrong."""
    try:
        return load(merge(flags, sets), config)
    except ConfigError as error:
        raise cli_error(error) from None


def lenient(config: Path | None, flags: Mapping[str, Any], sets: list[str]) -> tuple[Loaded, list[str]]:
    """The settings even when they do not fit together, and what is wrong with them. Raises CliError."""
    try:
        return load_lenient(merge(flags, sets), config)
    except ConfigError as error:
        raise cli_error(error) from None


def cli_error(error: ConfigError) -> CliError:
    """How a ConfigError is told."""
    first, *more = error.lines
    return CliError("\n      ".join([first, *more]), SEE)
