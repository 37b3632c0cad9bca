/* The programs that sharesd-transfer runs: its own children, which end when it does, however that happens. (It runs
 * itself below sharesd-contain, which sees to what they leave.) */
#ifndef DRIVERS_TRANSFER_CHILD_H
#define DRIVERS_TRANSFER_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { TRANSFER_ERRORS_KEPT = 1024 };

struct transfer_child {
	const char *name;                      /* of the program, for people; borrowed */
	const char *package;                   /* which it is in; borrowed */
	pid_t pid;                             /* 0: not started, or ended */
	int pidfd;                             /* readable when it has ended */
	int err;                               /* its standard error; -1 at its end */
	int status;                            /* wait status, once it has ended */
	bool killed;                           /* by us */
	char errors[2 * TRANSFER_ERRORS_KEPT]; /* slides: the end of what it said */
	size_t errors_len;
};
#define TRANSFER_CHILD_INIT ((struct transfer_child){ .pidfd = -1, .err = -1 })
#define _cleanup_child_     __attribute__((__cleanup__(transfer_child_end)))

struct transfer_spec {
	const char *const *argv; /* argv[0] is looked for in PATH */
	const char *name, *package;
	int in, out; /* become its standard input and output; -1: nothing */
	int keep;    /* stays open in it; -1: none */
	/* What the child does to itself at last; may be NULL. 0 or a negative errno. */
	int (*prepare)(const void *data);
	const void *data;
};

/* A missing program is an error that names its package. */
int transfer_child_start(const struct transfer_spec *spec, struct transfer_child *ret, struct error *e);
/* Takes what it said and whether it has ended. */
void transfer_child_listen(struct transfer_child *c);
/* Kills it if it runs, and takes its end. NULL is not fine, half started is. */
void transfer_child_end(struct transfer_child *c);
bool transfer_child_is_good(const struct transfer_child *c); /* ended, with status 0 */
/* Why it failed, by what it said; returns a negative errno. */
int transfer_child_error(struct transfer_child *c, struct error *e);

/* A pipe as large as it may be, close-on-exec. */
int transfer_pipe(int ret[2], struct error *e);
/* SIGTERM, SIGINT and SIGHUP become readable on a descriptor. */
int transfer_signals(struct error *e);
/* One of them came: 0, or -ECANCELED. */
int transfer_interrupted(int signals, struct error *e);

#endif
