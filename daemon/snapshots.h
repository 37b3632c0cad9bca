/* What the methods about snapshots have in common (call_snapshot.c, call_replicated_snapshot.c). Call thread. */
#ifndef DAEMON_SNAPSHOTS_H
#define DAEMON_SNAPSHOTS_H

#include "daemon/backend.h"

/* Of a new snapshot: c->extra is {"snapshot", "instance"}, the rows of it and of its instance on the active replica. */
int snapshot_resolve_new(struct engine *en, struct call *c, struct error *e);
/* May the call's replicated snapshot be deleted? Fills c->args. */
int snapshot_resolve_delete(struct engine *en, struct call *c, struct error *e);
/* ERR_BUSY while a share is made of it, or goes back to it. */
int snapshot_need_unused(struct engine *en, const struct call *c, struct error *e);
/* c->args: the params, with the snapshot's id. New reference. */
json_t *snapshot_args(const struct call *c);
/* {"share_id", "instance_id", "snapshot_id", "snapshot_instance_id"}: new reference. */
json_t *snapshot_intent(const struct call *c);
int snapshot_amend(struct engine *en, struct call *c, const json_t *changed, struct error *e);

/* Is a snapshot of the call's share one on all replicas? */
bool snapshot_is_replicated(const struct call *c);

#endif
