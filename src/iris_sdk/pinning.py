"""TLS to a server that is known by its certificate's fingerprint instead of by a certificate authority.

    context = pinned_context("5f0c…")     # SHA-256 of the certificate, 64 hex digits

The fingerprint is compared in the handshake, before a byte of ours is sent: a password never reaches the wrong server.
Neither the host name nor the dates of the certificate matter then: whoever holds its key is the one who was pinned. So
a profile keeps the key's SHA-256 too, and a server that renews its certificate with the same key is known.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl

from iris_sdk.errors import ProfileError, WrongCertificate


class PinMismatch(ssl.SSLError):
    """The server showed another certificate."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"the certificate's SHA-256 is {found}, not {expected}")
        self.expected, self.found = expected, found


class _Pinned(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        assert isinstance(context, _PinnedContext)
        shown = self.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(shown).hexdigest()
        if not hmac.compare_digest(found, context.fingerprint):
            known = context.server_key
            if known is None or not hmac.compare_digest(_key_of(shown), known):
                raise PinMismatch(context.fingerprint, found)
        context.shown = shown


class _PinnedContext(ssl.SSLContext):
    """Only for event loops: they wrap with `wrap_bio`."""

    fingerprint: str
    server_key: str | None
    shown: bytes  # the certificate of the last handshake that was taken
    sslobject_class = _Pinned

    def wrap_socket(self, *args: object, **kwargs: object) -> ssl.SSLSocket:
        raise NotImplementedError("a pinned connection is made by an event loop")


def normal_fingerprint(text: str) -> str:
    """64 lower-case hex digits; colons and spaces, as browsers show them, are left out. Raises ProfileError."""
    fingerprint = re.sub(r"[:\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise ProfileError(f"{text!r} is not the SHA-256 fingerprint of a certificate: it has 64 hexadecimal digits")
    return fingerprint


def pinned_context(fingerprint: str, server_key: str | None = None) -> ssl.SSLContext:
    """A client's context that takes this certificate, or one with this key (SHA-256 of it), and no other."""
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # do_handshake compares the fingerprint
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.fingerprint, context.server_key, context.shown = normal_fingerprint(fingerprint), server_key, b""
    return context


def server_key(context: ssl.SSLContext | None) -> str | None:
    """SHA-256 of the key of the server that `context` has met, as hex; None when it pins nothing or met nobody."""
    if not isinstance(context, _PinnedContext) or not context.shown:
        return None
    return _key_of(context.shown) or None


def _key_of(certificate: bytes) -> str:
    """SHA-256 of a certificate's public key (SubjectPublicKeyInfo, DER), as hex; "" when it cannot be read."""
    from cryptography import x509  # slow to import: only at a log-in, and when a certificate is another one
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return ""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def wrong_certificate(error: BaseException | None) -> WrongCertificate | None:
    """What to tell when a mismatch is the cause of an error; None when it is not."""
    while error is not None:
        if isinstance(error, PinMismatch):
            return WrongCertificate(error.expected, error.found)
        error = error.__cause__ or error.__context__
    return None
