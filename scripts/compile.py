"""Compile the hot Python modules with mypyc: the same sources, typed, as C extensions. Into target/compiled.

    .venv/bin/python -m scripts.compile
    PYTHONPATH=target/compiled .venv/bin/iris serve

The tree is a copy of src/ with an extension module beside each compiled source; Python takes the extension first. What
is compiled behaves the same (tests/resilience/test_compiled.py compares traces), but its functions cannot be replaced
from outside: mutants and tests that patch run on src/. Exit code 3, with the reason, where there is no C compiler.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "compiled"
STAMP = OUT / ".stamp"
FOLDERS = ("iris/core", "iris/edge", "iris_sdk/core", "iris_sim", "iris_sim/judge")
FILES = (
    "iris/bench/python_relay.py", "iris/bench/stored_relay.py", "iris/fabric/local.py", "iris/fabric/port.py",
    "iris/shard/core.py", "iris/shard/edges.py", "iris/shard/inbox.py", "iris/shard/node.py", "iris/shard/trace.py",
    "iris/shard/upkeep.py", "iris/store/batches.py", "iris/store/checks.py", "iris/store/codec.py",
    "iris/store/contents.py", "iris/store/keys.py", "iris/store/memory_rows.py", "iris/store/rocks.py",
    "iris/store/witness.py", "iris_sdk/ids.py", "iris_sdk/rows.py", "iris_sdk/store.py",
)  # fmt: skip
# Left to the interpreter: what patches others, what is met once in a run, what inherits from list.
INTERPRETED = {
    "iris/core/tables.py", "iris_sim/command.py", "iris_sim/coverage.py", "iris_sim/observer.py",
    "iris_sim/report.py", "iris_sim/runs.py",
}  # fmt: skip
SETUP = """
from mypyc.build import mypycify
from setuptools import setup
options = ["--config-file", {config!r}, "--no-warn-unused-ignores"]
modules = mypycify([*{files!r}, *options], opt_level="{level}", debug_level="0", multi_file=True)
setup(name="iris-compiled", packages=[], ext_modules=modules)
"""


def modules() -> list[str]:
    """The sources to compile, relative to src/."""
    found = [
        str(path.relative_to(ROOT / "src"))
        for folder in FOLDERS
        for path in sorted((ROOT / "src" / folder).glob("*.py"))
        if path.name != "__init__.py" or folder == "iris_sim/judge"
    ]
    return [name for name in (*found, *FILES) if name not in INTERPRETED]


def fingerprint() -> str:
    """Of all that the tree is made from, and of the Python that can load it."""
    found = hashlib.sha256(str(sysconfig.get_config_var("SOABI")).encode())
    for path in (Path(__file__), *sorted((ROOT / "src").rglob("*"))):
        if path.is_file() and not {"__pycache__", "web_assets"} & set(path.parts):
            content = path.read_bytes()
            found.update(f"{path.relative_to(ROOT)} {len(content)} ".encode() + content)
    return found.hexdigest()


def is_current() -> bool:
    """Whether the tree is there and was made from the sources as they are."""
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def extensions() -> list[Path]:
    """What was compiled."""
    return sorted(path for path in OUT.rglob("*.so") if not path.name.startswith("_engine."))


def main() -> int:
    """Compile, unless the tree is current. Where nothing can be compiled, an old tree goes: it would be run unseen."""
    if is_current():
        return 0
    shutil.rmtree(OUT, ignore_errors=True)
    include = Path(sysconfig.get_paths()["include"]) / "Python.h"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or not include.exists():
        what = "C compiler (cc)" if compiler is None else f"Python.h ({include}; Debian: python3-dev)"
        print(f"iris: nothing is compiled, because there is no {what}; everything works without", file=sys.stderr)
        return 3
    made_from = fingerprint()
    print("iris: compiling the core (a few minutes)", flush=True)
    shutil.copytree(ROOT / "src", OUT, ignore=shutil.ignore_patterns("__pycache__", "web_assets"))
    setup = SETUP.format(files=modules(), config=str(ROOT / "pyproject.toml"), level=os.environ.get("OPT", "1"))
    (OUT / "setup.py").write_text(setup)
    (OUT / "iris" / "web_assets").symlink_to(ROOT / "src" / "iris" / "web_assets")  # may be built later
    log = ROOT / "target" / "compile.log"
    with log.open("wb") as out:
        command = [sys.executable, "setup.py", "build_ext", "--inplace", f"--parallel={os.cpu_count()}"]
        code = subprocess.run(command, cwd=OUT, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        print("".join(log.read_text().splitlines(keepends=True)[-30:]), file=sys.stderr)
        return 1
    for name in ("build", "setup.py", ".mypy_cache"):
        path = OUT / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    STAMP.write_text(made_from)
    return 0


if __name__ == "__main__":
    sys.exit(main())
