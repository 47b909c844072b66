"""The server under measurement: `iris serve` as shipped, in a process of its own, on loopback with TLS.

Owns its data folder, certificate and process. Knows nothing of loads and figures.
"""

from __future__ import annotations

import base64
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import iris
from iris import _engine
from iris.bench.errors import BenchError

HOST = "127.0.0.1"
READY_S = 60.0
STOP_S = 30.0
QUIET_S = 10.0  # how long it may take to see that everybody left
LINES_KEPT = 40  # of what the server prints, for the error message
# What the server is told besides the defaults. The password profile and the log-in limit only make it quick to get
# thousands of users; neither is on the path that is measured.
LIMITS = {"logins_per_address_per_minute_max": 10_000_000}
FLAGS = ("--password-profile", "cheap", "--log-format", "json", "--log-level", "warning")


class BenchServer:
    """A server with a data folder of its own, gone with the block."""

    def __init__(self, folder: Path, limits: Mapping[str, int]) -> None:
        """`folder`: where the temporary data folder is made; it should be on a disk."""
        self.limits = {**LIMITS, **limits}
        self._parent = folder
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.admin = ""

    def __enter__(self) -> BenchServer:
        self._temporary = tempfile.TemporaryDirectory(prefix="iris-bench-", dir=self._parent)
        self.folder = Path(self._temporary.name)
        self.root, key = _engine.self_signed(HOST)
        (self.folder / "certificate.pem").write_text(pem("CERTIFICATE", self.root))
        (self.folder / "key.pem").write_text(pem("PRIVATE KEY", key))
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_S)
        self._temporary.cleanup()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """What is run."""
        words = [sys.executable, "-m", "iris", "serve", "--data", str(self.folder / "data")]
        words += ["--listen", f"{HOST}:{self.port}", *FLAGS]
        words += ["--tls-certificate", str(self.folder / "certificate.pem"), "--tls-key", str(self.folder / "key.pem")]
        for name, value in self.limits.items():
            words += ["--set", f"limits.{name}={value}"]
        return words

    def start(self) -> None:
        """Start and wait until it serves. Raises BenchError with what it printed when it does not."""
        self._process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            cwd=self.folder,  # no iris.toml there: nothing but the defaults
        )
        said: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, said), name="server output", daemon=True).start()
        self.port, self.admin = 0, ""
        while not (self.port and self.admin):
            try:
                line = said.get(timeout=READY_S)
            except queue.Empty:
                raise BenchError(f"iris serve did not serve within {READY_S:.0f} s", self.output) from None
            if line is None:
                raise BenchError(f"iris serve ended with {self._process.wait()}", self.output)
            if line.startswith("iris: ready on "):
                self.port = int(line.rpartition(":")[2])
            elif line.startswith("iris: admin on "):
                self.admin = line.split()[-1]

    def stop(self) -> None:
        """SIGTERM, and wait. Raises BenchError when it does not end cleanly."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"iris serve did not stop within {STOP_S:.0f} s", self.output) from None
        if code != 0:
            raise BenchError(f"iris serve ended with {code}", self.output)

    def wait_until_empty(self) -> None:
        """Until it has seen that everybody left. Raises BenchError."""
        deadline = time.monotonic() + QUIET_S
        while self.metrics().get("iris_sessions"):
            if time.monotonic() > deadline:
                raise BenchError(f"sessions are left {QUIET_S:.0f} s after all connections were closed", self.output)
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: its data stays, and `start` takes it up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    @property
    def output(self) -> str:
        """The last lines that it printed."""
        return "".join(self._lines)

    def metrics(self) -> dict[str, float]:
        """All of /metrics by name and labels as they stand there, such as iris_refused_total{code="SELF"}."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def _read(self, process: subprocess.Popen[str], said: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.append(line)
            said.put(line)
        said.put(None)


def environment() -> dict[str, str]:
    """Of the server: ours without settings of Iris, and with the code that we run.

    It starts in another folder, from which a relative PYTHONPATH would lead to other code than ours, such as the
    sources instead of what was compiled from them.
    """
    found = {key: value for key, value in os.environ.items() if not key.startswith("IRIS_")}
    ours = str(Path(iris.__file__).resolve().parents[1])
    found["PYTHONPATH"] = os.pathsep.join([ours, *filter(None, [found.get("PYTHONPATH")])])
    return found


def pem(label: str, der: bytes) -> str:
    """DER as the text that certificate files hold."""
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"
