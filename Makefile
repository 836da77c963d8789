# Skyloom's commands. `make demo` and `make test` need only Python 3.11 or newer and 2 cores.
#
#   make demo        raw pages to a published model in minutes; prints where the run page is
#   make test        the tests (about 12 minutes on 2 cores that compute bf16, up to an hour on others);
#                    COVERAGE=1 also measures which lines they run, and fails below the floor
#   make test-all    with the slow suites
#   make bars        every numeric bar: measured value, threshold, pass or fail
#   make check       formatting, lint and types
#
# Without an NVIDIA card, take the small CPU build of torch:
#   make demo TORCH_INDEX=<the CPU wheel index that pytorch.org's install page names>

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
ARGS ?=
COVERAGE ?=
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-all bars check format clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Skyloom needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet torch -c constraints.txt --index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install --quiet --editable '.[dev]' -c constraints.txt
	@touch $@

demo: $(STAMP)
	$(BIN)/skyloom run recipes/demo.toml $(ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow" --durations 15 $(if $(COVERAGE),--cov) $(ARGS)

test-all: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --durations 15 $(ARGS)

bars: $(STAMP)
	$(BIN)/python -m bench.bars $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
