"""Runs the conformance scenarios of sdk/scenarios against the Python core.

`python -m tests.unit.sdk.scenarios --write` fills in what the core does in steps that say nothing yet.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iris_sdk._pb import frames_pb2 as pb
from iris_sdk.catalogue import Limits
from iris_sdk.core import ClientCore, Saved, SavedConversation
from iris_sdk.core import effects as fx
from iris_sdk.core.lifecycle import State

FOLDER = Path(__file__).resolve().parents[3] / "sdk/scenarios"
IDS = {"conversation", "sender", "user", "users", "message_id", "payload"}


class Driver:
    """One core and how a scenario's words become its calls."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        saved = dict(scenario["saved"])
        conversations = tuple(SavedConversation(**to_bytes(one)) for one in saved.pop("conversations", []))
        self.core = ClientCore(
            Saved(**to_bytes(saved), conversations=conversations), limits=Limits(**scenario.get("limits", {}))
        )

    def step(self, at: int, do: dict[str, Any]) -> dict[str, Any]:
        """One input; what came of it."""
        ((name, given),) = do.items()
        INPUTS[name](self.core, at, given)
        then = []
        while (effect := self.core.poll()) is not None:
            then.append(told(effect))
        return {"then": then, "state": self.core.state.name.lower(), "next": self.core.next_timeout()}


INPUTS: dict[str, Callable[[ClientCore, int, Any], object]] = {
    "start": lambda core, at, given: core.start(),
    "stop": lambda core, at, given: core.stop(),
    "queued": lambda core, at, given: core.queued(
        [(talk.encode(), message.encode(), done) for talk, message, done in given["messages"]], at
    ),
    "want_read": lambda core, at, given: core.want_read(given["conversation"].encode(), given["seq"], at),
    "typing": lambda core, at, given: core.set_typing(given["conversation"].encode(), given["active"]),
    "watch": lambda core, at, given: core.watch([user.encode() for user in given["users"]]),
    "token": lambda core, at, given: core.token(given["token"]),
    "token_unavailable": lambda core, at, given: core.token_unavailable(at, given["jitter"]),
    "logged_out": lambda core, at, given: core.logged_out(),
    "opened": lambda core, at, given: core.opened(given.get("greeted", False)),
    "lost": lambda core, at, given: core.lost(given["code"], at, given["jitter"]),
    "committed": lambda core, at, given: core.committed(given["number"], at),
    "receive": lambda core, at, given: core.receive(server_frame(given["frame"]), at),
    "tick": lambda core, at, given: core.tick(at, given["jitter"]),
}


def to_bytes(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose ids and payloads are bytes."""
    return {
        name: (to_bytes(value) if isinstance(value, dict) else value.encode() if name in IDS else value)
        for name, value in record.items()
    }


def server_frame(frame: dict[str, Any]) -> pb.ServerFrame:
    """A frame that a scenario writes down."""
    return pb.ServerFrame() if "unknown" in frame else pb.ServerFrame(**to_bytes(frame))


def told(effect: Any) -> dict[str, Any]:
    """An effect or a write, as scenarios write it down."""
    if isinstance(effect, fx.StateEntered):
        return {"state": {"state": effect.state.name.lower(), "reason": effect.reason}}
    if isinstance(effect, fx.SendFrame):
        return {"send_frame": client_frame(effect.frame)}
    if isinstance(effect, fx.Connect):
        return {"connect": {"hello": None if effect.hello is None else client_frame(effect.hello)["hello"]}}
    if isinstance(effect, fx.Commit):
        return {"commit": {"number": effect.number, "writes": [told(write) for write in effect.writes]}}
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(effect).__name__).lower()
    return {name: {field: plain(value) for field, value in effect._asdict().items()}}


def client_frame(frame: pb.ClientFrame) -> dict[str, Any]:
    """A frame of the client."""
    name = frame.WhichOneof("body") or ""
    body = getattr(frame, name)
    if name == "hello":
        cursor = body.cursor
        return {"hello": {"token": body.token, "seq": cursor.seq, "rev": cursor.rev, "client": body.client}}
    return {name: {field.name: plain(getattr(body, field.name)) for field in body.DESCRIPTOR.fields}}


def plain(value: Any) -> Any:
    """Bytes as words."""
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, bool | int | str | State) else [plain(one) for one in value]


def load(path: Path) -> dict[str, Any]:
    """A scenario."""
    scenario: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return scenario


def write(path: Path) -> None:
    """Fill in what is not said yet; one step a line."""
    scenario = load(path)
    driver = Driver(scenario)
    steps = scenario.pop("steps")
    lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n" for name, value in scenario.items()]
    filled = []
    for step in steps:
        said = {name: step[name] for name in ("then", "state", "next") if name in step}
        filled.append({"at": step["at"], "do": step["do"]} | driver.step(step["at"], step["do"]) | said)
    rows = ",\n".join("  " + json.dumps(step, ensure_ascii=False) for step in filled)
    path.write_text("{\n" + "".join(lines) + ' "steps": [\n' + rows + "\n ]\n}\n", encoding="utf-8")


if __name__ == "__main__":
    assert sys.argv[1:] == ["--write"], __doc__
    for file in sorted(FOLDER.glob("*.json")):
        write(file)
