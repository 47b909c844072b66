"""`iris serve`: settings, logs and file limit, then the server; what keeps it from starting is told in a line."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from iris import logs
from iris.cli.errors import CliError
from iris.cli.settings import checked, cli_error
from iris.config import Address, ConfigError, Settings, raise_file_limit
from iris.store.port import StoreError, StoreLocked


def serve(config: Path | None, flags: Mapping[str, Any], sets: list[str], public: bool = False) -> int:
    """Serve until stopped; returns the exit code. Raises CliError when it cannot start."""
    if public:
        from iris.cli.public import public_flags

        flags = public_flags(config, flags, sets)
    settings = checked(config, flags, sets).settings
    for address in (*settings.listen, settings.admin):
        check_free(address)

    def ready(url: str, admin: str) -> None:
        announce(url, admin)
        if public:
            from iris.cli.public import welcome

            welcome(settings, url)

    return run(settings, ready)


def announce(url: str, admin: str) -> None:
    """The lines that scripts wait for."""
    print(f"iris: ready on {url}", flush=True)
    print(f"iris: admin on {admin}", flush=True)


def run(settings: Settings, on_ready: Callable[[str, str], None]) -> int:
    """Start the server in this thread and stay until it ends; returns the exit code. Raises CliError."""
    logs.configure(settings.log_level, settings.log_format)
    if shortfall := raise_file_limit(settings).shortfall:
        logs.logger().info("file_limit_low", detail=shortfall)
    try:
        from iris.app import serve as serve_node
    except ImportError as error:
        if "engine" in str(error) and error.name is None:  # built from other sources than these
            raise CliError(str(error)) from None
        raise
    from iris.certificates import CertificateError
    from iris.http.keys import KeyFileError

    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return serve_node(settings, on_ready=on_ready)
    except ConfigError as error:
        raise cli_error(error) from None
    except StoreLocked as error:
        raise CliError(str(error), "stop the other server, or give another folder with --data DIR") from None
    except (StoreError, KeyFileError, CertificateError) as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"cannot start: {error}", _os_fix(error)) from None


def check_free(address: Address, how: str = "--listen {}") -> None:
    """Raise CliError, with `how` another address is chosen, when something already listens on `address`.

    The engine shares its port between its own threads (SO_REUSEPORT), so a second server of the same user could bind it
    too and would get half of the connections; a plain bind finds out.
    """
    if address.port == 0:
        return
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are closing do not count
        try:
            probe.bind(tuple(address))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = address._replace(port=address.port + 1)
                fix = f"stop what listens there, or choose another port, such as {how.format(other)} (port 0: any)"
                raise CliError(f"{address} is in use", fix) from None
            raise CliError(f"cannot listen on {address}: {error.strerror}", _os_fix(error)) from None


def _os_fix(error: OSError) -> str:
    return {
        errno.EADDRINUSE: "choose another port with --listen HOST:PORT",
        errno.EADDRNOTAVAIL: "this machine does not have that address; 0.0.0.0 is all of them",
        errno.EACCES: "the user that runs this may not do that; ports below 1024 need CAP_NET_BIND_SERVICE",
        errno.ENOSPC: "free some space",
        errno.EROFS: "give a folder that can be written with --data DIR",
        errno.ENOTDIR: "give another folder with --data DIR",
        errno.EEXIST: "give another folder with --data DIR",
    }.get(error.errno or 0, "")
