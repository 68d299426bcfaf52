# Two commands are all a newcomer needs: `make demo` and `make test`.
# Each makes .venv here, installs what is missing by package name, and does its job.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# two test workers share two cores: one BLAS thread each, or they get many times slower
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test test-full lint types clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tunewright needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once; a few minutes on a new machine)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[train,qlora,board,plots,test]'
	@$(BIN)/python -m compileall -q src  # so that even the first command starts at once
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/tunewright tune demo --runs-dir runs

test: $(STAMP) lint types
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-full: $(STAMP) browser lint types
	HYPOTHESIS_PROFILE=explore $(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal

# The tests of the board drive a real Chromium.
.PHONY: browser
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; }

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

types: $(STAMP)
	@$(BIN)/mypy

clean:
	rm -rf .venv runs .mypy_cache .ruff_cache

# FAULT-SFT (bench/fault_sft/README.md): the score on the committed logs, and everything made again from nothing.
.PHONY: bench-doctor fault-sft

bench-doctor: $(STAMP)
	@$(ONE_THREAD) $(BIN)/python -m bench.fault_sft table
	@$(ONE_THREAD) $(BIN)/python -m bench.callback_cost
	@$(ONE_THREAD) $(BIN)/python -m bench.callback_hosts

fault-sft: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m bench.fault_sft bases
	$(ONE_THREAD) $(BIN)/python -m bench.fault_sft refer
	$(ONE_THREAD) $(BIN)/python -m bench.fault_sft generate
	$(ONE_THREAD) $(BIN)/python -m bench.fault_sft pack

# The engine beside its peers (bench/engine/README.md), which get environments of their own under bench/.envs.
.PHONY: bench-engine
BENCH_ARGS ?=

bench-engine: $(STAMP)
	@$(BIN)/python -m bench.engine.run $(BENCH_ARGS)

# Faulty runs of FAULT-SFT followed by what is prescribed (bench/prescribe/README.md): hours on one core, resumable.
.PHONY: bench-prescribe

bench-prescribe: $(STAMP)
	@$(ONE_THREAD) $(BIN)/python -W ignore -m bench.prescribe $(BENCH_ARGS)

# Reading of logs beside TensorBoard's reader and pandas; a verdict from a cold start (a few minutes).
.PHONY: bench-reading
bench-reading: $(STAMP)
	@$(ONE_THREAD) $(BIN)/python -m bench.reading

# The board with 100 runs of 50,000 points, beside TensorBoard and Trackio where they install (some minutes).
.PHONY: bench-board
bench-board: $(STAMP) browser
	@$(ONE_THREAD) $(BIN)/python -m bench.board $(BENCH_ARGS)

# The reference pages, made from the code; and the tutorial, whose commands are run for it (two or three minutes).
.PHONY: docs tutorial
docs: $(STAMP)
	@$(BIN)/python -m tools.make_docs

tutorial: $(STAMP)
	@$(ONE_THREAD) $(BIN)/python -m tools.make_tutorial

# The tuner beside full grids and the other ways to search them (bench/tuner/README.md): the tables from the committed
# logs; the tuner live on all pairs; the grids themselves again (hours on one core).
.PHONY: bench-tuner tuner-live tuner-grids

bench-tuner: $(STAMP)
	@$(ONE_THREAD) $(BIN)/python -m bench.tuner.run

tuner-live: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m bench.tuner.live

tuner-grids: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m bench.tuner.grids
