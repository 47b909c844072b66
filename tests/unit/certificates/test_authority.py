"""The certificate of an authority as a source: which file counts, and when the next one is due."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509

from iris.certificates import CertificateError, keep_certificate
from iris.certificates.acme import Authority, certificate_file
from iris.certificates.authority import FromAuthority
from iris.config import Settings

DIRECTORY = "https://ca.example.org/directory"


def source(data: Path, *names: str) -> FromAuthority:
    return FromAuthority(Settings(data=data, acme=names, acme_directory=DIRECTORY))


def test_only_a_certificate_for_all_names_of_this_authority_counts(tmp_path: Path) -> None:
    path = certificate_file(Authority(DIRECTORY, None, None), tmp_path)
    assert source(tmp_path, "a.example.org").read() is None
    path.parent.mkdir(parents=True)
    made, _ = keep_certificate(tmp_path / "made", ["a.example.org", "B.example.org"])
    path.write_bytes(made.read_bytes())
    assert source(tmp_path, "a.example.org", "b.example.org").read() == (made.read_bytes(), made.read_bytes())
    assert source(tmp_path, "a.example.org", "c.example.org").read() is None
    other = Settings(data=tmp_path, acme="a.example.org", acme_directory="https://other.example.org/directory")
    assert FromAuthority(other).read() is None
    path.write_text("hello")
    with pytest.raises(CertificateError, match="holds no certificate"):
        source(tmp_path, "a.example.org").read()


def test_it_is_due_when_a_third_of_its_life_is_left(tmp_path: Path) -> None:
    made, _ = keep_certificate(tmp_path, ["a.example.org"])
    certificate = x509.load_pem_x509_certificate(made.read_bytes())
    due = source(tmp_path, "a.example.org").renewed_at(certificate)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert abs(due - certificate.not_valid_before_utc - life * 2 / 3) < datetime.timedelta(seconds=1)
