# `make app` to see it, `make test` to check it. Needs Python 3.11 or newer, pip and make.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help app test test-fast lint notebooks results lab bench gallery audit clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# The stamp is newer than the files that name the packages, so a second `make` installs nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required. Name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[app,export,hub,import,nb,dev]'
	@touch $@

app: $(INSTALLED) ## build the demo world and train its runs if missing, then serve the app on http://127.0.0.1:8501
	$(BIN)/yt8m demo
	$(BIN)/yt8m app

test: lint ## lint, types, all tests with coverage, then the notebooks at smoke scale
	@command -v chromium >/dev/null || echo "Chromium not found: browser tests will be skipped."
	$(PYTEST) --cov --cov-report=term:skip-covered
	$(MAKE) --no-print-directory notebooks YT8M_SCALE=smoke

test-fast: $(INSTALLED) ## tests that start no process, browser or long training
	$(PYTEST) -m "not slow"

lint: $(INSTALLED) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: $(INSTALLED) ## run the notebooks at YT8M_SCALE, training what is missing; at demo (default), store outputs and results
	$(BIN)/python -m nb
	$(if $(filter smoke,$(YT8M_SCALE)),,$(MAKE) --no-print-directory results)

results: $(INSTALLED) ## write nb/results into README.md and docs/results.md
	$(BIN)/python -m nb.readme

lab: $(INSTALLED) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab nb

bench: $(INSTALLED) ## run the benchmarks; first installs the peers to compare with (TensorFlow)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

gallery: $(INSTALLED) ## take the screenshots in docs/gallery; needs Chromium
	$(BIN)/yt8m demo
	$(BIN)/python -m docs.gallery

audit: ## check the pinned packages for known vulnerabilities with pip-audit; needs the network
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

clean: ## remove the environments, caches and the workspace (demo world, runs, indexes)
	rm -rf .venv .venv-audit workspace .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
