# `make demo` and `make test` each create what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: setup demo test check bench faults clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/bcd-admin demo --out build/demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

test: check
	$(BIN)/pytest

bench: setup
	$(BIN)/python tests/benchmarks/startup.py
	$(BIN)/python tests/benchmarks/scan.py
	$(BIN)/python tests/benchmarks/scale.py
	$(BIN)/python tests/benchmarks/gateway.py

faults: setup
	$(BIN)/python tests/faults/run.py

clean:
	rm -rf $(VENV) build *.egg-info
