/* Shares: making, removing, resizing. */
#ifndef DRIVERS_DIR_DIR_SHARE_H
#define DRIVERS_DIR_DIR_SHARE_H

#include "drivers/driver.h"

driver_slot dir_create_share;
driver_slot dir_create_share_from_snapshot;
driver_slot dir_delete_share;
driver_slot dir_extend_share;
driver_slot dir_shrink_share;

#endif
