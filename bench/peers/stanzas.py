"""Cuts a stream of XMPP into stanzas, as far as a load client has to understand them; not a parser of XML."""

from __future__ import annotations

import re

_TAG = re.compile(rb"<([a-z:]+)")
_IGNORED = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?(<stream:stream[^>]*>)?")  # what a stream begins with

MESSAGE_ID = re.compile(rb"""<message[^>]*\sid=['"](\d+)['"]""")
END = b"</stream:stream>"


class NotXmpp(Exception):
    """What comes is no stanza."""


def cut(buffer: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """Whole stanzas, each with its name, and what is left. The end of the stream is one named “end”. Raises NotXmpp.

    A stanza that holds one of its own name, which none of these does, would be cut too early.
    """
    found: list[tuple[str, bytes]] = []
    at = 0
    while True:
        begins = _IGNORED.match(buffer, at)
        at = begins.end() if begins else at
        if at == len(buffer):
            return found, b""
        tag = _TAG.match(buffer, at)
        if tag is None:
            if buffer.startswith(END, at):
                return [*found, ("end", END)], b""
            if not buffer.startswith(b"<", at):
                raise NotXmpp(f"no tag: {buffer[at : at + 80]!r}")
            return found, buffer[at:]
        end = buffer.find(b">", at)
        if end < 0:
            return found, buffer[at:]
        if buffer[end - 1 : end] != b"/":
            closing = b"</" + tag[1] + b">"
            end = buffer.find(closing, end)
            if end < 0:
                return found, buffer[at:]
            end += len(closing) - 1
        name = tag[1].decode()
        if name == "stream:stream":  # not whole yet, or it would have been passed over
            return found, buffer[at:]
        found.append((name, buffer[at : end + 1]))
        at = end + 1
