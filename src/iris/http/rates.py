"""Rate counters per handle, address and user, in a table of bounded size.

A minute's allowance may be used at once; it comes back evenly over a minute.

Each row is one number (GCRA): the time at which all that was spent will be forgiven. When the table is full the row
touched longest ago goes, so a counter may be forgotten but the table never grows. Nothing here reads a clock:
`now_ms` is given.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from enum import Enum

from iris.core.catalogue import Limits

_MINUTE_MS = 60_000
ADDRESSES_PER_USER = 8


class Rate(Enum):
    """What is counted; the value is the limit's name."""

    LOGIN_OF_HANDLE = "logins_per_handle_per_minute_max"  # failed log-ins
    LOGIN_FROM_ADDRESS = "logins_per_address_per_minute_max"  # log-ins and registrations
    LOOKUP_BY_USER = "lookups_per_user_per_minute_max"


class RateTable:
    """How much of each limit was used in the last minute."""

    def __init__(self, limits: Limits) -> None:
        self._per_minute = {rate: int(getattr(limits, rate.value)) for rate in Rate}
        self._rows_max = limits.rate_table_rows_max
        self._forgiven_at: OrderedDict[tuple[Rate, str], float] = OrderedDict()

    @property
    def rows(self) -> int:
        """Rows in use (iris_http_rate_rows)."""
        return len(self._forgiven_at)

    def spend(self, rate: Rate, key: str, now_ms: int) -> int:
        """Take one; 0 when it was there, else the ms until there is one again (and nothing was taken)."""
        per_minute = self._per_minute[rate]
        if per_minute < 1:
            return _MINUTE_MS
        # A row from the future (the clock was set back) is cut: nobody waits longer than a minute.
        used_until = min(max(self._forgiven_at.get((rate, key), 0), now_ms), now_ms + _MINUTE_MS)
        next_until = used_until + _MINUTE_MS / per_minute
        wait = next_until - (now_ms + _MINUTE_MS)
        if wait > 0.5:  # ms; sixty thousandths do not add up exactly
            return math.ceil(wait - 0.5)
        self._put((rate, key), next_until)
        return 0

    def give_back(self, rate: Rate, key: str) -> None:
        """Undo one `spend`: it was not what the limit counts."""
        until = self._forgiven_at.get((rate, key))
        if until is not None:
            self._forgiven_at[rate, key] = until - _MINUTE_MS / self._per_minute[rate]

    def _put(self, row: tuple[Rate, str], until: float) -> None:
        self._forgiven_at[row] = until
        self._forgiven_at.move_to_end(row)
        if len(self._forgiven_at) > self._rows_max:
            self._forgiven_at.popitem(last=False)


class Familiar:
    """From which addresses a user has shown the right password or refresh token; kept in memory only.

    Of each user the newest ADDRESSES_PER_USER, of at most `users_max` users: the one heard of longest ago goes.
    """

    def __init__(self, users_max: int) -> None:
        self._users_max = users_max
        self._addresses: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def note(self, user: bytes, address: str) -> None:
        """The user has shown from this address who it is."""
        others = [other for other in self._addresses.get(user, ()) if other != address]
        self._addresses[user] = (*others, address)[-ADDRESSES_PER_USER:]
        self._addresses.move_to_end(user)
        if len(self._addresses) > self._users_max:
            self._addresses.popitem(last=False)

    def knows(self, user: bytes, address: str) -> bool:
        """Whether the user has been there."""
        return address in self._addresses.get(user, ())


def address_key(host: str | None) -> str:
    """The key of a client's address. One IPv6 network of 64 bits counts as one: a single customer has all of it."""
    if host is None:
        return "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
