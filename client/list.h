/* Lists: all pages of them, printed. */
#ifndef CLIENT_LIST_H
#define CLIENT_LIST_H

#include "client/ctl.h"

/* All pages of a list, or as many as `limit` in params asks for, in one answer like a page's; its `next` is where a
 * limit cut it off. `params` is borrowed and may be NULL. New reference. */
int list_fetch(struct ctl *c, const char *method, const char *member, const json_t *params, json_t **ret,
	       struct failure *f);
/* Fetches and prints what the command lists. */
int list_run(struct ctl *c, const struct invocation *inv, struct failure *f);

#endif
