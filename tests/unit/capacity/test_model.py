"""The capacity model: the plan's phases, and which resource decides how many nodes there are."""

from __future__ import annotations

import msgspec
import pytest

from iris.capacity import files
from iris.capacity.model import PHASES, Prices, Region, by_plan, cost_per, login_cores, size

VALUES = files.packaged().values
PRICES = files.prices(None)
MILLION, BILLION = 1_000_000, 1_000_000_000


@pytest.mark.parametrize(
    ("phase", "concurrent", "edges", "shards", "regions"),
    [
        ("Proof", 100_000, 2, 10, 1),
        ("Growth", 10 * MILLION, 100, 1_000, 2),
        ("Scale", 100 * MILLION, 1_000, 10_000, 20),
        ("Planet", 500 * MILLION, 5_000, 50_000, 100),
    ],
)
def test_the_four_phases_of_the_plan(phase: str, concurrent: int, edges: int, shards: int, regions: int) -> None:
    plan = by_plan(PHASES[phase], VALUES)
    assert (plan.concurrent, plan.edges, plan.shards, plan.regions) == (concurrent, edges, shards, regions)
    assert plan.core_nodes == 2 * shards


def test_the_planet_sends_ten_million_messages_a_second() -> None:
    assert one(5 * BILLION).messages_per_s == pytest.approx(10 * MILLION)


def one(dau: int, **given: float) -> Region:
    """All users in one region, with these figures instead of the packaged ones."""
    (region,) = size(dau, {"any": 1.0}, {**VALUES, **given}, PRICES)
    return region


def priced(dau: int, prices: Prices) -> Region:
    """The same at other prices."""
    (region,) = size(dau, {"any": 1.0}, VALUES, prices)
    return region


@pytest.mark.parametrize(
    ("given", "bound_by"),
    [
        ({"engine_cpu_us_per_msg": 1_000}, "CPU"),
        ({"cpu_us_per_login": 100_000}, "CPU"),
        ({"cpu_us_per_idle_connection_s": 20}, "CPU"),
        ({"kernel_kb_per_conn": 100}, "memory"),
        ({"connections_per_node_max": 100_000}, "connections"),
        ({"wire_bytes_out_per_msg": 100_000}, "network"),
    ],
)
def test_the_scarcest_resource_decides_on_edges(given: dict[str, float], bound_by: str) -> None:
    usual, scarce = one(BILLION).edge, one(BILLION, **given).edge
    assert scarce.bound_by == bound_by
    assert scarce.nodes > usual.nodes


def test_an_edge_holds_what_its_memory_holds() -> None:
    """100 million connections of 100 KB on nodes of 64 GB, of which 80 % may be used."""
    edge = one(BILLION, userland_kb_per_conn=60, kernel_kb_per_conn=40).edge
    assert edge.nodes == -(-100 * MILLION * 100 * 1024 // (64 * BILLION * 8 // 10))


def test_shards_and_cassandra_grow_with_what_they_lack() -> None:
    usual = one(BILLION)
    assert one(BILLION, server_cpu_us_per_msg=2_000).shard.bound_by == "CPU"
    assert one(BILLION, python_kb_per_conn=200).shard.bound_by == "memory"
    assert one(BILLION, replicas_per_shard=2).replicas == 2 * usual.shard.nodes
    assert one(BILLION, stored_bytes_per_msg=5_000).cassandra.bound_by == "disk"
    assert one(BILLION, cassandra_writes_per_s_cpu=100).cassandra.bound_by == "CPU"
    assert one(BILLION, cassandra_copies=6).disk_tb == pytest.approx(2 * usual.disk_tb)


def test_a_disk_holds_thirty_days_of_every_copy() -> None:
    """A billion people, 50 messages a day, 30 days, 278 bytes, three copies, half of the disk left empty."""
    assert one(BILLION).disk_tb == pytest.approx(1e9 * 50 * 30 * 278 * 3 / 0.5 / 1e12)


def test_the_smallest_cluster_still_may_lose_a_node() -> None:
    tiny = one(1)
    assert (tiny.edge.nodes, tiny.shard.nodes, tiny.replicas) == (2, 1, 1)
    assert (tiny.cassandra.nodes, tiny.fabric.nodes) == (3, 3)
    assert tiny.edge.bound_by == "spare"


def test_dollars_are_nodes_disks_and_traffic_times_their_prices() -> None:
    dear = msgspec.structs.replace(PRICES, regions={"any": 3.0})
    assert priced(BILLION, dear).dollars == pytest.approx(3 * one(BILLION).dollars)
    free = msgspec.structs.replace(PRICES, network=msgspec.structs.replace(PRICES.network, dollars_gb_out=0.0))
    traffic = 1e9 * 50 * 30 * VALUES["wire_bytes_out_per_msg"] / 1e9 * PRICES.network.dollars_gb_out
    assert one(BILLION).dollars - priced(BILLION, free).dollars == pytest.approx(traffic)
    region = one(BILLION)
    assert region.dollars == pytest.approx(region.connection_dollars + region.message_dollars)
    assert one(BILLION, engine_cpu_us_per_msg=1_000).connection_dollars == region.connection_dollars  # messages' bill
    assert region.connection_dollars == 50 * PRICES.edge.dollars_month  # 100 million connections, 2 million each


def test_cost_per_connection_and_message() -> None:
    regions = [one(BILLION)]
    spent = cost_per(regions, BILLION, VALUES)
    assert spent["connection_month"] == pytest.approx(regions[0].connection_dollars / (100 * MILLION))
    assert spent["message"] == pytest.approx(regions[0].message_dollars / (BILLION * 50 * 30))


def test_users_are_shared_among_regions() -> None:
    europe, asia = size(BILLION, {"europe": 0.25, "asia": 0.75}, VALUES, PRICES)
    assert (europe.connections, asia.connections) == (25 * MILLION, 75 * MILLION)
    assert (europe.name, asia.share) == ("europe", 0.75)


def test_cpus_for_a_storm_of_logins() -> None:
    assert login_cores({**VALUES, "cpu_us_per_login": 140, "cpu_used_max": 0.7}) == pytest.approx(20)


def test_what_is_calculated_is_what_the_code_writes() -> None:
    """The row of a message as the codec writes it, the frames as protobuf does."""
    from iris.core.rows import MessageRow
    from iris.store.codec import encode
    from iris_sdk._pb import frames_pb2 as pb

    seq, wall, whose = (4_097 << 32) + 1_000, 1_764_000_000_000, bytes(32)
    row = MessageRow(
        bytes(16), seq, 1, whose, bytes(16), 1, bytes(16), wall, 0, bytes(128), 1, 0, 1_000, 9_999, 1_000
    )  # fmt: skip
    assert sum(map(len, encode(row))) == VALUES["stored_bytes_per_msg"]
    send = pb.Send(
        conversation=whose, stream=1, client_seq=1_000, answered=999, message_id=bytes(16), after=wall,
        payload=bytes(128), content_type=pb.CONTENT_TYPE_IRIS,
    )  # fmt: skip
    ack = pb.ClientFrame(ack=pb.Ack(seq=seq, rev=1_000))
    accepted = pb.Accepted(conversation=whose, stream=1, client_seq=1_000, message_id=bytes(16), seq=seq, at=wall)
    deliver = pb.Deliver(
        seq=seq, prev=seq - 1, kind=pb.KIND_MESSAGE, conversation=whose, sender=bytes(16), device=1,
        message_id=bytes(16), at=wall, payload=bytes(128), content_type=pb.CONTENT_TYPE_IRIS,
    )  # fmt: skip
    receipt = pb.Receipt(rev=1_000, prev_rev=999, conversation=whose, delivered=seq, read=seq)
    mask, tls, tcp = 4, 22, 52
    up = [pb.ClientFrame(send=send), ack, ack]
    down = [pb.ServerFrame(accepted=accepted), pb.ServerFrame(deliver=deliver), pb.ServerFrame(receipt=receipt)]
    sizes = [[len(frame.SerializeToString()) for frame in frames] for frames in (up, down)]
    heads = [[length + (4 if length > 125 else 2) + tls + tcp for length in lengths] for lengths in sizes]
    assert sum(heads[0]) + mask * len(up) == VALUES["wire_bytes_in_per_msg"]
    assert sum(heads[1]) == VALUES["wire_bytes_out_per_msg"]


def test_every_figure_is_used_and_every_used_one_is_there() -> None:
    class Seen(dict[str, float]):
        def __init__(self) -> None:
            super().__init__(VALUES)
            self.asked: set[str] = set()

        def __getitem__(self, name: str) -> float:
            self.asked.add(name)
            return super().__getitem__(name)

    seen = Seen()
    by_plan(BILLION, seen)
    cost_per(size(BILLION, {"any": 1.0}, seen, PRICES), BILLION, seen)
    login_cores(seen)
    assert seen.asked == VALUES.keys()


def test_a_basis_is_not_changed_by_what_is_given() -> None:
    basis = files.packaged()
    given = files.with_given(basis, ["messages_per_user_day=80"])
    assert (basis.values["messages_per_user_day"], given.values["messages_per_user_day"]) == (50, 80)
    assert given.figures["messages_per_user_day"].kind == "given"
