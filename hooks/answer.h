/* What a hook may answer: the one JSON value of programs, and the keys that a post hook replaces. Any thread. */
#ifndef HOOKS_ANSWER_H
#define HOOKS_ANSWER_H

#include "hooks/hook.h"

/* What a program printed or a server sent: nothing, white space, or one JSON value. `what` names it in the error.
 * `*ret` as hook_answer_take makes it. */
int hook_answer_parse(enum hook_phase phase, const char *what, const char *text, size_t len, size_t max_depth,
		      json_t **ret, struct error *e);
/* What the value means in this phase: pre, any value; post, the object under "driver_action_results"; periodic and
 * error, nothing. `*ret` is a new reference, or stays NULL: nothing. */
int hook_answer_take(enum hook_phase phase, json_t *value, json_t **ret, struct error *e);

/* May a post hook return this? NULL and null are nothing. `check` is asked for each key; NULL: no key may be set. */
int hook_answer_check(const json_t *returned,
		      int (*check)(void *data, const char *key, const json_t *value, struct error *e), void *data,
		      struct error *e);

#endif
