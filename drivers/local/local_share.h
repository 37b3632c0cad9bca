/* Shares: making, removing, resizing. */
#ifndef DRIVERS_LOCAL_LOCAL_SHARE_H
#define DRIVERS_LOCAL_LOCAL_SHARE_H

#include "drivers/driver.h"

driver_slot local_create_share;
driver_slot local_create_share_from_snapshot;
driver_slot local_delete_share;
driver_slot local_extend_share;
driver_slot local_shrink_share;

#endif
