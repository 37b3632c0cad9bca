/* Long work of drivers with the layout of local_root.h: runs of the helper sharesd-tree. */
#ifndef DRIVERS_LOCAL_LOCAL_WORK_H
#define DRIVERS_LOCAL_LOCAL_WORK_H

#include "drivers/local/local_storage.h"

/* `copy`, `measure` and `purge` of a storage, by walking the tree. The staging directory is busy until the work is
 * released; the trash is emptied behind the call. */
int local_work_copy(const struct local_root *r, const struct local_object *from, const char *id, bool read_only,
		    const struct driver_call *call, local_finish *finish, struct driver_result *ret, struct error *e);
int local_work_measure(const struct local_root *r, const struct local_object *o, const struct driver_call *call,
		       local_finish *finish, struct driver_result *ret, struct error *e);
void local_work_purge(const struct local_root *r, struct driver_result *ret);

/* A transfer: its staging directory is busy until the work is released. Takes argv. `purpose` and `gone`, the snapshots
 * that were gone when it began, are found again in `data` of `finish`. */
struct driver_work *local_work_transfer(const struct local_root *r, const char *id, char **argv, int purpose, int gone,
					local_finish *finish);
const char *local_work_id(const void *data);
int local_work_purpose(const void *data);
int local_work_gone(const void *data);

/* What the work says of its failure, as the slot's. */
int local_work_failed(const struct error *failure, struct error *e);

#endif
