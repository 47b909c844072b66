"""Drives a ClientCore while this process holds the profile: its effects become SQLite commits, frames and tokens.

The shell decides nothing: it feeds the core and performs what it asks, in order. Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from google.protobuf.message import DecodeError

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.address import Address
from iris_sdk.catalogue import CloseCode, Limits
from iris_sdk.core import ClientCore
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import State
from iris_sdk.errors import ApiError, LoggedOut, Offline
from iris_sdk.link import Link, LinkLost
from iris_sdk.profile import TokenKeeper
from iris_sdk.store import Reader
from iris_sdk.worker import StoreWorker

BACKLOG_ROWS_MAX = 1024  # received and not yet handed to the disk: above it reading waits
CLIENT = "iris-python/0.1"
TURN_FRAMES = 64  # frames written before the loop may look elsewhere

Ephemeral = fx.StateEntered | fx.PresenceSeen | fx.TypingSeen


def clock() -> int:
    """The core's clock: ms, never back."""
    return time.monotonic_ns() // 1_000_000


class Holder:
    """One run of the core.

    `changed` is called after every commit, `saw` for what only matters now, `failed` when the profile cannot be
    written.
    """

    def __init__(
        self,
        reader: Reader,
        worker: StoreWorker,
        tokens: TokenKeeper,
        address: Address,
        limits: Limits,
        *,
        changed: Callable[[], None],
        saw: Callable[[Ephemeral], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._reader, self._worker, self._tokens, self._address, self._limits = reader, worker, tokens, address, limits
        self._changed, self._saw, self._failed = changed, saw, failed
        saved = reader.load()
        self._user = saved.user
        self.core = ClientCore(saved, limits=limits, client=CLIENT)
        self._context = address.ssl_context()
        self._outbox_seen = 0
        self._link: Link | None = None
        self._link_task: asyncio.Task[None] | None = None
        self._out: deque[fx.SendFrame | fx.SendMessage] = deque()
        self._out_ready = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turning = False
        self._stopped = False

    # --- what the client asks ---

    def start(self) -> None:
        self.sync()
        self.core.start()
        self.turn()

    def sync(self) -> None:
        """Take up what this or another process has put into the outbox, and read positions that are wanted."""
        now = clock()
        rows = self._reader.outbox_after(self._outbox_seen)
        if rows:
            self._outbox_seen = rows[-1][0]
            self.core.queued([row[1:] for row in rows], now)
        for conversation, seq in self._reader.reads_wanted():
            self.core.want_read(conversation, seq, now)
        self.turn()

    async def stop(self) -> None:
        """Close the connection; what the core has taken is committed before this returns."""
        self.core.stop()
        self.turn()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    # --- the loop ---

    def turn(self) -> None:
        """Perform what the core asks, then set the timer."""
        if self._turning:
            return
        self._turning = True
        try:
            while (effect := self.core.poll()) is not None:
                self._perform(effect)
        finally:
            self._turning = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.core.next_timeout()
        if due is not None and not self._stopped:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0, due - clock()) / 1000, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.core.tick(clock(), random.random())
        self.turn()

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.SendMessage() | fx.SendFrame():
                self._out.append(effect)
                self._out_ready.set()
            case fx.Commit():
                self._spawn(self._commit(effect))
            case fx.NeedToken():
                self._spawn(self._fetch_token(effect.fresh))
            case fx.Connect():
                self._link_task = self._spawn(self._connection(effect.hello))
            case fx.CloseConnection():
                self._close_link(effect.code)
            case fx.StateEntered() | fx.PresenceSeen() | fx.TypingSeen():
                self._saw(effect)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, Exception)
            for other in self._tasks:
                other.cancel()
            self._failed(error)

    # --- commits and tokens ---

    async def _commit(self, commit: fx.Commit) -> None:
        await self._worker.run(lambda writer: writer.apply(commit.writes))
        self.core.committed(commit.number, clock())
        self._room.set()
        self._changed()
        self.turn()

    async def _fetch_token(self, fresh: bool) -> None:
        try:
            token = await self._tokens.access(fresh)
        except LoggedOut:
            self.core.logged_out()
        except (Offline, ApiError):
            self.core.token_unavailable(clock(), random.random())
        else:
            self.core.token(token)
        self.turn()

    # --- the connection ---

    async def _connection(self, hello: pb.ClientFrame | None) -> None:
        me = asyncio.current_task()
        early = None if hello is None else hello.SerializeToString()
        try:
            link = await Link.open(self._address, self._context, self._limits, early)
        except LinkLost as lost:
            self._lost(me, lost.code)
            return
        if self._link_task is not me:  # closed meanwhile
            await link.close(CloseCode.NORMAL)
            return
        self._link = link
        self._out.clear()
        writer = asyncio.create_task(self._write(link))
        try:
            self.core.opened(link.greeted)
            self.turn()
            while self._link_task is me:
                self._received(await link.recv())
                while self.core.backlog > BACKLOG_ROWS_MAX:
                    self._room.clear()
                    await self._room.wait()
        except LinkLost as lost:
            self._lost(me, lost.code)
        finally:
            writer.cancel()
            await asyncio.wait([writer])

    def _received(self, data: bytes) -> None:
        try:
            frame = pb.ServerFrame.FromString(data)
        except DecodeError:
            return  # not a frame of ours: as unknown as a later version's
        self.core.receive(frame, clock())
        self.turn()

    async def _write(self, link: Link) -> None:
        try:
            while True:
                while self._out:
                    for _ in range(min(TURN_FRAMES, len(self._out))):
                        data = self._encode(self._out.popleft())
                        if data is not None:
                            await link.send(data)
                    await asyncio.sleep(0)
                self._out_ready.clear()
                await self._out_ready.wait()
        except LinkLost:
            pass  # the reading side reports it

    def _encode(self, effect: fx.SendFrame | fx.SendMessage) -> bytes | None:
        if isinstance(effect, fx.SendFrame):
            return effect.frame.SerializeToString()
        found = self._reader.payload(self._user, effect.message_id)
        if found is None:
            return None
        payload, content_type, alg = found
        return pb.ClientFrame(
            send=pb.Send(
                conversation=effect.conversation,
                stream=effect.stream,
                client_seq=effect.client_seq,
                answered=effect.answered,
                message_id=effect.message_id,
                after=effect.after,
                payload=payload,
                content_type=content_type,  # type: ignore[arg-type]  # an open enum: any number will do
                alg=alg,  # type: ignore[arg-type]
            )
        ).SerializeToString()

    def _lost(self, task: asyncio.Task[Any] | None, code: int | None) -> None:
        if self._link_task is not task:
            return  # the core has closed it already
        self._link = self._link_task = None
        self.core.lost(code, clock(), random.random())
        self.turn()

    def _close_link(self, code: int) -> None:
        link, task = self._link, self._link_task
        self._link = self._link_task = None
        if link is not None:
            self._spawn(link.close(code))
        elif task is not None:
            task.cancel()


def public_state(state: State) -> str:
    """The core's state in the words of events.ConnectionState."""
    return _STATES[state]


_STATES = {
    State.OFFLINE: "offline",
    State.WAITING: "offline",
    State.AUTHORISING: "connecting",
    State.CONNECTING: "connecting",
    State.GREETING: "connecting",
    State.CATCHING_UP: "catching_up",
    State.LIVE: "live",
    State.CLOSED: "closed",
}
