"""`iris`, but it tells senders that everything delivered was read. Run: `python -m tests.support.liar serve`.

For checkers that must notice a false receipt: nothing else is wrong with this server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iris.cli import main
from iris.core.frames import RECEIPT, Receipt
from iris.edge.shell import EdgeShell

honest = EdgeShell.receive


def lying(shell: EdgeShell, node: int, number: int, batch: Sequence[tuple[Any, ...]]) -> None:
    """Receipts with delivered in the place of read."""
    told = []
    for item in batch:
        if item[0] == RECEIPT:
            receipt = Receipt(*item)
            item = receipt._replace(read=max(receipt.read, receipt.delivered))
        told.append(item)
    honest(shell, node, number, told)


if __name__ == "__main__":
    setattr(EdgeShell, "receive", lying)  # noqa: B010
    main()
