# `make help` lists what there is. Python and make are all a machine needs; the rest goes into .venv and .cache.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help test test-all test-pythons test-protobufs test-mutations test-recorded test-kills test-soak engines engines-all \
	demo bench protos format lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 18

test: .venv/ready  ## run every check, as a change must pass it
	@$(BIN)/python tools/check.py

test-all: test test-pythons test-protobufs test-mutations test-recorded test-kills test-soak  ## this, and every other test below

test-pythons: .venv/ready  ## run the tests on every CPython of this machine
	@$(BIN)/python tools/matrix.py pythons

test-protobufs: .venv/ready  ## run the tests on the oldest protobufs and on the pure-Python backend
	@$(BIN)/python tools/matrix.py protobufs

test-mutations: .venv/ready  ## break the public signatures one by one: the type tests must notice
	@$(BIN)/python -m tests.typing.mutations

test-recorded: .venv/ready  ## ask the published SDKs again for the replies that were recorded from them
	@$(BIN)/python -m tests.conformance.record --check

engines: .venv/ready  ## run the tests on real runtimes: Apache StateFun 3.3 and 2.2, Kafka (needs Java 17 and Maven)
	@$(BIN)/python tools/on_engines.py

engines-all: .venv/ready  ## these, and the long ones: 50 kills under load, random traffic
	@$(BIN)/python tools/on_engines.py --all

test-kills: .venv/ready  ## kill the embedded runtime 200 times under load: nothing is lost or doubled
	@STATEFUN_KILLS=200 $(BIN)/python -m pytest --no-cov --quiet tests/runtime/test_crash.py

test-soak: .venv/ready  ## 10 minutes of full load on the two servers: memory stays flat, every message has its reply
	@$(BIN)/python -m tools.soak

# Only what the package itself needs, so that the first screen is there in seconds; .venv will do if there is one.
demo:  ## run a week of earthquakes through typed functions (examples/quakes)
	@if [ ! -e .venv/ready ]; then $(MAKE) --silent --no-print-directory .cache/demo/ready; fi
	@if [ -e .venv/ready ]; then $(BIN)/python examples/quakes/demo.py; else .cache/demo/bin/python examples/quakes/demo.py; fi

bench: .venv/ready  ## measure every Python SDK on this machine, 15 minutes (benchmarks/README.md)
	@$(BIN)/python -m benchmarks.peers

protos: .venv/ready  ## generate the protobuf modules and stubs again
	@$(BIN)/python tools/generate_protos.py

format: .venv/ready  ## format the code and fix what can be fixed safely
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lock: .cache/lock/ready  ## resolve requirements/*.in again, to the newest versions
	@cd requirements && for name in lock demo codegen-protoc codegen-stubs protobuf-5 protobuf-6 test dev; do \
		../.cache/lock/bin/uv pip compile $$name.in --output-file $$name.txt --upgrade --quiet \
			--universal --python-version 3.10 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' || exit 1; \
	done

clean:  ## delete the environments and every cache
	rm -rf .venv .cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache \
		build dist htmlcov
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment is made anew when the locked versions change; the package is installed again when its metadata does.
.venv/locked: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "statefun needs Python 3.10 or newer; say PYTHON=...")'
	@echo "Making .venv from requirements/dev.txt"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

.venv/ready: .venv/locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.cache/demo/ready: requirements/demo.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "statefun needs Python 3.10 or newer; say PYTHON=...")'
	@$(PYTHON) -m venv --clear .cache/demo
	@.cache/demo/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/demo.txt
	@.cache/demo/bin/python -c 'import os, site; print(os.getcwd(), file=open(os.path.join(site.getsitepackages()[0], "statefun.pth"), "w"))'
	@touch $@

.cache/lock/ready: requirements/lock.txt
	@$(PYTHON) -m venv --clear .cache/lock
	@.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/lock.txt
	@touch $@
