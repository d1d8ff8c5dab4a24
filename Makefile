# Needs GNU make and python3 >= 3.11 with venv; everything else is installed into .venv and .tools.
PYTHON ?= python3
VENV ?= .venv
# Tests wait for programs half of their time: as many again as there are cores keep these busy.
WORKERS ?= 4
ARGS ?=
PINT ?= pint

BIN := $(VENV)/bin
PYTEST = pytest -n $(WORKERS) --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := $(PIP) install --require-hashes
COMPILE := .tools/lock/bin/uv pip compile --quiet --universal --generate-hashes \
	--python-version 3.11 --custom-compile-command "make lock" $(LOCK_ARGS)

.DELETE_ON_ERROR:
.PHONY: help run test test-fast coverage test-deps demo lab replicas rules dashboards chart pint image-test release lint format lock clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: $(VENV)/run.stamp ## install what is needed, then start the exporter (ARGS="--flag ...")
	@exec $(BIN)/bandwidth-voice-exporter $(ARGS)

test: test-deps ## run all tests (ARGS="-k name", WORKERS=2, PYTHON=python3.13 VENV=.venv-3.13)
	@$(BIN)/python -m $(PYTEST) $(ARGS)

test-fast: WORKERS := 2
test-fast: $(VENV)/dev.stamp ## run the tests that start no program (a minute)
	@$(BIN)/python -m $(PYTEST) --fast $(ARGS)

demo: ## show it all, an incident and its alert included (Ctrl-C stops everything)
	@exec $(PYTHON) demo/start.py "$(MAKE)" $(ARGS)

lab: test-deps ## measure it, or try to break it (ARGS="speed --only hot"; without, a list)
	@$(BIN)/python -m lab $(ARGS)

replicas: test-deps ## let everything fail around three replicas of one ledger, 25 times (ARGS="--rounds 200")
	@$(BIN)/python -m lab replicas $(ARGS)

# Whether tests pass is for `make test` to say: watched, programs are slower, and 1 only means that one failed.
coverage: test-deps ## run the tests, and show what none reaches, less than fail_under allows (ARGS as for test)
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m $(PYTEST) -m "not prometheus" $(ARGS) || test $$? = 1
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-deps: $(VENV)/dev.stamp ## install what the tests need, programs like Prometheus included
	@$(BIN)/python tools/fetch_debian.py

lint: $(VENV)/dev.stamp ## check style, types, spelling and that nothing is there unused
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/vulture
	@$(BIN)/codespell

format: $(VENV)/dev.stamp ## format and fix what can be fixed
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: ## write requirements/ again from pyproject.toml (LOCK_ARGS=--upgrade for newer versions)
	@$(PYTHON) -m venv .tools/lock
	@.tools/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	@$(COMPILE) pyproject.toml --all-extras --group build --group test --group lint -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --all-extras --constraints requirements/dev.txt -o requirements/run.txt
	@$(COMPILE) --resolution lowest-direct pyproject.toml --all-extras -o requirements/lowest.txt
	@$(COMPILE) --group build --constraints requirements/dev.txt -o requirements/build.txt
	@$(COMPILE) --group bench --constraints requirements/dev.txt -o requirements/bench.txt
	@$(COMPILE) --group demo --constraints requirements/dev.txt -o requirements/demo.txt
	@$(COMPILE) --group fuzz --constraints requirements/dev.txt -o requirements/fuzz.txt
	@rm -rf .tools/lock

rules: $(VENV)/dev.stamp ## write the alert rules and the runbooks' pages again
	@$(BIN)/bandwidth-voice-exporter rules --output alerts/bandwidth-voice.rules.yml
	@$(BIN)/bandwidth-voice-exporter rules --format operator --output deploy/kubernetes/prometheusrule.yaml
	@$(BIN)/python tools/runbooks.py
	@$(BIN)/python tools/chart.py

dashboards: $(VENV)/dev.stamp ## write the dashboards again
	@$(BIN)/bandwidth-voice-exporter dashboards dashboards
	@$(BIN)/python tools/chart.py

chart: $(VENV)/dev.stamp ## write what is made in the Helm chart again, and its renderings (HELM=/path/to/helm)
	@$(BIN)/python tools/chart.py

pint: ## ask pint about the alert rules (PINT=/path/to/pint; tools/pint.hcl says what is not asked, and why)
	@$(PINT) --offline --config tools/pint.hcl --log-level warn lint --min-severity info --fail-on info alerts/*.yml

image-test: ## build the image and try it, with Buildah and debootstrap, as root (77 without them)
	@$(PYTHON) tools/image_test.py

release: test-deps ## build the wheel and the sdist, twice, and test the installed wheel (ARGS as for test)
	@$(BIN)/python tools/release.py -n $(WORKERS) $(ARGS)

clean: ## remove what the other targets made, except data/
	@rm -rf .venv* .tools dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	@find src tests testkit lab demo tools -name __pycache__ -prune -exec rm -rf {} +

# A stamp is as new as what it was installed from, so a second `make run` installs nothing.
$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) is missing or older than Python 3.11; name another with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) has no venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/venv.stamp requirements/build.txt requirements/run.txt pyproject.toml
	@echo "installing the exporter into $(VENV)"
	@$(LOCKED) -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/demo.stamp: $(VENV)/run.stamp requirements/demo.txt
	@echo "installing what the demonstration calculates with into $(VENV)"
	@$(LOCKED) -r requirements/demo.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	@echo "installing the tools for tests and checks into $(VENV)"
	@$(LOCKED) -r requirements/dev.txt
	@touch $@
