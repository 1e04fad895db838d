# Everything installs itself: no target needs a step before it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing
TOGETHER := -n 4 --no-loadscope-reorder
# Many tests wait for a kill or a time-out: four at a time, whole files (tests/conftest.py), the longest first.
# Failed tests are run once more, alone; one that passes only then is flaky, and has to be fixed.
define RUN_TESTS
@$(BIN)/pytest $(TOGETHER) $(1) || { [ $$? -eq 1 ] && echo "Failed tests are run once more, alone" \
  && $(BIN)/pytest --last-failed --last-failed-no-failures none --exitfirst $(1); }
endef
export PYTHONDONTWRITEBYTECODE :=
# Tests start hundreds of processes: modules are compiled once.

SBOM := .sbom/codecourier.cdx.json

.PHONY: demo up test soak faults chaos check sbom bench openapi histories seal clean help

help:  ## What there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(INSTALLED)  ## Install, start, and watch a real run open a pull request
	@$(BIN)/codecourier demo

up: $(INSTALLED)  ## Start the whole stack on this machine; Ctrl-C stops it
	@$(BIN)/codecourier up

test: $(DEVELOPING)  ## The tests, on a real PostgreSQL, Temporal, git and SDKs
	$(call RUN_TESTS,-m "not soak")

soak: $(DEVELOPING)  ## The long ones: hundreds of turns, minutes of waiting, kill upon kill
	$(call RUN_TESTS,-m soak $$(grep -rl --include='*.py' mark.soak tests))

faults: $(DEVELOPING)  ## Of the long ones, what CI plays: the faults of the table, for three minutes
	$(call RUN_TESTS,-m soak tests/chaos/test_fault_table.py)

chaos: $(DEVELOPING)  ## The fault table: every fault on the real stack, 1,000 runs; ARGUMENTS=--short for less
	@$(BIN)/python -m tests.chaos $(or $(ARGUMENTS),--runs 1000 --results .chaos/results.json)

check: sbom  ## Format, lint, types, imports, migrations, OpenAPI, SBOM
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.support.check_migrations
	@$(BIN)/python -m api.openapi --check

# The same bytes for the same lock.  The tool's own validation against the schema takes ten times as long.
sbom: $(DEVELOPING)  ## What a production installation consists of, as CycloneDX: .sbom/
	@mkdir -p $(dir $(SBOM))
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml \
	  --output-reproducible --no-validate --output-file $(SBOM) requirements.txt

bench: $(DEVELOPING)  ## Speed against bare baselines in the same run
	@$(BIN)/python -m tests.bench

openapi: $(DEVELOPING)  ## Write docs/openapi.json anew
	@$(BIN)/python -m api.openapi

histories: $(DEVELOPING)  ## Record the histories of this version anew
	@$(BIN)/python -m tests.support.histories.record

seal: $(DEVELOPING)  ## Close the histories of this version, when it is released
	@$(BIN)/python -m tests.support.histories.versions

clean:  ## Remove what was installed and made here
	@rm -rf $(VENV) .codecourier .sbom .mypy_cache .ruff_cache .pytest_cache *.egg-info build

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
