/* Setting a backend up: its root, what a crash left, and whether the file system can do what is needed; and whether it
 * still does. */
#ifndef DRIVERS_DIR_DIR_SETUP_H
#define DRIVERS_DIR_DIR_SETUP_H

#include "drivers/driver.h"

driver_slot dir_do_setup;
driver_slot dir_check_for_setup_error;
driver_slot dir_check_backend;

#endif
