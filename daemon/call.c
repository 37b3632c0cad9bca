#include "daemon/call.h"

#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/backend.h"
#include "daemon/methods.h"
#include "daemon/work.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *call_phase_name(enum call_phase phase)
{
	static const char *const names[] = { "queued", "check",     "pre_hook", "store", "driver",
					     "work",   "post_hook", "periodic", "done" };

	return names[phase];
}

void requester_copy(struct requester *to, const struct requester *from)
{
	*to = *from;
	to->user = xstrdup(from->user);
	to->groups = from->groups ? json_deep_copy(from->groups) : NULL;
	to->gids = NULL;
	if (from->n_gids) {
		to->gids = xmalloc(from->n_gids * sizeof *to->gids);
		memcpy(to->gids, from->gids, from->n_gids * sizeof *to->gids);
	}
}

/* The last caller's names: most calls come from the same one. Forgotten after a minute, as accounts change. */
static _Thread_local struct {
	struct requester who;
	double until;
} last;

static bool is_last(const struct requester *r)
{
	return last.until > text_monotonic() && last.who.uid == r->uid && last.who.gid == r->gid &&
	       last.who.n_gids == r->n_gids &&
	       (r->n_gids == 0 || memcmp(last.who.gids, r->gids, r->n_gids * sizeof *r->gids) == 0);
}

static void look_up(struct requester *r)
{
	struct passwd pw, *found = NULL;
	struct group gr, *group = NULL;
	char buf[16384];

	getpwuid_r(r->uid, &pw, buf, sizeof buf, &found);
	r->user = found ? xstrdup(found->pw_name) : xasprintf("%u", (unsigned)r->uid);
	r->groups = json_array();
	for (size_t i = 0; i < r->n_gids; i++) {
		char number[16];

		group = NULL;
		getgrgid_r(r->gids[i], &gr, buf, sizeof buf, &group);
		snprintf(number, sizeof number, "%u", (unsigned)r->gids[i]);
		json_array_append_new(r->groups, jsonx_string(group ? group->gr_name : number));
	}
}

void requester_find_names(struct requester *r)
{
	if (!r->known || r->user)
		return;
	if (!is_last(r)) {
		requester_clear(&last.who);
		requester_copy(&last.who, r);
		look_up(&last.who);
		last.until = text_monotonic() + 60;
	}
	r->user = xstrdup(last.who.user);
	r->groups = json_deep_copy(last.who.groups);
}

void requester_clear(struct requester *r)
{
	free(r->user);
	free(r->gids);
	json_decref(r->groups);
	*r = (struct requester){ 0 };
}

void requester_forget_names(void)
{
	requester_clear(&last.who);
	last.until = 0;
}

void requester_forget(void)
{
	requester_clear(&last.who);
	last.until = 0;
}

struct call *call_new(const struct method *method, enum hook_origin origin)
{
	struct call *c = xcalloc(1, sizeof *c);

	text_make_uuid(c->id);
	c->method = method;
	c->origin = origin;
	c->wait = true;
	c->tolerant = origin == HOOK_ORIGIN_START || origin == HOOK_ORIGIN_TIMER;
	c->queued = text_monotonic();
	text_now(c->queued_at);
	atomic_init(&c->phase, CALL_QUEUED);
	return c;
}

void call_free(struct call *c)
{
	if (!c)
		return;
	while (c->twins) {
		struct call *twin = c->twins;

		c->twins = twin->next;
		call_free(twin);
	}
	hook_run_free(c->hooks);
	work_free(c->work);
	requester_clear(&c->who);
	error_clear(&c->err);
	free(c->request_id);
	free(c->object_kind);
	free(c->object_id);
	json_t *values[] = { c->params,
			     c->share,
			     c->instance,
			     c->snapshot,
			     c->snapshot_instance,
			     c->access,
			     c->server,
			     c->source,
			     c->source_instance,
			     c->args,
			     c->intent,
			     c->results,
			     c->extra,
			     c->more,
			     c->events,
			     c->objects,
			     c->answer,
			     c->shown,
			     c->hook_context,
			     c->hook_backend,
			     c->record };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		json_decref(values[i]);
	free(c);
}

/* What the store tells of a call that goes on after a crash is whose it is. */
static bool has_gid(const struct call *c)
{
	return c->who.known && c->who.gid != (gid_t)-1;
}

json_t *call_context_json(const struct call *c)
{
	json_t *j = jsonx_pack("{s:s,s:o,s:o,s:s}", "call_id", c->id, "parent_call_id",
			       jsonx_string(*c->parent ? c->parent : NULL), "request_id", jsonx_string(c->request_id),
			       "origin", hook_origin_name(c->origin));

	json_object_set_new(j, "uid", c->who.known ? json_integer(c->who.uid) : json_null());
	json_object_set_new(j, "user", jsonx_string(c->who.user));
	json_object_set_new(j, "gid", has_gid(c) ? json_integer(c->who.gid) : json_null());
	json_object_set_new(j, "groups", c->who.groups ? json_incref(c->who.groups) : json_array());
	json_object_set_new(j, "pid", c->who.known && c->who.pid ? json_integer(c->who.pid) : json_null());
	return j;
}

json_t *call_shown_json(const struct call *c)
{
	json_t *o = jsonx_pack("{s:s,s:s,s:s,s:s,s:o}", "id", c->id, "method", c->method ? c->method->name : c->what,
			       "origin", hook_origin_name(c->origin), "queued_at", c->queued_at, "request_id",
			       jsonx_string(c->request_id));

	json_object_set_new(o, "parent_call_id", jsonx_string(*c->parent ? c->parent : NULL));
	json_object_set_new(o, "uid", c->who.known ? json_integer(c->who.uid) : json_null());
	json_object_set_new(o, "gid", has_gid(c) ? json_integer(c->who.gid) : json_null());
	json_object_set_new(o, "pid", c->who.known && c->who.pid ? json_integer(c->who.pid) : json_null());
	json_object_set_new(o, "backend",
			    jsonx_string(c->backend ? c->backend->name : jsonx_str(c->params, "backend")));
	return o;
}

void call_announce(struct engine *en, const struct call *c)
{
	struct message *m = message_new(MSG_BEGAN);

	m->shown = c;
	m->json = call_shown_json(c);
	queue_push(en->out, m);
}

void call_end_own(struct engine *en, struct call *c)
{
	struct message *m = message_new(MSG_ENDED);

	m->call = c;
	queue_push(en->out, m);
}

void call_event(struct call *c, const char *type, json_t *object)
{
	if (!c->events)
		c->events = json_array();
	json_array_append_new(c->events,
			      jsonx_pack("{s:s,s:o}", "type", type, "object", object ? object : json_null()));
}

void call_forget_shown(struct call *c)
{
	json_decref(c->shown);
	c->shown = NULL;
}
