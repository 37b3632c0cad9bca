/* Access rules of a share: who may search its gate. */
#ifndef DRIVERS_DIR_DIR_GATE_H
#define DRIVERS_DIR_DIR_GATE_H

#include "drivers/driver.h"

driver_slot dir_update_access;

#endif
