/* Events to try hooks with: one for every method and phase, made from the table of methods. Call thread. */
#ifndef DAEMON_SAMPLE_H
#define DAEMON_SAMPLE_H

#include "daemon/backend.h"

/* `given` (with "phase", and "func_name" of a method with hooks but in phase periodic), and from a sample what it
 * lacks. What is true of the backend and the caller is true in the sample; share, snapshot and rule are made up.
 * `options`: the hook's. `*ret`: new reference. */
int sample_event(const struct engine *en, const struct backend *b, const struct call *c, const json_t *options,
		 const json_t *given, json_t **ret, struct error *e);

#endif
