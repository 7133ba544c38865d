# `make demo` and `make test` each create what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: setup demo test check bench faults slicer-test clean

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

# The Slicer module, in four legs (plugin/README.md). slicer-core brings its own VTK, about 1 GB.
SLICER := build/slicer-venv
SLICER_PYTEST := QT_QPA_PLATFORM=offscreen BCD_WRITTEN_RESULTS=$(CURDIR)/build/written \
	$(SLICER)/bin/python -m pytest -c tests/slicer/apart.ini --rootdir tests/slicer

$(SLICER)/.installed: tests/slicer/requirements.txt
	$(PYTHON) -m venv $(SLICER)
	$(SLICER)/bin/python -m pip install --quiet --requirement tests/slicer/requirements.txt
	touch $@

slicer-test: setup $(SLICER)/.installed
	@echo "Leg 1: the library, plain Python"
	$(BIN)/pytest tests/slicer/lib tests/slicer/project
	@echo "Leg 2: a real MRML scene, rendered off screen (slicer-core)"
	rm -rf build/written
	$(BIN)/python tests/slicer/written_results.py build/written
	$(SLICER_PYTEST) tests/slicer/mrml
	@echo "Leg 3: the panel, on PySide6 with that scene, and through the real gateway"
	$(SLICER_PYTEST) tests/slicer/widget
	@echo "Leg 4, for a full Slicer (not run here; none is to be had from the package registries):"
	@echo "  Slicer --no-splash --testing --additional-module-paths $(CURDIR)/plugin/BCDDetector \\"
	@echo "    --python-code \"slicer.util.selectModule('BCDDetector'); from BCDDetector import BCDDetectorTest; BCDDetectorTest().runTest(); slicer.util.exit()\""

clean:
	rm -rf $(VENV) build *.egg-info
