/* Adopting what is there, in place, and giving it back. */
#ifndef DRIVERS_LOCAL_LOCAL_MANAGE_H
#define DRIVERS_LOCAL_LOCAL_MANAGE_H

#include "drivers/local/local_object.h"

driver_slot local_manage_existing;
driver_slot local_unmanage;
driver_slot local_manage_existing_snapshot;
driver_slot local_unmanage_snapshot;

/* What was half adopted gets its access back and is forgotten; all else is left alone. */
int local_manage_undo(const struct local_root *r, const struct local_object *o, struct error *e);
/* The same for all that a crash left so; and marks go that tell of nothing any more. */
int local_manage_undo_left(const struct local_root *r, struct error *e);

#endif
