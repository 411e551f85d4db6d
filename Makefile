# make demo   see it work on the sample world          make test   lint, types, all tests
# make lint   ruff, mypy, import-linter                make bench  benchmark tables
# make lab    a whole internet of mail hosts here: its story, tables and pictures (needs root)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo lab test lint format bench packages clean

demo: $(VENV)/.runtime
	$(BIN)/trustgraph demo --out demo-out

lab: $(VENV)/.dev packages
	$(BIN)/python -m tests.system.internet --out lab-out

test: $(VENV)/.dev packages lint
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

# Debian packages that the system tests need, installed when run as root or with sudo, named otherwise; and Mailman.
packages:
	@tests/install-packages $(VENV)/exim $(VENV)/opensmtpd $(VENV)/sequoia-wot
	@tests/make-mailman $(PYTHON) $(VENV)/mailman

$(VENV)/.runtime: pyproject.toml constraints.txt
	@tests/make-venv $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo-out lab-out build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
