"""One order of a certificate from an authority that speaks ACME (RFC 8555), with certbot's library.

Blocking, for a thread of its own. The proof is HTTP-01: the caller's door answers what is put into `proofs`. The
account's key is made once; certificate and key are one file, so that a crash cannot part them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from iris.certificates.files import CertificateError, key_pem, write_private

FOLDER = "acme"
ORDER_S = 120  # from the first request to the certificate
REQUEST_S = 20
# What the authority's problem (RFC 8555, 6.7) means for the operator.
MEANINGS = {
    "dns": "{name} has no address that the authority can find: give it an A or AAAA record with this machine's address",
    "connection": "{name} does not lead here: the authority could not reach its port 80. Point its A or AAAA record to"
    " this machine, and let port 80 through router and firewall",
    "unauthorized": "{name} leads to another machine: something else answered on its port 80. Point its A or AAAA"
    " record to this machine",
    "caa": "the CAA record of {name} does not allow this authority",
    "rejectedIdentifier": "the authority gives no certificates for {name}",
    "rateLimited": "the authority has been asked too often",
    "externalAccountRequired": "this authority wants an account made elsewhere first, which Iris cannot do",
}
MEANINGS["incorrectResponse"] = MEANINGS["unauthorized"]


@dataclass(frozen=True, slots=True)
class Authority:
    """Whom to ask, and as whom."""

    directory: str
    email: str | None
    ca_file: Path | None  # who vouches for the directory itself; None: whom the system trusts

    def folder(self, data: Path) -> Path:
        """Where account and certificate of this authority lie: another one's do not count."""
        return data / FOLDER / re.sub(r"[^a-z0-9.]+", "-", self.directory.partition("://")[2].lower()).strip("-.")


def certificate_file(authority: Authority, data: Path) -> Path:
    """Certificate, chain and key in one file."""
    return authority.folder(data) / "certificate.pem"


def names_of(certificate: x509.Certificate) -> set[str]:
    """The host names that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in names.get_values_for_type(x509.DNSName)}


def order(authority: Authority, data: Path, names: Sequence[str], proofs: MutableMapping[str, str]) -> None:
    """Get a certificate for these names and keep it in the data folder. Raises CertificateError."""
    in_words(names, lambda: _order(authority, data, names, proofs))


def _order(authority: Authority, data: Path, names: Sequence[str], proofs: MutableMapping[str, str]) -> None:
    folder = authority.folder(data)
    talk = _client(authority, _account_key(folder / "account.pem"))
    _log_in(talk, authority.email)
    private = key_pem(ec.generate_private_key(ec.SECP256R1()))
    asked = talk.new_order(crypto_util.make_csr(private, list(names)))
    for authorization in asked.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue  # proven not long ago
        challenge = _http_challenge(authorization)
        response, proof = challenge.response_and_validation(talk.net.key)
        proofs[challenge.chall.path] = proof
        talk.answer_challenge(challenge, response)
    # The library compares with naive local time.
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=ORDER_S)  # noqa: DTZ005
    done = talk.poll_and_finalize(asked, deadline)
    write_private(certificate_file(authority, data), private + done.fullchain_pem.encode())


def _http_challenge(authorization: messages.AuthorizationResource) -> Any:
    for challenge in authorization.body.challenges:
        if isinstance(challenge.chall, challenges.HTTP01):
            return challenge
    raise CertificateError(f"{authorization.body.identifier.value}: the authority offers no proof over HTTP")


def _client(authority: Authority, key: JWKEC) -> client.ClientV2:
    from iris import __version__

    net = client.ClientNetwork(key, alg=ES256, user_agent=f"iris/{__version__}", timeout=REQUEST_S)
    if authority.ca_file is not None:
        net.verify_ssl = str(authority.ca_file)  # type: ignore[assignment]  # requests takes a path too
    return client.ClientV2(client.ClientV2.get_directory(authority.directory, net), net)


def _log_in(talk: client.ClientV2, email: str | None) -> None:
    """Make the account, or find it by its key."""
    try:
        talk.new_account(messages.NewRegistration.from_data(email=email, terms_of_service_agreed=True))
    except errors.ConflictError as known:
        talk.net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())


def _account_key(path: Path) -> JWKEC:
    if not path.is_file():
        write_private(path, key_pem(ec.generate_private_key(ec.SECP256R1())))
    return JWKEC(key=serialization.load_pem_private_key(path.read_bytes(), password=None))


def in_words(names: Sequence[str], work: Callable[[], None]) -> None:
    """Do it; what the library, the network or the disk raise becomes a CertificateError that says what to do."""
    whole = ", ".join(names)
    try:
        work()
    except errors.ValidationError as error:
        lines = [_problem(a.body.identifier.value, c.error) for a, c in _failed(error)]
        raise CertificateError("; ".join(dict.fromkeys(lines)) or f"{whole}: not proven") from error
    except (errors.IssuanceError, messages.Error) as error:
        problem = error.error if isinstance(error, errors.IssuanceError) else error
        raise CertificateError(_problem(whole, problem)) from error
    except errors.TimeoutError as error:
        raise CertificateError(f"{whole}: the authority was not done within {ORDER_S} s") from error
    except requests.RequestException as error:
        raise CertificateError(f"the authority cannot be reached: {error}") from error
    except (errors.Error, JoseError, OSError, ValueError, KeyError) as error:
        raise CertificateError(f"{whole}: {error or type(error).__name__}") from error


def _failed(error: errors.ValidationError) -> list[tuple[messages.AuthorizationResource, Any]]:
    return [(a, c) for a in error.failed_authzrs for c in a.body.challenges if c.error is not None]


def _problem(name: str, problem: messages.Error) -> str:
    meaning = MEANINGS.get(problem.code or "", "{name}: the authority refused").format(name=name)
    detail = problem.detail or problem.title or problem.typ
    return f"{meaning} ({detail})" if detail else meaning
