# make demo   sample orders in a real phpMyAdmin, scraped, then dashboard and API, until Ctrl-C
# make run    dashboard and API over your own phpMyAdmin, as .env says
# make test   every check but the long ones       make lint   the quick ones alone
# make soak   the long tests                      make bench  ratios side by side with peers

PYTHON ?= python3
BIN := .venv/bin
CODE := api bench cache dashboard examples lab scraper *.py

# What failed beside another process is run once more, alone; both results are shown.
ALONE = $(BIN)/python -m pytest -m "not soak" --last-failed --last-failed-no-failures none

.PHONY: demo run test lint soak bench

demo: .venv/installed
	$(BIN)/python -m lab demo

run: .venv/installed
	$(BIN)/python serve.py

test: .venv/installed-dev lint
	$(BIN)/python -m lab install
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile || $(ALONE)

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

soak: .venv/installed-dev
	$(BIN)/python -m lab install
	$(BIN)/python -m pytest -m soak --timeout=3600

bench: .venv/installed-dev
	$(BIN)/python -m bench
	$(BIN)/python -m bench.refresh
	$(BIN)/python -m bench.serve
	$(BIN)/python -m bench.live
	$(BIN)/python -m bench.dashboard

# The stamps are made again when a list of requirements changes.
.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@
