"""The command tree: names, help, usage errors and exit codes, as a shell sees them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from iris import __version__
from iris.cli.root import run

COMMANDS = ["serve", "up", "demo", "user", "login", "send", "tail", "chat", "join", "devices", "store", "config",
            "keys", "invite", "bench", "capacity", "trace"]  # fmt: skip
LEAVES = ["serve", "up", "demo", "user add", "login", "send", "tail", "chat", "join", "invite", "devices",
          "store check", "store backup", "store restore", "config show", "keys rotate", "invite create",
          "capacity", "trace"]  # fmt: skip
SLOW = [
    "pydantic",
    "structlog",
    "prometheus_client",
    "uvicorn",
    "httpx",
    "iris_sdk",
    "websockets",
    "asyncio",
    "iris._engine",
]


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in list(os.environ):
        if name.startswith("IRIS_"):
            monkeypatch.delenv(name)


def test_every_command_of_the_manual_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f" {command} " in text


@pytest.mark.parametrize("command", LEAVES)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("serve", ["--data", "--listen", "--admin", "--tls-certificate", "--tls-key", "--set", "--config"]),
        ("user add", ["--password", "--server", "--invite"]),
        ("login", ["--password", "--server", "--profile"]),
        ("send", ["--profile", "--to", "--stdin", "--wait", "--timeout"]),
        ("tail", ["--profile", "--json", "--count", "--timeout", "--after"]),
        ("chat", ["--server", "--as", "--to", "--profile"]),
    ],
)
def test_options_that_scripts_rely_on(command: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert [option for option in options if option not in text] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"iris {__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ["nothing"],
        ["serve", "--nothing"],
        ["send", "--profile", "p", "--to", "bob"],
        ["send", "--profile", "p", "--to", "bob", "--stdin", "text"],
        ["send", "--profile", "p", "--to", "bob", "--wait", "seen", "text"],
        ["send", "--to", "bob", "text"],
        ["tail", "--profile", "p", "--count", "0"],
    ],
)
def test_wrong_usage_is_exit_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Usage:" in said.err


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys\nfrom iris.cli.root import run\nrun(['--help'])\n"
        f"print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


def failure(args: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr of a command that must fail with 1 and print nothing."""
    assert run(args) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def test_serve_refuses_bad_settings_with_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    lines = failure(["serve", "--listen", "0.0.0.0:8460"], capsys)
    assert "0.0.0.0:8460 can be reached from outside" in lines[0]
    assert "--tls-certificate" in lines[0]
    assert "did you mean limits.contacts_max" in failure(["serve", "--set", "limits.contact_max=4"], capsys)[0]
    assert "there is no =" in failure(["serve", "--set", "limits.contacts_max"], capsys)[0]
    assert not Path("iris-data").exists()


def test_serve_tells_of_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        for option in ("--listen", "--admin"):
            lines = failure(
                ["serve", "--data", "d", option, address, *(["--listen", "127.0.0.1:0"] * (option == "--admin"))],
                capsys,
            )
            assert lines[0] == f"iris: {address} is in use"
            assert len(lines) == 2


def test_up_says_how_make_run_takes_another_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        port = other.getsockname()[1]
        lines = failure(["up", "--listen", f"127.0.0.1:{port}"], capsys)
    assert lines[0] == f"iris: 127.0.0.1:{port} is in use"
    assert f"IRIS_LISTEN=127.0.0.1:{port + 1} make run" in lines[1]


def test_config_show_names_origins(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("iris.toml").write_text('registration = "invite"\n')
    monkeypatch.setenv("IRIS_HOME_REGION", "3")
    assert run(["config", "show", "--json", "--data", "x", "--set", "limits.contacts_max=4"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["registration"] == {"value": "invite", "origin": "iris.toml"}
    assert values["home_region"] == {"value": 3, "origin": "IRIS_HOME_REGION"}
    assert values["data"] == {"value": "x", "origin": "flag"}
    assert values["limits.contacts_max"] == {"value": 4, "origin": "flag"}
    assert values["tls12"] == {"value": False, "origin": "default"}
    assert run(["config", "show"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["registration", '"invite"', "iris.toml"] in rows


def test_config_show_prints_what_does_not_fit_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--set", "limits.ping_interval_ms=20000"]) == 1
    said = capsys.readouterr()
    assert "limits.ping_interval_ms" in said.out
    assert "must be less than limits.idle_timeout_ms" in said.err


def test_what_needs_a_server_says_how_to_start_it(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["keys", "rotate"], ["invite", "create"], ["trace", "0" * 32]):
        lines = failure([*args, "--data", "d"], capsys)
        assert lines[0] == "iris: no server is running on d"
        assert "iris serve --data d" in lines[1]
    assert "is not a message id" in failure(["trace", "xyz"], capsys)[0]


def test_a_profile_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["send", "--to", "bob", "hi"], ["tail"], ["devices"]):
        lines = failure([*args, "--profile", "nowhere"], capsys)
        assert lines[0].startswith("iris: ")
        assert "nowhere" in lines[0]
    assert "no profile in nowhere" in failure(["chat", "--profile", "nowhere"], capsys)[0]
    assert "who are you?" in failure(["chat"], capsys)[0]


def test_an_unreachable_server_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    lines = failure(["user", "add", "ada", "--password", "long enough", "--server", url], capsys)
    assert "cannot be reached" in lines[0]
    assert "iris serve" in lines[1]


def test_a_password_is_asked_for_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["user", "add", "ada", "--server", "http://127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-m", "iris", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "--password" in done.stderr


def test_store_commands_on_a_real_store(capsys: pytest.CaptureFixture[str]) -> None:
    from iris.store import open_store

    Path("d").mkdir()
    open_store("d/store", num_shards=16).close()
    assert run(["store", "check", "--data", "d", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["num_shards"]) == (True, 16)
    assert run(["store", "backup", "b", "--data", "d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] > 0
    assert run(["store", "restore", "b", "--data", "e"]) == 0
    assert "restored" in capsys.readouterr().out
    assert run(["store", "check", "--data", "e"]) == 0
    text = capsys.readouterr().out
    assert "sound" in text
    assert "16 shards" in text
    assert "e/store" in failure(["store", "restore", "b", "--data", "e"], capsys)[0]
    assert failure(["store", "check", "--data", "nowhere"], capsys)[0].startswith("iris: ")


def test_store_check_of_a_held_store(capsys: pytest.CaptureFixture[str]) -> None:
    from iris.store import open_store

    Path("d").mkdir()
    store = open_store("d/store", num_shards=16)
    try:
        lines = failure(["store", "check", "--data", "d"], capsys)
        assert "stop the server" in lines[1]
    finally:
        store.close()
