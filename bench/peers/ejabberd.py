"""ejabberd on loopback, with TLS and its own data folder, gone with the block.

Accounts and offline messages are in Mnesia on disk, as Debian configures it. What would slow it down and is not needed
is left out: shapers, archive, roster pushes, logs. One Erlang node without distribution: nothing listens besides XMPP.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from bench.peers.packages import PACKAGE, Packages, PeerError
from iris import _engine
from iris.bench.server import HOST, pem

DOMAIN = "localhost"
PASSWORD = "peer"  # of everybody: the server is on loopback, and gone after the run
READY_S = 60.0
STOP_S = 20.0
READY = "users are there"
NO_SPINNING = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")  # idle schedulers would look busy
CONFIGURATION = """\
hosts: [{domain}]
loglevel: error
certfiles: ["{folder}/identity.pem"]
auth_method: internal
auth_password_format: plain
listen:
  - {{port: {port}, ip: "{host}", module: ejabberd_c2s, tls: true, access: all, shaper: none, max_stanza_size: 262144}}
modules:
  mod_offline: {{access_max_user_messages: all}}
  mod_roster: {{}}
"""
ACKS = "  mod_stream_mgmt: {}\n"  # XEP-0198
REGISTER = (
    "{{ok, _}} = application:ensure_all_started(ejabberd), [case ejabberd_auth:try_register(list_to_binary("
    '"u" ++ integer_to_list(N)), <<"{domain}">>, <<"{password}">>) of ok -> ok; {{error, exists}} -> ok end '
    '|| N <- lists:seq(0, {last})], io:format("{ready}~n")'
)


class Ejabberd:
    """A server with `users` users: u0, u1, …"""

    def __init__(self, packages: Packages, folder: Path, users: int, *, acks: bool = False) -> None:
        """folder: where its temporary data goes; on a disk. acks: it can tell a client what it has taken (XEP-0198)."""
        self.name = f"{PACKAGE} {packages.version}"
        self.port = _free_port()
        self._packages = packages
        self._parent = folder
        self._users = users
        self._modules = ACKS if acks else ""

    def __enter__(self) -> Ejabberd:
        self._temporary = tempfile.TemporaryDirectory(prefix="iris-peer-", dir=self._parent)
        self.folder = Path(self._temporary.name)
        self.root, key = _engine.self_signed(HOST)
        (self.folder / "identity.pem").write_text(pem("CERTIFICATE", self.root) + pem("PRIVATE KEY", key))
        text = CONFIGURATION.format(domain=DOMAIN, folder=self.folder, port=self.port, host=HOST)
        (self.folder / "ejabberd.yml").write_text(text + self._modules)
        self._process: subprocess.Popen[bytes] | None = None
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

    def start(self) -> None:
        """Start on its folder, as it is, and wait until it serves. Raises PeerError."""
        with (self.folder / "output.log").open("w") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._wait(self._process)

    def kill(self) -> None:
        """SIGKILL: its data stays, and `start` takes it up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    @property
    def pid(self) -> int:
        """Of the Erlang machine, in which all of it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """The last lines that it printed."""
        return (self.folder / "output.log").read_text(errors="replace")[-2000:]

    def _command(self) -> list[str]:
        erlexec = self._packages.only("usr/lib/erlang/erts-*/bin/erlexec")
        beams = self._packages.only("usr/lib/*/ejabberd-[0-9]*/ebin/ejabberd.beam").parent
        register = REGISTER.format(domain=DOMAIN, password=PASSWORD, last=self._users - 1, ready=READY)
        return [
            str(erlexec), *NO_SPINNING, "-noinput", "-boot", "start_clean", "-pa", str(beams), "-mnesia", "dir",
            f'"{self.folder}/mnesia"', "-eval", register,
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        erlexec = self._packages.only("usr/lib/erlang/erts-*/bin/erlexec")
        libraries = [str(path) for path in self._packages.root.glob("usr/lib/*-linux-gnu*")]
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "ROOTDIR": str(self._packages.erlang),
            "BINDIR": str(erlexec.parent), "EMU": "beam", "PROGNAME": "erl", "LD_LIBRARY_PATH": ":".join(libraries),
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
        }  # fmt: skip

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_S
        while READY not in self.output:
            if process.poll() is not None:
                raise PeerError(f"{self.name} does not start here: {self.output}")
            if time.monotonic() > deadline:
                raise PeerError(f"{self.name} was not ready after {READY_S:.0f} s: {self.output}")
            time.sleep(0.1)

    def _clean_up(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._temporary.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
