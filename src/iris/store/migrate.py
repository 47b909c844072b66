"""From an older schema to this one: one step per version, run at open, before anyone reads.

A value's own version byte (codec.py) is enough when a row only gains fields. A step is for what that cannot do:
moving rows to other keys, new tables filled from old ones. To add one: raise SCHEMA, append the step to STEPS, and
test it from a store of the old version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rocksdict import Rdict, WriteBatch

from iris.store.rocks_db import META_SCHEMA, put_meta

SCHEMA = 1

Change = Callable[[WriteBatch], None]
# A step reads the database and yields bounded pieces of work, each of which becomes one commit. It must bear to be
# run again from the start after a crash: its pieces may have been done already.
Step = Callable[[Rdict], Iterator[Change]]
STEPS: tuple[Step, ...] = ()  # STEPS[n - 1] leads from version n to n + 1


def migrate(db: Rdict, have: int, want: int, steps: Sequence[Step], commit: Callable[[Change], None]) -> None:
    """Bring the rows from version `have` to `want`; `commit` makes one change durable."""
    for version in range(have, want):
        for change in steps[version - 1](db):
            commit(change)
        commit(_now_at(version + 1))


def _now_at(version: int) -> Change:
    return lambda batch: put_meta(batch, META_SCHEMA, version)
