# Everything installs itself: no target needs a step before it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing
TOGETHER := -n 4 --no-loadscope-reorder
# Many tests wait for a kill or a time-out: four at a time, whole files (tests/conftest.py), the longest first.
export PYTHONDONTWRITEBYTECODE :=
# Tests start hundreds of processes: modules are compiled once.

.PHONY: demo up test soak check bench openapi histories clean help

help:  ## What there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(INSTALLED)  ## Install, start, and watch a real run open a pull request
	@$(BIN)/codecourier demo

up: $(INSTALLED)  ## Start the whole stack on this machine; Ctrl-C stops it
	@$(BIN)/codecourier up

test: $(DEVELOPING)  ## The tests, on a real PostgreSQL, Temporal, git and SDKs
	@$(BIN)/pytest $(TOGETHER) -m "not soak"

soak: $(DEVELOPING)  ## The long ones: hundreds of turns, minutes of waiting, kill upon kill
	@$(BIN)/pytest $(TOGETHER) -m soak

check: $(DEVELOPING)  ## Format, lint, types, imports, migrations, OpenAPI
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.check_migrations
	@$(BIN)/python -m api.openapi --check

bench: $(DEVELOPING)  ## Speed against bare baselines in the same run
	@$(BIN)/python -m tests.bench

openapi: $(DEVELOPING)  ## Write docs/openapi.json anew
	@$(BIN)/python -m api.openapi

histories: $(DEVELOPING)  ## Record tests/histories anew
	@$(BIN)/python -m tests.workflows.record

clean:  ## Remove what was installed and made here
	@rm -rf $(VENV) .codecourier .mypy_cache .ruff_cache .pytest_cache *.egg-info build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "CodeCourier needs Python 3.11 or later; name one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv module is missing. On Debian: apt install python3-venv"; exit 1; }

$(INSTALLED): requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing (once) …"
	@$(PIP) install --require-hashes -r requirements.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEVELOPING): requirements-dev.txt $(INSTALLED)
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
