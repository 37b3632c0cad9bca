/* What a command works with: streams, the connection, how to print. */
#ifndef CLIENT_CTL_H
#define CLIENT_CTL_H

#include "client/arguments.h"
#include "client/connection.h"

#include <stdbool.h>
#include <stdio.h>

struct ctl {
	FILE *in, *out, *err;
	bool in_tty, out_tty, err_tty; /* terminals: questions, colours and pretty JSON, progress */
	/* The rest is set by program_run. */
	const char *socket;
	double deadline;         /* of text_monotonic; 0: none */
	struct connection *conn; /* NULL until the first call */
	bool json;
};

/* One call on the one connection, which is made first where there is none. `params` is borrowed, may be NULL. */
int ctl_call(struct ctl *c, const char *method, json_t *params, json_t **ret, struct failure *f);
/* The same, with progress on the terminal when it takes long. */
int ctl_call_watched(struct ctl *c, const struct invocation *inv, json_t **ret, struct failure *f);
/* An answer: JSON or "key: value" lines. */
void ctl_print(struct ctl *c, const json_t *result);
bool ctl_colours(const struct ctl *c);

#endif
