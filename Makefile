# `make` alone prints what there is. The set-up itself is in tools/install.py.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
PYG_WHEELS ?=
RETRY ?=
ARGS ?=

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.SILENT:
.DEFAULT_GOAL := help
.PHONY: help install train test test-slow lint format docs bench results clean

RUN := $(VENV)/bin/python
# A file of tests at a time on each core.
WORKERS := -n auto --dist loadfile
SETUP = $(PYTHON) tools/install.py --venv "$(VENV)" --torch "$(TORCH)" \
	--wheels "$(PYG_WHEELS)" $(if $(RETRY),--retry)

help:  ## print this help
	awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	echo
	echo '  ARGS="..."          passed on, as in: make train ARGS="experiment=..."'
	echo '  TORCH="torch==..."  the torch to install (now: $(TORCH))'
	echo '  PYG_WHEELS=...      a page or folder with wheels of torch-scatter and torch-sparse'
	echo '  RETRY=1             with install: try again to build what could not be built before'
	echo '  PYTHON=, VENV=      the Python to start from, the environment to make (now: $(PYTHON), $(VENV))'

install:  ## set up everything: torch, gia, tools, and torch-scatter and torch-sparse
	$(SETUP) install

train:  ## train a model: make train ARGS="experiment=..."
	$(SETUP) train
	$(RUN) train.py $(ARGS)

test:  ## run the tests, without the slow ones
	$(SETUP) test
	$(RUN) -m pytest $(WORKERS) $(ARGS)

test-slow:  ## run the slow tests
	$(SETUP) test
	$(RUN) -m pytest -m slow $(WORKERS) $(ARGS) || { status=$$?; [ $$status -eq 5 ] && echo "no slow tests"; }

lint:  ## check style and format
	$(SETUP) lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format:  ## fix style and format
	$(SETUP) lint
	$(VENV)/bin/ruff check --fix --exit-zero .
	$(VENV)/bin/ruff format .

docs:  ## build the documentation as a site into build/site; warnings are errors
	$(SETUP) test
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet
	echo "open build/site/index.html"

bench:  ## run the benchmarks and write benchmarks/RESULTS.md (20 minutes)
	$(SETUP) install
	$(RUN) benchmarks/all.py $(ARGS)

results:  ## rerun the comparisons and write docs/results.md (hours; goes on where it was stopped)
	$(SETUP) test
	$(RUN) -m gia.cli duel plan=graphs $(ARGS)

clean:  ## remove build products and caches, but not the environment and not runs/
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -path "./$(VENV)" -prune -o -path ./.git -prune -o \
		-type d -name __pycache__ -exec rm -rf {} +
