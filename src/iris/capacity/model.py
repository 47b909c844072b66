"""The capacity model: daily users in, nodes and dollars out. Pure arithmetic; docs/capacity.md explains each line.

Two answers stand side by side. `by_plan` is the plan's own formula (so many connections for an edge, so many users for
a shard). `size` starts from what Iris was measured to cost: each kind of node gets as many as its scarcest resource
asks for, be it CPU, memory, connections, disk or network. Where the two differ, the plan was a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

US_PER_S, KB, GB, DAY_S, MONTH_DAYS = 1e6, 1024, 1e9, 86_400, 30
EDGES_MIN, SHARDS_MIN, CASSANDRA_MIN, FABRIC_MIN = 2, 1, 3, 3  # what must be there to lose one node, whatever the load
# What a connection-month and a message may cost (RFC-001: NFR-19, NFR-20).
TARGETS = {"connection_month": 0.0001, "message": 0.000001}
PHASES = {"Proof": 1_000_000, "Growth": 100_000_000, "Scale": 1_000_000_000, "Planet": 5_000_000_000}

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Kind = Literal["measured", "calculated", "extrapolated", "assumed", "given"]
Figures = Mapping[str, float]  # costs and assumptions by name


class Figure(Struct, frozen=True, forbid_unknown_fields=True):
    """A number, how far it can be trusted, and where it comes from."""

    value: NotNegative
    unit: str
    kind: Kind
    source: str
    scenario: str = ""  # where a run of the benchmarks has it
    figure: str = ""


class Basis(Struct, frozen=True):
    """All figures by name."""

    figures: dict[str, Figure]

    @property
    def values(self) -> dict[str, float]:
        """Their numbers alone."""
        return {name: figure.value for name, figure in self.figures.items()}


class NodePrice(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine that can be had, and what it costs a month."""

    vcpus: Positive
    memory_gb: Positive
    network_gbit: Positive
    dollars_month: Positive


class DiskPrice(Struct, frozen=True, forbid_unknown_fields=True):
    """Disks of the nodes that keep rows."""

    gb_per_node_max: Positive
    dollars_gb_month: Positive


class NetworkPrice(Struct, frozen=True, forbid_unknown_fields=True):
    """Traffic to clients; what comes in is free, as it is nearly everywhere."""

    dollars_gb_out: Annotated[float, Meta(ge=0)]


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """A price table. regions: by name, what everything costs there, as a multiple of these prices."""

    note: str
    edge: NodePrice
    shard: NodePrice
    cassandra: NodePrice
    fabric: NodePrice
    disk: DiskPrice
    network: NetworkPrice
    regions: dict[str, Positive]


class Plan(Struct, frozen=True):
    """What the plan's formula asks for."""

    concurrent: int
    edges: int
    shards: int
    core_nodes: int
    regions: int


class Need(Struct, frozen=True):
    """How many nodes of a kind, and the resource that asked for so many."""

    nodes: int
    bound_by: str


class Region(Struct, frozen=True):
    """What one region takes. Dollars are for a month."""

    name: str
    share: float
    connections: int
    messages_per_s: float
    edge: Need
    shard: Need
    replicas: int
    cassandra: Need
    fabric: Need
    memory_gb: float
    disk_tb: float
    network_gbit: float
    connection_dollars: float  # the edges that connections need which say nothing
    message_dollars: float  # everything else
    dollars: float


def by_plan(dau: int, figures: Figures) -> Plan:
    """The plan's formula (RFC-001, 9.1). Two edges at least, so that one may fail."""
    concurrent = _up(dau * figures["online_share"])
    edges = max(EDGES_MIN, _up(concurrent / figures["connections_per_edge"]))
    shards = _up(dau / figures["users_per_shard"])
    core_nodes = _up(shards * (1 + figures["replicas_per_shard"]))
    return Plan(concurrent, edges, shards, core_nodes, _up(edges / figures["edges_per_region"]))


def size(dau: int, shares: Mapping[str, float], figures: Figures, prices: Prices) -> list[Region]:
    """What each region takes. shares: of the daily users by region, together 1."""
    return [_region(name, dau * share, share, figures, prices) for name, share in shares.items()]


def cost_per(regions: Sequence[Region], dau: int, figures: Figures) -> dict[str, float]:
    """Dollars per connection-month and per message."""
    connections = sum(region.connections for region in regions)
    messages = dau * figures["messages_per_user_day"] * MONTH_DAYS
    return {
        "connection_month": sum(region.connection_dollars for region in regions) / connections,
        "message": sum(region.message_dollars for region in regions) / messages,
    }


def login_cores(figures: Figures) -> float:
    """CPUs that a storm of log-ins keeps busy, within the part of a CPU that may be used."""
    return figures["storm_logins_per_s"] * figures["cpu_us_per_login"] / US_PER_S / figures["cpu_used_max"]


def _region(name: str, users: float, share: float, figures: Figures, prices: Prices) -> Region:
    connections = _up(users * figures["online_share"])
    per_s = users * figures["messages_per_user_day"] / DAY_S * figures["peak_to_average"]
    edge = _edges(connections, per_s, figures, prices.edge)
    quiet = _edges(connections, 0, figures, prices.edge)
    shard = _shards(connections, per_s, figures, prices.shard)
    replicas = _up(shard.nodes * figures["replicas_per_shard"])
    disk_gb = _disk_gb(users, figures)
    cassandra = _cassandra(per_s, disk_gb, figures, prices)
    crossings = per_s * figures["fabric_crossings_per_msg"]
    fabric = _most({"CPU": crossings / figures["fabric_msgs_per_s_node"]}, FABRIC_MIN)
    out_gb_month = users * figures["messages_per_user_day"] * MONTH_DAYS * figures["wire_bytes_out_per_msg"] / GB
    factor = prices.regions[name]
    connection_dollars = factor * quiet.nodes * prices.edge.dollars_month
    message_dollars = factor * (
        (edge.nodes - quiet.nodes) * prices.edge.dollars_month
        + (shard.nodes + replicas) * prices.shard.dollars_month
        + cassandra.nodes * prices.cassandra.dollars_month
        + fabric.nodes * prices.fabric.dollars_month
        + disk_gb / figures["disk_used_max"] * prices.disk.dollars_gb_month
        + out_gb_month * prices.network.dollars_gb_out
    )
    memory_gb = (
        edge.nodes * prices.edge.memory_gb
        + (shard.nodes + replicas) * prices.shard.memory_gb
        + cassandra.nodes * prices.cassandra.memory_gb
        + fabric.nodes * prices.fabric.memory_gb
    )
    return Region(
        name=name,
        share=share,
        connections=connections,
        messages_per_s=per_s,
        edge=edge,
        shard=shard,
        replicas=replicas,
        cassandra=cassandra,
        fabric=fabric,
        memory_gb=memory_gb,
        disk_tb=disk_gb / figures["disk_used_max"] / 1000,
        network_gbit=_gbit(per_s, figures),
        connection_dollars=connection_dollars,
        message_dollars=message_dollars,
        dollars=connection_dollars + message_dollars,
    )


def _edges(connections: int, per_s: float, figures: Figures, node: NodePrice) -> Need:
    logins = connections * figures["logins_per_connection_day"] / DAY_S
    cpu_us = (
        connections * figures["cpu_us_per_idle_connection_s"]
        + logins * figures["cpu_us_per_login"]
        + per_s * (figures["engine_cpu_us_per_msg"] + _edge_python_us(figures) + _fabric_us(figures))
    )
    kb = figures["userland_kb_per_conn"] + figures["kernel_kb_per_conn"]
    return _most(
        {
            "CPU": _cpus(cpu_us, figures) / node.vcpus,
            "memory": connections * kb * KB / (node.memory_gb * GB * figures["memory_used_max"]),
            "connections": connections / figures["connections_per_node_max"],
            "network": _gbit(per_s, figures) / (node.network_gbit * figures["network_used_max"]),
        },
        EDGES_MIN,
    )


def _shards(connections: int, per_s: float, figures: Figures, node: NodePrice) -> Need:
    cpu_us = per_s * (
        figures["server_cpu_us_per_msg"]
        - figures["engine_cpu_us_per_msg"]
        - _edge_python_us(figures)
        + _fabric_us(figures)
        + figures["cassandra_writes_per_msg"] * figures["cassandra_client_cpu_us_per_write"]
    )
    residents = connections * figures["residents_per_connection"]
    return _most(
        {
            "CPU": _cpus(cpu_us, figures) / node.vcpus,
            "memory": residents
            * figures["python_kb_per_conn"]
            * KB
            / (node.memory_gb * GB * figures["memory_used_max"]),
        },
        SHARDS_MIN,
    )


def _cassandra(per_s: float, disk_gb: float, figures: Figures, prices: Prices) -> Need:
    writes = per_s * figures["cassandra_writes_per_msg"] * figures["cassandra_copies"]
    cpus = writes / figures["cassandra_writes_per_s_cpu"] / figures["cpu_used_max"]
    disk = disk_gb / (prices.disk.gb_per_node_max * figures["disk_used_max"])
    return _most({"CPU": cpus / prices.cassandra.vcpus, "disk": disk}, CASSANDRA_MIN)


def _disk_gb(users: float, figures: Figures) -> float:
    kept = users * figures["messages_per_user_day"] * figures["retention_days"]
    return kept * figures["stored_bytes_per_msg"] * figures["cassandra_copies"] / GB


def _edge_python_us(figures: Figures) -> float:
    return figures["python_cpu_us_per_msg"] * figures["python_edge_share"]


def _fabric_us(figures: Figures) -> float:
    """At one end of the fabric; every message crosses it, and its answers do."""
    return figures["fabric_crossings_per_msg"] * figures["fabric_cpu_us_per_crossing"]


def _gbit(per_s: float, figures: Figures) -> float:
    return per_s * max(figures["wire_bytes_out_per_msg"], figures["wire_bytes_in_per_msg"]) * 8 / 1e9


def _cpus(cpu_us_per_s: float, figures: Figures) -> float:
    return cpu_us_per_s / US_PER_S / figures["cpu_used_max"]


def _most(asked: Mapping[str, float], least: int) -> Need:
    """The resource that asks for most nodes; `least` when none asks for so many."""
    by: Callable[[str], float] = asked.__getitem__
    scarcest = max(asked, key=by)
    nodes = _up(asked[scarcest])
    return Need(nodes, scarcest) if nodes > least else Need(least, "spare" if nodes < least else scarcest)


def _up(number: float) -> int:
    """Rounded up, but for the noise of floating point."""
    return math.ceil(round(number, 6))
