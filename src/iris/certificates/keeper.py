"""Which certificate the server shows now, and how it gets the next one while it runs.

Three sources: files of the operator (taken anew at SIGHUP), the own certificate, and an authority. The last two are
renewed before they end; when that fails the old one stays, the log says why, and it is tried again later and later. As
long as an authority has given none yet, the own certificate stands in.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iris.certificates.files import CertificateError
from iris.certificates.machine import names_here
from iris.certificates.own import Own, own_certificate
from iris.config import ConfigError, Settings
from iris.logs import logger

LOOK_S = 3600.0  # how often it is looked whether a certificate is due: a machine may have slept
RETRY_FIRST_S = 300.0  # authorities allow five failures an hour
RETRY_MAX_S = 12 * 3600.0
log = logger(part="certificates")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the engine is given. `fingerprint`: of a certificate that people know by it; "" when somebody vouches."""

    certificate: bytes
    key: bytes
    fingerprint: str


class Source(Protocol):
    """Where certificates come from that the server gets by itself."""

    def read(self) -> tuple[bytes, bytes] | None:
        """Certificate with its chain, and key (PEM); None when there is none yet. Raises CertificateError, OSError."""

    def renewed_at(self, certificate: x509.Certificate) -> datetime.datetime:
        """When the next one is to be had."""

    async def renew(self) -> None:
        """Get the next one; `read` gives it from then on. Raises CertificateError, OSError."""


def retry_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures - 1, 32)))


class Certificates:
    """The certificates of one server. `now` and `sleep` are for tests."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now, self._sleep = now, sleep
        self._files = (settings.tls_certificate, settings.tls_key)
        self._own = Own(settings.data, names_here(address.host for address in settings.listen))
        self._is_own = settings.tls_certificate == own_certificate(settings.data)[0]
        self._source: Source | None = self._own if self._is_own else None
        if settings.acme:
            from iris.certificates.authority import FromAuthority  # its libraries take their time

            self._source = FromAuthority(settings)
        self._shown: x509.Certificate | None = None  # of the source; None while another one stands in
        self._failures = 0  # in a row
        self._counters = {"iris_certificate_renewals_total": 0, "iris_certificate_failures_total": 0}

    @property
    def renews(self) -> bool:
        """Whether it gets certificates by itself."""
        return self._source is not None

    def load(self) -> Identity | None:
        """What is to be shown now; None without TLS. Raises ConfigError, CertificateError, OSError."""
        if self._source is None:
            certificate, key = self._files
            return None if certificate is None or key is None else Identity(_read(certificate), _read(key), "")
        pair = self._source.read()
        if pair is None:
            self._shown = None
            return Identity(*self._own.make(), "")  # nobody is to know the server by what only stands in
        try:
            self._shown = x509.load_pem_x509_certificate(pair[0])
        except ValueError as error:
            raise CertificateError(f"the certificate cannot be read: {error}") from error
        digits = hashlib.sha256(self._shown.public_bytes(Encoding.DER)).hexdigest() if self._is_own else ""
        return Identity(*pair, digits)

    async def run(self, take: Callable[[Identity], None]) -> None:
        """Renew for ever; `take` is called with each new certificate."""
        while self._source is not None:
            await self._sleep(self._wait_s())
            if self._due_s() > 0:
                continue
            try:
                await self._source.renew()
                if (identity := self.load()) is not None:
                    take(identity)
                if self._due_s() <= 0:  # or it would be asked for without end
                    raise CertificateError("the new certificate is as good as over: is this machine's clock right?")
            except Exception as error:  # whatever is wrong, the old certificate is shown on
                self._failures += 1
                self._counters["iris_certificate_failures_total"] += 1
                said = str(error) or type(error).__name__
                log.error("certificate_not_renewed", error=said, next_try_s=int(retry_s(self._failures)))
            else:
                self._failures = 0
                self._counters["iris_certificate_renewals_total"] += 1
                log.info("certificate_renewed", until=self._shown and self._shown.not_valid_after_utc.isoformat())

    def stats(self) -> Mapping[str, float]:
        """For the metrics; nothing when the operator brings the certificates."""
        if self._source is None:
            return {}
        left = 0.0 if self._shown is None else self._shown.not_valid_after_utc.timestamp() - self._now()
        return {**self._counters, "iris_certificate_seconds_left": left}

    def _wait_s(self) -> float:
        return retry_s(self._failures) if self._failures else max(0.0, min(LOOK_S, self._due_s()))

    def _due_s(self) -> float:
        """Seconds until the next certificate is to be had."""
        if self._shown is None or self._source is None:
            return 0.0
        return self._source.renewed_at(self._shown).timestamp() - self._now()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
