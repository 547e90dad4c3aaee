# A fresh clone needs Python 3.11 (or newer), git and make; everything else is installed into $(VENV).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
METHODS := automix samix puzzlemix vanilla mixup cutmix manifoldmix saliencymix fmix resizemix
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo check test format docs bench signals edits mini

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## Install mixzoo into $(VENV) and walk through the embedded benchmark
	$(BIN)/mixzoo quickstart

test: $(VENV)/.installed-dev  ## Install with the development tools and run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/.installed-dev  ## Lint, check formatting, and check types against an installed copy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/check_types.py
	$(MAKE) docs

docs: $(VENV)/.installed-dev  ## Build the documentation as a site into build/site; a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

format: $(VENV)/.installed-dev  ## Sort imports, format, and write what the documentation has of the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -c "import json; from mixzoo.zoo.report import report_schema as s; print(json.dumps(s(), indent=2))" > docs/report.schema.json
	$(BIN)/python docs/reference.py

bench: $(VENV)/.installed-dev  ## Ours beside peers, limits and targets, in an hour: one table
	$(BIN)/python benchmarks/bench.py

signals: $(VENV)/.installed-dev  ## Stop every command at 30 random moments, and go on (an hour)
	OMP_NUM_THREADS=1 MIXZOO_SIGNAL_MOMENTS=30 $(BIN)/python -m pytest -rP tests/end_to_end/test_signals.py

edits: $(VENV)/.installed-dev  ## Edit signed folders 1,000 times, and find each edit (minutes)
	MIXZOO_EDITS=1000 $(BIN)/python -m pytest tests/zoo/test_signing.py tests/eval/test_signed.py -k edit

mini: $(VENV)/.installed  ## Train the ten rows of the embedded benchmark again, into runs/ (an hour)
	printf '%s\n' $(METHODS) | xargs -P 2 -I METHOD $(BIN)/mixzoo train resnet18_w12.METHOD_mini --threads 1

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.installed
