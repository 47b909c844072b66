"""`iris serve --public` and `iris invite`: a server that friends on other machines reach, and the line to send them."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from iris.cli.errors import CliError
from iris.cli.invitation import make

EVERYWHERE = "0.0.0.0:8460"
ANY_HOST = ("0.0.0.0", "::")
DEFAULT_DATA = Path("iris-data")


def public_flags(config: Path | None, flags: Mapping[str, Any], sets: list[str]) -> dict[str, Any]:
    """The flags with what --public means where nothing else was said: all addresses, an own certificate, by invite.

    Makes the certificate when it is not there yet. Raises CliError.
    """
    from iris.cli.settings import lenient
    from iris.wire.certificate import CertificateError, keep_certificate

    loaded, _ = lenient(config, flags, sets)
    given, more = loaded.origins, dict(flags)
    if "listen" not in given:
        more["listen"] = [EVERYWHERE]
    if "registration" not in given:
        more["registration"] = "invite"
    if "tls_certificate" not in given and "tls_key" not in given:
        try:
            loaded.settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            more["tls_certificate"], more["tls_key"] = keep_certificate(loaded.settings.data, own_address())
        except (CertificateError, OSError) as error:
            raise CliError(f"no certificate: {error}") from None
    return more


def welcome(data: Path, certificate: Path | None) -> None:
    """What to do next, behind the lines that scripts wait for."""
    from iris.wire.certificate import fingerprint, own_certificate, spelled

    if certificate is not None and certificate == own_certificate(data)[0]:
        print(f"iris: certificate SHA-256 {spelled(fingerprint(certificate))}", flush=True)
    where = "" if data == DEFAULT_DATA else f" --data {shlex.quote(str(data))}"
    print(f"iris: bring somebody in: iris invite{where}", flush=True)


def invite(data: Path, address: str | None, as_json: bool) -> int:
    """Print one line for one person."""
    from iris.cli.operate import ask

    made = ask(data, "invite create", {"uses": 1})
    url = urlsplit(made["url"])
    host, port = url.hostname or "", url.port or 0
    if address is not None:
        host, port = _given(address, port)
    elif host in ANY_HOST:
        host = own_address()
    line = make(host, port, made["invite"], made["fingerprint"]).line
    print(json.dumps({"line": line, "invite": made["invite"]}) if as_json else line)
    return 0


def own_address() -> str:
    """The address by which others on the network reach this machine; 127.0.0.1 when there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address; connecting a datagram socket sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _given(address: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        host, given = parts.hostname, parts.port
    except ValueError:
        host, given = None, None
    if not host or parts.path:
        raise CliError(f"{address} is no address", "write --address HOST or HOST:PORT, as your friend reaches it")
    return host, given or port
