/* Snapshots: copies of a share's data, by shared blocks where the file system can. */
#ifndef DRIVERS_DIR_DIR_SNAPSHOT_H
#define DRIVERS_DIR_DIR_SNAPSHOT_H

#include "drivers/driver.h"

driver_slot dir_create_snapshot;
driver_slot dir_delete_snapshot;
driver_slot dir_revert_to_snapshot;

#endif
