# Everything that is made lands below build/; `make clean` takes it away again.

PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := build/venv/bin
LOCKED := build/venv/.locked
READY := build/venv/.ready

export PATH := $(CURDIR)/build/tools:$(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo demo-cluster test lint bench cluster wheelhouse mutants lock-deps clean

help:
	@echo 'make demo        a signed bundle from a real model, verified, damaged, installed; no cluster, no root'
	@echo 'make demo-cluster  the same onto a real node: install, predict, upgrade, go back, uninstall; root'
	@echo 'make test        all tests'
	@echo 'make lint        style, types and the import law'
	@echo 'make mutants     every refusal is broken once, and its test must notice'
	@echo 'make bench       how fast it is beside what this machine can do; needs 14 GiB of disk'
	@echo 'make cluster     a whole cluster of one node without a way out, until Ctrl-C; root'
	@echo 'make wheelhouse  build/wheelhouse: airbundle itself, for a machine without a package index'
	@echo 'make lock-deps   requirements/*.txt anew, from pyproject.toml'

$(LOCKED): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or later is needed, found " + sys.version.split()[0] + "\nhint: make PYTHON=python3.11")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo 'hint: apt-get install python3-venv' >&2; exit 1; }
	rm -rf build/venv
	$(PYTHON) -m venv build/venv
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	@$(BIN)/python -c 'from bundler.tools.kustomize import find_kustomize; find_kustomize()' 2>/dev/null || PYTHON=$(BIN)/python tests/parts/install kustomize
	@examples/demo/run

CLUSTER_PARTS = $$($(BIN)/python -c 'from tests.cluster.node import PROGRAMS; print(*PROGRAMS)')

demo-cluster: $(READY)
	@PYTHON=$(BIN)/python tests/parts/install kustomize minilm debootstrap demoimage $(CLUSTER_PARTS)
	@PYTHON=$(BIN)/python examples/demo/cluster

test: $(READY)
	@PYTHON=$(BIN)/python tests/parts/install || echo 'hint: tests that need a missing part are skipped by name, or fail with CI=true' >&2
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(READY)
	PYTHON=$(BIN)/python tests/parts/install limit crane docker-registry kustomize skopeo etcd kube-apiserver
	$(BIN)/python -m benchmarks

cluster: $(READY)
	PYTHON=$(BIN)/python tests/parts/install $(CLUSTER_PARTS)
	@PYTHON=$(BIN)/python tests/cluster/run node

# What `airbundle installer` makes one file of; with --wheels build/wheelhouse it asks no index.
wheelhouse: $(READY)
	rm -rf build/wheelhouse
	$(BIN)/python -c 'import os, pathlib; from bundler.tools import wheels; wheels.fetch(wheels.core_lock(), os.uname().machine, pathlib.Path("build/wheelhouse"))'
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w build/wheelhouse .
	@echo 'on the far side: pip install --no-index --find-links build/wheelhouse airbundle'

mutants: $(READY)
	$(BIN)/python tests/mutants/run

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock-deps' pyproject.toml

lock-deps: $(READY)
	$(LOCK) --upgrade -o requirements/core.txt
	$(LOCK) --upgrade --extra build -c requirements/core.txt -o requirements/build.txt
	$(LOCK) --upgrade --extra build --extra dev -c requirements/core.txt -o requirements/dev.txt

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
