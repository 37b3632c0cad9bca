/* What is kept of a call: its row with intent and outcome, its record for list_calls, its events. Call thread. */
#ifndef DAEMON_RECORD_H
#define DAEMON_RECORD_H

#include "daemon/engine.h"

/* Inside a transaction: the row before the driver is called. */
int record_insert_intent(struct engine *en, struct call *c, struct error *e);
/* Inside a transaction: outcome, record and events, whether there is a row already or not. */
int record_write(struct engine *en, struct call *c, const char *state, struct error *e);
/* The end of a call whose hooks changed nothing more: with the next transaction. Until then the loop knows it. */
int record_write_later(struct engine *en, struct call *c, struct error *e);
/* A transaction of its own, not durable, for calls that changed nothing. */
void record_store_only(struct engine *en, struct call *c);
/* The hooks that were told after the record was written; lost in a crash. */
void record_add_hooks(struct engine *en, struct call *c);
/* Takes the time of the end and makes c->record. */
void record_end(struct call *c);
/* Events about the answered object show it as the post hooks left it. */
void record_amend_events(struct call *c);
/* The call to the loop, its events before it. `whole`: with its record. */
void record_send(struct engine *en, struct call *c, bool whole);
/* Rows of calls whose post hooks were cut off by a crash, or whose end could not be stored, become `interrupted`. */
int record_mark_interrupted(struct engine *en, struct error *e);
/* An event that belongs to no call; stored without a flush. */
void record_event(struct engine *en, const char *type, json_t *object);

#endif
