"""`iris bench` against the real server: the figures have their shape, and a server that answers wrongly gets none."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iris import _engine
from iris.bench.floors import SECURE
from iris.bench.idle import idle_floor
from iris.bench.login import login_floor
from iris.bench.options import Options
from iris.bench.people import Person, register
from iris.bench.relay import KINDS, Kind, Relay
from iris.bench.report import Progress
from iris.bench.server import HOST, BenchServer
from iris.core.ids import user_text
from tests.support.engine import eventually


def bench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "iris", "bench", *words, "--folder", str(folder), "--json"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=240, check=False)


def measured(*words: str, folder: Path) -> dict[str, Any]:
    """The one scenario of a run that went well."""
    done = bench(*words, folder=folder)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document.keys() == {"at", "command", "commit", "compiled", "versions", "machine", "scenarios"}
    assert list(folder.iterdir()) == [], "the data folder is gone"
    (scenario,) = document["scenarios"]
    return dict(scenario)


def test_pairs_are_measured_and_lose_nothing(tmp_path: Path) -> None:
    found = measured("pairs", "--quick", "--pairs", "5", "--window", "4", "--seconds", "1", folder=tmp_path)
    assert found["name"] == "pairs-5-w4"
    assert found["sent_total"] - found["refused"] == found["accepted_total"] == found["delivered_total"]
    assert found["accepted_total"] > found["messages"] > 0
    assert 0 < found["fsyncs"] <= found["messages"]
    assert 0 < found["python_cpu_us_per_msg"] < found["server_cpu_us_per_msg"]
    for kind in ("accepted_", "", "receipt_"):
        assert 0 < found[f"{kind}p50_ms"] <= found[f"{kind}p90_ms"] <= found[f"{kind}p99_ms"] <= found[f"{kind}max_ms"]
    assert found["p50_ms"] <= found["receipt_p50_ms"]
    assert found["msgs_per_s"] == pytest.approx(found["messages"] / found["seconds"], rel=0.01)
    assert sum(count for _, count in found["histograms_ns"]["delivered"]) > 0
    assert "--tls-certificate" in found["configuration"]["server"]


def test_a_paced_load_keeps_its_pace(tmp_path: Path) -> None:
    found = measured("pairs", "--quick", "--pairs", "5", "--rate", "200", "--seconds", "2", folder=tmp_path)
    assert found["name"] == "pairs-5-r200"
    assert found["sent_total"] == pytest.approx(500, rel=0.2)  # by the clock, also while answers are late


@pytest.mark.parametrize("kind", KINDS)
def test_the_floor_is_measured_by_the_same_load(kind: str, tmp_path: Path) -> None:
    found = measured("floor", "--pairs", "5", "--window", "4", "--seconds", "1", "--relay", kind, folder=tmp_path)
    assert found["name"] == f"floor-{kind}-5-w4"
    assert found["accepted_total"] == found["delivered_total"] > found["messages"] > 0
    assert 0 < found["server_cpu_us_per_msg"] < 1000
    assert 0 < found["reads_per_msg"] <= 2.1  # a Send and an Ack, if not together with others
    assert 0 < found["writes_per_msg"] <= 3.1  # Accepted, Deliver, Receipt
    assert ("none" in found["configuration"]["tls"]) != (kind != "tcp")
    assert (found.get("fsyncs", 0) > 0) == (kind == "stored")


def test_resumed_log_ins_are_measured(tmp_path: Path) -> None:
    found = measured("login", "--users", "20", "--rounds", "2", "--resume", folder=tmp_path)
    assert (found["name"], found["logins"]) == ("login-resumed", 40)  # the full ones before them do not count
    rows = found["histograms_ns"]
    assert [sum(count for _, count in rows[name]) for name in ("full_login", "login")] == [20, 40]


def test_a_device_that_comes_late_gets_everything(tmp_path: Path) -> None:
    found = measured("catch-up", "--late", "2", "--backlog", "300", folder=tmp_path)
    assert (found["name"], found["messages"]) == ("catch-up", 600)  # more than one deliver window
    assert found["server_cpu_us_per_msg"] > 0
    assert 0 < found["login_p50_ms"] < found["caught_up_p50_ms"]
    assert sum(count for _, count in found["histograms_ns"]["caught_up"]) == 2


def test_messages_are_timed_in_a_storm_of_log_ins(tmp_path: Path) -> None:
    words = "--pairs 5 --rate 100 --users 10 --seconds 1"
    found = measured("storm", *words.split(), folder=tmp_path)
    assert (found["name"], found["accepted_total"]) == ("storm", found["delivered_total"])
    assert found["logins"] > 0
    assert found["logins_per_s"] == pytest.approx(found["logins"] / found["seconds"], rel=0.01)
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_every_watcher_is_told_of_who_goes_and_who_comes_back(tmp_path: Path) -> None:
    found = measured("presence", "--watchers", "24", "--watches", "4", folder=tmp_path)
    assert (found["name"], found["users"], found["away"]) == ("presence", 24, 6)
    # Each of the 6 is watched by 4, of whom the one four places before is away too.
    rows = found["histograms_ns"]
    assert sum(count for _, count in rows["offline"]) == 6 * 3
    assert found["told"] == 6 * 3 + sum(count for _, count in rows["online"])
    assert 10_000 <= found["offline_p50_ms"] <= found["offline_max_ms"] < 30_000, "the grace is 10 s"
    assert 0 < found["online_p50_ms"] <= found["online_max_ms"] < found["offline_p50_ms"]
    assert found["server_cpu_us_per_told"] > 0


def test_every_device_gets_every_message_and_every_copy(tmp_path: Path) -> None:
    words = "--pairs 2 --devices 3 --window 4 --seconds 1"
    found = measured("devices", *words.split(), folder=tmp_path)
    assert (found["name"], found["users"]) == ("devices-3-w4", 4)
    assert found["delivered_total"] == 3 * found["accepted_total"] > 0
    assert found["rows_to_devices"] > 5 * found["messages"], (
        "nearly all of the 3 rows and 3 copies, in the measured time"
    )
    assert found["server_cpu_us_per_delivery"] < found["server_cpu_us_per_msg"]
    assert 0 < found["p50_ms"] <= found["copied_p50_ms"]


def test_slow_consumers_get_everything_later(tmp_path: Path) -> None:
    words = "--quick --pairs 3 --rate 100 --slow 2 --stall 2 --seconds 1"
    found = measured("slow", *words.split(), folder=tmp_path)
    assert (found["name"], found["slow"], found["closed"]) == ("slow", 2, 0)
    assert 1100 < found["slow_messages"] <= 1200
    assert found["pump_pauses"] > 0, "the server has waited for an Ack"
    assert found["accepted_total"] == found["delivered_total"] > 0
    assert found["calm_p99_ms"] > 0
    assert 0 < found["slow_caught_up_p50_ms"] <= found["slow_caught_up_max_ms"]


def test_a_slow_consumer_that_was_closed_comes_back_and_misses_nothing(tmp_path: Path) -> None:
    """One of the two does not answer pings. With shorter times than the defaults the server soon closes it."""
    with BenchServer(tmp_path, {"ping_interval_ms": 500, "idle_timeout_ms": 1000}) as server:
        people = register(server, 4, lambda what, done, total: None)
        found = load(server, people, {"stall_ms": 3000, "rate": 100, "payload_bytes": 2000})
        assert found["faults"] == []
        assert found["counts"]["closed"] == 1
        assert found["counts"]["delivered_total"] == found["counts"]["sent_total"] > 250


def test_a_day_goes_by_and_everybody_has_everything(tmp_path: Path) -> None:
    found = measured("mixed-day", "--day-users", "30", "--day-seconds", "2", folder=tmp_path)
    assert (found["name"], found["users"], found["devices"]) == ("mixed-day", 30, 39)
    assert found["accepted_total"] == found["sent_total"] > 0
    for kind in ("logins", "typings", "presences", "read_syncs"):
        assert found[f"{kind}_per_msg"] > 0, kind
    assert found["server_cpu_ms_per_user_day"] == pytest.approx(found["server_cpu_us_per_msg"] * 50 / 1000, rel=0.01)


SHAPES = {
    "presence": {"server_cpu_us_per_told", "offline_p99_ms", "online_p99_ms"},
    "devices-4-w1": {"server_cpu_us_per_msg", "server_cpu_us_per_delivery", "copied_p99_ms"},
    "slow": {"p99_ms", "calm_p99_ms", "growth_kb_per_slow", "closed", "slow_caught_up_max_ms"},
    "mixed-day": {"server_cpu_us_per_msg", "server_cpu_ms_per_user_day", "p99_ms", "late_share"},
    "login-resumed": {"server_cpu_us", "login_p50_ms", "login_p99_ms"},
    "catch-up": {"server_cpu_us_per_msg", "caught_up_per_s"},
    "storm": {"p99_ms", "logins_per_s"},
    "login": {"server_cpu_us", "per_s_per_core"},
    "idle": {"connections", "userland_kb_per_conn", "python_kb_per_conn", "kernel_kb_per_conn", "all_in_kb_per_conn"},
}
PAIRS = {"server_cpu_us_per_msg", "python_cpu_us_per_msg", "floor_cpu_us_per_msg", "ratio_to_floor", "msgs_per_s"}
PAIRS |= {"p50_ms", "p99_ms", "fsyncs", "histograms_ns", "configuration", "budgets"}


def test_all_scenarios_come_in_one_run(tmp_path: Path) -> None:
    # So many pairs that on a fast machine nobody reaches the limit of Sends, and is told to wait for a second.
    sizes = "--pairs 40 --many-pairs 60 --seconds 0.5 --connections 20 --users 10 --rounds 2 --backlog 50"
    sizes += " --watchers 12 --day-users 20"
    done = bench("all", "--quick", *sizes.split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    found = {scenario["name"]: scenario for scenario in document["scenarios"]}
    for name in ("pairs-40-w1", "pairs-40-w8", "pairs-60-w1"):
        assert found[name].keys() >= PAIRS
        assert found[name]["fsyncs"] > 0
        cost, least = found[name]["server_cpu_us_per_msg"], found[name]["floor_cpu_us_per_msg"]
        assert found[name]["ratio_to_floor"] == pytest.approx(cost / least, abs=0.01)
        assert cost > least > 0
    for name, shape in SHAPES.items():
        assert found[name].keys() >= shape
    assert [verdict["figure"] for verdict in found["login"]["budgets"]] == ["server_cpu_us"]
    assert list(tmp_path.iterdir()) == []
    assert set(found) == {"pairs-40-w1", "pairs-40-w8", "pairs-60-w1"} | SHAPES.keys()


def test_a_run_that_is_ended_leaves_no_server(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "iris", "bench", "pairs", "--seconds", "600", "--folder", str(tmp_path)]
    run = subprocess.Popen(words, cwd=tmp_path)
    eventually(lambda: bool(list(tmp_path.glob("iris-bench-*/data/*"))), "a server with data")
    run.terminate()
    assert run.wait(60) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_relay_ends_with_whoever_started_it(tmp_path: Path) -> None:
    with Relay("tcp", tmp_path) as relay:
        assert relay.done()["messages"] == 0
        assert relay.stop() == 0


def test_log_ins_are_measured(tmp_path: Path) -> None:
    """In rounds: every connection is made again and again, which also shows that none hears of another's end."""
    found = measured("login", "--users", "30", "--rounds", "5", folder=tmp_path)
    assert (found["name"], found["logins"]) == ("login", 150)
    assert found["server_cpu_us"] > 0
    assert found["per_s_per_core"] == pytest.approx(1e6 / found["server_cpu_us"], rel=0.01)
    assert found["round_trips"] == 3, "TCP, TLS, the upgrade with Hello in it"


def test_idle_connections_are_measured(tmp_path: Path) -> None:
    found = measured("idle", "--quick", folder=tmp_path)
    assert (found["name"], found["connections"]) == ("idle", 200)
    assert found["rss_after_mb"] >= found["rss_before_mb"] > 0
    parts = found["engine_kb_per_conn"] + found["python_kb_per_conn"]
    assert parts == pytest.approx(found["userland_kb_per_conn"], rel=0.2), "the parts are the whole"
    assert found["engine_kb_per_conn"] > 1, "a TLS connection alone is more"
    assert found["idle_cpu_us_per_conn_s"] is None, "too short to have been pinged"


@pytest.mark.parametrize("kind", SECURE)
def test_log_ins_and_idle_connections_have_a_floor(kind: Kind, tmp_path: Path) -> None:
    options = Options(tmp_path, users=20, rounds=3, connections=1000, hold=0.5)
    logins = login_floor(kind, options, Progress())
    assert (logins["name"], logins["logins"]) == (f"floor-{kind}-login", 60)
    assert 0 < logins["server_cpu_us"] < 10_000
    resumed = login_floor(kind, replace(options, resume=True), Progress())
    rows = resumed["histograms_ns"]
    assert [sum(count for _, count in rows[name]) for name in ("full_login", "login")] == [20, 60]
    held = idle_floor(kind, options, Progress())
    assert (held["name"], held["connections"]) == (f"floor-{kind}-idle", 1000)
    assert held["userland_kb_per_conn"] > 1, "TLS alone is more"


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    assert bench("pears", folder=tmp_path).returncode == 2
    assert bench("pairs", "--window", "0", folder=tmp_path).returncode == 2
    for wrong in ("0", "-1", "nan", "3601", "long"):
        assert bench("idle", "--hold", wrong, folder=tmp_path).returncode == 2
    assert bench("devices", "--devices", "5", folder=tmp_path).returncode == 2
    assert bench("mixed-day", "--day-users", "9", folder=tmp_path).returncode == 2
    done = bench("idle", "--connections", "1000000000", folder=tmp_path)
    assert done.returncode == 1
    assert "ulimit" in done.stderr


TALK = {"pairs": 1, "warm_ms": 0, "measure_ms": 200, "drain_ms": 500}


def load(server: BenchServer, people: Sequence[Person], numbers: dict[str, int] = TALK) -> dict[str, Any]:
    return _engine.load(
        host=HOST,
        port=server.port,
        root=server.root,
        tokens=[person.token for person in people],
        users=[person.user for person in people],
        numbers=numbers,
        on_moment=lambda moment, done: None,
    )


def test_wrong_answers_are_faults(tmp_path: Path) -> None:
    with BenchServer(tmp_path, {}) as server:
        people = register(server, 4, lambda what, done, total: None)
        stranger = [people[0], people[1]._replace(user=people[2].user)]
        (fault,) = load(server, stranger)["faults"]
        assert "instead of a Welcome" in fault

        block(server, people[1], people[0])
        (fault, *_) = load(server, people, {"watches": 1, "away_every": 2})["faults"]
        assert "was None, and now" in fault, "hidden by the block"
        faults = load(server, people)["faults"]
        assert any("Rejected" in fault for fault in faults)
        assert any("0 delivered" in fault for fault in faults)
        with_devices = {**TALK, "pairs": 0, "devices": 1}
        assert any("Rejected" in fault for fault in load(server, people, with_devices)["faults"])


def test_the_observer_can_end_a_load(tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def on_moment(moment: str, done: int) -> None:
        if moment == "measure":
            raise EnoughError

    with BenchServer(tmp_path, {}) as server:
        people = register(server, 2, lambda what, done, total: None)
        with pytest.raises(EnoughError):
            _engine.load(
                host=HOST,
                port=server.port,
                root=server.root,
                tokens=[person.token for person in people],
                users=[person.user for person in people],
                numbers={"pairs": 1, "warm_ms": 10, "measure_ms": 60_000},
                on_moment=on_moment,
            )


def block(server: BenchServer, person: Person, other: Person) -> None:
    """Through the API, as anybody would."""
    request = urllib.request.Request(
        f"https://{HOST}:{server.port}/v1/blocks/{user_text(other.user)}",
        method="PUT",
        headers={"Authorization": f"Bearer {person.token}"},
    )
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(server.root))
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        assert answer.status == 204
