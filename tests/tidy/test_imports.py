"""Imports point one way: core <- {wire, store, fabric} <- {edge, shard, http} <- app <- cli.

Read from the syntax trees, so that imports inside functions and for type checking count too.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.tidy.sources import ROOT, code_files, is_generated, name_of, text_files, tree_of

# Which parts of iris each part may import, besides itself. A new part needs a row: say where it stands.
PORTS = {"core", "wire", "store", "fabric"}
SHELLS = {"edge", "shard", "http"}
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "wire": {"core", "_engine"},
    "store": {"core", "_engine"},
    "fabric": {"core"},
    "edge": PORTS,
    "shard": PORTS,
    "http": PORTS | {"connection"},
    "config": {"core"},
    "certificates": {"config", "logs"},
    "connection": set(),
    "logs": {"core"},
    "metrics": PORTS,
    "admin": PORTS | {"config", "connection", "logs", "metrics"},
    "observe": PORTS | SHELLS | {"metrics"},
    "app": PORTS | SHELLS | {"certificates", "config", "logs", "metrics", "admin", "observe"},
    "__main__": {"cli"},
    "bench": {"core", "config", "store", "wire", "_engine"},  # the store to fill a closed one, wire for a floor
    "capacity": set(),
    "cli": PORTS | SHELLS | {"bench", "capacity", "certificates", "config", "logs", "metrics", "admin", "app"},
}
USES_SDK = {"bench", "cli"}  # the only parts of iris that may import iris_sdk
# What a core would have to do without in the simulator: clocks, chance, files, sockets, tasks, logs, the environment.
IMPURE = {
    "asyncio", "concurrent", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib", "uuid",
}  # fmt: skip
PURE_FILES = (
    "src/iris/core/", "src/iris/capacity/model", "src/iris/capacity/report", "src/iris_sdk/core",
    "src/iris_torture/facts", "src/iris_torture/judge", "src/iris_torture/trend",
)  # fmt: skip
# Libraries that only one part may know, so that another can take their place.
OWNED = {"rocksdict": {"store"}, "fastapi": {"http"}, "starlette": {"http"}, "jwt": {"http"}, "typer": {"cli"},
         "textual": {"cli"}, "acme": {"certificates"}, "cryptography": {"certificates"}, "josepy": {"certificates"},
         "requests": {"certificates"}}  # fmt: skip


def imports_of(tree: ast.Module, package: str) -> set[str]:
    """Absolute names of everything imported anywhere in a file of `package`, type-checking blocks included."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def package_of(path: Path) -> str:
    """The dotted package that holds a file under src/."""
    return ".".join(path.relative_to(ROOT / "src").parent.parts)


def part_of(dotted: str) -> str:
    """The part of iris that a dotted name lies in; "" for iris itself. cli.py, cli_send.py and cli/ are one part."""
    parts = dotted.split(".")
    part = parts[1] if len(parts) > 1 else ""
    family = part.split("_")[0]
    return family if family in ("cli", "admin") else part


def server_files() -> list[tuple[Path, str]]:
    """Hand-written files of iris with their part."""
    files = [p for p in code_files("src") if name_of(p).startswith("src/iris/")]
    dotted = [".".join(p.relative_to(ROOT / "src").with_suffix("").parts) for p in files]
    return [(p, part_of(d)) for p, d in zip(files, dotted, strict=True) if part_of(d) != "__init__"]


def test_every_part_has_its_row() -> None:
    assert {part for _, part in server_files()} <= MAY_IMPORT.keys()


def test_imports_point_one_way() -> None:
    wrong = []
    for path, part in server_files():
        for name in imports_of(tree_of(path), package_of(path)):
            if name.split(".")[0] != "iris":
                continue
            target = part_of(name)
            if target not in MAY_IMPORT[part] | {part, "", "__version__", "is_compiled"}:
                wrong.append(f"{name_of(path)} imports {name}")
    assert wrong == []


def test_core_imports_only_the_standard_library_and_itself() -> None:
    wrong = []
    for path, part in server_files():
        if part == "core":
            tops = {name.split(".")[0] for name in imports_of(tree_of(path), package_of(path))}
            wrong += [f"{name_of(path)} imports {t}" for t in tops if t != "iris" and t not in sys.stdlib_module_names]
    assert wrong == []


def test_pure_files_read_no_clock_disk_or_chance() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in code_files("src")
        if name_of(path).startswith(PURE_FILES)
        for name in imports_of(tree_of(path), package_of(path))
        if name.split(".")[0] in IMPURE
    ]
    assert wrong == []


def test_the_sdk_knows_nothing_of_the_server() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in code_files("src")
        if name_of(path).startswith("src/iris_sdk/")
        for name in imports_of(tree_of(path), package_of(path))
        if name.split(".")[0] == "iris"
    ]
    assert wrong == []


def test_the_black_box_checker_knows_only_the_sdk() -> None:
    """`iris torture` judges any server: what it would import of one would be believed and not checked."""
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in code_files("src")
        if name_of(path).startswith("src/iris_torture/")
        for name in imports_of(tree_of(path), package_of(path))
        if name.split(".")[0] not in {"iris_sdk", "iris_torture"} | sys.stdlib_module_names
    ]
    assert wrong == []


def test_the_simulator_stands_on_iris_and_the_sdk_and_only_its_command_knows_it() -> None:
    wrong = []
    for path in code_files("src"):
        inside = name_of(path).startswith("src/iris_sim/")
        for name in imports_of(tree_of(path), package_of(path)):
            top = name.split(".")[0]
            if inside and top not in {"iris", "iris_sdk", "iris_sim"} | sys.stdlib_module_names:
                wrong.append(f"{name_of(path)} imports {name}")
            if top == "iris_sim" and not inside and name_of(path) != "src/iris/cli/root.py":
                wrong.append(f"{name_of(path)} imports {name}")
    assert wrong == []


def test_only_the_outside_uses_the_sdk() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path, part in server_files()
        for name in imports_of(tree_of(path), package_of(path))
        if name.split(".")[0] == "iris_sdk" and part not in USES_SDK
    ]
    assert wrong == []


def test_nothing_shipped_imports_tests_or_sim() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in code_files("src", "scripts")
        for name in imports_of(tree_of(path), package_of(path) if "src" in path.parts else "")
        if name.split(".")[0] in ("tests", "sim", "bench", "conftest")
    ]
    assert wrong == []


def test_libraries_stay_behind_their_part() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path, part in server_files()
        for name in imports_of(tree_of(path), package_of(path))
        if part not in OWNED.get(name.split(".")[0], {part})
    ]
    assert wrong == []


def test_only_one_rust_file_knows_python() -> None:
    """Everything else builds, tests and fuzzes without Python. build.rs and lib.rs may name the feature."""
    files = [p for p in text_files() if p.suffix == ".rs" and not is_generated(p)]
    assert [name_of(p) for p in files if "pyo3" in p.read_text(encoding="utf-8") and p.name != "python.rs"] == []


def test_relative_imports_are_read_right() -> None:
    tree = ast.parse("from . import ids\nfrom ..store.port import Store\nimport os.path")
    assert imports_of(tree, "iris.core") == {"iris.core.ids", "iris.store.port.Store", "os.path"}
