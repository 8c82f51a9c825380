# Everything a newcomer types. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help test lint types format bench bench-quick bench-peers report soak demo screenshot clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# One environment for all targets, made anew when what it holds has changed.
$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

test: $(READY) ## run all tests; reports coverage, and fails if the pure layers have less than all
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='*/trio_sse/event.py,*/trio_sse/log.py,*/trio_sse/routes.py,*/trio_sse/cors.py,*/trio_sse/message.py,*/trio_sse/wire/*'

lint: $(READY) ## check style with ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## check types with mypy --strict
	$(BIN)/mypy

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## measure fan-out beside a bare C loop; results/, ten minutes
	$(BIN)/python -m loadtests.bench $(ARGS)

bench-quick: $(READY) ## the same with small numbers, in less than a minute
	$(BIN)/python -m loadtests.bench --quick $(ARGS)

bench-peers: $(READY) ## the same of other servers, in an environment of their own
	$(BIN)/python -m loadtests.bench --peers $(ARGS)

report: $(READY) ## rebuild the reports of all runs from their raw data, and results/README.md
	$(BIN)/python -m loadtests.report $(ARGS)

soak: $(READY) ## ten minutes of clients that come, stall and leave; nothing may be left behind
	$(BIN)/python -m loadtests.soak $(ARGS)

demo: $(READY) ## this machine's own figures, live in your browser, over HTTP/1.1 and HTTP/2
	@$(BIN)/python examples/demo $(ARGS)

screenshot: $(READY) ## take the README's picture of the demo page (needs Chromium)
	$(BIN)/python examples/demo/screenshot.py

clean: ## remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist loadtests/build
