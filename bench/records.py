"""What it takes to make what every message is made of, and nothing else: no look-up, no comparison, no decision.

    PYTHONPATH=target/compiled python -m bench.records        prints µs of CPU for each part

A message passes from part to part as records (docs/adr/0003 says why they are tuples), and becomes two rows. Five
of the records and most of the bytes are more than `iris bench floor --relay stored` makes, so rules that take no
time at all would still cost this much above that floor. Receipts and Acks are left out: several messages share one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from iris.bench.stored_relay import SLOTS, pack_mark, pack_mark_key, pack_message_key
from iris.core.commands import SendIn
from iris.core.frames import SEND, Send
from iris.core.mark import Outcome
from iris.core.rows import ROW_MESSAGE, MarkRow, MessageRow
from iris.store.codec import ENCODERS

AT: Final = 1_700_000_000_000
MESSAGES: Final = 20_000
ROUNDS: Final = 9
SENDER, RECEIVER, NAME, PAYLOAD = b"s" * 16, b"r" * 16, b"n" * 16, bytes(128)
WHERE = SENDER + RECEIVER
MESSAGE = MessageRow(RECEIVER, AT, ROW_MESSAGE, WHERE, SENDER, 1, NAME, AT, 0, PAYLOAD, 1, 0, 5_000, 5_000, 5_000)
MARK = MarkRow(RECEIVER, SENDER, 1, 0, 5_000, 1, 5_000, NAME, AT, AT, 0)
FRAME = (SEND, 7, WHERE, 1, 5_000, 5_000, NAME, 0, PAYLOAD, 1, 0)


def records(messages: int) -> None:
    """The five records between the engine's frame and the answers."""
    new = tuple.__new__
    for number in range(messages):
        seq = AT + number
        new(SendIn, (RECEIVER, 0, SENDER, 1, False, new(Send, FRAME)))
        new(
            MessageRow,
            (RECEIVER, seq, 1, WHERE, SENDER, 1, NAME, AT, 0, PAYLOAD, 1, 0, number, number, number),
        )
        new(Outcome, (1, number, NAME, seq, AT, 0))
        new(MarkRow, (RECEIVER, SENDER, 1, 0, number, 1, number, NAME, seq, AT, 0))


def rows(messages: int) -> None:
    """Keys and values of the two rows, as the server writes them."""
    encode_message, encode_mark = ENCODERS[MessageRow], ENCODERS[MarkRow]
    for _ in range(messages):
        encode_message(MESSAGE)
        encode_mark(MARK)


def rows_of_the_floor(messages: int) -> None:
    """The same as the floor writes them."""
    for number in range(messages):
        pack_message_key(b"M", WHERE[16:], AT)
        WHERE + PAYLOAD  # the value
        pack_mark_key(b"K", WHERE, number % SLOTS)
        pack_mark(NAME, AT)


def microseconds(work: Callable[[int], None]) -> float:
    """CPU for one message; the median of some rounds."""
    took = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        work(MESSAGES)
        took.append(time.thread_time() - started)
    return sorted(took)[ROUNDS // 2] * 1e6 / MESSAGES


def main() -> None:
    """Print it."""
    made, written, floor = microseconds(records), microseconds(rows), microseconds(rows_of_the_floor)
    sys.stdout.write(f"records of a message {made:.2f} µs, its rows {written:.2f}, the floor's rows {floor:.2f}\n")
    sys.stdout.write(f"so above the floor before a rule decides anything: {made + written - floor:.2f} µs\n")


if __name__ == "__main__":
    main()
