"""Certificates from an authority as a source: the file they are kept in, the door, and the thread that asks."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import threading
from collections.abc import Callable

from cryptography import x509

from iris.certificates import acme
from iris.certificates.door import Door
from iris.certificates.files import CertificateError
from iris.config import Settings


class FromAuthority:
    """The certificate for the names of the settings `acme`."""

    def __init__(self, settings: Settings) -> None:
        self._data, self._names, self._listen = settings.data, settings.acme, settings.acme_listen
        self._authority = acme.Authority(settings.acme_directory, settings.acme_email, settings.acme_ca)

    def read(self) -> tuple[bytes, bytes] | None:
        """The one that was kept; None when there is none for all of these names."""
        path = acme.certificate_file(self._authority, self._data)
        if not path.is_file():
            return None
        content = path.read_bytes()
        try:
            names = acme.names_of(x509.load_pem_x509_certificate(content))
        except ValueError as error:
            raise CertificateError(f"{path} holds no certificate: {error}; remove it to get another one") from error
        return (content, content) if set(self._names) <= names else None

    def renewed_at(self, certificate: x509.Certificate) -> datetime.datetime:
        """When a third of its life is left."""
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        return certificate.not_valid_after_utc - life / 3

    async def renew(self) -> None:
        """Order one, with the door open meanwhile."""
        try:
            async with Door(self._listen) as door:
                await _in_thread(lambda: acme.order(self._authority, self._data, self._names, door.proofs))
        except OSError as error:
            where = ", ".join(str(address) for address in self._listen)
            raise CertificateError(
                f"cannot listen on {where}, where the authority asks: {error.strerror}. Free it (ports below 1024 need"
                " CAP_NET_BIND_SERVICE), or let what listens there forward to another address, given as acme_listen"
            ) from error


async def _in_thread(work: Callable[[], None]) -> None:
    """Wait for blocking work in a daemon thread: unlike an executor's, it does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        failed: Exception | None = None
        try:
            work()
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, failed)

    threading.Thread(target=run, name="iris-acme", daemon=True).start()
    await done
