"""Draw the life of a session and of a client's connection from their tables: docs/states/*.md.

    python scripts/states.py           write the pages
    python scripts/states.py --check   exit 1 when a page is not what its table says

The pages are drawn, never edited, so they cannot go stale.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iris.core import frames
from iris.edge.session import State as SessionState
from iris.edge.table import CLIENT_KINDS
from iris.edge.table import TABLE as SESSION_TABLE
from iris_sdk.core.lifecycle import REFUSED, Input
from iris_sdk.core.lifecycle import TABLE as CONNECTION_TABLE
from iris_sdk.core.lifecycle import State as ConnectionState

FOLDER = Path(__file__).resolve().parents[1] / "docs/states"
HEADER = "<!-- Drawn by scripts/states.py from {source}. Do not edit: run `python scripts/states.py`. -->\n"
FRAME_NAMES = {
    getattr(frames, name): "".join(word.capitalize() for word in name.split("_"))
    for name in ("HELLO", "SEND", "ACK", "READ", "SET_TYPING", "WATCH", "REFRESH", "CLOSED")
}
# What moves a session besides frames: (from, to, why). edge/edge.py does it, the table says what frames mean meanwhile.
MOVES = (
    ("[*]", "ATTACHING", "Hello with a good token"),
    ("ATTACHING", "READY", "Attached"),
    ("READY", "ATTACHING", "lease renewed after a gap"),
    ("ATTACHING", "CLOSING", "refused, or attach_timeout_ms"),
    ("READY", "CLOSING", "a close code of the shard, the token's end, shutdown"),
)


def _diagram(lines: list[str]) -> str:
    return "```mermaid\nstateDiagram-v2\n" + "".join(f"    {line}\n" for line in lines) + "```\n"


def _words(action: Callable[..., Any]) -> str:
    return action.__name__.strip("_").replace("_", " ")


def session_page() -> str:
    """The edge's sessions: what each frame does in each state."""
    lines = [f"{start} --> {end}: {why}" for start, end, why in MOVES]
    rows = ["| frame | " + " | ".join(state.name for state in SessionState) + " |", "|---" * 4 + "|"]
    for kind in CLIENT_KINDS:
        found = [SESSION_TABLE.get((state, kind)) for state in SessionState]
        if any(found):
            cells = " | ".join(_words(action) if action else "–" for action in found)
            rows.append(f"| {FRAME_NAMES[kind]} | {cells} |")
    ends = sorted({state.name for (state, kind) in SESSION_TABLE if kind == frames.CLOSED})
    lines += [f"{name} --> [*]: Closed" for name in ends]
    return (
        "# States of a session\n\n"
        + HEADER.format(source="src/iris/edge/table.py")
        + "\nA session is a connection that has said Hello with a good token, as its edge holds it.\n\n"
        + _diagram(lines)
        + "\nWhat a frame does in each state. *Ignore*: it was on its way when the close frame was sent. *Busy* and\n"
        "*send paused* answer `OVERLOADED`. A second Hello never gets here: the engine closes it.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def connection_page() -> str:
    """The SDK's connection: every input of every state."""
    moves: dict[tuple[ConnectionState, ConnectionState], list[Input]] = {}
    for (state, what), following in CONNECTION_TABLE.items():
        moves.setdefault((state, following), []).append(what)
    lines = [f"[*] --> {next(iter(ConnectionState)).name}"]
    lines += [
        f"{start.name} --> {end.name}: {', '.join(what.name for what in inputs)}"
        for (start, end), inputs in moves.items()
    ]
    rows = ["| state | cannot come |", "|---|---|"]
    rows += [f"| {state.name} | {', '.join(what.name for what in inputs)} |" for state, inputs in REFUSED.items()]
    return (
        "# States of a client's connection\n\n"
        + HEADER.format(source="src/iris_sdk/core/lifecycle.py")
        + "\n"
        + _diagram(lines)
        + "\nInputs that a correct shell never gives in a state:\n\n"
        + "\n".join(rows)
        + "\n"
    )


def pages() -> dict[Path, str]:
    """Every page by its path."""
    return {FOLDER / "session.md": session_page(), FOLDER / "connection.md": connection_page()}


def stale() -> list[str]:
    """Names of the pages that are not what their tables say."""
    return [
        path.name for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def main(args: list[str]) -> int:
    """Write the pages, or check them."""
    if args == ["--check"]:
        if found := stale():
            print(f"stale: {', '.join(found)}; run python scripts/states.py", file=sys.stderr)
        return 1 if found else 0
    if args:
        print(__doc__, file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
