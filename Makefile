# One command to see it (`make app`), one to check it (`make test`). Needs Python 3.11+, pip and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help app test lint notebooks results lab bench gallery audit clean

help: ## print this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

# The stamp is newer than what says what to install, so a second `make` installs nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[app,nb,dev]'
	@touch $@

app: $(INSTALLED) ## build the demo world and its runs if need be, then serve the app on http://127.0.0.1:8501
	$(BIN)/yt8m demo
	$(BIN)/yt8m app

test: lint ## everything: lint, types, unit, real-data, app and browser tests, notebooks
	@command -v chromium >/dev/null || echo "No Chromium here: the browser tests will be skipped."
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered
	$(MAKE) --no-print-directory notebooks YT8M_SCALE=smoke

lint: $(INSTALLED) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: $(INSTALLED) ## execute nb/ at YT8M_SCALE, training what is missing; at demo, the default, also store the outputs
	$(BIN)/python -m nb
	$(if $(filter smoke,$(YT8M_SCALE)),,$(MAKE) --no-print-directory results)

results: $(INSTALLED) ## write the results in nb/results into the README
	$(BIN)/python -m nb.readme

lab: $(INSTALLED) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab nb

bench: $(INSTALLED) ## our speed beside the peers' and the machine's limit; installs the peers (TensorFlow) first
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

gallery: $(INSTALLED) ## take the pictures of the app's pages in docs/gallery that the README shows; needs Chromium
	$(BIN)/yt8m demo
	$(BIN)/python -m docs.gallery

audit: ## known vulnerabilities of the pinned packages, by pip-audit in an environment of its own; needs the network
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

clean: ## remove the environment and everything made (demo world, runs, indexes)
	rm -rf .venv .venv-audit workspace .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
