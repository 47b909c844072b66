"""Generate everything that follows from protocol/: catalogues, reference pages and protobuf code.

Owns the way from protocol/errors.toml, protocol/limits.toml and protocol/iris/v1/*.proto to the committed files that
`outputs()` lists, and from src/iris/capacity/costs.toml to its page. Knows nothing of the server. Needs only the
standard library and grpcio-tools.

    python scripts/gen.py              write the files
    python scripts/gen.py --check      exit 1 and name the files that differ
    python scripts/gen.py --baseline   at a release: what may not be broken from now on, into protocol/baseline/
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from scripts import gen_typescript as typescript  # noqa: E402

PROTOCOL = ROOT / "protocol"
PROTO_PACKAGE = "iris/v1"
PB_PACKAGE = "src/iris_sdk/_pb"

RETRIES = ("never", "after", "gap", "new_stream")
ANSWERS = ("Send", "frame", "http")
RECONNECTS = ("yes", "backoff", "after_refresh", "no")
UNITS = ("bytes", "items", "per_second", "us", "ms", "days")
PLACES = ("engine", "edge", "shard", "http", "store", "sdk", "content")  # content: inside the payload, clients only
AT_LIMIT = ("refuse", "close", "pause", "shed", "end")

Table = dict[str, dict[str, Any]]


class CatalogueError(Exception):
    """A rule of protocol/*.toml is broken; the text names the entry."""


def need(condition: bool, text: str) -> None:
    """Raise CatalogueError(text) unless `condition` holds."""
    if not condition:
        raise CatalogueError(text)


def check_keys(what: str, entry: dict[str, Any], required: set[str], optional: frozenset[str] = frozenset()) -> None:
    """Every required key is there and no unknown one."""
    missing, unknown = required - entry.keys(), entry.keys() - required - optional
    need(not missing, f"{what}: {', '.join(sorted(missing))} missing")
    need(not unknown, f"{what}: unknown {', '.join(sorted(unknown))}")


def check_codes(kind: str, table: Table, retired: dict[str, int]) -> None:
    """Codes and names are unique and none of them was ever used before."""
    seen: dict[int, str] = {code: f"retired {name}" for name, code in retired.items()}
    need(len(seen) == len(retired), f"retired.{kind}: a code stands twice")
    for name, entry in table.items():
        need(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) is not None, f"{kind}.{name}: names are UPPER_CASE")
        need(name not in retired, f"{kind}.{name}: the name is retired and never used again")
        code = entry["code"]
        need(code not in seen, f"{kind}.{name}: code {code} is taken by {seen.get(code)}")
        seen[code] = name


def check_errors(table: Table) -> None:
    """The rules of [error.*] in the head of errors.toml."""
    optional = frozenset({"outcome", "http"})
    for name, entry in table.items():
        what = f"error.{name}"
        check_keys(what, entry, {"code", "answers", "retry", "client", "meaning"}, optional)
        need(1000 <= entry["code"] <= 1999, f"{what}: codes of errors are 1000-1999")
        need(entry["retry"] in RETRIES, f"{what}: retry is one of {RETRIES}")
        need(bool(entry["answers"]) and set(entry["answers"]) <= set(ANSWERS), f"{what}: answers are of {ANSWERS}")
        need(
            ("http" in entry["answers"]) == ("http" in entry), f"{what}: an http answer and an http status go together"
        )
        need(not entry.get("outcome") or "Send" in entry["answers"], f"{what}: only a Send has an outcome")


def check_closes(table: Table) -> None:
    """The rules of [close.*]: the number says whether to reconnect."""
    for name, entry in table.items():
        what, code = f"close.{name}", entry.get("code", 0)
        check_keys(what, entry, {"code", "reconnect", "meaning"})
        need(entry["reconnect"] in RECONNECTS, f"{what}: reconnect is one of {RECONNECTS}")
        need(1000 <= code <= 1015 or 4000 <= code <= 4999, f"{what}: close codes are 1000-1015 or 4000-4999")
        if code >= 4000:
            need((entry["reconnect"] == "no") == (code >= 4500), f"{what}: 4000-4499 reconnect, 4500-4999 do not")


def check_limits(limits: Table, errors: Table, closes: Table) -> None:
    """The rules of limits.toml; an answer in capitals is a name of errors.toml."""
    for name, entry in limits.items():
        check_keys(name, entry, {"default", "unit", "scope", "where", "at_limit", "answer", "metric"})
        need(re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None, f"{name}: names are lower_case")
        need(type(entry["default"]) is int and entry["default"] > 0, f"{name}: the default is a whole number above 0")
        need(entry["unit"] in UNITS, f"{name}: unit is one of {UNITS}")
        need(entry["where"] in PLACES, f"{name}: where is one of {PLACES}")
        need(entry["at_limit"] in AT_LIMIT, f"{name}: at_limit is one of {AT_LIMIT}")
        answer = entry["answer"]
        if re.fullmatch(r"[A-Z_]+", answer):
            need(answer in errors or answer in closes, f"{name}: no error or close reason is called {answer}")
        need(re.fullmatch(r"iris_[a-z_]+|\(sdk\)", entry["metric"]) is not None, f"{name}: metric is iris_… or (sdk)")


def load(folder: Path = PROTOCOL) -> tuple[Table, Table, Table]:
    """Errors, closes and limits of `folder`, checked. Raises CatalogueError."""
    catalogue = tomllib.loads((folder / "errors.toml").read_text(encoding="utf-8"))
    limits: Table = tomllib.loads((folder / "limits.toml").read_text(encoding="utf-8"))
    errors: Table = catalogue["error"]
    closes: Table = catalogue["close"]
    retired = catalogue["retired"]
    check_errors(errors)
    check_closes(closes)
    check_codes("error", errors, retired.get("error", {}))
    check_codes("close", closes, retired.get("close", {}))
    check_limits(limits, errors, closes)
    return errors, closes, limits


# --- Python ---
PYTHON_HEAD = '''"""Errors, close codes and limits of Iris, for {owner}.

Generated by scripts/gen.py from protocol/errors.toml and protocol/limits.toml. Do not edit: run `make gen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

'''

PYTHON_INFOS = '''
class ErrorInfo(NamedTuple):
    """One error of the catalogue. `http` is None where it is never an HTTP answer."""

    name: str
    code: int
    answers: tuple[str, ...]  # Send (Rejected), frame (Problem), http
    outcome: bool  # lasting: it spends the Send's number and is given again for every repeat
    retry: Literal["never", "after", "gap", "new_stream"]
    http: int | None
    client: str  # what a client does
    meaning: str


class CloseInfo(NamedTuple):
    """One WebSocket close code of the catalogue."""

    name: str
    code: int
    reconnect: Literal["yes", "backoff", "after_refresh", "no"]
    meaning: str


class LimitInfo(NamedTuple):
    """What a limit is: `default` counts `unit`s per `scope`; `answer` is what the other side sees at the limit."""

    name: str
    default: int
    unit: Literal["bytes", "items", "per_second", "us", "ms", "days"]
    scope: str
    where: Literal["engine", "edge", "shard", "http", "store", "sdk", "content"]
    at_limit: Literal["refuse", "close", "pause", "shed", "end"]
    answer: str
    metric: str

'''


def quoted(text: str) -> str:
    """A Python or Rust literal in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def python_catalogue(owner: str, errors: Table, closes: Table, limits: Table) -> str:
    """The text of catalogue.py."""
    out = [PYTHON_HEAD.format(owner=owner)]
    for title, doc, table in (
        ("ErrorCode", "Why a Send, another frame or an HTTP request was refused.", errors),
        ("CloseCode", "Why a connection was closed.", closes),
    ):
        out.append(f'\nclass {title}(IntEnum):\n    """{doc}"""\n\n')
        out += [f"    {name} = {entry['code']}\n" for name, entry in table.items()]
        out.append("\n")
    out.append(PYTHON_INFOS)
    out.append("\nERRORS: dict[ErrorCode, ErrorInfo] = {\n")
    for name, e in errors.items():
        answers = "(" + ", ".join(quoted(a) for a in e["answers"]) + ",)"
        row = (quoted(name), e["code"], answers, e.get("outcome", False), quoted(e["retry"]), e.get("http"))
        words = f"{quoted(e['client'])}, {quoted(e['meaning'])}"
        out.append(f"    ErrorCode.{name}: ErrorInfo({', '.join(map(str, row))}, {words}),\n")
    out.append("}\n\nCLOSES: dict[CloseCode, CloseInfo] = {\n")
    for name, e in closes.items():
        words = f"{quoted(e['reconnect'])}, {quoted(e['meaning'])}"
        out.append(f"    CloseCode.{name}: CloseInfo({quoted(name)}, {e['code']}, {words}),\n")
    out.append("}\n\n\n@dataclass(frozen=True, slots=True)\nclass Limits:\n")
    out.append('    """Every limit, with its default. LIMITS says what each one is."""\n\n')
    for name, e in limits.items():
        out.append(f"    {name}: int = {e['default']}  # {e['unit']}; {e['scope']}\n")
    out.append("\n\nLIMITS: dict[str, LimitInfo] = {\n")
    for name, e in limits.items():
        words = ", ".join(quoted(e[key]) for key in ("unit", "scope", "where", "at_limit", "answer", "metric"))
        out.append(f"    {quoted(name)}: LimitInfo({quoted(name)}, {e['default']}, {words}),\n")
    out.append("}\n")
    return "".join(out)


# --- Rust ---
RUST_HEAD = """//! Errors, close codes and default limits of Iris.
//!
//! Generated by scripts/gen.py from protocol/errors.toml and protocol/limits.toml. Do not edit: run `make gen`.

#![allow(dead_code)]
"""


def rust_catalogue(errors: Table, closes: Table, limits: Table) -> str:
    """The text of catalogue.rs; formatted as rustfmt would. The engine never looks inside a payload."""
    out = [RUST_HEAD]
    limits = {name: entry for name, entry in limits.items() if entry["where"] != "content"}
    for module, doc, kind, table, key, words in (
        ("error", "Why a frame was refused.", "u32", errors, "code", "meaning"),
        ("close", "Why a connection was closed.", "u16", closes, "code", "meaning"),
        ("limit", "Defaults of limits.toml.", "u64", limits, "default", "scope"),
    ):
        out.append(f"\n/// {doc}\npub mod {module} {{\n")
        for name, entry in table.items():
            unit = f"{entry['unit']}; " if module == "limit" else ""
            number = f"{entry[key]:_}" if entry[key] >= 10_000 and module == "limit" else entry[key]
            out.append(f"    /// {unit}{entry[words]}\n    pub const {name.upper()}: {kind} = {number};\n")
        out.append("}\n")
    return "".join(out)


# --- reference pages ---
def cell(value: object) -> str:
    """Text that is safe in a Markdown table."""
    return str(value).replace("|", "\\|")


def rows(table: list[tuple[object, ...]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell(c) for c in row) + " |" for row in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines) + "\n"


def errors_page(errors: Table, closes: Table) -> str:
    """docs/reference/errors.md."""
    error_rows: list[tuple[object, ...]] = [
        ("Code", "Name", "Answers", "Retry", "Outcome", "HTTP", "Meaning", "What a client does")
    ]
    for name, e in errors.items():
        outcome = "lasting" if e.get("outcome") else ""
        words = (", ".join(e["answers"]), e["retry"], outcome, e.get("http", ""), e["meaning"], e["client"])
        error_rows.append((e["code"], f"`{name}`", *words))
    close_rows: list[tuple[object, ...]] = [("Code", "Name", "Reconnect", "Meaning")]
    close_rows += [(e["code"], f"`{name}`", e["reconnect"], e["meaning"]) for name, e in closes.items()]
    return f"""# Errors and close codes

<!-- Generated by scripts/gen.py from protocol/errors.toml. Do not edit: run `make gen`. -->

A code or name is never used for something else later. A client treats an unknown code by its `retry` field (errors), or
by its range (close codes: 4000-4499 reconnect with backoff, 4500-4999 do not).

## Errors

The connection lives. `Send` is answered with `Rejected`, another frame with `Problem`, an HTTP request with RFC 9457
`application/problem+json`. A *lasting* one is the outcome of a Send for ever: it spends the number.

- `never`: the answer is final. `after`: the same again, not before `retry_after_ms`.
- `gap`: send from the expected number on. `new_stream`: open a new stream and number the unanswered messages anew.

{rows(error_rows)}
## Close codes

- `yes`: reconnect at once. `backoff`: reconnect with growing, jittered delays.
- `after_refresh`: get a new access token first. `no`: do not reconnect by yourself.

{rows(close_rows)}"""


def limits_page(limits: Table) -> str:
    """docs/reference/limits.md."""
    table: list[tuple[object, ...]] = [
        ("Limit", "Default", "Unit", "Counted for", "Where", "At the limit", "The other side sees", "Metric")
    ]
    for name, e in limits.items():
        answer = f"`{e['answer']}`" if re.fullmatch(r"[A-Z_]+", e["answer"]) else e["answer"]
        number = f"{e['default']:,}"
        table.append(
            (f"`{name}`", number, e["unit"], e["scope"], e["where"], e["at_limit"], answer, f"`{e['metric']}`")
        )
    return f"""# Limits

<!-- Generated by scripts/gen.py from protocol/limits.toml. Do not edit: run `make gen`. -->

Every queue, table and loop of Iris has a limit with a name. Set another value in `iris.toml` under `[limits]`, or as
`IRIS_LIMITS__NAME`. No value means “no limit”.

At the limit: *refuse* answers with an error, *close* ends the connection, *pause* stops reading until there is room,
*shed* drops what may be lost, *end* ends the thing itself (a time that is over, a page that is full).

{rows(table)}"""


# --- protobuf ---
def costs_page() -> str:
    """docs/reference/costs.md, from what `iris capacity` counts with."""
    kinds = tomllib.loads((ROOT / "src/iris/capacity/costs.toml").read_text(encoding="utf-8"))
    titles = {"cost": "What Iris costs", "assumption": "What users do, how full nodes are, what others cost"}
    parts = [
        "# Costs and assumptions\n\nGenerated from src/iris/capacity/costs.toml."
        " [capacity.md](../capacity.md) says what each is for.\n"
        "`iris capacity --set NAME=VALUE` puts another in its place.\n"
    ]
    for kind, title in titles.items():
        head: list[tuple[object, ...]] = [("name", "value", "unit", "kind", "from")]
        entries = kinds[kind].items()
        body: list[tuple[object, ...]] = [
            (f"`{name}`", f"{one['value']:,.10g}", one["unit"], one["kind"], one["source"]) for name, one in entries
        ]
        parts.append(f"\n## {title}\n\n{rows(head + body)}")
    return "".join(parts)


def run_protoc(arguments: list[str]) -> None:
    """Run grpcio-tools' protoc on protocol/. Raises SystemExit with its words when it fails."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOCOL}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"gen: protoc failed (is requirements/dev.txt installed?)\n{done.stderr}")


def protobuf_outputs() -> dict[str, bytes]:
    """The Python modules, their stubs, and the descriptor set."""
    names = sorted(f"{PROTO_PACKAGE}/{p.name}" for p in (PROTOCOL / PROTO_PACKAGE).glob("*.proto"))
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        descriptors = out / "descriptors.binpb"
        run_protoc([f"--python_out={out}", f"--pyi_out={out}", f"--descriptor_set_out={descriptors}", *names])
        files["protocol/descriptors.binpb"] = descriptors.read_bytes()
        for path in sorted((out / PROTO_PACKAGE).iterdir()):
            text = path.read_text(encoding="utf-8")
            # protoc imports by proto package; ours lie side by side in one Python package.
            text = re.sub(r"^from iris\.v1 import (\w+_pb2)", r"from iris_sdk._pb import \1", text, flags=re.M)
            files[f"{PB_PACKAGE}/{path.name}"] = text.encode()
    files[f"{PB_PACKAGE}/__init__.py"] = b'"""Protobuf code generated from protocol/iris/v1 (make gen)."""\n'
    return files


# --- the released protocol ---
def parse_codes(text: str) -> dict[str, dict[str, int]]:
    """The codes that protocol/baseline/codes.toml lists, by kind and name."""
    codes: dict[str, dict[str, int]] = tomllib.loads(text)
    return codes


def all_codes() -> dict[str, dict[str, int]]:
    """Every code of errors.toml by kind and name, retired ones included."""
    catalogue = tomllib.loads((PROTOCOL / "errors.toml").read_text(encoding="utf-8"))
    return {
        kind: {name: entry["code"] for name, entry in catalogue[kind].items()} | catalogue["retired"].get(kind, {})
        for kind in ("error", "close")
    }


def write_baseline() -> None:
    """Copy what peers in the field rely on: the present descriptor set and every code."""
    folder = PROTOCOL / "baseline"
    folder.mkdir(exist_ok=True)
    (folder / "descriptors.binpb").write_bytes((PROTOCOL / "descriptors.binpb").read_bytes())
    lines = ["# Codes of the last release (scripts/gen.py --baseline). None of them is ever given to something else.\n"]
    for kind, codes in all_codes().items():
        lines.append(f"\n[{kind}]\n")
        lines += [f"{name} = {code}\n" for name, code in codes.items()]
    (folder / "codes.toml").write_text("".join(lines), encoding="utf-8")


def outputs() -> dict[str, bytes]:
    """Every generated file, by its path from the root."""
    errors, closes, limits = load()
    files = {
        "src/iris/core/catalogue.py": python_catalogue("the server", errors, closes, limits),
        "src/iris_sdk/catalogue.py": python_catalogue("the SDK", errors, closes, limits),
        "engine/src/catalogue.rs": rust_catalogue(errors, closes, limits),
        "sdk/typescript/src/catalogue.ts": typescript.catalogue(errors, closes, limits),
        "docs/reference/errors.md": errors_page(errors, closes),
        "docs/reference/limits.md": limits_page(limits),
        "docs/reference/costs.md": costs_page(),
    }
    return {name: text.encode() for name, text in files.items()} | protobuf_outputs()


def stale(files: dict[str, bytes]) -> list[str]:
    """Paths whose file on disk differs, is missing, or is generated code that nothing generates any more."""
    differing = [name for name, data in files.items() if not (p := ROOT / name).is_file() or p.read_bytes() != data]
    left = {p.relative_to(ROOT).as_posix() for p in (ROOT / PB_PACKAGE).glob("*.py*") if p.is_file()}
    return sorted({*differing, *(left - files.keys())})


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit status."""
    if arguments not in ([], ["--check"], ["--baseline"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        files = outputs()
    except CatalogueError as error:
        print(f"gen: {error}", file=sys.stderr)
        return 1
    names = stale(files)
    if arguments == ["--check"]:
        for name in names:
            print(
                f"gen: {name} differs from what protocol/ or costs.toml says; run `make gen` and commit it",
                file=sys.stderr,
            )
        return 1 if names else 0
    for name in names:
        if name not in files:
            (ROOT / name).unlink()
            continue
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_bytes(files[name])
    if arguments == ["--baseline"]:
        write_baseline()
    print(f"gen: {len(names)} of {len(files)} files written" if names else "gen: nothing to do")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
