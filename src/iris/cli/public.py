"""`iris serve --public` and `iris invite`: a server that friends on other machines reach, and the line to send them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from iris.cli.errors import CliError
from iris.cli.invitation import make
from iris.config import Settings

EVERYWHERE = "0.0.0.0:8460"
DEFAULT_DATA = Path("iris-data")


def public_flags(config: Path | None, flags: Mapping[str, Any], sets: list[str]) -> dict[str, Any]:
    """The flags with what --public means where nothing else was said: all addresses, an own certificate, by invite.

    Makes the certificate when it is not there yet. Raises CliError.
    """
    from iris.certificates import CertificateError, keep_certificate, names_here
    from iris.cli.settings import lenient

    loaded, _ = lenient(config, flags, sets)
    given, more = loaded.origins, dict(flags)
    if "listen" not in given:
        more["listen"] = [EVERYWHERE]
    if "registration" not in given:
        more["registration"] = "invite"
    if not {"tls_certificate", "tls_key", "acme"} & given.keys():
        try:
            loaded.settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            hosts = [address.host for address in loaded.settings.listen] if "listen" in given else []
            more["tls_certificate"], more["tls_key"] = keep_certificate(loaded.settings.data, names_here(hosts))
        except (CertificateError, OSError) as error:
            raise CliError(f"no certificate: {error}") from None
    return more


def welcome(settings: Settings, url: str) -> None:
    """What to do next, behind the lines that scripts wait for. `url`: what the server is ready on."""
    from iris.certificates import fingerprint, own_certificate, spelled

    port = urlsplit(url).port
    certificate, scheme = settings.tls_certificate, "https" if url.startswith("wss") else "http"
    hosts = settings.acme or [_reached(settings.listen[0].host)]
    for host in hosts:
        print(f"iris: friends reach you at {scheme}://{_bracketed(host)}:{port}", flush=True)
    if settings.acme:
        print("iris: the certificate comes from an authority; the log says when it is there, or why not", flush=True)
    elif certificate is not None and certificate == own_certificate(settings.data)[0]:
        print(f"iris: certificate SHA-256 {spelled(fingerprint(certificate))}", flush=True)
        print("iris: browsers warn about it; a friend compares these digits before going on", flush=True)
    where = "" if settings.data == DEFAULT_DATA else f" --data {shlex.quote(str(settings.data))}"
    print(f"iris: bring somebody in: iris invite{where}", flush=True)


def invite(data: Path, address: str | None, as_json: bool) -> int:
    """Print one line for one person."""
    from iris.cli.operate import ask

    made = ask(data, "invite create", {"uses": 1})
    url = urlsplit(made["url"])
    host, port = url.hostname or "", url.port or 0
    if address is not None:
        host, port = _given(address, port)
    else:
        host = _reached(host)
    line = make(host, port, made["invite"], made["fingerprint"]).line
    print(json.dumps({"line": line, "invite": made["invite"]}) if as_json else line)
    return 0


def _reached(host: str) -> str:
    """Where others reach what listens on `host`."""
    from iris.certificates import ANY_HOST, own_address

    return own_address() if host in ANY_HOST else host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _given(address: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        host, given = parts.hostname, parts.port
    except ValueError:
        host, given = None, None
    if not host or parts.path:
        raise CliError(f"{address} is no address", "write --address HOST or HOST:PORT, as your friend reaches it")
    return host, given or port
