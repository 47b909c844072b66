"""What the generated pages of figures have in common: their marks, where the figures come from, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with this text between its marks, and all else as it was. Raises SystemExit when it has no marks."""
    before, begins, rest = page.partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise SystemExit(f"the page has no marks {begin} and {end}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def write(page: Path, text: str, plots: Mapping[str, str]) -> None:
    """Write a page, and the plots that it shows."""
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    for name, plot in plots.items():
        (folder / name).write_text(plot)
    page.write_text(text)


def origin(document: Mapping[str, Any], file_systems: Sequence[str] = ()) -> str:
    """Which command gave the figures, when and where."""
    machine, versions = document["machine"], document["versions"]
    memory = "" if machine["memory_mb"] is None else f", {machine['memory_mb'] / 1024:.0f} GB"
    systems = "".join(f", {name}" for name in file_systems)
    compiled = ", hot modules compiled" if document.get("compiled") else ""
    return (
        f"`{document['command']}` at {document['at']}, commit {document['commit']}: {machine['cpus']} CPUs"
        f" ({machine['cpu']}){memory}, Linux {machine['kernel']}{systems}, Python {versions['python']}, rocksdict"
        f" {versions.get('rocksdict', '-')}{compiled}. Load average at the end of the run: {machine['load_average']}.\n"
    )


def number(value: float | None) -> str:
    """A figure for people: three digits, or all of a large or whole one; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
