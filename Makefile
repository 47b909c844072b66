# Iris: `make run` tries it, `make test` tests it. Both do all set-up by themselves, once; `make help` lists the rest.
# Stamps: .venv/.run and .venv/.dev (pinned packages), the built engine module itself. Whatever is older than its sources is
# made again.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
ENGINE := src/iris/_engine.abi3.so
# Folders count too: a file that was removed changes its folder's time.
ENGINE_SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find engine protocol/iris -not -name '*.md' 2>/dev/null)
SDK_TS := sdk/typescript
WEB := web
# What `make web` makes last; the package serves the folder it lies in.
WEB_BUILT := src/iris/web_assets/index.html
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public $(SDK_TS)/src -type f -not -path '*/icons/*' 2>/dev/null) \
	$(addprefix $(WEB)/,index.html vite.config.ts scripts/icons.mjs package-lock.json)
CHROMIUM ?= /usr/bin/chromium
TEST_WORKERS ?= 3
SEEDS ?= 5000
PYTEST_ARGS ?=
SECONDS ?= 600
SOAK_ARGS ?=
BENCH_ARGS ?=
KILLS ?= 100
CUTS ?= 20
CREATIONS ?= 10
FUZZ_SECONDS ?= 600
PEBBLE := v2.10.3
# What the wheel holds: the compiled modules where there are any, else the sources.
AS_SHIPPED := PYTHONPATH=$(CURDIR)/target/compiled
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# What maturin sets when it builds, so that clippy and maturin do not undo each other's PyO3.
PYO3_ENV = PYO3_BUILD_EXTENSION_MODULE=1 PYO3_PYTHON=$(CURDIR)/$(BIN)/python PYTHON_SYS_EXECUTABLE=$(CURDIR)/$(BIN)/python \
	PYO3_CONFIG_FILE=$$(ls $(CURDIR)/target/maturin/pyo3-config-*.txt | head -n 1) \
	PYO3_ENVIRONMENT_SIGNATURE=$$($(BIN)/python -c 'import sys; print("cpython-%d.%d-64bit" % sys.version_info[:2])')
# One target folder, whatever the caller's environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target

.PHONY: bench bench-scale compiled guard guard-update valgrind pebble web web-if-possible test-web-here mutants sim browser crash fuzz fuzz-some help run test test-web build gen lint fmt types check rust-test py-test pins doctor setup clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | expand -t 12

run: $(ENGINE) web-if-possible ## set up, start Iris on loopback, let two sample users talk
	@exec $(BIN)/iris up

test: setup lint rust-test guard fuzz-some py-test ## set up, then every check and every test

setup: $(VENV)/.dev $(ENGINE) ## everything `make test` needs, without testing

web: $(WEB_BUILT) ## the web client, into the package (needs Node.js)

web-if-possible:
	@if scripts/doctor.sh node >/dev/null 2>&1; then $(MAKE) --no-print-directory web \
		|| echo "iris: the web client could not be built; everything else works without it" >&2; \
	elif [ ! -e $(WEB_BUILT) ]; then echo "iris: no web client, because Node.js 20 or newer with npm is missing" >&2; fi

build: compiled web-if-possible ## the wheel, into dist/; then sees that it works by itself
	@scripts/doctor.sh build
	$(BIN)/maturin build --release --locked --out dist
	@$(BIN)/python -m scripts.pack_wheel
	@if [ -e $(WEB_BUILT) ]; then $(BIN)/python -m scripts.check_wheel; \
	else echo "iris: the wheel has no web client, because Node.js 20 or newer with npm is missing" >&2; fi

check: setup lint ## lint and types, no tests

lint: setup types ## ruff, generated files, rustfmt, clippy, mypy, stubtest
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/python scripts/gen.py --check
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	$(PYO3_ENV) cargo clippy --quiet --release --locked --all-targets --features python -- -D warnings

types: setup ## mypy (strict) and the engine's stub against the built module
	$(BIN)/mypy src scripts tests bench
	$(BIN)/python -m mypy.stubtest iris._engine --mypy-config-file pyproject.toml --ignore-disjoint-bases

mutants: setup ## put known bugs in, one at a time: the simulator must catch each
	$(BIN)/python -m tests.mutants

compiled: setup ## the hot Python modules as C extensions, into target/compiled, where there is a C compiler
	@$(BIN)/python -m scripts.compile || [ $$? -eq 3 ]

sim: compiled ## SEEDS=5000 simulated clusters (docs/simulator.md)
	$(AS_SHIPPED) $(BIN)/iris sim --seeds $(SEEDS)

guard: setup ## instruction counts of fixed work against their baselines (docs/performance.md)
	@$(BIN)/python -m bench.guard

guard-update: setup ## takes the counts of now as baselines; REASON='in a sentence, why they changed'
	@$(BIN)/python -m bench.guard --update '$(REASON)'

rust-test: setup ## cargo test
	cargo test --quiet --release --locked

fuzz: setup ## every fuzzer for FUZZ_SECONDS=600, one after the other (docs/fuzzing.md)
	$(BIN)/python scripts/fuzz.py $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

fuzz-some: ## the fuzz targets' kept inputs and 20 s of each; says loudly when this machine cannot build them
	@python3 scripts/fuzz.py 20 || [ $$? -eq 3 ]

py-test: setup ## pytest
	$(BIN)/python -m pytest -q -n $(TEST_WORKERS) $(PYTEST_ARGS)

test-web: ## the TypeScript SDK and the web client: types, lint, tests, sizes, flows in Chromium
	@if scripts/doctor.sh node; then $(MAKE) --no-print-directory test-web-here; \
	else echo "iris: SKIPPED: the TypeScript SDK and the web client are not tested here" >&2; fi

# Each leaves a report in target/tests for scripts/count_tests.py.
REPORT = --reporter=default --reporter=json --outputFile.json=$(CURDIR)/target/tests

test-web-here: $(SDK_TS)/node_modules/.stamp $(WEB)/node_modules/.stamp $(WEB_BUILT)
	cd $(SDK_TS) && npm run --silent check && npm run --silent test -- $(REPORT)/sdk.json && npm run --silent size
	cd $(WEB) && npm run --silent check && npm run --silent test -- $(REPORT)/web.json
	@if [ ! -x "$(CHROMIUM)" ]; then echo "iris: SKIPPED: no Chromium at $(CHROMIUM) (make browser): the flows are not tested" >&2; \
	elif [ ! -x $(BIN)/iris ]; then echo "iris: SKIPPED: Iris is not set up (make setup): the flows are not tested" >&2; \
	else cd $(WEB) && CHROMIUM="$(CHROMIUM)" npm run --silent e2e -- $(REPORT:default=verbose)/flows.json; fi

crash: compiled ## kill -9 (KILLS=100) and power cuts (CUTS=20, need root) of a server under load
	$(BIN)/python -m tests.chaos.kill --rounds $(KILLS)
	$(BIN)/python -m tests.chaos.power --cuts $(CUTS) --creations $(CREATIONS)

browser: ## Chromium for tests/conformance, where apt can install it
	@command -v chromium >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| echo "iris: no Chromium, and no way to install it here: its tests are skipped" >&2

valgrind: ## valgrind for `make guard`, where apt can install it
	@command -v valgrind >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind >/dev/null; } \
		|| echo "iris: no valgrind, and no way to install it here: the engine's instructions are not counted" >&2

pebble: ## Pebble, the ACME test server, for tests/integration/test_acme.py, where Go is there
	@command -v pebble >/dev/null || [ -x target/tools/pebble ] \
		|| { command -v go >/dev/null && GOBIN=$(CURDIR)/target/tools GOFLAGS= go install github.com/letsencrypt/pebble/v2/cmd/pebble@$(PEBBLE); } \
		|| echo "iris: no Pebble, and no Go to build it: its tests are skipped" >&2

bench: compiled ## every benchmark (15 minutes at most), then the figures of docs/performance.md
	@mkdir -p target/bench
	@$(AS_SHIPPED) $(BIN)/iris bench all --json $(BENCH_ARGS) >target/bench/figures.json; code=$$?; \
	$(AS_SHIPPED) $(BIN)/python -m bench.peers --folder target/bench $(if $(findstring --quick,$(BENCH_ARGS)),--quick) >target/bench/peers.json; peers=$$?; \
	[ -s target/bench/figures.json ] && $(BIN)/python -m scripts.performance target/bench/figures.json target/bench/peers.json; \
	exit $$((code + peers))

bench-scale: compiled ## cost as connections, a mailbox, data and time grow (30 minutes), then docs/performance-scale.md
	@mkdir -p target/bench
	@$(AS_SHIPPED) $(BIN)/iris bench scale --json $(BENCH_ARGS) >target/bench/scale.json; code=$$?; \
	[ -s target/bench/scale.json ] && $(BIN)/python -m scripts.performance_scale target/bench/scale.json; exit $$code

soak: compiled ## load with churn for SECONDS (600): is everything flat, and nothing lost?
	$(AS_SHIPPED) $(BIN)/python -m iris_torture.soak --seconds $(SECONDS) $(SOAK_ARGS)

fmt: $(VENV)/.dev ## format Python and Rust
	$(BIN)/ruff check --quiet --fix
	$(BIN)/ruff format
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

gen: $(VENV)/.dev ## write the files that follow from protocol/
	$(BIN)/python scripts/gen.py

pins: ## new versions into requirements/*.txt
	scripts/pins.sh

doctor: ## is everything there that building needs?
	@scripts/doctor.sh python && scripts/doctor.sh build && echo "iris: all there"

clean: ## remove what was built; iris-data/ stays
	rm -rf $(VENV) target dist $(ENGINE) src/iris/web_assets .mypy_cache .ruff_cache .pytest_cache

# --- set-up, once ---
$(SDK_TS)/node_modules/.stamp: $(SDK_TS)/package.json $(SDK_TS)/package-lock.json
	@scripts/doctor.sh node
	@echo "iris: installing the pinned npm packages into $(SDK_TS)"
	@cd $(SDK_TS) && npm ci --silent --no-audit --no-fund
	@touch $@

$(WEB)/node_modules/.stamp: $(WEB)/package.json $(WEB)/package-lock.json
	@scripts/doctor.sh node
	@echo "iris: installing the pinned npm packages into $(WEB)"
	@cd $(WEB) && npm ci --silent --no-audit --no-fund
	@touch $@

$(WEB_BUILT): $(WEB_SOURCES) | $(SDK_TS)/node_modules/.stamp $(WEB)/node_modules/.stamp
	@echo "iris: building the web client"
	@cd $(WEB) && npm run --silent build -- --logLevel warn
	@touch $@

$(BIN)/python:
	@scripts/doctor.sh build
	@python=$$(scripts/doctor.sh python) && "$$python" -m venv $(VENV)

$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@echo "iris: installing the pinned Python packages into $(VENV)"
	@$(PIP_INSTALL) -r requirements/run.txt
	@touch $@

# dev.txt holds run.txt: afterwards .run is met too, and is touched only when it must be (the engine depends on it).
$(VENV)/.dev: requirements/dev.txt requirements/run.txt | $(BIN)/python
	@echo "iris: installing the pinned Python packages and test tools into $(VENV)"
	@$(PIP_INSTALL) -r requirements/dev.txt
	@[ $(VENV)/.run -nt requirements/run.txt ] || touch $(VENV)/.run
	@touch $@

$(ENGINE): $(ENGINE_SOURCES) $(VENV)/.run
	@scripts/doctor.sh build
	@echo "iris: building the engine (the first time takes a few minutes)"
	@PIP_QUIET=1 $(BIN)/maturin develop --quiet --release --locked
	@touch $@
