"""The web client's files: what is answered, under which policy, and that nothing else can be reached."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from iris.http.web import FILES_MAX, read_files
from tests.support.api import an_api, problem, run

INDEX = "<!doctype html><title>Iris</title>" + "x" * 1000
SCRIPT = "export const a = 1;\n" * 100
HASHED = "/assets/main-Ab3_x-9Z.js"


def built(folder: Path) -> Path:
    """A built client."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "sw.js").write_text("self.skipWaiting()")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / HASHED[1:]).write_text(SCRIPT)
    return folder


@contextlib.asynccontextmanager
async def a_client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with the web client of `folder` (which may hold none)."""
    async with an_api(folder, web=read_files(folder / "web")) as api:
        yield api.client


def test_index_is_the_root_and_is_asked_for_every_time(tmp_path: Path) -> None:
    built(tmp_path / "web")

    async def case() -> None:
        async with a_client(tmp_path) as client:
            answer = await client.get("/")
            assert (answer.status_code, answer.text) == (200, INDEX)
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
            assert (await client.get("/sw.js")).headers["cache-control"] == "no-cache"
            assert (await client.get("/manifest.webmanifest")).headers["content-type"] == "application/manifest+json"
            assert problem(await client.get("/index.html")) == "NOT_FOUND"  # one address for one thing

    run(case)


def test_policy_allows_only_what_is_ours(tmp_path: Path) -> None:
    built(tmp_path / "web")

    async def case() -> None:
        async with a_client(tmp_path) as client:
            for path in ("/", HASHED, "/sw.js"):
                headers = (await client.get(path)).headers
                policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
                assert policy["default-src"] == "'none'"
                assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
                assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
                assert "unsafe" not in headers["content-security-policy"]
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "no-referrer"
                assert "camera=()" in headers["permissions-policy"]
            assert "'self'" not in (await client.get("/v1/info")).headers["content-security-policy"]

    run(case)


def test_hashed_names_are_kept_for_ever_and_sent_compressed(tmp_path: Path) -> None:
    built(tmp_path / "web")

    async def case() -> None:
        async with a_client(tmp_path) as client:
            packed = await client.get(HASHED, headers={"Accept-Encoding": "br, gzip"})
            assert packed.text == SCRIPT
            assert packed.headers["content-encoding"] == "gzip"
            assert int(packed.headers["content-length"]) < len(SCRIPT)
            assert packed.headers["vary"] == "Accept-Encoding"
            assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
            for coding in ("identity", "gzip;q=0", "gzip; q=0.0", ""):
                plain = await client.get(HASHED, headers={"Accept-Encoding": coding})
                assert "content-encoding" not in plain.headers
                assert plain.text == SCRIPT
                assert plain.headers["etag"] != packed.headers["etag"]

    run(case)


def test_what_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    built(tmp_path / "web")

    async def case() -> None:
        async with a_client(tmp_path) as client:
            tag = (await client.get("/")).headers["etag"]
            for wanted in (tag, f'"other", W/{tag}', "*"):
                answer = await client.get("/", headers={"If-None-Match": wanted})
                assert (answer.status_code, answer.content) == (304, b"")
                assert answer.headers["etag"] == tag
            assert (await client.get("/", headers={"If-None-Match": '"other"'})).status_code == 200
            head = await client.head("/", headers={"Accept-Encoding": "identity"})
            assert (head.status_code, head.content) == (200, b"")
            assert int(head.headers["content-length"]) == len(INDEX)

    run(case)


@pytest.mark.parametrize(
    "path",
    [
        "/../keys.json", "/..%2fkeys.json", "/%2e%2e/keys.json", "/assets/../../keys.json",
        "/assets/%2e%2e%2f%2e%2e%2fkeys.json", "/..\\keys", "//index.html", "/./index.html", "/assets", "/assets/",
        "/sw.js/", "/%00", "/sw.js%00.html", "/etc/passwd", "/INDEX.HTML", "/web_assets/index.html",
    ],
)  # fmt: skip
def test_nothing_but_the_files_can_be_reached(tmp_path: Path, path: str) -> None:
    built(tmp_path / "web")

    async def case() -> None:
        async with a_client(tmp_path) as client:
            url = httpx.URL("http://test").copy_with(raw_path=path.encode())
            assert problem(await client.get(url)) == "NOT_FOUND"

    run(case)


def test_only_reading_and_no_websocket(tmp_path: Path) -> None:
    built(tmp_path / "web")

    async def case() -> None:
        async with a_client(tmp_path) as client:
            for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                assert problem(await client.request(method, "/")) == "NOT_FOUND"
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
            assert problem(await client.get("/", headers=upgrade)) == "NOT_FOUND"

    run(case)


def test_a_client_that_was_not_built_says_how(tmp_path: Path) -> None:
    async def case() -> None:
        async with a_client(tmp_path) as client:
            answer = await client.get("/")
            assert answer.status_code == 404
            assert "make web" in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert problem(await client.get("/sw.js")) == "NOT_FOUND"

    run(case)


def test_a_folder_that_is_no_client_is_refused(tmp_path: Path) -> None:
    built(tmp_path / "web")
    for number in range(FILES_MAX):
        (tmp_path / "web" / f"{number}.txt").touch()
    with pytest.raises(ValueError, match="no web client"):
        read_files(tmp_path / "web")


def test_small_and_incompressible_files_go_as_they_are(tmp_path: Path) -> None:
    folder = built(tmp_path / "web")
    packed = gzip.compress(bytes(range(256)) * 40)
    (folder / "icon.png").write_bytes(packed)
    files = read_files(folder)
    assert files["/icon.png"].packed is None
    assert files["/sw.js"].packed is None
    assert files["/icon.png"].media_type == "image/png"
