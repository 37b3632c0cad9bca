/* Snapshots: copies of a share's data, by shared blocks where the file system can. */
#ifndef DRIVERS_LOCAL_LOCAL_SNAPSHOT_H
#define DRIVERS_LOCAL_LOCAL_SNAPSHOT_H

#include "drivers/driver.h"

driver_slot local_create_snapshot;
driver_slot local_delete_snapshot;
driver_slot local_revert_to_snapshot;

#endif
