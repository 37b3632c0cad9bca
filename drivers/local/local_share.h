/* Shares: making, removing, resizing. */
#ifndef DRIVERS_LOCAL_LOCAL_SHARE_H
#define DRIVERS_LOCAL_LOCAL_SHARE_H

#include "drivers/local/local_object.h"

driver_slot local_create_share;
driver_slot local_create_share_from_snapshot;
driver_slot local_delete_share;
driver_slot local_extend_share;
driver_slot local_shrink_share;

/* 1: the share is there already: this call was made before, and `ret` has its answer. */
int local_share_look(const struct local_root *r, const struct driver_share *s, struct driver_result *ret,
		     struct error *e);
/* Marks what stands in staging, whose gate is open, and moves it to its place. */
int local_share_place(const struct local_root *r, const struct driver_call *call, int gate, struct driver_result *ret,
		      struct error *e);

#endif
