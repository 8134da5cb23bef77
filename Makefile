# Everything that this project does, each in one command. CONTRIBUTING.md says
# when to use which.

GO      ?= go
PREFIX  ?= /usr/local
KILLS   ?= 1000
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ARCH    := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
MAINTAINER ?= The Nacre authors <nacre@localhost>

export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED := 0
export GOTOOLCHAIN ?= local
# The date that is in what is packaged: the newest change's.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)
export MAINTAINER

flags    := -buildvcs=false -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
build    := $(GO) build $(flags)
# nacre-assistant is a module of its own: what it needs is no part of Nacre.
programs := $(filter-out nacre-assistant,$(notdir $(wildcard cmd/*)))

.PHONY: all programs assistant test test-all test-vm test-vm-smoke test-agents kills race fuzz bench lint cross demo install uninstall deb release test-release clean

all: ## bin/nacre and the programs beside it
	@scripts/need build
	@$(MAKE) -j2 programs assistant

# Side by side: one of the assistant's packages takes a minute, which nothing shares.
# The compiler is given memory (GOGC), which saves a tenth of that.
programs assistant: export GOGC = 400
programs:
	umask 022 && $(build) -o bin/ $(programs:%=./cmd/%)
assistant:
	umask 022 && $(GO) build -C cmd/nacre-assistant $(flags) -o '$(CURDIR)/bin/' .

test: ## all tests, as root also as a plain user; the last line is the sum
	@scripts/need build test
	$(GO) run -buildvcs=false ./test/run

kills: ## kills Nacre's own processes at random moments, KILLS times as each user
	@scripts/need build test
	NACRE_KILLS=$(KILLS) $(GO) run -buildvcs=false ./test/run -timeout 90m -run 'TestKilled$$' ./test/faults

test-all: lint race fuzz test kills test-release ## and the longer things: race detector, fuzzing, a thousand kills, releases, virtual machines
	$(MAKE) test-agents
	$(MAKE) test-vm

test-agents: ## real agents from npm, with a fake model; a gigabyte is downloaded once
	@scripts/need build test
	NACRE_AGENTS=1 NACRE_CACHE="$${NACRE_CACHE:-$$(scripts/agents-cache)}" $(GO) run -buildvcs=false ./test/run ./test/agents ./test/fakemodel

test-vm: ## stock machines booted in qemu; see docs/TESTING-VM.md
	@scripts/need build vm
	NACRE_VM=1 $(GO) test -count=1 -timeout 12h -v -skip '^TestOneBoot$$' ./test/vm/...

test-vm-smoke: ## Debian 12's stock kernel, booted once
	@scripts/need build vm
	NACRE_VM=1 $(GO) test -count=1 -timeout 60m -v -run '^TestOneBoot$$' ./test/vm/matrix

race: ## the race detector on every package; needs a C compiler
	@scripts/need build race
	$(GO) run -buildvcs=false ./test/run -race -once $(RACE)

fuzz: ## each fuzz target for FUZZTIME
	@scripts/need build
	scripts/fuzz $(FUZZTIME)

bench: all ## starts beside others, memory, work inside (docs/PERFORMANCE.md), then Go benchmarks
	@scripts/need build bench
	@mkdir -p dist
	$(GO) run -buildvcs=false ./test/bench -json dist/bench.json $(BENCH)
	$(GO) test -run '^$$' -bench . -benchmem ./...

lint: ## format, vet, staticcheck, shellcheck, and the tree's own rules
	@scripts/need build lint
	scripts/lint

cross: ## builds and vets for the other architecture; of nacre-assistant, whose libraries take minutes, the types
	@scripts/need build
	GOARCH=arm64 $(build) -o /dev/null $(programs:%=./cmd/%)
	GOARCH=arm64 $(GO) vet ./...
	$(GO) run -buildvcs=false ./test/types -C cmd/nacre-assistant -arch arm64

demo: ## an honest agent, then the same one hijacked
	@scripts/need build demo
	@$(MAKE) -s all
	@$(GO) run $(flags) ./demo

tree-%: ## dist/ARCH: what is installed below PREFIX
	@scripts/need build
	rm -rf dist/$*
	umask 022 && GOARCH=$* $(build) -o dist/$*/bin/ ./cmd/nacre
	umask 022 && GOARCH=$* $(build) -o dist/$*/libexec/nacre/ $(patsubst %,./cmd/%,$(filter-out nacre,$(programs)))
	umask 022 && GOARCH=$* $(GO) build -C cmd/nacre-assistant $(flags) -o '$(CURDIR)/dist/$*/libexec/nacre/' .
	umask 022 && $(GO) run -buildvcs=false ./packaging/share -version '$(VERSION)' dist/$*/share
	cd dist/$* && { echo share/nacre/files && find . -type f | sed 's|^./||' | LC_ALL=C sort; } >../files-$* && mv ../files-$* share/nacre/files

install: tree-$(ARCH) ## PREFIX=/usr/local DESTDIR=
	scripts/install dist/$(ARCH) '$(DESTDIR)$(PREFIX)'

uninstall: ## takes away what install put there
	scripts/install -r '$(DESTDIR)$(PREFIX)'

deb: tree-$(ARCH) ## dist/nacre_VERSION_ARCH.deb
	@scripts/need deb
	scripts/package '$(VERSION)' $(ARCH) deb

release: tree-amd64 tree-arm64 ## archives, packages and bills of materials for both architectures, with checksums
	@scripts/need deb
	rm -f dist/nacre[-_]* dist/SHA256SUMS
	for arch in amd64 arm64; do scripts/package '$(VERSION)' $$arch tar deb sbom || exit 1; done
	cd dist && sha256sum nacre[-_]* >SHA256SUMS

test-release: ## a release built twice, installed and removed; see docs/INSTALL.md
	@scripts/need build release
	$(GO) vet -C packaging/sbom . && $(GO) test -C packaging/sbom -count=1 .
	NACRE_RELEASE=1 $(GO) test -count=1 -timeout 90m ./packaging/...

clean:
	rm -rf bin dist .cache
