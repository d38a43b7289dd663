# What a person types. Needs Python 3.11 or newer with venv and pip; everything else is installed into .venv from the lock.
#
#   make demo        the main job on a small synthetic cohort, told as a story
#   make test        the test suite, about a quarter of an hour on two cores
#   make test-long   faults, attacks, fuzzing and oracles at length
#   make check       lint, format, types, import rules
#   make bench       the benchmarks
#   make docs        write docs/commands.md from the commands' own help
#   make lock        resolve requirements/ anew from pyproject.toml

PYTHON ?= python3
JOBS ?= 2

# The tests start hundreds of processes, which would each compile every module again that is not kept compiled.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Only wheels: a source archive would run its own code while it is built. Where PyPI lacks one, make install WHEELS= allows them.
WHEELS ?= --only-binary :all:

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long check bench docs lock clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(INSTALLED)

# Only hashes in the lock are accepted; the project itself is built by the locked build backend, without the network.
$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "genovault needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes $(WHEELS) --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/genovault demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not long" -n $(JOBS) --dist worksteal

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long -n $(JOBS) --dist worksteal

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.run

docs: $(INSTALLED)
	$(BIN)/python -m cli.reference > docs/commands.md

# One resolution for every platform and every Python from 3.11 on: dev.txt first, core.txt held to the same versions.
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" pyproject.toml

lock: $(INSTALLED)
	$(LOCK) --all-extras $(LOCK_OPTIONS) --output-file requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt --no-annotate --output-file requirements/core.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
