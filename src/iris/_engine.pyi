"""The engine's Python face (engine/src/python.rs). Frames are the flat tuples of iris.core.frames."""

from collections.abc import Callable
from os import PathLike
from typing import Any, final

__all__ = ["Engine", "EngineError", "LogSync", "load", "relay", "self_signed", "source_digest"]

class EngineError(Exception):
    """The engine cannot do what was asked: its options or the order of calls are wrong."""

@final
class Engine:
    """Sockets, TLS, WebSocket and the codec of frames."""

    def __new__(
        cls,
        *,
        host: str,
        port: int,
        threads: int,
        certificate: bytes | None,
        key: bytes | None,
        tls12: bool,
        api_path: str | None,
        proxy_from: list[str],
        limits: dict[str, int],
    ) -> Engine: ...
    def start(self) -> None: ...
    @property
    def port(self) -> int: ...
    def fileno(self) -> int: ...
    def drain(self, logins_max: int) -> list[tuple[Any, ...]]: ...
    def send(self, frames: list[Any]) -> None: ...
    def reload_certificate(self, certificate: bytes, key: bytes) -> None: ...
    def stop_accepting(self) -> None: ...
    def stop(self) -> None: ...
    def stats(self) -> dict[str, Any]: ...

@final
class LogSync:
    """The thread that makes RocksDB's log durable; see log_sync.rs."""

    def __new__(cls, folder: str | PathLike[str]) -> LogSync: ...
    def fileno(self) -> int: ...
    def sync(self) -> None: ...
    def take(self) -> tuple[OSError | None, float] | None: ...
    def stop(self) -> None: ...

def source_digest() -> str: ...
def self_signed(address: str) -> tuple[bytes, bytes]: ...
def load(
    *,
    host: str,
    port: int,
    root: bytes,
    tokens: list[str],
    users: list[bytes],
    numbers: dict[str, int],
    on_moment: Callable[[str, int], None],
) -> dict[str, Any]: ...
def relay(
    *,
    host: str,
    certificate: bytes | None,
    key: bytes | None,
    control: int,
    tell: Callable[[str, dict[str, int]], None],
) -> None: ...
