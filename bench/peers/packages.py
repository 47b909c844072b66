"""ejabberd from Debian's packages, unpacked into a folder of its own: nothing is installed, no root is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

PACKAGE = "ejabberd"
WAIT_S = 120.0  # for the download of about 30 MB


class Skipped(Exception):
    """The peer cannot be had here; the text says why."""


class PeerError(Exception):
    """The peer is there, and does not do what it should."""


class Packages(NamedTuple):
    """Where things lie in the unpacked packages."""

    root: Path
    version: str

    @property
    def erlang(self) -> Path:
        """Erlang's own folder."""
        return self.root / "usr/lib/erlang"

    def only(self, pattern: str) -> Path:
        """The one path that fits. Raises Skipped when the packages are laid out in another way."""
        found = sorted({path.resolve() for path in self.root.glob(pattern)})  # some are links to others
        if len(found) != 1:
            raise Skipped(f"the packages of {PACKAGE} {self.version} hold {len(found)} of {pattern}")
        return found[0]


def unpack(target: Path) -> Packages:
    """ejabberd and what it needs that is not installed, below `target`; what is there already is taken as it is.

    Raises Skipped.
    """
    there = sorted(target.glob(f"{PACKAGE}-*"))
    if there:
        return Packages(there[-1], there[-1].name.removeprefix(f"{PACKAGE}-"))
    version = _candidate()
    root = target / f"{PACKAGE}-{version}"
    fresh = target / "new"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "debs").mkdir(parents=True)
    planned = _run(["apt-get", "install", "--simulate", "--no-install-recommends", PACKAGE], target)
    names = re.findall(r"^Inst (\S+)", planned, re.MULTILINE) or [PACKAGE]
    _run(["apt-get", "download", *names], fresh / "debs")
    for package in sorted((fresh / "debs").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(fresh / "root")], target)
    (fresh / "root").rename(root)
    shutil.rmtree(fresh)
    return Packages(root, version)


def _candidate() -> str:
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise Skipped(f"there is no {tool}; {PACKAGE} comes from Debian's packages")
    found = re.search(r"Candidate: (\S+)", _run(["apt-cache", "policy", PACKAGE], Path("/")))
    if found is None or found[1] == "(none)":
        raise Skipped(f"apt knows no package {PACKAGE}")
    return found[1]


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skipped(f"{' '.join(command[:2])}: {error}") from error
    if done.returncode != 0:
        raise Skipped(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
