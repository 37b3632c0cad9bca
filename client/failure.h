/* What went wrong, and the exit code that says so to scripts. One table maps the daemon's error kinds to exit codes. */
#ifndef CLIENT_FAILURE_H
#define CLIENT_FAILURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Codes of sharesctl's own. Those of the daemon's error kinds stand in the table behind failure_exit_code. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_DEGRADED = 1,  /* status only */
	CTL_DOWN = 2,      /* status only */
	CTL_INTERNAL = 20, /* also every kind that is not in the table */
	CTL_DECLINED = 22, /* the question before a delete was not answered with yes */
	CTL_USAGE = 64,
	CTL_NO_DAEMON = 69, /* nobody answers on the socket */
	CTL_OUTPUT = 74,    /* the answer could not be written */
	CTL_UNKNOWN = 75,   /* no answer came: the outcome is unknown */
};

struct failure {
	int exit_code; /* 0: nothing failed */
	json_t *error; /* {"code","message","data":{"kind",..}}, as the daemon sent it or made like it; owned */
};

#define _cleanup_failure_ __attribute__((__cleanup__(failure_clear)))

/* A failure of sharesctl's own, one of enum ctl_exit. The first one stays: what follows from it says less.
 * Returns -EINVAL, for `return failure_set(..)`. */
int failure_set(struct failure *f, enum ctl_exit code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The daemon's error object: takes a new reference. Returns -EREMOTEIO. */
int failure_set_error(struct failure *f, const json_t *error);
/* Adds text to the message: ", text" or ": text" as the caller writes it. */
void failure_append(struct failure *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *failure_message(const struct failure *f); /* never NULL */
/* "sharesctl: message" or, for programs, the error object, as one line. */
void failure_print(const struct failure *f, bool json, FILE *to);
/* Takes what `from` holds, unless there is a failure already. */
void failure_move(struct failure *f, struct failure *from);
void failure_clear(struct failure *f);

/* CTL_INTERNAL for a kind that is not known (NULL too). */
int failure_exit_code(const char *kind);
/* The lines "  CODE  meaning" of --help. */
void failure_print_codes(FILE *to);

#endif
