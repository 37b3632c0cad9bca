# sharesd: plain GNU make. `make help` lists what there is.
SHELL := /bin/bash
.DELETE_ON_ERROR:

VERSION   := 0.1.0
PREFIX    ?= /usr
SYSCONF   ?= /etc
LIBEXEC   ?= $(PREFIX)/libexec/sharesd
DESTDIR   ?=
ifeq ($(origin CC),default)
CC        := gcc
endif
O         ?= build
OPT       ?= -O2 -g
SANITIZE  ?=
# Seconds of each fuzz target.
T         ?= 60

PACKAGES  := gcc clang libclang-rt-dev llvm make libc6-dev pkg-config libevent-dev libconfuse-dev libjansson-dev check libsqlite3-dev \
             libsystemd-dev libacl1-dev acl attr socat jq sqlite3 clang-format clang-tidy btrfs-progs rsync util-linux e2fsprogs mandoc \
             samba smbclient iproute2 libbtrfsutil-dev libcurl4-openssl-dev libssl-dev openssl python3 pyflakes3 systemd-container libcap2-bin procps \
             nfs-ganesha nfs-ganesha-vfs dbus libnfs-utils openssh-client openssh-server
# What only sharesd-http.so needs: the daemon itself does not pay for it.
HTTP_PKGS := libcurl libssl libcrypto
PKGS      := libevent_core libevent_pthreads libconfuse jansson sqlite3 libsystemd libbtrfsutil
# Asked for once, and only when the packages can be there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS) 2>/dev/null))$(PKG_CFLAGS)
HTTP_LIBS  = $(eval HTTP_LIBS := $$(shell pkg-config --libs $(HTTP_PKGS) 2>/dev/null) -lm)$(HTTP_LIBS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS) 2>/dev/null) -lacl -lm)$(PKG_LIBS)
CHECK_LIBS = $(eval CHECK_LIBS := $$(shell pkg-config --libs check 2>/dev/null))$(CHECK_LIBS)

WARN := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DSHARESD_VERSION='"$(VERSION)"' -DSHARESD_SYSCONF='"$(SYSCONF)/sharesd"' \
               -DSHARESD_LIBEXEC='"$(LIBEXEC)"' $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = -std=c17 $(WARN) $(OPT) -fPIC -fno-omit-frame-pointer -fstack-protector-strong $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL  = $(SANITIZE) -pthread -Wl,--as-needed $(LDFLAGS)

ROOMS    := base conf drivers drivers/local drivers/dir drivers/btrfs drivers/btrfs_ssh drivers/sim drivers/export hooks daemon client
# Programs have their main in *_main.c; the rest of a room goes into one archive.
LIB_SRC  := $(filter-out %_main.c,$(wildcard $(addsuffix /*.c,$(filter-out client,$(ROOMS)))))
LIB_OBJ  := $(LIB_SRC:%.c=$(O)/%.o)
CTL_SRC  := $(filter-out client/client_main.c,$(wildcard client/*.c))
CTL_OBJ  := $(CTL_SRC:%.c=$(O)/%.o)
PROGRAMS := $(O)/sharesd $(O)/sharesctl $(O)/sharesd-contain $(O)/sharesd-tree $(O)/sharesd-transfer $(O)/sharesd-receive $(O)/sharesd-http.so $(O)/sharesd-python
# What hooks in Python need beside their runner.
PYTHON   := $(shell find hooks/python -name '*.py')
UNIT     := $(patsubst tests/unit/%.c,$(O)/tests/%,$(wildcard tests/unit/test_*.c))
E2E      := $(patsubst tests/e2e/%.c,$(O)/tests/%,$(wildcard tests/e2e/test_*.c))
# What every driver must do: the same cases for all, with a conf file and a program that knows the storage for each.
CONFORM  := $(O)/tests/test_conformance
PLACES   := $(patsubst %,$(O)/%,$(wildcard tests/conformance/*.conf tests/conformance/*.place))
# Written in Python; they look at no compiled code, so the sanitizers have no use for them.
PYTESTS  := $(O)/tests/test_python
TEST_LIB := $(patsubst %.c,$(O)/%.o,$(wildcard tests/e2e/harness*.c))
TEST_SO  := $(patsubst tests/%.c,$(O)/tests/%.so,$(wildcard tests/plugins/*.c))
MANUALS  := $(addprefix $(O)/man/,sharesd.8 sharesd.conf.5 sharesd-rpc.7)
UNITS    := $(addprefix $(O)/systemd/,sharesd.service sharesd.socket sharesd@.service sharesd@.socket)
PAGES    := $(MANUALS) client/sharesctl.1 hooks/sharesd-hooks.7
# What rpc.discover answers: the tests hold every reply against it, and it against the copy that was looked at last.
OPENRPC  := $(O)/openrpc.json $(O)/tests/golden.json
BENCH    := $(addprefix $(O)/tests/bench/,bench bench_hooks bench_server bench_echo bench_program bench_hook.so)
SOAK     := $(O)/tests/soak/soak $(O)/tests/soak/fates
FUZZ     := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/fuzz_*.c))
DIRS     := $(ROOMS) hooks/http tests/unit tests/e2e tests/bench tests/soak tests/fuzz tests/plugins tests/conformance
FORMATTED := $(wildcard $(addsuffix /*.[ch],$(DIRS) hooks/examples))
# OURS: without the tests themselves, to keep `make test` short; `make lint` looks at all.
# What `make test` runs under ThreadSanitizer: the programs in which both threads are busy; `make tsan` runs all.
THREADED := test_socket test_socket_calls test_conf_e2e test_hooks_modules test_methods test_store test_base_process test_conf
# Programs under a sanitizer do not live in the profile of the units.
PLAIN    := test_systemd
# Those that take longer than some 20 s: `make test` runs them once, as built; `make asan` runs all.
HEAVY    := $(PLAIN) test_replica_ssh test_crash_sweep test_backend_away test_hooks_python test_no_memory test_no_descriptors
HEAVY    += test_power_cut test_full_disk test_events_stuck test_hook_origins test_hook_matrix test_conformance
HEAVY    += test_export_ganesha test_export_smb test_bench test_server_netns
TIDY     := $(patsubst %.c,$(O)/%.tidy,$(filter-out $(if $(OURS),tests/%),$(filter %.c,$(FORMATTED))))

# Below one another, in parallel where nobody says otherwise.
SUB       = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
RESULTS  := $(O)/results
# Two of us may look at the same flags.
MAKE_PID := $(shell echo $$PPID)
SANITIZED := OPT="-O1 -g"
# The second compiler builds what runs under ASan and UBSan, and what clang-tidy looks at.
ASAN     := O=$(O)/asan CC=clang $(SANITIZED) SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
# What tests and fuzzing together see of the files that read what foreign hands wrote, and the tests that do.
COVERAGE := O=$(O)/coverage CC=clang $(SANITIZED) \
            SANITIZE="-fprofile-instr-generate=$(CURDIR)/$(O)/coverage/profile/%4m.profraw -fcoverage-mapping"
PARSERS  := $(addsuffix .c,base/jsonx base/text $(addprefix conf/,scan parse raw value check relate fault) \
            $(addprefix daemon/,server rpc params answers store_value) \
            $(addprefix hooks/,answer dialog exec coproc resident program))
COVERING := test_base_jsonx test_base_text test_conf test_conf_syntax test_conf_faults test_conf_example test_daemon_params \
            test_store_values test_hooks_exec test_hooks_coproc test_hooks_runner test_socket test_socket_calls
TSAN     := O=$(O)/tsan $(SANITIZED) SANITIZE="-fsanitize=thread"

.PHONY: help all deps demo demo-nfs test asan tsan fuzz test-upstream lint golden format bench bench-hooks bench-exports bench-replicas soak soak-hooks soak-replicas install install-built \
	uninstall clean everything tidy fuzz-programs fuzz-coverage covering FORCE \
	stage-plain stage-asan stage-tsan stage-fuzz stage-lint
# Objects that only a chain of rules asks for are kept too.
.SECONDARY:

all: $(PROGRAMS) $(MANUALS) $(UNITS) ## the programs, in build/ (sharesd, sharesctl and their helpers)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# ---- for the first command typed after the clone ----

deps: ## installs the Debian packages that are missing (apt-get, as root or by sudo)
	@there=$$(dpkg-query -W -f '$${Package} $${Status}\n' $(PACKAGES) 2>/dev/null | sed -n 's/ install ok installed//p'); \
	missing=; for p in $(PACKAGES); do [[ $$'\n'$$there$$'\n' == *$$'\n'$$p$$'\n'* ]] || missing="$$missing $$p"; done; \
	[ -n "$$missing" ] || exit 0; \
	echo "installing:$$missing"; \
	sudo=; if [ "$$(id -u)" != 0 ]; then sudo="sudo"; command -v sudo >/dev/null || { \
		echo "as root: apt-get install --no-install-recommends$$missing" >&2; exit 1; }; fi; \
	apt="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600"; \
	$$apt update && $$apt install -y --no-install-recommends $$missing

demo: deps ## builds, and shows what sharesd does, step by step
	+@$(SUB) all
	@tests/demo.sh $(O)

demo-nfs: deps ## the same over NFS: a btrfs on a loop device, two clients, access rules, a server that is killed (root)
	+@$(SUB) all
	@tests/demo-nfs.sh $(O)

# Tests mostly wait: lint goes on behind them, and gets what they leave.
test: deps ## all tests: as built, under ASan and UBSan, fuzzing, under TSan, then lint; one summary
	@rm -rf $(RESULTS); mkdir -p $(O); failed=; \
	$(SUB) everything && $(SUB) $(ASAN) everything; \
	nice -n 19 $(SUB) stage-lint OURS=1 >$(O)/lint.log 2>&1 & lint=$$!; \
	for stage in plain asan fuzz tsan; do $(SUB) stage-$$stage TSAN_TESTS="$(THREADED)" OURS=1 || failed="$$failed $$stage"; done; \
	wait $$lint || failed="$$failed lint"; \
	cat $(O)/lint.log; tests/run.sh sum $(RESULTS) $$failed

asan: deps ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@rm -rf $(RESULTS); $(SUB) stage-asan || failed=asan; tests/run.sh sum $(RESULTS) $$failed

tsan: deps ## the tests under ThreadSanitizer
	@rm -rf $(RESULTS); $(SUB) stage-tsan || failed=tsan; tests/run.sh sum $(RESULTS) $$failed

fuzz: deps ## fuzzing, T seconds each target (T=3600); what fails is kept in build/fuzz/failed
	@rm -rf $(RESULTS); $(SUB) stage-fuzz || failed=fuzz; tests/run.sh sum $(RESULTS) $$failed

fuzz-coverage: deps ## lines of the parsers that tests, seeds and what fuzzing has found so far go through
	+@$(SUB) $(COVERAGE) covering
	@tests/run.sh coverage $(O)/coverage $(O)/fuzz "$(PARSERS)" $(COVERING)

lint: deps ## clang-format, a build of everything by clang, clang-tidy
	+@$(SUB) stage-lint

golden: ## takes the interface as it is now for the one that is meant: see the diff
	+@$(SUB) $(O)/openrpc.json
	cp $(O)/openrpc.json tests/golden/openrpc.json

# Not part of `test`: the packages that it installs come to 150 MB.
test-upstream: PACKAGES += python3-manila
test-upstream: deps ## the same Python hooks in Manila itself (Debian's python3-manila) and in sharesd, compared
	+@$(SUB) all
	@tests/upstream/compare $(O)

format: ## formats all sources
	clang-format -i $(FORMATTED)

bench: deps ## speed and memory, as ratios to an echo server and to bare SQLite
	+@$(SUB) all $(BENCH)
	@$(O)/tests/bench/bench $(O)

bench-hooks: deps ## what a hook costs, by module, beside the bare work; ROUNDS=9
	+@$(SUB) all $(BENCH)
	@$(O)/tests/bench/bench_hooks $(O) $(ROUNDS)

SHARES ?= 200
bench-exports: deps ## shares on btrfs over NFS, beside the same work done with bare tools (root)
	+@$(SUB) all
	@/usr/bin/python3 tests/bench/bench_exports.py $(O) $(SHARES)

bench-replicas: deps ## a replica of 1 GiB in 10,000 files, beside bare btrfs send and rsync (root)
	+@$(SUB) all
	@/usr/bin/python3 tests/bench/bench_replicas.py $(O)

N ?= 100000
soak: deps ## N=100000 mixed calls with kills, reloads and rude clients, and what came of them (root)
	+@$(SUB) all $(SOAK) $(BENCH)
	@$(O)/tests/soak/soak $(O) $(N) $(SEED)

RUNS ?= 10000
soak-hooks: deps ## RUNS=10000 hook runs of mixed fates, and what is left of them
	+@$(SUB) all $(SOAK)
	@$(O)/tests/soak/fates $(O) $(RUNS)

soak-replicas: deps ## T=600 seconds of calls about replicas, snapshots and share servers, with kills and cut connections (root)
	+@$(SUB) all
	@unshare -m --propagation private /usr/bin/python3 tests/soak/replicas.py $(O) $(if $(filter command% environment%,$(origin T)),$(T),600) $(or $(SEED),$$RANDOM)

.PHONY: conformance
conformance: deps ## DRIVER=name CONF=file [PLACE=program]: does a driver of your own do what a driver must? (root)
	+@$(SUB) all $(CONFORM)
	@DRIVER="$(DRIVER)" CONF="$(abspath $(CONF))" PLACE="$(abspath $(PLACE))" $(CONFORM)

stage-plain:
	+@$(SUB) everything
	@tests/run.sh run plain $(RESULTS) $(O) $(HEAVY) $(filter-out $(HEAVY),$(notdir $(E2E) $(CONFORM) $(UNIT) $(PYTESTS)))
stage-asan:
	+@$(SUB) $(ASAN) everything
	@TIMES=4 tests/run.sh run asan $(RESULTS) $(O)/asan $(filter-out $(PLAIN) $(if $(OURS),$(HEAVY)),$(notdir $(E2E) $(CONFORM) $(UNIT)))
stage-tsan:
	+@$(SUB) $(TSAN) everything
	@TIMES=6 tests/run.sh run tsan $(RESULTS) $(O)/tsan $(or $(TSAN_TESTS),$(filter-out $(PLAIN),$(notdir $(E2E) $(UNIT))))
stage-fuzz:
	+@$(SUB) $(ASAN) fuzz-programs
	@$(if $(OURS),FUZZ_SEED=1) tests/run.sh fuzz $(RESULTS) $(O)/asan $(O)/fuzz $(T) $(notdir $(FUZZ))
stage-lint:
	+@$(SUB) $(MANUALS)
	@rm -f $(O)/lint; clang-format --dry-run -Werror $(FORMATTED) || echo format >>$(O)/lint
	@mandoc -T lint -W warning $(PAGES) || echo manual >>$(O)/lint
	@pyflakes3 hooks/python hooks/python/sharesd-python tests/python tests/python/test_python tests/upstream/*.py tests/soak/replicas.py tests/upstream/compare \
		hooks/examples/*.py || echo python >>$(O)/lint
	+@$(SUB) -k $(ASAN) everything tidy || echo clang >>$(O)/lint
	@[ ! -e $(O)/lint ] || { echo "lint found faults:" $$(cat $(O)/lint); exit 1; }

everything: $(PROGRAMS) $(MANUALS) $(UNITS) $(OPENRPC) $(UNIT) $(E2E) $(CONFORM) $(PYTESTS) $(TEST_SO) $(BENCH) $(SOAK)
tidy: $(TIDY)
fuzz-programs: $(FUZZ)
covering: $(FUZZ) $(PROGRAMS) $(TEST_SO) $(addprefix $(O)/tests/,$(COVERING))

# ---- programs ----

# Other flags: all is built anew, for some of them are paths that end up in the programs.
$(O)/flags: FORCE | $(O)/
	$(file >$@.$(MAKE_PID),$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL))
	@cmp -s $@.$(MAKE_PID) $@ && rm $@.$(MAKE_PID) || mv $@.$(MAKE_PID) $@
$(O)/:
	@mkdir -p $@

$(O)/libsharesd.a: $(LIB_OBJ)
	@echo "  AR $@"
	@rm -f $@ && ar rcs $@ $^
$(O)/sharesd: $(O)/daemon/daemon_main.o $(O)/libsharesd.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $< -Wl,--whole-archive $(O)/libsharesd.a -Wl,--no-whole-archive $(PKG_LIBS)
$(O)/sharesctl: $(O)/client/client_main.o $(CTL_OBJ) $(O)/libsharesd.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)
# Helpers start often and need little: no library but C's where it can be.
$(O)/sharesd-contain: $(O)/base/contain_main.o
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^
$(O)/sharesd-tree $(O)/sharesd-transfer $(O)/sharesd-receive: $(O)/sharesd-%: $(O)/drivers/%_main.o $(O)/libsharesd.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)
# Loaded by the daemon where a webhook is used: libcurl is large.
$(O)/sharesd-http.so: $(O)/hooks/http/http.o
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -shared -o $@ $< $(HTTP_LIBS)
$(O)/sharesd-python: hooks/python/sharesd-python $(PYTHON) | $(O)/
	@rm -rf $(O)/python && mkdir $(O)/python && cp -r hooks/python/sharesd hooks/python/stand-in $(O)/python
	@install -m 0755 $< $@
# The parts of the manual that the tables know.
$(O)/sharesd-manual: $(O)/daemon/manual_main.o $(O)/libsharesd.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $< -Wl,--whole-archive $(O)/libsharesd.a -Wl,--no-whole-archive $(PKG_LIBS)
$(O)/man/%: conf/%.in $(O)/sharesd-manual
	@mkdir -p $(@D)
	@$(O)/sharesd-manual $< >$@
$(O)/man/%: daemon/%.in $(O)/sharesd-manual
	@mkdir -p $(@D)
	@$(O)/sharesd-manual $< >$@
$(O)/openrpc.json: $(O)/sharesd-manual
	@$(O)/sharesd-manual --discovery >$@
$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(O)/%.tidy: %.c $(O)/%.o .clang-tidy
	@echo "  TIDY $<"
	@clang-tidy --quiet $< -- $(CPPFLAGS_ALL) $(CFLAGS_ALL) >$@.out 2>&1 || { cat $@.out; exit 1; }
	@mv $@.out $@

# ---- tests ----

$(O)/tests/golden.json: tests/golden/openrpc.json
	@mkdir -p $(@D)
	@cp $< $@
$(O)/tests/sharesctl.bash: client/sharesctl.bash
	@mkdir -p $(@D)
	@cp $< $@
$(O)/tests/test_sharesctl: | $(O)/tests/sharesctl.bash
$(E2E): | $(OPENRPC)
$(O)/tests/test_bench: | $(BENCH)
$(O)/tests/%.so: $(O)/tests/%.o
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -shared -o $@ $<
$(filter $(O)/tests/test_client%,$(UNIT)): $(CTL_OBJ)
$(O)/tests/test_hooks_webhook: $(O)/sharesd-http.so
$(UNIT): $(O)/tests/%: $(O)/tests/unit/%.o $(O)/libsharesd.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $(filter %.o,$^) $(O)/libsharesd.a $(PKG_LIBS) $(CHECK_LIBS)
$(E2E): $(O)/tests/%: $(O)/tests/e2e/%.o $(TEST_LIB) $(O)/libsharesd.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $^ $(PKG_LIBS) $(CHECK_LIBS)
$(CONFORM): $(O)/tests/conformance/test_conformance.o $(O)/tests/conformance/conformance.o $(TEST_LIB) $(O)/libsharesd.a | $(OPENRPC) \
		$(PLACES) $(O)/tests/plugins/driver_bare.so
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $^ $(PKG_LIBS) $(CHECK_LIBS)
$(PLACES): $(O)/%: %
	@mkdir -p $(@D)
	@cp -p $< $@
# What a target has of its own in place of the program's: no log, a client that counts as one, processes without programs.
# Client and daemon have functions of the same names, so a target has one of the two.
FUZZ_WRAP = log_at log_record
FUZZ_DAEMON := $(addprefix $(O)/tests/fuzz/fuzz_,request store)
$(FUZZ_DAEMON): FUZZ_WRAP += peer_is_below_us
$(FUZZ_DAEMON): $(O)/tests/fuzz/one_thread.o
$(O)/tests/fuzz/fuzz_store: FUZZ_WRAP += driver_slot_by_name
$(O)/tests/fuzz/fuzz_answers: FUZZ_WRAP += process_start process_start_until process_pidfd connect
$(O)/tests/fuzz/fuzz_answers: $(CTL_OBJ) $(addprefix $(O)/tests/fuzz/,stand_in.o marks.o)
$(FUZZ): $(O)/tests/fuzz/%: $(O)/tests/fuzz/%.o $(O)/tests/fuzz/fuzz.o $(O)/libsharesd.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -rdynamic -o $@ $(FUZZ_WRAP:%=-Wl,--wrap=%) $(filter %.o,$^) $(O)/libsharesd.a \
		$(PKG_LIBS)
$(PYTESTS): $(O)/tests/%: tests/python/%
	@mkdir -p $(@D)
	@install -m 0755 $< $@
$(O)/tests/bench/bench: $(O)/tests/bench/bench_place.o
$(O)/tests/bench/bench_hooks: $(addprefix $(O)/tests/bench/,bench_place.o bench_bare.o bench_works.o)
$(O)/tests/bench/bench_hooks: MORE_LIBS = $(HTTP_LIBS)
$(O)/tests/bench/%: $(O)/tests/bench/%.o
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) $(MORE_LIBS)

$(O)/tests/soak/soak: $(patsubst %.c,$(O)/%.o,$(wildcard tests/soak/soak*.c))
$(O)/tests/soak/fates: $(O)/tests/soak/fates.o $(O)/tests/soak/soak_link.o
$(SOAK): $(O)/tests/bench/bench_place.o $(O)/libsharesd.a
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS)

-include $(wildcard $(patsubst %,$(O)/%/*.d,$(DIRS)))

# ---- where it is used ----

HEADERS  := base/error.h base/option.h conf/settings.h drivers/driver.h hooks/hook.h
INCLUDE  := $(DESTDIR)$(PREFIX)/include/sharesd
SHARE    := $(DESTDIR)$(PREFIX)/share
DOC      := $(SHARE)/doc/sharesd
UNITDIR  := $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS := $(DESTDIR)$(PREFIX)/lib/sysusers.d/sharesd.conf

define PKG_CONFIG
Name: sharesd
Description: Headers for drivers and hooks of the share service sharesd
Version: $(VERSION)
Requires: jansson
Cflags: -I$(PREFIX)/include/sharesd
endef

# The units of the one daemon and those of instances differ in names only.
unit = sed -e '/^\# Makes /d' -e 's|@PREFIX@|$(PREFIX)|' -e 's|@NAME@|$(1)|' -e 's|@CONF@|$(SYSCONF)/sharesd/$(2).conf|' \
	-e 's|@CONFDIR@|$(SYSCONF)/sharesd|' -e 's|@SOCKET_UNIT@|$(3)|' -e 's|@DESCRIPTION@|$(4)|' \
	-e 's|@SLICE@|$(5)|g' $< >$@
$(O)/systemd/sharesd.%: systemd/sharesd.%.in $(O)/flags
	@mkdir -p $(@D)
	@$(call unit,sharesd,sharesd,sharesd.socket,Share service,system.slice)
$(O)/systemd/sharesd@.%: systemd/sharesd.%.in $(O)/flags
	@mkdir -p $(@D)
	@$(call unit,sharesd-%i,%i,sharesd@%i.socket,Share service %i,system.slice/system-sharesd.slice)

install: all ## installs below DESTDIR: programs, units, manual, headers, examples; a conf file that is there stays
	+@$(SUB) install-built
# As it is, so that a test can use it beside others that run.
install-built:
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/sbin $(O)/sharesd
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(O)/sharesctl
	install -D -m 0755 -t $(DESTDIR)$(LIBEXEC) $(O)/sharesd-contain $(O)/sharesd-tree $(O)/sharesd-transfer $(O)/sharesd-receive \
		$(O)/sharesd-python
	for p in $(PYTHON:hooks/python/%=%); do install -D -m 0644 hooks/python/$$p $(DESTDIR)$(LIBEXEC)/python/$$p || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/lib/python3/dist-packages
	ln -sfn $(LIBEXEC)/python/sharesd $(DESTDIR)$(PREFIX)/lib/python3/dist-packages/sharesd
	install -D -m 0644 -t $(DESTDIR)$(LIBEXEC) $(O)/sharesd-http.so
	for h in $(HEADERS); do install -D -m 0644 $$h $(INCLUDE)/$$h || exit 1; done
	install -d $(SHARE)/pkgconfig $(DESTDIR)$(SYSCONF)/sharesd/hooks
	$(file >$(O)/sharesd.pc,$(PKG_CONFIG))
	install -m 0644 -t $(SHARE)/pkgconfig $(O)/sharesd.pc
	install -D -m 0644 -t $(UNITDIR) $(UNITS)
	install -D -m 0644 -t $(SHARE)/sharesd/systemd systemd/run-as.conf systemd/network.conf systemd/mount.conf
	install -D -m 0644 systemd/sysusers.conf $(SYSUSERS)
	install -D -m 0644 client/sharesctl.bash $(SHARE)/bash-completion/completions/sharesctl
	for m in $(PAGES); do install -D -m 0644 -t $(SHARE)/man/man$${m##*.} $$m || exit 1; done
	install -D -m 0644 -t $(DOC) README.md LICENSE
	install -D -m 0755 -t $(DOC)/examples/hooks hooks/examples/*
	install -D -m 0644 -t $(DOC)/examples conf/sharesd.conf
	[ -e $(DESTDIR)$(SYSCONF)/sharesd/sharesd.conf ] || \
		install -m 0644 -t $(DESTDIR)$(SYSCONF)/sharesd conf/sharesd.conf

uninstall: ## removes what install made, but for conf files and what the daemon keeps
	rm -f $(DESTDIR)$(PREFIX)/sbin/sharesd $(DESTDIR)$(PREFIX)/bin/sharesctl $(SHARE)/pkgconfig/sharesd.pc $(SYSUSERS) \
		$(DESTDIR)$(PREFIX)/lib/python3/dist-packages/sharesd \
		$(SHARE)/bash-completion/completions/sharesctl $(addprefix $(UNITDIR)/,$(notdir $(UNITS)))
	for m in $(notdir $(PAGES)); do rm -f $(SHARE)/man/man$${m##*.}/$$m; done
	rm -rf $(DESTDIR)$(LIBEXEC) $(INCLUDE) $(DOC) $(SHARE)/sharesd

clean: ## removes what was built
	rm -rf $(O)
