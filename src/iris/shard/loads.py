"""What a store says to the questions of a turn: the one place that knows which read answers which."""

from __future__ import annotations

from iris.core.commands import Command, Loaded, MarksLoaded, NameLoaded, Paged
from iris.core.ids import user_unit
from iris.core.turn import Ask, LoadMarks, LoadName, LoadPage, LoadUser
from iris.store.port import Store


async def load(store: Store, ask: Ask) -> tuple[bytes, Command]:
    """The unit that asked, and what it is told. Raises what the store raises."""
    match ask:
        case LoadUser(user):
            return user_unit(user), Loaded(user, await store.load_user(user))
        case LoadName(name):
            return name, NameLoaded(name, await store.load_name(name))
        case LoadMarks(user, sender):
            return user_unit(user), MarksLoaded(user, sender, await store.load_marks(user, sender))
        case LoadPage(user, after, upto, rows_max, bytes_max, purpose):
            rows = await store.page_mailbox(user, after, upto, rows_max, bytes_max)
            return user_unit(user), Paged(user, after, upto, rows, purpose)
