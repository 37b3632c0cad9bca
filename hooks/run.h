/* One call's way through the hooks: what the runner and the events it hands out share. Call thread only. */
#ifndef HOOKS_RUN_H
#define HOOKS_RUN_H

#include "hooks/set.h"

struct hook_state {
	json_t *pre_hook_data;  /* NULL: nothing returned, or not called */
	json_t *pre_hook_error; /* NULL unless its pre hook failed and the call went on */
};

/* What is made on first use. Behind a pointer, for events see their run as const. */
struct hook_docs {
	const json_t *given; /* test_hook: the event as it came */
	json_t *objects;     /* once per run */
	json_t *error;       /* phase error: the cause */
	json_t *event;       /* of the hook that is being called */
	char *text;
	size_t text_len;
};

struct hook_run {
	struct hook_set *set; /* NULL: no hooks */
	struct hook_call call;
	size_t reached; /* hooks that the pre phase got to, the one that ended it included */
	struct hook_state *states;
	json_t *outcomes;
	struct hook_docs *docs;
};

/* Forgets the event of the hook that was called last. */
void hook_docs_next(struct hook_docs *docs);
void hook_docs_free(struct hook_docs *docs);

/* One hook's answer to one event. */
struct hook_reply {
	int result;       /* 0, or negative: err */
	bool left_out;    /* it was not asked: its breaker is open */
	json_t *returned; /* NULL: nothing */
	double seconds;
	struct error err;
};
void hook_reply_clear(struct hook_reply *r);
#define _cleanup_hook_reply_ __attribute__((__cleanup__(hook_reply_clear)))

/* Calls the hook, whatever switches and filters say; the log's hook context is the caller's to set. */
void hook_execute(const struct hook_event *ev, struct hook_reply *ret);
/* Names the hook and the moment in what went wrong. A veto keeps the hook's own words: they are meant for the caller.
 */
void hook_blame(const struct hook_event *ev, struct error *e);

#endif
