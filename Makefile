# `make quickstart` and `make test` need nothing but Python 3.11+ and a network for pip.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test lint bench soak

quickstart: .venv/installed  ## a small sweep on an embedded data set, to a frontier plot
	$(BIN)/sweeper run quickstart.yaml

test: .venv/installed-dev lint  ## everything a change must pass
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-dev  ## speed and memory, as ratios
	$(BIN)/python -m benchmarks

soak: .venv/installed-dev  ## faults injected for real, and a table of what came of them; under 20 minutes
	$(BIN)/python -m soak

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
