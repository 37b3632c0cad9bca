/* What the call thread owns. Everything that takes a `struct engine` runs there. */
#ifndef DAEMON_ENGINE_H
#define DAEMON_ENGINE_H

#include "conf/conf.h"
#include "daemon/call.h"
#include "daemon/queue.h"
#include "daemon/store.h"

#include <stdbool.h>

struct backend;
struct work;
struct hook_set;
/* A hook set of before a reload. */
struct retired {
	struct retired *next;
	struct hook_set *set;
};

struct engine {
	struct store *st;
	struct queue *in, *out;
	struct conf *conf;
	char *host, *socket;
	size_t max_depth; /* of hook answers: as of requests */
	struct backend *backends;
	struct call *parked;     /* calls whose long work goes on, and calls of the daemon's own that measure */
	struct call *cut_off;    /* by the last end of the daemon: they go on when what they need is there */
	struct work *background; /* purges that nobody waits for */
	struct retired *retired; /* hook sets of before a reload that parked calls still use */
	int64_t calls_since_prune;
	int settle_ms;     /* until the end of a call that waits in the store is stored, or tried again */
	double exports_ms; /* of text_monotonic: the next look at the export servers */
	bool lost_an_end;  /* of post hooks: a row still says that they run */
	bool stopping;
};

#endif
