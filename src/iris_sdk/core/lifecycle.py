"""The life of a client's connection, as one table: (state, input) -> next state.

Every pair is a row of TABLE or listed in REFUSED. Refused inputs cannot come from a correct shell; what the server can
cause (a second Welcome, say) never becomes an input in those states.
"""

from __future__ import annotations

from enum import Enum, auto, unique
from typing import Final

from iris_sdk.catalogue import CLOSES, CloseCode

LOST_WITHOUT_CODE: Final = 1006


@unique
class State(Enum):
    OFFLINE = auto()  # not asked to connect
    AUTHORISING = auto()  # waits for a token
    CONNECTING = auto()  # waits for the WebSocket
    GREETING = auto()  # Hello is out, or waits for a running commit
    CATCHING_UP = auto()  # welcome; rows of the past are still coming
    LIVE = auto()
    WAITING = auto()  # until the next attempt
    CLOSED = auto()  # for good: a person must act

    __hash__ = object.__hash__  # members are single; Enum’s own hashes the name, in Python, at every look at a table


@unique
class Input(Enum):
    START = auto()
    STOP = auto()
    TOKEN = auto()
    LOGGED_OUT = auto()  # no token can be had any more
    OPENED = auto()
    WELCOME = auto()
    CAUGHT_UP = auto()
    LOST = auto()  # try again
    LOST_FOR_GOOD = auto()
    RETRY_DUE = auto()


_S, _I = State, Input

TABLE: dict[tuple[State, Input], State] = {
    (_S.OFFLINE, _I.START): _S.AUTHORISING,
    (_S.OFFLINE, _I.STOP): _S.OFFLINE,
    (_S.AUTHORISING, _I.TOKEN): _S.CONNECTING,
    (_S.AUTHORISING, _I.LOST): _S.WAITING,
    (_S.AUTHORISING, _I.LOGGED_OUT): _S.CLOSED,
    (_S.AUTHORISING, _I.STOP): _S.OFFLINE,
    (_S.CONNECTING, _I.OPENED): _S.GREETING,
    (_S.CONNECTING, _I.LOST): _S.WAITING,
    (_S.CONNECTING, _I.LOST_FOR_GOOD): _S.CLOSED,
    (_S.CONNECTING, _I.STOP): _S.OFFLINE,
    (_S.GREETING, _I.WELCOME): _S.CATCHING_UP,
    (_S.GREETING, _I.LOST): _S.WAITING,
    (_S.GREETING, _I.LOST_FOR_GOOD): _S.CLOSED,
    (_S.GREETING, _I.STOP): _S.OFFLINE,
    (_S.CATCHING_UP, _I.CAUGHT_UP): _S.LIVE,
    (_S.CATCHING_UP, _I.TOKEN): _S.CATCHING_UP,
    (_S.CATCHING_UP, _I.LOGGED_OUT): _S.CLOSED,
    (_S.CATCHING_UP, _I.LOST): _S.WAITING,
    (_S.CATCHING_UP, _I.LOST_FOR_GOOD): _S.CLOSED,
    (_S.CATCHING_UP, _I.STOP): _S.OFFLINE,
    (_S.LIVE, _I.TOKEN): _S.LIVE,
    (_S.LIVE, _I.LOGGED_OUT): _S.CLOSED,
    (_S.LIVE, _I.LOST): _S.WAITING,
    (_S.LIVE, _I.LOST_FOR_GOOD): _S.CLOSED,
    (_S.LIVE, _I.STOP): _S.OFFLINE,
    (_S.WAITING, _I.RETRY_DUE): _S.AUTHORISING,
    (_S.WAITING, _I.START): _S.AUTHORISING,  # a person asks: do not wait
    (_S.WAITING, _I.STOP): _S.OFFLINE,
    (_S.CLOSED, _I.STOP): _S.CLOSED,
}

_CONNECTION = (_I.OPENED, _I.WELCOME, _I.CAUGHT_UP, _I.LOST, _I.LOST_FOR_GOOD)  # of a connection that does not exist
_TOKEN = (_I.TOKEN, _I.LOGGED_OUT)  # nobody asked

REFUSED: Final[dict[State, tuple[Input, ...]]] = {
    _S.OFFLINE: (*_TOKEN, *_CONNECTION, _I.RETRY_DUE),
    _S.AUTHORISING: (_I.START, _I.OPENED, _I.WELCOME, _I.CAUGHT_UP, _I.LOST_FOR_GOOD, _I.RETRY_DUE),
    _S.CONNECTING: (_I.START, *_TOKEN, _I.WELCOME, _I.CAUGHT_UP, _I.RETRY_DUE),
    _S.GREETING: (_I.START, *_TOKEN, _I.OPENED, _I.CAUGHT_UP, _I.RETRY_DUE),
    _S.CATCHING_UP: (_I.START, _I.OPENED, _I.WELCOME, _I.RETRY_DUE),
    _S.LIVE: (_I.START, _I.OPENED, _I.WELCOME, _I.CAUGHT_UP, _I.RETRY_DUE),
    _S.WAITING: (*_TOKEN, *_CONNECTION),
    _S.CLOSED: (_I.START, *_TOKEN, *_CONNECTION, _I.RETRY_DUE),
}

IN_SESSION: Final = frozenset({_S.CATCHING_UP, _S.LIVE})
CONNECTED: Final = frozenset({_S.CONNECTING, _S.GREETING, _S.CATCHING_UP, _S.LIVE})


def reconnect_after(code: int | None) -> tuple[str, str]:
    """What a close code asks for (yes, backoff, after_refresh, no) and its name."""
    if code is None or code == LOST_WITHOUT_CODE:
        return "yes", ""
    try:
        info = CLOSES[CloseCode(code)]
    except ValueError:  # of a later version: its range says it
        return ("no" if 4500 <= code <= 4999 else "backoff"), str(code)
    return info.reconnect, info.name
