"""Real WebSocket clients: two Python libraries, Node, headless Chromium, `openssl s_client` with hand-made frames."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.conformance.interop import START_S, Plan, Report
from tests.support.engine import BINARY, CLOSE, PING, PONG, Wire, ws_frame

TALK = (Path(__file__).parent / "talk.js").read_text(encoding="utf-8")
NO_NODE = "Node with a WebSocket of its own (20 or newer) is missing"
NO_CHROMIUM = "Chromium is missing: make browser installs it"
NO_OPENSSL = "the openssl command is missing"


# --- Python libraries ---
def websockets(plan: Plan) -> Report:
    """The `websockets` library."""

    async def talk() -> Report:
        offered = [Subprotocol(name) for name in plan.offered]
        messages: list[bytes] = []
        async with connect(plan.url, ssl=plan.trust.client_context(), subprotocols=offered, proxy=None) as ws:
            await ws.send(plan.frames[0])
            with suppress(ConnectionClosed):
                while True:
                    messages.append(await ws.recv(decode=False))
                    for frame in plan.frames[1:] if len(messages) == 1 else []:
                        await ws.send(frame)
                    if len(messages) == plan.close_after:
                        await (await ws.ping(b"theirs"))
                        await ws.close(plan.code, "bye")
        assert ws.close_code is not None
        return Report(ws.subprotocol, messages, ws.close_code)

    return asyncio.run(talk())


def aiohttp_client(plan: Plan) -> Report:
    """The `aiohttp` library."""

    async def talk() -> Report:
        messages: list[bytes] = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(plan.url, ssl=plan.trust.client_context(), protocols=plan.offered) as ws,
        ):
            await ws.send_bytes(plan.frames[0])
            async for message in ws:
                assert message.type == aiohttp.WSMsgType.BINARY
                messages.append(message.data)
                for frame in plan.frames[1:] if len(messages) == 1 else []:
                    await ws.send_bytes(frame)
                if len(messages) == plan.close_after:
                    await ws.close(code=plan.code, message=b"bye")
            assert ws.close_code is not None
            return Report(ws.protocol, messages, ws.close_code)

    return asyncio.run(talk())


# --- JavaScript ---
def plan_for_javascript(plan: Plan) -> str:
    """The plan as talk.js takes it."""
    frames = [base64.b64encode(frame).decode() for frame in plan.frames]
    fields = {"url": plan.url, "offered": plan.offered, "frames": frames}
    return json.dumps({**fields, "close_after": plan.close_after, "code": plan.code})


def report_of_javascript(text: str) -> Report:
    """What talk.js hands back."""
    said = json.loads(text)
    assert said["clean"], "the close handshake was complete"
    return Report(said["protocol"], [base64.b64decode(message) for message in said["messages"]], said["code"])


def node(plan: Plan) -> Report:
    """Node's own WebSocket (undici)."""
    script = TALK + "talk(JSON.parse(require('fs').readFileSync(0))).then((r) => console.log(JSON.stringify(r)));"
    with tempfile.NamedTemporaryFile(suffix=".pem") as roots:
        roots.write(plan.trust.root)
        roots.flush()
        done = subprocess.run(
            [*NODE, "-e", script],
            input=plan_for_javascript(plan),
            capture_output=True,
            text=True,
            timeout=START_S,
            check=True,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": roots.name},
        )
    return report_of_javascript(done.stdout)


def find_node() -> list[str]:
    """The command of a Node that has a WebSocket; empty without one."""
    for command in (["node"], ["node", "--experimental-websocket"]):
        if shutil.which("node"):
            done = subprocess.run([*command, "-e", "new WebSocket('')"], capture_output=True, text=True, check=False)
            if "SyntaxError" in done.stderr:  # of the empty address; a ReferenceError is one of the class
                return command
    return []


NODE = find_node()


class Page(ThreadingHTTPServer):
    """Serves a page that plays the plan, and takes its report."""

    def __init__(self, plan: Plan) -> None:
        self.reports: queue.Queue[str] = queue.Queue()
        report = "(report) => fetch('/', {method: 'POST', body: JSON.stringify(report)})"
        script = f"{TALK}talk({plan_for_javascript(plan)}).then({report});"
        html = f"<!doctype html><title>Iris</title><script>{script}</script>".encode()
        reports = self.reports

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(html)))
                self.end_headers()
                self.wfile.write(html)

            def do_POST(self) -> None:
                reports.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep still."""

        super().__init__(("127.0.0.1", 0), Handler)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
]  # fmt: skip


def chromium(plan: Plan) -> Report:
    """A page in headless Chromium, which is told to trust this one key."""
    assert CHROMIUM is not None
    key = x509.load_pem_x509_certificate(plan.trust.chain).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(der).digest()).decode()
    with Page(plan) as page, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        command = [CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={profile}"]
        command += [f"--ignore-certificate-errors-spki-list={pin}", f"http://127.0.0.1:{page.server_port}/"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return report_of_javascript(page.reports.get(timeout=START_S))
        finally:
            process.terminate()
            process.wait(START_S)
            page.shutdown()


# --- openssl ---
def openssl(plan: Plan) -> Report:
    """`openssl s_client`: an independent TLS, in which the frames are made by hand."""
    port = plan.url.rpartition(":")[2].partition("/")[0]
    ours, theirs = socket.socketpair()
    with tempfile.NamedTemporaryFile(suffix=".pem") as roots, ours:
        roots.write(plan.trust.root)
        roots.flush()
        command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", "-servername", "localhost"]
        command += ["-verify_return_error", "-verify_hostname", "localhost", "-CAfile", roots.name, "-alpn", "http/1.1"]
        with subprocess.Popen(
            command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL
        ) as process:
            theirs.close()
            wire = Wire(ours).upgrade()
            wire.say(plan.frames[0])
            messages: list[bytes] = []
            code = 0
            while not code:
                opcode, payload = wire.read_frame()
                if opcode == PING:
                    wire.send(ws_frame(PONG, payload))
                elif opcode == CLOSE:
                    (code,) = struct.unpack("!H", payload)
                else:
                    assert opcode == BINARY
                    messages.append(payload)
                    for frame in plan.frames[1:] if len(messages) == 1 else []:
                        wire.say(frame)
                    if len(messages) == plan.close_after:
                        wire.send(ws_frame(CLOSE, struct.pack("!H", plan.code)))
            if not plan.close_after:
                wire.send(ws_frame(CLOSE, struct.pack("!H", code)))
            assert wire.read_to_end() == b""
            ours.shutdown(socket.SHUT_RDWR)
            process.terminate()
    return Report("iris.v1.pb", messages, code)


CLIENTS = [
    pytest.param(websockets, id="websockets"),
    pytest.param(aiohttp_client, id="aiohttp"),
    pytest.param(node, id="node", marks=pytest.mark.skipif(not NODE, reason=NO_NODE)),
    pytest.param(chromium, id="chromium", marks=pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)),
    pytest.param(openssl, id="openssl", marks=pytest.mark.skipif(not shutil.which("openssl"), reason=NO_OPENSSL)),
]
