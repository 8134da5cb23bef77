# Everything that this project does, each in one command. CONTRIBUTING.md says
# when to use which.

GO      ?= go
PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED := 0
export GOTOOLCHAIN ?= local

build    := $(GO) build -buildvcs=false -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
programs := $(filter nacre nacre-init nacre-gateway nacre-attack,$(notdir $(wildcard cmd/*)))

.PHONY: all test test-all test-vm test-agents race fuzz bench lint cross demo install uninstall clean

all: ## bin/nacre and the programs beside it
	@scripts/need build
	umask 022 && $(build) -o bin/ $(programs:%=./cmd/%)

test: ## all tests, as root also as a plain user; the last line is the sum
	@scripts/need build test
	$(GO) run -buildvcs=false ./test/run

test-all: lint race fuzz test ## and the longer things: race detector, fuzzing, virtual machines
	$(MAKE) test-agents
	$(MAKE) test-vm

test-agents: ## real agents from npm, with a fake model; a gigabyte is downloaded once
	@scripts/need build test
	NACRE_AGENTS=1 NACRE_CACHE="$${NACRE_CACHE:-$$(scripts/agents-cache)}" $(GO) run -buildvcs=false ./test/run ./test/agents ./test/fakemodel

test-vm: ## stock machines booted in qemu; see docs/TESTING-VM.md
	@scripts/need build
	NACRE_VM=1 $(GO) test -count=1 -timeout 90m ./test/vm/...

race: ## the race detector on every package; needs a C compiler
	@scripts/need build race
	$(GO) run -buildvcs=false ./test/run -race -once $(RACE)

fuzz: ## each fuzz target for FUZZTIME
	@scripts/need build
	scripts/fuzz $(FUZZTIME)

bench: all ## Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

lint: ## format, vet, staticcheck, shellcheck, and the tree's own rules
	@scripts/need build lint
	scripts/lint

cross: ## builds and vets for the other architecture
	@scripts/need build
	mkdir -p dist/arm64
	GOARCH=arm64 $(build) -o dist/arm64/ $(programs:%=./cmd/%)
	GOARCH=arm64 $(GO) vet ./...

demo: ## an honest agent, then the same one hijacked
	@scripts/need build demo
	@$(MAKE) -s all
	@$(GO) run -buildvcs=false ./demo

install: all ## PREFIX=/usr/local DESTDIR=
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/libexec/nacre'
	install -m 755 bin/nacre '$(DESTDIR)$(PREFIX)/bin/'
	install -m 755 $(patsubst %,bin/%,$(filter-out nacre,$(programs))) '$(DESTDIR)$(PREFIX)/libexec/nacre/'

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/nacre'
	rm -rf '$(DESTDIR)$(PREFIX)/libexec/nacre'

clean:
	rm -rf bin dist .cache
