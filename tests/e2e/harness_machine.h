/* A machine for tests of the units: a real systemd as process 1 of a container whose files are this machine's own below
 * an overlay, with the programs under test installed. Everything in it is gone with the process that booted it. */
#ifndef TESTS_E2E_HARNESS_MACHINE_H
#define TESTS_E2E_HARNESS_MACHINE_H

#include "tests/e2e/harness.h"

struct machine {
	char dir[64];         /* temporary, in a mount namespace of this process */
	char root[80];        /* its files, while it is not yet booted */
	char reason[256];     /* why there is no machine; else "" */
	pid_t nspawn, init;   /* as seen from here */
	struct fixture there; /* only for clients: the socket /run/sharesd/sharesd.sock in it */
};

/* Files and the installed programs; `machine_boot` starts it. Where this machine cannot do that, both leave `reason`.
 */
void machine_prepare(struct machine *m);
void machine_boot(struct machine *m);
void machine_end(struct machine *m);
/* Prints "SKIP name: reason" where there is no machine, which is a failure when $CI is set. */
bool machine_is_there(const struct machine *m, const char *test_name);

/* A file in the booted machine, by its path there; valid for the next 4 calls. */
const char *machine_path(const struct machine *m, const char *path);
/* Runs a shell script in it; its exit status. `*ret_out` (may be NULL): output and errors; free it. */
int machine_try(const struct machine *m, char **ret_out, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* It must succeed, else the test fails with what it said; the output without the last end of line: free it. */
char *machine_run(const struct machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Until it succeeds: fails the test after 30 s, times $TIMES. */
void machine_wait(const struct machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
