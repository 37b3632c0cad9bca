/* Replicas: copies of a share on other roots of this host, brought up to date by transfers (struct local_replication).
 *
 * The replica that is made or updated asks: its backend reads at the active one's root, and keeps there what its next
 * transfer needs. A mark with "copy" says that the data are another replica's, and that nobody else changes them. */
#ifndef DRIVERS_LOCAL_LOCAL_REPLICA_H
#define DRIVERS_LOCAL_LOCAL_REPLICA_H

#include "drivers/local/local_object.h"

driver_slot local_create_replica;
driver_slot local_delete_replica;
driver_slot local_promote_replica;
driver_slot local_update_replica_state;

/* Is it one that is not the active one? */
bool local_replica_is_secondary(const struct driver_share *s);
/* Holds data so that nobody changes them, or lets that go; where the storage can. */
bool local_replica_can_hold(const struct local_root *r);
int local_replica_hold(const struct local_root *r, const struct local_object *o, bool read_only, struct error *e);
/* The share is gone for good from this root: so is all that was kept for its replicas. */
void local_replica_forget(const struct local_root *r, const struct driver_share *s, const char *call_id);

#endif
