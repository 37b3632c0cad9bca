/* The way of a call through the call thread. Call thread. */
#ifndef DAEMON_CALL_RUN_H
#define DAEMON_CALL_RUN_H

#include "daemon/engine.h"

/* Takes the call: it goes back to the loop with its answer, or is parked while long work goes on. */
void call_run(struct engine *en, struct call *c);
/* The second half of a parked call: its work has ended. */
void call_resume(struct engine *en, struct call *c);
/* Drives a call anew that was cut off after its pre hooks: from here on it is like any other. */
void call_go_on(struct engine *en, struct call *c);
/* A call made by another in the same thread; like every other it goes to the loop at its end. Must not be one that does
 * long work. */
void call_run_nested(struct engine *en, struct call *parent, struct call *c);
/* Sends back what cannot run any more. */
void call_refuse(struct engine *en, struct call *c, enum error_kind kind, const char *text);

#endif
