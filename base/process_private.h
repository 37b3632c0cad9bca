/* The insides of a process that process.c and process_run.c share. Private to base/. */
#ifndef BASE_PROCESS_PRIVATE_H
#define BASE_PROCESS_PRIVATE_H

#include "base/process.h"
#include "base/stray.h"

#include <stdbool.h>
#include <sys/types.h>

/* How long the helper may take to kill a tree before it is killed itself, seconds. */
#define PROCESS_KILL_LIMIT 5.0

struct process {
	pid_t helper;  /* 0: reaped, or never there */
	pid_t program; /* 0 until it has started */
	int pidfd;     /* of the helper */
	int control;   /* see base/contain.h; -1 once the helper has hung up */
	int in, out, err;
	bool ended;                 /* `status` is known; what the program left may still be dying */
	int status;                 /* wait status */
	char mark[STRAY_MARK_SIZE]; /* in the environment of all that comes of it */
	struct cgroup *group;       /* NULL: it has none of its own */
	double started;
};

/* As process_start, for a caller that has only until `deadline` (text_monotonic). */
int process_start_until(const struct process_spec *spec, double deadline, struct process **ret, struct error *e);
/* Takes what the helper has said so far: sets `ended`, `control`. */
void process_listen(struct process *p);
/* Milliseconds for poll, rounded up, 0 when past. */
int process_wait_ms(double deadline);
/* Exit code and signal from the wait status. */
void process_fate(const struct process *p, struct process_result *ret);
void process_freep(struct process **p);

#endif
