"""The floor's relays in a process of their own, and that process: `python -m iris.bench.relay`.

“tcp” and “tls” are engine/src/floor.rs, “python” is the engine with the least Python behind it (python_relay.py),
“stored” that with the store behind it (stored_relay.py).

It ends when its standard input does; for each byte on it, it prints a line with its counters.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from iris import _engine
from iris.bench.errors import BenchError
from iris.bench.people import Person
from iris.bench.python_relay import PythonRelay
from iris.bench.server import HOST, pem
from iris.bench.stored_relay import StoredRelay

STOP_S = 30.0
Kind = Literal["tcp", "tls", "python", "stored"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Relay:
    """A relay, gone with the block."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        """folder: where one that stores makes its temporary folder."""
        self._kind = kind
        self._parent = folder
        self.port = 0
        self.root = b""
        self.output = ""  # it prints nothing but counters

    def __enter__(self) -> Relay:
        self.root, key = _engine.self_signed(HOST)
        identity = [None, None] if self._kind == "tcp" else [pem("CERTIFICATE", self.root), pem("PRIVATE KEY", key)]
        self._temporary = tempfile.TemporaryDirectory(prefix="iris-bench-", dir=self._parent)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "iris.bench.relay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say(json.dumps([self._kind, self._temporary.name, *identity]) + "\n")
        self.port = self._hear()["port"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self.stop()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._temporary.cleanup()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def done(self) -> dict[str, int]:
        """Its counters: messages, receipts, reads, writes, turns, and how many connections are open."""
        self._say("?")
        return self._hear()

    def wait_until_empty(self) -> None:
        """Until it has seen that everybody left."""
        deadline = time.monotonic() + STOP_S
        while self.done()["open"]:
            if time.monotonic() > deadline:
                raise BenchError(f"connections of the relay are open {STOP_S:.0f} s after all were closed")
            time.sleep(0.05)

    def stop(self) -> int:
        """End its standard input, and wait; its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(STOP_S)

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _hear(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the relay ended with {self._process.wait(STOP_S)}")
        told: dict[str, int] = json.loads(line)
        return told


def people(count: int) -> list[Person]:
    """Users whom the relay knows by their token, which numbers them; 2n and 2n + 1 are a pair."""
    tokens = [f"{number:016}" for number in range(count)]
    return [Person(token.encode(), token) for token in tokens]


def main() -> None:
    """Be the relay."""
    kind, folder, certificate, key = json.loads(sys.stdin.readline())

    def tell(what: str, numbers: dict[str, int]) -> None:
        sys.stdout.write(json.dumps(numbers) + "\n")
        sys.stdout.flush()

    control = sys.stdin.fileno()
    if kind == "python":
        PythonRelay(certificate.encode(), key.encode(), control, tell).run()
        return
    if kind == "stored":
        StoredRelay(certificate.encode(), key.encode(), control, tell, Path(folder)).run()
        return
    _engine.relay(
        host=HOST,
        certificate=None if certificate is None else certificate.encode(),
        key=None if key is None else key.encode(),
        control=control,
        tell=tell,
    )


if __name__ == "__main__":
    main()
