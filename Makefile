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

PACKAGES  := gcc clang make pkg-config libevent-dev libconfuse-dev libjansson-dev check libsqlite3-dev libsystemd-dev \
             libacl1-dev acl attr socat jq sqlite3 clang-format clang-tidy btrfs-progs util-linux
PKGS      := libevent_core libevent_pthreads libconfuse jansson sqlite3 libsystemd
# Asked for only once the packages can be there.
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lacl -lm

WARN := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DSHARESD_VERSION='"$(VERSION)"' -DSHARESD_SYSCONF='"$(SYSCONF)/sharesd"' \
               -DSHARESD_LIBEXEC='"$(LIBEXEC)"' $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = -std=c17 $(WARN) $(OPT) -fPIC -fno-omit-frame-pointer -fstack-protector-strong $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL  = $(SANITIZE) -pthread -Wl,--as-needed $(LDFLAGS)

ROOMS    := base conf drivers drivers/dir drivers/sim hooks daemon client
# Programs have their main in *_main.c; the rest of a room goes into one archive.
LIB_SRC  := $(filter-out %_main.c,$(wildcard $(addsuffix /*.c,base conf drivers drivers/dir drivers/sim hooks daemon)))
LIB_OBJ  := $(LIB_SRC:%.c=$(O)/%.o)
CTL_SRC  := $(filter-out client/client_main.c,$(wildcard client/*.c))
CTL_OBJ  := $(CTL_SRC:%.c=$(O)/%.o)
PROGRAMS := $(O)/sharesd $(O)/sharesctl $(O)/sharesd-contain $(O)/sharesd-tree
UNIT     := $(patsubst tests/unit/%.c,$(O)/tests/%,$(wildcard tests/unit/test_*.c))
E2E      := $(patsubst tests/e2e/%.c,$(O)/tests/%,$(wildcard tests/e2e/test_*.c))
TEST_LIB := $(patsubst %.c,$(O)/%.o,$(wildcard tests/e2e/harness*.c))
TEST_SO  := $(patsubst tests/%.c,$(O)/tests/%.so,$(wildcard tests/plugins/*.c))
FORMATTED := $(wildcard $(addsuffix /*.[ch],$(ROOMS) tests/unit tests/e2e tests/bench tests/plugins hooks/examples))

.PHONY: help all deps demo test test-run asan tsan lint format bench install clean

all: $(PROGRAMS) ## the programs, in build/

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(O)/libsharesd.a: $(LIB_OBJ)
	rm -f $@ && ar rcs $@ $^
$(O)/sharesd: $(O)/daemon/daemon_main.o $(O)/libsharesd.a
	$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $< -Wl,--whole-archive $(O)/libsharesd.a -Wl,--no-whole-archive $(PKG_LIBS)
$(O)/sharesctl: $(O)/client/client_main.o $(CTL_OBJ) $(O)/libsharesd.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)
# Helpers start often and need little: no library but C's where it can be.
$(O)/sharesd-contain: $(O)/base/contain_main.o
	$(CC) $(LDFLAGS_ALL) -o $@ $^
$(O)/sharesd-tree: $(O)/drivers/tree_main.o $(O)/libsharesd.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)
$(O)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(O)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -shared -o $@ $<
$(filter $(O)/tests/test_client%,$(UNIT)): $(CTL_OBJ)
$(UNIT): $(O)/tests/%: $(O)/tests/unit/%.o $(O)/libsharesd.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $(filter %.o,$^) $(O)/libsharesd.a $(PKG_LIBS) $(shell pkg-config --libs check)
$(E2E): $(O)/tests/%: $(O)/tests/e2e/%.o $(TEST_LIB) $(O)/libsharesd.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $^ $(PKG_LIBS) $(shell pkg-config --libs check)

-include $(shell find $(O) -name '*.d' 2>/dev/null)
