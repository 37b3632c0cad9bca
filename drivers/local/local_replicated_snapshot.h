/* Snapshots of replicated shares: made at the active replica, and brought to the others with their updates, so that
 * each shows the same moment. */
#ifndef DRIVERS_LOCAL_LOCAL_REPLICATED_SNAPSHOT_H
#define DRIVERS_LOCAL_LOCAL_REPLICATED_SNAPSHOT_H

#include "drivers/local/local_object.h"

driver_slot local_create_replicated_snapshot;
driver_slot local_delete_replicated_snapshot;
driver_slot local_update_replicated_snapshot;

/* The first of the call's snapshots that the replica `call->share` wants, has not, and can get from the active one:
 * its instance here, and in `ret_source` the one there. NULL: there is none. */
const struct driver_snapshot *local_replicated_snapshot_next(const struct local_root *r, const struct local_root *from,
							     const struct driver_call *call, const char *active_id,
							     struct local_object *ret_source);
/* The same of the one whose instance here has this id. */
const struct driver_snapshot *local_replicated_snapshot_find(const struct local_root *from,
							     const struct driver_call *call, const char *active_id,
							     const char *id, struct local_object *ret_source,
							     struct error *e);
/* How many of the call's snapshots are gone from the active replica: more than before, and what was sent, or was what a
 * difference is to, may have been among them. */
int local_replicated_snapshots_gone(const struct local_root *from, const struct driver_call *call,
				    const char *active_id);
/* What stands in staging becomes the replica's instance. */
int local_replicated_snapshot_place(const struct local_root *r, const struct driver_call *call,
				    const struct driver_snapshot *s, const struct local_object *source,
				    struct error *e);
/* Removes what is half made of the replica's instances, and, where `all`, these too. */
void local_replicated_snapshots_abandon(const struct local_root *r, const struct driver_call *call, bool all);

#endif
