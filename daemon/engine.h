/* The call thread: what it owns. Everything that takes a `struct engine` runs there. */
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
struct retired;

struct engine {
	struct store *st;
	struct queue *in, *out;
	struct conf *conf;
	char *host, *socket;
	size_t max_depth;          /* of hook answers: as of requests */
	struct backend *backends;
	struct call *parked;       /* calls whose long work goes on, and calls of the daemon's own that measure */
	struct work *background;   /* purges that nobody waits for */
	struct retired *retired;   /* hook sets of before a reload that parked calls still use */
	int64_t calls_since_prune;
	bool stopping;
};

/* `st` becomes the engine's. */
struct engine *engine_new(struct store *st, struct queue *in, struct queue *out, struct conf *conf);
void engine_free(struct engine *en);
/* Frees the hook set now, or when no parked call can use it any more. */
void engine_retire_hooks(struct engine *en, struct hook_set *set);
/* The thread's function: until MSG_STOP. */
void *engine_main(void *engine);

#endif
