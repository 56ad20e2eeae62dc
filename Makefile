# The two commands are `make serve` and `make test`; the rest is for those who change the code.

PYTHON := $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Files in the order of tests/conftest.py, which is by how long they take.
AT_ONCE := -n 4 --dist loadfile --no-loadscope-reorder

# Where it is set, every start of a process compiles all modules again, and there are hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test test-citus test-clients test-python-client test-stores check-stores test-js-client check check-tests lint bench migrate schemathesis audit lock ai-sdk-page clean

serve: .venv/serve
	@exec $(BIN)/chatkeep serve --migrate

migrate: .venv/serve
	@exec $(BIN)/chatkeep migrate

test: .venv/test
	@exec $(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

# On a cluster of Citus, which must be installed (docs/scale.md).
test-citus: .venv/test
	@CHATKEEP_TEST_CITUS=1 exec $(BIN)/python -m pytest tests/citus $(ARGS)

# The clients, against the service of this checkout. That for Python has two environments, which have no other of its
# packages: one without any framework, and one with all that it has stores for.
STORES := agent-framework chatkit google-adk llama-index openai-agents pydantic-ai strands
PYTHON_CLIENT := cd clients/python && PATH="$(CURDIR)/$(BIN):$$PATH"
test-clients: .venv/serve
	@$(MAKE) --no-print-directory --silent --jobs 2 --output-sync=target \
		test-stores check-stores test-python-client test-js-client

test-python-client: .venv/serve .venv-clients/done
	@$(PYTHON_CLIENT) ../../.venv-clients/bin/python -m pytest $(ARGS)

test-stores: .venv/serve .venv-stores/done
	@$(PYTHON_CLIENT) ../../.venv-stores/bin/python -m pytest $(ARGS) tests/stores

check-stores: .venv-stores/done
	@cd clients/python && ../../.venv-stores/bin/python -m mypy --exclude '^$$' src/chatkeep_client/*.py tests/stores/*.py

JS_CLIENT := clients/js
test-js-client: .venv/serve
	@if command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then \
		$(MAKE) --no-print-directory $(JS_CLIENT)/node_modules/done && cd $(JS_CLIENT) && \
		export PATH="$(CURDIR)/$(BIN):$$PATH" && npm test --silent; \
	else echo "skipped: the tests of $(JS_CLIENT) need npm and Node 20 or newer"; fi

$(JS_CLIENT)/node_modules/done: $(JS_CLIENT)/package-lock.json
	cd $(JS_CLIENT) && npm ci --silent --ignore-scripts --no-audit --no-fund --prefer-offline
	@touch $@

# What needs no database, in a fraction of the time: while one works on the code.
check: .venv/test
	@$(MAKE) --no-print-directory --silent --jobs 2 --output-sync=target lint check-tests

check-tests: .venv/test
	@exec $(BIN)/python -m pytest -q $(AT_ONCE) tests/unit tests/api tests/contract -m 'not postgres' $(ARGS)

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd clients/python && ../../$(BIN)/mypy
	$(BIN)/lint-imports

# A few minutes, and writes docs/benchmarks.md. QUICK=1: under one minute, smaller, writes no page.
bench: .venv/bench
	@exec $(BIN)/python -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick) $(ARGS)

# Made-up requests of every kind, by the OpenAPI document; about a minute.
schemathesis: .venv/test .venv-security/done
	@exec $(BIN)/python .ci/check_schema.py $(ARGS)

# Known vulnerabilities of what is installed with the product.
audit: .venv/python .venv-security/done
	@for file in requirements.txt requirements-otel.txt; do \
		$(BIN)/python .ci/check_vulnerabilities.py $$file || exit 1; done

# What each command needs is installed once, and again only when the lock file changes. A lock file is
# complete, so it is installed as it is: without --no-deps pip would resolve it again, and stop or
# take another version when a package it names has a newer release. A source package would be built
# with whatever build tools are newest, so only wheels are taken.
INSTALL := install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all:

.venv/serve: requirements.txt pyproject.toml | .venv/python
	$(BIN)/pip $(INSTALL) -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test: requirements-dev.txt .venv/serve
	$(BIN)/pip $(INSTALL) -r requirements-dev.txt
	@touch $@

.venv/bench: requirements-bench.txt .venv/serve
	$(BIN)/pip $(INSTALL) -r requirements-bench.txt
	@touch $@

# In an environment of its own: nothing of it meets the product.
.venv-security/done: requirements-security.txt
	$(PYTHON) -m venv .venv-security
	.venv-security/bin/pip $(INSTALL) -r requirements-security.txt
	@touch $@

.venv-clients/done: clients/python/requirements-dev.txt clients/python/pyproject.toml
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip $(INSTALL) -r clients/python/requirements-dev.txt
	.venv-clients/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable clients/python
	@touch $@

# Most modules of the frameworks are never imported, so they are compiled when they are.
.venv-stores/done: clients/python/requirements-stores.txt clients/python/pyproject.toml
	$(PYTHON) -m venv .venv-stores
	.venv-stores/bin/pip $(INSTALL) --no-compile -r clients/python/requirements-stores.txt
	.venv-stores/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable clients/python
	@touch $@

.venv/python:
	@test -n "$(PYTHON)" || { echo "chatkeep needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# Writes the lock files from pyproject.toml. Needs uv, which resolves for every platform and Python at once.
# What is locked stays; ARGS="--upgrade-package NAME" takes a newer release of one.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate $(ARGS) pyproject.toml
lock:
	$(LOCK) --extra build --output-file requirements.txt
	$(LOCK) --extra build --extra otel --constraint requirements.txt --output-file requirements-otel.txt
	$(LOCK) --extra build --extra dev --constraint requirements-otel.txt --output-file requirements-dev.txt
	$(LOCK) --extra bench --constraint requirements-dev.txt --output-file requirements-bench.txt
	$(subst 3.11,3.10,$(subst pyproject.toml,clients/python/pyproject.toml,$(LOCK))) --extra build --extra dev \
		--constraint requirements-dev.txt --output-file clients/python/requirements-dev.txt
	$(subst pyproject.toml,clients/python/pyproject.toml,$(LOCK)) --extra build --extra dev --extra stores \
		$(STORES:%=--extra %) --constraint clients/python/requirements-dev.txt \
		--output-file clients/python/requirements-stores.txt
	$(subst pyproject.toml,tests/e2e/openai/current.in,$(LOCK)) --output-file tests/e2e/openai/current.txt
	$(subst pyproject.toml,tests/e2e/openai/first.in,$(LOCK)) --output-file tests/e2e/openai/first.txt
	$(subst pyproject.toml,.ci/security.in,$(LOCK)) --output-file requirements-security.txt
	$(subst pyproject.toml,.ci/installers.in,$(LOCK)) --output-file .ci/installers.txt
	$(subst pyproject.toml,.ci/oldest-pip.in,$(LOCK)) --output-file .ci/oldest-pip.txt
	$(subst pyproject.toml,.ci/postgres.in,$(LOCK)) --output-file .ci/postgres.txt

# The page for the tests with the AI SDK's packages, bundled. Needs npm; without it they are skipped.
PAGE := tests/browser/ai_sdk_page
ai-sdk-page: build/ai-sdk-page/page.js
build/ai-sdk-page/page.js: $(PAGE)/package-lock.json $(PAGE)/page.jsx
	mkdir -p build/ai-sdk-page
	cp $(PAGE)/package.json $(PAGE)/package-lock.json $(PAGE)/page.jsx build/ai-sdk-page
	cd build/ai-sdk-page && npm ci --silent --ignore-scripts --no-audit --no-fund && \
		node_modules/.bin/esbuild page.jsx --bundle --format=esm --jsx=automatic --log-level=warning \
		--define:process.env.NODE_ENV='"production"' --outfile=page.js

clean:
	rm -rf .venv .venv-clients .venv-stores .venv-security build $(JS_CLIENT)/node_modules $(JS_CLIENT)/build $(JS_CLIENT)/dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
