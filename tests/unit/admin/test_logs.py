"""Logs: what a line holds and what never reaches one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from iris import logs

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
REFRESH = "r1.01ars41ars41ars41ars41ars4.7." + "x" * 43


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_event_level_and_time() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream)
    logs.logger(part="store").info("store_opened", rows=3)
    logs.logger().debug("too_small")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["part"], line["rows"]) == ("store_opened", "info", "store", 3)
    assert str(line["timestamp"]).endswith("Z")


def test_text_is_one_readable_line() -> None:
    stream = io.StringIO()
    logs.configure("info", "text", stream)
    logs.logger().warning("fsync_slow", seconds=0.4)
    assert stream.getvalue().count("\n") == 1
    assert "fsync_slow" in stream.getvalue()
    assert "seconds=0.4" in stream.getvalue()


def test_secrets_never_come_through() -> None:
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    log = logs.logger()
    log.info("a", payload=b"hush", access_token="hush", password="hush", text="hush", signing_key="hush", nonce="hush")
    log.info("b", headers={"Authorization": "hush", "x": [f"Bearer {JWT}"]}, frame=("hello", b"hush"))
    log.info("c", url=f"/v1?t={JWT}", why=f"refused {REFRESH}", stored="$argon2id$v=19$m=65536,t=3,p=4$hush$hush")
    log.info(f"d {JWT}", problem=ValueError(f"cannot read {JWT}"))
    logging.getLogger("library").error("failed with %s", JWT)
    try:
        raise ValueError(REFRESH)
    except ValueError:
        log.exception("e")
    text = stream.getvalue()
    assert len(lines(stream)) == 6
    assert "hush" not in text
    assert JWT not in text
    assert "xxxxx" not in text


def test_harmless_keys_with_secret_sounding_names_stay() -> None:
    assert logs.redact(None, "", {"payload_bytes": 5, "kid": "k1", "content_type": 1}) == {
        "payload_bytes": 5,
        "kid": "k1",
        "content_type": 1,
    }


def test_a_value_is_cut_off_when_it_is_long() -> None:
    assert len(logs.redact(None, "", {"detail": "x" * 10_000})["detail"]) == logs.VALUE_LENGTH_MAX + 1
