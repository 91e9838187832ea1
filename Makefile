# Every target sets up what it needs in .venv; run from a bare clone.
VENV := .venv
BIN := $(VENV)/bin
# The Python of an existing environment is kept; PYTHON=python3.12 makes another.
PYTHON ?= $(shell test -x $(BIN)/python && echo $(BIN)/python || echo python3)
# TORCH=cpu installs PyTorch without CUDA, TORCH=default that of PyPI; unset, the installed one is kept.
TORCH ?=
STAMP := $(VENV)/.installed
# Threads that wait for each other sleep. The package sets this too, but the tests import PyTorch before it.
export OMP_WAIT_POLICY ?= PASSIVE
PARALLEL := --numprocesses auto --maxprocesses 8 --dist worksteal

.PHONY: always install demo demo-full test test-slow test-all lint docs linkcheck format clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: $(STAMP)  ## make .venv with the tested versions of everything

# What must be installed is decided by the script: time stamps do not tell another Python or another build of PyTorch.
$(STAMP): always
	@$(PYTHON) requirements/install.py $(if $(TORCH),--torch $(TORCH))

demo: $(STAMP)  ## the whole experiment on small rendered worlds, some minutes on two cores
	$(BIN)/python tools/demo.py

demo-full: $(STAMP)  ## the same on the worlds of docs/synthetic_benchmark.md, more than twice the work
	$(BIN)/python tools/demo.py --full

test: $(STAMP)  ## the fast tests, on all cores but at most eight
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-slow: $(STAMP)  ## the other tests: whole trainings, killed runs, several processes and fuzzing
	$(BIN)/python -m pytest $(PARALLEL) -m slow

test-all: $(STAMP)  ## all tests; prints the coverage
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term:skip-covered

lint: $(STAMP)  ## style, format, who imports whom, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(STAMP)  ## the documentation, in docs/_build/html (Python 3.11 or newer)
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --requirement requirements/docs.txt
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

linkcheck: docs  ## follow every link of the documentation (needs the internet)
	$(BIN)/python -m sphinx -q -b linkcheck docs docs/_build/linkcheck

format: $(STAMP)  ## mend the format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the demo's worlds and runs
	rm -rf work_dirs/demo work_dirs/demo_full
