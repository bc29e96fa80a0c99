# Two commands do everything on a fresh machine: make demo, make test.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Debian's packages by name, as root or by sudo: $(call apt,packages)
apt = if [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -q -y $(1); else sudo apt-get update -q && sudo apt-get install -q -y $(1); fi

.PHONY: demo test crashes conformance check wheel fix serve bench pins clean help

help: ## list what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /: /'

# A Debian python3 comes without the part that makes environments: install it by name where that is so.
$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python 3.11 or later, got $$($(PYTHON) -V); set PYTHON=… to a newer one"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "installing python3-venv (this Python cannot make environments without it)"; \
		$(call apt,python3-venv); }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/made requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install -q --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# The hot loops are compiled once, here, so that nobody waits for them later.
$(VENV)/compiled: $(VENV)/run $(shell find src/chengshu/methods -name '*.py')
	$(BIN)/chengshu pack compile transport/av_pilot
	@touch $@

$(VENV)/dev: $(VENV)/run requirements/dev.txt requirements/spark.txt
	$(BIN)/python -m pip install -q --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install -q --no-build-isolation --require-hashes -r requirements/spark.txt
	@touch $@

# The tests hold anchors against a real chain, which npm brings, and tree heads and certificates against openssl.
$(VENV)/tools: $(VENV)/made
	@for program in npm openssl; do command -v $$program > /dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
		echo "installing$$missing (the tests need it)"; \
		$(call apt,$$missing); \
	fi
	@touch $@

# The conformance kits are Java programs that Maven brings, and Spark, which the tests compare with DuckDB, is one too.
$(VENV)/jdk: $(VENV)/made
	@command -v javac > /dev/null || missing="default-jdk-headless"; command -v mvn > /dev/null || missing="$$missing maven"; \
	if [ -n "$$missing" ]; then \
		echo "installing $$missing (the conformance kits and Spark need it)"; \
		$(call apt,$$missing); \
	fi
	@touch $@

demo: $(VENV)/compiled ## set up and run the autonomous-driving pilot on six nodes
	$(BIN)/chengshu demo

# The suite runs on a PostgreSQL server of its own, made of Debian's programs in a temporary folder: the package's own server is not used.
$(VENV)/postgresql: $(VENV)/made
	@if ! ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1; then \
		echo "installing postgresql (the tests run on it too)"; \
		$(call apt,--no-install-recommends postgresql); \
	fi
	@touch $@

# Products in place are read from a MariaDB server of the suite's own, made and ended likewise.
$(VENV)/mariadb: $(VENV)/made
	@if ! PATH=$$PATH:/usr/sbin command -v mariadbd > /dev/null; then \
		echo "installing mariadb-server (the tests read from one)"; \
		$(call apt,--no-install-recommends mariadb-server); \
	fi
	@touch $@

test: $(VENV)/dev $(VENV)/compiled $(VENV)/tools $(VENV)/jdk $(VENV)/postgresql $(VENV)/mariadb ## set up and run the whole suite on SQLite, then what rests on a database on PostgreSQL; the conformance kits have a target of their own
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/conformance
	CHENGSHU_TEST_DATABASE=postgresql $(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/conformance

conformance: $(VENV)/dev $(VENV)/jdk ## fetch the public conformance kits and hold a node against each; fails unless every enabled test passes
	CI=1 $(BIN)/python -m pytest tests/conformance

crashes: $(VENV)/dev $(VENV)/compiled ## kill two nodes at random moments of 1,000 negotiations; the seed is printed
	$(BIN)/python -m pytest -s tests/nodes/test_crashes.py -k random_moments --crash-negotiations 1000

check: $(VENV)/dev ## style, types, layers, dependencies, change log
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/towncrier build --draft --version next > /dev/null

wheel: $(VENV)/dev ## build the wheel and try it in an empty environment
	rm -rf dist build/wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install -q --require-hashes -r requirements/run.txt
	build/wheel/bin/python -m pip install -q --no-deps dist/chengshu-*.whl
	cd build && wheel/bin/chengshu --version && wheel/bin/chengshu pack check transport/av_pilot

fix: $(VENV)/dev ## mend what can be mended by a program
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

serve: $(VENV)/run ## serve the node in NODE=folder
	$(BIN)/chengshu serve --node $(or $(NODE),node)

bench: $(VENV)/dev $(VENV)/jdk ## measure, side by side with a named peer or limit; fails when a promise is not kept
	$(BIN)/python -m benchmarks

pins: ## compile the pins again (needs uv)
	uv pip compile pyproject.toml requirements/install.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins" -o requirements/run.txt
	uv pip compile requirements/dev.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins" -o requirements/dev.txt
	uv pip compile requirements/sumo.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins" -o requirements/sumo.txt
	uv pip compile requirements/spark.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins" -o requirements/spark.txt

clean: ## remove what was made
	rm -rf $(VENV) demo dist build
