"""The `iris` command as scripts use it: real processes against a real server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import Server, serving

PASSWORD = "correct horse battery"
DEADLINE_S = 60.0
NEVER = threading.Event()  # between two looks at a condition


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that do not end theirs. Registration is open; users do not meet each other."""
    with serving(tmp_path_factory.mktemp("cli") / "data") as running:
        yield running


def iris(*args: str | Path, stdin: str | None = None, code: int | None = 0, cwd: Path | None = None) -> list[str]:
    """Run `iris` and return the lines it printed; `code` is the exit code it must have."""
    done = subprocess.run(
        [sys.executable, "-m", "iris", *map(str, args)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=cwd,
        env=environment(),
    )
    assert code is None or done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return (done.stdout if done.returncode == code == 0 else done.stdout + done.stderr).splitlines()


def environment() -> dict[str, str]:
    """The machine's without IRIS_ names."""
    return {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}


def objects(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def make(server: Server, folder: Path, *handles: str) -> list[Path]:
    """Register and log in; the profiles."""
    profiles = []
    for handle in handles:
        iris("user", "add", handle, "--password", PASSWORD, "--server", server.url)
        iris("login", handle, "--password", PASSWORD, "--server", server.url, "--profile", folder / handle)
        profiles.append(folder / handle)
    return profiles


def test_send_and_tail(server: Server, tmp_path: Path) -> None:
    ada, bob = make(server, tmp_path, "ada.st", "bob.st")
    (one,) = objects(iris("send", "--profile", ada, "--to", "bob.st", "hello"))
    assert one.keys() == {"message_id", "state", "seq", "at"}
    assert one["state"] == "accepted"
    (got,) = objects(iris("tail", "--profile", bob, "--json", "--count", "1", "--timeout", "30"))[-1:]
    assert got.keys() == {"event", "from", "message_id", "seq", "text", "at", "n"}
    assert (got["event"], got["from"], got["text"]) == ("message", "ada.st", "hello")
    assert (got["message_id"], got["seq"], got["at"]) == (one["message_id"], one["seq"], one["at"])


def test_stdin_sends_every_line_in_order(server: Server, tmp_path: Path) -> None:
    ada, bob = make(server, tmp_path, "ada.in", "bob.in")
    texts = [f"line {number}" for number in range(200)]
    sent = objects(iris("send", "--profile", ada, "--to", "@bob.in", "--stdin", stdin="\n".join(texts) + "\n"))
    assert [line["state"] for line in sent] == ["accepted"] * 200
    assert [line["seq"] for line in sent] == sorted(line["seq"] for line in sent)
    got = objects(iris("tail", "--profile", bob, "--json", "--count", "200", "--timeout", "50"))
    messages = [line for line in got if line["event"] == "message"]
    assert [line["text"] for line in messages] == texts
    assert [line["message_id"] for line in messages] == [line["message_id"] for line in sent]


def test_a_later_tail_goes_on_and_after_rereads(server: Server, tmp_path: Path) -> None:
    ada, bob = make(server, tmp_path, "ada.pr", "bob.pr")
    iris("send", "--profile", ada, "--to", "bob.pr", "--stdin", stdin="one\ntwo\nthree\n")
    tail = ("tail", "--profile", bob, "--json", "--timeout", "30")

    def messages(*more: str) -> list[tuple[str, int]]:
        return [(line["text"], line["n"]) for line in objects(iris(*tail, *more)) if line["event"] == "message"]

    first = messages("--count", "2")
    assert [text for text, _ in first] == ["one", "two"]
    rest = messages("--count", "1")
    assert [text for text, _ in rest] == ["three"]
    assert messages("--count", "3", "--after", "0") == first + rest
    assert messages("--count", "1", "--after", str(first[0][1])) == first[1:]


def test_what_send_received_is_printed_by_a_later_tail(server: Server, tmp_path: Path) -> None:
    ada, bob = make(server, tmp_path, "ada.sr", "bob.sr")
    iris("send", "--profile", ada, "--to", "bob.sr", "to bob")
    iris("send", "--profile", bob, "--to", "ada.sr", "--wait", "delivered", "--timeout", "0.2", "to ada", code=75)
    got = objects(iris("tail", "--profile", bob, "--json", "--count", "1", "--timeout", "30"))
    assert [line["text"] for line in got if line["event"] == "message"] == ["to bob"]


def test_receipts_wait_and_read(server: Server, tmp_path: Path) -> None:
    ada, bob = make(server, tmp_path, "ada.rc", "bob.rc")
    reading = subprocess.Popen(
        [sys.executable, "-m", "iris", "tail", "--profile", str(bob), "--json", "--read"],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    try:
        (sent,) = objects(iris("send", "--profile", ada, "--to", "bob.rc", "--wait", "read", "look at this"))
        assert sent["state"] == "read"
    finally:
        reading.send_signal(signal.SIGINT)
        reading.communicate(timeout=DEADLINE_S)
    assert reading.returncode == 130
    receipts = [line for line in objects(iris("tail", "--profile", ada, "--json", "--timeout", "1"))
                if line["event"] == "receipt"]  # fmt: skip
    assert receipts[-1]["state"] == "read"
    assert (receipts[-1]["from"], receipts[-1]["message_id"]) == ("bob.rc", sent["message_id"])


def test_refusals_are_lines_and_exit_1(server: Server, tmp_path: Path) -> None:
    (ada,) = make(server, tmp_path, "ada.rf")
    lines = iris("send", "--profile", ada, "--to", "nobody.rf", "--stdin", stdin="a\nb\n", code=1)
    assert objects(lines) == [{"state": "rejected", "code": "UNKNOWN_USER"}] * 2
    assert json.loads(iris("send", "--profile", ada, "--to", "ada.rf", "hi", code=1)[0]) == {
        "state": "rejected",
        "code": "SELF",
    }
    big = "x" * 70_000
    make(server, tmp_path, "bob.rf")
    lines = iris("send", "--profile", ada, "--to", "bob.rf", "--stdin", stdin=f"a\n{big}\nb\n", code=1)
    assert [line.get("code", line["state"]) for line in objects(lines)] == ["accepted", "PAYLOAD_TOO_LARGE", "accepted"]


def test_offline_is_queued_and_goes_out_later(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as own:
        ada, bob = make(own, tmp_path, "ada", "bob")
        iris("send", "--profile", ada, "--to", "bob", "first")
        assert own.stop() == 0
        started = time.monotonic()
        lines = iris(
            "send", "--profile", ada, "--to", "bob", "--stdin", "--timeout", "1", stdin="second\nthird\n", code=75
        )
        assert objects(lines) == [{"state": "queued"}] * 2
        assert time.monotonic() - started < 20
        own.start()
        iris("send", "--profile", ada, "--to", "bob", "fourth")
        got = objects(iris("tail", "--profile", bob, "--json", "--count", "4", "--timeout", "50"))
        assert [line["text"] for line in got if line["event"] == "message"] == ["first", "second", "third", "fourth"]


def test_a_timeout_before_the_count_is_exit_1(server: Server, tmp_path: Path) -> None:
    (ada,) = make(server, tmp_path, "ada.to")
    assert iris("tail", "--profile", ada, "--json", "--timeout", "0.5") == []
    lines = iris("tail", "--profile", ada, "--json", "--count", "2", "--timeout", "0.5", code=1)
    assert lines == ["iris: 0 of 2 messages came within 0.5 s"]


def test_own_copies_presence_and_devices(server: Server, tmp_path: Path) -> None:
    ada, _bob = make(server, tmp_path, "ada.ow", "bob.ow")
    second = tmp_path / "second"
    iris("login", "ada.ow", "--password", PASSWORD, "--server", server.url, "--profile", second, "--device-name", "pad")
    iris("send", "--profile", ada, "--to", "bob.ow", "from the first")
    tailing = subprocess.Popen(
        [sys.executable, "-m", "iris", "tail", "--profile", str(second), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert tailing.stdout is not None
        own = json.loads(tailing.stdout.readline())
        assert (own["event"], own["to"], own["text"]) == ("own", "bob.ow", "from the first")
    finally:
        tailing.kill()
        tailing.communicate()
    listed = objects(iris("devices", "--profile", ada, "--json"))
    assert {device["name"] for device in listed} >= {"pad"}
    assert [device["current"] for device in listed].count(True) == 1
    pad = next(device["device"] for device in listed if device["name"] == "pad")
    iris("devices", "--profile", ada, "--unlink", str(pad))
    assert len(objects(iris("devices", "--profile", ada, "--json"))) == len(listed) - 1
    lines = iris("tail", "--profile", second, "--json", "--timeout", "30", code=1)
    assert "log in again" in lines[-1]


def test_a_new_device_is_let_in_by_a_code(server: Server, tmp_path: Path) -> None:
    (ada,) = make(server, tmp_path, "ada.li")
    shown = iris("devices", "--profile", ada, "--link")
    (line,) = [text.split("'")[1] for text in shown if "iris chat --link" in text]
    assert re.fullmatch(re.escape(server.url) + r"/#link=ada\.li\.[0-9A-Z]{4}-[0-9A-Z]{4}", line), shown
    assert sum(set(text) <= set("█▀▄ ") and "█" in text for text in shown) > 10, "the QR code"
    second, third = tmp_path / "second", tmp_path / "third"
    talked = iris("chat", "--plain", "--link", line, "--profile", second, stdin="/quit\n")
    assert f"linked to @ada.li; this device is {second}" in talked
    again = iris("chat", "--plain", "--link", line, "--profile", third, stdin="/quit\n", code=1)
    assert "LINK_CODE_INVALID" in again[0]
    assert again[1].strip() == "ask for a new one where you are logged in: iris devices --link"
    (made,) = objects(iris("devices", "--profile", second, "--link", "--json"))
    here = ("--server", server.url, "--profile", third)
    iris("login", "ada.li", "--code", made["code"].lower(), *here, "--device-name", "pad")
    assert "pad" in {device["name"] for device in objects(iris("devices", "--profile", ada, "--json"))}
    assert len(objects(iris("devices", "--profile", ada, "--json"))) == 3
    said = iris("chat", "--plain", "--as", "ada.li", "--profile", ada, stdin="/link\n")
    assert any(text.startswith("code ") and "good once and for 5 minutes" in text for text in said)
    wrong = iris("chat", "--link", "what is this", "--server", server.url, "--profile", tmp_path / "x", code=1)
    assert "no link line" in wrong[0]


def test_accounts_are_refused_in_words(server: Server, tmp_path: Path) -> None:
    make(server, tmp_path, "ada.ac")
    add = ("user", "add", "--server", server.url, "--password")
    assert "HANDLE_TAKEN" in iris(*add, "another long one", "ada.ac", code=1)[0]
    assert "INVALID_REQUEST" in iris(*add, PASSWORD, "9", code=1)[0]
    login = ("login", "ada.ac", "--server", server.url, "--profile", tmp_path / "x", "--password")
    assert "CREDENTIALS_WRONG" in iris(*login, "wrong password", code=1)[0]
    assert not (tmp_path / "x" / "profile.db").exists()


def test_trace_backup_keys_and_private_socket(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as own:
        ada, _bob = make(own, tmp_path, "ada", "bob")
        (sent,) = objects(iris("send", "--profile", ada, "--to", "bob", "hello"))
        points = objects(iris("trace", sent["message_id"], "--data", own.data, "--json"))
        assert {"received", "committed"} <= {point["point"] for point in points}
        assert "committed" in "\n".join(iris("trace", sent["message_id"], "--data", own.data))
        assert "does not remember" in iris("trace", "0" * 32, "--data", own.data, code=1)[0]
        assert stat.S_IMODE((own.data / "admin.sock").stat().st_mode) == 0o600
        assert stat.S_IMODE(own.data.stat().st_mode) == 0o700
        assert json.loads(iris("keys", "rotate", "--data", own.data, "--json")[0])["kid"]
        assert objects(iris("send", "--profile", ada, "--to", "bob", "with the old token"))[0]["state"] == "accepted"
        iris("store", "backup", tmp_path / "backup", "--data", own.data)
        assert "stop the server" in iris("store", "check", "--data", own.data, code=1)[1]
        assert own.stop() == 0
        assert json.loads(iris("store", "check", "--data", own.data, "--json")[0])["ok"] is True
        iris("store", "restore", tmp_path / "backup", "--data", tmp_path / "restored")
        assert json.loads(iris("store", "check", "--data", tmp_path / "restored", "--json")[0])["users"] == 2


def test_invites(tmp_path: Path) -> None:
    with serving(tmp_path / "data", flags=["--registration", "invite"]) as own:
        add = ("user", "add", "--server", own.url, "--password", PASSWORD)
        assert "--invite" in iris(*add, "ada", code=1)[1]
        (code,) = iris("invite", "create", "--data", own.data)
        iris(*add, "ada", "--invite", code)
        assert "INVITE_INVALID" in iris(*add, "bob", "--invite", code, code=1)[0]


def test_serve_announces_both_ports_and_answers_there(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as own:
        ada, _bob = make(own, tmp_path, "ada", "bob")
        iris("send", "--profile", ada, "--to", "bob", "hello")
        admin = wait_for_line(own, r"iris: admin on (http://127\.0\.0\.1:\d+)")
        ready = wait_for_line(own, r"iris: ready on (ws://127\.0\.0\.1:\d+)")
        assert ready == f"ws://127.0.0.1:{own.port}"
        assert own.port != 0
        with httpx.Client(base_url=admin, trust_env=False) as client:
            assert client.get("/healthz").text == "ok\n"
            assert client.get("/readyz").status_code == 200
            metrics = client.get("/metrics").text
            assert "iris_conservation_difference 0.0" in audited(client)
        for name in ("iris_store_sync_seconds_count", "iris_sessions", "iris_loop_lag_seconds_sum",
                     "iris_store_disk_free_bytes", "iris_gc_pause_seconds_count", "iris_refused_total"):  # fmt: skip
            assert f"\n{name}" in metrics, name
        assert re.search(r"\niris_engine_early_hellos_total [1-9]", metrics), "the SDK's Hello comes with its upgrade"
        taken = iris("serve", "--data", tmp_path / "other", "--listen", f"127.0.0.1:{own.port}", code=1)
        assert taken[0] == f"iris: 127.0.0.1:{own.port} is in use"
        locked = iris("serve", "--data", own.data, "--listen", "127.0.0.1:0", code=1)
        assert [line for line in locked if line.startswith("iris: ")]
        assert "--data DIR" in locked[-1]
        assert own.stop() == 0


def audited(client: httpx.Client) -> str:
    """The metrics, once the first audit has been made."""
    end = time.monotonic() + DEADLINE_S
    while "\niris_conservation_difference" not in (text := client.get("/metrics").text) and time.monotonic() < end:
        NEVER.wait(0.1)
    return text


def wait_for_line(server: Server, pattern: str) -> str:
    """The group of the first line that matches; waits until the server has printed it."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        for line in list(server.lines):
            if found := re.match(pattern, line):
                return found[1]
        NEVER.wait(0.05)
    raise AssertionError(server.lines)


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "store").mkdir(parents=True)
    (tmp_path / "data" / "store" / "thesis.txt").write_text("mine")
    lines = iris("serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", code=1)
    assert [line for line in lines if line.startswith("iris: ")]
    assert (tmp_path / "data" / "store" / "thesis.txt").read_text() == "mine"


def test_up_lets_the_samples_talk_twice_on_the_same_data(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    sample = tmp_path / "examples" / "hello.txt"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for word in ("apples", "pears"):
        sample.write_text(f"ada: do you like {word}?\n(bob leaves)\nada: hello?\n(bob returns)\nbob: I love {word}.\n")
        lines = run_up(tmp_path, port)
        text = "\n".join(lines)
        assert f"do you like {word}?" in text
        assert f"I love {word}." in text
        assert "read now: hello?" in text
        assert lines[0].startswith(f"iris: ready on ws://127.0.0.1:{port}")
        assert len([line for line in lines if " chat --server " in line]) == 2
    assert "logged in as" not in text
    assert json.loads(iris("store", "check", "--data", tmp_path / "iris-data", "--json")[0])["users"] == 2


def run_up(folder: Path, port: int) -> list[str]:
    """`iris up` until it has printed the lines to paste, then Ctrl-C; what it printed."""
    running = subprocess.Popen(
        [sys.executable, "-m", "iris", "up", "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment(),
    )
    assert running.stdout is not None
    lines = []
    for line in running.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C stops"):
            running.send_signal(signal.SIGINT)
    assert running.wait(DEADLINE_S) == 0, lines
    return lines


def test_chat_registers_itself_and_finds_the_other_one(server: Server, tmp_path: Path) -> None:
    carol = start_chat(server, tmp_path, "carol.ch", "@dave.ch")
    dave = start_chat(server, tmp_path, "dave.ch", "@carol.ch")
    try:
        read_until(carol, "you talk to @dave.ch")
        read_until(dave, "you talk to @carol.ch")
        write(carol, "hello dave\n")
        read_until(dave, "carol.ch  hello dave")
        read_until(carol, "✓✓ read: hello dave")
        write(dave, "hello carol\n")
        read_until(carol, "dave.ch  hello carol")
        write(dave, "look @carol.ch\n/quit\n")
        read_until(carol, "look @carol.ch   (mentions you)")
        assert dave.wait(DEADLINE_S) == 0
        write(carol, "/quit\n")
        assert carol.wait(DEADLINE_S) == 0
    finally:
        for chat in (carol, dave):
            chat.kill()
            chat.communicate()
    again = start_chat(server, tmp_path, "carol.ch", "@dave.ch")
    try:
        read_until(again, "dave.ch  hello carol")
    finally:
        again.kill()
        again.communicate()


def start_chat(server: Server, folder: Path, name: str, peer: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "iris", "chat", "--server", server.url, "--as", name, peer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment(),
    )


def read_until(chat: subprocess.Popen[str], text: str) -> None:
    """Read lines until one holds `text`; the test's own time limit ends a wait in vain."""
    assert chat.stdout is not None
    seen = []
    for line in chat.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(seen)


def write(chat: subprocess.Popen[str], text: str) -> None:
    assert chat.stdin is not None
    chat.stdin.write(text)
    chat.stdin.flush()
