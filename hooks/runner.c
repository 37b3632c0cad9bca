#include "hooks/runner.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "hooks/answer.h"
#include "hooks/run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hook_run *hook_run_new(struct hook_set *set, const struct hook_call *call)
{
	struct hook_run *run = xcalloc(1, sizeof(*run));
	run->set = set;
	run->call = *call;
	/* A caller that has asked hook_set_wants may leave out the pre phase: then all count as reached. */
	run->reached = hook_set_size(set);
	run->states = xcalloc(run->reached + 1, sizeof(*run->states));
	run->outcomes = json_array();
	run->docs = xcalloc(1, sizeof(*run->docs));
	return run;
}

void hook_run_free(struct hook_run *run)
{
	if (!run)
		return;
	for (size_t i = 0; i < hook_set_size(run->set); i++) {
		json_decref(run->states[i].pre_hook_data);
		json_decref(run->states[i].pre_hook_error);
	}
	free(run->states);
	json_decref(run->outcomes);
	hook_docs_free(run->docs);
	free(run);
}

json_t *hook_run_outcomes(const struct hook_run *run)
{
	return run->outcomes;
}

void hook_reply_clear(struct hook_reply *r)
{
	json_decref(r->returned);
	error_clear(&r->err);
}

static int dispatch(const struct hook_instance *h, const struct hook_event *ev, json_t **ret, struct error *e)
{
	switch (ev->phase) {
	case HOOK_PRE:
		return h->ops->execute_pre_hook(h->hook, ev, ret, e);
	case HOOK_POST:
		return h->ops->execute_post_hook(h->hook, ev, ret, e);
	case HOOK_PERIODIC:
		return h->ops->execute_periodic_hook(h->hook, ev, e);
	case HOOK_ERROR:
		return h->ops->execute_error_hook(h->hook, ev, e);
	case HOOK_PHASE_COUNT:
		break;
	}
	return error_set(e, ERR_INTERNAL, EINVAL, "there is no phase %d", (int)ev->phase);
}

void hook_execute(const struct hook_event *ev, struct hook_reply *ret)
{
	struct hook_docs *docs = ev->run->docs;
	double start = text_monotonic();
	ret->result = dispatch(ev->self, ev, &ret->returned, &ret->err);
	ret->seconds = text_monotonic() - start;
	hook_docs_next(docs);
	if (ret->result < 0) {
		json_decref(ret->returned);
		ret->returned = NULL;
		if (!ret->err.message)
			error_set(&ret->err, ERR_INTERNAL, -ret->result, "it failed without saying why");
	}
}

/* Unless its breaker is open: then it has failed without having been asked. */
static void ask(struct hook_run *run, const struct hook_event *ev, struct hook_reply *ret)
{
	struct breaker *b = &run->set->hooks[ev->self - run->set->hooks].breaker;
	bool was_open = b->open;
	ret->result = breaker_admit(b, &ret->err);
	ret->left_out = ret->result < 0;
	if (ret->left_out)
		return;
	hook_execute(ev, ret);
	bool answered = ret->result >= 0 || ret->err.kind == ERR_VETOED;
	if (breaker_note(b, ret->result < 0 && ret->err.err == ETIMEDOUT, answered))
		log_kind(LOG_LEVEL_WARNING, LOG_KIND_HOOK_LEFT_OUT,
			 "hook \"%s\" did not answer in time %u times in a row and is left out for %g s: where its "
			 "failures "
			 "are not suppressed calls fail at once; sharesctl hook enable ends that",
			 ev->self->name, b->timeouts, b->pause);
	else if (was_open && answered)
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_HOOK_BACK, "hook \"%s\" answers again", ev->self->name);
}

static struct hook_event event_for(const struct hook_run *run, size_t i, enum hook_phase phase)
{
	bool periodic = phase == HOOK_PERIODIC;
	return (struct hook_event){ .phase = phase,
				    .func_name = periodic ? NULL : run->call.func_name,
				    .call_id = run->call.call_id,
				    .args = periodic ? NULL : run->call.args,
				    .pre_hook_data = run->states[i].pre_hook_data,
				    .run = run,
				    .self = &run->set->hooks[i] };
}

void hook_blame(const struct hook_event *ev, struct error *e)
{
	const char *name = ev->self->name, *func_name = ev->func_name;
	if (ev->phase == HOOK_PRE && e->kind == ERR_VETOED) {
		error_add(e, "hook", jsonx_string(name));
		error_add(e, "phase", json_string("pre_hook"));
		return;
	}
	if (e->kind == ERR_VETOED)
		error_prefix(e, "only a pre hook may veto");
	switch (ev->phase) {
	case HOOK_PRE:
		error_prefix(e, "hook \"%s\" failed before %s", name, func_name);
		break;
	case HOOK_POST:
		error_prefix(e, "hook \"%s\" failed after %s", name, func_name);
		break;
	case HOOK_PERIODIC:
		error_prefix(e, "hook \"%s\" failed in its periodic run", name);
		break;
	case HOOK_ERROR:
		error_prefix(e, "hook \"%s\" failed when told of the failed %s", name, func_name);
		break;
	case HOOK_PHASE_COUNT:
		break;
	}
	e->kind = ev->phase == HOOK_PRE ? ERR_PRE_HOOK_FAILED : ERR_POST_HOOK_FAILED;
	error_add(e, "hook", jsonx_string(name));
	if (ev->phase == HOOK_PRE || ev->phase == HOOK_POST)
		error_add(e, "phase", json_string(ev->phase == HOOK_PRE ? "pre_hook" : "post_hook"));
}

static void record(struct hook_run *run, const struct hook_event *ev, const struct hook_reply *reply,
		   const char *outcome)
{
	json_t *o = json_object();
	json_object_set_new(o, "hook", jsonx_string(ev->self->name));
	json_object_set_new(o, "phase", json_string(hook_phase_name(ev->phase)));
	json_object_set_new(o, "outcome", json_string(outcome));
	json_object_set_new(o, "duration_ms", json_integer(llround(reply->seconds * 1000)));
	if (reply->result < 0) {
		json_object_set_new(o, "error", jsonx_string(reply->err.message));
		if (reply->err.err == ETIMEDOUT)
			json_object_set_new(o, "timed_out", json_true());
		if (reply->left_out)
			json_object_set_new(o, "left_out", json_true());
	}
	json_array_append_new(run->outcomes, o);
}

static int pre_one(struct hook_run *run, size_t i, struct error *e)
{
	struct hook_state *state = &run->states[i];
	struct hook_event ev = event_for(run, i, HOOK_PRE);
	if (!hook_instance_wants(ev.self, HOOK_PRE, ev.func_name))
		return 0;
	_cleanup_hook_reply_ struct hook_reply reply = { 0 };
	ask(run, &ev, &reply);
	if (reply.result >= 0) {
		state->pre_hook_data = take_ptr(reply.returned);
		record(run, &ev, &reply, "ok");
		return 0;
	}
	bool veto = reply.err.kind == ERR_VETOED;
	bool suppressed = !veto && ev.self->suppressed[HOOK_PRE];
	hook_blame(&ev, &reply.err);
	if (suppressed || run->call.tolerant) {
		record(run, &ev, &reply, suppressed ? "suppressed" : "tolerated");
		log_kind(LOG_LEVEL_WARNING, veto ? LOG_KIND_HOOK_VETOED : LOG_KIND_HOOK_FAILED,
			 "%s%s; %s, so %s goes on", veto ? "veto: " : "", reply.err.message,
			 suppressed ? "errors of this hook are suppressed" : "no client asked for this call",
			 ev.func_name);
		state->pre_hook_error = error_to_json(&reply.err);
		return 0;
	}
	record(run, &ev, &reply, veto ? "vetoed" : "failed");
	log_kind(veto ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, veto ? LOG_KIND_HOOK_VETOED : LOG_KIND_HOOK_FAILED,
		 "%s%s", veto ? "veto: " : "", reply.err.message);
	error_move(e, &reply.err);
	return reply.result;
}

int hook_run_pre(struct hook_run *run, struct error *e)
{
	int r = 0;
	size_t i = 0;
	for (; i < hook_set_size(run->set) && r >= 0; i++) {
		log_context(LOG_HOOK, run->set->hooks[i].name);
		r = pre_one(run, i, e);
		log_context(LOG_HOOK, NULL);
	}
	run->reached = i;
	return r;
}

/* Copies: the hook may have kept what it returned. */
static void apply(const json_t *returned, json_t *results, json_t **changed)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)returned, key, value) {
		if (!*changed)
			*changed = json_object();
		json_object_set_new(results, key, json_deep_copy(value));
		json_object_set_new(*changed, key, json_deep_copy(value));
	}
}

static int post_one(struct hook_run *run, size_t i, json_t *results, json_t **changed, struct error *e)
{
	struct hook_event ev = event_for(run, i, HOOK_POST);
	if (!hook_instance_wants(ev.self, HOOK_POST, ev.func_name))
		return 0;
	/* A hook in this process could reach the caller's object through the members of a shared one. */
	_cleanup_json_ json_t *copy = json_deep_copy(results);
	ev.driver_action_results = copy;
	_cleanup_hook_reply_ struct hook_reply reply = { 0 };
	ask(run, &ev, &reply);
	if (reply.result >= 0)
		reply.result = hook_answer_check(reply.returned, run->call.check, run->call.data, &reply.err);
	if (reply.result >= 0) {
		if (json_is_object(reply.returned))
			apply(reply.returned, results, changed);
		record(run, &ev, &reply, "ok");
		return 0;
	}
	hook_blame(&ev, &reply.err);
	bool suppressed = ev.self->suppressed[HOOK_POST];
	record(run, &ev, &reply, suppressed ? "suppressed" : "failed");
	log_kind(LOG_LEVEL_WARNING, LOG_KIND_HOOK_FAILED, "%s%s", reply.err.message,
		 suppressed ? "; errors of this hook are suppressed, so the results stay as they were before it" : "");
	if (suppressed)
		return 0;
	error_move(e, &reply.err);
	return reply.result;
}

int hook_run_post(struct hook_run *run, json_t *results, json_t **ret_changed, struct error *e)
{
	int r = 0;
	*ret_changed = NULL;
	for (size_t i = 0; i < hook_set_size(run->set) && r >= 0; i++) {
		log_context(LOG_HOOK, run->set->hooks[i].name);
		r = post_one(run, i, results, ret_changed, e);
		log_context(LOG_HOOK, NULL);
	}
	return r;
}

/* Periodic and error: whatever happens, it is a warning. */
static void tell(struct hook_run *run, const struct hook_event *ev)
{
	if (!hook_instance_wants(ev->self, ev->phase, ev->func_name))
		return;
	_cleanup_hook_reply_ struct hook_reply reply = { 0 };
	ask(run, ev, &reply);
	if (reply.result < 0) {
		hook_blame(ev, &reply.err);
		log_kind(LOG_LEVEL_WARNING, LOG_KIND_HOOK_FAILED, "%s", reply.err.message);
	}
	record(run, ev, &reply, reply.result < 0 ? "failed" : "ok");
}

void hook_run_error(struct hook_run *run, const struct error *cause)
{
	if (!hook_set_has_phase(run->set, HOOK_ERROR))
		return;
	json_decref(run->docs->error);
	run->docs->error = error_to_json(cause);
	for (size_t i = hook_set_size(run->set); i-- > 0;) {
		struct hook_event ev = event_for(run, i, HOOK_ERROR);
		log_context(LOG_HOOK, ev.self->name);
		/* One behind the end of the pre phase is told only if it would not have been asked there. */
		if (i < run->reached || !hook_instance_wants(ev.self, HOOK_PRE, ev.func_name))
			tell(run, &ev);
		log_context(LOG_HOOK, NULL);
	}
}

void hook_run_periodic(struct hook_run *run, json_t *data)
{
	for (size_t i = 0; i < hook_set_size(run->set); i++) {
		struct hook_event ev = event_for(run, i, HOOK_PERIODIC);
		ev.periodic_hook_data = data;
		log_context(LOG_HOOK, ev.self->name);
		tell(run, &ev);
		log_context(LOG_HOOK, NULL);
	}
}
