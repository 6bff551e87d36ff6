# Countersign: GNU make and Python 3.11 or newer are all it takes. Everything is installed into ./.venv.

# The first Python that is new enough; PYTHON=... chooses another one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

# requirements*.txt say what may be installed, constraints.txt which of it the tests last passed with (make CONSTRAINTS=
# takes the newest that is allowed, make constraints writes the file anew from what is installed).
CONSTRAINTS ?= constraints.txt
# An installation is named by the files it was made from, so a change of them installs again.
RUN := $(VENV)/.installed-run-$(shell cat requirements.txt $(CONSTRAINTS) | cksum | cut -d' ' -f1)
DEV := $(VENV)/.installed-dev-$(shell cat requirements*.txt $(CONSTRAINTS) | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
INSTALL := $(PIP) install $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

# `check --deploy` judges the settings as production has them; the values are made up and nothing is contacted.
PRODUCTION := COUNTERSIGN_PRODUCTION=1 COUNTERSIGN_HTTPS=1 ALLOWED_HOSTS=countersign.example \
	CSRF_TRUSTED_ORIGINS=https://countersign.example COUNTERSIGN_VAR=$(VENV)/check \
	SECRET_KEY=only-for-the-check-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG \
	DATABASE_URL=sqlite:///$(CURDIR)/$(VENV)/check.sqlite3

.DEFAULT_GOAL := help
.PHONY: help demo run test lint bench constraints clean
.DELETE_ON_ERROR:

help: ## show this
	@echo "make TARGET [ARGS='...'] [PYTHON=python3.12]"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(RUN) ## examples from data to a model waiting for approval, then serve (ARGS=--no-serve ends after the summary)
	@$(BIN)/python manage.py demo $(ARGS)

run: $(RUN) ## serve an empty installation: web pages, API and worker
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py up $(ARGS)

test: $(DEV) ## all tests; on PostgreSQL and Redis when DATABASE_URL and BROKER_URL say so (ARGS goes to pytest)
	@$(BIN)/python -m pytest $(ARGS)

lint: $(DEV) ## style, types, floors, settings, migrations, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python manage.py check --fail-level WARNING
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint --quiet --lint templates

bench: $(DEV) ## measure, and print what docs/benchmarks.md records
	@$(BIN)/python -m bench $(ARGS)

constraints: ## write constraints.txt from what is installed (after make CONSTRAINTS= test has passed)
	@{ echo "# The exact versions with which the tests last passed; written by make constraints."; \
		$(PIP) freeze | grep -v -E '^(pip|setuptools|wheel)=='; } > constraints.new && mv constraints.new constraints.txt

clean: ## remove the virtual environment and caches; var/ (the installation's data) stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "The module venv is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }

$(RUN): | $(BIN)/python
	@echo "Installing requirements.txt into $(VENV) (a few minutes the first time) ..."
	@$(INSTALL) -r requirements.txt
	@rm -f $(VENV)/.installed-run-*
	@touch $@

$(DEV): | $(BIN)/python
	@echo "Installing requirements-dev.txt into $(VENV) (a few minutes the first time) ..."
	@$(INSTALL) -r requirements-dev.txt
	@rm -f $(VENV)/.installed-dev-*
	@touch $@ $(RUN)
