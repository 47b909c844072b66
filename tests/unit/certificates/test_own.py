"""A server's own certificate: made once, private, well formed, known by its fingerprint, renewed with its key."""

from __future__ import annotations

import datetime
import hashlib
import re
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from iris.certificates import CertificateError, fingerprint, keep_certificate, names_here, own_certificate, spelled
from iris.certificates import own as module

NAMES = ("laptop", "laptop.local", "localhost", "192.168.1.20", "fe80::1")
DAY = datetime.timedelta(days=1)


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    certificate, key = keep_certificate(tmp_path, NAMES)
    first = certificate.read_bytes()
    assert (certificate, key) == own_certificate(tmp_path) == keep_certificate(tmp_path, ["10.0.0.1"])
    assert certificate.read_bytes() == first
    assert [stat.S_IMODE(path.stat().st_mode) for path in (certificate.parent, certificate, key)] == [
        0o700,
        0o600,
        0o600,
    ]
    assert sorted(path.name for path in certificate.parent.iterdir()) == ["certificate.pem", "key.pem"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def test_it_says_what_a_certificate_of_a_server_should(tmp_path: Path) -> None:
    path, _ = keep_certificate(tmp_path, NAMES)
    made, other = read(path), read(keep_certificate(tmp_path / "other", NAMES)[0])
    assert made.subject.rfc4514_string() == "CN=laptop,O=Iris"
    assert made.serial_number != other.serial_number
    assert min(made.serial_number, other.serial_number).bit_length() > 64  # less once in 2**90
    life = made.not_valid_after_utc - made.not_valid_before_utc
    assert life <= datetime.timedelta(days=825)
    now = datetime.datetime.now(datetime.UTC)
    assert made.not_valid_before_utc < now - DAY / 2
    assert made.not_valid_after_utc > now + 365 * DAY
    decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]  # what Python's ssl makes of it
    assert {value for _, value in decoded["subjectAltName"]} == {*NAMES[:4], "FE80:0:0:0:0:0:0:1"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is missing")
def test_openssl_reads_what_is_meant(tmp_path: Path) -> None:
    path, _ = keep_certificate(tmp_path, NAMES)
    said = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-text"], capture_output=True, text=True, check=True
    )
    text = re.sub(r"\s+", " ", said.stdout)
    for part in (
        "Version: 3 (0x2)",
        "Signature Algorithm: ecdsa-with-SHA256",
        "X509v3 Basic Constraints: critical CA:FALSE",
        "X509v3 Key Usage: critical Digital Signature X509v3",
        "X509v3 Extended Key Usage: TLS Web Server Authentication",
        "DNS:laptop, DNS:laptop.local, DNS:localhost, IP Address:192.168.1.20",
    ):
        assert part in text, part
    verified = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-partial_chain", "-CAfile", path, path],
        capture_output=True, text=True,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr


def test_it_is_renewed_before_its_end_with_its_key_and_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VALID", module.RENEWED_BEFORE)  # due from the start
    path, key = keep_certificate(tmp_path, NAMES)
    first, secret = read(path), key.read_bytes()
    monkeypatch.undo()
    keep_certificate(tmp_path, ["10.0.0.1"])
    second = read(path)
    assert second.serial_number != first.serial_number
    assert second.not_valid_after_utc > first.not_valid_after_utc
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert second.public_key().public_bytes(*der) == first.public_key().public_bytes(*der)
    names = x509.SubjectAlternativeName
    assert second.extensions.get_extension_for_class(names) == first.extensions.get_extension_for_class(names)
    assert key.read_bytes() == secret
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key)
    assert second == read(keep_certificate(tmp_path, NAMES)[0])  # and then not again


def test_a_start_that_was_cut_off_after_the_key_begins_anew(tmp_path: Path) -> None:
    certificate, key = keep_certificate(tmp_path, NAMES)
    certificate.unlink()
    (certificate.parent / "certificate.new").write_text("half")
    keep_certificate(tmp_path, NAMES)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    key.unlink()
    with pytest.raises(CertificateError, match=r"key\.pem is missing"):
        keep_certificate(tmp_path, NAMES)


def test_what_cannot_be_read_or_named_is_told(tmp_path: Path) -> None:
    certificate, _ = keep_certificate(tmp_path, NAMES)
    certificate.write_text("hello")
    with pytest.raises(CertificateError, match="cannot be read"):
        keep_certificate(tmp_path, NAMES)
    with pytest.raises(CertificateError, match="no name for a certificate"):
        keep_certificate(tmp_path / "other", ["ä"])


def test_this_machine_has_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    names = names_here(["0.0.0.0", "10.1.2.3"])
    assert names[:4] == ("laptop", "laptop.local", "localhost", "10.1.2.3")
    assert "0.0.0.0" not in names
    for odd in ("", "my laptop", "-", "a_b", "lap.top."):
        monkeypatch.setattr("socket.gethostname", lambda odd=odd: odd)
        assert names_here([])[0] == ("lap.top" if odd == "lap.top." else "localhost")


def test_the_fingerprint_is_that_of_the_first_certificate(tmp_path: Path) -> None:
    certificate, _ = keep_certificate(tmp_path, NAMES)
    text = certificate.read_text()
    found = fingerprint(certificate)
    assert found == hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()
    chain = tmp_path / "chain.pem"
    other, _ = keep_certificate(tmp_path / "other", NAMES)
    chain.write_text("words before\n" + text + other.read_text())
    assert fingerprint(chain) == found != fingerprint(other)
    assert spelled(found)[:6] == f"{found[:2]}:{found[2:4]}:".upper()


@pytest.mark.parametrize("text", ["", "hello", "-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n%\n"])
def test_what_is_no_certificate_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.pem").write_text(text)
    with pytest.raises(CertificateError, match="no certificate"):
        fingerprint(tmp_path / "c.pem")
