"""A SQLite connection that tells a damaged file as what it is to a person: a profile that cannot be read.

SQLite notices damage where it meets it, which may be at any row of any question.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from iris_sdk.errors import ProfileError

T = TypeVar("T")


class ProfileDamaged(ProfileError, sqlite3.DatabaseError):
    """SQLite refuses. Still one of its errors, for whoever looks for those."""


def told(work: Callable[..., T]) -> Callable[..., T]:
    """The same, with SQLite's errors as ProfileDamaged. Locks and constraints stay what they are."""

    def run(*arguments: Any) -> T:
        try:
            return work(*arguments)
        except (ProfileDamaged, sqlite3.IntegrityError):
            raise
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise
            raise ProfileDamaged(f"the profile cannot be read: {error}") from error
        except UnicodeDecodeError as error:  # of a damaged text, or of what SQLite says about a damaged name
            raise ProfileDamaged(f"the profile is damaged: {error}") from error

    return run


class Cursor(sqlite3.Cursor):
    """Its questions and rows."""

    execute = told(sqlite3.Cursor.execute)
    fetchone = told(sqlite3.Cursor.fetchone)
    fetchall = told(sqlite3.Cursor.fetchall)
    __next__ = told(sqlite3.Cursor.__next__)


class Database(sqlite3.Connection):
    """For sqlite3.connect(factory=...)."""

    def cursor(self, factory: Any = Cursor) -> Any:
        """A cursor that tells."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Ask at once."""
        cursor: sqlite3.Cursor = self.cursor().execute(sql, parameters)
        return cursor
