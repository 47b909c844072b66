"""A whole scenario with logging at debug level, and then a search for every secret that was used in it.

Searched: all the server printed, /metrics, `iris stats` and `iris trace` at the admin socket, every error answer; also
what the CLI and a crash print. The search itself is tested: a secret put into the log on purpose is found.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from iris.admin_socket import AdminError, call
from iris.logs import redact
from tests.blackbox.client import Api, Connection, Mailbox, Person, Talk, conversation, nonce, person
from tests.security.conftest import IMPATIENT
from tests.support.engine import eventually
from tests.support.server import Server, serving

DEBUG = IMPATIENT | {"log_level": "debug", "registration": "open", "limits.http_body_bytes_max": 4_096}


@dataclass
class Scene:
    """What was used and must not show, and what was said back."""

    server: Server
    secret: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def hide(self, name: str, value: str) -> str:
        """Remember a secret."""
        assert len(value) >= 8, "too short to be searched for"
        self.secret[f"{name} {len(self.secret)}"] = value
        return value

    def refused(self, answer: httpx.Response, status: int) -> None:
        """Remember an error answer, with its headers."""
        assert answer.status_code == status, answer.text
        self.said.append(f"{answer.headers} {answer.text}")

    def spellings(self) -> dict[str, str]:
        """Every secret as it may be written: as it is, in base64, in hex, as JSON escapes it."""
        found = dict(self.secret)
        for name, value in self.secret.items():
            raw = value.encode()
            found[name + " (base64)"] = base64.b64encode(raw[: len(raw) // 3 * 3]).decode()
            found[name + " (hex)"] = raw.hex()
            found[name + " (JSON)"] = json.dumps(value)[1:-1]
        return found

    def leaks(self, text: str) -> list[str]:
        """The names of the secrets that stand in `text`."""
        return [name for name, value in self.spellings().items() if value in text]


def secret_parts(scene: Scene, login: Any) -> None:
    """Tokens, and the parts by which they could be put together again."""
    scene.hide("access token", login["access_token"])
    scene.hide("signature", login["access_token"].rpartition(".")[2])
    scene.hide("refresh token", login["refresh_token"])
    scene.hide("refresh secret", login["refresh_token"].rpartition(".")[2])


def through_the_api(scene: Scene, api: Api) -> dict[str, Any]:
    """Register, log in, fail in every way, refresh, change the password, look, log out."""
    password, handle = scene.hide("password", "pass-" + secrets.token_hex(8)), "h" + secrets.token_hex(8)
    api.good("POST", "/users", json={"handle": handle, "password": password})
    once = scene.hide("nonce", nonce())
    body = {"handle": handle, "password": password, "device_name": "laptop", "nonce": once}
    login: dict[str, Any] = api.good("POST", "/sessions", json=body)
    secret_parts(scene, login)
    wrong = scene.hide("wrong password", "wrong-" + secrets.token_hex(8))
    scene.refused(api.call("POST", "/sessions", json=body | {"password": wrong}), 401)
    scene.refused(api.call("POST", "/sessions", json=body | {"password": [wrong]}), 422)
    scene.refused(api.call("POST", "/sessions", json=body | {"passwort": wrong}), 422)
    scene.refused(api.call("POST", "/sessions", content=b'{"password": "' + wrong.encode()), 422)
    scene.refused(api.call("POST", "/users", json={"handle": "!", "password": wrong}), 422)
    scene.refused(api.call("POST", "/users", json=body | {"handle": handle, "x": wrong}), 422)
    scene.refused(api.call("POST", "/sessions", json=body | {"password": wrong + "x" * 4_096}), 413)
    code = scene.hide("link code", api.good("POST", "/me/link-code", login["access_token"])["code"])
    named = {"handle": handle, "device_name": "laptop"}
    scene.refused(
        api.call("POST", "/sessions/link-code", json=named | {"code": scene.hide("wrong code", "W0NG-C0DE")}), 401
    )
    scene.refused(api.call("POST", "/sessions/link-code", json=named | {"code": code + "-and-more"}), 422)
    scene.refused(api.call("POST", "/sessions/link-code", json=named | {"code": [code]}), 422)
    forged = scene.hide("forged token", login["access_token"][:-9] + "forged_it")
    scene.refused(api.call("GET", "/me", forged), 401)
    scene.refused(api.call("GET", f"/me?access_token={login['access_token']}"), 401)
    scene.refused(api.call("GET", f"/users/{login['refresh_token']}", login["access_token"]), 422)
    scene.refused(api.call("GET", f"/{login['access_token']}"), 404)
    given = api.good("POST", "/tokens", json={"refresh_token": login["refresh_token"], "nonce": once})
    secret_parts(scene, given)
    scene.refused(api.call("POST", "/tokens", json={"refresh_token": "r1." + wrong, "nonce": once}), 401)
    scene.refused(api.call("POST", "/tokens", json={"refresh_token": given["refresh_token"], "nonce": wrong[:9]}), 422)
    newer = scene.hide("new password", "newer-" + secrets.token_hex(8))
    body = {"old_password": wrong, "new_password": newer}
    scene.refused(api.call("POST", "/me/password", given["access_token"], json=body), 401)
    body["old_password"] = password
    changed = api.good("POST", "/me/password", given["access_token"], json=body)
    scene.hide("newest access token", changed["access_token"])
    scene.refused(api.call("GET", "/me", given["access_token"]), 401)
    scene.refused(api.call("DELETE", "/me", changed["access_token"], json={"password": wrong}), 401)
    api.good("DELETE", "/sessions/current", changed["access_token"])
    return login


def through_a_conversation(scene: Scene, ada: Person, bob: Person) -> bytes:
    """Messages with a payload, in good order and not; the id of one."""
    payload = scene.hide("payload", "what-ada-says-" + secrets.token_hex(16))
    a, b = Connection(scene.server.ws_url), Connection(scene.server.ws_url)
    a.hello(ada.access)
    talk = Talk(conversation(ada.user, bob.user))
    identity = talk.send(a, payload)
    talk.accepted(a)
    b.hello(bob.access)
    box = Mailbox()
    box.fill(b, lambda box: len(box.rows) == 1)
    box.ack(b)
    a.take("receipt")
    talk.send(a, payload, again=1)
    talk.send(a, payload, stream=0)
    with contextlib.suppress(ConnectionClosed):  # the first bad frame ends it; how many go out before is chance
        a.put("refresh", token=next(value for name, value in scene.secret.items() if name.startswith("forged")))
        a.put("send", conversation=b"", stream=1, client_seq=9, message_id=b"m" * 16, payload=payload.encode())
        a.put("send", conversation=talk.conversation, message_id=b"short", payload=payload.encode())
    a.close_code()
    late = Connection(scene.server.ws_url)
    late.put("hello", token=ada.access + "x", client=payload + "\n\x1b[31mfake line", features=[payload])
    late.close_code()
    b.raw(payload)
    b.close_code()
    again = Connection(scene.server.ws_url)
    again.put("hello", token=ada.access, client=payload + '\n{"event": "fake"}')
    again.take("welcome")
    again.close()
    return identity


def test_no_secret_shows_anywhere(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=DEBUG) as server:
        scene, api = Scene(server), Api(server.url)
        through_the_api(scene, api)
        ada, bob = person(api), person(api)
        for who in (ada, bob):
            scene.hide("access token", who.access)
            scene.hide("refresh token", who.login.refresh)
        identity = through_a_conversation(scene, ada, bob)
        kid = call(server.data, "keys rotate")["kid"]
        invite = scene.hide("invite", call(server.data, "invite create", {"uses": 1})["invite"])
        scene.refused(api.call("POST", "/users", json={"handle": "!", "password": "x", "invite": invite}), 422)
        for row in json.loads((server.data / "keys.json").read_text())["signing"]:
            scene.hide("signing key", row["key"])
        scene.hide("refresh key", json.loads((server.data / "keys.json").read_text())["refresh"])
        admin = next(line for line in server.lines if line.startswith("iris: admin on ")).split()[-1]
        told = [
            httpx.get(admin + "/metrics", trust_env=False).text,
            json.dumps(call(server.data, "stats")),
            json.dumps(call(server.data, "trace", {"message_id": identity.hex()})),
            json.dumps({"kid": kid}),
        ]
        for wrong in ("what-ada-says", "../../keys.json"):
            with pytest.raises(AdminError) as refused:
                call(server.data, "trace", {"message_id": wrong})
            told.append(str(refused.value))
        assert '"point": "received"' in told[2], "the trace knows the message"
        assert server.stop() == 0
        printed = "".join(server.lines)
        assert scene.leaks(printed) == []
        assert scene.leaks("\n".join(told)) == []
        assert scene.leaks("\n".join(scene.said)) == []
        assert "fake" not in printed, "no client writes lines into the log"
        command = Path(f"{server.data}").parent
        assert [path for path in command.rglob("*.log") if scene.leaks(path.read_text(errors="replace"))] == []


def test_the_search_finds_what_is_there() -> None:
    scene = Scene(Server(Path()))
    scene.hide("password", 'pa"ss-wört-12')
    for text in ('x pa"ss-wört-12 y', json.dumps('pa"ss-wört-12'), 'pa"ss-wört-12'.encode().hex()):
        assert scene.leaks(text)
    assert scene.leaks("pa_ss") == []


def test_tokens_are_cut_out_of_whatever_is_logged() -> None:
    """The last line of defence, for a log call that nobody has thought through."""
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
    refresh = "r1.00000h3qk0v7c2m9x4nwrs8t6b.1." + "A" * 43
    hashed = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g"
    shown = json.dumps(redact(None, "", {"event": f"failed for {token}", "error": f"{refresh} {hashed}", "token": "x"}))
    for secret in (token, refresh, hashed, "c2lnbmF0dXJl", "A" * 43, "aGFzaGhhc2g"):
        assert secret not in shown


def test_a_server_that_is_killed_or_refuses_to_start_tells_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "data", settings=DEBUG) as server:
        scene = Scene(server)
        ada = person(Api(server.url))
        scene.hide("access token", ada.access)
        scene.hide("refresh token", ada.login.refresh)
        content = json.loads((server.data / "keys.json").read_text())
        scene.hide("signing key", content["signing"][0]["key"])
        server.kill()
        (server.data / "keys.json").write_text(json.dumps(content).replace('"signing"', '"sign"'))
        with pytest.raises(AssertionError, match="damaged"):
            server.start()
        (server.data / "keys.json").write_text(json.dumps(content))
        (server.data / "keys.json").chmod(0o644)
        with pytest.raises(AssertionError, match="chmod 600"):
            server.start()
        assert scene.leaks("".join(server.lines)) == []


def test_command_lines_and_environments_hold_no_secret(tmp_path: Path) -> None:
    """Whoever may list processes reads arguments: there is no flag or setting for a password, token or key itself."""
    with serving(tmp_path / "data", settings=DEBUG) as server:
        assert server.process is not None
        process = Path(f"/proc/{server.process.pid}")
        eventually(lambda: b"serve" in (process / "cmdline").read_bytes(), "it runs")
        given = (process / "cmdline").read_bytes().decode() + (process / "environ").read_bytes().decode(
            errors="replace"
        )
        key = json.loads((server.data / "keys.json").read_text())["signing"][0]["key"]
        assert key not in given
    help_text = Path(__file__).parents[2].joinpath("src/iris/config/model.py").read_text()
    names = re.findall(r"^    (\w+): ", help_text, re.MULTILINE)
    assert [name for name in names if re.search(r"secret|password(?!_profile)|token(?!_lifetime)", name)] == []
