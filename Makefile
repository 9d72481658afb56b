# Two commands set everything up: `make run` and `make test`. `make help` lists the rest.

# The interpreter for .venv, as a command, a path or a version; by default uv picks one that pyproject.toml admits.
PYTHON ?=
export PYTHON
KPIMART_HOME ?= var
export KPIMART_HOME
FUZZ_SECONDS ?= 300

# An interpreter that is not here is an error to read, not a download.
export UV_PYTHON_DOWNLOADS = never

VENV := .venv
BIN := $(VENV)/bin
# One stamp for each choice of interpreter; they lie inside .venv and go with it.
STAMP := $(VENV)/.installed$(if $(PYTHON),-$(subst /,_,$(PYTHON)))

.DEFAULT_GOAL := help
.PHONY: help setup run test test-full fuzz lint lint-python lint-types lint-sql lint-yaml docs site screenshots bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Create .venv from uv.lock (choose the interpreter with PYTHON=python3.13)

$(STAMP): pyproject.toml uv.lock
	@.ci/with-uv sync --locked $(if $(PYTHON),--python "$(PYTHON)")
	@$(BIN)/python -m compileall -q kpimart
	@touch "$@"

run: setup ## Run the main job on the embedded demo, read over HTTP, for two nights
	$(BIN)/kpimart demo run --config examples/demo_bitrix24/kpimart.toml

test: setup ## Run the tests, long ones on seeded samples
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test-full: setup ## Run the tests at full count
	TEST_FULL=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

fuzz: setup ## Read files of any content for five minutes (FUZZ_SECONDS), always others
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest tests/faults/test_fuzz.py

lint: lint-python lint-types lint-sql lint-yaml ## Check style, types, SQL and YAML, as pre-commit does

lint-python: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-types: setup
	$(BIN)/mypy

lint-sql: setup
	$(BIN)/sqlfluff lint models tests/dbt

lint-yaml: setup
	$(BIN)/yamllint --strict .

docs: setup ## Write the pages of docs/reference/ anew from what they describe
	$(BIN)/python -m kpimart.reference

site: setup ## Build the documentation, and dbt's lineage of every table, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	DBT_KPIMART_DATABASE=:memory: $(BIN)/dbt docs generate --static --empty-catalog --quiet \
		--project-dir dbt_project --profiles-dir dbt_project \
		--vars "{crms: [$$($(BIN)/python -c 'from kpimart.sources import SOURCE_NAMES; print(*SOURCE_NAMES, sep=", ")')]}"
	mkdir -p site/dbt
	cp dbt_project/target/static_index.html site/dbt/index.html
	@echo "$(BIN)/python -m http.server --directory site --bind 127.0.0.1 8000  serves it"

screenshots: setup ## Take pictures of the dashboard's pages, of the release under KPIMART_HOME
	$(BIN)/python -m docs.screenshots

bench: setup ## Measure the run against the floor, and each of its steps
	$(BIN)/python -m benchmarks

clean: ## Remove what was installed and cached; the data under KPIMART_HOME stay
	rm -rf $(VENV) .uv dbt_project/target dbt_project/logs site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
