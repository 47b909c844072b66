"""The `iris` command. Each command imports what it needs when it runs, so that help and version come at once."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run `iris` with the arguments of this process and end it with the command's exit code."""
    if sys.argv[1:] == ["--version"]:
        from iris import __version__

        print(f"iris {__version__}")
        return
    from iris.cli.root import run

    sys.exit(run(sys.argv[1:]))
