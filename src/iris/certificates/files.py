"""Certificates and keys as files: written whole and private, read with words for what is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class CertificateError(Exception):
    """The certificate cannot be used or had; the text says why and what to do."""


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate of a PEM file, 64 hex digits. Raises CertificateError, OSError."""
    text = certificate.read_text(encoding="ascii", errors="replace")
    first, found, _ = text.partition(_END)
    start = first.find(_BEGIN)
    if not found or start < 0:
        raise CertificateError(f"{certificate} holds no certificate in PEM form")
    try:
        der = ssl.PEM_cert_to_DER_cert(first[start:] + _END)
    except ValueError as error:
        raise CertificateError(f"{certificate} holds no certificate in PEM form: {error}") from error
    return hashlib.sha256(der).hexdigest()


def spelled(digits: str) -> str:
    """A fingerprint as browsers show it: AB:CD:…"""
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper()


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM (PKCS #8), not encrypted."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def write_private(path: Path, content: bytes) -> None:
    """All of it, durable, readable for its owner only, or nothing; missing folders are made private too."""
    for around in (path.parent.parent, path.parent):
        around.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as writer:
        writer.write(content)
        writer.flush()
        os.fsync(writer.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
