# SPDX-License-Identifier: Apache-2.0
# A thin front for meson and ninja; `make help` prints the lines with two hashes.
BUILD        ?= build
LOCKSTEP     ?= $(BUILD)/lockstep
PREFIX       ?= /usr/local
DESTDIR      ?=
FUZZ_SECONDS ?= 60

# clang's libFuzzer and both sanitizers; gcc's sanitizers; and what a release would be.
MESON_FUZZ    = CC=clang meson setup -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args=-fsanitize=fuzzer-no-link
MESON_ASAN    = meson setup -Db_sanitize=address,undefined
MESON_BENCH   = meson setup -Dbuildtype=release -Dfaults=false
PEERS         = tests/node/node_modules/.package-lock.json
TOOLS         = tests/tools/node/node_modules/.package-lock.json

# A sanitizer's finding ends the program, so that no test passes over it.
export ASAN_OPTIONS  ?= detect_leaks=1:abort_on_error=0:strict_string_checks=1
export LSAN_OPTIONS  ?= suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS ?= halt_on_error=1:print_stacktrace=1

.PHONY: all
all: $(BUILD)/build.ninja ## build build/lockstep (the default)
	@ninja -C $(BUILD)

.PHONY: deps
deps: ## install the Debian packages that are missing (tools/packages.txt)
	@tools/deps

.PHONY: demo
demo: deps ## install, build, and watch five replicas migrate a service together
	@$(MAKE) --no-print-directory all
	@tools/demo --lockstep $(BUILD)/lockstep

.PHONY: test
test: deps ## everything: install, build, all tests on real servers, sanitizers, fuzzing, checks
	@$(MAKE) --no-print-directory all build-asan build-fuzz $(PEERS) $(TOOLS)
	@LOCKSTEP=$(abspath $(LOCKSTEP)) LOCKSTEP_BUILD=$(BUILD) LOCKSTEP_ASAN_BUILD=build-asan \
	    LOCKSTEP_FUZZ_BUILD=build-fuzz LOCKSTEP_FUZZ_SECONDS=10 tests/run-all

.PHONY: soak
soak: deps ## the long way: long races, the whole crash matrix, the whole suite under sanitizers
	@$(MAKE) --no-print-directory all build-asan build-fuzz $(PEERS) $(TOOLS)
	@LOCKSTEP_SOAK=1 LOCKSTEP=$(abspath $(LOCKSTEP)) LOCKSTEP_BUILD=$(BUILD) \
	    LOCKSTEP_ASAN_BUILD=build-asan LOCKSTEP_FUZZ_BUILD=build-fuzz \
	    LOCKSTEP_FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run-all

.PHONY: fuzz
fuzz: deps ## fuzz each target for FUZZ_SECONDS (60)
	@$(MAKE) --no-print-directory build-fuzz
	@tools/fuzz build-fuzz $(FUZZ_SECONDS)

.PHONY: check
check: deps ## format, layers, headers, manual, static analysis; runs no test
	@$(MAKE) --no-print-directory all
	@tools/check $(BUILD)

.PHONY: bench
bench: deps ## measure against psql, sqlite3, dbmate; dist/lockstep where it is there
	@$(MAKE) --no-print-directory build-bench $(PEERS) $(TOOLS)
	@tests/bench/bench.py --lockstep $(or $(wildcard dist/lockstep),build-bench/lockstep)

.PHONY: release
release: deps ## the static binary, its package, SBOM and licences, in dist/ (ARCH=aarch64: for that)
	@tools/release

.PHONY: size
size: deps ## what each library adds to the static binary: writes docs/size.md
	@tools/release size

.PHONY: install
install: SHARE = $(DESTDIR)$(PREFIX)/share
install: all ## binary, manual pages and completions to DESTDIR, PREFIX (/usr/local)
	install -D -m 755 $(LOCKSTEP) $(DESTDIR)$(PREFIX)/bin/lockstep
	install -d $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/bash-completion/completions \
	    $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	install -m 644 docs/man/*.1 $(SHARE)/man/man1
	install -m 644 docs/man/*.5 $(SHARE)/man/man5
	$(LOCKSTEP) completion bash >$(SHARE)/bash-completion/completions/lockstep
	$(LOCKSTEP) completion zsh >$(SHARE)/zsh/site-functions/_lockstep
	$(LOCKSTEP) completion fish >$(SHARE)/fish/vendor_completions.d/lockstep.fish

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD) build-asan build-fuzz build-bench build-release build-release-* dist

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'

.PHONY: build-asan build-fuzz build-bench
build-asan: build-asan/build.ninja
	@ninja -C $@
build-fuzz: build-fuzz/build.ninja
	@ninja -C $@ fuzz-targets
build-bench: build-bench/build.ninja
	@ninja -C $@ lockstep

$(BUILD)/build.ninja:
	@meson setup $(BUILD)
build-asan/build.ninja:
	@$(MESON_ASAN) build-asan
build-fuzz/build.ninja:
	@$(MESON_FUZZ) build-fuzz
build-bench/build.ninja:
	@$(MESON_BENCH) build-bench

# Other people's tools, from a lock file. Where the registry cannot be reached, what compares with
# them is skipped by name.
$(PEERS): tests/node/package-lock.json
	@cd tests/node && npm ci --no-fund --no-audit --loglevel=error >/dev/null || \
	    echo "tests/node: npm ci failed; comparisons with other tools are skipped" >&2

# The tools that lockstep is run around. No package's install script runs but that of better-sqlite3,
# which is compiled here; where it cannot be, Knex on SQLite is skipped.
$(TOOLS): tests/tools/node/package-lock.json
	@cd tests/tools/node && { npm ci --no-fund --no-audit --loglevel=error >/dev/null && \
	    npm rebuild better-sqlite3 --ignore-scripts=false --build-from-source --loglevel=error \
	    $(addprefix --nodedir=,$(patsubst %/include/node/node.h,%,$(firstword \
	    $(wildcard /usr/include/node/node.h /usr/local/include/node/node.h)))) >/dev/null; } || \
	    echo "tests/tools/node: npm failed; some of other people's tools are skipped" >&2
