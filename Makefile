# Kefu's commands; README.md tells what they do. Needs make and Python 3.11 or later, nothing else.

SHELL := /bin/sh
# The embedded Redis has ready-made builds for 3.11 and 3.12; a later Python compiles it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
T ?=

.PHONY: run install install-tests test lint format bench clean
.DEFAULT_GOAL := run

run: install
	@$(BIN)/python manage.py up

install: .venv/requirements.done

install-tests: .venv/requirements-dev.done

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: apt-get install python3" >&2; exit 1; }
	@.ci/make-venv $(PYTHON) .venv

.venv/requirements.done: requirements.txt | .venv/bin/python
	@.ci/install-requirements requirements.txt
	@touch $@

.venv/requirements-dev.done: requirements.txt requirements-dev.txt .venv/requirements.done
	@.ci/install-requirements requirements-dev.txt
	@touch $@

# T=tests/agents runs just those tests, without lint and in one process.
test: install-tests
	@.ci/install-chromium
	@.ci/install-dovecot
	@$(if $(T),true,$(MAKE) --no-print-directory lint)
	@$(BIN)/python -m pytest $(if $(T),$(T),-n auto)

lint: install-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy kefu tickets channels_adapters ai_gateway agents sdk/python/src
	$(BIN)/lint-imports
	$(BIN)/python manage.py check_translations

format: install-tests
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install-tests
	@$(BIN)/python -m tests.bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache staticfiles
