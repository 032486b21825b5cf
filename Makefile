# Everything runs from here: `make demo` to see it, `make test` to check it. Both make their own environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Small networks and small batches: more threads than this only get in each other's way.
export OMP_NUM_THREADS ?= 1
DATA ?= $(firstword $(HNN_ENVS_DATA) $(wildcard ../shared/data))

.PHONY: demo test fuzz kill frames lint readme checkpoints policies figures report clean

demo: $(VENV)/.installed
	$(BIN)/hnn-envs compare

test: $(VENV)/.installed lint
	$(BIN)/pytest -n 2

# Damaged and crafted files, COUNT of each kind; prints what came of them. An hour on one core.
fuzz: COUNT ?= 100000
fuzz: $(VENV)/.installed
	$(BIN)/python tests/fuzz/run.py $(COUNT)

# KILLS kills at random moments of each command that goes on where it was killed: ten minutes on one core.
kill: KILLS ?= 50
kill: $(VENV)/.installed
	$(BIN)/python tests/kills/run.py $(KILLS)

# Ten million steps of environments that are seen as pictures, in constant memory and without a wrong frame.
frames: STEPS ?= 10000000
frames: $(VENV)/.installed
	$(BIN)/python tests/long_frames.py $(STEPS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every command and code block of the README as it is written: hours. `make test` runs them in a short form.
readme: $(VENV)/.installed
	HNN_ENVS_README=full $(BIN)/pytest tests/test_readme.py

# Rebuilds every shipped checkpoint from its recipe; an interrupted one goes on where it stopped.
# The measured series (DATA, or HNN_ENVS_DATA) is needed for real-pendulum/paper only.
checkpoints: $(VENV)/.installed
	$(BIN)/python training/build.py $(if $(DATA),--data $(DATA))

# Trains the agents that are shipped, or what is left of them, and plays all: about three quarters of an hour on one core.
policies: $(VENV)/.installed
	$(BIN)/hnn-envs benchmark transfer --retrain --policies checkpoints/policies --json examples/results/transfer.json

# The pictures of the README.
figures: $(VENV)/.installed
	$(BIN)/python examples/figures.py

# What happens in the long run, as one page: runs/report.html.
report: $(VENV)/.installed
	$(BIN)/hnn-envs benchmark stability
	$(BIN)/hnn-envs report

$(VENV)/.installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs dist build .mypy_cache .ruff_cache .hypothesis
