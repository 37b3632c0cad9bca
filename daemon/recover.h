/* After a crash: every half-done call of a backend gets a decided fate, in its init_host. Call thread. */
#ifndef DAEMON_RECOVER_H
#define DAEMON_RECOVER_H

#include "daemon/backend.h"

/* All of the backend's whose init_host `host` is, oldest first: `*ret`:
 * [{"call_id","object_kind","object_id","method","fate","reason"?}], fate "finished",
 * "resumed", "undone" or "error". New
 * reference. */
int recover_backend(struct engine *en, struct call *host, json_t **ret, struct error *e);
/* At the start, before any backend is there: what the store alone can undo (METHOD_UNDONE_AT_ONCE). */
int recover_at_once(struct engine *en, struct error *e);
/* What recover_backend found that goes on (call_ops.goes_on), and has all it needs now. */
void recover_step(struct engine *en);
/* A driver call inside recovery, where long work is waited for. `in` is taken. 0 or negative. */
int recover_invoke(struct engine *en, struct call *c, const char *slot, struct input *in, json_t **ret,
		   struct error *e);

#endif
