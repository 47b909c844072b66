"""What the rest of Iris knows of the engine: a port, and how to open the real one.

The engine hands over and takes flat tuples (iris.core.frames); it knows nothing of users. In a checkout, a built module
that is older than its sources is refused at import: else a change of the wire would seem to have no effect.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from iris import _engine
from iris._engine import EngineError

__all__ = ["EngineError", "EnginePort", "open_engine"]


class EnginePort(Protocol):
    """Connections as a source of frames and a place to send them to. All calls come from one thread and never wait."""

    def start(self) -> None:
        """Bind and begin to accept.

        Raises OSError (EADDRINUSE and the like), or EngineError when it was started before.
        """

    @property
    def port(self) -> int:
        """The TCP port: the one asked for before `start`, the actual one afterwards."""

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to drain."""

    def drain(self, logins_max: int) -> list[tuple[Any, ...]]:
        """Take all frames that wait, but at most `logins_max` Hellos.

        The frames of one connection are in order. A Closed comes once for every connection whose Hello was taken, after
        its last frame.
        """

    def send(self, frames: list[Any]) -> None:
        """Send server frames and Close orders. Connections that are gone are passed over.

        Raises ValueError, TypeError or OverflowError for a malformed tuple; then nothing of the list is sent.
        """

    def reload_certificate(self, certificate: bytes, key: bytes) -> None:
        """Use another certificate (PEM chain and key) for new connections.

        Raises EngineError when it cannot be used; then the old one stays.
        """

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections stay."""

    def stop(self) -> None:
        """Close every connection (GOING_AWAY), wait for them up to close_timeout_ms, end the threads."""

    def stats(self) -> dict[str, Any]:
        """Counters (names end in _total), gauges, and tables by code, reason, state or kind."""


def open_engine(
    *,
    host: str,
    port: int,
    threads: int,
    certificate: bytes | None,
    key: bytes | None,
    tls12: bool,
    api_path: str | None,
    proxy_from: list[str],
    limits: Mapping[str, int],
) -> EnginePort:
    """The real engine, not yet started.

    `host` is an IP address, `port` 0 takes a free one, certificate and key are PEM, `api_path` is the API's Unix
    socket, `proxy_from` the addresses or CIDR ranges that must speak PROXY v2, `limits` those of limits.toml with
    where = engine. Raises EngineError (plaintext off loopback, unusable certificate) or ValueError (a malformed value,
    an unknown limit).
    """
    return _engine.Engine(
        host=host,
        port=port,
        threads=threads,
        certificate=certificate,
        key=key,
        tls12=tls12,
        api_path=api_path,
        proxy_from=proxy_from,
        limits=dict(limits),
    )


def source_digest(root: Path) -> str | None:
    """The digest of the engine's sources below `root`, as engine/build.rs makes it; None when there are none."""
    folder = root / "engine"
    if not (folder / "build.rs").is_file():
        return None
    protocol = root / "protocol" / "iris" / "v1" / "frames.proto"
    # In the order in which Rust sorts these paths.
    sources = [protocol, folder / "Cargo.toml", folder / "build.rs", *sorted((folder / "src").rglob("*.rs"))]
    sums = b"".join(zlib.crc32(source.read_bytes()).to_bytes(4, "big") for source in sources)
    return f"{zlib.crc32(sums):08x}-{len(sources)}"


def refuse_stale(root: Path) -> None:
    """Raise ImportError when the built module is older than the sources below `root`."""
    if source_digest(root) not in (None, _engine.source_digest()):
        raise ImportError("the engine is older than its sources: run make setup")


refuse_stale(Path(__file__).resolve().parents[3])
