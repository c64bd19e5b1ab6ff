# The two commands that anybody needs, and the broom.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test sanitize test-board clean

VENV := .venv
PYTHON := $(VENV)/bin/python
# Each stamp is as new as what it was made from, so a second call installs and builds nothing.
INSTALLED := $(VENV)/.installed
INSTALLED_FOR_TESTS := $(VENV)/.installed-for-tests
KERNELS := build/.kernels
# Hundreds of processes start in the tests; each would compile its modules anew.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make run    train a bat detector on simulated recordings and run it on a simulated night (demo/)"
	@echo "make test   style, types and all tests"
	@echo "make sanitize  the kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make test-board  init, flash, power cuts and rollback on an emulated ARM board (docs/flashing.md)"
	@echo "make clean  remove what was built and what the demo made; .venv/ and runs/ stay"

run: $(INSTALLED) $(KERNELS)
	@$(PYTHON) -m ecotf.commands.demo

# All four are run, whatever the first ones say; pytest's summary comes last. With worksteal a process has tests that stand side by side,
# so what they share is mostly made once.
test: $(INSTALLED_FOR_TESTS) $(KERNELS)
	@failed=0; \
	check() { echo "$$*"; $(PYTHON) -m "$$@" || failed=1; }; \
	check ruff check .; \
	check ruff format --check .; \
	check mypy -n 2; \
	check pytest -n 2 --dist worksteal -ra; \
	exit $$failed

sanitize: $(INSTALLED_FOR_TESTS) $(KERNELS)
	@$(PYTHON) tests/kernels/sanitized.py

# BUNDLES="one two" flashes those; without, the newest run of `make run` is exported.
test-board: $(INSTALLED) $(KERNELS)
	@$(PYTHON) -m deploy.board_emulation.flash_proof $(BUNDLES)

clean:
	rm -rf build demo ecotf.egg-info ecotf/_kernels/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# What is missing is said before anything is downloaded.
$(INSTALLED): requirements.txt
	@fail() { echo "$$1" >&2; exit 1; }; \
	python=""; \
	for name in python3.11 python3 /usr/bin/python3.11; do \
	  if [ -z "$$python" ] && "$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    python="$$name"; \
	  fi; \
	done; \
	[ -n "$$python" ] || fail "ecotf needs Python 3.11, which is not here; run: sudo apt install python3.11-venv python3.11-dev"; \
	"$$python" -c 'import ensurepip' 2>/dev/null \
	  || fail "this Python 3.11 cannot make environments; run: sudo apt install python3.11-venv"; \
	"$$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
	  || fail "the header files of Python 3.11 are missing; run: sudo apt install python3.11-dev"; \
	command -v "$${CC:-gcc}" >/dev/null \
	  || fail "there is no C compiler to build the kernels with; run: sudo apt install build-essential"; \
	[ -x $(VENV)/bin/pip ] || "$$python" -m venv $(VENV)
	@echo "installing packages into $(VENV)/ (a few minutes, once)"
	@$(PYTHON) -m pip install --quiet --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(INSTALLED_FOR_TESTS): requirements-dev.txt requirements-spark.txt $(INSTALLED)
	@$(PYTHON) -m pip install --quiet --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(KERNELS): setup.py $(wildcard cython_ext/*) | $(INSTALLED)
	@echo "building the kernels"
	@$(PYTHON) setup.py --quiet build_ext --inplace
	@mkdir -p $(@D) && touch $@
