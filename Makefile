# Every task of the project. `make` alone prints them: the text after `##` of each target.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# How long the long targets run; each can be set on the command line, as in `make sim SEEDS=2000`.
SEEDS ?= 200
FUZZ_SECONDS ?= 60
KILLS ?= 3

# Programs of node_modules, without the start-up time of npx.
BIN := node_modules/.bin
BENCHES := codecs records broker start latency end-to-end partitions throughput cold-reader recovery idle
BUILD_INPUTS := $(shell find src generated/kafka generated/proto -name '*.ts' 2>/dev/null) scripts/build.ts tsconfig.json package-lock.json

.PHONY: help demo build generate schemas proto check-generated lint format tidy test sim fuzz bench tools \
	test-e2e test-e2e-debug scenarios campaign ci clean deps

help: ## Print this list (needs nothing)
	@echo "KafScale: a Kafka-compatible broker that keeps every record in object storage."
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Start one broker at 127.0.0.1:39092 on an in-memory store and print commands to try (needs Node and npm)
	@exec node dist/src/main/kafscale.js serve --kafka-addr 127.0.0.1:39092 --metrics-addr 127.0.0.1:39093 --log-level error --examples

build: deps dist/src/main/kafscale.js ## Bundle src into dist, if something changed (needs Node and npm)

dist/src/main/kafscale.js: $(BUILD_INPUTS)
	@npm run --silent build

deps:
	@node scripts/prepare.mjs

generate: deps ## Print generated/kafka and generated/testing from schemas/ (needs Node and npm)
	@$(BIN)/tsx codegen/main.ts

schemas: deps ## Take the message schemas out of the published Kafka jars into schemas/ (needs Maven, a JDK and its registry)
	@$(BIN)/tsx codegen/schemas/main.ts

proto: deps ## Print generated/proto from proto/ (needs Node and npm)
	@$(BIN)/buf generate

check-generated: deps ## Fail if generated/ is not what schemas/ and proto/ give (needs Node and npm)
	@$(BIN)/tsx codegen/main.ts --check
	@$(BIN)/tsx scripts/check-proto.ts

lint: deps ## Run oxlint, the formatter's check, the types, knip and buf lint (needs Node and npm)
	@npm run --silent lint
	@npm run --silent format:check
	@npm run --silent typecheck
	@npm run --silent knip
	@npm run --silent proto:lint

format: deps ## Rewrite every source file in the one format (needs Node and npm)
	@$(BIN)/biome check --write

tidy: deps ## Run only the tests of the rules of the code: floors, sizes, banned names (needs Node and npm)
	@$(BIN)/vitest run test/tidy

test: deps ## Run the unit, property, contract and tidy tests and 500 simulated schedules (needs Node and npm)
	@$(BIN)/vitest run
	@SEEDS=500 MUTANTS=0 $(BIN)/tsx test/sim/run.ts

sim: deps ## Simulate SEEDS=200 schedules from FIRST=1 on in JOBS=2 processes, then the planted bugs (MUTANTS=0 without, =name one), or replay SEED=x or SEED=bx, a brief one (needs Node and npm)
	@SEEDS='$(SEEDS)' SEED='$(SEED)' $(BIN)/tsx test/sim/run.ts

fuzz: deps ## Throw damaged bytes at every decoder for FUZZ_SECONDS=60 seconds (needs Node and npm)
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' $(BIN)/tsx test/fuzz/run.ts

bench: build ## Print figures as ratios and counts of one run, 30 minutes, or of BENCHES='codecs start' (needs Node and npm; skips by name what lacks make tools)
	@for bench in $(BENCHES); do $(BIN)/tsx bench/$$bench.ts || exit 1; done

tools: deps ## Put the programs of the end-to-end tests into .tools/ (needs Maven, a JDK 17, Python 3.9, Go 1.26, apt-get)
	@$(BIN)/tsx scripts/tools.ts

test-e2e: build ## Run real Kafka clients against a real broker, with KILLS=3 kill -9 (needs what make tools needs, and openssl)
	@$(BIN)/tsx scripts/tools.ts --as-far-as-possible
	@KAFSCALE_E2E_KILLS='$(KILLS)' $(BIN)/vitest run --config vitest.e2e.config.ts

test-e2e-debug: export KAFSCALE_LOG_LEVEL := debug
test-e2e-debug: export KAFSCALE_E2E_SHOW_BROKER := true
test-e2e-debug: test-e2e ## The same, with the brokers' debug log on the terminal (needs as test-e2e)

scenarios: build ## Break a cluster of three brokers in every way for minutes each, or in SCENARIO='S3 503 storm' (needs as test-e2e)
	@$(BIN)/tsx scripts/tools.ts --as-far-as-possible
	@KAFSCALE_E2E_CAMPAIGN=true CAMPAIGN_SEED='$(CAMPAIGN_SEED)' CAMPAIGN_MINUTES='$(CAMPAIGN_MINUTES)' SCENARIO='$(SCENARIO)' \
		$(BIN)/vitest run --config vitest.e2e.config.ts

campaign: ## Run the long simulation, fuzz, kill series and scenarios, hours; CAMPAIGN_MINUTES=60 or SCENARIO=x: those alone (needs as test-e2e)
	@SCENARIO='$(SCENARIO)' CAMPAIGN_MINUTES='$(CAMPAIGN_MINUTES)' node scripts/run-parts.mjs campaign

ci: ## Run everything that a change has to pass and print the minutes of each part (needs as test-e2e)
	@node scripts/run-parts.mjs ci

clean: ## Remove what was built, cached and installed, except .tools/ (needs nothing)
	@rm -rf dist .cache coverage node_modules
