"""A link line: how one device lets another in; the same as a QR code for a terminal; and asking the server for one.

    https://chat.example.org/#link=ada.7K3M-9QXT       opens the web client there; `iris chat --link` takes it too
    ada.7K3M-9QXT                                      the same without the server

Of a server that is known by its certificate the line also has &pin= and the SHA-256 of it. What is behind the # a
browser keeps to itself. Whoever has the line while the code is good can log in: it is a secret.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from iris_sdk import Client, LinkCode

LINE_MAX = 512
QR_SIDE_MAX = 61  # squares: 31 lines of a terminal
_HALVES = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
_LINE = re.compile(
    r"(?:(?P<server>https?://[^/#?\s]+)/?#link=)?@?(?P<handle>[A-Za-z0-9_.]{3,32})\.(?P<code>[A-Za-z0-9 -]{8,16})"
    r"(?:&pin=(?P<fingerprint>[0-9A-Fa-f]{64}))?\Z"
)


class LinkLine(NamedTuple):
    """What a line says."""

    server: str | None
    handle: str
    code: str
    fingerprint: str | None

    @property
    def line(self) -> str:
        """As it is shown."""
        pin = f"&pin={self.fingerprint}" if self.fingerprint else ""
        at = f"{self.server}/#link=" if self.server else ""
        return f"{at}{self.handle}.{self.code}{pin}"


def parse(text: str) -> LinkLine:
    """What a line says. Raises ValueError with what is wrong."""
    line = text.strip()
    said = _LINE.match(line) if len(line) <= LINE_MAX else None
    if said is None:
        raise ValueError("that is no link line: it is HANDLE.CODE, such as ada.7K3M-9QXT, or an address with it")
    return LinkLine(said["server"], said["handle"].lower(), said["code"], said["fingerprint"])


def drawn(text: str) -> str:
    """`text` as a QR code, two squares to a letter; empty for a text that is too long to be scanned from a screen."""
    import segno

    code = segno.make_qr(text, error="l")
    rows = [[bool(square) for square in row] for row in code.matrix_iter(border=2)]
    if len(rows) > QR_SIDE_MAX:
        return ""
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    # Light squares are drawn, for most terminals are dark; phones read both.
    return "\n".join(
        "".join(_HALVES[upper, lower] for upper, lower in zip(rows[at], rows[at + 1], strict=True))
        for at in range(0, len(rows), 2)
    )


async def offer(me: Client) -> tuple[LinkLine, LinkCode]:
    """A new code of the client's user, and the line to show. Raises what the SDK raises."""
    code = await me.api.link_code()
    return LinkLine(me.server, me.handle, code.code, me.fingerprint), code


def told(line: LinkLine, code: LinkCode) -> list[str]:
    """What to read below the QR code."""
    minutes = max(1, round((code.expires_at - (code.server_time or time.time() * 1000)) / 60_000))
    return [
        f"code {code.code} for @{line.handle}, good once and for {minutes} minutes",
        f"in a browser: scan it, or open {line.server} and choose “Link with a code”",
        f"in a terminal: iris chat --link '{line.line}'",
        "whoever has it can log in as you: show it to nobody else",
    ]
