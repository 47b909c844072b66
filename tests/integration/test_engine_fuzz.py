"""Sessions with random mistakes in them: nothing panics, nothing leaks, and whoever makes none notices nothing.

IRIS_FUZZ_SECONDS makes it run longer, IRIS_FUZZ_SEED makes it another run.
"""

from __future__ import annotations

import os
import random
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from iris.core import frames as f
from iris_sdk._pb import frames_pb2 as pb
from tests.support.certificate import certificate
from tests.support.engine import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HELLO,
    PING,
    PONG,
    TEXT,
    Rig,
    Wire,
    client_frame,
    read_memory_kb,
    running,
    upgrade_request,
    welcome,
    ws_frame,
)

SECONDS = float(os.environ.get("IRIS_FUZZ_SECONDS", "4"))
SEED = int(os.environ.get("IRIS_FUZZ_SEED", "1"))
REQUEST = b"POST /v1/login HTTP/1.1\r\nHost: iris\r\nContent-Length: 400\r\n\r\n" + b"x" * 400
GROWTH_MAX_KB = 64 * 1024
IO_ERRORS = (OSError, ssl.SSLError)


class Node:
    """What Python is to the engine: welcomes everybody, answers every Send, checks the order of what it is handed."""

    def __init__(self, rig: Rig) -> None:
        self._engine = rig.engine
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._thread = rig.in_thread(self._run)

    def stop(self) -> list[str]:
        """What was wrong."""
        self._stop.set()
        self._thread.join()
        self._turn()
        return self.faults + [f"{conn} was never closed" for conn in self._open]

    def _run(self) -> None:
        while not self._stop.is_set():
            if select.select([self._engine.fileno()], [], [], 0.05)[0]:
                self._turn()

    def _turn(self) -> None:
        answers: list[object] = []
        for event in self._engine.drain(1000):
            kind, conn = event[0], event[1]
            if kind == f.HELLO:
                if conn in self._open or conn in self._ended:
                    self.faults.append(f"{conn} was used again")
                self._open.add(conn)
                answers.append(welcome(conn))
            elif conn not in self._open:
                self.faults.append(f"{event[:2]} before Hello or after Closed")
            elif kind == f.CLOSED:
                self._open.remove(conn)
                self._ended.add(conn)
            elif kind == f.SEND:
                answers.append(f.Accepted(f.ACCEPTED, conn, event[2], event[3], event[4], event[6], 1, 2))
        if answers:
            self._engine.send(answers)


class Api:
    """Reads a little, answers a lot or nothing, closes when it likes."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = str(path)
        self._chance = chance
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1000)
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """End, also for whoever waits to be accepted."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, suppress(OSError):
                sock.settimeout(0.2)
                if self._chance.random() < 0.8:
                    sock.recv(self._chance.choice([1, 100, 100_000]))
                if self._chance.random() < 0.8:
                    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * self._chance.choice([0, 10, 300_000]))


class Steady:
    """A client without mistakes: each answer must be its own and in order."""

    def __init__(self, wire: Wire, name: bytes) -> None:
        self._wire, self._name = wire.upgrade(), name
        self._wire.say(HELLO)
        assert self._wire.read_message().HasField("welcome")
        self.rounds = 0

    def run(self) -> None:
        """One round: ten Sends, ten answers."""
        numbers = [self.rounds * 10 + i + 1 for i in range(10)]
        for number in numbers:
            send = pb.Send(
                conversation=self._name, stream=1, client_seq=number, message_id=number.to_bytes(16, "big"),
                payload=self._name * (number % 50),
            )  # fmt: skip
            self._wire.say(client_frame(send=send))
        for number in numbers:
            accepted = self._wire.read_message().accepted
            assert accepted.conversation == self._name, "an answer to somebody else"
            assert accepted.client_seq == number
            assert accepted.message_id == number.to_bytes(16, "big")
        self.rounds += 1

    def close(self) -> None:
        """Go."""
        self._wire.sock.close()


def frames_of(chance: random.Random) -> bytes:
    """Some frames as a client sends them."""
    send = pb.Send(
        conversation=b"FUZZ" * 8, stream=1, client_seq=1, message_id=b"m" * 16,
        payload=b"F" * chance.choice([0, 1, 100, 70_000 if chance.random() < 0.1 else 5000]),
    )  # fmt: skip
    message = client_frame(send=send)
    cut = chance.randrange(len(message))
    choices: list[bytes] = [
        ws_frame(BINARY, message),
        ws_frame(BINARY, client_frame(ack=pb.Ack(seq=2**64 - 1, rev=2**64 - 1))),
        ws_frame(BINARY, client_frame(read=pb.Read(conversation=b"c" * 32, seq=2**64 - 1))),
        ws_frame(BINARY, client_frame(watch=pb.Watch(users=[b"u" * 16] * chance.choice([0, 1, 300, 5000])))),
        ws_frame(BINARY, client_frame(refresh=pb.Refresh(token="x" * 4096))),
        ws_frame(BINARY, b"\x9a\x06\x02hi"),
        ws_frame(BINARY, message[:cut], first=0) + ws_frame(PING, b"p") + ws_frame(CONTINUATION, message[cut:]),
        ws_frame(PING, b"p" * chance.choice([0, 125, 126])),
        ws_frame(PONG),
        ws_frame(TEXT, b"text"),
        ws_frame(BINARY, HELLO),
        ws_frame(CLOSE, struct.pack("!H", chance.choice([1000, 1001, 1005, 3000, 4999, 5000]))),
        ws_frame(CLOSE),
    ]
    weights = [9, 3, 2, 2, 2, 2, 4, 3, 1, 0.2, 0.2, 0.5, 0.2]
    return b"".join(chance.choices(choices, weights, k=chance.randrange(1, 30)))


def session_of(chance: random.Random) -> bytes:
    """All that a client says, sometimes nearly right."""
    if chance.random() < 0.15:
        said = REQUEST * chance.choice([1, 1, 3, 500])
    else:
        hello = pb.Hello(token="t" * chance.choice([1, 100, 4096]), features=[""] * chance.choice([0, 1, 4000]))
        said = upgrade_request() + ws_frame(BINARY, client_frame(hello=hello)) + frames_of(chance)
    return mutated(said, chance) if chance.random() < 0.6 else said


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The same with a few bytes changed, lost, doubled or added."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 10])):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + chance.choice([1, 4, 100])]
            case 2:
                changed[at:at] = changed[at : at + chance.choice([1, 20, 1000])]
            case 3:
                changed[at:at] = chance.randbytes(chance.choice([1, 8, 300]))
            case _:
                del changed[max(at, len(changed) // 2) :]
    return bytes(changed)


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """Cut at random places."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice([0, 1, 3, 20])))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


class Fuzzer:
    """Opens connections, says nearly the right thing, and goes in one of many ways."""

    def __init__(self, rig: Rig, chance: random.Random) -> None:
        self._rig, self._chance = rig, chance
        self._context = None if rig.certificate is None else rig.certificate.client_context()
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        """One connection."""
        chance = self._chance
        sock = socket.create_connection(("127.0.0.1", self._rig.engine.port), 5)
        with sock, suppress(*IO_ERRORS):
            sock.settimeout(0.5)
            if chance.random() < 0.3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            self.seen["connections"] += 1
            said = session_of(chance)
            if self._context is None or chance.random() < 0.05:
                self._speak(sock, said, lambda data: data)
            else:
                self._speak_tls(sock, said, self._context)
            self._leave(sock)

    def _speak(self, sock: socket.socket, said: bytes, seal: Callable[[bytes], bytes]) -> None:
        reads = self._chance.random() < 0.7
        for piece in pieces(said, self._chance):
            sock.sendall(seal(piece))
            if reads and select.select([sock], [], [], 0.002)[0]:
                data = sock.recv(65536)
                self.seen["bytes"] += len(data)
                if not data:
                    return

    def _speak_tls(self, sock: socket.socket, said: bytes, context: ssl.SSLContext) -> None:
        """By a TLS that keeps its records in memory, so that they can be spoiled."""
        chance, received, sent = self._chance, ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(received, sent, server_hostname="localhost")
        spoils = chance.random() < 0.1
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                data = sent.read()
                for piece in pieces(mutated(data, chance) if spoils and data else data, chance):
                    sock.sendall(piece)
                received.write(data := sock.recv(65536))
                if not data:
                    return
        sock.sendall(sent.read())
        self.seen["handshakes"] += 1
        spoils = chance.random() < 0.15

        def seal(piece: bytes) -> bytes:
            tls.write(piece)
            sealed = sent.read()
            if spoils and chance.random() < 0.3:
                return mutated(sealed, chance)
            return sealed

        self._speak(sock, said, seal)
        if chance.random() < 0.3:
            with suppress(ssl.SSLError):
                tls.unwrap()
            sock.sendall(sent.read())

    def _leave(self, sock: socket.socket) -> None:
        match self._chance.randrange(4):
            case 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case 1:
                sock.shutdown(socket.SHUT_WR)
                select.select([sock], [], [], 0.01)
            case 2:
                select.select([sock], [], [], 0.01)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_mistakes_of_all_sorts_harm_nobody_else(tmp_path: Path, secure: bool) -> None:
    end = time.monotonic() + SECONDS
    faults: list[str] = []
    with ExitStack() as stack:
        api = Api(tmp_path / "api.sock", random.Random(SEED))
        stack.callback(api.close)
        rig = stack.enter_context(
            running(
                certificate=certificate() if secure else None, api_path=api.path, threads=2, tls12=True,
                send_queue_bytes_max=50_000, close_timeout_ms=200, hello_timeout_ms=500, upgrade_timeout_ms=500,
                frames_per_second_max=100_000, bytes_per_second_max=1 << 30,
            )
        )  # fmt: skip
        node = Node(rig)
        steady = [Steady(rig.connect(), bytes([number]) * 32) for number in range(3)]
        fuzzers = [Fuzzer(rig, random.Random(SEED * 10 + number)) for number in range(2)]

        def repeat(work: Callable[[], None]) -> None:
            try:
                while time.monotonic() < end and not faults:
                    work()
            except BaseException as error:
                faults.append(repr(error))

        for fuzzer in fuzzers:
            for _ in range(20):  # what is allocated once is allocated now
                fuzzer.run()
        before = read_memory_kb()
        works = [client.run for client in steady] + [fuzzer.run for fuzzer in fuzzers]
        threads = [rig.in_thread(partial(repeat, work)) for work in works]
        for thread in threads:
            thread.join()
        assert faults == []
        assert min(client.rounds for client in steady) > 0
        rig.until("connections", len(steady))
        assert read_memory_kb() - before < GROWTH_MAX_KB
        for client in steady:
            client.run()
            client.close()
        rig.until("connections", 0)
        rig.until("pipes_open", 0)
        assert not any(rig.stat("states").values())
        assert node.stop() == []
        seen = sum((fuzzer.seen for fuzzer in fuzzers), Counter())
        assert seen["connections"] > 40
        if SECONDS > 30:
            print(seen, [client.rounds for client in steady], read_memory_kb() - before, rig.engine.stats())
