/* test_hook: one hook on an event as the admin wrote it. Switches, filters and on_error have no say: what is shown is
 * what the hook itself answers. */
#include "hooks/runner.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/text.h"
#include "hooks/answer.h"
#include "hooks/run.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Modules make file names of it. */
static bool is_method_name(const char *s)
{
	return s && *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int read_event(const json_t *event, struct hook_event *ret, struct error *e)
{
	const char *phase = jsonx_str(event, "phase"), *func_name = jsonx_str(event, "func_name");
	int p = 0;
	while (p < HOOK_PHASE_COUNT && (!phase || strcmp(phase, hook_phase_name((enum hook_phase)p)) != 0))
		p++;
	if (p == HOOK_PHASE_COUNT)
		return error_param(e, "event", "event: \"phase\" must be \"pre\", \"post\", \"periodic\" or \"error\"");
	if (p == HOOK_PERIODIC)
		func_name = NULL;
	else if (!is_method_name(func_name))
		return error_param(e, "event", "event: \"func_name\" must be a method's name in phase %s", phase);
	if (json_object_get(event, "id"))
		return error_param(e, "event", "event: an event has no member \"id\"");
	*ret = (struct hook_event){ .phase = (enum hook_phase)p,
				    .func_name = func_name,
				    .call_id = jsonx_str(jsonx_get(event, "context"), "call_id"),
				    .args = jsonx_get(event, "args"),
				    .pre_hook_data = jsonx_get(event, "pre_hook_data"),
				    .driver_action_results = jsonx_get(event, "driver_action_results"),
				    .periodic_hook_data = jsonx_get(event, "periodic_hook_data") };
	return 0;
}

static json_t *report(const struct hook_event *ev, const struct hook_reply *reply, bool wanted)
{
	json_t *o = json_object();
	json_object_set_new(o, "accepted", json_boolean(reply->result >= 0));
	json_object_set_new(o, "wanted", json_boolean(wanted));
	json_object_set_new(o, "phase", json_string(hook_phase_name(ev->phase)));
	json_object_set_new(o, "returned", reply->returned ? json_incref(reply->returned) : json_null());
	json_object_set_new(o, "duration_ms", json_integer(llround(reply->seconds * 1000)));
	if (reply->result < 0)
		json_object_set_new(o, "error", error_to_json(&reply->err));
	return o;
}

static json_t *try_hook(struct hook_event *ev,
			int (*check)(void *data, const char *key, const json_t *value, struct error *e), void *data)
{
	const struct hook_instance *h = ev->self;
	_cleanup_hook_reply_ struct hook_reply reply = { 0 };
	bool wanted = hook_module_wants(h, ev->phase, ev->func_name);
	if (wanted)
		hook_execute(ev, &reply);
	if (reply.result >= 0 && ev->phase == HOOK_POST && check)
		reply.result = hook_answer_check(reply.returned, check, data, &reply.err);
	if (reply.result < 0)
		hook_blame(ev, &reply.err);
	return report(ev, &reply, wanted);
}

int hook_set_test(struct hook_set *set, const char *hook, const json_t *event,
		  int (*check)(void *data, const char *key, const json_t *value, struct error *e), void *data,
		  json_t **ret, struct error *e)
{
	struct hook_event ev = { 0 };
	struct hook_instance *h;
	int r = hook_set_find(set, hook, &h, e);
	if (r < 0)
		return r;
	r = read_event(event, &ev, e);
	if (r < 0)
		return r;
	struct hook_docs docs = { .given = event };
	struct hook_run run = { .set = set, .docs = &docs };
	ev.run = &run;
	ev.self = h;
	log_context(LOG_HOOK, h->name);
	*ret = try_hook(&ev, check, data);
	log_context(LOG_HOOK, NULL);
	hook_docs_next(&docs);
	return 0;
}
