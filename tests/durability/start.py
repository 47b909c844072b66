"""Starts the writer (writer.py) as a process of its own, on the store as shipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.shipped import shipped_path

ROOT = Path(__file__).resolve().parents[2]


def start_writer(path: Path, commits: int, rows: int = 1, **environment: str) -> subprocess.Popen[str]:
    """A running writer with piped output; `environment` is added to ours."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.durability.writer", str(path), str(commits), str(rows)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*shipped_path(), f"{ROOT}/src"]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
