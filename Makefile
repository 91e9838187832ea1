# Every target sets up what it needs in .venv; run from a bare clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test lint format clean help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: $(STAMP)  ## make .venv with the tested versions of everything

$(STAMP): setup.py requirements/runtime.txt requirements/tests.txt requirements/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt 'setuptools<81' wheel
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

demo: $(STAMP)  ## the whole experiment on rendered worlds, about ten minutes on two cores
	$(BIN)/python tools/demo.py

test: $(STAMP)  ## the test suite, on all cores but at most eight
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

lint: $(STAMP)  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)  ## mend the format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the demo's worlds and runs
	rm -rf work_dirs/demo
