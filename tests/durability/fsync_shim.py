"""Builds the shim of fsync_shim.c and says how to preload it; see there for what it does."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("fsync_shim.c")


class Sync(NamedTuple):
    """One sync of a file."""

    call: str
    error: int  # errno; 0: it worked
    size: int  # bytes that the file had before
    file: str


@dataclass(frozen=True, slots=True)
class FsyncShim:
    """A built shim that is meant for the files below one folder."""

    library: Path
    folder: Path
    counts: Path
    control: Path

    def environment(self, *, delay_ms: int = 0, fail_at: int = 0, suffix: str = ".log") -> dict[str, str]:
        """What to add to the environment of the process whose syncs are meant."""
        preload = f"{self.library}:{os.environ['LD_PRELOAD']}" if os.environ.get("LD_PRELOAD") else str(self.library)
        return {
            "LD_PRELOAD": preload,
            "FSYNC_SHIM_DIR": f"{self.folder.resolve()}/",
            "FSYNC_SHIM_SUFFIX": suffix,
            "FSYNC_SHIM_DELAY_MS": str(delay_ms),
            "FSYNC_SHIM_FAIL_AT": str(fail_at),
            "FSYNC_SHIM_CONTROL": str(self.control),
            "FSYNC_SHIM_COUNT": str(self.counts),
        }

    def fail_next(self) -> None:
        """The next sync fails with EIO, once."""
        self.control.touch()

    def syncs(self) -> list[Sync]:
        """Every sync so far."""
        if not self.counts.exists():
            return []
        lines = [line.split(" ", 3) for line in self.counts.read_text(encoding="utf-8").splitlines()]
        return [Sync(call, int(error), int(size), os.path.basename(path)) for call, error, size, path in lines]


def build_fsync_shim(build: Path, folder: Path) -> FsyncShim:
    """Compile the shim into the folder `build` for files below `folder`."""
    library = build / "fsync_shim.so"
    if not library.exists():
        compiler = shutil.which(os.environ.get("CC", "cc"))
        assert compiler is not None, "a C compiler is needed: install one, or set CC"
        aside = build / f"fsync_shim.{os.getpid()}.so"
        subprocess.run(
            [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(aside), str(SOURCE), "-ldl"], check=True
        )
        aside.rename(library)
    return FsyncShim(library, folder, build / "fsync_counts", build / "fsync_fail_next")
