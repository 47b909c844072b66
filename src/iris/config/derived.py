"""What follows from the settings: relations that must hold, and values computed from others.

Each relation says why it is needed, because the message is all that an operator sees.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass

from iris.config.model import Settings
from iris.core.catalogue import Limits

OFFLINE_SHOWN_MS = 30_000  # a client that vanishes is offline for its contacts within this time
LINK_CODE_LONGEST_MS = 300_000  # a code lies open on a screen
FRAME_OVERHEAD_BYTES = 1024  # a Send or Deliver without its payload
FILES_BASE = 1024  # RocksDB's tables, the log, listeners, admin connections
FILES_PER_PIPE = 2  # the client's socket and the one to the API

# (holds, what must hold and why)
RELATIONS: tuple[tuple[Callable[[Limits], bool], str], ...] = (
    (
        lambda it: it.ping_interval_ms < it.idle_timeout_ms,
        "limits.ping_interval_ms must be less than limits.idle_timeout_ms:"
        " a quiet connection is asked before it is taken for dead",
    ),
    (
        lambda it: it.idle_timeout_ms + it.offline_grace_ms < OFFLINE_SHOWN_MS,
        f"limits.idle_timeout_ms and limits.offline_grace_ms together must stay below {OFFLINE_SHOWN_MS}:"
        " who vanishes is shown offline within that time",
    ),
    (
        lambda it: it.lease_renew_ms * 2 < it.lease_ms,
        "limits.lease_renew_ms must be less than half of limits.lease_ms: one lost renewal must not pause sessions",
    ),
    (
        lambda it: it.payload_bytes_max + FRAME_OVERHEAD_BYTES <= it.message_bytes_max,
        f"limits.payload_bytes_max must be at least {FRAME_OVERHEAD_BYTES} below limits.message_bytes_max:"
        " a Send must fit into a message",
    ),
    (
        lambda it: it.token_bytes_max + FRAME_OVERHEAD_BYTES <= it.message_bytes_max,
        f"limits.token_bytes_max must be at least {FRAME_OVERHEAD_BYTES} below limits.message_bytes_max:"
        " a Hello must fit into a message",
    ),
    (
        lambda it: it.message_bytes_max <= it.send_queue_bytes_max,
        "limits.send_queue_bytes_max must be at least limits.message_bytes_max: one message is not a slow client",
    ),
    (
        lambda it: it.message_bytes_max <= it.bytes_per_second_max * 2,
        "limits.bytes_per_second_max must be at least half of limits.message_bytes_max:"
        " the largest message must fit into a burst",
    ),
    (
        lambda it: it.payload_bytes_max <= it.deliver_window_bytes,
        "limits.deliver_window_bytes must be at least limits.payload_bytes_max: the largest message must be delivered",
    ),
    (
        lambda it: it.payload_bytes_max + FRAME_OVERHEAD_BYTES <= it.commit_bytes_max,
        f"limits.commit_bytes_max must be at least {FRAME_OVERHEAD_BYTES} above limits.payload_bytes_max:"
        " the largest message must be stored",
    ),
    (
        lambda it: it.payload_bytes_max <= it.mailbox_bytes_max,
        "limits.mailbox_bytes_max must be at least limits.payload_bytes_max: the largest message must be stored",
    ),
    (
        lambda it: it.mailbox_rows_max <= it.mailbox_lag_rows_max,
        "limits.mailbox_lag_rows_max must be at least limits.mailbox_rows_max:"
        " a user with one device loses nothing that the quota allows",
    ),
    (
        lambda it: it.message_days <= it.mark_days,
        "limits.mark_days must be at least limits.message_days: a resend is recognised as long as messages are kept",
    ),
    (
        lambda it: it.message_days <= it.device_days,
        "limits.device_days must be at least limits.message_days: messages wait for every linked device",
    ),
    (
        lambda it: it.link_code_ms <= LINK_CODE_LONGEST_MS,
        f"limits.link_code_ms must not be above {LINK_CODE_LONGEST_MS}: who sees a link code could use it later",
    ),
    (
        lambda it: it.outbox_window <= it.outbox_rows_max,
        "limits.outbox_window must not be above limits.outbox_rows_max: the window is part of the outbox",
    ),
    (
        lambda it: it.reconnect_first_ms <= it.reconnect_max_ms,
        "limits.reconnect_first_ms must not be above limits.reconnect_max_ms: the delay grows from one to the other",
    ),
)


def problems(settings: Settings) -> list[str]:
    """Every relation that does not hold, one line each with the fix; empty when all do."""
    found = []
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        found.append("tls_certificate and tls_key belong together: give both, or neither for plaintext on loopback")
    for name in ("tls_certificate", "tls_key"):
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            found.append(f"{name}: there is no file {path}; give the path of a PEM file")
    if settings.acme and settings.tls_certificate is not None:
        found.append("acme and tls_certificate exclude each other: give one of them")
    if settings.acme_ca is not None and not settings.acme_ca.is_file():
        found.append(f"acme_ca: there is no file {settings.acme_ca}; give the path of a PEM file")
    if settings.tls_certificate is None and not settings.acme:
        found += [
            f"listen: {address} can be reached from outside, and there is no certificate; "
            f"give --tls-certificate and --tls-key, or --acme NAME, or listen on 127.0.0.1:{address.port}"
            for address in settings.listen
            if not address.is_loopback
        ]
    if settings.password_profile == "cheap" and not settings.is_loopback:
        found.append("password_profile: cheap is for tests on loopback; use full, or listen on 127.0.0.1")
    fixed = [address for address in settings.listen if address.port]
    if len(set(fixed)) != len(fixed):
        found.append("listen: an address is given twice; name each once")
    return found + [text for holds, text in RELATIONS if not holds(settings.limits)]


def files_need(settings: Settings) -> int:
    """Open files that the limits allow the server to use."""
    return FILES_BASE + settings.limits.connections_max + settings.limits.pipes_max * FILES_PER_PIPE


@dataclass(frozen=True, slots=True)
class FileLimit:
    """The process's limit of open files, after it was raised."""

    soft: int
    need: int
    connections_wanted: int

    @property
    def connections(self) -> int:
        """Connections that fit."""
        return max(0, self.soft - (self.need - self.connections_wanted))

    @property
    def shortfall(self) -> str | None:
        """One line when the limit is lower than what the settings may need; None when it is enough."""
        if self.soft >= self.need:
            return None
        return (
            f"the limit of open files is {self.soft}: {self.connections} of limits.connections_max"
            f" {self.connections_wanted} connections fit; raise it to {self.need} (ulimit -Hn, LimitNOFILE=)"
        )


def raise_file_limit(settings: Settings) -> FileLimit:
    """Raise the soft limit of open files to the hard one and say how far it reaches."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):
            pass  # some systems refuse what they call the hard limit; the shortfall says what is left
    need = files_need(settings)
    return FileLimit(
        soft=need if soft == resource.RLIM_INFINITY else soft,
        need=need,
        connections_wanted=settings.limits.connections_max,
    )
