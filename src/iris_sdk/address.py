"""Where a server is, and whether it may be spoken to.

TLS with verified certificate and host name, or with one pinned certificate; plain connections only on loopback.
"""

from __future__ import annotations

import ipaddress
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from iris_sdk.errors import ProfileError
from iris_sdk.pinning import normal_fingerprint, pinned_context

_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


class Address(NamedTuple):
    """A server's public port. `host` is as written (an IPv6 address in brackets in the URLs)."""

    host: str
    port: int
    tls: bool
    ca_file: str | None  # trust this CA instead of the system's
    fingerprint: str | None = None  # SHA-256 of the one certificate that is taken, instead of any CA
    server_key: str | None = None  # SHA-256 of its key, once it was met: a renewed certificate with it is taken too

    @property
    def api_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self._authority}"

    @property
    def connect_url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://{self._authority}/v1/connect"

    @property
    def loopback(self) -> bool:
        return _is_loopback(self.host)

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for a plain connection. Raises ProfileError when the CA file cannot be used."""
        if not self.tls:
            return None
        if self.fingerprint is not None:
            return pinned_context(self.fingerprint, self.server_key)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)  # checks certificate and host name
        except (OSError, ssl.SSLError) as error:
            raise ProfileError(f"CA file {self.ca_file}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def parse_server(
    server: str, ca_file: str | None = None, fingerprint: str | None = None, server_key: str | None = None
) -> Address:
    """The address in a server URL: http, https, ws or wss. Raises ProfileError.

    With `fingerprint` the server is known by its certificate's SHA-256, whatever its name and who signed it;
    with `server_key` besides also by the SHA-256 of its key.
    """
    refused = ProfileError(f"{server!r} is not a server address such as https://chat.example.org")
    try:
        parts = urlsplit(server if "://" in server else f"https://{server}")
        port = parts.port
    except ValueError:
        raise refused from None
    tls = _SCHEMES.get(parts.scheme.lower())
    if tls is None or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise refused
    if fingerprint is not None:
        if not tls:
            raise ProfileError(f"{server}: without TLS there is no certificate to compare")
        fingerprint = normal_fingerprint(fingerprint)
    address = Address(parts.hostname, port or (443 if tls else 80), tls, ca_file, fingerprint, server_key)
    if not tls and not address.loopback:
        raise ProfileError(f"{server}: without TLS only a server on this machine (loopback) is spoken to")
    return address


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
