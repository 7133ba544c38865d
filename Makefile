# `make demo` and `make test` each create what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Container images often forbid Python to keep what it compiles. The tests start hundreds of processes, and each
# would compile the whole house anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo quick test check bench faults slicer-test slicer-library slicer-scene pictures pictures-slicer clean

setup: $(INSTALLED)

# PyPI's PyTorch for Linux brings 4 GB of CUDA that nothing here uses. The CPU build is taken from where pip looks,
# else from PyTorch's index; without either, or with TORCH_INDEX= and nothing behind it, PyPI's is.
TORCH := torch==2.13.0+cpu
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH_FIRST := $(BIN)/python -m pip install --quiet --no-deps

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
ifeq ($(shell uname -s),Linux)
	@$(TORCH_FIRST) --no-index "$(TORCH)" 2>/dev/null || \
	  { test -n "$(TORCH_INDEX)" && \
	    $(TORCH_FIRST) --retries 1 --timeout 15 --index-url "$(TORCH_INDEX)" "$(TORCH)" 2>/dev/null; } || \
	  echo "no CPU build of PyTorch to be had: taking PyPI's, with CUDA"
endif
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/bcd-admin demo --out build/demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml
	$(BIN)/pytest --quiet tests/docs/test_markdown.py

# One test more at a time than there are cores (tests/conftest.py); those of one file run in one process, as they
# share a Redis.
PARALLEL := --numprocesses=auto --dist=loadfile --no-loadscope-reorder

# What starts no processes, needs no films, no Java, no browser and nothing of Debian's, and takes no 5 s.
quick: setup
	$(BIN)/pytest $(PARALLEL) -m "not (slow or commands or redis or films or jvm or browser or debian)"

test: check
	$(BIN)/pytest $(PARALLEL) --durations=25

bench: setup
	$(BIN)/python -m tests.benchmarks.startup
	$(BIN)/python -m tests.benchmarks.scan
	$(BIN)/python -m tests.benchmarks.scale
	$(BIN)/python -m tests.benchmarks.gateway

faults: setup
	$(BIN)/python -m tests.faults.run

# The Slicer module, in four legs (plugin/README.md). slicer-core brings its own VTK, about 1 GB.
SLICER := build/slicer-venv
SLICER_PYTEST := QT_QPA_PLATFORM=offscreen BCD_WRITTEN_RESULTS=$(CURDIR)/build/written \
	$(SLICER)/bin/python -m pytest -c tests/slicer/apart.ini --rootdir tests/slicer

$(SLICER)/.installed: tests/slicer/requirements.txt
	$(PYTHON) -m venv $(SLICER)
	$(SLICER)/bin/python -m pip install --quiet --requirement tests/slicer/requirements.txt
	touch $@

slicer-test: slicer-library slicer-scene

slicer-library: setup
	@echo "Leg 1: the library, plain Python"
	$(BIN)/pytest tests/slicer/lib tests/slicer/project

slicer-scene: setup $(SLICER)/.installed
	@echo "Leg 2: a real MRML scene, rendered off screen (slicer-core)"
	rm -rf build/written
	$(BIN)/python -m tests.slicer.written_results build/written
	$(SLICER_PYTEST) tests/slicer/mrml
	@echo "Leg 3: the panel, on PySide6 with that scene, and through the real gateway"
	$(SLICER_PYTEST) tests/slicer/widget
	@echo "Leg 4, for a full Slicer (not run here; none is to be had from the package registries):"
	@echo "  Slicer --no-splash --testing --additional-module-paths $(CURDIR)/plugin/BCDDetector \\"
	@echo "    --python-code \"slicer.util.selectModule('BCDDetector'); from BCDDetector import BCDDetectorTest; BCDDetectorTest().runTest(); slicer.util.exit()\""

# The pictures of README and tutorial, with a record of the weights that found what they show.
pictures: setup
	$(BIN)/python -m tests.docs.pictures

pictures-slicer: slicer-scene
	$(BIN)/python -m tests.docs.pictures --slicer

clean:
	rm -rf $(VENV) build *.egg-info
