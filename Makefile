# The commands of this project. Each does its own set-up; nothing but Python 3.11, make and a C compiler is assumed.
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTHON ?= python3

.PHONY: help setup demo test test-slow test-avx2 test-all check format bench clean

help:           ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

setup: $(READY)  ## make the virtual environment, with the pinned versions

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(PY) -m uv pip install --quiet --python $(PY) --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(READY)  ## the main job, start to finish, on synthetic speech: corpus, training, transcription, WER, a page
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" recipes/demo/run.sh

test: $(READY)  ## the fast tests
	$(PY) -m pytest -n 2

test-slow: $(READY)  ## the slow tests, those of several processes, and the property tests with all their examples
	$(PY) -m pytest -n 2 -m "(slow or multi or hypothesis) and not gpu" --hypothesis-profile full

test-avx2: $(READY)  ## layers, encoders, decoders and decoding as a processor without AVX-512 computes them
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
		$(PY) -m pytest -n 2 tests/layers tests/encoders tests/decoders tests/decoding

test-all: test test-slow test-avx2  ## all tests that need no GPU

check: $(READY)  ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(READY)  ## format the code with ruff
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(READY)  ## the program's speed and cost
	$(PY) -m benchmarks.training recipes/an4/lstm.py
	$(PY) -m benchmarks.training recipes/an4/conformer.py
	$(PY) -m benchmarks.features
	$(PY) -m benchmarks.beam_search

clean:          ## remove the environment and what the demo made
	rm -rf $(VENV) runs .mypy_cache .pytest_cache .ruff_cache
