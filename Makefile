# Every target makes what it needs: a virtual environment (VENV, from PYTHON), the package in it.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help quickstart test slow coverage lint format bench docs notebooks mutants clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r target what; do printf '%-16s %s\n' "$$target" "$$what"; done

quickstart: $(VENV)/.installed ## fetch a small real BERT, convert, verify, fine-tune, report
	$(PY) -m checkpoints_tools quickstart

test: $(VENV)/.installed-test ## the default tests
	$(PY) -m pytest

slow: $(VENV)/.installed-dev ## the slow tests: real weights, large checkpoints, wheels
	$(PY) -m pytest -m slow

coverage: $(VENV)/.installed-test ## the default tests with line coverage (at least 95 %)
	$(PY) -m pytest --cov --cov-report=term

lint: $(VENV)/.installed-dev ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.installed-dev ## format the code, sort the imports
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(VENV)/.installed ## every benchmark: one JSON line each
	for script in benchmarks/[a-z]*.py; do $(PY) "$$script" || exit 1; done

docs: $(VENV)/.installed-test ## run every example in README, docs and docstrings
	$(PY) -m pytest tests/test_docs.py

notebooks: $(VENV)/.installed-test ## run the notebooks of colab/ at reduced size
	$(PY) colab/execute.py --check

mutants: $(VENV)/.installed-test ## break the code on purpose; every break must fail a default test
	$(PY) -m tests.mutants

clean: ## remove what the targets made
	rm -rf $(VENV) build dist *.egg-info .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache

# A stamp is renewed when the dependencies change.
$(VENV)/.installed: EXTRA =
$(VENV)/.installed-test: EXTRA = [test]
$(VENV)/.installed-dev: EXTRA = [dev]
$(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -e ".$(EXTRA)"
	touch $@
