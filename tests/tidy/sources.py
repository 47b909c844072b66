"""Which files the tidy tests look at. Works without git, so that it holds in an unpacked source archive too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "scripts", "engine", "protocol", "docs", "examples", "requirements", ".ci", "bench", "sim")
SUFFIXES = {".py", ".pyi", ".rs", ".md", ".toml", ".proto", ".sh", ".in", ".txt", ".c", ".h", ".lock", ""}
GENERATED = {"src/iris/core/catalogue.py", "src/iris_sdk/catalogue.py", "engine/src/catalogue.rs"}
HERE = Path(__file__).resolve().parent


def name_of(path: Path) -> str:
    """The path from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def is_generated(path: Path) -> bool:
    """Whether scripts/gen.py writes it."""
    name = name_of(path)
    return name in GENERATED or name.startswith("src/iris_sdk/_pb/")


@cache
def text_files() -> tuple[Path, ...]:
    """Every text file of the repository that people write or read."""
    top = [p for p in ROOT.iterdir() if p.is_file() and p.suffix in SUFFIXES and not p.name.startswith(".git")]
    deep = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in SUFFIXES and "__pycache__" not in path.parts and "target" not in path.parts
    ]
    return tuple(sorted(top + deep))


def code_files(*folders: str, suffix: str = ".py") -> Iterator[Path]:
    """Hand-written files of these top folders."""
    for path in text_files():
        if path.suffix == suffix and not is_generated(path) and path.relative_to(ROOT).parts[0] in folders:
            yield path


@cache
def text_of(path: Path) -> str:
    """A file's text."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(text_of(path), filename=str(path))
