/* The call thread: takes messages out of its queue, runs calls, ticks and long work. */
#ifndef DAEMON_CALL_THREAD_H
#define DAEMON_CALL_THREAD_H

#include "daemon/engine.h"

/* `st` becomes the engine's. */
struct engine *engine_new(struct store *st, struct queue *in, struct queue *out, struct conf *conf);
void engine_free(struct engine *en);
/* The thread's function: until MSG_STOP. */
void *engine_main(void *engine);

#endif
