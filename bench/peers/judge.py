"""What pairs must see of each other: every message once and in order, every receipt once and in order."""

from __future__ import annotations


class Pair:
    """The counters of one pair; message n has the id n, from 1 on. `faults` says what was wrong."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent = self.delivered = self.receipted = 0
        self.faults: list[str] = []

    def on_message(self, message_id: int, body: bytes, wanted: bytes) -> None:
        """The receiver is given a message."""
        if message_id != self.delivered + 1:
            self._fault(f"message {message_id} came after {self.delivered}")
        if body != wanted:
            self._fault(f"message {message_id} has another body")
        self.delivered = message_id

    def on_receipt(self, message_id: int) -> None:
        """The sender is given a receipt."""
        if message_id != self.receipted + 1:
            self._fault(f"the receipt of {message_id} came after that of {self.receipted}")
        if message_id > self.delivered:
            self._fault(f"the receipt of {message_id} came before the message")
        self.receipted = message_id

    def ended(self) -> list[str]:
        """Everything that was wrong, when nothing is under way any more."""
        if not self.sent == self.delivered == self.receipted:
            self._fault(f"of {self.sent} sent {self.delivered} arrived, {self.receipted} with a receipt")
        return self.faults

    def _fault(self, what: str) -> None:
        if len(self.faults) < 3:
            self.faults.append(f"pair {self.number}: {what}")
