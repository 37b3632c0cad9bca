/* The state directory: ours alone, one daemon each. */
#ifndef DAEMON_STORE_DIR_H
#define DAEMON_STORE_DIR_H

#include "base/error.h"

#define STORE_FILE "sharesd.db"

/* Makes what is missing (directory 0700, lock file, empty database 0600), refuses what others own or may write
 * (-EPERM), and takes the lock (-EBUSY): it is held as long as *ret_lock is open. *ret_unclean: the last daemon here
 * was cut off. */
int store_dir_take(const char *state_dir, int *ret_lock, bool *ret_unclean, struct error *e);

#endif
