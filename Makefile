# Needs GNU make and python3 >= 3.11 with venv; everything else is installed into .venv and .tools.
PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := $(PIP) install --require-hashes
COMPILE := .tools/lock/bin/uv pip compile --quiet --universal --generate-hashes \
	--python-version 3.11 --custom-compile-command "make lock" $(LOCK_ARGS)

.DELETE_ON_ERROR:
.PHONY: help run test demo demo-test soak soak-leak abuse fuzz bench bench-ledger bench-failures bench-dashboards alert-live alert-texts rules dashboards alert-bench alert-bench-quick alert-bench-sites test-deps release lint format lock build clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: .venv/run.stamp ## install what is needed, then start the exporter (ARGS="--flag ...")
	@exec $(BIN)/bandwidth-voice-exporter $(ARGS)

test: test-deps ## run all tests (ARGS="-k name", WORKERS=2)
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

demo: test-deps ## show it all, an incident and its alert included (Ctrl-C stops everything)
	@PYTHONPATH=tests $(BIN)/python -m demo $(ARGS)

demo-test: test-deps ## the same without a hand on it: fails unless the right alert comes and goes
	@PYTHONPATH=tests $(BIN)/python -m demo --check

soak: .venv/dev.stamp ## kill -9 the exporter 200 times under load (a quarter of an hour)
	@$(BIN)/python -m pytest -n $(WORKERS) --soak -k test_kill tests/test_ledger.py

soak-leak: .venv/run.stamp ## send two million events through one process (ten minutes; needs wrk)
	@$(BIN)/python abuse/leak.py $(ARGS)

abuse: .venv/run.stamp ## slow clients, floods, made-up labels: measure what they do (five minutes)
	@$(BIN)/python abuse/run.py $(ARGS)

fuzz: .venv/fuzz.stamp ## a million bent inputs: 700,000 to the decoder, 300,000 over a socket (ten minutes)
	@$(BIN)/python -m fuzz.decoder -runs=700000 -max_total_time=420 -artifact_prefix=.tools/
	@PYTHONPATH=tests $(BIN)/python -m fuzz.socket_client --requests 300000 --seconds 480 $(ARGS)

bench: .venv/dev.stamp ## measure speed beside other receivers (an hour; needs wrk; ARGS="--only hot")
	@$(BIN)/python -m benchmarks.speed $(ARGS)

bench-ledger: .venv/run.stamp ## what a ledger of a million calls costs (needs wrk)
	@$(BIN)/python benchmarks/ledger_growth.py $(ARGS)

test-deps: .venv/dev.stamp ## install what the tests need, programs like Prometheus included
	@$(BIN)/python tools/fetch_debian.py

lint: .venv/dev.stamp ## check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: .venv/dev.stamp ## format and fix what can be fixed
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: ## write requirements/ again from pyproject.toml (LOCK_ARGS=--upgrade for newer versions)
	@$(PYTHON) -m venv .tools/lock
	@.tools/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	@$(COMPILE) pyproject.toml --group build --group test --group lint -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --constraints requirements/dev.txt -o requirements/run.txt
	@$(COMPILE) --group build --constraints requirements/dev.txt -o requirements/build.txt
	@$(COMPILE) --group bench --constraints requirements/dev.txt -o requirements/bench.txt
	@$(COMPILE) --group fuzz --constraints requirements/dev.txt -o requirements/fuzz.txt
	@rm -rf .tools/lock

bench-failures: .venv/run.stamp ## search a million failures while events come
	@$(BIN)/python -m benchmarks.failures_search $(ARGS)

bench-dashboards: test-deps ## what the dashboards' queries cost on 30 days of history
	@PYTHONPATH=tests $(BIN)/python benchmarks/dashboard_queries.py $(ARGS)

alert-live: test-deps ## an incident on a new installation, at its own pace (half an hour)
	@$(BIN)/python -m pytest tests/alert_chain_unscaled.py

alert-texts: test-deps ## write what the alerts' cases say anew: read the difference
	@PYTHONPATH=tests $(BIN)/python -m alert_cases.texts

rules: .venv/dev.stamp ## write the alert rules again from alerts/config.toml
	@$(BIN)/python -m alerts.generator
	@$(BIN)/python tools/prometheus_rule.py alerts/bandwidth-voice.rules.yml deploy/kubernetes/prometheusrule.yaml

dashboards: .venv/dev.stamp ## write the dashboards again
	@$(BIN)/python -m dashboards.generator

alert-bench: test-deps ## measure the alert rules on 28 days of calls, many times (hours; ARGS="--levels 1,10")
	@$(BIN)/python -m benchmarks.alert_quality run $(ARGS)

alert-bench-quick: test-deps ## the same for one seed at two levels of traffic (a quarter of an hour)
	@$(BIN)/python -m benchmarks.alert_quality quick $(ARGS)

alert-bench-sites: test-deps ## measure them on sites that close, too (hours; ARGS="--sites shop --levels 10 --only 1")
	@$(BIN)/python -m benchmarks.alert_quality.sites run $(ARGS)

release: test-deps ## build the wheel and the sdist, twice, and test the installed wheel (ARGS as for test)
	@$(BIN)/python tools/release.py -n $(WORKERS) $(ARGS)

build: .venv/dev.stamp ## build the wheel and the sdist into dist/
	@$(BIN)/hatchling build

clean: ## remove what the other targets made, except data/
	@rm -rf .venv .tools dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests tools -name __pycache__ -prune -exec rm -rf {} +

# A stamp is as new as what it was installed from, so a second `make run` installs nothing.
.venv/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) is missing or older than Python 3.11; name another with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) has no venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/run.stamp: .venv/venv.stamp requirements/build.txt requirements/run.txt pyproject.toml
	@echo "installing the exporter into .venv"
	@$(LOCKED) -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements/dev.txt
	@echo "installing the tools for tests and checks into .venv"
	@$(LOCKED) -r requirements/dev.txt
	@touch $@

.venv/fuzz.stamp: .venv/dev.stamp requirements/fuzz.txt
	@$(LOCKED) -r requirements/fuzz.txt
	@mkdir -p .tools
	@touch $@
