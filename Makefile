# `make app` to see it, `make test` to check it. Needs Python 3.11 or newer, pip and make.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed
REPORT := .venv/installed.json
INSTALL := $(BIN)/python -m pip install --quiet --report $(REPORT) --constraint constraints.txt --editable
# Ends an installation whose files are not the pinned ones, before any of them runs. The next one starts anew, also after
# an interrupted one.
UNVERIFIED := .venv/.unverified
VERIFY := $(PYTHON) -m supply verify $(REPORT) && rm $(UNVERIFIED)
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help app test test-fast lint notebooks results lab bench gallery hashes advisories audit clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# The stamp is newer than the files that name the packages, so a second `make` installs nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required. Name one: make PYTHON=python3.12")'
	@test ! -e $(UNVERIFIED) || rm -rf .venv
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@touch $(UNVERIFIED)
	$(INSTALL) '.[app,export,hub,import,nb,remote,dev]'
	@$(VERIFY)
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
	@rm $(INSTALLED) && touch $(UNVERIFIED)
	$(INSTALL) '.[bench]'
	@$(VERIFY)
	@touch $(INSTALLED)
	$(BIN)/python -m benchmarks

gallery: $(INSTALLED) ## take the screenshots in docs/gallery; needs Chromium
	$(BIN)/yt8m demo
	$(BIN)/python -m docs.gallery

# The two tools read the network. Their environment is not the one that is verified.
.venv-supply:
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet uv pip-audit

hashes: .venv-supply ## write the hashes of the pinned packages to constraints.txt; needs the network
	.venv-supply/bin/python -m supply hashes

advisories: .venv-supply ## ask for known vulnerabilities of the pinned packages and store the answer; needs the network
	.venv-supply/bin/python -m supply audit --update

audit: ## check the pinned packages against the stored vulnerabilities, or say why that is not possible
	@$(PYTHON) -m supply audit

clean: ## remove the environments, caches and the workspace (demo world, runs, indexes)
	rm -rf .venv .venv-supply workspace .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
