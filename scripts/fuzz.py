#!/usr/bin/env python3
"""Build the fuzz targets of fuzz/ with libFuzzer and run them one after the other: `fuzz.py [seconds] [target ...]`.

No cargo-fuzz and no nightly compiler: the coverage that libFuzzer steers by is a pass of LLVM that the stable compiler
has too. There is no AddressSanitizer, which needs nightly: the few lines of unsafe code in the engine are system calls.

New inputs go to target/fuzz/corpus, what fails to target/fuzz/artifacts; `--keep` adds the new inputs, reduced to those
that matter, to fuzz/corpus. The exit code is 1 when a target failed, 3 when this machine cannot build them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
FUZZ = ROOT / "fuzz"
BUILT = ROOT / "target" / "fuzz"
TARGETS = sorted(path.stem for path in (FUZZ / "targets").glob("*.rs"))
# What cargo-fuzz sets, without what needs a nightly compiler.
FLAGS = (
    "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 "
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table "
    "-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
)
INPUT_BYTES_MAX = 4096
MEMORY_MB_MAX = 1024
INPUT_SECONDS_MAX = 5
KEPT_MAX, KEPT_BYTES_MAX = 200, 1024  # inputs of a target in fuzz/corpus, and bytes of each
CANNOT_BUILD = 3
STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")


def missing() -> str | None:
    """What this machine lacks; None when it can build the targets."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++")):
        return "libFuzzer needs a C++ compiler (Debian, Ubuntu: apt install g++)"
    with TemporaryDirectory() as folder:  # never /dev/null: rustc would replace it by a file
        probe = ["rustc", "-", "--crate-type=lib", f"--out-dir={folder}", *FLAGS.split()]
        done = subprocess.run(probe, input="", text=True, capture_output=True, check=False)
    return None if done.returncode == 0 else f"this rustc has no coverage for fuzzing: {done.stderr.strip()[-300:]}"


def build() -> Path:
    """Build all targets; their folder."""
    host = next(
        line.removeprefix("host: ")
        for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines()
        if line.startswith("host: ")
    )
    # With a named platform the flags hold for the targets alone, not for what builds them.
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--features", "libfuzzer", "--bins"]
    command += ["--target", host, "--manifest-path", str(FUZZ / "Cargo.toml")]
    environment = {**os.environ, "RUSTFLAGS": FLAGS, "CARGO_TARGET_DIR": str(BUILT)}
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True)
    return BUILT / host / "release"


def run(binary: Path, seconds: int) -> tuple[list[str], bool]:
    """Run one target. Its row of the table, and whether it found nothing."""
    name = binary.name
    found, artifacts = BUILT / "corpus" / name, BUILT / "artifacts" / name
    for folder in (found, artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_len={INPUT_BYTES_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-timeout={INPUT_SECONDS_MAX}"]
    options += [f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/", "-print_final_stats=1", "-verbosity=1"]
    began = time.monotonic()
    command = [str(binary), *options, str(found), str(FUZZ / "corpus" / name)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    lines = [match.groups() for match in STATUS.finditer(done.stderr)]
    first, last = (lines[0], lines[-1]) if lines else (("0",) * 4, ("0",) * 4)
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    memory = re.search(r"peak_rss_mb:\s+(\d+)", done.stderr)
    row = [
        name,
        f"{int(runs[1]) if runs else int(last[0]):,}",
        f"{first[1]} -> {last[1]}",
        f"{first[2]} -> {last[2]}",
        last[3],
        f"{(time.monotonic() - began) / 60:.1f}",
        memory[1] if memory else "-",
        "clean" if done.returncode == 0 else "FOUND",
    ]
    if done.returncode != 0:
        print("\n".join(done.stderr.splitlines()[-40:]), file=sys.stderr)
    return row, done.returncode == 0


def keep(binary: Path) -> None:
    """Renew the kept inputs: the fewest that reach as much as all that were found, at most KEPT_MAX of them."""
    kept, small = FUZZ / "corpus" / binary.name, BUILT / "merged" / binary.name
    shutil.rmtree(small, ignore_errors=True)
    small.mkdir(parents=True)
    command = [str(binary), "-set_cover_merge=1", f"-max_len={KEPT_BYTES_MAX}", str(small)]
    subprocess.run([*command, str(BUILT / "corpus" / binary.name), str(kept)], capture_output=True, check=True)
    for path in sorted(small.iterdir())[: KEPT_MAX - len(list(kept.iterdir()))]:
        shutil.copy(path, kept)


def show(rows: list[list[str]]) -> None:
    """The table."""
    head = ["target", "runs", "edges", "features", "inputs", "minutes", "MB", "end"]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip(), flush=True)


def main() -> int:
    """Build, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=int, nargs="?", default=600, help="of each target")
    parser.add_argument("targets", nargs="*", default=TARGETS, help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--keep", action="store_true", help="add the new inputs to fuzz/corpus")
    chosen = parser.parse_args()
    lacks = missing()
    if lacks:
        print(f"fuzz: SKIPPED, nothing was fuzzed: {lacks}", file=sys.stderr)
        return CANNOT_BUILD
    folder = build()
    rows, clean = [], True
    for name in chosen.targets:
        row, good = run(folder / name, chosen.seconds)
        rows.append(row)
        clean &= good
        told = f"{row[-1]}, {row[1]} runs, edges {row[2]}, features {row[3]}, {row[5]} min, {row[6]} MB"
        print(f"fuzz: {name}: {told}", file=sys.stderr, flush=True)
        if chosen.keep and good:
            keep(folder / name)
    show(rows)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
