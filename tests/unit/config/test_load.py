"""Settings: where a value comes from, what is refused, and what the message says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from iris.config import Address, ConfigError, Settings, load
from iris.config.load import KEYS
from iris.config.model import shown
from iris.core.catalogue import LIMITS, Limits


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No iris.toml and no IRIS_ of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("IRIS_"):
            monkeypatch.delenv(name)


def refusal(**flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags)
    return "\n".join(caught.value.lines)


def test_defaults_are_the_catalogue_and_loopback() -> None:
    loaded = load()
    assert loaded.settings.limits == Limits()
    assert loaded.settings.listen == (Address("127.0.0.1", 8460),)
    assert {origin for _, _, origin in loaded.rows()} == {"default"}
    assert [name for name, _, _ in loaded.rows()] == KEYS
    assert len([name for name in KEYS if name.startswith("limits.")]) == len(LIMITS)


def test_names_for_an_authority_are_checked_and_spelled_in_one_way() -> None:
    settings = load({"acme": " Chat.Example.ORG., b.example.org,chat.example.org", "listen": "0.0.0.0:443"}).settings
    assert settings.acme == ("chat.example.org", "b.example.org")
    assert settings.scheme == "wss"
    assert settings.acme_directory.startswith("https://acme-v02.")
    for wrong in (
        "localhost",
        "192.168.1.20",
        "*.example.org",
        "a_b.example.org",
        "-a.example.org",
        "a" * 250 + ".org",
        "",
    ):
        assert "is not the name of a host" in refusal(acme=[wrong]), wrong
    assert "acme_directory" in refusal(acme="a.example.org", acme_directory="http://a/dir")
    assert "acme and tls_certificate exclude each other" in refusal(
        acme="a.example.org", tls_certificate=__file__, tls_key=__file__
    )
    assert "acme_ca: there is no file" in refusal(acme="a.example.org", acme_ca="/nowhere")
    assert "and there is no certificate" in refusal(listen="0.0.0.0:443")


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "iris.toml").write_text(
        'data = "from-file"\nregistration = "invite"\nhome_region = 7\n'
        "[limits]\nping_interval_ms = 100\nhello_timeout_ms = 200\nattach_timeout_ms = 300\n"
    )
    monkeypatch.setenv("IRIS_REGISTRATION", "closed")
    monkeypatch.setenv("IRIS_HOME_REGION", "8")
    monkeypatch.setenv("IRIS_LIMITS__HELLO_TIMEOUT_MS", "201")
    monkeypatch.setenv("IRIS_LIMITS__ATTACH_TIMEOUT_MS", "301")
    loaded = load({"home_region": 9, "limits": {"attach_timeout_ms": "302"}, "tls12": None})
    got = {name: (value, origin) for name, value, origin in loaded.rows()}
    assert got["data"] == ("from-file", "iris.toml")
    assert got["registration"] == ("closed", "IRIS_REGISTRATION")
    assert got["home_region"] == (9, "flag")
    assert got["tls12"] == (False, "default")
    assert got["limits.ping_interval_ms"] == (100, "iris.toml")
    assert got["limits.hello_timeout_ms"] == (201, "IRIS_LIMITS__HELLO_TIMEOUT_MS")
    assert got["limits.attach_timeout_ms"] == (302, "flag")
    assert loaded.settings.limits.attach_timeout_ms == 302


def test_every_setting_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRIS_LISTEN", "127.0.0.1:1, [::1]:2")
    monkeypatch.setenv("IRIS_PROXY_FROM", "10.0.0.0/8")
    monkeypatch.setenv("IRIS_ADMIN", "localhost:3")
    monkeypatch.setenv("IRIS_TLS12", "true")
    settings = load().settings
    assert settings.listen == (Address("127.0.0.1", 1), Address("::1", 2))
    assert [str(address) for address in settings.listen] == ["127.0.0.1:1", "[::1]:2"]
    assert settings.proxy_from == ("10.0.0.0/8",)
    assert settings.admin == Address("127.0.0.1", 3)
    assert settings.tls12 is True


def test_a_named_file_must_exist_and_be_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"other\.toml does not exist"):
        load(file="other.toml")
    (tmp_path / "bad.toml").write_text("data = [")
    monkeypatch.setenv("IRIS_CONFIG", "bad.toml")
    with pytest.raises(ConfigError, match=r"bad\.toml is not TOML"):
        load()


def test_unknown_keys_name_the_nearest_in_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lissen is not a setting; did you mean listen?" in refusal(lissen="x")
    assert "limits.ping_intervl_ms is not a setting; did you mean limits.ping_interval_ms?" in refusal(
        limits={"ping_intervl_ms": 1}
    )
    monkeypatch.setenv("IRIS_REGISTRTION", "open")
    assert "IRIS_REGISTRTION is not a setting; did you mean IRIS_REGISTRATION?" in refusal()
    monkeypatch.delenv("IRIS_REGISTRTION")
    (tmp_path / "iris.toml").write_text('registrtion = "open"\n[limits]\nzzz = 1\n')
    text = refusal()
    assert "registrtion is not a setting; did you mean registration? (iris.toml)" in text
    assert "limits.zzz is not a setting; see iris config show (iris.toml)" in text


def test_several_mistakes_are_told_at_once() -> None:
    text = refusal(listen="hello", admin="0.0.0.0:1", token_lifetime_s=86401, registration="maybe")
    assert "listen: 'hello' is not HOST:PORT" in text
    assert "admin: 0.0.0.0:1 can be reached from outside" in text
    assert "token_lifetime_s" in text
    assert "registration" in text


@pytest.mark.parametrize("value", ["127.0.0.1", "example.org:1", "127.0.0.1:65536", "127.0.0.1:", ":1", "127.0.0.1:-1"])
def test_addresses_that_are_none(value: str) -> None:
    assert "listen:" in refusal(listen=value)


@pytest.mark.parametrize("value", [0, -1, "x", 1.5, True, None, 1 << 60])
def test_limits_are_whole_numbers_from_one_on(value: object) -> None:
    assert "limits.contacts_max is a whole number from 1 on" in refusal(limits={"contacts_max": value})


def test_plaintext_only_on_loopback(tmp_path: Path) -> None:
    text = refusal(listen="0.0.0.0:443")
    assert "0.0.0.0:443 can be reached from outside" in text
    assert "--tls-certificate" in text
    assert "listen on 127.0.0.1:443" in text
    assert "tls_certificate and tls_key belong together" in refusal(tls_certificate="c.pem")
    assert "there is no file c.pem" in refusal(tls_certificate="c.pem", tls_key="k.pem")
    (tmp_path / "c.pem").write_text("")
    settings = load({"listen": "0.0.0.0:443", "tls_certificate": "c.pem", "tls_key": "c.pem"}).settings
    assert (settings.scheme, settings.is_loopback) == ("wss", False)


def test_cheap_passwords_only_on_loopback(tmp_path: Path) -> None:
    assert load({"password_profile": "cheap"}).settings.password_profile == "cheap"
    (tmp_path / "c.pem").write_text("")
    assert "password_profile: cheap is for tests on loopback" in refusal(
        password_profile="cheap", listen="0.0.0.0:1", tls_certificate="c.pem", tls_key="c.pem"
    )


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load().settings.home_region = 3  # type: ignore[misc]


def test_code_can_build_settings_without_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRIS_HOME_REGION", "8")
    settings = Settings(listen=["127.0.0.1:0"], limits={"ping_interval_ms": 300})
    assert settings.home_region == 0
    assert settings.limits.ping_interval_ms == 300


def test_secrets_are_not_shown() -> None:
    from pydantic import SecretStr

    assert shown(SecretStr("hush")) == "********"
