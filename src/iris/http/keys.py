"""The key ring: signing keys of access tokens and the key that derives refresh secrets, in one file.

Rotation makes a new signing key current at once. The one before it stays valid for checking until the longest token
it can have signed has expired, so nobody is logged out. The refresh key is never rotated: a refresh that is repeated
after a lost answer must derive the same secret again, else the shard would take it for theft and log the device out.

The file is written beside its place, fsynced and renamed, with mode 0600; a file that others may read is refused,
because whoever reads it can be anybody.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from iris.core.tokens import LEEWAY_MS, LIFETIME_MS_MAX

KEY_BYTES = 32
FILE_NAME = "keys.json"
_VERSION = 1
_FILE_BYTES_MAX = 1 << 20
_KEEP_RETIRED_MS = LIFETIME_MS_MAX + 2 * LEEWAY_MS  # the longest token, and clocks that differ both ways


class KeyFileError(Exception):
    """The key file cannot be used; the text says why and what to do."""


class SigningKey(NamedTuple):
    """One key of HS256. Times are ms since 1970; retired_at is 0 for the current key."""

    kid: str
    key: bytes
    created_at: int
    retired_at: int

    def __repr__(self) -> str:
        return f"SigningKey({self.kid!r})"


@dataclass(frozen=True)
class _Ring:
    current: SigningKey
    signing: Mapping[str, bytes]
    all: tuple[SigningKey, ...]
    refresh: bytes


class KeyRing:
    """The keys in use. Readers always see one whole ring; `rotate` swaps it for the next one."""

    def __init__(self, path: Path, ring: _Ring) -> None:
        self._path = path
        self._ring = ring

    @classmethod
    def open(cls, folder: Path, now_ms: int) -> KeyRing:
        """The ring of a data folder; at first start its keys are made.

        Raises KeyFileError when the file is damaged, of a newer version, somebody else's or readable by others.
        """
        path = folder / FILE_NAME
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            made = _ring((_new_key(now_ms),), secrets.token_bytes(KEY_BYTES))
            _write(path, made)
            return cls(path, made)
        except OSError as error:
            raise KeyFileError(f"{path}: {error.strerror}") from error
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid():
                raise KeyFileError(f"{path} belongs to another user: whoever wrote it knows the keys")
            if found.st_mode & 0o077:
                raise KeyFileError(
                    f"{path} may be read by others (mode {found.st_mode & 0o777:04o}): chmod 600 it if nobody has, "
                    "else delete it: all must log in again, and nobody can make their tokens"
                )
            raw = file.read(_FILE_BYTES_MAX)
        return cls(path, _parse(path, raw))

    @property
    def current(self) -> SigningKey:
        """The key that new tokens are signed with."""
        return self._ring.current

    @property
    def signing(self) -> Mapping[str, bytes]:
        """Every key a token may be signed with, by kid. Ask anew for every check: rotation replaces it."""
        return self._ring.signing

    @property
    def refresh(self) -> bytes:
        """The key that refresh secrets are derived with."""
        return self._ring.refresh

    def rotate(self, now_ms: int) -> str:
        """Make a new key current and forget keys no living token can be signed with; the new kid.

        The file is durable before the new key is used. Raises KeyFileError when it cannot be
        written; then nothing changed.
        """
        kept = tuple(
            key._replace(retired_at=key.retired_at or now_ms)
            for key in self._ring.all
            if not key.retired_at or key.retired_at + _KEEP_RETIRED_MS > now_ms
        )
        ring = _ring((*kept, _new_key(now_ms)), self._ring.refresh)
        _write(self._path, ring)
        self._ring = ring
        return ring.current.kid

    def __repr__(self) -> str:
        return f"KeyRing({str(self._path)!r}, {len(self._ring.all)} keys)"


def _new_key(now_ms: int) -> SigningKey:
    return SigningKey(secrets.token_urlsafe(9), secrets.token_bytes(KEY_BYTES), now_ms, 0)


def _ring(keys: tuple[SigningKey, ...], refresh: bytes) -> _Ring:
    (current,) = (key for key in keys if not key.retired_at)
    return _Ring(current, MappingProxyType({key.kid: key.key for key in keys}), keys, refresh)


def _text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def _bytes(text: object) -> bytes:
    key = base64.b64decode(str(text), altchars=b"-_", validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return key


def _parse(path: Path, raw: bytes) -> _Ring:
    try:
        content = json.loads(raw)
        version = content["version"]
        if version == _VERSION:
            keys = tuple(
                SigningKey(str(row["kid"]), _bytes(row["key"]), int(row["created_at"]), int(row["retired_at"]))
                for row in content["signing"]
            )
            if len({key.kid for key in keys}) != len(keys):
                raise ValueError("a kid is there twice")
            return _ring(keys, _bytes(content["refresh"]))
    except (ValueError, KeyError, TypeError) as error:
        # Never the parser's own words: they may quote the file.
        raise KeyFileError(
            f"{path} is damaged ({type(error).__name__}): restore it; without it everybody must log in again"
        ) from None
    raise KeyFileError(f"{path} has version {version!r}, this server knows {_VERSION}: start a newer server")


def _write(path: Path, ring: _Ring) -> None:
    content = {
        "version": _VERSION,
        "signing": [
            {"kid": key.kid, "key": _text(key.key), "created_at": key.created_at, "retired_at": key.retired_at}
            for key in ring.all
        ],
        "refresh": _text(ring.refresh),
    }
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)  # left by a crash; made anew so that its mode is ours
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
