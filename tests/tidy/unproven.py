"""Takes out of unproven.toml what is proven by now: `python -m tests.tidy.unproven`. It never adds a row."""

from __future__ import annotations

import tomllib

from tests.tidy.sources import HERE
from tests.tidy.test_catalogue import ROWS, is_proven


def main() -> None:
    """Rewrite the file; its comment stays."""
    path = HERE / "unproven.toml"
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("#")]
    for kind, names in tomllib.loads(text).items():
        left = [name for name in names if name in ROWS[kind] and not is_proven(kind, name)]
        lines += [f"{kind} = [", *(f'  "{name}",' for name in left), "]"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
