/* A bar on the terminal while a call takes long. */
#ifndef CLIENT_PROGRESS_H
#define CLIENT_PROGRESS_H

#include "client/ctl.h"

struct progress;

/* NULL where there is nothing to watch, or nobody who would see it. */
struct progress *progress_new(struct ctl *c, const struct invocation *inv);
/* Asks how far it is, on a connection of its own, and draws. What fails here is silent: the call itself goes on. */
void progress_tick(void *progress);
/* Wipes the bar away. NULL is fine. */
void progress_free(struct progress *p);
/* The line for an object with `status` and `progress`, at most `columns` wide; NULL: nothing to show. Owned by the
 * caller. */
char *progress_line(const char *name, const json_t *object, size_t columns);

#endif
