#!/bin/sh
# Says in one line what is missing to build Iris, with the fix; exit 1. Prints nothing when all is there.
#   doctor.sh python    print the path of the first Python that is new enough
#   doctor.sh build     Rust toolchain and C compiler
#   doctor.sh node      Node.js and npm, for the TypeScript SDK
set -u

RUST_MIN=87 # minor version of Rust 1, as in clippy.toml

fail() {
    echo "iris: $1" >&2
    exit 1
}

case "${1:-}" in
python)
    # The system's own first: distributions build it with profile-guided optimisation, version managers mostly do not.
    for name in ${PYTHON:-} /usr/bin/python3 python3 python3.13 python3.12 python3.11 python; do
        path=$(command -v "$name" 2>/dev/null) || continue
        "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        "$path" -c 'import ensurepip, venv' 2>/dev/null || [ "$name" != /usr/bin/python3 ] || [ -n "${PYTHON:-}" ] || continue
        "$path" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$path cannot make virtual environments; install its venv package (Debian, Ubuntu: apt install python3-venv)"
        "$path" -c 'import sys; print(sys.executable)'
        exit 0
    done
    fail "needs Python 3.11 or newer, found $(python3 -V 2>/dev/null || echo none); install it (Debian, Ubuntu: apt install python3 python3-venv) or run: make PYTHON=/path/to/python3"
    ;;
build)
    command -v cargo >/dev/null 2>&1 ||
        fail "needs a Rust toolchain (cargo 1.$RUST_MIN or newer); install it from https://rustup.rs and open a new terminal"
    minor=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$RUST_MIN" ] ||
        fail "needs cargo 1.$RUST_MIN or newer, found $(cargo --version 2>&1 | head -n 1); run: rustup update stable"
    command -v "${CC:-cc}" >/dev/null 2>&1 ||
        fail "needs a C compiler (${CC:-cc} not found); install one (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc)"
    ;;
node)
    command -v npm >/dev/null 2>&1 ||
        fail "needs Node.js 20 or newer with npm, for the TypeScript SDK (Debian, Ubuntu: apt install nodejs npm)"
    major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
    [ "${major:-0}" -ge 20 ] || fail "needs Node.js 20 or newer, found $(node --version 2>&1)"
    ;;
*)
    echo "usage: doctor.sh python|build|node" >&2
    exit 2
    ;;
esac
