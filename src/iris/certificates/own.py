"""A server's own certificate: made into DIR/tls, vouched for by nobody, known by its fingerprint and its key.

It is for friends who compare the fingerprint (`iris invite` prints it); browsers warn about it. It is renewed before it
ends, with the same key and the same names: who has joined knows the server by its key from then on. Another key is
another server: remove DIR/tls, start again, and invite anew.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iris.certificates.files import CertificateError, key_pem, write_private

FOLDER = "tls"
CERTIFICATE, KEY = "certificate.pem", "key.pem"
VALID = datetime.timedelta(days=820)  # some systems take none of more than 825 days
RENEWED_BEFORE = datetime.timedelta(days=60)
BEFORE = datetime.timedelta(days=1)  # valid from here on before now: the clock of a friend may be behind
COMMON_NAME_CHARS_MAX = 64  # RFC 5280, appendix A.1


def own_certificate(data: Path) -> tuple[Path, Path]:
    """Where a server's own (certificate, key) lie, whether they are there or not."""
    return data / FOLDER / CERTIFICATE, data / FOLDER / KEY


def keep_certificate(data: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """The server's own (certificate, key); made for these host names and IP addresses when they are not there yet.

    One that ends soon is made anew with its key and names. The key is written first: a certificate that is there has
    its key. Raises CertificateError, OSError.
    """
    certificate, key = own_certificate(data)
    now = datetime.datetime.now(datetime.UTC)
    if not certificate.is_file():
        private = ec.generate_private_key(ec.SECP256R1())
        write_private(key, key_pem(private))
        write_private(certificate, issue(private, general_names(names), now))
        return certificate, key
    if not key.is_file():
        raise CertificateError(f"{key} is missing: put it back, or remove {certificate.parent} to start anew")
    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        if now >= known.not_valid_after_utc - RENEWED_BEFORE:
            private = load_key(key.read_bytes())
            said = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            write_private(certificate, issue(private, list(said), now))
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise CertificateError(
            f"{certificate} or its key cannot be read: {error}; remove {certificate.parent} to start anew"
        ) from error
    return certificate, key


class Own:
    """The own certificate as a source: `names` are for one that is not there yet."""

    def __init__(self, data: Path, names: Sequence[str]) -> None:
        self._data, self._names = data, names

    def make(self) -> tuple[bytes, bytes]:
        """Certificate and key (PEM), made or renewed where needed. Raises CertificateError, OSError."""
        certificate, key = keep_certificate(self._data, self._names)
        return certificate.read_bytes(), key.read_bytes()

    def read(self) -> tuple[bytes, bytes] | None:
        """As make."""
        return self.make()

    def renewed_at(self, certificate: x509.Certificate) -> datetime.datetime:
        """Some weeks before its end."""
        return certificate.not_valid_after_utc - RENEWED_BEFORE

    async def renew(self) -> None:
        """As make."""
        self.make()


def issue(key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], now: datetime.datetime) -> bytes:
    """A certificate for `key`, signed with it, as PEM."""
    first = str(names[0].value)[:COMMON_NAME_CHARS_MAX]
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Iris"), x509.NameAttribute(NameOID.COMMON_NAME, first)]
    )
    uses = dict.fromkeys(
        (
            "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
            "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())  # 159 random bits: no browser meets one twice
        .not_valid_before(now - BEFORE)
        .not_valid_after(now - BEFORE + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **uses), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Each name once, in the order given. Raises CertificateError when one is neither a host name nor an address."""
    general: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            general.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            try:
                general.append(x509.DNSName(name))
            except ValueError as error:
                raise CertificateError(f"{name!r} is no name for a certificate: {error}") from error
    return general


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """A private key from PEM. Raises ValueError, TypeError."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("it is not a key on an elliptic curve")
    return key
