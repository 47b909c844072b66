"""The key ring: made once, kept safe, rotated without logging anyone out."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from iris.core.catalogue import ErrorCode
from iris.core.requests import Auth
from iris.core.tokens import LIFETIME_MS_MAX, issue, validate
from iris.http.keys import KEY_BYTES, KeyFileError, KeyRing
from tests.support.api import NOW


def a_token(ring: KeyRing, now_ms: int = NOW, lifetime_ms: int = LIFETIME_MS_MAX) -> str:
    kid, key = ring.current.kid, ring.current.key
    return issue(kid=kid, key=key, user=b"\0" * 16, device=1, gen=1, jti="j", now_ms=now_ms, lifetime_ms=lifetime_ms)[0]


def test_the_first_start_makes_keys_and_the_next_one_finds_them(tmp_path: Path) -> None:
    made, found = KeyRing.open(tmp_path, NOW), KeyRing.open(tmp_path, NOW + 1)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert found.signing == made.signing
    assert found.current == made.current
    assert found.refresh == made.refresh
    assert len(made.refresh) == len(made.current.key) == KEY_BYTES
    assert made.refresh != made.current.key
    other = KeyRing.open(tmp_path.joinpath("other").absolute().parent, NOW)
    assert other.current == made.current
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_two_folders_have_different_keys(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = [KeyRing.open(folder, NOW) for folder in folders]
    assert one.current.key != two.current.key
    assert one.refresh != two.refresh


def test_rotation_keeps_old_tokens_until_the_longest_has_expired(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    first = ring.current
    refresh = ring.refresh
    old = a_token(ring)
    kid = ring.rotate(NOW)
    assert ring.current.kid == kid != first.kid
    for each in (ring, KeyRing.open(tmp_path, NOW)):
        assert isinstance(validate(old, each.signing, NOW), Auth)
        assert isinstance(validate(a_token(each), each.signing, NOW), Auth)
        assert each.refresh == refresh

    end = NOW + LIFETIME_MS_MAX
    ring.rotate(end)  # the old token stands to its last moment, leeway included
    assert isinstance(validate(old, ring.signing, end + 59_999), Auth)
    ring.rotate(end + 120_000)
    assert first.kid not in ring.signing
    assert validate(old, ring.signing, NOW) is ErrorCode.TOKEN_INVALID
    assert len(ring.signing) == 3
    assert first.kid not in KeyRing.open(tmp_path, end).signing


def test_a_reader_keeps_a_whole_ring_while_it_is_rotated(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    before = ring.signing
    ring.rotate(NOW)
    assert len(before) == 1
    assert len(ring.signing) == 2
    with pytest.raises(TypeError):
        ring.signing["x"] = b""  # type: ignore[index]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    KeyRing.open(tmp_path, NOW)
    (tmp_path / "keys.json").chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        KeyRing.open(tmp_path, NOW)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:100],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace('"signing"', '"sign"'),
        lambda text: text.replace('"retired_at": 0', '"retired_at": 5'),
        lambda text: text.replace('"key": "', '"key": "AAAA'),
        lambda text: json.dumps({**json.loads(text), "refresh": ""}),
        lambda text: json.dumps({**json.loads(text), "signing": json.loads(text)["signing"] * 2}),
    ],
)
def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path, damage: object) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    path = tmp_path / "keys.json"
    before = damage(path.read_text())  # type: ignore[operator]
    path.write_text(before)
    with pytest.raises(KeyFileError, match="damaged") as caught:
        KeyRing.open(tmp_path, NOW)
    assert json.loads(json.dumps(str(caught.value))).find(ring.current.kid) == -1
    assert path.read_text() == before  # never replaced by new keys


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    KeyRing.open(tmp_path, NOW)
    path = tmp_path / "keys.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(KeyFileError, match="newer server"):
        KeyRing.open(tmp_path, NOW)


def test_a_link_is_not_followed_and_a_missing_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "keys.json").symlink_to("/dev/null")
    with pytest.raises(KeyFileError):
        KeyRing.open(tmp_path, NOW)
    with pytest.raises(KeyFileError, match="cannot be written"):
        KeyRing.open(tmp_path / "missing", NOW)


def test_a_rotation_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    before = ring.signing
    text = (tmp_path / "keys.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        ring.rotate(NOW)
    assert ring.signing == before
    assert (tmp_path / "keys.json").read_bytes() == text
    monkeypatch.undo()
    ring.rotate(NOW)  # the half-written file of before is not in the way
    assert KeyRing.open(tmp_path, NOW).signing == ring.signing


def test_keys_do_not_show(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    shown = repr(ring) + repr(ring.current) + f"{ring.current}"
    assert repr(ring.current.key) not in shown
    assert "\\x" not in shown
