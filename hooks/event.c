#include "hooks/hook.h"

#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "hooks/run.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_VERSION 1

const char *hook_phase_name(enum hook_phase phase)
{
	static const char *const names[HOOK_PHASE_COUNT] = {
		[HOOK_PRE] = "pre",
		[HOOK_POST] = "post",
		[HOOK_PERIODIC] = "periodic",
		[HOOK_ERROR] = "error",
	};
	return names[phase];
}

/* Sets a shared reference, or null. Nothing that an event holds is ever changed through it. */
static void put(json_t *o, const char *key, const json_t *value)
{
	json_object_set_new(o, key, value ? json_incref((json_t *)value) : json_null());
}

static const json_t *objects_of(const struct hook_run *run)
{
	struct hook_docs *docs = run->docs;
	if (!docs->objects && run->call.objects)
		docs->objects = run->call.objects(run->call.data);
	if (!docs->objects)
		docs->objects = json_object();
	return docs->objects;
}

static void put_results(json_t *o, const struct hook_event *ev)
{
	const struct hook_call *call = &ev->run->call;
	put(o, "driver_action_results", ev->driver_action_results);
	json_t *result = call->result ? call->result(call->data, ev->driver_action_results) : NULL;
	json_object_set_new(o, "result", result ? result : json_null());
}

static json_t *make_event(const struct hook_event *ev)
{
	const struct hook_run *run = ev->run;
	const struct hook_state *state = &run->states[ev->self - run->set->hooks];
	char now[32];
	text_now(now);
	json_t *o = json_object();
	json_object_set_new(o, "version", json_integer(EVENT_VERSION));
	json_object_set_new(o, "phase", json_string(hook_phase_name(ev->phase)));
	json_object_set_new(o, "func_name", jsonx_string(ev->func_name));
	json_object_set_new(o, "time", json_string(now));
	json_object_set_new(o, "host", jsonx_string(run->set->host));
	put(o, "backend", run->call.backend);
	put(o, "context", run->call.context);
	if (ev->phase == HOOK_PERIODIC) {
		put(o, "periodic_hook_data", ev->periodic_hook_data);
	} else {
		put(o, "args", ev->args);
		put(o, "objects", objects_of(run));
	}
	put(o, "options", ev->self->options);
	if (ev->phase == HOOK_POST || ev->phase == HOOK_ERROR)
		put(o, "pre_hook_data", ev->pre_hook_data);
	if (ev->phase == HOOK_POST) {
		put(o, "pre_hook_error", state->pre_hook_error);
		put_results(o, ev);
	}
	if (ev->phase == HOOK_ERROR)
		put(o, "error", run->docs->error);
	return o;
}

const json_t *hook_event_json(const struct hook_event *ev)
{
	struct hook_docs *docs = ev->run->docs;
	if (docs->given)
		return docs->given;
	if (!docs->event)
		docs->event = make_event(ev);
	return docs->event;
}

const char *hook_event_text(const struct hook_event *ev, size_t *ret_len)
{
	struct hook_docs *docs = ev->run->docs;
	if (!docs->text) {
		docs->text = jsonx_dump(hook_event_json(ev));
		docs->text_len = strlen(docs->text);
	}
	if (ret_len)
		*ret_len = docs->text_len;
	return docs->text;
}

void hook_docs_next(struct hook_docs *docs)
{
	json_decref(docs->event);
	docs->event = NULL;
	free(docs->text);
	docs->text = NULL;
	docs->text_len = 0;
}

void hook_docs_free(struct hook_docs *docs)
{
	if (!docs)
		return;
	hook_docs_next(docs);
	json_decref(docs->objects);
	json_decref(docs->error);
	free(docs);
}
