# Every command a developer needs; CI calls only these. `make` alone lists them.
PYTHON ?= python3
RECIPE ?= recipes/quickstart.yaml
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install quickstart test check stress run up base schema clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: ## set everything up in .venv; does nothing when that is done
	@$(PYTHON) .ci/bootstrap.py

quickstart: install ## recipes/quickstart.yaml through the Prefect flow
	@$(BIN)/finetune run recipes/quickstart.yaml

run: install ## make run RECIPE=recipes/quickstart.yaml
	@$(BIN)/finetune run $(RECIPE)

up: install ## Prefect server, work pool, deployments and worker; Ctrl-C stops them
	@$(BIN)/finetune up

test: install check ## what CI runs: checks, then all tests but stress
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -rs -m "not stress"

check: install ## format, lint, types, import order
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ty check
	$(BIN)/lint-imports

stress: install ## long fault, fuzz and scale runs; results in bench/results/
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m stress

schema: install ## write recipes/recipe.schema.json, from which editors complete recipes
	$(BIN)/python -m flows.schema

clean: ## remove what was made here: environment, caches, outputs (not the registry)
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis runs outputs *.egg-info
