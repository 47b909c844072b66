"""Is the wheel in dist/ all that somebody needs? Installs it into an empty environment elsewhere and asks for its page.

    python scripts/check_wheel.py [WHEEL]        the newest wheel of dist/ by default

It must hold the web client and serve it, with its policy, from a folder that knows nothing of this checkout. Compiled
modules that it holds must be those that run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READY = re.compile(r"iris: ready on ws://(127\.0\.0\.1:\d+)")
READY_S = 60.0
NEEDED = ("index.html", "sw.js", "manifest.webmanifest")


def newest() -> Path:
    """The wheel that was built last."""
    wheels = sorted((ROOT / "dist").glob("iris_im-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        sys.exit("iris: no wheel in dist/: run make build")
    return wheels[-1]


def missing(names: list[str]) -> list[str]:
    """What a wheel with these files lacks of the web client."""
    inside = [name.removeprefix("iris/web_assets/") for name in names if name.startswith("iris/web_assets/")]
    lacking = [name for name in NEEDED if name not in inside]
    if not any(re.fullmatch(r"assets/.+\.js", name) for name in inside):
        lacking.append("assets/*.js")
    return lacking


def install(wheel: Path, folder: Path) -> Path:
    """An environment with the pinned packages and the wheel; returns its bin folder."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements/run.txt")], check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    return folder / "bin"


def runs_sources(bin_folder: Path, folder: Path) -> bool:
    """Whether the installed Iris takes no notice of compiled modules."""
    words = [str(bin_folder / "python"), "-I", "-c", "import iris; print(iris.is_compiled())"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.strip() != "True"


def serve(bin_folder: Path, folder: Path) -> list[str]:
    """Start it, ask for the page and its script; returns what is wrong."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("IRIS_", "PYTHON"))}
    command = [str(bin_folder / "iris"), "serve", "--data", "data", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            return look(address(server))
        finally:
            server.terminate()


def address(server: subprocess.Popen[bytes]) -> str:
    """Where it listens, once it does."""
    said = ""
    deadline = time.monotonic() + READY_S
    assert server.stdout is not None
    while time.monotonic() < deadline and (line := server.stdout.readline()):
        said += line.decode(errors="replace")
        if ready := READY.search(said):
            return ready[1]
    sys.exit(f"iris: the installed server did not start:\n{said}")


def look(where: str) -> list[str]:
    """What is wrong with the page that is served there."""
    wrong: list[str] = []
    with urllib.request.urlopen(f"http://{where}/", timeout=10) as answer:
        page, headers = answer.read().decode(), answer.headers
    policy = headers.get("Content-Security-Policy", "")
    if "default-src 'none'" not in policy or "script-src 'self'" not in policy or "unsafe" in policy:
        wrong.append(f"the policy of / is {policy!r}")
    script = re.search(r'<script[^>]* src="(/assets/[^"]+\.js)"', page)
    if script is None:
        return [*wrong, "/ names no script"]
    with urllib.request.urlopen(f"http://{where}{script[1]}", timeout=10) as answer:
        if not answer.headers["Content-Type"].startswith("text/javascript") or len(answer.read()) < 1000:
            wrong.append(f"{script[1]} is no script")
    return wrong


def main() -> int:
    """Exit status."""
    wheel = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else newest()
    with zipfile.ZipFile(wheel) as packed:
        compiled = any("__mypyc." in name for name in packed.namelist())
        if lacking := missing(packed.namelist()):
            print(f"iris: {wheel.name} lacks of the web client: {', '.join(lacking)} (make web)", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory(prefix="iris-wheel-") as folder:
        bin_folder = install(wheel, Path(folder) / "venv")
        wrong = serve(bin_folder, Path(folder))
        if compiled and runs_sources(bin_folder, Path(folder)):
            wrong.append("its compiled modules are not what runs")
    for what in wrong:
        print(f"iris: {wheel.name}: {what}", file=sys.stderr)
    if not wrong:
        print(f"iris: {wheel.name} installs by itself and serves its web client{', compiled' if compiled else ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
