"""PROXY v2 headers: whole, in pieces, cut, wrong."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris.http.proxy import HEADER_BYTES_MAX, SIGNATURE, ProxyError, ProxyHeader, read_header
from tests.support.proxy import proxy_header

SSL = b"\x20\x00\x05\x01\x00\x00\x00\x00"
V4 = proxy_header("192.0.2.7", 4711)


def raw(command: int, family: int, rest: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest) if length is None else length) + rest


def test_an_address_of_each_family() -> None:
    assert read_header(V4) == (ProxyHeader(("192.0.2.7", 4711), False), len(V4))
    v6 = proxy_header("2001:db8::7", 1)
    assert read_header(v6 + b"GET /") == (ProxyHeader(("2001:db8::7", 1), False), len(v6))
    for family, size in ((0x31, 216), (0x00, 0), (0x12, 12)):
        header = raw(0x21, family, bytes(size))
        assert read_header(header) == (ProxyHeader(None, False), len(header))
    local = raw(0x20, 0x11, V4[16:])
    assert read_header(local) == (ProxyHeader(None, False), len(local))


def test_tls_is_told_by_its_tlv() -> None:
    for tlvs, secure in (
        (SSL, True),
        (b"\x04\x00\x01x" + SSL, True),
        (SSL.replace(b"\x01", b"\x00"), False),
        (b"\x01\x00\x02h2", False),
        (b"\x20\x00\x0b\x01\x00\x00\x00\x00\x21\x00\x03TLS", True),
    ):
        found = read_header(raw(0x21, 0x11, V4[16:] + tlvs))
        assert found is not None
        assert found[0].secure is secure
    assert read_header(proxy_header("192.0.2.7", 1, secure=True)) is not None


def test_pieces_wait_for_the_rest() -> None:
    whole = raw(0x21, 0x11, V4[16:] + SSL)
    for end in range(len(whole)):
        assert read_header(whole[:end]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
        b"\r\n\r\n\x00\r\nQUIT\r",
        b"\x16\x03\x01",
        raw(0x11, 0x11, V4[16:]),
        raw(0x22, 0x11, V4[16:]),
        raw(0x21, 0x13, V4[16:]),
        raw(0x21, 0x11, V4[16:-1]),
        raw(0x21, 0x21, V4[16:]),
        raw(0x21, 0x11, V4[16:] + b"\x20"),
        raw(0x21, 0x11, V4[16:] + SSL[:-1]),
        raw(0x21, 0x11, V4[16:] + b"\x20\x00\x01\x01"),
        raw(0x21, 0x11, b"", length=HEADER_BYTES_MAX - 15),
        raw(0x21, 0x11, b"", length=0xFFFF),
    ],
)
def test_what_is_no_header_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ProxyError):
        read_header(data)


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_header_or_wait_or_are_refused(address: bytes, after: bytes) -> None:
    for data in (address, SIGNATURE + address, raw(0x21, 0x11, V4[16:] + address) + after):
        try:
            found = read_header(data)
        except ProxyError:
            continue
        if found is not None:
            header, length = found
            assert 16 <= length <= len(data)
            assert header.client is None or ipaddress.ip_address(header.client[0])
