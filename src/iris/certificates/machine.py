"""What this machine is called, as far as it knows: for an own certificate, and for the line that a friend is sent."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable

ANY_HOST = ("0.0.0.0", "::")
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*\Z")
_LOCAL = ("127.0.0.1", "::1")


def own_address() -> str:
    """The address by which others on the network reach this machine; 127.0.0.1 when there is no network."""
    return _source_address(socket.AF_INET, "192.0.2.1") or "127.0.0.1"  # an address of documentation (RFC 5737)


def names_here(hosts: Iterable[str]) -> tuple[str, ...]:
    """Host names and IP addresses under which a server that listens on these addresses may be reached."""
    given = [host for host in hosts if host not in ANY_HOST]
    name = socket.gethostname().rstrip(".")
    names = [name, f"{name}.local"] if _NAME.match(name) and "." not in name else [name] if _NAME.match(name) else []
    found: list[str | None] = [*names, "localhost", *given, *_LOCAL]
    found += [_source_address(socket.AF_INET, "192.0.2.1"), _source_address(socket.AF_INET6, "2001:db8::1")]
    return tuple(dict.fromkeys(each for each in found if each))


def _source_address(family: socket.AddressFamily, target: str) -> str | None:
    """This machine's address on the way to `target`; connecting a datagram socket sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
