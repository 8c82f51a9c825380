# Everything a newcomer types. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help test lint types format bench bench-quick bench-peers profiles \
  report soak soak-quick abuse fuzz conformance demo screenshot clean \
  loadtest-h1 loadtest-h2 loadtest-ui loadtest-steady loadtest-ramp loadtest-burst loadtest-storm \
  loadtest-slow loadtest-restart loadtest-idle loadtest-smoke compare compare-peers

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

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
	$(BIN)/coverage report --fail-under=100 --include='*/trio_sse/event/*,*/trio_sse/log/*,*/trio_sse/routes.py,*/trio_sse/cors.py,*/trio_sse/message.py,*/trio_sse/wire/*'

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

# The load tests: docs/loadtesting.md. Each takes USERS=, RATE= (events a second), DURATION= (s),
# TLS=1, PROTOCOL=http1 or http2, and ARGS= for the rest (make loadtest-storm ARGS=--help).
SCENARIO = $(BIN)/python -m loadtests.scenarios
ASKED = $(if $(USERS),--users=$(USERS)) $(if $(RATE),--rate=$(RATE)) \
  $(if $(DURATION),--duration=$(DURATION)) $(if $(filter-out 0 no,$(TLS)),--tls) \
  $(if $(PROTOCOL),--protocol=$(PROTOCOL)) $(ARGS)

loadtest-h1: $(READY) ## 30,000 clients over HTTP/1.1: USERS= RATE= DURATION= TLS=1
	@$(SCENARIO) h1 $(ASKED)

loadtest-h2: $(READY) ## 100,000 clients over HTTP/2
	@$(SCENARIO) h2 $(ASKED)

loadtest-ui: $(READY) ## the same by hand, on Locust's own pages: PROTOCOL=http2
	@$(SCENARIO) ui $(ASKED)

loadtest-steady: $(READY) ## both, one after the other
	@$(SCENARIO) steady $(ASKED)

loadtest-ramp: $(READY) ## latency against the number of clients
	@$(SCENARIO) ramp $(ASKED)

loadtest-burst: $(READY) ## a thousand events at once
	@$(SCENARIO) burst $(ASKED)

loadtest-storm: $(READY) ## all clients are dropped at once, and come back
	@$(SCENARIO) storm $(ASKED)

loadtest-slow: $(READY) ## some clients stop reading for a while
	@$(SCENARIO) slow $(ASKED)

loadtest-restart: $(READY) ## the server is stopped and started anew
	@$(SCENARIO) restart $(ASKED)

loadtest-idle: $(READY) ## nothing but heartbeats: what a client costs in memory
	@$(SCENARIO) idle $(ASKED)

loadtest-smoke: $(READY) ## a few hundred clients on both protocols; under a minute
	@$(SCENARIO) smoke $(ASKED)

compare: $(READY) ## HTTP/1.1 and HTTP/2, clear and TLS, ours and the same hub under Hypercorn
	@$(SCENARIO) compare $(ASKED)

compare-peers: $(READY) ## uvicorn, sse-starlette, Granian, nchan; in an environment of their own
	@$(SCENARIO) compare-peers $(ASKED)

profiles: $(READY) ## see with perf where the server's CPU goes while it fans out (needs perf)
	$(BIN)/python -m loadtests.bench.profiles $(ARGS)

report: $(READY) ## rebuild the reports of all runs from their raw data, and results/README.md
	$(BIN)/python -m loadtests.report $(ARGS)

soak: $(READY) ## an hour of clients that come, stall and leave beside attacks: nothing may be left
	$(BIN)/python -m loadtests.soak $(ARGS)

soak-quick: $(READY) ## the same in a minute
	$(BIN)/python -m loadtests.soak --quick $(ARGS)

abuse: $(READY) ## attacks at full strength beside a canary, and the same on Hypercorn; results/, minutes
	$(BIN)/python -m loadtests.abuse $(ARGS)

fuzz: $(READY) ## damaged bytes for both wires, the decoders and whole connections: SECONDS=60 for each; a defect at each call
	for kind in http1 http2 fields events; do \
	  nice $(BIN)/python tests/fuzz.py $$kind --seconds $${SECONDS:-60} || exit 1; done
	FUZZ_EXAMPLES=$${EXAMPLES:-20000} nice $(BIN)/pytest -q --timeout 0 tests/test_fuzz.py tests/test_any_client.py $(ARGS)
	DEFECTS_AT_A_PLACE=1000 nice $(BIN)/pytest -q tests/test_every_defect.py

conformance: $(READY) ## what h2spec and nghttp2's clients make of the server, as far as they are installed
	$(BIN)/python -m loadtests.conformance $(ARGS)

demo: $(READY) ## this machine's own figures, live in your browser, over HTTP/1.1 and HTTP/2
	@$(BIN)/python examples/demo $(ARGS)

screenshot: $(READY) ## take the README's picture of the demo page (needs Chromium)
	$(BIN)/python examples/demo/screenshot.py

clean: ## remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist loadtests/build
