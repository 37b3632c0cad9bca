/* btrfs receive, fed by another host. */
#ifndef DRIVERS_RECEIVE_RUN_H
#define DRIVERS_RECEIVE_RUN_H

#include "base/error.h"

/* Takes a stream of btrfs send from `in` into the directory `path`, absolute and without links. Whatever is in the
 * stream, it changes nothing outside. 0 where the stream came to its end, or a negative errno with `e` filled; what is
 * there then is the caller's to remove. */
int receive_run(const char *path, int in, struct error *e);

#endif
