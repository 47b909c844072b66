"""Logging: what a line looks like and what may never be in one.

An event is a stable word (`store_opened`), its details are key=value. Text on a terminal, else one JSON object a line,
always on stderr, so that stdout is for scripts. Payloads, tokens and passwords are cut out by key wherever they stand
and tokens also by their shape, so that one thoughtless log call does not leak.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

HIDDEN = "[hidden]"
# Parts of key names whose values are never logged.
SECRET_KEYS = (
    "payload", "token", "password", "secret", "authorization", "cookie", "text", "body", "content", "key", "nonce",
    "refresh",
)  # fmt: skip
# Keys that hold one of these parts and are harmless.
OPEN_KEYS = frozenset(
    {"content_type", "content_length", "key_id", "kid", "payload_bytes", "body_bytes", "token_lifetime_s"}
)
# header.claims.signature, and the refresh tokens of the API
_TOKEN = re.compile(r"eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|\br1\.[\w-]+\.\d+\.[\w-]+")
_PASSWORD = re.compile(r"\$argon2\w*\$\S+")
VALUE_LENGTH_MAX = 2000


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hide secrets by key, cut them out of texts, and name bytes only by their length."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if key != "event" and key not in OPEN_KEYS and any(part in key.lower() for part in SECRET_KEYS):
        return HIDDEN
    if isinstance(value, str):
        cut = _PASSWORD.sub(HIDDEN, _TOKEN.sub(HIDDEN, value))
        return cut if len(cut) <= VALUE_LENGTH_MAX else cut[:VALUE_LENGTH_MAX] + "…"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {name: _redacted(str(name), part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", part) for part in value]
    return value if value is None or isinstance(value, bool | int | float) else _redacted("", repr(value))


def configure(
    level: str = "info", format: Literal["auto", "text", "json"] = "auto", stream: TextIO | None = None
) -> None:
    """Set up logging for the process: structlog and the standard library's loggers print alike to `stream` (stderr)."""
    stream = stream or sys.stderr
    text = format == "text" or (format == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if text else "iso", utc=not text),
        structlog.processors.format_exc_info,
        redact,
    ]
    last: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=24)
        if text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    threshold = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.root.handlers[:] = [handler]
    # Libraries talk of requests and headers at info; only what went wrong in them is ours to tell.
    logging.root.setLevel(max(threshold, logging.WARNING))


def logger(**details: object) -> Any:
    """A logger whose lines carry `details`."""
    return structlog.get_logger(**details)
