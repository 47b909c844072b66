"""The line that `iris invite` prints and `iris join` takes. Pure: text in, text out.

    iris://192.168.1.20:8460/3b1f…/9c41…      address, one-time code, SHA-256 of the server's certificate

The fingerprint is left out where a certificate authority vouches for the server, and on loopback without TLS.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SCHEME = "iris://"
LINE_MAX = 512
_LINE = re.compile(
    r"iris://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})/(?P<code>[A-Za-z0-9_-]{1,64})"
    r"(?:/(?P<fingerprint>[0-9A-Fa-f]{64}))?/?\Z"
)


class Invitation(NamedTuple):
    """What a line says. `host` has brackets when it is an IPv6 address."""

    host: str
    port: int
    code: str
    fingerprint: str | None
    loopback: bool

    @property
    def line(self) -> str:
        """As it is printed."""
        end = f"/{self.fingerprint}" if self.fingerprint else ""
        return f"{SCHEME}{self.host}:{self.port}/{self.code}{end}"

    @property
    def server(self) -> str:
        """For --server."""
        return f"{'http' if self.loopback and self.fingerprint is None else 'https'}://{self.host}:{self.port}"


def is_invitation(text: str | None) -> bool:
    """Whether somebody has pasted a line."""
    return text is not None and text.strip().startswith(SCHEME)


def parse(text: str) -> Invitation:
    """What a line says. Raises ValueError with what is wrong."""
    line = text.strip()
    if not line.startswith(SCHEME):
        raise ValueError(f"an invitation begins with {SCHEME}")
    said = _LINE.match(line) if len(line) <= LINE_MAX else None
    if said is None or not 0 < int(said["port"]) < 65536:
        raise ValueError("that is no whole invitation: it has an address, a code and mostly a long fingerprint")
    pin = said["fingerprint"]
    return Invitation(said["host"], int(said["port"]), said["code"], pin and pin.lower(), _is_loopback(said["host"]))


def make(host: str, port: int, code: str, fingerprint: str | None) -> Invitation:
    """The invitation for these; `host` without brackets."""
    return Invitation(f"[{host}]" if ":" in host else host, port, code, fingerprint, _is_loopback(host))


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
