"""The catalogue is sound, what follows from it is committed, and every row of it is proven by a test.

Proven means: a test outside this folder names it. For errors and closes as `ErrorCode.X`, `CloseCode.X` or "X" (with
the enum where both have the name); and some source names each metric. What is not proven yet stands in unproven.toml,
which only shrinks.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from iris.core import catalogue as server
from iris_sdk import catalogue as sdk
from scripts import gen
from tests.tidy.sources import HERE, ROOT, code_files, text_of

UNPROVEN: dict[str, list[str]] = tomllib.loads(text_of(HERE / "unproven.toml"))


def test_generated_files_are_committed_as_they_are() -> None:
    assert gen.stale(gen.outputs()) == []


def test_server_and_sdk_have_the_same_catalogue() -> None:
    assert server.Limits() == server.Limits(**{name: info.default for name, info in server.LIMITS.items()})
    assert list(map(tuple, server.ERRORS.values())) == list(map(tuple, sdk.ERRORS.values()))
    assert list(map(tuple, server.CLOSES.values())) == list(map(tuple, sdk.CLOSES.values()))
    assert list(map(tuple, server.LIMITS.values())) == list(map(tuple, sdk.LIMITS.values()))


def test_every_code_has_its_row() -> None:
    assert {(c.name, c.value) for c in server.ErrorCode} == {(i.name, i.code) for i in server.ERRORS.values()}
    assert {(c.name, c.value) for c in server.CloseCode} == {(i.name, i.code) for i in server.CLOSES.values()}


# --- the generator refuses a broken catalogue ---
ERRORS_TOML, LIMITS_TOML = (ROOT / "protocol/errors.toml").read_text(), (ROOT / "protocol/limits.toml").read_text()
Change = Callable[[str, str], tuple[str, str]]


def in_errors(old: str, new: str) -> Change:
    """A catalogue with one replacement in errors.toml."""
    assert old in ERRORS_TOML, old
    return lambda errors, limits: (errors.replace(old, new, 1), limits)


def in_limits(old: str, new: str) -> Change:
    """A catalogue with one replacement in limits.toml."""
    assert old in LIMITS_TOML, old
    return lambda errors, limits: (errors, limits.replace(old, new, 1))


BROKEN: dict[str, Change] = {
    "code 1001 is taken by STREAM_STALE": in_errors("code = 1002", "code = 1001"),
    "codes of errors are 1000-1999": in_errors("code = 1002", "code = 2002"),
    "the name is retired": in_errors("[retired.error]\n", "[retired.error]\nSELF = 1999\n"),
    "code 1008 is taken by retired OLD": in_errors("[retired.error]\n", "[retired.error]\nOLD = 1008\n"),
    "retry is one of": in_errors('retry = "gap"', 'retry = "perhaps"'),
    "an http answer and an http status go together": in_errors("http = 429\n", ""),
    "only a Send has an outcome": in_errors('answers = ["frame"]\n', 'answers = ["frame"]\noutcome = true\n'),
    "unknown colour": in_errors("outcome = true", 'colour = "red"'),
    "4000-4499 reconnect, 4500-4999 do not": in_errors("code = 4512", "code = 4012"),
    "no error or close reason is called TOO_SMALL": in_limits('answer = "TOO_BIG"', 'answer = "TOO_SMALL"'),
    "the default is a whole number above 0": in_limits("default = 131072", "default = 0"),
    "unit is one of": in_limits('unit = "ms"', 'unit = "s"'),
    "where is one of": in_limits('where = "edge"', 'where = "moon"'),
    "at_limit is one of": in_limits('at_limit = "pause"', 'at_limit = "wait"'),
    "metric is iris_": in_limits('metric = "iris_closed_total"', 'metric = "closed"'),
    "scope missing": in_limits('scope = "WebSocket message, all fragments"\n', ""),
}


@pytest.mark.parametrize(("words", "change"), BROKEN.items(), ids=list(BROKEN))
def test_a_broken_catalogue_is_refused(words: str, change: Change, tmp_path: Path) -> None:
    errors, limits = change(ERRORS_TOML, LIMITS_TOML)
    (tmp_path / "errors.toml").write_text(errors)
    (tmp_path / "limits.toml").write_text(limits)
    with pytest.raises(gen.CatalogueError, match=re.escape(words)):
        gen.load(tmp_path)


# --- every row is proven ---
@cache
def text_of_tests() -> str:
    """All tests but the tidy ones, and the Rust tests."""
    python = [text_of(p) for p in code_files("tests") if HERE not in p.parents]
    rust = []
    for path in code_files("engine", suffix=".rs"):
        text = text_of(path)
        rust.append(text if "tests" in path.parts or path.stem.endswith("tests") else text.partition("#[cfg(test)]")[2])
    return "\n".join(python + rust)


@cache
def text_of_sources() -> str:
    """All hand-written sources of server, SDK and engine."""
    return "\n".join(text_of(p) for p in [*code_files("src"), *code_files("engine", suffix=".rs")])


def is_proven(kind: str, name: str) -> bool:
    """Whether a test names this error, close code or limit, or a source this metric."""
    if kind == "metrics":
        return re.search(rf"\b{name.removesuffix('_total')}(_total)?\b", text_of_sources()) is not None
    if kind == "limits":
        return re.search(rf"\b{name}\b", text_of_tests()) is not None
    enum, module = ("ErrorCode", "error") if kind == "errors" else ("CloseCode", "close")
    spellings = [rf"\b{enum}\.{name}\b", rf"\b{module}::{name}\b"]
    if name not in server.ErrorCode.__members__ or name not in server.CloseCode.__members__:
        spellings.append(rf"[\"']{name}[\"']")
    return any(re.search(spelling, text_of_tests()) for spelling in spellings)


ROWS = {
    "errors": sorted(c.name for c in server.ErrorCode),
    "closes": sorted(c.name for c in server.CloseCode),
    "limits": sorted(server.LIMITS),
    "metrics": sorted({info.metric for info in server.LIMITS.values()} - {"(sdk)"}),
}


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_is_proven(kind: str) -> None:
    missing = [name for name in ROWS[kind] if not is_proven(kind, name) and name not in UNPROVEN[kind]]
    assert missing == [], "write a test that names it (a metric: count it somewhere)"


@pytest.mark.parametrize("kind", ROWS)
def test_the_list_of_unproven_rows_shrinks(kind: str) -> None:
    done = [name for name in UNPROVEN[kind] if name not in ROWS[kind] or is_proven(kind, name)]
    assert done == [], "proven by now: python -m tests.tidy.unproven takes it out"
