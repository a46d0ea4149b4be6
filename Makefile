PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo run install test test-fast lint soak test-fronts mutants bench test-bare test-image python ports pins renew-pins licenses audit

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ports .venv/installed  ## Sample orders in a real phpMyAdmin, scraped; then dashboard and API, until Ctrl-C
	$(BIN)/python -m lab demo

run: .venv/installed  ## Dashboard and API over your own phpMyAdmin, as .env says
	$(BIN)/python serve.py

install: .venv/installed-dev  ## Install all that work on the project needs: Python packages and Debian packages
	$(BIN)/python -m lab install

# The tests start hundreds of processes: each would compile all modules anew where the environment forbids to keep them.
test soak test-fronts: export PYTHONDONTWRITEBYTECODE :=
test: install lint  ## Run every check except the long ones
	@# in the order of the folders: the long files of tests/browser come first, so that no process ends long after the others
	$(BIN)/python -m pytest -m "not soak" -n 4 --dist loadfile --no-loadscope-reorder

test-fast: install  ## Run the tests that need no server of the lab and no browser
	$(BIN)/python -m pytest tests/unit -m "not slow and not soak" -n 2 --dist loadfile

lint: .venv/installed-dev  ## Check formatting, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: install  ## Run the long tests
	$(BIN)/python -m lab install clients
	$(BIN)/python -m pytest -m soak --timeout=3600

FRONTED = $(shell grep -lE '^from (sidecar|dashboard)_process' tests/unit/*.py tests/browser/*.py)
test-fronts: install  ## Run the tests that start an API or a dashboard with both on one port, then below a path
	$(BIN)/python -m pytest $(FRONTED) -m "not soak" --front one-port -n 2 --dist loadfile
	$(BIN)/python -m pytest $(FRONTED) -m "not soak" --front sub-path -n 2 --dist loadfile

mutants: install  ## Try small changes of MODULES, and list those that no unit test notices
	$(BIN)/python -m tools.mutation $(MODULES)

bench: .venv/installed-dev  ## Measure ratios side by side with peers
	$(BIN)/python -m bench
	$(BIN)/python -m bench.refresh
	$(BIN)/python -m bench.checks
	$(BIN)/python -m bench.serve
	$(BIN)/python -m bench.live
	$(BIN)/python -m bench.dashboard
	$(BIN)/python -m bench.explore

test-bare:  ## Run TARGETS (all: demo, install, test-fast, test) of the last commit on a new Debian, as root
	$(PYTHON) -m tools.bare_machine $(TARGETS)

test-image: install  ## Build the image with buildah on a new Debian, and start it with and without PostgreSQL, as root
	$(BIN)/python -m tools.image

# The lists name no host: pip takes the packages from the index of the machine.
PIN := $(BIN)/uv pip compile --quiet --no-config --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make pins"

pins: .venv/installed-dev  ## Lock the requirements again after a change in a requirements*.in
	$(PIN) $(UPGRADE) requirements-dev.in -o requirements-dev.txt
	$(PIN) -c requirements-dev.txt requirements.in -o requirements.txt
	$(PIN) -c requirements-dev.txt requirements-image.in -o requirements-image.txt
	$(PIN) $(UPGRADE) lab/clients/requirements.in -o lab/clients/requirements.txt
	$(MAKE) licenses

renew-pins:  ## Lock the newest versions of all requirements, and run the tests with them
	$(MAKE) pins UPGRADE=--upgrade
	$(MAKE) test

licenses: .venv/installed-dev  ## Write THIRD_PARTY_LICENSES.md again
	$(BIN)/python -m tools.licenses

audit: .venv/installed-dev  ## Look up advisories against the locked packages, and check the list of licenses
	$(BIN)/python -m tools.audit

# What takes long to fail later is checked first.
python:
	@$(PYTHON) -m tools.check_machine

ports:
	@$(PYTHON) -m tools.check_machine demo

# The stamps are made again when a list of requirements changes.
.venv/installed: requirements.txt | python
	@echo "== Python packages, for a minute or two"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --require-hashes -r requirements.txt
	@# so that `.venv/bin/python -m scraper` works from any folder
	echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/phpmyadmin_orders.pth"
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/pip install --require-hashes -r requirements-dev.txt
	touch $@
