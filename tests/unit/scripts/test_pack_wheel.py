"""The wheel that `make build` makes has the compiled modules, and pip believes its RECORD."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import pack_wheel

METADATA = "Metadata-Version: 2.1\nName: packed\nVersion: 1\n"
TAGS = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """One module, and a RECORD that lists it and itself."""
    path = tmp_path / "packed-1-py3-none-any.whl"
    files = {"packed.py": b"told = 1\n", "packed-1.dist-info/METADATA": METADATA.encode()}
    files["packed-1.dist-info/WHEEL"] = TAGS.encode()
    lines = [",".join(pack_wheel.record(name, content)) for name, content in files.items()]
    record = "\n".join([*lines, "packed-1.dist-info/RECORD,,"])
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in {**files, "packed-1.dist-info/RECORD": record.encode()}.items():
            packed.writestr(name, content)
    return path


def installed(wheel: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What pip says to it."""
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    return subprocess.run([*words, str(wheel)], capture_output=True, text=True, check=False)


def test_added_files_are_there_and_listed(wheel: Path, tmp_path: Path) -> None:
    pack_wheel.add(wheel, {"packed_native.so": b"\x7fELF", "inner/native.so": b""})
    with zipfile.ZipFile(wheel) as packed:
        assert packed.testzip() is None
        assert packed.read("packed.py") == b"told = 1\n"
        assert packed.read("packed_native.so") == b"\x7fELF"
        lines = packed.read("packed-1.dist-info/RECORD").decode().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "packed.py", "packed-1.dist-info/METADATA", "packed-1.dist-info/WHEEL", "inner/native.so", "packed_native.so",
        "packed-1.dist-info/RECORD",
    ]  # fmt: skip
    assert lines[3] == "inner/native.so,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0"
    assert lines[-1] == "packed-1.dist-info/RECORD,,"
    done = installed(wheel, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "packed_native.so").read_bytes() == b"\x7fELF"


def test_to_add_twice_is_to_add_once(wheel: Path) -> None:
    pack_wheel.add(wheel, {"native.so": b"old"})
    pack_wheel.add(wheel, {"native.so": b"new"})
    with zipfile.ZipFile(wheel) as packed:
        assert packed.namelist().count("native.so") == 1
        assert packed.read("native.so") == b"new"
        assert packed.read("packed-1.dist-info/RECORD").decode().count("native.so") == 1


def test_without_compiled_modules_the_wheel_stays(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = wheel.read_bytes()
    monkeypatch.setattr(pack_wheel, "is_current", lambda: False)
    monkeypatch.setattr(sys, "argv", ["pack_wheel.py", str(wheel)])
    assert pack_wheel.main() == 0
    assert wheel.read_bytes() == before
    assert "no compiled modules" in capsys.readouterr().err
