"""Client: one device of one user, for people who write bots and apps.

    async with Client("my-profile") as me:
        sent = await me.send("@bob", "hello")
        await me.wait(sent.message_id, "delivered", timeout=30)
        async for event in me.events():
            ...

It works offline: what is sent waits in the profile, which holds the history too. Several processes may use one
profile; one of them holds its connection, and when it ends another takes over.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from iris_sdk import schema
from iris_sdk.address import parse_server
from iris_sdk.addressing import Addressing
from iris_sdk.api import ApiClient
from iris_sdk.catalogue import Limits
from iris_sdk.content import Action, Delete, Edit, Mention, Reaction, Ref, Text, encode
from iris_sdk.convert import peer_text, to_ephemeral, to_row, to_status
from iris_sdk.core.conversation import Shown
from iris_sdk.errors import (
    ApiError,
    IrisError,
    MessageExpired,
    MessageRefused,
    Offline,
    PayloadTooLarge,
    ProfileError,
    Status,
    UnknownUser,
)
from iris_sdk.events import ConnectionChange, ConnectionState, Conversation, Message, Row, Sent
from iris_sdk.holder import Ephemeral, Holder
from iris_sdk.ids import direct_conversation, is_conversation_text, is_user_text, normal_handle, peer_of, user_from_text
from iris_sdk.ids import user_text as to_text
from iris_sdk.profile import LOCK, ProfilePath, TokenKeeper, now_ms
from iris_sdk.rows import HistoryRow
from iris_sdk.screen import Screen
from iris_sdk.store import Reader
from iris_sdk.subscription import Subscription, Watchers
from iris_sdk.worker import POLL_S, FileLock, StoreWorker


class Named(Protocol):
    """Anything that names a message: an event, a row, what is shown, a Ref."""

    @property
    def sender(self) -> str:
        """A user id."""

    @property
    def message_id(self) -> str:
        """The sender's id for it."""


HANDLE_FRESH_MS = 3_600_000  # a handle may change hands: after this it is asked for again
RANKS = {"queued": 0, "accepted": 1, "delivered": 2, "read": 3}


class Client:
    """A profile in use. Open it with `async with`, or with `await open()` and `await close()`.

    With `hold=False` it never connects: history and API only.
    """

    def __init__(self, profile: ProfilePath, *, hold: bool = True, limits: Limits | None = None) -> None:
        self._folder = Path(profile)
        self._hold = hold
        self._limits = limits or Limits()
        self._lock = FileLock(self._folder / LOCK)
        self._holder: Holder | None = None
        self._state = ConnectionState.OFFLINE
        self._closed_reason = ""
        self._error: Exception | None = None
        self._open = False
        self._task: asyncio.Task[None] | None = None
        self._watched: tuple[bytes, ...] = ()

    # --- life ---

    async def open(self) -> Client:
        """Open the profile and begin to connect; does not wait for the connection. Raises ProfileError."""
        if self._open:
            return self
        db = schema.connect(self._folder)
        self._reader = reader = Reader(db)
        self._screen = Screen(db)
        self._worker = StoreWorker(schema.connect(self._folder))
        self._user_id: bytes = reader.meta("user")
        self.user: str = to_text(self._user_id)
        self.handle: str = reader.meta("handle")
        self.device: int = reader.meta("device")
        self.server: str = reader.meta("server")
        pinned = (reader.meta("fingerprint"), reader.meta("server_key"))
        address = parse_server(self.server, reader.meta("ca_file"), *pinned)
        self.fingerprint: str | None = address.fingerprint
        self._tokens = TokenKeeper(self._folder, reader, self._worker, address)
        self.api = ApiClient(address, token=self._tokens.access, adopt=self._tokens.adopt)
        self._watchers = Watchers(reader, self._user_id)
        self._addressing = Addressing(reader, self._worker, self._find, changed=self._changed, failed=self._fail)
        self._address = address
        self._open = True
        if self._hold:
            if self._lock.try_acquire():
                self._take()
            else:
                self._enter(ConnectionState.HELD_ELSEWHERE, "")
        self._task = asyncio.create_task(self._watch_profile())
        return self

    async def close(self) -> None:
        """End the connection and close the profile. What is in the outbox stays there."""
        if not self._open:
            return
        self._open = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._addressing.stop()
        if self._holder is not None:
            await self._holder.stop()
            self._holder = None
        await self.api.close()
        await self._worker.close()
        self._lock.release()
        self._watchers.close(self._error)
        self._reader.close()

    async def __aenter__(self) -> Client:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def state(self) -> ConnectionState:
        """What the connection is doing."""
        return self._state

    @property
    def closed_reason(self) -> str:
        """Why it is closed for good: the name of a close code, such as TOKEN_REVOKED or REPLACED; else ""."""
        return self._closed_reason

    @property
    def error(self) -> Exception | None:
        """What closed it from this side: WrongCertificate, or ProfileError when the profile cannot be used."""
        return self._error

    async def wait_state(self, *states: ConnectionState, timeout: float | None = None) -> ConnectionState:  # noqa: ASYNC109
        """Wait until the connection is in one of the states, or CLOSED. Raises TimeoutError."""
        wanted = {*states, ConnectionState.CLOSED}
        async with asyncio.timeout(timeout):
            while self._state not in wanted:
                await self._watchers.next_change()
        return self._state

    # --- sending ---

    async def send(
        self, to: str, text: str, *, reply_to: Named | None = None, forwarded: bool = False,
        mentions: Iterable[Mention] = (),
    ) -> Sent:  # fmt: skip
        """Put a message into the outbox. It is durable when this returns; `wait` tells what becomes of it.

        `to` is a handle (@bob), a user id or a conversation id. A handle that is not known here, with no server to
        ask, is looked up when there is one; nobody has it: the message is refused. Raises UnknownUser,
        PayloadTooLarge, OutboxFull, ApiError SELF; ValueError for mentions outside the text.
        """
        answered = None if reply_to is None else _ref(reply_to)
        return (await self._put(to, [Text(text, answered, forwarded, tuple(mentions))]))[0]

    async def send_many(self, to: str, texts: Iterable[str]) -> list[Sent]:
        """Put several messages to one recipient into the outbox, in order, all or none. Raises as `send`."""
        return await self._put(to, [Text(text) for text in texts])

    async def reply(self, message: Named, text: str) -> Sent:
        """Answer a message that is in the profile. Raises as `react`."""
        return await self.send(self._talk_of(message), text, reply_to=message)

    async def forward(self, message: Named, to: str) -> Sent:
        """Send the words of a message to somebody else, marked as such. Raises as `send`; ValueError for no text."""
        shown = self.shown(message)
        if shown is None or shown.kind != "text":
            raise ValueError("only a text can be forwarded")
        return await self.send(to, shown.body, forwarded=True, mentions=shown.mentions)

    async def react(self, message: Named, emoji: str) -> Sent:
        """Put an emoji to a message, in place of the one before; "" takes it back.

        `message` is anything with `sender` and `message_id`: an event, a row, what is shown, a Ref. Raises KeyError
        when it is not in the profile, ValueError for a long emoji or a message whose recipient is not known yet, and
        what `send` raises.
        """
        return await self._act(message, Reaction(_ref(message), emoji))

    async def edit(self, message: Named, text: str, mentions: Iterable[Mention] = ()) -> Sent:
        """Give a text of mine other words, for everyone. Raises as `react`; ValueError when it is no text of mine."""
        shown = self.shown(message)
        if message.sender != self.user or shown is None or shown.kind != "text":
            raise ValueError("only a text of one's own can be edited")
        return await self._act(message, Edit(_ref(message), text, tuple(mentions)))

    async def delete(self, message: Named) -> Sent:
        """Delete a message of mine for everyone; a note stays. Raises as `react`; ValueError when it is not mine.

        Its words leave this profile when the server has the deletion, and the other's when it is there.
        """
        if message.sender != self.user:
            raise ValueError("only a message of one's own can be deleted for everyone; hide it for yourself")
        return await self._act(message, Delete(_ref(message)))

    async def hide(self, message: Named) -> None:
        """Delete a message for me, on this device only: neither it nor its words are here any more. Raises KeyError."""
        row = self._row_of(message)
        await self._worker.run(lambda writer: writer.hide(row.sender, row.message_id))
        self._changed()

    async def _put(self, to: str, contents: Iterable[Text | Action]) -> list[Sent]:
        handle = "" if is_conversation_text(to) or is_user_text(to) else to.removeprefix("@").lower()
        try:
            conversation = await self._conversation(to)
        except Offline:
            conversation = b""
        except ApiError as error:
            if not handle or error.status < 500:
                raise
            conversation = b""
        payloads: list[tuple[bytes, str | None]] = []
        for content in contents:
            payload = encode(content, self._limits)
            if len(payload) > self._payload_bytes_max:
                raise PayloadTooLarge(f"{len(payload)} bytes; the limit is {self._payload_bytes_max}")
            payloads.append((payload, content.body if isinstance(content, Text) else None))
        most = self._limits.outbox_messages_max
        made = await self._worker.run(lambda writer: writer.enqueue(conversation, payloads, now_ms(), most, handle))
        self._changed()
        return [Sent(message_id.hex(), n) for message_id, n in made]

    async def _act(self, message: Named, action: Action) -> Sent:
        return (await self._put(self._talk_of(message), [action]))[0]

    def _row_of(self, message: Named) -> HistoryRow:
        row = self._reader.row(user_from_text(message.sender), bytes.fromhex(message.message_id))
        if row is None:
            raise KeyError(message.message_id)
        return row

    def _talk_of(self, message: Named) -> str:
        conversation = self._row_of(message).conversation
        if not conversation:
            raise ValueError("its recipient is not known yet")
        return conversation.hex()

    async def wait(self, message_id: str, state: str = "accepted", timeout: float | None = None) -> Status:  # noqa: ASYNC109
        """Wait until a message of mine is accepted, delivered or read (or further). `timeout` in seconds.

        Raises MessageRefused, MessageExpired, TimeoutError; KeyError for an unknown message, ValueError for another
        state.
        """
        if state not in RANKS:
            raise ValueError(f"{state!r} is not accepted, delivered or read")
        async with asyncio.timeout(timeout):
            async with self._watchers.message(bytes.fromhex(message_id)) as changed:
                while True:
                    status = self.status(message_id)
                    if status is None:
                        raise KeyError(message_id)
                    if status.state == "refused":
                        raise MessageRefused(status)
                    if status.state == "expired":
                        if state == "accepted":
                            return status
                        raise MessageExpired(status)
                    if RANKS[status.state] >= RANKS[state]:
                        return status
                    await changed()

    def status(self, message_id: str) -> Status | None:
        """Where a message of mine is; None when there is no such message."""
        row = self._reader.row(self._user_id, bytes.fromhex(message_id))
        return None if row is None else to_status(row)

    async def flush(self, timeout: float | None = None) -> int:  # noqa: ASYNC109
        """Wait until every message of the outbox is answered, or the time (s) is over. Returns how many are left."""
        try:
            async with asyncio.timeout(timeout):
                while self._reader.waiting():
                    await self._watchers.next_change()
        except TimeoutError:
            pass
        return self._reader.waiting()

    # --- receiving ---

    def events(self, after: int | None = None) -> Subscription:
        """What happens, as an async iterator. With `after` first everything in the profile above that number.

        Nothing that has a number is lost however slow the reader is: it is read from the profile. The iterator ends
        when the client is closed; it raises ProfileError when the profile can no longer be written.
        """
        return self._watchers.subscribe(self._reader.position() if after is None else after)

    @property
    def printed(self) -> int:
        """The number last given to `set_printed`."""
        return int(self._reader.meta("printed", 0))

    async def set_printed(self, n: int) -> None:
        """Remember in the profile that everything up to `n` was shown. It never goes back."""
        await self._worker.run(lambda writer: writer.set_meta(printed=max(n, int(writer.meta("printed", 0)))))

    # --- history ---

    def history(self, who: str | None = None, after: int = 0, limit: int = 256) -> list[Row]:
        """At most `limit` rows above `after`, by number; of one conversation when `who` (known here) is given."""
        conversation = None if who is None else self._known_conversation(who)
        return [to_row(row, self._user_id) for row in self._reader.history(conversation, after, limit)]

    def conversation(self, who: str, limit: int = 50) -> list[Row]:
        """The newest rows with somebody in the order in which both sides show them: by (at, sender, message_id)."""
        return [to_row(row, self._user_id) for row in self._reader.screen(self._known_conversation(who), limit)]

    def screen(self, who: str, limit: int = 50, before: Named | None = None) -> list[Shown]:
        """What is shown of a conversation: the newest messages, or those next above `before`, oldest first.

        Edits, deletions and reactions are in the messages that they are about. Messages deleted for me are left out.
        """
        above = None if before is None else _ref(before)
        return self._screen.page(self._known_conversation(who), limit, above)

    def shown(self, message: Named) -> Shown | None:
        """One message as it is shown, such as what a reply answers; None when it is not here, or hidden."""
        return self._screen.one(_ref(message))

    def conversations(self) -> list[Conversation]:
        """All conversations, newest first."""
        return [
            Conversation(conversation.hex(), peer_text(conversation, self._user_id), last_at, unread)
            for conversation, last_at, unread in self._screen.conversations()
        ]

    # --- people ---

    async def resolve(self, who: str) -> str:
        """The user id that a handle, user id or conversation id names. Raises UnknownUser, Offline."""
        if is_conversation_text(who):
            return to_text(peer_of(bytes.fromhex(who), self._user_id))
        if is_user_text(who):
            return to_text(user_from_text(who))
        try:
            handle = normal_handle(who)
        except ValueError as error:
            raise UnknownUser("UNKNOWN_USER", code=1007, status=404, detail=str(error)) from error
        known = self._reader.user_of(handle)
        if known is not None and now_ms() - known[1] < HANDLE_FRESH_MS:
            return to_text(known[0])
        try:
            account = await self.api.handle(handle)
        except Offline:
            if known is None:
                raise
            return to_text(known[0])
        await self._learn(account.user, account.handle)
        return account.user

    async def handle_of(self, user: str) -> str | None:
        """The handle of a user, without @; None when it is not known here and the server cannot say."""
        known = self._reader.handle_of(user_from_text(user))
        if known is not None and now_ms() - known[1] < HANDLE_FRESH_MS:
            return known[0]
        try:
            account = await self.api.user(user)
        except IrisError:
            return None if known is None else known[0]
        await self._learn(account.user, account.handle)
        return account.handle

    async def mark_read(self, what: str | Message) -> None:
        """I have read up to this message, or all that somebody wrote. Reaches the server also when offline now."""
        if isinstance(what, Message):
            conversation, seq = bytes.fromhex(what.conversation), what.seq
        else:
            conversation = await self._conversation(what)
            seq = self._reader.newest_seq(conversation)
        if seq:
            await self._worker.run(lambda writer: writer.want_read(conversation, seq))
            self._changed()

    async def set_typing(self, who: str, active: bool = True) -> None:
        """Show that I am typing; repeat it every few seconds. Nothing happens without a connection of this process."""
        conversation = await self._conversation(who)
        if self._holder is not None:
            self._holder.core.set_typing(conversation, active)
            self._holder.turn()

    async def watch(self, whom: Iterable[str]) -> None:
        """Hear of these people's presence; replaces the earlier set. Raises ValueError above `watches_max`."""
        self._watched = tuple([user_from_text(await self.resolve(who)) for who in whom])
        if self._holder is not None:
            self._holder.core.watch(self._watched)
            self._holder.turn()

    # --- inside ---

    @property
    def _payload_bytes_max(self) -> int:
        return self._limits.payload_bytes_max if self._holder is None else self._holder.core.payload_bytes_max

    async def _conversation(self, who: str) -> bytes:
        peer = user_from_text(await self.resolve(who))
        if peer == self._user_id:
            raise ApiError("SELF", code=1008, status=409, detail="that is you")
        return direct_conversation(self._user_id, peer)

    def _known_conversation(self, who: str) -> bytes:
        if is_conversation_text(who):
            return bytes.fromhex(who)
        if is_user_text(who):
            return direct_conversation(self._user_id, user_from_text(who))
        known = self._reader.user_of(normal_handle(who))
        if known is None:
            raise UnknownUser("UNKNOWN_USER", code=1007, detail=f"{who} is not known here")
        return direct_conversation(self._user_id, known[0])

    async def _find(self, handle: str) -> bytes:
        return user_from_text(await self.resolve(handle))

    async def _learn(self, user: str, handle: str) -> None:
        await self._worker.run(lambda writer: writer.put_handle(user_from_text(user), handle, now_ms()))

    def _take(self) -> None:
        """This process holds the profile from here on."""
        self._holder = Holder(
            self._reader, self._worker, self._tokens, self._address, self._limits,
            changed=self._changed, saw=self._saw, failed=self._fail,
        )  # fmt: skip
        self._enter(ConnectionState.OFFLINE, "")
        self._holder.core.watch(self._watched)
        self._holder.start()

    async def _watch_profile(self) -> None:
        """See what other processes commit; take over when the holder has gone."""
        try:
            version = self._reader.data_version()
            while self._error is None:
                await asyncio.sleep(POLL_S)
                if self._hold and self._holder is None and self._lock.try_acquire():
                    self._take()
                if (now := self._reader.data_version()) != version:
                    version = now
                    self._changed()
        except (sqlite3.Error, OSError, IrisError) as error:
            self._fail(error)

    def _changed(self) -> None:
        """Rows were committed, here or elsewhere."""
        if self._holder is not None:
            self._holder.sync()
            self._addressing.look()
        self._watchers.notify()

    def _saw(self, seen: Ephemeral) -> None:
        key, event = to_ephemeral(seen)
        if isinstance(event, ConnectionChange):
            self._enter(event.state, event.reason)
        else:
            self._watchers.publish(key, event)

    def _enter(self, state: ConnectionState, reason: str) -> None:
        if state is not self._state:
            self._state = state
            self._closed_reason = reason if state is ConnectionState.CLOSED else ""
            self._watchers.publish("c", ConnectionChange(state, reason))
            self._addressing.online(state in (ConnectionState.CATCHING_UP, ConnectionState.LIVE))

    def _fail(self, error: Exception) -> None:
        self._error = error if isinstance(error, IrisError) else ProfileError(f"{type(error).__name__}: {error}")
        self._enter(ConnectionState.CLOSED, type(error).__name__)
        self._watchers.close(self._error)


def _ref(message: Named) -> Ref:
    return Ref(message.sender, message.message_id)


async def connect(profile: ProfilePath, *, hold: bool = True) -> Client:
    """Open a profile; close it with `await client.close()`. Raises ProfileError."""
    return await Client(profile, hold=hold).open()
