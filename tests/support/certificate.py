"""Certificates for tests, made on the spot: a root of our own and one signed by it for localhost."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """PEM texts: the server's chain and key, and the root that clients trust."""

    chain: bytes
    key: bytes
    root: bytes

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts the root and checks the host name."""
        context = ssl.create_default_context(cadata=self.root.decode())
        context.set_alpn_protocols(["http/1.1"])
        return context


@cache
def certificate(name: str = "localhost") -> Certificate:
    """A certificate for this name and 127.0.0.1; the same one for every call of a process."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _sign("Iris test root", root_key, "Iris test root", root_key, None)
    leaf = _sign(name, key, "Iris test root", root_key, name)
    return Certificate(
        chain=_pem(leaf) + _pem(root),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        root=_pem(root),
    )


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Files (certificate, key) for localhost and 127.0.0.1; a client that is given the first one trusts the server."""
    made = certificate()
    chain, key = folder / "certificate.pem", folder / "key.pem"
    chain.write_bytes(made.chain)  # with the root, so that it is an anchor too
    key.write_bytes(made.key)
    return chain, key


def _pem(signed: x509.Certificate) -> bytes:
    return signed.public_bytes(serialization.Encoding.PEM)


def _sign(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    host: str | None,
) -> x509.Certificate:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if host is not None:
        names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
