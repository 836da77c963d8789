# Skyloom's commands. `make demo` and `make test` need only Python 3.11 or newer and 2 cores.
#
#   make demo        raw pages to a published model in minutes; prints where the run page is
#   make test        the tests (about 20 minutes on 2 cores that compute bf16, up to an hour on others);
#                    COVERAGE=1 also measures which lines they run, and fails below the floor
#   make test-all    with the slow suites
#   make bars        every numeric bar: measured value, threshold, pass or fail
#   make check       formatting, lint and types
#   make docs        what the documents name exists, their links lead somewhere, and their examples run
#   make site        the documentation as a web site, in build/site (strict: a dead link stops it)
#   make packages    wheel and sdist in dist/; `make try-packages` installs both, each into an empty environment, and runs them
#   make audit       known weaknesses of the pinned versions (needs the network)
#
# UV=1 makes the environment with uv in place of venv and pip.
#
# Without an NVIDIA card, take the small CPU build of torch:
#   make demo TORCH_INDEX=<the CPU wheel index that pytorch.org's install page names>

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
ARGS ?=
COVERAGE ?=
JOBS ?= 2
TAG ?=
UV ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP = $(if $(UV),VIRTUAL_ENV=$(VENV) uv pip install --quiet,$(BIN)/python -m pip install --quiet)
TRIALS := build/trials

.PHONY: compiled-wheel demo test test-all bars check docs site publish-site packages try-packages tag-is-version audit format clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Skyloom needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(if $(UV),uv venv --quiet --allow-existing --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
	$(if $(UV),,$(PIP) --upgrade pip -c constraints.txt)
	$(if $(TORCH_INDEX),$(PIP) torch -c constraints.txt --index-url $(TORCH_INDEX))
	$(PIP) --editable '.[dev]' -c constraints.txt
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

docs: $(STAMP)
	$(BIN)/python -m pytest -n 0 tests/core/test_document_paths.py tests/test_project_files.py tests/site $(ARGS)

$(VENV)/.site: $(STAMP)
	$(PIP) --editable '.[docs]' -c constraints.txt
	@touch $@

site: $(VENV)/.site
	$(BIN)/mkdocs build --strict $(ARGS)

# For the workflow: this version beside the others on the branch gh-pages.
publish-site: $(VENV)/.site
	$(BIN)/mike deploy --push --update-aliases $$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' src/skyloom/__init__.py) latest
	$(BIN)/mike set-default --push latest

packages: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

# A wheel for this Python on Linux that brings the compiled kernels, beside the one of `make packages`.
compiled-wheel: $(STAMP)
	$(BIN)/python tools/compiled_wheel.py dist/*-none-any.whl --out dist

# Each package alone: an empty environment, the pinned versions of what it needs, the small recipe from an empty folder.
try-packages: $(STAMP)
	rm -rf $(TRIALS)
	for package in dist/*.whl dist/*.tar.gz; do \
	  there=$(TRIALS)/$$(basename $$package) && $(BIN)/python -m venv $$there && \
	  $(if $(TORCH_INDEX),$$there/bin/python -m pip install --quiet torch -c constraints.txt --index-url $(TORCH_INDEX) &&) \
	  $$there/bin/python -m pip install --quiet $$package -c constraints.txt && mkdir $$there/empty && \
	  (cd $$there/empty && ../bin/skyloom --version && ../bin/skyloom run tiny --set train.precision=fp32) || exit 1; \
	done

tag-is-version:
	@test "$(TAG)" = "v$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' src/skyloom/__init__.py)" || { echo "the tag '$(TAG)' is not the version of src/skyloom/__init__.py"; exit 1; }

# The tool has an environment of its own: what it needs is not what is audited.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit
	build/audit/bin/python -m pip_audit --requirement constraints.txt --no-deps --disable-pip

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
