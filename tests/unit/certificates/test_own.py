"""A server's own certificate: made once, private, and known by its fingerprint."""

from __future__ import annotations

import hashlib
import ssl
import stat
from pathlib import Path

import pytest

from iris.wire.certificate import CertificateError, fingerprint, keep_certificate, own_certificate, spelled


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    certificate, key = keep_certificate(tmp_path, "192.168.1.20")
    first = certificate.read_bytes()
    assert (certificate, key) == own_certificate(tmp_path) == keep_certificate(tmp_path, "10.0.0.1")
    assert certificate.read_bytes() == first
    assert [stat.S_IMODE(path.stat().st_mode) for path in (certificate.parent, certificate, key)] == [
        0o700,
        0o600,
        0o600,
    ]
    assert sorted(path.name for path in certificate.parent.iterdir()) == ["certificate.pem", "key.pem"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def test_a_start_that_was_cut_off_after_the_key_begins_anew(tmp_path: Path) -> None:
    certificate, key = keep_certificate(tmp_path, "10.0.0.1")
    certificate.unlink()
    (certificate.parent / "certificate.new").write_text("half")
    keep_certificate(tmp_path, "10.0.0.1")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    key.unlink()
    with pytest.raises(CertificateError, match=r"key\.pem is missing"):
        keep_certificate(tmp_path, "10.0.0.1")


def test_the_fingerprint_is_that_of_the_first_certificate(tmp_path: Path) -> None:
    certificate, _ = keep_certificate(tmp_path, "10.0.0.1")
    text = certificate.read_text()
    found = fingerprint(certificate)
    assert found == hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()
    chain = tmp_path / "chain.pem"
    other, _ = keep_certificate(tmp_path / "other", "10.0.0.1")
    chain.write_text("words before\n" + text + other.read_text())
    assert fingerprint(chain) == found != fingerprint(other)
    assert spelled(found)[:6] == f"{found[:2]}:{found[2:4]}:".upper()


@pytest.mark.parametrize("text", ["", "hello", "-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n%\n"])
def test_what_is_no_certificate_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.pem").write_text(text)
    with pytest.raises(CertificateError, match="no certificate"):
        fingerprint(tmp_path / "c.pem")
