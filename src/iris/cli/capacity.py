"""`iris capacity`: what it takes to serve so many people."""

from __future__ import annotations

import json as encoder
from pathlib import Path

from iris.capacity import files, report
from iris.cli.errors import CliError


def capacity(
    dau: int | None, regions: list[str], prices: Path | None, bench: Path | None, given: list[str], json: bool
) -> int:
    """Print nodes, memory, disks, network and dollars; without `dau`, those of the plan's four phases."""
    try:
        table = files.prices(prices)
        basis = files.packaged()
        if bench is not None:
            basis = files.from_bench(basis, bench)
        basis = files.with_given(basis, given)
        if dau is None:
            if regions:
                raise files.CapacityError("--region without --dau", "say how many users: --dau 1_000_000")
            found = report.phases(basis, table)
            print(encoder.dumps(found) if json else report.phases_text(found), end="\n" if json else "")
            return 0
        one = report.document(dau, files.shares(regions, list(table.regions)), basis, table)
    except files.CapacityError as error:
        raise CliError(error.what, error.fix) from None
    print(encoder.dumps(one) if json else report.text(one), end="\n" if json else "")
    return 0
