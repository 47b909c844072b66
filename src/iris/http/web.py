"""The web client: its built files, held in memory and answered at `/` under a strict policy.

The files are those that `make web` put beside the package. They are read once, at the start, so a request never
touches the disk and a path is a key or it is not: there is nothing to climb out of. Everything under /v1, and what is
no file of ours, is the API's to answer.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

PACKAGED = Path(__file__).parent.parent / "web_assets"
INDEX = "index.html"
FILES_MAX = 512
BYTES_MAX = 16 << 20  # of all files together; the build is some hundred KB
_HASHED = re.compile(r"^assets/.+-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")  # Vite's names: another content is another name
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"
_GZIP_WORTH = 512  # bytes below which compressing gains nothing
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2"}

# Only our own files, nothing inline, nobody else's frame; the script sinks of the DOM take what the policy `iris` made.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types iris",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOT_BUILT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Iris</title>
<h1>Iris is running</h1>
<p>Its web client is not built here. In the folder of Iris run <code>make web</code> (it needs Node.js 20 or newer),
then start Iris again and reload this page.</p>
<p>The terminal works without it: <code>iris chat</code>.</p>
</html>
"""


@dataclass(frozen=True)
class WebFile:
    """One file as it is answered: the content, gzipped too when that is shorter, and its headers."""

    content: bytes
    packed: bytes | None
    media_type: str
    tag: str
    cache: str


def read_files(folder: Path) -> dict[str, WebFile]:
    """Every file of a built client by its path, `/` for index.html; empty when there is none.

    Raises ValueError when the folder holds more than a client ever does: it is not one.
    """
    found: dict[str, WebFile] = {}
    if not (folder / INDEX).is_file():
        return found
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if len(paths) > FILES_MAX or sum(path.stat().st_size for path in paths) > BYTES_MAX:
        raise ValueError(f"{folder} is no web client: more than {FILES_MAX} files or {BYTES_MAX} bytes")
    for path in paths:
        name = path.relative_to(folder).as_posix()
        found["/" if name == INDEX else "/" + name] = _file(name, path)
    return found


def _file(name: str, path: Path) -> WebFile:
    content = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = None
    if len(content) >= _GZIP_WORTH:
        smaller = gzip.compress(content, 9, mtime=0)
        packed = smaller if len(smaller) < len(content) else None
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    tag = hashlib.sha256(content).hexdigest()[:32]
    return WebFile(content, packed, media_type, tag, _FOR_EVER if _HASHED.match(name) else _ASK_FIRST)


class Web:
    """ASGI middleware: answers GET and HEAD of the client's files, hands everything else on."""

    def __init__(self, app: ASGIApp, files: Mapping[str, WebFile]) -> None:
        self._app = app
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        file = self._files.get(scope["path"])
        if b"upgrade" in headers:  # no WebSocket is here: the API says so
            file = None
        elif file is None and scope["path"] == "/" and not self._files:
            await _send(send, 404, {"Content-Type": "text/html; charset=utf-8"}, _NOT_BUILT, scope["method"])
            return
        if file is None:
            await self._app(scope, receive, send)
            return
        await _answer(file, headers, scope["method"], send)


async def _answer(file: WebFile, asked: Mapping[bytes, bytes], method: str, send: Send) -> None:
    packed = file.packed is not None and _takes_gzip(asked.get(b"accept-encoding", b""))
    tag = f'"{file.tag}-gz"' if packed else f'"{file.tag}"'
    headers = {**_HEADERS, "Cache-Control": file.cache, "ETag": tag}
    if file.packed is not None:
        headers["Vary"] = "Accept-Encoding"
    if _same(asked.get(b"if-none-match", b""), tag):
        await _send(send, 304, headers, b"", "HEAD")
        return
    headers["Content-Type"] = file.media_type
    if packed:
        headers["Content-Encoding"] = "gzip"
    await _send(send, 200, headers, file.packed if packed and file.packed is not None else file.content, method)


def _takes_gzip(accepted: bytes) -> bool:
    for item in accepted.decode("latin-1").split(","):
        coding, _, weight = item.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return not re.fullmatch(r"q=0(\.0*)?", weight.replace(" ", ""))
    return False


def _same(wanted: bytes, tag: str) -> bool:
    tags = [one.strip().removeprefix("W/") for one in wanted.decode("latin-1").split(",")]
    return "*" in tags or tag in tags


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes, method: str) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in {**_HEADERS, **headers}.items()]
    if status != 304:
        raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
