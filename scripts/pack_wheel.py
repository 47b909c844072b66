"""Put the compiled modules into the wheel in dist/: beside each source, where Python takes them first.

    python scripts/pack_wheel.py [WHEEL]        the newest wheel of dist/ by default

Another version of Python than the one they were compiled for does not see them, and runs the sources: the wheel fits
both. Where nothing could be compiled (scripts/compile.py says why), the wheel stays as it is.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from scripts.check_wheel import newest
from scripts.compile import OUT, extensions, is_current

Files = Mapping[str, bytes]  # the name in the wheel -> content


def record(name: str, content: bytes) -> tuple[str, str, str]:
    """The line of a file in RECORD (the binary distribution format: SHA-256, URL-safe base64 without padding)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return name, f"sha256={digest}", str(len(content))


def add(wheel: Path, files: Files) -> None:
    """Write the wheel anew with these files in it. Those of the same names are replaced."""
    made = wheel.with_suffix(".tmp")
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        (listed,) = [name for name in before.namelist() if name.endswith(".dist-info/RECORD")]
        for entry in before.infolist():
            if entry.filename != listed and entry.filename not in files:
                after.writestr(entry, before.read(entry), zipfile.ZIP_DEFLATED)
        lines = [line for line in csv.reader(io.StringIO(before.read(listed).decode())) if line[0] not in files]
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            after.writestr(entry, content, zipfile.ZIP_DEFLATED)
        own = [line for line in lines if line[0] == listed]
        others = [line for line in lines if line[0] != listed]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [*others, *(record(name, content) for name, content in sorted(files.items())), *own]
        )
        after.writestr(listed, text.getvalue(), zipfile.ZIP_DEFLATED)
    made.replace(wheel)


def main() -> int:
    """Exit status."""
    wheel = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else newest()
    if not is_current():
        print(f"iris: {wheel.name} has no compiled modules: it runs the sources", file=sys.stderr)
        return 0
    found = {path.relative_to(OUT).as_posix(): path.read_bytes() for path in extensions()}
    add(wheel, found)
    print(f"iris: {len(found)} compiled modules are in {wheel.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
