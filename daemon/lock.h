/* Lock files: one daemon at a time has what lies beside them. Any thread. */
#ifndef DAEMON_LOCK_H
#define DAEMON_LOCK_H

#include "base/error.h"

/* Takes the lock on this open file and writes our pid into it; it lasts until the descriptor is closed. -EWOULDBLOCK:
 * another has it, and `*ret_owner` (0: not known) is its pid. Other errnos: the file cannot be locked. */
int lock_take(int fd, int *ret_owner);

#endif
