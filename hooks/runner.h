/* The runner: the hooks of one backend around one call, every row of the manual's tables on hooks. It knows neither
 * drivers nor the store: what it needs of the call comes in `struct hook_call`. Call thread only. */
#ifndef HOOKS_RUNNER_H
#define HOOKS_RUNNER_H

#include "conf/conf.h"
#include "hooks/hook.h"

struct hook_set; /* the hooks of one backend, in the order of hook_drivers */

struct hook_set_setup {
	struct conf *conf;
	const struct conf_section *backend;
	const char *host;
	const char *socket;
	size_t max_depth;
};
/* Makes every hook of the backend. An entry that cannot be made (no such module, shared object, symbol; wrong ABI)
 * fails the whole set: ERR_INVALID_PARAMS with the entry named. A program that is missing is no fault here: each run
 * looks. */
int hook_set_new(const struct hook_set_setup *setup, struct hook_set **ret, struct error *e);
void hook_set_free(struct hook_set *set); /* NULL is fine */
size_t hook_set_size(const struct hook_set *set);
/* [{"backend","name","entry","module","phases":[..],"enabled":{"pre":bool,..},"methods":[..],"on_error","timeout", +
 * describe, "state","timeouts_in_row","left_out_until"}]: new reference. */
json_t *hook_set_describe(struct hook_set *set);
/* Can what hook_set_describe says of a hook become another with time? */
bool hook_set_changes(const struct hook_set *set);
/* Is there a hook that would be called? Lets the caller skip making what only hooks see. */
bool hook_set_wants(struct hook_set *set, enum hook_phase phase, const char *func_name);
/* Does any hook with this phase enabled exist (whatever the method)? */
bool hook_set_has_phase(const struct hook_set *set, enum hook_phase phase);

enum hook_origin { HOOK_ORIGIN_CLIENT, HOOK_ORIGIN_START, HOOK_ORIGIN_TIMER, HOOK_ORIGIN_CALL };
const char *hook_origin_name(enum hook_origin origin);

/* What the caller knows of the call. All borrowed; must outlive the run. */
struct hook_call {
	const char *func_name;
	const char *call_id;
	/* A failing or vetoing pre hook only warns: origins start and timer, and calls made by such. */
	bool tolerant;
	const json_t *context; /* the event's "context" */
	const json_t *backend; /* {"name","driver","capabilities"} */
	json_t *args;          /* NULL in periodic */
	/* Makes `objects` on first use: new reference. May be NULL. */
	json_t *(*objects)(void *data);
	/* Makes `result`, the object as it would be answered now with these results: new reference. May be NULL. */
	json_t *(*result)(void *data, const json_t *driver_action_results);
	/* May a post hook set this key, and is the value well-formed? 0, or negative with `e` saying why not. */
	int (*check)(void *data, const char *key, const json_t *value, struct error *e);
	void *data;
};

struct hook_run; /* one call's way through the hooks; keeps each hook's pre_hook_data between the phases */

/* `set` may be NULL (no hooks). Never fails. The set must outlive the run. */
struct hook_run *hook_run_new(struct hook_set *set, const struct hook_call *call);
void hook_run_free(struct hook_run *run);

/* All pre hooks in order. ERR_VETOED or ERR_PRE_HOOK_FAILED (data: hook, phase "pre_hook", stderr) ends the call. */
int hook_run_pre(struct hook_run *run, struct error *e);
/* All post hooks in order on `results` (an object, changed in place by what they return). `*ret_changed`: the keys that
 * were replaced, as an object of their last values (NULL when none): new reference, also set on failure.
 * ERR_POST_HOOK_FAILED ends the phase. */
int hook_run_post(struct hook_run *run, json_t *results, json_t **ret_changed, struct error *e);
/* In reverse order, all but those whose pre hook was not reached because one before it ended the phase. */
void hook_run_error(struct hook_run *run, const struct error *cause);
/* Periodic: all, whatever happens to one. `data`: array; call->args is not used. */
void hook_run_periodic(struct hook_run *run, json_t *data);

/* Is everything there that the enabled hooks point at? -errno with the first that is not. */
int hook_set_check(struct hook_set *set, struct error *e);

/* What get_config_option finds for the hook, as its events have it: borrowed. -ENOENT: no such hook. */
int hook_set_options(struct hook_set *set, const char *hook, const json_t **ret, struct error *e);

/* Calls it again, where it was left out since it did not answer in time. -ENOENT: the backend has no such hook. */
int hook_set_enable(struct hook_set *set, const char *hook, struct error *e);

/* What happened so far: [{"hook","phase","outcome","duration_ms","error"?,"timed_out"?,"left_out"?}], outcome one of
 * "ok", "failed", "suppressed", "vetoed", "tolerated". Borrowed. */
json_t *hook_run_outcomes(const struct hook_run *run);

/* test_hook: one hook by name or entry, on an event as given (whole, with "phase" and "func_name"). Changes nothing.
 * {"accepted":bool,"returned":any,"duration_ms":N,"error"?:{..}}: new reference. `allowed` (may be NULL) checks post
 * keys. -ENOENT: the backend has no such hook. */
int hook_set_test(struct hook_set *set, const char *hook, const json_t *event,
		  int (*check)(void *data, const char *key, const json_t *value, struct error *e), void *data,
		  json_t **ret, struct error *e);

#endif
