/* Clients that change shares at random, and remember what they were told: for tests that end the daemon, or the whole
 * machine, in the middle of it. */
#ifndef TESTS_E2E_HARNESS_LOAD_H
#define TESTS_E2E_HARNESS_LOAD_H

#include "tests/e2e/harness.h"

enum { LOAD_CLIENTS = 4, LOAD_ITEMS = 6 };

enum load_op {
	LOAD_NO_OP,
	LOAD_CREATE,
	LOAD_COPY,
	LOAD_DELETE,
	LOAD_EXTEND,
	LOAD_SHRINK,
	LOAD_ALLOW,
	LOAD_DENY,
	LOAD_SNAP,
	LOAD_UNSNAP,
	LOAD_REVERT,
	LOAD_OPS
};

/* A share as its client believes it to be: after the last answer, and with what it has asked for since. */
struct load_item {
	char name[12];
	bool present, rule, snap;
	long long size;
	char content[32], snap_content[32]; /* "": not known */
	enum load_op pending;
	int from; /* LOAD_COPY: of this item */
	unsigned serial;
};

/* Shared with the clients' processes. */
struct load {
	struct load_item items[LOAD_CLIENTS][LOAD_ITEMS];
	/* In the client's process, or NULL: before it sends a request, when it has the answer, and when what it wrote
	 * into the share is on stable storage. */
	void (*note)(void *data, unsigned client, unsigned item, const struct load_item *it);
	void *data;
};

/* On shared memory. The daemon of `f` has a backend "b" with the root DIR/root. */
struct load *load_new(void);
void load_free(struct load *l);
/* The clients begin; they end when the daemon does. */
void load_start(const struct fixture *f, struct load *l, unsigned seed, pid_t pids[LOAD_CLIENTS]);
/* Waits for them; fails the test when one was refused anything. */
void load_wait(const pid_t pids[LOAD_CLIENTS]);
/* By a running daemon: what was answered is so; what was not is done or not done at all, and is done when it is asked
 * for again. */
void load_check(const struct fixture *f, struct load *l, const char *where);

#endif
