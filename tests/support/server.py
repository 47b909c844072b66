"""A real Iris server in a process of its own, for end-to-end tests: `iris serve`, as shipped, on a free port.

A `module` of its own replaces functions: it runs the sources (see shipped.py).
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.shipped import shipped_path

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
STOP_S = 30.0


@dataclass
class Server:
    """One data folder and the process that serves it. `start` again after `kill` or `stop`: the port stays the same."""

    data: Path
    flags: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)  # as for --set
    environment: Mapping[str, str] = field(default_factory=dict)
    certificate: tuple[Path, Path] | None = None
    port: int = 0
    module: str = "iris"  # what is run: python -m MODULE serve …
    process: subprocess.Popen[str] | None = None
    prefix: Sequence[str] = ()  # a command that runs it, such as ("prlimit", "--fsize=1000000")
    lines: list[str] = field(default_factory=list)  # everything it printed

    @property
    def url(self) -> str:
        """For `iris login --server`, the SDK and httpx."""
        return f"https://localhost:{self.port}" if self.certificate else f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The WebSocket address."""
        return self.url.replace("http", "ws", 1) + "/v1/connect"

    def command(self) -> list[str]:
        """What is run."""
        words = [
            *self.prefix,
            sys.executable,
            "-m",
            self.module,
            "serve",
            "--data",
            str(self.data),
            "--listen",
            f"127.0.0.1:{self.port}",
        ]
        words += ["--password-profile", "cheap", "--log-format", "json", *self.flags]
        if self.certificate:
            words += ["--tls-certificate", str(self.certificate[0]), "--tls-key", str(self.certificate[1])]
        for name, value in self.settings.items():
            words += ["--set", f"{name}={value}"]
        return words

    def start(self) -> Server:
        """Start and wait until it serves; fails with what it printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("IRIS_")}
        before = shipped_path() if self.module == "iris" else ()
        environment["PYTHONPATH"] = os.pathsep.join(
            [*before, str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        )
        environment |= self.environment
        self.process = subprocess.Popen(
            self.command(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=self.data.parent,
        )
        waiting: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, waiting), daemon=True).start()
        while (line := waiting.get(timeout=READY_S)) is not None:
            if line.startswith("iris: ready on "):
                self.port = int(line.rstrip().rpartition(":")[2])
                return self
        raise AssertionError(f"iris serve ended with {self.process.wait()}:\n" + "".join(self.lines[-40:]))

    def _read(self, process: subprocess.Popen[str], waiting: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)
            waiting.put(line)
        waiting.put(None)

    def kill(self) -> None:
        """kill -9, now."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def restart(self) -> None:
        """kill -9 and start on the same port."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Whatever state it is in: end it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_S)


@contextmanager
def serving(data: Path, **options: object) -> Iterator[Server]:
    """A running server that is ended with the block."""
    server = Server(data, **options)  # type: ignore[arg-type]
    try:
        yield server.start()
    finally:
        server.close()
