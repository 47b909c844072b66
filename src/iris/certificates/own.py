"""A server's own certificate: made once into DIR/tls, known by its fingerprint.

It is for friends who compare the fingerprint (`iris invite` prints it), not for browsers of strangers: nobody else
vouches for it. It has no end that matters. A new one is a new identity: remove DIR/tls, start again, and invite anew.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import ssl
import textwrap
from pathlib import Path

from iris import _engine

FOLDER = "tls"
CERTIFICATE, KEY = "certificate.pem", "key.pem"


class CertificateError(Exception):
    """The certificate cannot be used; the text says why and what to do."""


def own_certificate(data: Path) -> tuple[Path, Path]:
    """Where a server's own (certificate, key) lie, whether they are there or not."""
    return data / FOLDER / CERTIFICATE, data / FOLDER / KEY


def keep_certificate(data: Path, address: str) -> tuple[Path, Path]:
    """The server's own (certificate, key); made for this IP address when they are not there yet.

    The key is written first and both under other names: a certificate that is there has its key.
    Raises CertificateError, OSError.
    """
    certificate, key = own_certificate(data)
    if certificate.is_file():
        if not key.is_file():
            raise CertificateError(f"{key} is missing: put it back, or remove {certificate.parent} to start anew")
        return certificate, key
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    signed, secret = _engine.self_signed(address)
    _write(key, _pem("PRIVATE KEY", secret))
    _write(certificate, _pem("CERTIFICATE", signed))
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate of a PEM file, 64 hex digits. Raises CertificateError, OSError."""
    end = "-----END CERTIFICATE-----"
    first, found, _ = certificate.read_text(encoding="ascii", errors="replace").partition(end)
    start = first.find("-----BEGIN CERTIFICATE-----")
    if not found or start < 0:
        raise CertificateError(f"{certificate} holds no certificate in PEM form")
    try:
        der = ssl.PEM_cert_to_DER_cert(first[start:] + end)
    except ValueError as error:
        raise CertificateError(f"{certificate} holds no certificate in PEM form: {error}") from error
    return hashlib.sha256(der).hexdigest()


def spelled(digits: str) -> str:
    """A fingerprint as browsers show it: AB:CD:…"""
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper()


def _write(path: Path, text: str) -> None:
    """All of it, durable, readable for its owner only, or nothing."""
    draft = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as writer:
        writer.write(text)
        writer.flush()
        os.fsync(writer.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _pem(kind: str, der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])
