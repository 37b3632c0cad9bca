#include "tests/e2e/harness_model.h"

#include <check.h>
#include <string.h>

enum { WAYS = 3 }; /* of each choice */

const char *const model_phase_names[] = { "pre", "post", "error" };

struct run {
	const struct model_row *row;
	struct model_walk *walk; /* NULL: ret->pre and ret->post are given */
	unsigned pos;
	struct model *m;
	bool asked[MODEL_HOOKS], has_data[MODEL_HOOKS];
	const char *pre_error[MODEL_HOOKS];
};

bool model_walk_next(struct model_walk *w)
{
	while (w->n > 0 && ++w->digits[w->n - 1] == w->sizes[w->n - 1])
		w->digits[--w->n] = 0;
	return w->n > 0;
}

static enum model_does choose(struct run *r, enum model_does *given)
{
	struct model_walk *w = r->walk;

	if (!w)
		return *given;
	if (r->pos == w->n) {
		w->digits[w->n] = 0;
		w->sizes[w->n++] = WAYS;
	}
	*given = (enum model_does)w->digits[r->pos++];
	return *given;
}

static void tell(struct run *r, size_t hook, enum model_phase phase, const char *outcome)
{
	struct model *m = r->m;

	if (m->n_events >= MODEL_EVENTS)
		ck_abort_msg("a way of more than %d events", MODEL_EVENTS);
	m->events[m->n_events] = (struct model_event){ .hook = hook,
						       .phase = phase,
						       .has_data = phase != MODEL_PRE && r->has_data[hook],
						       .pre_error = phase == MODEL_POST ? r->pre_error[hook] : NULL,
						       .changes = m->changes };
	m->outcomes[m->n_events++] = outcome;
}

/* Those that were asked before, and those that are not asked before. */
static void tell_errors(struct run *r)
{
	for (size_t i = r->row->n; i-- > 0;)
		if (r->row->hooks[i].runs[MODEL_ERROR] && (r->asked[i] || !r->row->hooks[i].runs[MODEL_PRE]))
			tell(r, i, MODEL_ERROR, "ok");
}

static bool end(struct run *r, enum model_end how, size_t by)
{
	r->m->end = how;
	r->m->ended_by = by;
	tell_errors(r);
	return false;
}

static bool pre(struct run *r, size_t i)
{
	enum model_does does;

	if (!r->row->hooks[i].runs[MODEL_PRE])
		return true;
	r->asked[i] = true;
	does = choose(r, &r->m->pre[i]);
	if (does == DOES_OK) {
		tell(r, i, MODEL_PRE, "ok");
		r->has_data[i] = true;
		return true;
	}
	if (does == DOES_FAIL && r->row->hooks[i].suppressed[MODEL_PRE])
		tell(r, i, MODEL_PRE, "suppressed");
	else if (r->row->tolerant)
		tell(r, i, MODEL_PRE, "tolerated");
	else
		tell(r, i, MODEL_PRE, does == DOES_VETO ? "vetoed" : "failed");
	r->pre_error[i] = does == DOES_VETO ? "vetoed" : "pre_hook_failed";
	if (r->row->tolerant || (does == DOES_FAIL && r->row->hooks[i].suppressed[MODEL_PRE]))
		return true;
	return end(r, does == DOES_VETO ? END_VETOED : END_PRE_FAILED, i);
}

static bool post(struct run *r, size_t i)
{
	enum model_does does;
	bool suppressed = r->row->hooks[i].suppressed[MODEL_POST];

	if (!r->row->hooks[i].runs[MODEL_POST])
		return true;
	does = choose(r, &r->m->post[i]);
	tell(r, i, MODEL_POST, does != DOES_FAIL ? "ok" : suppressed ? "suppressed" : "failed");
	if (does == DOES_CHANGE)
		r->m->changes |= 1U << i;
	return does != DOES_FAIL || suppressed ? true : end(r, END_POST_FAILED, i);
}

static void run(struct run *r)
{
	size_t n = r->row->skip_hooks ? 0 : r->row->n;

	for (size_t i = 0; i < n; i++)
		if (!pre(r, i))
			return;
	if (r->row->driver_fails) {
		r->m->end = END_DRIVER_FAILED;
		if (!r->row->skip_hooks)
			tell_errors(r);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!post(r, i))
			return;
}

void model_run(const struct model_row *row, struct model_walk *w, struct model *ret)
{
	struct run r = { .row = row, .walk = w, .m = ret };

	memset(ret, 0, sizeof *ret);
	run(&r);
}

void model_run_as(const struct model_row *row, const enum model_does pre_does[MODEL_HOOKS],
		  const enum model_does post_does[MODEL_HOOKS], struct model *ret)
{
	struct run r = { .row = row, .m = ret };

	memset(ret, 0, sizeof *ret);
	memcpy(ret->pre, pre_does, sizeof ret->pre);
	memcpy(ret->post, post_does, sizeof ret->post);
	run(&r);
}
