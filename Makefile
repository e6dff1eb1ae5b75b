# Nurture. `make` alone shows what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

DEMO    ?= on
LEADS   ?= 100
SEED    ?= 1
# short (about two minutes, what CI runs) or long.
TORTURE ?= short
# how long each fuzz target looks.
FUZZ    ?= 30s
nurture := go run ./services/nurture/cmd/nurture

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Run all of Nurture here, with 100 demo leads arriving (DEMO=off: without)
	exec bin/nurture run --demo $(DEMO)

.PHONY: demo
demo: DEMO = on
demo: run ## The same as run with DEMO=on, whatever the environment says

.PHONY: story
story: build ## Play the story of LEADS=100 leads to its end, SEED=1, and print one JSON line
	bin/nurture story --leads $(LEADS) --seed $(SEED) --json

.PHONY: build
build: ## Build the nurture binary into bin/
	go build -o bin/nurture ./services/nurture/cmd/nurture

.PHONY: test
test: ## Run every test of every module (installs redis-server, curl, openssl when root and missing)
	scripts/test.sh

.PHONY: lint
lint: ## Check style, imports, formatting, the proto files and the links
	scripts/lint.sh

.PHONY: fmt
fmt: ## Format all Go code the way lint wants it
	scripts/tools.sh lint
	bin/golangci-lint fmt $$(go list -m -f '{{.Dir}}')

.PHONY: alone
alone: ## Build every module by itself, outside the workspace
	scripts/alone.sh

.PHONY: proto
proto: ## Regenerate the Go code of the proto files
	scripts/proto.sh

.PHONY: bench
bench: ## Measure rates and latencies on this machine: one line each, "name value unit"
	scripts/bench.sh

.PHONY: fuzz
fuzz: ## Look for inputs that break a parser, FUZZ=30s for each of them
	FUZZ=$(FUZZ) scripts/fuzz.sh

.PHONY: torture
torture: ## Kill processes and engines under load and account for every event (TORTURE=long: for longer)
	scripts/torture.sh $(TORTURE)
