# Claviger. `make help` says what there is.

SHELL      := /bin/bash
PREFIX     ?= /usr/local
DESTDIR    ?=
MODULEDIR  ?= $(PREFIX)/lib/pkcs11
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
CARGO      ?= cargo
# Where cargo puts what it builds; cargo itself reads CARGO_TARGET_DIR.
RELEASE    := $(or $(CARGO_TARGET_DIR),target)/release

# Everything is built in the release profile: the tests drive what ships, and OpenSSL is compiled once.
RELEASE_FLAGS := --release --locked

# What the build, the demo, the tests and the benchmark run, by Debian package. A C compiler, make and perl
# build the bundled OpenSSL; opensc is pkcs11-tool; softhsm2 is what the benchmark compares with,
# valgrind counts instructions.
PACKAGES := gcc libc6-dev make perl opensc openssl libengine-pkcs11-openssl softhsm2 valgrind

.PHONY: build demo test soak fuzz timing deny hardening interop bench bench-quick instructions lint install deps help clean

build: deps ## build the daemon, the CLI and the module (default)
	$(CARGO) build $(RELEASE_FLAGS) --workspace

demo: build ## run the main job step by step with real programs
	CLAVIGER_RELEASE=$(abspath $(RELEASE)) demo/demo.sh

test: build ## run all tests: unit, protocol, conformance through the built module
	CARGO=$(CARGO) conformance/test.sh $(RELEASE_FLAGS) --workspace

# A million random calls; a seed of the clock's, which is printed. CLAVIGER_RANDOM_SEED repeats a run.
# CLAVIGER_SOAK is the factor on what `make test` does to the store: 10 are 10,000 kills, 5,200 losses of power, 10,000
# damages.
soak: build ## random calls over the C ABI and everything that can befall the store, at full size; prints figures (an hour)
	CLAVIGER_SOAK=$${CLAVIGER_SOAK:-10} \
	  $(CARGO) test $(RELEASE_FLAGS) --workspace --lib store:: -- --nocapture --test-threads=1
	$(CARGO) test $(RELEASE_FLAGS) --workspace --lib commit_latency -- --nocapture --ignored
	CLAVIGER_RANDOM_CALLS=$${CLAVIGER_RANDOM_CALLS:-1000000} CLAVIGER_RANDOM_SEED=$${CLAVIGER_RANDOM_SEED:-$$(date +%s)} \
	  $(CARGO) test $(RELEASE_FLAGS) --workspace --test random_calls -- --nocapture
	CLAVIGER_LOAD_KEYS=$${CLAVIGER_LOAD_KEYS:-100000} CLAVIGER_LOAD_DUE=$${CLAVIGER_LOAD_DUE:-10000} \
	  $(CARGO) test $(RELEASE_FLAGS) --workspace --test load -- --nocapture --test-threads=1
	$(CARGO) test $(RELEASE_FLAGS) --workspace --lib secure_heap -- --nocapture --ignored
	CLAVIGER_KILLS=$${CLAVIGER_KILLS:-200} \
	  $(CARGO) test $(RELEASE_FLAGS) --workspace --test access -- --nocapture killing_the_daemon
	CLAVIGER_WALKS=$${CLAVIGER_WALKS:-1000000} $(CARGO) test $(RELEASE_FLAGS) --workspace --test attacks -- --nocapture walk
	CLAVIGER_MODEL_CASES=$${CLAVIGER_MODEL_CASES:-1000} CLAVIGER_AUDIT_RECORDS=$${CLAVIGER_AUDIT_RECORDS:-1000000} \
	  $(CARGO) test $(RELEASE_FLAGS) --workspace --lib -- --nocapture model_tests a_long_log_is_searched

# Ends by itself; CLAVIGER_FUZZ_RUNS sets how many runs each target has.
fuzz: build ## 2,000,000 mutated inputs for each fuzz target (half an hour)
	CLAVIGER_FUZZ_RUNS=$${CLAVIGER_FUZZ_RUNS:-2000000} $(CARGO) test $(RELEASE_FLAGS) --workspace --lib -- fuzz --nocapture --test-threads=2
	CLAVIGER_FUZZ_RUNS=$${CLAVIGER_FUZZ_RUNS:-2000000} $(CARGO) test $(RELEASE_FLAGS) --workspace --test fuzz -- --nocapture --test-threads=2

# CLAVIGER_TIMING_SAMPLES sets how many of each class. On a machine that does other things |t| says little.
timing: build ## does the time of a refusal tell why? 100,000 samples of each class, effect sizes (ten minutes of one core)
	$(CARGO) test $(RELEASE_FLAGS) --workspace --lib -- timing_tests --ignored --nocapture --test-threads=1

deny: ## licences, bans, sources and advisories of the crates
	CARGO=$(CARGO) conformance/deny.sh

hardening: build ## what systemd thinks of the unit, and what the daemon does to its process (installs systemd's tools)
	command -v systemd-analyze >/dev/null || apt-get install -q -y --no-install-recommends systemd
	$(CARGO) test $(RELEASE_FLAGS) --workspace --test hardening -- --nocapture

interop: build ## other people's programs and test suites against the built module (root, network, an hour)
	CLAVIGER_RELEASE=$(abspath $(RELEASE)) CARGO=$(CARGO) conformance/interop/run.sh

bench: build ## Claviger beside SoftHSM2 and raw libcrypto, with charts in bench/ (BENCH_KRYOPTIC=LIBRARY: and kryoptic)
	mkdir -p bench && BENCH_CHARTS=bench $(RELEASE)/conformance-bench

bench-quick: build ## the same in two minutes: fewer rounds, no store of 100,000 keys
	mkdir -p bench && BENCH_CHARTS=bench BENCH_QUICK=1 $(RELEASE)/conformance-bench

instructions: build ## how many instructions a signature costs, and whether that has grown
	CLAVIGER_COUNT_INSTRUCTIONS=1 $(CARGO) test $(RELEASE_FLAGS) --workspace --test instructions -- --nocapture

lint: deps ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy $(RELEASE_FLAGS) --workspace --all-targets -- -D warnings

install: ## install what `make build` built (DESTDIR, PREFIX, MODULEDIR, UNITDIR, SYSCONFDIR)
	install -D -m 755 $(RELEASE)/clavigerd $(DESTDIR)$(PREFIX)/bin/clavigerd
	install -D -m 755 $(RELEASE)/claviger $(DESTDIR)$(PREFIX)/bin/claviger
	install -D -m 644 $(RELEASE)/libclaviger_pkcs11.so $(DESTDIR)$(MODULEDIR)/libclaviger_pkcs11.so
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/bin/|$(PREFIX)/bin/|' systemd/clavigerd.service > $(DESTDIR)$(UNITDIR)/clavigerd.service
	install -m 644 systemd/clavigerd-pkcs11.socket systemd/clavigerd-admin.socket $(DESTDIR)$(UNITDIR)/
	install -D -m 644 systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/claviger.conf
	install -D -m 644 systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/claviger.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/claviger/clavigerd.toml || install -D -m 644 systemd/clavigerd.toml $(DESTDIR)$(SYSCONFDIR)/claviger/clavigerd.toml

# Asks apt only when something is missing, so that it costs nothing and works offline on a ready machine.
deps: ## install what is missing (Debian and its kin, as root)
	@command -v dpkg-query >/dev/null || { echo "deps: no dpkg here; needed: $(PACKAGES)"; exit 0; }; \
	missing=; for package in $(PACKAGES); do \
	  [ "$$(dpkg-query -W -f='$${db:Status-Status}' "$$package" 2>/dev/null)" = installed ] || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
	  echo "deps: missing:$$missing"; echo "deps: run: sudo apt-get update && sudo apt-get install --no-install-recommends$$missing"; exit 1; \
	fi; \
	echo "deps: installing$$missing"; \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

clean: ## remove what was built
	$(CARGO) clean
