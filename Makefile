# Everything that this project does, each by one command. No command wants a virtual environment made by hand.

PYTHON ?= python3
BIN := .venv/bin
PLAIN := .venv-plain/bin
INSTALL := python -m pip install --quiet --constraint constraints.txt
PIP := $(BIN)/$(INSTALL)
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
PYTEST := python -m pytest -n auto --doctest-modules

.PHONY: help demo test test-compiled test-nojit test-plain test-pythons package proof check format bench accuracy clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/demo  ## install, obtain Fashion-MNIST, train the reference network, show the result
	$(BIN)/python -m minigrad data verify fashion-mnist || $(BIN)/python -m minigrad data fetch fashion-mnist \
		|| (echo "No mirror within reach: taking Debian's package." \
		&& apt-get update -q && apt-get install -y -q dataset-fashion-mnist)
	$(BIN)/python -m minigrad train fashion-mnist --recipe reference-cosine --seed 0 --out runs/demo

test: test-compiled  ## install the test extra and run all tests
	$(ONE_THREAD) $(BIN)/$(PYTEST) $(COMPILED:%=--ignore=%) minigrad tests

# What needs the JIT. Its coverage is measured here, as the next run has no JIT. What writes code is covered where that is
# compiled, so a few kernels are compiled in tests; the others once, and not in each of pytest's processes.
COMPILED := $(wildcard tests/test_engine*.py tests/test_*compiled.py tests/test_cli_warmup.py)

test-compiled: .venv/test
	$(ONE_THREAD) $(BIN)/$(PYTEST) --cov minigrad --cov-report= -k leaves_nothing_to_compile tests/test_cli_warmup.py
	$(BIN)/python -m minigrad warmup --all
	$(ONE_THREAD) $(BIN)/$(PYTEST) --cov minigrad --cov-append --cov-report= $(COMPILED)

# Mutants test the tests, which once is enough for. Tiles are those of a CPU with AVX2 whatever this one is: where it has
# AVX-512, the tests before this took the other ones.
test-nojit: test-compiled  ## run all tests on kernels as plain Python, whose bounds are checked; measure the coverage
	$(ONE_THREAD) NUMBA_DISABLE_JIT=1 NUMBA_CPU_FEATURES=+avx,+avx2 $(BIN)/$(PYTEST) \
		--cov minigrad --cov-append --cov-fail-under=95 --ignore tests/test_mutants.py $(COMPILED:%=--ignore=%) tests

test-plain: .venv-plain/test  ## run all tests where Numba is not installed
	$(ONE_THREAD) $(PLAIN)/$(PYTEST) --ignore minigrad/kernels/jit --ignore minigrad/engine minigrad tests

# Each Python that is found, by name or by pyenv; those that are not are said.
PYTHONS := 3.11 3.12 3.13

test-pythons:  ## import all modules with warnings as errors, and train, on every Python that is found
	@for version in $(PYTHONS); do \
		python=python$$version; \
		$$python --version >/dev/null 2>&1 || python=$$(ls -d ~/.pyenv/versions/$$version.*/bin/python 2>/dev/null | tail -1); \
		if [ -z "$$python" ]; then echo "Python $$version: not found"; continue; fi; \
		"$$python" -m venv .venv-$$version && .venv-$$version/bin/python -m pip install --quiet . \
		&& .venv-$$version/bin/python -W error -m tests.other_python || exit 1; \
	done

package: .venv/package  ## build sdist and wheel, check both, and collect all tests from the unpacked sdist
	rm -rf dist build/sdist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	mkdir -p build/sdist && tar -xzf dist/*.tar.gz -C build/sdist --strip-components 1
	cd build/sdist && $(CURDIR)/$(BIN)/python -m pytest --collect-only --quiet | tail -1

# Each of two processors searches so long; with what follows that makes an hour.
PROOF_MINUTES ?= 20

proof: .venv/test  ## search for a wrong gradient for an hour; a row for each class goes to docs/proof.md
	$(ONE_THREAD) $(BIN)/python -m tests.proof --minutes $(PROOF_MINUTES) --write
	$(ONE_THREAD) $(BIN)/$(PYTEST) --hypothesis-profile=deep tests/test_networks.py

check: .venv/dev  ## lint, formatting, types (also in editors), direction of imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m tests.editors
	$(BIN)/lint-imports

format: .venv/dev  ## format the code
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: .venv/bench  ## measure the speed beside other libraries', and the floor (three quarters of an hour, on an idle machine)
	command -v clang >/dev/null || (apt-get update -q && apt-get install -y -q clang) \
		|| echo "Without clang tinygrad takes no part."
	$(BIN)/python -m benchmarks

accuracy: .venv/test  ## train every network of the README's table over its seeds (some six hours)
	$(BIN)/python -m benchmarks.accuracy
	$(BIN)/python -m benchmarks.sgd
	$(BIN)/python -m benchmarks.transfer

clean:  ## remove what was built
	rm -rf .venv .venv-plain .coverage build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/made .venv-plain/made: %/made:
	$(PYTHON) -m venv $* || (apt-get update -q && apt-get install -y -q python3-venv && $(PYTHON) -m venv $*)
	touch $@

.venv/demo: .venv/made setup.cfg constraints.txt
	$(PIP) --editable ".[plot]"
	touch $@

.venv/test: .venv/made setup.cfg constraints.txt
	$(PIP) --editable ".[test]"
	touch $@

.venv/bench: .venv/made setup.cfg constraints.txt
	$(PIP) --editable ".[bench]"
	touch $@

.venv/package: .venv/test
	$(PIP) --editable ".[package]"
	touch $@

.venv/dev: .venv/made setup.cfg constraints.txt
	$(PIP) --editable ".[dev]"
	touch $@

.venv-plain/test: .venv-plain/made setup.cfg constraints.txt
	$(PLAIN)/$(INSTALL) --editable ".[test]"
	$(PLAIN)/python -m pip uninstall --quiet --yes numba llvmlite
	touch $@
