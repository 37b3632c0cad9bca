/* Flushes what was made in a tree by other programs. */
#ifndef DRIVERS_TREE_FLUSH_H
#define DRIVERS_TREE_FLUSH_H

#include "base/error.h"

#include <time.h>

/* Takes `fd`, a directory. All directories below it, and files that were made or changed since `begun`
 * (CLOCK_REALTIME), are on stable storage. Files that are only linked here anew are not opened. */
int tree_flush(int fd, const struct timespec *begun, struct error *e);

#endif
