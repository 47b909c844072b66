"""PROXY v2 headers as the engine writes them."""

from __future__ import annotations

import ipaddress
import struct

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def proxy_header(host: str, port: int, *, secure: bool = False) -> bytes:
    """The header of a connection from `host`; the server's own address is of the same family."""
    address = ipaddress.ip_address(host)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + struct.pack("!HH", port, 443)
    if secure:
        body += struct.pack("!BHBI", 0x20, 5, 0x01, 0)
    return _SIGNATURE + struct.pack("!BBH", 0x21, family, len(body)) + body
