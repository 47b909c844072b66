"""The settings of a server, as one frozen model.

It owns names, types and single values; relations between values are in derived.py, where values come from in load.py.
Units are in the names. None means "none", zero has no special meaning, a key that is not here is an error.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from iris.config.names import unknown_key
from iris.core.catalogue import Limits

LIMIT_VALUE_MAX = (1 << 53) - 1
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?=[a-z0-9-]*[a-z]){_LABEL}\Z")


class Address(NamedTuple):
    """Where a socket is bound; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


def parse_address(value: object) -> Address:
    """Read HOST:PORT or [V6]:PORT; the host is an IP address or localhost (127.0.0.1).

    Raises ValueError when it is something else.
    """
    if isinstance(value, Address):
        return value
    host, colon, port = str(value).strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8460")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        return Address(str(ipaddress.ip_address(host)), int(port))
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address; use 127.0.0.1 for this machine, 0.0.0.0 for all") from None


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _addresses(value: object) -> object:
    parts = _split(value)
    return [parse_address(part) for part in parts] if isinstance(parts, list | tuple) else parts


def _networks(value: object) -> object:
    """Check the networks and spell them in one way."""
    parts = _split(value)
    return [str(ipaddress.ip_network(str(part))) for part in parts] if isinstance(parts, list | tuple) else parts


def _host_names(value: object) -> object:
    """Check names that an authority could give a certificate for, in small letters."""
    parts = _split(value)
    if not isinstance(parts, list | tuple):
        return parts
    names = [str(part).strip().lower().removesuffix(".") for part in parts]
    for name in names:
        if not _HOST_NAME.match(name):
            raise ValueError(f"{name!r} is not the name of a host, such as chat.example.org")
    return list(dict.fromkeys(names))


def _engine_threads() -> int:
    """One for two processors: the other one is for Python, RocksDB and the kernel."""
    return max(1, min(16, len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity") else 1))


class Settings(BaseSettings):
    """Everything that can be set. Build it with `iris.config.load`, which checks the relations too."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="IRIS_",
        env_nested_delimiter="__",
        validate_default=False,
        arbitrary_types_allowed=True,
    )

    data: Path = Field(Path("iris-data"), description="folder of the store, the keys and admin.sock")
    listen: Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_addresses)] = Field(
        (Address("127.0.0.1", 8460),), min_length=1, max_length=16, description="HOST:PORT to serve on, comma separated"
    )
    admin: Annotated[Address, NoDecode, BeforeValidator(parse_address)] = Field(
        Address("127.0.0.1", 0),
        description="HOST:PORT of /metrics, /healthz and /readyz; loopback only, port 0 chooses",
    )
    tls_certificate: Path | None = Field(None, description="PEM file: certificate and its chain")
    tls_key: Path | None = Field(None, description="PEM file: private key")
    acme: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_host_names)] = Field(
        (), max_length=16, description="host names to get a certificate for by ACME, comma separated"
    )
    acme_email: str | None = Field(None, max_length=254, description="where the authority may write to")
    acme_directory: str = Field(LETS_ENCRYPT, pattern="^https://.", description="the authority's ACME directory")
    acme_ca: Path | None = Field(None, description="PEM file: who vouches for the directory, instead of the system's")
    acme_listen: Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_addresses)] = Field(
        (Address("0.0.0.0", 80), Address("::", 80)),
        min_length=1,
        max_length=4,
        description="HOST:PORT where the authority asks for proof, comma separated; open only then",
    )
    tls12: bool = Field(False, description="accept TLS 1.2 besides 1.3")
    proxy_from: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), max_length=64, description="networks of load balancers that send a PROXY v2 header, comma separated"
    )
    engine_threads: int = Field(default_factory=_engine_threads, ge=1, le=64, description="threads that serve sockets")
    num_shards: int = Field(4096, ge=1, le=65536, description="fixed when the store is created")
    home_region: int = Field(0, ge=0, le=65535, description="first two bytes of new user ids")
    horizon_pace: int = Field(2, ge=1, le=1_000_000, description="ms the expiry horizon may move per ms of uptime")
    registration: Literal["open", "invite", "closed"] = Field("open", description="who may register")
    token_lifetime_s: int = Field(3600, ge=1, le=86400, description="life of an access token, at most a day")
    clock_leeway_s: int = Field(60, ge=0, le=300, description="how far a token's times may be off")
    password_profile: Literal["full", "cheap"] = Field("full", description="argon2id cost; cheap is for tests only")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe line that is logged"
    )
    log_format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else JSON lines")
    limits: Limits = Field(default_factory=Limits, description="any limit of docs/reference/limits.md")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what the caller gives: load.py merges the sources, so that each value's origin is known."""
        return (init_settings,)

    @field_validator("limits", mode="plain")
    @classmethod
    def _limits(cls, value: object) -> Limits:
        if isinstance(value, Limits):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("limits is a table of NAME = NUMBER")
        names = [field.name for field in fields(Limits)]
        taken: dict[str, int] = {}
        for name, given in value.items():
            if name not in names:
                raise ValueError(unknown_key(f"limits.{name}", [f"limits.{known}" for known in names]))
            taken[name] = _limit_value(name, given)
        return Limits(**taken)

    @field_validator("admin")
    @classmethod
    def _admin_is_loopback(cls, value: Address) -> Address:
        if not value.is_loopback:
            raise ValueError(f"{value} can be reached from outside; use 127.0.0.1:PORT")
        return value

    @property
    def scheme(self) -> Literal["ws", "wss"]:
        """The scheme of the public URL."""
        return "ws" if self.tls_certificate is None and not self.acme else "wss"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return all(address.is_loopback for address in self.listen)


def _limit_value(name: str, given: Any) -> int:
    if isinstance(given, str) and given.strip().isascii() and given.strip().isdigit():
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= LIMIT_VALUE_MAX:
        raise ValueError(f"limits.{name} is a whole number from 1 on, not {given!r}")
    return given


def shown(value: object) -> object:
    """A value as `iris config show` prints it: secrets hidden, plain JSON types."""
    if isinstance(value, SecretStr):
        return "********"
    if isinstance(value, Address | Path):
        return str(value)
    if isinstance(value, tuple):
        return [shown(part) for part in value]
    return value
