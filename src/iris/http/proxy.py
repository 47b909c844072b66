"""The PROXY protocol, version 2: who is at the other end of a connection that somebody else accepted.

Pure: bytes in, a header out. The engine writes one in front of every connection it pipes to the API.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED_BYTES = 16
HEADER_BYTES_MAX = _FIXED_BYTES + 1024  # addresses and TLVs; ours are far smaller
_LOCAL, _PROXY = 0x20, 0x21  # version 2, and the command
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_BYTES = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
_TLV_SSL = 0x20
_CLIENT_SSL = 0x01  # the client came over TLS


class ProxyError(ValueError):
    """The bytes are not a PROXY v2 header."""


class ProxyHeader(NamedTuple):
    """The client's address, None when it is not an internet address, and whether it came over TLS."""

    client: tuple[str, int] | None
    secure: bool


def read_header(data: bytes | bytearray) -> tuple[ProxyHeader, int] | None:
    """The header at the start of `data` and its length; None while it is not complete.

    Raises ProxyError as soon as the bytes cannot become one.
    """
    if not SIGNATURE.startswith(bytes(data[: len(SIGNATURE)])):
        raise ProxyError("no PROXY v2 signature")
    if len(data) < _FIXED_BYTES:
        return None
    command, family = data[12], data[13]
    length = _FIXED_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise ProxyError("not version 2, or an unknown command")
    if length > HEADER_BYTES_MAX:
        raise ProxyError("the header is too long")
    if len(data) < length:
        return None
    if command == _LOCAL:
        return ProxyHeader(None, False), length
    if family not in _ADDRESS_BYTES:
        raise ProxyError("an unknown address family")
    rest = bytes(data[_FIXED_BYTES:length])
    split = _ADDRESS_BYTES[family]
    if len(rest) < split:
        raise ProxyError("the addresses are cut off")
    return ProxyHeader(_client(family, rest[:split]), _is_secure(rest[split:])), length


def _client(family: int, addresses: bytes) -> tuple[str, int] | None:
    if family == _TCP4:
        return str(ipaddress.IPv4Address(addresses[:4])), int.from_bytes(addresses[8:10], "big")
    if family == _TCP6:
        return str(ipaddress.IPv6Address(addresses[:16])), int.from_bytes(addresses[32:34], "big")
    return None


def _is_secure(tlvs: bytes) -> bool:
    secure = False
    while tlvs:
        if len(tlvs) < 3 or len(tlvs) < (end := 3 + int.from_bytes(tlvs[1:3], "big")):
            raise ProxyError("a TLV is cut off")
        if tlvs[0] == _TLV_SSL:
            if end < 3 + 5:
                raise ProxyError("the SSL TLV is too short")
            secure = bool(tlvs[3] & _CLIENT_SSL)
        tlvs = tlvs[end:]
    return secure
