"""Name units: who has a handle, and who has used an invite.

A name is claimed and released by items of a user's outbox. A handle has one holder and exists by being claimed; an
invite is made by the operator with a number of uses. Claims are safe to repeat: the same holder is told "done"
again. Limit: the marks of the newest 16 sources are kept; an older source has long been answered.
"""

from __future__ import annotations

from typing import Final

from iris.core import outbox
from iris.core.catalogue import ErrorCode
from iris.core.commands import ItemIn, ItemRefused, ItemsDone
from iris.core.requests import CreateInvite, Done, LookUpName, NameHolders, Refused, Request
from iris.core.rows import NameRow
from iris.core.turn import Turn

MARKS_MAX: Final = 16


class Name:
    """One loaded name unit."""

    __slots__ = ("marks", "row", "unit")

    def __init__(self, unit: bytes, row: NameRow | None) -> None:
        self.unit = unit
        self.row = row
        self.marks: dict[bytes, int] = dict(row.marks) if row is not None else {}


def on_item(name: Name, item: ItemIn, turn: Turn) -> None:
    """A user claims or releases the name."""
    user = item.source[1:]
    mark = name.marks.get(item.source, 0)
    holders = name.row.holders if name.row is not None else ()
    if item.number > mark:
        if item.prev > mark:
            turn.count("iris_items_deferred_total")
            return
        capacity = name.row.capacity if name.row is not None else 1 if name.unit.startswith(b"@") else 0
        if item.body[0] == outbox.CLAIM and user not in holders and len(holders) < capacity:
            holders = (*holders, user)
        elif item.body[0] == outbox.RELEASE:
            holders = tuple(holder for holder in holders if holder != user)
        name.marks.pop(item.source, None)
        name.marks[item.source] = item.number
        if len(name.marks) > MARKS_MAX:
            del name.marks[next(iter(name.marks))]
        if capacity:
            name.row = NameRow(name.unit, capacity, holders, tuple(name.marks.items()))
            turn.write(name.row)
    if item.body[0] == outbox.CLAIM and user not in holders:
        code = ErrorCode.HANDLE_TAKEN if name.unit.startswith(b"@") else ErrorCode.INVITE_INVALID
        turn.to_unit(item.source, ItemRefused(item.source, item.unit, item.number, int(code)))
    else:
        turn.to_unit(item.source, ItemsDone(item.source, item.unit, item.number))


def on_request(name: Name, request: Request, turn: Turn) -> None:
    """A question of the API or the operator."""
    operation = request.operation
    if isinstance(operation, LookUpName):
        turn.reply(request.id, NameHolders(name.row.holders if name.row is not None else ()))
    elif isinstance(operation, CreateInvite) and name.row is None and operation.uses > 0:
        name.row = NameRow(name.unit, operation.uses, (), ())
        turn.write(name.row)
        turn.reply(request.id, Done())
    else:
        turn.reply(request.id, Refused(int(ErrorCode.INVALID_REQUEST)))
