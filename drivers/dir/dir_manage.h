/* Adopting what is there, in place, and giving it back. */
#ifndef DRIVERS_DIR_DIR_MANAGE_H
#define DRIVERS_DIR_DIR_MANAGE_H

#include "drivers/dir/dir_object.h"

driver_slot dir_manage_existing;
driver_slot dir_unmanage;
driver_slot dir_manage_existing_snapshot;
driver_slot dir_unmanage_snapshot;

/* What was half adopted gets its access back and is forgotten; all else is left alone. */
int dir_manage_undo(const struct dir_root *r, const struct dir_object *o, struct error *e);
/* The same for all that a crash left so; and marks go that tell of nothing any more. */
int dir_manage_undo_left(const struct dir_root *r, struct error *e);

#endif
