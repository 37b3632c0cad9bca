/* A connection to sharesd: JSON-RPC 2.0, one JSON text a line, one request at a time. Blocking. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "client/failure.h"

#include <jansson.h>

struct connection;

/* While an answer is waited for. Times are seconds of text_monotonic. */
struct waiting {
	double deadline;               /* 0: none */
	double first_tick, tick_every; /* seconds from now on; used with `tick` */
	void (*tick)(void *data);      /* may be NULL */
	void *data;
};

/* CTL_NO_DAEMON with what to do about it. `deadline` 0: none. */
int connection_open(const char *path, double deadline, struct connection **ret, struct failure *f);
void connection_close(struct connection *conn); /* NULL is fine */

/* Sends one request and waits for its answer. `params` is borrowed and may be NULL. 0: `*ret` is the result, a new
 * reference (null too). CTL_UNKNOWN where the request went out and no answer came in; else the daemon's error. */
int connection_call(struct connection *conn, const char *method, json_t *params, const struct waiting *w, json_t **ret,
		    struct failure *f);
/* The last call was left without an answer, for the other side has closed the connection. */
bool connection_is_lost(const struct connection *conn);
/* The params of the next notification: new reference. Waits without end. CTL_NO_DAEMON when the connection is closed.
 */
int connection_next_event(struct connection *conn, json_t **ret, struct failure *f);

#endif
