"""Parts of `iris torture`: the record, the list of faults, the worker's disguises, the report."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from iris_torture.crew import Where
from iris_torture.driver import Outcome, Plan
from iris_torture.faults import FAULTS, named
from iris_torture.history import Log, Tail, read
from iris_torture.judge import judge
from iris_torture.report import Page, markdown, to_json
from iris_torture.rider import Job
from iris_torture.worker import Order, load, redirect, skew
from tests.unit.torture.made_up import World


def test_the_record_outlives_a_line_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "u1.1.jsonl"
    log = Log(path, "u1.1")
    log.add("opened", skew_ms=0)
    log.close()
    with path.open("ab") as file:
        file.write(b'[12,"u1.1","sho')
    log = Log(path, "u1.1")
    log.add("gap", n=3)
    log.close()
    assert [entry.what for entry in read(tmp_path)] == ["opened", "gap"]


def test_a_record_can_be_read_bit_by_bit(tmp_path: Path) -> None:
    log, tail = Log(tmp_path / "u1.1.jsonl", "u1.1"), Tail(tmp_path)
    log.add("opened", skew_ms=0)
    assert [entry.what for entry in tail.new()] == ["opened"]
    assert tail.new() == []
    log.add("gap", n=3)
    assert [entry.data for entry in tail.new()] == [{"n": 3}]
    log.close()


def test_faults_are_named_added_and_taken_away() -> None:
    assert named("all") == named("") == list(FAULTS.values())
    assert named("none") == []
    assert named("cut, kill") == [FAULTS["cut"], FAULTS["kill"]]
    assert set(FAULTS) - {fault.__name__ for fault in named("-restore,-skew")} == {"restore", "skew"}
    with pytest.raises(ValueError, match="'flood' is none of"):
        named("flood")


def test_an_order_survives_its_way_to_the_worker() -> None:
    job = Job("u1.1", "profile", "log", "ada", "secret", ["b"], 0.5, 7, restore="copy")
    order = Order("iris", "https://chat.example.org", None, ("chat.example.org", 443, 1234), [job])
    assert load(order.dump()) == order


def test_only_the_server_under_test_is_reached_through_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, object]] = []

    def resolve(host: object, port: object, *rest: object, **options: object) -> None:
        asked.append((host, port))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    redirect("chat.example.org", 443, 9999)
    for host, port in (("chat.example.org", 443), (b"chat.example.org", 443), ("chat.example.org", 80), ("else", 443)):
        socket.getaddrinfo(host, port)
    gate = ("127.0.0.1", 9999)
    assert asked == [gate, gate, ("chat.example.org", 80), ("else", 443)]


def test_a_loopback_server_is_reached_by_the_gates_port(tmp_path: Path) -> None:
    assert Where("iris", "https://localhost:8460", None, tmp_path).through(99) == ("https://localhost:99", None)
    far = Where("iris", "https://chat.example.org", None, tmp_path)
    assert far.through(99) == ("https://chat.example.org", ("chat.example.org", 443, 99))


def test_a_skewed_clock_is_wrong_and_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.time_ns()
    monkeypatch.setattr(time, "time_ns", time.time_ns)
    monkeypatch.setattr(time, "time", time.time)
    skew(86_400_000)
    assert 86_400 * 10**9 <= time.time_ns() - before < 86_460 * 10**9
    assert time.time() * 10**9 >= time.time_ns() - 10**9


def test_the_report_tells_the_story_of_what_went_wrong() -> None:
    world = World(users=2)
    message = world.send("u1.1", "u2")
    entries = [e for e in world.end() if not (e.what == "shown" and e.device == "u2.2")]
    outcome = Outcome(judge(entries), "Iris 9", 60.0, {"silence_up": 3}, 7)
    page = Page("http://127.0.0.1:1", Plan(), outcome, "iris torture http://127.0.0.1:1", entries)
    text = markdown(page)
    assert "# Torture of http://127.0.0.1:1: 1 VIOLATIONS" in text
    assert "| silence up | 3 |" in text
    assert "**broken 1 times** (lost)" in text
    assert "## lost: u1.1-000001 was accepted and u2.2 never showed it" in text
    story = text[text.index("## lost") : text.index("## Again")]
    assert [word for word in ("invoke", "queued", "shown", "state=delivered") if word not in story] == []
    assert f'"message": "{message}"' in to_json(page)
