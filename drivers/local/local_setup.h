/* Setting a backend up: its root, what a crash left, and whether the file system can do what is needed; and whether it
 * still does. */
#ifndef DRIVERS_LOCAL_LOCAL_SETUP_H
#define DRIVERS_LOCAL_LOCAL_SETUP_H

#include "drivers/driver.h"

driver_slot local_do_setup;
driver_slot local_check_for_setup_error;
driver_slot local_check_backend;

#endif
