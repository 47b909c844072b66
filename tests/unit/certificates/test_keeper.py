"""When certificates are renewed, and what happens when that fails: with a source and a clock of the test's own."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
from cryptography import x509

from iris.certificates import CertificateError, Certificates, Identity, fingerprint, keep_certificate, own_certificate
from iris.certificates.keeper import LOOK_S, RETRY_FIRST_S, RETRY_MAX_S, retry_s
from iris.config import Settings


class Enough(BaseException):
    """Ends `run`."""


class Rig:
    """Certificates whose source fails as told, and whose sleep moves the clock."""

    def __init__(self, data: Path, outcomes: list[str | None], life_s: float) -> None:
        self.now, self.slept, self.outcomes, self.taken = 1_000_000.0, list[float](), outcomes, list[Identity]()
        self.life_s, self.pair, self.until = life_s, (b"", b""), self.now + life_s
        certificate, key = keep_certificate(data, ["localhost"])
        self.pair = certificate.read_bytes(), key.read_bytes()
        self.certificates = Certificates(Settings(data=data), now=lambda: self.now, sleep=self.sleep)
        self.certificates._source = self

    async def sleep(self, seconds: float) -> None:
        if not self.outcomes:
            raise Enough
        self.slept.append(seconds)
        self.now += seconds

    def read(self) -> tuple[bytes, bytes] | None:
        return self.pair

    def renewed_at(self, certificate: x509.Certificate) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.until, datetime.UTC)

    async def renew(self) -> None:
        if (wrong := self.outcomes.pop(0)) is not None:
            raise CertificateError(wrong)
        self.until = self.now + self.life_s

    def run(self) -> None:
        self.certificates.load()
        with pytest.raises(Enough):
            asyncio.run(self.certificates.run(self.taken.append))


def test_failures_wait_longer_and_longer_and_a_success_ends_that(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ["no", "no", "no", None, "no"], life_s=1800)
    rig.run()
    assert rig.slept == [1800, 300, 600, 1200, 1800]
    assert len(rig.taken) == 1
    stats = rig.certificates.stats()
    assert (stats["iris_certificate_renewals_total"], stats["iris_certificate_failures_total"]) == (1, 4)


def test_it_looks_every_hour_because_a_machine_may_sleep(tmp_path: Path) -> None:
    rig = Rig(tmp_path, [None], life_s=2.5 * LOOK_S)
    rig.run()
    assert rig.slept == [LOOK_S, LOOK_S, LOOK_S / 2]


def test_the_waits_have_an_end() -> None:
    assert [retry_s(1), retry_s(2), retry_s(10_000)] == [RETRY_FIRST_S, 2 * RETRY_FIRST_S, RETRY_MAX_S]


def test_what_cannot_be_loaded_counts_as_a_failure(tmp_path: Path) -> None:
    rig = Rig(tmp_path, [None, None], life_s=10)
    before = rig.pair

    def broken(certificate: x509.Certificate) -> datetime.datetime:
        rig.pair = (b"hello", b"") if len(rig.slept) == 1 else before
        return datetime.datetime.fromtimestamp(rig.until, datetime.UTC)

    rig.renewed_at = broken  # type: ignore[method-assign]
    rig.run()
    assert rig.certificates.stats()["iris_certificate_failures_total"] == 1
    assert [identity.certificate for identity in rig.taken] == [before[0]]


def test_a_new_one_that_is_over_at_once_is_not_asked_for_without_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path, [None, None, None], life_s=0)
    rig.run()
    assert rig.slept == [0, 300, 600]
    assert len(rig.taken) == 3
    assert rig.certificates.stats()["iris_certificate_failures_total"] == 3


def test_who_is_known_by_a_fingerprint(tmp_path: Path) -> None:
    certificate, key = keep_certificate(tmp_path, ["localhost"])
    own = Certificates(Settings(data=tmp_path, tls_certificate=certificate, tls_key=key))
    identity = own.load()
    assert own.renews
    assert identity is not None
    assert identity.fingerprint == fingerprint(certificate)
    assert own.stats()["iris_certificate_seconds_left"] > 0
    copied = tmp_path / "copied.pem"
    copied.write_bytes(certificate.read_bytes())
    given = Certificates(Settings(data=tmp_path, tls_certificate=copied, tls_key=key))
    assert (given.renews, given.load()) == (False, Identity(copied.read_bytes(), key.read_bytes(), ""))
    assert given.stats() == {}
    assert Certificates(Settings(data=tmp_path)).load() is None


def test_until_an_authority_has_given_one_the_own_stands_in_unknown(tmp_path: Path) -> None:
    waiting = Certificates(Settings(data=tmp_path, acme="chat.example.org"))
    identity = waiting.load()
    certificate, key = own_certificate(tmp_path)
    assert identity == Identity(certificate.read_bytes(), key.read_bytes(), "")
    assert waiting.renews
    assert waiting.stats()["iris_certificate_seconds_left"] == 0
