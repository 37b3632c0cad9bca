/* The one list of drivers: built in, and added by plugins at start. Call before any backend exists; then read-only. */
#ifndef DRIVERS_TABLE_H
#define DRIVERS_TABLE_H

#include "drivers/driver.h"

/* NULL-terminated. */
const struct share_driver_ops *const *driver_table(void);
const struct share_driver_ops *driver_find(const char *name);
/* A shared object's driver; checks ABI number, mandatory members and that no driver of that name exists. */
int driver_register(const struct share_driver_ops *ops, const char *origin, struct error *e);

/* A slot by its name ("create_share"), for scripts of the `sim` driver and error texts; NULL: no such slot. */
driver_slot *driver_slot_by_name(const struct share_driver_ops *ops, const char *slot);
/* Names of all slots in the order of the struct, NULL-terminated. */
const char *const *driver_slot_names(void);

#endif
