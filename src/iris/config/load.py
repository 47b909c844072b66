"""Where values come from: flags > IRIS_… > iris.toml > defaults, and which of them each value had.

Every problem is collected, so that one start shows all of them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from iris.config.derived import problems
from iris.config.model import Settings, shown
from iris.config.names import unknown_key
from iris.core.catalogue import Limits

CONFIG_FILE = "iris.toml"
# Read by the client commands, not by the server; listed so that a typo in any other IRIS_ name is found.
CLIENT_ENVIRONMENT = frozenset({"IRIS_CONFIG", "IRIS_SERVER", "IRIS_PROFILE", "IRIS_PASSWORD", "IRIS_CA"})

_LIMIT_NAMES = [field.name for field in fields(Limits)]
KEYS = [name for name in Settings.model_fields if name != "limits"] + [f"limits.{name}" for name in _LIMIT_NAMES]


class ConfigError(Exception):
    """The settings cannot be used; `lines` says what is wrong and how to mend it, a line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Loaded:
    """Checked settings and the origin of each value."""

    def __init__(self, settings: Settings, origins: Mapping[str, str]) -> None:
        self.settings = settings
        self.origins = origins

    def rows(self) -> Iterator[tuple[str, object, str]]:
        """(name, value, origin) of every setting; limits are named limits.NAME. Secrets are hidden."""
        for key in KEYS:
            table, _, name = key.rpartition(".")
            value = getattr(self.settings.limits if table else self.settings, name)
            yield key, shown(value), self.origins.get(key, "default")


def load(flags: Mapping[str, Any] | None = None, file: str | Path | None = None) -> Loaded:
    """Read, merge and check the settings.

    flags: values given on the command line by setting name (`limits` may be a mapping); None values count as not given.
    file: a configuration file that must exist; without it IRIS_CONFIG, else ./iris.toml when there is one.
    Raises ConfigError with every problem found.
    """
    loaded, wrong = load_lenient(flags, file)
    if wrong:
        raise ConfigError(wrong)
    return loaded


def load_lenient(flags: Mapping[str, Any] | None = None, file: str | Path | None = None) -> tuple[Loaded, list[str]]:
    """As load, but values that do not fit together are returned as lines instead of raised (for `iris config show`)."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    wrong: list[str] = []
    for values, origin in _sources(flags or {}, file, wrong):
        for key, value in values.items():
            if key == "limits" and isinstance(value, Mapping):
                merged["limits"] = {**_table(merged.get("limits")), **value}
                origins.update({f"limits.{name}": origin(f"limits.{name}") for name in value})
            else:
                merged[key] = value
                origins[key] = origin(key)
    wrong += [unknown_key(key, KEYS) + f" ({origins[key]})" for key in merged if key not in Settings.model_fields]
    if not isinstance(merged.get("limits", {}), Mapping):
        raise ConfigError([*wrong, f"limits: must be a table of limits by name ({origins['limits']})"])
    wrong += [
        unknown_key(f"limits.{name}", KEYS) + f" ({origins[f'limits.{name}']})"
        for name in merged.get("limits", ())
        if name not in _LIMIT_NAMES
    ]
    if wrong:
        raise ConfigError(wrong)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigError([_line(problem, origins) for problem in error.errors()]) from None
    return Loaded(settings, origins), problems(settings)


def _sources(
    flags: Mapping[str, Any], file: str | Path | None, wrong: list[str]
) -> Iterator[tuple[dict[str, Any], Callable[[str], str]]]:
    """Lowest first: the values of one source, and a function from a setting's name to what to call its origin."""
    path = file or os.environ.get("IRIS_CONFIG") or (CONFIG_FILE if Path(CONFIG_FILE).exists() else None)
    if path is not None:
        values = _read_toml(Path(path))
        yield values, lambda key: str(path)
    wrong += [
        unknown_key(name, [_env_name(key) for key in KEYS])
        for name in sorted(os.environ)
        if name.startswith("IRIS_") and name not in CLIENT_ENVIRONMENT and name.lower() not in _ENV_NAMES
    ]
    try:
        yield EnvSettingsSource(Settings)(), _env_name
    except SettingsError as error:
        raise ConfigError([f"the environment cannot be read: {error}"]) from None
    yield {key: value for key, value in flags.items() if value is not None}, lambda key: "flag"


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _env_name(key: str) -> str:
    return "IRIS_" + key.replace(".", "__").upper()


_ENV_NAMES = frozenset(_env_name(key).lower() for key in KEYS)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError([f"the configuration file {path} does not exist"]) from None
    except OSError as error:
        raise ConfigError([f"the configuration file {path} cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"the configuration file {path} is not TOML: {error}"]) from None


def _line(problem: Any, origins: Mapping[str, str]) -> str:
    key = str(problem["loc"][0]) if problem["loc"] else "settings"
    text = str(problem["msg"]).removeprefix("Value error, ")
    where = origins.get(key, "")
    return (text if text.startswith(key) else f"{key}: {text}") + (f" ({where})" if where else "")
