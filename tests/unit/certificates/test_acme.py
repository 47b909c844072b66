"""What an authority says becomes words that say what to do, and whatever goes wrong is a CertificateError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from acme import errors, messages

from iris.certificates import CertificateError
from iris.certificates.acme import ORDER_S, Authority, certificate_file, in_words, order

NAMES = ("chat.example.org", "b.example.org")


def problem(code: str) -> messages.Error:
    return messages.Error.with_code(code, detail="it said so")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (problem("dns"), "has no address that the authority can find: give it an A or AAAA record"),
        (problem("connection"), "does not lead here"),
        (problem("unauthorized"), "leads to another machine"),
        (problem("incorrectResponse"), "leads to another machine"),
        (problem("caa"), "the CAA record of chat.example.org, b.example.org does not allow"),
        (problem("rateLimited"), "has been asked too often (it said so)"),
        (problem("serverInternal"), "the authority refused (it said so)"),
        (messages.Error.from_json({"type": "about:blank"}), "the authority refused (about:blank)"),
        (errors.IssuanceError(problem("rejectedIdentifier")), "gives no certificates for"),
        (errors.TimeoutError(), f"not done within {ORDER_S} s"),
        (errors.ValidationError([]), "not proven"),
        (errors.ClientError("strange"), "strange"),
        (requests.ConnectionError("refused"), "the authority cannot be reached: refused"),
        (OSError(28, "No space left"), "No space left"),
    ],
)
def test_words(raised: Exception, words: str) -> None:
    def work() -> None:
        raise raised

    with pytest.raises(CertificateError) as caught:
        in_words(NAMES, work)
    assert words in str(caught.value)


def test_each_authority_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folder: Callable[[str], str] = lambda url: Authority(url, None, None).folder(tmp_path).name  # noqa: E731
    assert folder("https://acme-v02.api.letsencrypt.org/directory") == "acme-v02.api.letsencrypt.org-directory"
    assert folder("https://a/../../etc") == "a-..-..-etc"
    assert certificate_file(Authority("https://A:14000/dir", None, None), tmp_path) == (
        tmp_path / "acme/a-14000-dir/certificate.pem"
    )


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="cannot be reached"):
        order(Authority("https://127.0.0.1:1/dir", None, None), tmp_path, NAMES, {})
    assert [path.name for path in (tmp_path / "acme/127.0.0.1-1-dir").iterdir()] == ["account.pem"]
