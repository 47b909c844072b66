"""House rules that a program can check. Each finding names file, line and what to do instead."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.sources import HERE, ROOT, code_files, is_generated, name_of, text_files, text_of, tree_of

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# What must not be written, and what is written instead. Files of this folder are exempt: they name what they forbid.
BANNED = {
    r"\b(TODO|FIXME|XXX|HACK)\b": "do it, or open an issue",
    r"\bmsg_?id\b": "message_id",
    r"\bconvo?\b|\bconversation_id\b": "conversation",
    r"\b(white|black)list": "allow list, deny list",
    r"\butcnow\b": "datetime.now(UTC)",
    r"except\s*:\s*$": "name the exception",
    r"# type: ignore(?!\[)": "name the error: type: ignore[code]",
    r"# noqa(?!: )": "name the rule: noqa: RULE",
    r"(?<![\w.-])/(work|root)(/|\b)|(\.\./|\W)shared/|\b(DESIGN|STYLE)(\.md| §)": "no machine path",
}


def findings(pattern: str, paths: list[Path]) -> list[str]:
    """file:line of every match."""
    rule = re.compile(pattern)
    return [
        f"{name_of(path)}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if rule.search(line)
    ]


@pytest.mark.parametrize(("pattern", "instead"), BANNED.items(), ids=list(BANNED.values()))
def test_no_banned_spelling(pattern: str, instead: str) -> None:
    paths = [p for p in text_files() if HERE not in p.parents and not is_generated(p) and p.name != "LICENSE"]
    assert findings(pattern, paths) == [], f"write instead: {instead}"


def sleeps(tree: ast.Module) -> list[int]:
    """Lines that wait for a time: time.sleep, or asyncio.sleep of anything but 0."""
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio")
        for alias in node.names
        if alias.name == "sleep"
    }
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        named = isinstance(called, ast.Name) and called.id in bare
        dotted = (
            isinstance(called, ast.Attribute)
            and called.attr == "sleep"
            and isinstance(called.value, ast.Name)
            and called.value.id in ("time", "asyncio")
        )
        turn = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        if (named or dotted) and not turn:
            lines.append(node.lineno)
    return lines


def test_no_test_sleeps() -> None:
    """A test waits for a condition with a deadline, never for a time to pass."""
    found = [f"{name_of(p)}:{line}" for p in code_files("tests") for line in sleeps(tree_of(p))]
    assert found == []


def test_sleep_finder_finds_sleeps() -> None:
    lines = ["import time, asyncio", "from time import sleep as nap", "time.sleep(0.1)", "nap(1)"]
    lines += ["asyncio.sleep(0)", "asyncio.sleep(x)"]
    assert sleeps(ast.parse("\n".join(lines))) == [3, 4, 6]


def test_no_file_is_too_long() -> None:
    paths = [
        *code_files("src", "tests", "scripts", "bench", "sim"),
        *code_files("engine", suffix=".rs"),
        *code_files("src", suffix=".pyi"),
    ]
    lengths = {name_of(p): len(text_of(p).splitlines()) for p in paths}
    assert {n: c for n, c in lengths.items() if c > FILE_LINES_MAX} == {}, f"split it: {FILE_LINES_MAX} lines at most"


def long_functions() -> dict[str, int]:
    """Functions above the limit, by file::name, with their lines."""
    found = {}
    for path in code_files("src", "tests", "scripts"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    found[f"{name_of(path)}::{node.name}"] = lines
    return found


def test_no_function_grows_past_the_limit() -> None:
    """A ratchet: long_functions.toml lists those that were longer; they may shrink, none may be added."""
    allowed: dict[str, int] = tomllib.loads(text_of(HERE / "long_functions.toml"))["functions"]
    found = long_functions()
    assert {n: c for n, c in found.items() if c > allowed.get(n, FUNCTION_LINES_MAX)} == {}, "make it shorter"
    assert {n: c for n, c in allowed.items() if found.get(n, 0) < c} == {}, "it shrank: lower or remove its entry"


def test_every_module_says_what_it_owns() -> None:
    """An empty __init__.py needs no docstring."""
    paths = [*code_files("src", "scripts", "tests", "bench", "sim"), *code_files("src", suffix=".pyi")]
    assert [name_of(p) for p in paths if text_of(p).strip() and not ast.get_docstring(tree_of(p))] == []


def test_every_rust_module_says_what_it_owns() -> None:
    paths = [p for p in code_files("engine", suffix=".rs") if p.name != "build.rs"]
    assert [name_of(p) for p in paths if not text_of(p).lstrip().startswith("//!")] == []


def test_only_the_command_line_prints() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in code_files("src")
        if not name_of(path).startswith("src/iris/cli")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == [], "log it (structlog), or hand it to the command line"


def test_pins_name_no_download_host() -> None:
    """A lock file that names one machine's mirror works on that machine only."""
    lock = text_of(ROOT / "Cargo.lock")
    assert set(re.findall(r'^source = "(.*)"$', lock, re.M)) <= {
        "registry+https://github.com/rust-lang/crates.io-index"
    }
    for path in (ROOT / "requirements").iterdir():
        assert re.findall(r"https?://|--index|--extra-index|--find-links|--trusted-host", text_of(path)) == [], (
            path.name
        )
    assert list(ROOT.rglob("pip.conf")) == []


def test_every_pin_has_hashes_and_meets_the_package() -> None:
    """requirements/run.txt holds everything that pyproject.toml asks for."""
    pins = text_of(ROOT / "requirements/run.txt")
    names = re.findall(r"^([a-z0-9-]+)==\S+ \\\n    --hash=sha256:", pins, re.M)
    assert len(names) == len(re.findall(r"^[A-Za-z]", pins, re.M))
    asked = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["dependencies"]
    wanted = {re.split(r"[<>=!\[ ;]", line)[0].lower() for line in asked}
    assert wanted <= set(names)


IMPORT_NAMES = {"argon2-cffi": "argon2", "pyjwt": "jwt", "protobuf": "google"}  # where it is not the package's own


def third_party(*folders: str) -> set[str]:
    """Top names that hand-written files import from outside the standard library and this repository."""
    names = set()
    for path in code_files(*folders):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.split(".")[0])
    ours = {"iris", "iris_sdk", "iris_sim", "iris_torture", "tests", "scripts", "sim", "bench"}
    return names - sys.stdlib_module_names - ours


def test_dependencies_are_what_is_imported() -> None:
    """Nothing works by the luck of being installed, and nothing is asked for that no file uses."""
    asked = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["dependencies"]
    packages = {re.split(r"[<>=!\[ ;]", line)[0].lower() for line in asked}
    assert third_party("src") == {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in packages}
    pinned = re.findall(r"^([a-z0-9-]+)==", text_of(ROOT / "requirements/dev.txt"), re.M)
    assert third_party("tests", "scripts") <= {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in pinned}


def test_one_version_everywhere() -> None:
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    assert tomllib.loads(text_of(ROOT / "engine/Cargo.toml"))["package"]["version"] == version
    assert f'__version__ = "{version}"' in text_of(ROOT / "src/iris/__init__.py")
    assert f"\n## [{version}]" in text_of(ROOT / "CHANGELOG.md")


def pages() -> list[Path]:
    """Every Markdown page."""
    return [p for p in text_files() if p.suffix == ".md"]


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{name_of(page)}: {link}"
        for page in pages()
        for link in re.findall(r"\]\(([^)\s#]+)", text_of(page))
        if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()
    ]
    assert broken == []


def test_tests_named_in_pages_exist() -> None:
    """Invariants and recipes name their test as `tests/…py::test_name` or `tests/…py`."""
    missing = []
    for page in pages():
        for file, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text_of(page)):
            path = ROOT / file
            if not path.is_file() or (test and not re.search(rf"def {test}\b", text_of(path))):
                missing.append(f"{name_of(page)}: {file}::{test}")
    assert missing == []
