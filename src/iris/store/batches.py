"""A commit as RocksDB takes it: one batch, in which every row has its key and value and every deletion its keys.

Hot: a loop over all rows of a commit. Compiled (scripts/compile.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from rocksdict import WriteBatch

from iris.core.rows import CutMailbox, DropMark, DropUnit, Gone, Write
from iris.store.codec import ENCODERS, encode
from iris.store.keys import UNIT_PREFIXES, BadRow, after, key_of, mailbox_range, marks_device, unit
from iris.store.rocks_db import batch_for


def batch_of(commit: int, writes: Sequence[Write]) -> WriteBatch:
    """The batch of a commit. Raises BadRow for a row that has no form."""
    batch = batch_for(commit)
    encoder_of, put = ENCODERS.get, batch.put
    try:
        for write in writes:
            encoder = encoder_of(type(write))
            if encoder is not None:
                put(*encoder(write))
            else:
                _delete(batch, write)
    except BadRow:
        raise
    except Exception:
        encode(write)  # type: ignore[arg-type]  # says what is wrong with it
        raise
    return batch


def _delete(batch: WriteBatch, write: Write) -> None:
    if isinstance(write, Gone):
        del batch[key_of(write.row)]
    elif isinstance(write, CutMailbox):
        batch.delete_range(*mailbox_range(write.user, -1, write.upto))
    elif isinstance(write, DropMark):
        prefix = marks_device(write.user, write.sender, write.device)
        batch.delete_range(prefix, after(prefix))
    elif isinstance(write, DropUnit):
        for part in UNIT_PREFIXES:
            prefix = unit(part, write.user)
            batch.delete_range(prefix, after(prefix))
    else:
        raise BadRow(f"{type(write).__name__} is no write")
