"""A pinned certificate over real TLS: the right one is taken whatever its name, a wrong one gets not a byte of ours."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import shutil
import ssl
from pathlib import Path

import pytest

from iris.certificates import keep_certificate
from iris.certificates.own import general_names, issue, load_key
from iris_sdk import Client, ConnectionState, ProfileError, WrongCertificate, login, profile_info, register
from iris_sdk.address import parse_server
from tests.integration.test_sdk_client import DEADLINE_S, QUICK
from tests.support.certificate import certificate, make_certificate
from tests.support.fake_server import PASSWORD, serving

WRONG = "ab" * 32
NOW = datetime.datetime.now(datetime.UTC)


def fingerprint_of(chain: Path) -> str:
    leaf = chain.read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest()


async def all_events(client: Client) -> None:
    async for _ in client.events():
        pass


def test_a_pinned_server_needs_no_authority_and_no_name(tmp_path: Path) -> None:
    made = certificate("elsewhere.example")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.chain)
    files[1].write_bytes(made.key)
    pin = fingerprint_of(files[0])
    shown_by_browsers = ":".join(pin[at : at + 2] for at in range(0, 64, 2)).upper()

    async def case() -> None:
        async with serving("ada", tls=files) as server:
            await login(tmp_path / "a", server.url, "ada", PASSWORD, fingerprint=shown_by_browsers)
            found = profile_info(tmp_path / "a")
            assert found is not None
            assert found.fingerprint == pin
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                assert await ada.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S) == "live"
                assert await ada.resolve("@ada") == ada.user

    asyncio.run(case())


def test_another_certificate_is_refused_before_the_password_is_sent(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)

    async def case() -> None:
        async with serving("ada", tls=files) as server:
            with pytest.raises(WrongCertificate, match=WRONG):
                await login(tmp_path / "a", server.url, "ada", PASSWORD, fingerprint=WRONG)
            with pytest.raises(WrongCertificate):
                await register(server.url, "bob", PASSWORD, fingerprint=WRONG)
            assert server.refresh_tokens == {}  # no log-in came through

    asyncio.run(case())


def test_a_profile_whose_server_changed_its_certificate_is_closed_with_the_reason(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)

    async def case() -> None:
        async with serving("ada", tls=files) as server:
            await login(tmp_path / "a", server.url, "ada", PASSWORD, fingerprint=fingerprint_of(files[0]))
            client = Client(tmp_path / "a", limits=QUICK)
            await client.open()
            await client._worker.run(lambda writer: writer.set_meta(fingerprint=WRONG, server_key=WRONG))
            await client.close()
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                with pytest.raises(WrongCertificate):
                    await asyncio.wait_for(all_events(ada), DEADLINE_S)
                assert (ada.state, ada.closed_reason) == ("closed", "WrongCertificate")

    asyncio.run(case())


def test_a_certificate_that_was_renewed_with_its_key_is_taken_and_one_with_another_key_is_not(tmp_path: Path) -> None:
    files = keep_certificate(tmp_path, ["localhost"])
    first = fingerprint_of(files[0])

    async def case() -> None:
        async with serving("ada", tls=files) as server:
            await login(tmp_path / "a", server.url, "ada", PASSWORD, fingerprint=first)
            await server.stop()
            files[0].write_bytes(issue(load_key(files[1].read_bytes()), general_names(["localhost"]), NOW))
            assert fingerprint_of(files[0]) != first
            await server.start()
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                assert await ada.wait_state(ConnectionState.LIVE, timeout=DEADLINE_S) == "live"
                assert await ada.resolve("@ada") == ada.user
            with pytest.raises(WrongCertificate):  # a line of before: nothing but the certificate is known yet
                await login(tmp_path / "b", server.url, "ada", PASSWORD, fingerprint=first)
            await server.stop()
            shutil.rmtree(files[0].parent)
            keep_certificate(tmp_path, ["localhost"])
            await server.start()
            async with Client(tmp_path / "a", limits=QUICK) as ada:
                with pytest.raises(WrongCertificate):
                    await asyncio.wait_for(all_events(ada), DEADLINE_S)

    asyncio.run(case())


@pytest.mark.parametrize(
    ("server", "fingerprint", "words"),
    [
        ("https://localhost:1", "abc", "64 hexadecimal digits"),
        ("https://localhost:1", "zz" * 32, "64 hexadecimal digits"),
        ("http://localhost:1", WRONG, "no certificate to compare"),
    ],
)
def test_what_cannot_be_pinned(server: str, fingerprint: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        parse_server(server, None, fingerprint)
