"""Bugs thought up from the product's code alone, by somebody who had not read the simulator's invariants.

A hunter who knows the traps does not show that there are enough of them.
"""

from __future__ import annotations

from typing import Any

from iris.core import sessions
from iris.core.outbox import Outbox
from iris.core.registers import Registers
from iris.core.rows import ROW_REFUSED
from iris.edge.edge import Edge
from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.core import ClientCore
from tests.mutants.patch import Patch, mutant


@mutant(
    "core",
    "One of Ada's own copies is lost between two nodes: the next one is taken, that one never comes again.",
    faults="lose late",
)
def items_sent_without_their_predecessor(patch: Patch) -> None:
    def send_item(original: Any, box: Any, turn: Any, lane: Any, row: Any, prev: int) -> None:
        original(box, turn, lane, row, 0)

    patch.change(Outbox, "_send_item", send_item)


@mutant("core", "Bob's Ack is lost with his connection: Ada never gets her second tick, though he has the message.")
def resumed_rows_told_to_nobody(patch: Patch) -> None:
    def on_resume_page(original: Any, user: Any, page: Any, turn: Any) -> None:
        original(user, page._replace(rows=[row._replace(kind=ROW_REFUSED) for row in page.rows]), turn)

    patch.change(sessions, "on_resume_page", on_resume_page)


@mutant(
    "core", "Ada was out of memory for a while: her receipts are numbered from the start, and her phone drops them."
)
def register_numbers_begin_anew(patch: Patch) -> None:
    def load(original: Any, registers: Any, rows: Any) -> None:
        original(registers, rows)
        registers.head = 0

    patch.change(Registers, "load", load)


@mutant(
    "client",
    "The server was restored from a backup: Bob's phone waits for numbers above those it had, for ever.",
    faults="restore_store",
)
def reset_not_followed(patch: Patch) -> None:
    def welcome(original: Any, core: Any, frame: Any, now: int) -> None:
        told = pb.Welcome()
        told.CopyFrom(frame)
        told.reset = False
        original(core, told, now)

    patch.change(ClientCore, "_welcome", welcome)


@mutant(
    "edge",
    "What Bob lacked was deleted while his lease had lapsed: nobody tells him that there is a gap.",
    faults="partition",
)
def gap_of_a_live_session_hidden(patch: Patch) -> None:
    def attached(original: Any, edge: Any, session: Any, answer: Any) -> None:
        original(edge, session, answer._replace(reset=False, oldest=0) if session.welcomed else answer)

    patch.change(Edge, "_attached", attached)
