"""An ext4 file system on a disk that can lose its power (cache_disk.py), for a server's data folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZE = 256 << 20
NO_DISK = "a power cut needs root, /dev/fuse, a loop device and mkfs.ext4: none of it is simulated"
TOOLS = ("losetup", "mkfs.ext4", "mount", "umount")


def why_not() -> str | None:
    """The reason why no such disk can be made here; None when it can."""
    able = os.geteuid() == 0 and os.path.exists("/dev/fuse") and os.path.exists("/dev/loop-control")
    if not able or not all(shutil.which(tool) for tool in TOOLS):
        return NO_DISK
    return None if _free_loop() else NO_DISK


def _free_loop() -> bool:
    return subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode == 0


def run(*words: object) -> str:
    """A command that must work."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr or done.stdout}"
    return done.stdout.strip()


@dataclass
class Cut:
    """What a power cut left: bytes that no flush had followed, and how many of those were kept all the same."""

    unflushed: int
    survived: int


@dataclass
class PowerDisk:
    """One disk; `on` mounts what it holds, `cut` takes the power away, `on` again shows what is left."""

    folder: Path
    size: int = SIZE
    process: subprocess.Popen[str] | None = None
    device: str = ""
    mounted: bool = False
    _made: bool = field(default=False, init=False)

    @property
    def image(self) -> Path:
        """What is on the platter."""
        return self.folder / "disk.img"

    @property
    def top(self) -> Path:
        """Where the file system is seen."""
        return self.folder / "mnt"

    def on(self) -> Path:
        """Power on; returns the mounted folder."""
        fuse = self.folder / "fuse"
        for folder in (fuse, self.top):
            folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.cache_disk", str(fuse), str(self.image), str(self.size)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()
        self.device = run("losetup", "--show", "-f", fuse / "disk")
        if not self._made:
            run(
                "mkfs.ext4",
                "-q",
                "-F",
                "-m",
                "0",
                "-E",
                "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                self.device,
            )
            self._made = True
        run("mount", "-t", "ext4", "-o", "data=ordered", self.device, self.top)
        self.mounted = True
        return self.top

    def _answer(self) -> dict[str, int]:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the disk has ended"
        found: dict[str, int] = json.loads(line)
        return found

    def say(self, *words: object) -> None:
        """A command to the disk, see cache_disk.py."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def cut(self, seed: int, style: str) -> Cut:
        """The power goes now."""
        self.cut_at(seed, style, 0)
        return self.was_cut()

    def cut_at(self, seed: int, style: str, flushes: int) -> None:
        """The power goes in the middle of that flush from now; `was_cut` waits for it."""
        self.say("cut", seed, style, flushes)

    def was_cut(self) -> Cut:
        """Wait for the cut."""
        found = self._answer()
        return Cut(found["unflushed"], found["survived"])

    def fail(self, failing: bool = True) -> None:
        """From now on every flush fails with EIO, or works again."""
        self.say("fail" if failing else "heal")
        self._answer()

    def abort(self) -> None:
        """The file system goes read-only under everybody's hands, as ext4 does when it meets an error."""
        run("mount", "-o", "remount,abort", self.top)

    def fill(self) -> None:
        """No block is left; `free` gives them back."""
        with open(self.top / "filler", "wb") as filler:
            at, step = 0, self.size
            while step >= 1024:
                try:
                    os.posix_fallocate(filler.fileno(), at, step)
                    at += step
                except OSError:
                    step //= 2

    def free(self) -> None:
        """Undo `fill`."""
        (self.top / "filler").unlink()

    def off(self) -> None:
        """Take everything down, whatever state it is in; what was not flushed after a cut is gone."""
        if self.mounted:
            subprocess.run(["umount", str(self.top)], capture_output=True, check=False)
            self.mounted = os.path.ismount(self.top)
            assert not self.mounted, f"somebody still uses {self.top}"
        if self.device:
            subprocess.run(["losetup", "-d", self.device], capture_output=True, check=False)
            self.device = ""
        subprocess.run(["umount", str(self.folder / "fuse")], capture_output=True, check=False)
        if self.process is not None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(10)
            self.process = None

    def __enter__(self) -> PowerDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.off()
