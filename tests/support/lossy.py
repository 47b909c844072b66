"""`iris`, but every LOSE-th batch of what its shards say to clients is lost.

The loss is on the seam between fabric and edge, which may lose by contract. Run: `python -m tests.support.lossy serve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iris.cli import main
from iris.core.frames import ACCEPTED, DELIVER, READ_SYNC, RECEIPT
from iris.edge.shell import EdgeShell

LOSE = 4
LOST_KINDS = frozenset({ACCEPTED, DELIVER, RECEIPT, READ_SYNC})

whole = EdgeShell.receive
batches = 0


def lossy(shell: EdgeShell, node: int, number: int, batch: Sequence[tuple[Any, ...]]) -> None:
    """Drop what a client would have to get again."""
    global batches
    if any(item[0] in LOST_KINDS for item in batch):
        batches += 1
        if batches % LOSE == 0:
            batch = [item for item in batch if item[0] not in LOST_KINDS]
    whole(shell, node, number, batch)


if __name__ == "__main__":
    setattr(EdgeShell, "receive", lossy)  # noqa: B010
    main()
