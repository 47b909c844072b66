#!/bin/sh
# Resolves requirements/*.in to the newest versions and pins them with the hashes of all their files, without any index or host.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$(scripts/doctor.sh python)" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet pip-tools
for name in run dev; do
    "$tools/bin/pip-compile" --quiet --upgrade --allow-unsafe --generate-hashes --strip-extras --no-header \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
        --output-file "requirements/$name.txt" "requirements/$name.in"
done
