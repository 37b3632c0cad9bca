/* Snapshots: copies of a share's data, by shared blocks where the file system can. */
#ifndef DRIVERS_LOCAL_LOCAL_SNAPSHOT_H
#define DRIVERS_LOCAL_LOCAL_SNAPSHOT_H

#include "drivers/local/local_storage.h"

driver_slot local_create_snapshot;
driver_slot local_delete_snapshot;
driver_slot local_revert_to_snapshot;

/* The second half of local_create_snapshot, where it has one. */
local_finish local_snapshot_copied;

/* Marks what stands in staging as a snapshot, and puts it in its place, on the disk. */
int local_snapshot_place(const struct local_root *r, const char *call_id, json_t *mark, struct local_object *ret,
			 struct error *e);
/* Removes a snapshot of this backend, or what is left of one. Nothing there is success. */
int local_snapshot_remove(const struct local_root *r, const struct driver_snapshot *s, const char *call_id,
			  struct error *e);

#endif
