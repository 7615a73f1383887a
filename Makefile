# Every target needs only Python 3.11+, make and git. Packages come from the index this machine is set up to use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := 0.13.9
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint ui bench lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## create .venv with the locked versions, the dbt manifest and the operations database

$(VENV)/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV)"
	$(BIN)/uv export --quiet --frozen --no-emit-project --output-file $(VENV)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --requirement $(VENV)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/kodomo setup
	@touch $@

demo: setup ## seven pilots, from landing files to published snapshots (KODOMO_HOME, default ~/.kodomo)
	$(BIN)/kodomo demo

test: setup ## the tests that belong to every change
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile -q

test-slow: setup ## the tests that take minutes
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile -q

lint: setup ## ruff, mypy, sqlfluff, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 dbt_project/models

ui: setup ## Dagster webserver and daemon, MLflow and the portal, until Ctrl-C
	$(BIN)/kodomo ui

bench: setup ## speed and memory, as a table and as JSON
	$(BIN)/python -m tests.benchmarks

# The lock names packages by version and hash and no host, so that a town's own mirror serves as well as any other index:
# uv takes the index from its own settings (UV_DEFAULT_INDEX) when `make setup` exports and installs.
lock: ## resolve pyproject.toml anew into uv.lock
	$(BIN)/uv lock
	sed -i -E 's#"https://[^"]*/simple"#"https://package-index.invalid/simple"#; s#url = "https://[^"]*/([^/"]+)"#url = "https://package-index.invalid/\1"#' uv.lock

clean: ## remove what make made in this folder
	rm -rf $(VENV) dbt_project/target dbt_project/logs
