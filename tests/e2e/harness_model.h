/* What the hook runner must do, said a second time and independently: the table of situations in sharesd-hooks(7) as
 * one small function. Tests compare the daemon with it. */
#ifndef TESTS_E2E_HARNESS_MODEL_H
#define TESTS_E2E_HARNESS_MODEL_H

#include <stdbool.h>
#include <stddef.h>

enum { MODEL_HOOKS = 3, MODEL_EVENTS = 3 * MODEL_HOOKS, MODEL_CHOICES = 2 * MODEL_HOOKS };

enum model_phase { MODEL_PRE, MODEL_POST, MODEL_ERROR, MODEL_PHASES };
extern const char *const model_phase_names[MODEL_PHASES];

/* What a hook does when it is asked: in phase pre one of OK, FAIL, VETO, in phase post one of OK, CHANGE, FAIL. */
enum model_does { DOES_OK, DOES_FAIL, DOES_VETO, DOES_CHANGE = DOES_VETO };

struct model_row {
	size_t n;
	struct {
		bool runs[MODEL_PHASES];
		bool suppressed[MODEL_ERROR];
	} hooks[MODEL_HOOKS];
	bool tolerant; /* nobody asked: origin start or timer, or called by such */
	bool driver_fails;
	bool skip_hooks;
};

/* All the ways that one row can go: a tree whose branches are what hooks do, and only where they are asked. Zeroed, it
 * is the first way. */
struct model_walk {
	unsigned digits[MODEL_CHOICES], sizes[MODEL_CHOICES], n;
};
/* The next way; false after the last. Only after a model_run. */
bool model_walk_next(struct model_walk *w);

struct model_event {
	size_t hook;
	enum model_phase phase;
	bool has_data;         /* pre_hook_data is what its own pre hook gave */
	const char *pre_error; /* post: kind of pre_hook_error, or NULL */
	unsigned changes;      /* post: bit i: what hook i set is in driver_action_results */
};

enum model_end { END_OK, END_VETOED, END_PRE_FAILED, END_DRIVER_FAILED, END_POST_FAILED };

struct model {
	struct model_event events[MODEL_EVENTS];
	/* As the record shows them, one each. */
	const char *outcomes[MODEL_EVENTS];
	size_t n_events;
	enum model_end end;
	size_t ended_by; /* a hook, where one ended it */
	unsigned changes;
	enum model_does pre[MODEL_HOOKS], post[MODEL_HOOKS]; /* what was chosen; DOES_OK where nobody asked */
};

/* One way, as `w` says; extends `w` by the choices that it has not made yet. */
void model_run(const struct model_row *row, struct model_walk *w, struct model *ret);
/* The same with what hooks do given. */
void model_run_as(const struct model_row *row, const enum model_does pre[MODEL_HOOKS],
		  const enum model_does post[MODEL_HOOKS], struct model *ret);

#endif
