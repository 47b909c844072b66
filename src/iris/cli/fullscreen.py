"""The full-screen chat: draws a Talks and turns keys into its calls. Holds no rules of its own.

Words of others are never taken for markup: everything is built from plain pieces with a style.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import AppBlur, AppFocus
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Footer, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from iris.cli.screen import TICKS, WORDS, clean
from iris.cli.talks import Entry, Talks, named

if TYPE_CHECKING:
    from iris_sdk import Client, Shown

PRESENCE = {"online": ("● ", "green"), "offline": ("○ ", "dim")}
TICK_STYLES = {"read": "green", "refused": "bold red", "expired": "bold red"}
MENTIONED, MENTIONED_ME = "bold cyan", "bold reverse"
CHOICES = ("👍", "❤️", "😂", "😮", "😢", "🙏")


class Ask(ModalScreen[str]):
    """One line from the keyboard; "" when it was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, question: str, value: str = "") -> None:
        super().__init__()
        self._question, self._value = question, value

    def compose(self) -> ComposeResult:
        with Vertical(id="ask"):
            yield Label(self._question, markup=False)
            yield Input(self._value, id="answer")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss("")


class Show(ModalScreen[None]):
    """Something to look at until a key is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,space", "dismiss", "Close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Static(self._text, id="show", markup=False)


class History(OptionList):
    """The open conversation, one option for each message."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "app.answer", "Reply"),
        Binding("plus", "app.react", "React", key_display="+"),
        Binding("f", "app.forward", "Forward"),
        Binding("e", "app.change", "Edit"),
        Binding("d", "app.delete", "Delete for all"),
        Binding("x", "app.hide", "Delete for me"),
        Binding("u", "app.older", "Older"),
    ]

    def action_cursor_up(self) -> None:
        """Above the first message are older ones."""
        if self.highlighted == 0:
            self.run_worker(self.app.run_action("older"))
            return  # not round to the newest
        super().action_cursor_up()


class Names(Suggester):
    """Offers the rest of a handle behind an @: → takes it."""

    def __init__(self, talks: Talks) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._talks = talks

    async def get_suggestion(self, value: str) -> str | None:
        return self._talks.completed(value)


class FullScreen(App[Exception | None]):
    """Ends with what ended it: None when somebody left."""

    TITLE = "Iris"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #list { width: 32; border-right: solid $primary; }
    #talks, #history { border: none; background: $background; height: 1fr; }
    #title { background: $boost; padding: 0 1; }
    #about { color: $warning; padding: 0 1; display: none; }
    #about.there { display: block; }
    #status { background: $boost; padding: 0 1; }
    #ask { width: 60; height: auto; padding: 1 2; background: $surface; border: thick $primary; }
    #show { width: auto; max-width: 100%; height: auto; padding: 0 1; background: black; color: white; }
    Show { overflow-y: auto; }
    Ask, Show { align: center middle; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "talk_to", "Talk to"),
        Binding("ctrl+l", "link", "Link a device"),
        Binding("f2", "focus_talks", "List"),
        Binding("f3", "focus_history", "Messages"),
        Binding("escape", "cancel", "Write"),
        Binding("ctrl+q", "leave", "Quit", priority=True),
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True),
    ]

    def __init__(self, me: Client, to: str | None) -> None:
        super().__init__()
        self.talks = Talks(me, self._draw)
        self._to = to
        self._task: asyncio.Task[None] | None = None
        self._drawn_open: str | None = None

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="list"):
                yield OptionList(id="talks", markup=False)
            with Vertical():
                yield Static(id="title", markup=False)
                yield History(id="history", markup=False)
                yield Static(id="about", markup=False)
                yield Input(
                    id="composer", placeholder="write a message", select_on_focus=False, suggester=Names(self.talks)
                )
        yield Static(id="status", markup=False)
        yield Footer()

    async def on_mount(self) -> None:
        self._task = asyncio.create_task(self._run())
        self.query_one("#composer").focus()

    async def on_unmount(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task

    async def _run(self) -> None:
        try:
            await self.talks.start(self._to)
            await self.talks.run()
        except Exception as error:
            self.exit(error)
        else:
            self.exit(None)

    # --- what is drawn ---

    def _draw(self) -> None:
        if not self.query("#status"):
            return  # it is being taken down
        talks = self.talks
        self.query_one("#title", Static).update(Content(talks.title))
        self.query_one("#status", Static).update(Content(talks.status))
        about = self.query_one("#about", Static)
        about.update(Content(talks.composing))
        about.set_class(bool(talks.composing), "there")
        self._draw_list()
        self._draw_history()
        if self._drawn_open != talks.open:
            self._drawn_open = talks.open
            self._fill(talks.draft)

    def _draw_list(self) -> None:
        box = self.query_one("#talks", OptionList)
        before = _highlighted(box)
        box.set_options(Option(entry_line(one, one.user == self.talks.open), one.user) for one in self.talks.entries)
        _highlight(box, before)

    def _draw_history(self) -> None:
        box = self.query_one("#history", History)
        before = _highlighted(box)
        at_end = before is None or box.highlighted == box.option_count - 1
        options: list[Option] = []
        day = ""
        for shown in self.talks.shown:
            today = datetime.fromtimestamp(shown.at / 1000).astimezone().strftime("%A %d %B %Y")
            divider = today if today != day else ""
            day = today
            options.append(Option(self._message(shown, divider), f"{shown.sender}:{shown.message_id}"))
        box.set_options(options)
        if at_end and options:
            box.highlighted = len(options) - 1
            box.scroll_end(animate=False)
        else:
            _highlight(box, before)

    def _message(self, shown: Shown, divider: str) -> Content:
        mine = shown.sender == self.talks.me.user
        clock = datetime.fromtimestamp(shown.at / 1000).astimezone().strftime("%H:%M")
        parts: list[Content | str | tuple[str, str]] = []
        if divider:
            parts.append((f"── {divider} ──\n", "dim"))
        if quoted := self.talks.quoted(shown):
            parts.append((f"      ┃ {quoted}\n", "dim"))
        parts += [(f"{clock} ", "dim"), (self.talks.name(shown.sender), "bold"), "  "]
        if shown.forwarded:
            parts.append(("forwarded: ", "dim"))
        plain = "" if shown.kind == "text" else "dim italic"
        for text, user in named(shown):
            parts.append((text, (MENTIONED_ME if user == self.talks.me.user else MENTIONED) if user else plain))
        if shown.edited_at:
            parts.append((" (edited)", "dim"))
        if mine:
            parts += ["  ", (TICKS.get(shown.state, ""), TICK_STYLES.get(shown.state, "dim"))]
            if shown.state in ("refused", "expired"):
                parts.append((f" {WORDS[shown.state]}", "red"))
        if shown.reactions:
            said = "  ".join(
                clean(one.emoji) + (f" {n}" if (n := len(one.users)) > 1 else "") for one in shown.reactions
            )
            parts.append((f"\n      {said}", "cyan"))
        return Content.assemble(*parts)

    def _fill(self, text: str) -> None:
        """Put words into the composer that nobody types now."""
        composer = self.query_one("#composer", Input)
        with composer.prevent(Input.Changed):
            composer.value = text
        composer.cursor_position = len(text)

    # --- keys ---

    @property
    def picked(self) -> Shown | None:
        """The message under the cursor."""
        at = self.query_one("#history", History).highlighted
        return self.talks.shown[at] if at is not None and at < len(self.talks.shown) else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_list.id == "talks" and event.option_id:
            self.run_worker(self.talks.choose(event.option_id))
            self.query_one("#composer").focus()
        elif event.option_list.id == "history":
            self.action_answer()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id != "composer":
            return
        event.input.clear()  # before anything is waited for: what is typed meanwhile is the next message
        if not await self.talks.write(event.value):
            self._fill(event.value + event.input.value)

    async def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "composer":
            await self.talks.typed(event.value)

    async def on_app_focus(self, event: AppFocus) -> None:
        await self.talks.look(True)

    async def on_app_blur(self, event: AppBlur) -> None:
        await self.talks.look(False)

    def action_answer(self) -> None:
        if self.picked is not None:
            self.talks.answer(self.picked)
            self.query_one("#composer").focus()

    def action_change(self) -> None:
        shown = self.picked
        if shown is not None and self.talks.change(shown):
            self._fill(shown.body)
            self.query_one("#composer").focus()

    def action_react(self) -> None:
        shown = self.picked
        if shown is None:
            return

        def put(emoji: str | None) -> None:
            if emoji and shown is not None:
                chosen = CHOICES[int(emoji) - 1] if emoji.isdigit() and 0 < int(emoji) <= len(CHOICES) else emoji
                self.run_worker(self.talks.react(shown, chosen))

        offer = "  ".join(f"{number} {emoji}" for number, emoji in enumerate(CHOICES, 1))
        self.push_screen(Ask(f"{offer}   or another emoji"), put)

    def action_forward(self) -> None:
        shown = self.picked
        if shown is None:
            return

        def send(to: str | None) -> None:
            if to and to != "@" and shown is not None:
                self.run_worker(self.talks.forward(shown, to))

        self.push_screen(Ask("To whom?", "@"), send)

    async def action_delete(self) -> None:
        if self.picked is not None:
            await self.talks.delete(self.picked)

    async def action_hide(self) -> None:
        if self.picked is not None:
            await self.talks.hide(self.picked)

    async def action_older(self) -> None:
        await self.talks.older()

    def action_talk_to(self) -> None:
        def look(who: str | None) -> None:
            if who and who != "@":
                self.talks.look_for(who)

        self.push_screen(Ask("Whom do you want to talk to?", "@"), look)

    async def action_link(self) -> None:
        offered = await self.talks.link()
        if offered is not None:
            self.push_screen(Show(offered))

    def action_focus_talks(self) -> None:
        self.query_one("#talks").focus()

    def action_focus_history(self) -> None:
        self.query_one("#history").focus()

    def action_cancel(self) -> None:
        if self.talks.editing is not None:
            self._fill(self.talks.draft)
        self.talks.cancel()
        self.query_one("#composer").focus()

    def action_leave(self) -> None:
        self.exit(None)


def entry_line(entry: Entry, is_open: bool) -> Content:
    """A conversation in the list: presence, name, unread, and what was said last."""
    dot, colour = PRESENCE.get(entry.presence, ("  ", ""))
    parts: list[Content | str | tuple[str, str]] = [
        (dot, colour),
        (entry.name, "bold underline" if is_open else "bold"),
    ]
    if entry.unread:
        parts.append((f"  {entry.unread} new", "bold green"))
    parts.append(("\n  typing …", "green italic") if entry.typing else (f"\n  {entry.preview}", "dim"))
    return Content.assemble(*parts)


def _highlighted(box: OptionList) -> str | None:
    at = box.highlighted
    return None if at is None else box.get_option_at_index(at).id


def _highlight(box: OptionList, wanted: str | None) -> None:
    """Keep the cursor on what it was on, if that is still there."""
    for at, option in enumerate(box.options):
        if option.id == wanted:
            box.highlighted = at
            return


async def run(me: Client, to: str | None) -> int:
    """Chat until somebody leaves; returns the exit code. Raises what ended it otherwise."""
    ended = await FullScreen(me, to).run_async()
    if ended is not None:
        raise ended
    return 0
