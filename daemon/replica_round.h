/* The rounds of replica updates that timers ask for: each replica that is not active, and each snapshot that a replica
 * makes or deletes, is a call of its own, one at a time between those of others. Call thread. */
#ifndef DAEMON_REPLICA_ROUND_H
#define DAEMON_REPLICA_ROUND_H

#include "daemon/engine.h"

/* Begins a round of the backend's, unless the last one is still under way. */
void replica_round_begin(struct engine *en, const char *backend);
/* Is a step to be done now? */
bool replica_round_is_due(const struct engine *en);
/* At most one call. */
void replica_round_step(struct engine *en);

#endif
