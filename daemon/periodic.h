/* What timers ask of the call thread: the periodic hooks, and measuring what shares use. Call thread. */
#ifndef DAEMON_PERIODIC_H
#define DAEMON_PERIODIC_H

#include "daemon/engine.h"

/* One due tick of a backend: the periodic hooks with its shares, their rules and what the driver adds. Tells the loop
 * when it is through (MSG_TICKED). */
void periodic_run(struct engine *en, const char *backend);
/* Measures the shares of a backend, one after another, by helpers. A round that finds the last one going on is dropped.
 */
void usage_round(struct engine *en, const char *backend);

#endif
