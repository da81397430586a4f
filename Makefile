# Bare `make` prints the targets below, from their ## comments.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run experiments setup build cuda test bench golden lint fmt fuzz sanitize roofline gpu-check mutate clean

REVISION := $(shell git rev-parse -q --verify HEAD 2>/dev/null || echo unknown)
DIRTY    := $(shell git diff --quiet HEAD -- 2>/dev/null || echo -dirty)
VERSION  := $(shell git describe --tags --always 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION) -X main.revision=$(REVISION)$(DIRTY)

# go-nvml also binds calls that NVIDIA has deprecated, and gcc says so at length.
export CGO_CFLAGS := $(or $(CGO_CFLAGS),-O2 -g) -Wno-deprecated-declarations

EXPERIMENT ?= experiments/quickstart.toml
FUZZTIME   ?= 20s

help: ## print this list
	@echo 'usage: make TARGET'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup build ## install, build, and run the quickstart (EXPERIMENT=file.toml for another)
	./bin/optin run $(EXPERIMENT)

experiments: setup build ## run every experiment: ablations, recovery, GLUE (hours; GLUE=folder, MINILM=folder)
	GLUE='$(GLUE)' MINILM='$(MINILM)' scripts/experiments

setup: ## install what is missing (Debian 12 or later; elsewhere says what to install)
	@scripts/setup

build: ## build bin/optin
	go build -ldflags '$(LDFLAGS)' -o bin/optin ./bench/cmd/optin

cuda: ## compile the CUDA kernels, list what they take, build bin/optin-cuda (fetches what is missing)
	scripts/cuda-compile
	scripts/cuda-build go build -tags cuda -ldflags '$(LDFLAGS)' -o bin/optin-cuda ./bench/cmd/optin

test: setup ## vet and test everything; needs no GPU and no Python
	go vet ./...
	go test ./...

bench: setup ## measure speed, as ratios within one run
	scripts/bench

golden: ## regenerate the golden files (needs Python and a network)
	scripts/golden

lint: build ## format, vet, staticcheck, import arrows, file lengths, undefined symbols
	scripts/lint

fmt: ## format Go, C and CUDA
	scripts/fmt

fuzz: ## run every fuzz target for FUZZTIME (20s) each
	FUZZTIME=$(FUZZTIME) scripts/fuzz

sanitize: ## test the C kernels under the address and undefined-behaviour sanitizers
	scripts/sanitize

roofline: ## print the least time of each CUDA kernel on A100 and H100 (needs no GPU)
	go run ./bench/cmd/roofline

gpu-check: ## check and time everything on this machine's GPU, into one report
	scripts/gpu-check.sh

mutate: ## take barriers and guards out of the CUDA kernels, one at a time (SAMPLE=n for some)
	scripts/mutate $(if $(SAMPLE),--sample $(SAMPLE))

clean: ## remove what building and testing leave behind
	rm -rf bin .venv kernels/cuda/images/*.cubin kernels/cuda/images/*.ptx kernels/cuda/images/*.sha256
	rm -rf kernels/cuda/emu/build kernels/cuda/emu/build-*
	find . -name '*.got' -type f -delete
