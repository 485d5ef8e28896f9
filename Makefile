# Everything here works on Linux with Python 3.11 or newer and a package registry, and offline once installed.
# A line that begins with a name and has a ## is shown by `make help`.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run demo test soak bench lint format lock clean

BIN := .venv/bin
UV ?= uv
WORKERS ?= 4
TYPED := .ci/setup.py conftest.py $(wildcard portal wsgi.py migrations tests e2e benchmarks)

# The first Python on the PATH that is new enough; `make run PYTHON=/path/to/python3` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
SETUP = $(or $(PYTHON),$(error Python 3.11 or newer is needed, and none is on the PATH)) .ci/setup.py

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

setup: ## virtual environment, dependencies, front-end files; nothing is done twice
	@$(SETUP)

run: setup ## serve on http://127.0.0.1:8000 (more: make run ARGS="--port 9000")
	@exec $(BIN)/portal serve $(ARGS)

demo: setup ## serve a filled organization wired to the sandbox
	@PORTAL_INSTANCE_DIR=$${PORTAL_INSTANCE_DIR:-instance/demo} exec $(BIN)/portal demo --reset --serve $(ARGS)

# Tests of one file stay on one worker, so that what they share is made once; conftest.py says which file comes when.
# Each worker would compile every test anew, and each process that a test starts the portal, if nothing were kept.
test: export PYTHONDONTWRITEBYTECODE :=
# Style and types are looked at meanwhile; what they complain of is shown at the end.
test: ## lint, unit, PostgreSQL and browser tests
	@$(SETUP) --test
	@log=$$(mktemp); $(MAKE) --no-print-directory lint >"$$log" 2>&1 & lint=$$!; failed=0; \
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) || failed=$$?; \
	wait $$lint || { cat "$$log"; failed=1; }; rm -f "$$log"; exit $$failed

soak: ## the long tests, and pictures of the style guide
	@$(SETUP) --test
	@$(BIN)/pytest -m soak $(ARGS)

bench: ## the portal against Celery and Dramatiq (parts: make bench ARGS="--quick accept drain")
	@$(SETUP) --bench
	@$(BIN)/python -m benchmarks $(ARGS)

lint: ## style, types and direction of imports, in what `make test` has set up
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy $(TYPED)
	@$(BIN)/lint-imports

format: ## put the code into the house style
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: ## pin the newest allowed versions in requirements/*.lock (needs uv)
	@for name in runtime test node bench; do $(LOCK) requirements/$$name.in --output-file requirements/$$name.lock; done
	@$(LOCK) --no-deps requirements/postgres.in --output-file requirements/postgres.lock
LOCK = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"

clean: ## remove what set-up and tests made; instance/ stays
	@rm -rf .venv node_modules static/vendor .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache test-results benchmarks/cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
