"""The composition root: builds every part from the settings, starts them in order, stops them in order.

Order of start: data folder and store, keys, shards, API, engines, then the doors are open and `on_ready` is called.
Stop is the reverse: clients are told to go away, what was accepted is committed, the store is closed. When the
store fails nothing more is said to anyone and the process ends at once with EXIT_STORE_FAILED; a restart recovers
what is durable.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from iris import __version__, is_compiled, observe
from iris.admin import AdminServer, measure_lag
from iris.admin_socket import AdminError, AdminSocket
from iris.certificates import Certificates, Identity, spelled
from iris.config import Settings
from iris.core.catalogue import LIMITS
from iris.core.ids import invite_unit, user_text
from iris.core.requests import CreateInvite, Done
from iris.core.rows import NodeRow
from iris.core.turn import Now
from iris.edge.edge import Edge
from iris.edge.sessions import EdgeSettings
from iris.edge.shell import EdgeShell
from iris.fabric.local import LocalFabric
from iris.http.api import create_api
from iris.http.keys import KeyRing
from iris.http.passwords import Argon2Profile, Passwords
from iris.http.server import ApiServer
from iris.http.service import ApiSettings
from iris.http.web import PACKAGED, read_files
from iris.logs import logger
from iris.metrics import Metrics, NodeStats
from iris.shard import upkeep
from iris.shard.authority import NodeAuthority
from iris.shard.node import ShardNode
from iris.store import StoreError, open_store
from iris.store.port import Store
from iris.wire.engine import EnginePort, open_engine

EXIT_STORE_FAILED = 3
# Nothing on the way of a message, a log-in or a request is cyclic (tests/unit/core/test_garbage.py), so the collector
# looks only at what is new, after so much more was made than freed: more than the trace keeps, so that messages alone
# never make it run (a pass takes some 40 ms). What is older it never looks at: a million users would take 20 s.
GC_NEVER = 1_000_000_000
GC_THRESHOLDS = (50_000, GC_NEVER, GC_NEVER)
# For `sys.setswitchinterval`: how long the event loop waits for the interpreter while another Python thread runs (a
# backup, a password, the store's helper). The default, 5 ms, is several times a commit.
SWITCH_INTERVAL_S = 0.0005
log = logger(part="node")


class Clock:
    """The time of the process: monotonic ms since its start, wall ms, and the expiry horizon."""

    def __init__(self, horizon: upkeep.Horizon) -> None:
        self._start = time.monotonic_ns()
        self._horizon = horizon

    def __call__(self) -> Now:
        mono = (time.monotonic_ns() - self._start) // 1_000_000
        wall = time.time_ns() // 1_000_000
        return Now(mono, wall, self._horizon.move(mono, wall))


def serve(settings: Settings, *, on_ready: Callable[[str, str], None]) -> int:
    """Run a node until SIGTERM or SIGINT; the exit code.

    on_ready: called once with the public URL and the admin URL, when clients can connect. Raises StoreError,
    KeyFileError, ConfigError or OSError when it cannot start.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(str(settings.data / "store"), num_shards=settings.num_shards)
    try:
        failure = asyncio.run(Node(settings, store).run(on_ready))
    except BaseException:
        store.close()
        raise
    if failure is not None:
        log.critical("store_failed", error=str(failure))
        # Not a clean exit: closing the store would write again, after a failed sync.
        os._exit(EXIT_STORE_FAILED)
    store.close()
    return 0


class Node:
    """One node with every role."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.engines: list[EnginePort] = []
        self.edges: list[EdgeShell] = []
        self._http_refused: Counter[str] = Counter()
        self._failure: StoreError | None = None
        self.audit = upkeep.Audit()
        self._ready = False
        self._identity: Identity | None = None

    async def run(self, on_ready: Callable[[str, str], None]) -> StoreError | None:
        """Serve until a signal or a failure of the store; the failure."""
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            await self._start()
            on_ready(self.url, self._admin_url)
            self._ready = True
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            await self._stop.wait()
        finally:
            self._ready = False
            if self._failure is None:
                await self._shut_down()
        return self._failure

    @property
    def url(self) -> str:
        """Where clients connect."""
        address = self.settings.listen[0]._replace(port=self.engines[0].port)
        return f"{self.settings.scheme}://{address}"

    @property
    def public_url(self) -> str:
        """Where clients elsewhere connect: by the name in the certificate, where an authority gives one."""
        port = self.engines[0].port
        return f"wss://{self.settings.acme[0]}:{port}" if self.settings.acme else self.url

    async def _start(self) -> None:
        settings, limits = self.settings, self.settings.limits
        wall = time.time_ns() // 1_000_000
        stored = await self.store.node_value(upkeep.HORIZON)
        self.horizon = upkeep.Horizon(stored, wall, limits.message_days, settings.horizon_pace)
        self.clock = Clock(self.horizon)
        self.keys = KeyRing.open(settings.data, wall)
        self.metrics = Metrics(
            engine_stats=self._engine_stats, store_stats=self.store.stats, node_stats=self._node_stats
        )
        self.fabric = LocalFabric()
        self.node = ShardNode(
            self.store, self.fabric, limits, self.clock, self._fail, self.metrics.sync_seconds.observe
        )
        self.fabric.bind_node(self.node)
        if stored is None:  # before any other row: without it a later start would trust its own clock
            self.node.turn.write(NodeRow(upkeep.HORIZON, self.horizon.value))
            self.node.receive([])
            await self.node.settle()
        self.authority = NodeAuthority(self.node, limits)
        self.passwords = Passwords(
            Argon2Profile(settings.password_profile), limits.password_hashes_max, limits.password_hashes_waiting_max
        )
        self._app = create_api(
            authority=self.authority,
            keys=self.keys,
            passwords=self.passwords,
            settings=ApiSettings(
                version=__version__,
                registration=settings.registration,
                home_region=settings.home_region,
                access_token_ms=settings.token_lifetime_s * 1000,
                leeway_ms=settings.clock_leeway_s * 1000,
                fingerprint=lambda: spelled(self._fingerprint),
            ),
            limits=limits,
            clock=lambda: time.time_ns() // 1_000_000,
            on_refused=self._on_http_refused,
            web=read_files(PACKAGED),
        )
        self._api = ApiServer(self._app, settings.data / "api.sock", limits)
        self._admin_socket = AdminSocket(settings.data, self._admin_handlers())
        self._admin = AdminServer(
            settings.admin, metrics=self.metrics.text, unhealthy=self._unhealthy, unready=self._unready
        )
        self._tasks: list[asyncio.Task[None]] = []
        await self._api.start()
        await self._admin_socket.start()
        self._admin_url = await self._admin.start()
        self.certificates = Certificates(settings)
        self._open_engines()
        self.metrics.watch_gc()
        self._tasks = [
            asyncio.create_task(upkeep.run(self.node, self.store, self.horizon, self.audit)),
            asyncio.create_task(measure_lag(self.metrics.loop_lag_seconds.observe)),
        ]
        if self.certificates.renews:
            self._tasks.append(asyncio.create_task(self.certificates.run(self._take)))
        for task in self._tasks:
            task.add_done_callback(self._background_ended)

    def _open_engines(self) -> None:
        settings, limits = self.settings, self.settings.limits
        self._take(self.certificates.load())
        identity = self._identity
        engine_limits = {name: getattr(limits, name) for name, info in LIMITS.items() if info.where == "engine"}
        for number, address in enumerate(settings.listen, 1):
            engine = open_engine(
                host=address.host,
                port=address.port,
                threads=settings.engine_threads,
                certificate=None if identity is None else identity.certificate,
                key=None if identity is None else identity.key,
                tls12=settings.tls12,
                api_path=self._api.address,
                proxy_from=list(settings.proxy_from),
                limits=engine_limits,
            )
            try:
                engine.start()
            except OSError as error:
                error.filename = str(address)
                raise
            edge = Edge(
                EdgeSettings(number, secrets.token_bytes(8), settings.clock_leeway_s * 1000),
                limits,
                lambda: self.keys.signing,
            )
            shell = EdgeShell(edge, engine, self.fabric, self.clock, self.node.trace.note)
            self.fabric.bind_edge(number, shell)
            self.engines.append(engine)
            self.edges.append(shell)
            shell.start()

    async def _shut_down(self) -> None:
        loop = asyncio.get_running_loop()
        for engine in self.engines:
            engine.stop_accepting()
        if any(shell.edge.sessions for shell in self.edges):
            for shell in self.edges:
                shell.go_away()
            await asyncio.sleep(self.settings.limits.go_away_ms / 1000)
            for shell in self.edges:
                shell.close_all()
        if hasattr(self, "_api"):
            await self._api.stop(self.settings.limits.go_away_ms)  # before the engines: they carry its answers
        for engine in self.engines:
            await loop.run_in_executor(None, engine.stop)
        for shell in self.edges:
            shell.stop()  # takes the last Closed too: every session ends, and is seen last now
        for task in getattr(self, "_tasks", []):
            task.remove_done_callback(self._background_ended)
            task.cancel()
        for name in ("_admin", "_admin_socket"):
            if hasattr(self, name):
                await getattr(self, name).stop()
        if hasattr(self, "node"):
            await self.node.settle()
        if hasattr(self, "passwords"):
            self.passwords.close()

    def _on_http_refused(self, name: str) -> None:
        self._http_refused[name] += 1

    def _engine_stats(self) -> Mapping[str, float]:
        return observe.engine_totals(self.engines)

    def _node_stats(self) -> NodeStats:
        return observe.node_stats(
            self.node, [shell.edge for shell in self.edges], self.engines, self.audit,
            {
                "iris_compiled": is_compiled(),
                "iris_http_refused_total": self._http_refused.total(),
                "iris_http_hashes_waiting": self.passwords.waiting,
                "iris_http_rate_rows": self._app.state.service.rates.rows,
                **self.certificates.stats(),
            },
        )  # fmt: skip

    def _fail(self, error: StoreError) -> None:
        self._failure = error
        self._stop.set()

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error if isinstance(error, StoreError) else StoreError(f"background work failed: {error!r}"))

    # --- certificate ---
    @property
    def _fingerprint(self) -> str:
        return "" if self._identity is None else self._identity.fingerprint

    def _take(self, identity: Identity | None) -> None:
        """Show this from now on; connections that stand keep theirs. Raises EngineError, and the old one stays."""
        if identity is not None:
            for engine in self.engines:
                engine.reload_certificate(identity.certificate, identity.key)
        self._identity = identity

    def _reload(self) -> None:
        """SIGHUP: take the certificate anew; a bad one is reported and the old one stays."""
        try:
            identity = self.certificates.load()
            if identity is None:
                return
            self._take(identity)
        except Exception as error:  # whatever is wrong with the files, the node goes on
            log.error("certificate_refused", error=str(error))
        else:
            log.info("certificate_reloaded")

    # --- admin ---
    def _unhealthy(self) -> str | None:
        return None if self._failure is None else str(self._failure)

    def _unready(self) -> str | None:
        return None if self._ready else "not serving"

    def _admin_handlers(self) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
        return {
            "keys rotate": self._rotate_keys,
            "trace": self._trace,
            "store backup": self._backup,
            "invite create": self._invite,
            "stats": self._stats,
        }

    async def _rotate_keys(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"kid": self.keys.rotate(self.clock().wall)}

    async def _trace(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            message_id = bytes.fromhex(str(params["message_id"]))
        except (KeyError, ValueError) as error:
            raise AdminError("a message id has 32 hexadecimal digits") from error
        points = []
        for at, point, user, device, seq in self.node.trace.points(message_id):
            row: dict[str, Any] = {"at": at, "point": point}
            row |= {"user": user_text(user)} if user else {}
            row |= {"device": device} if device is not None else {}
            row |= {"seq": seq} if seq is not None else {}
            points.append(row)
        return {"points": points}

    async def _backup(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        try:
            written = await loop.run_in_executor(None, self.store.backup, str(params["target"]))
        except StoreError as error:
            raise AdminError(str(error)) from error
        return {"bytes": written}

    async def _invite(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        uses = params.get("uses", 1)
        if not isinstance(uses, int) or uses < 1:
            raise AdminError("uses is a whole number from 1")
        code = secrets.token_hex(10)
        result = await self.authority.ask(invite_unit(code), None, CreateInvite(uses))
        if not isinstance(result, Done):
            raise AdminError("the invite was not stored; try again")
        return {"invite": code, "url": self.public_url, "fingerprint": self._fingerprint or None}

    async def _stats(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        stats = self._node_stats()
        labelled = {f"{name}[{label}]": value for (name, label), value in stats.labelled.items()}
        return {**stats.counters, **labelled}
