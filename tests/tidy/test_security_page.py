"""docs/security.md and docs/guarantees.md name tests that exist; the first names every file of tests/security."""

from __future__ import annotations

import ast
import re

from tests.tidy.sources import ROOT, text_of

PAGE = text_of(ROOT / "docs/security.md")
GUARANTEES = text_of(ROOT / "docs/guarantees.md")
TEST = r"`(tests/[\w/]+\.py)(?:::(\w+))?`"
NAMED = re.findall(TEST, PAGE)


def names_of(path: str) -> set[str]:
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions) and node.name.startswith("test_")}


def test_every_test_that_the_pages_name_exists() -> None:
    named = NAMED + re.findall(TEST, GUARANTEES)
    assert len(named) > 50
    missing = [path for path, _ in named if not (ROOT / path).is_file()]
    assert missing == []
    missing = [f"{path}::{name}" for path, name in named if name and name not in names_of(path)]
    assert missing == []


def test_every_promise_is_hunted() -> None:
    rows = {line.split("|")[1].strip(): line for line in GUARANTEES.splitlines() if re.match(r"\| P\d", line)}
    assert list(rows) == [f"P{number}" for number in range(1, 11)]
    assert [name for name, row in rows.items() if not re.search(TEST, row)] == ["P10"], "P10 is not built yet"


def test_every_security_test_file_is_named() -> None:
    files = {f"tests/security/{path.name}" for path in (ROOT / "tests/security").glob("test_*.py")}
    assert files - {path for path, _ in NAMED} == set()


def test_every_row_of_an_attack_has_a_test() -> None:
    """A table with a column "test" says by which test in each row."""
    bare = []
    with_tests = False
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            with_tests = False
        elif line.rstrip(" |").endswith("| test"):
            with_tests = True
        elif with_tests and "---" not in line and not re.search(r"`tests/[\w/]+\.py", line):
            bare.append(line)
    assert bare == []
