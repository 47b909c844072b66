"""What is read from outside: whatever it holds, there is a value or a clear error, never another exception."""

from __future__ import annotations

import contextlib
import os
import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from iris.config.load import ConfigError, load
from iris.core import ids, tokens
from iris.core.catalogue import ErrorCode
from iris_sdk import ids as sdk_ids
from iris_sdk import schema
from iris_sdk._pb import content_pb2
from iris_sdk.address import parse_server
from iris_sdk.content import ALGORITHM, CONTENT_TYPE, decode_text, encode_text
from iris_sdk.errors import ProfileError
from iris_sdk.profile import profile_info
from iris_sdk.store import Reader, Writer
from tests.support.world import KEY, KID

some = settings(
    max_examples=int(os.environ.get("IRIS_FUZZ_EXAMPLES", "300")), deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
ME, BOB = b"A" * 16, b"B" * 16
words = st.text(st.characters(exclude_categories=["Cs"]))
urls = st.one_of(
    words,
    st.builds(
        "{}://{}:{}{}".format,
        st.sampled_from(["http", "https", "ws", "wss", "ftp", ""]),
        st.one_of(st.sampled_from(["localhost", "127.0.0.1", "[::1]", "[", "]", "[::1", "a@b", "", "℀"]), words),
        st.one_of(st.integers(-1, 70_000), words),
        st.one_of(st.sampled_from(["", "/", "?x", "#y"]), words),
    ),
)


# --- payloads ---
@some
@given(st.binary(max_size=60), st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, 2))
def test_a_payload_is_a_text_or_something_else(payload: bytes, content_type: int, alg: int) -> None:
    for kind in (content_type, CONTENT_TYPE):
        text = decode_text(payload, kind, alg)
        assert text is None or isinstance(text, str)


@some
@given(words)
def test_a_text_comes_out_as_it_went_in(text: str) -> None:
    payload = encode_text(text)
    assert decode_text(payload, CONTENT_TYPE, ALGORITHM) == text
    later = content_pb2.Content.FromString(payload).SerializeToString() + b"\xf8\x07\x01"  # with a field of a later one
    assert decode_text(later, CONTENT_TYPE, ALGORITHM) == text


# --- addresses, ids, tokens ---
@some
@given(urls)
@example("http://[")
@example("https://℀.example")
def test_an_address_is_one_or_is_refused(url: str) -> None:
    with contextlib.suppress(ProfileError):
        address = parse_server(url)
        assert 0 < address.port <= 65_535
        assert parse_server(address.api_url) == address
        assert address.tls or address.loopback


@some
@given(st.one_of(words, st.text("0123456789abcdefghjkmnpqrstvwxyzoilu", min_size=26, max_size=26)))
def test_a_user_id_is_read_alike_by_server_and_sdk(text: str) -> None:
    found: list[bytes | None] = []
    for read, write in ((ids.user_from_text, ids.user_text), (sdk_ids.user_from_text, sdk_ids.user_text)):
        try:
            user = read(text)
        except ValueError:
            found.append(None)
        else:
            found.append(user)
            assert read(write(user)) == user
    assert found[0] == found[1]


@some
@given(st.one_of(words, st.text("abcxyzABC019_.@", min_size=1, max_size=35)))
def test_a_handle_is_read_alike_by_server_and_sdk(text: str) -> None:
    found: list[str | None] = []
    for read in (ids.normal_handle, sdk_ids.normal_handle):
        try:
            handle = read(text)
            found.append(handle)
            assert read(handle) == handle
        except ValueError:
            found.append(None)
    assert found[0] == found[1]


@some
@given(st.one_of(words, st.lists(st.binary(max_size=30), min_size=1, max_size=4)), st.integers(0, 1 << 62))
def test_a_token_that_nobody_signed_is_refused(said: str | list[bytes], now: int) -> None:
    token = said if isinstance(said, str) else ".".join(tokens._encode(part) for part in said)
    assert isinstance(tokens.validate(token, {KID: KEY}, now, 60_000), ErrorCode)


# --- settings ---
values = st.one_of(st.integers(-(1 << 70), 1 << 70), st.booleans(), words, st.floats(allow_nan=True), st.none())


@some
@given(
    st.dictionaries(st.one_of(st.sampled_from(["data", "listen", "limits", "tls_key", "num_shards"]), words), values)
)
def test_settings_are_good_or_every_fault_is_told(flags: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        load(flags)


@some
@given(content=st.one_of(st.binary(max_size=80), words.map(str.encode)))
@example(content=b"limits = 1")
@example(content=b"[limits]\npayload_bytes_max = 1e400")
@example(content=b"[[limits]]")
@example(content=b"[limits]\npayload_bytes_max = {}")
def test_a_configuration_file_is_good_or_told_to_be_wrong(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "iris.toml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigError):
        load({}, path)
        tomllib.loads(content.decode())


# --- profiles ---
def a_profile(folder: Path) -> bytes:
    """A profile with some history; the bytes of its file."""
    db = schema.connect(folder, create=True)
    writer = Writer(db)
    about = {"user": ME, "device": 1, "server": "https://a.example", "handle": "ada", "ca_file": None}
    talk = sdk_ids.direct_conversation(ME, BOB)
    texts: list[tuple[bytes, str | None]] = [(encode_text("x" * 50), "x" * 50) for _ in range(60)]
    writer.transact([lambda w: w.set_meta(**about), lambda w: w.enqueue(talk, texts, 1, 1_000)])
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    return (folder / schema.FILE).read_bytes()


def read_all(folder: Path) -> None:
    """Everything that a command reads."""
    info = profile_info(folder)
    assert info is not None
    reader = Reader(schema.connect(folder))
    try:
        reader.load()
        reader.outbox_after(0)
        reader.history(None, 0, 1_000)
        reader.changes(0, 1_000)
        reader.screen(sdk_ids.direct_conversation(ME, BOB), 100)
    finally:
        reader.close()


def test_a_damaged_profile_gives_a_clear_error(tmp_path: Path) -> None:
    whole = a_profile(tmp_path)
    read_all(tmp_path)
    chance = random.Random(int(os.environ.get("IRIS_FUZZ_SEED", "1")))
    refused = 0
    for _ in range(int(os.environ.get("IRIS_FUZZ_EXAMPLES", "300"))):
        bytes_now = bytearray(whole)
        match chance.randrange(3):
            case 0:
                del bytes_now[chance.randrange(len(whole)) :]
            case 1:
                place = chance.randrange(len(whole))
                bytes_now[place : place + 64] = chance.randbytes(64)
            case _:
                for _ in range(200):
                    bytes_now[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        for path in tmp_path.glob(f"{schema.FILE}*"):
            path.unlink()
        (tmp_path / schema.FILE).write_bytes(bytes_now)
        try:
            read_all(tmp_path)
        except ProfileError:
            refused += 1
    assert refused > 50, "the damage does not reach what is read"


def test_what_is_no_profile_is_told_so(tmp_path: Path) -> None:
    (tmp_path / schema.FILE).write_bytes(b"hello")
    with pytest.raises(ProfileError, match="damaged or not a profile"):
        profile_info(tmp_path)
