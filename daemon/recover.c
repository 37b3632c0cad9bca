#include "daemon/recover.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/call_run.h"
#include "daemon/methods.h"
#include "daemon/record.h"
#include "daemon/resolve.h"
#include "daemon/work.h"

#include <errno.h>
#include <string.h>

int recover_invoke(struct engine *en, struct call *c, const char *slot, struct input *in, json_t **ret, struct error *e)
{
	int r = backend_invoke(en, c->backend, c, slot, in, ret, e);

	while (r == 1) {
		work_wait(c->work);
		r = backend_finish(en, c->backend, c, ret, e);
	}
	return r;
}

static enum hook_origin origin_from_name(const char *name)
{
	for (int o = HOOK_ORIGIN_CLIENT; o <= HOOK_ORIGIN_CALL; o++)
		if (name && strcmp(name, hook_origin_name((enum hook_origin)o)) == 0)
			return (enum hook_origin)o;
	return HOOK_ORIGIN_START;
}

/* The call of an unfinished row, as far as recovery needs it. NULL: no such method any more. */
static struct call *call_from_row(const json_t *row)
{
	const struct method *m = method_find(jsonx_str(row, "method"));
	const char *kind = jsonx_str(row, "object_kind"), *id = jsonx_str(row, "object_id"),
		   *request = jsonx_str(row, "request_id");
	struct call *c;

	if (!m || !m->ops || !m->ops->recover)
		return NULL;
	c = call_new(m, origin_from_name(jsonx_str(row, "origin")));
	snprintf(c->id, sizeof c->id, "%s", jsonx_str(row, "id"));
	snprintf(c->started_at, sizeof c->started_at, "%s", jsonx_str(row, "started_at"));
	snprintf(c->queued_at, sizeof c->queued_at, "%s", jsonx_str(row, "started_at"));
	c->started = text_monotonic();
	c->object_kind = xstrdup(kind);
	c->object_id = xstrdup(id);
	c->request_id = xstrdup(request);
	c->who.known = jsonx_get(row, "uid") != NULL;
	c->who.uid = (uid_t)jsonx_int(row, "uid");
	c->who.gid = (gid_t)-1;
	c->params = jsonx_get(row, "request") ? json_deep_copy(jsonx_get(row, "request")) : json_object();
	c->intent = jsonx_get(row, "intent") ? json_deep_copy(jsonx_get(row, "intent")) : json_object();
	c->seq = jsonx_int(row, "seq");
	c->recovering = true;
	c->committed = true;
	return c;
}

static int write_fate(struct engine *en, struct call *c, int found, const char **ret_fate, struct error *e)
{
	const struct call_ops *ops = c->method->ops;
	int r = 0;

	if (found == 1) {
		*ret_fate = "finished";
		if (!c->results)
			c->results = json_object();
		if (ops->settle && (r = ops->settle(en, c, e)) < 0)
			return r;
		if (ops->answer && (r = ops->answer(en, c, &c->answer, e)) < 0)
			return r;
	} else if (found == 0) {
		*ret_fate = "undone";
		error_set(&c->err, ERR_INTERNAL, EINTR,
			  "the daemon ended while the call was under way, and it was undone");
		c->result = -EINTR;
		if (ops->undo && !c->moot && (r = ops->undo(en, c, e)) < 0)
			return r;
	} else {
		*ret_fate = "error";
		c->result = found;
		if (ops->fail && (r = ops->fail(en, c, &c->err, e)) < 0)
			return r;
	}
	return 0;
}

static int commit_fate(struct engine *en, struct call *c, int found, const char **ret_fate, struct error *e)
{
	int r;

	if ((r = store_begin(en->st, e)) < 0)
		return r;
	if ((r = write_fate(en, c, found, ret_fate, e)) < 0)
		goto failed;
	record_end(c);
	json_object_set_new(c->record, "recovered", json_string(*ret_fate));
	/* Its post hooks, if it had any, do not run any more. */
	c->forgotten = found == 0;
	if ((r = record_write(en, c, found == 1 ? "interrupted" : "done", e)) < 0 ||
	    (r = store_commit(en->st, true, e)) < 0)
		goto failed;
	return 0;
failed:
	store_rollback(en->st);
	return r;
}

/* Is a row that the intent names no longer there? */
static bool is_gone(const struct call *c)
{
	if (jsonx_str(c->intent, "share_server_id"))
		return !c->server;
	return !c->share || !c->instance || (jsonx_str(c->intent, "snapshot_id") && !c->snapshot) ||
	       (jsonx_str(c->intent, "snapshot_instance_id") && !c->snapshot_instance) ||
	       (jsonx_str(c->intent, "access_id") && !c->access);
}

/* 1: nothing is left of it, and it goes on. */
static int recover_call(struct engine *en, struct call *c, const char **ret_fate, struct error *e)
{
	int found;

	found = load_intent(en, c, e);
	if (found < 0)
		return found;
	if (is_gone(c)) {
		/* Somebody took its object away in the meantime: nothing is left to decide. */
		c->moot = true;
		return commit_fate(en, c, 0, ret_fate, e);
	}
	found = c->method->ops->recover(en, c, &c->err);
	/* A backend that went away again, or a full store, is no fate: the next try decides. */
	if (found < 0 && (c->err.kind == ERR_BACKEND_DOWN || c->err.err == ETIMEDOUT)) {
		error_move(e, &c->err);
		return found;
	}
	if (found == 0 && c->method->ops->goes_on) {
		*ret_fate = "resumed";
		return 1;
	}
	return commit_fate(en, c, found, ret_fate, e);
}

static void note(json_t *list, const struct call *c, const char *fate)
{
	json_t *o = jsonx_pack("{s:s,s:s,s:s,s:o,s:o}", "call_id", c->id, "method", c->method->name, "fate", fate,
			       "object_kind", jsonx_string(c->object_kind), "object_id", jsonx_string(c->object_id));

	if (c->result < 0)
		json_object_set_new(o, "reason", jsonx_string(c->err.message));
	json_array_append_new(list, o);
	log_kind(LOG_LEVEL_NOTICE, LOG_KIND_CALL_RECOVERED, "%s of %s %s was cut off: %s", c->method->name,
		 c->object_kind ? c->object_kind : "object", c->object_id ? c->object_id : "", fate);
}

static int recover_row(struct engine *en, struct call *host, const json_t *row, json_t *list, struct error *e)
{
	struct call *c = call_from_row(row);
	const char *fate = NULL;
	int r;

	if (!c)
		return error_set(e, ERR_INTERNAL, EINVAL,
				 "call %s of method %s cannot be recovered by this version: run the one that made it",
				 jsonx_str(row, "id"), jsonx_str(row, "method"));
	c->backend = host->backend;
	c->part_of = host;
	r = recover_call(en, c, &fate, e);
	if (r < 0) {
		call_free(c);
		return r;
	}
	note(list, c, fate);
	if (r == 0) {
		record_send(en, c, true);
		return 0;
	}
	c->part_of = NULL;
	c->recovering = false;
	c->next = en->cut_off;
	en->cut_off = c;
	return 0;
}

static bool holds(const struct call *list, const char *id)
{
	for (const struct call *c = list; c; c = c->next)
		if (strcmp(c->id, id) == 0)
			return true;
	return false;
}

int recover_backend(struct engine *en, struct call *host, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where =
		jsonx_pack("{s:s,s:s,s:n}", "backend", host->backend->name, "state", "intent", "ended_at");
	_cleanup_json_ json_t *list = json_array(), *rows = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_CALLS, &(struct store_query){ .where = where }, &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		if (holds(en->parked, jsonx_str(row, "id")) || holds(en->cut_off, jsonx_str(row, "id")))
			continue;
		if ((r = recover_row(en, host, row, list, e)) < 0)
			return r;
	}
	*ret = take_ptr(list);
	return 0;
}

static void go_on(struct engine *en, struct call *c, bool wanted)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *fate;

	if (load_intent(en, c, &e) == 0 && wanted && !is_gone(c)) {
		call_go_on(en, c);
		return;
	}
	c->moot = true;
	if (e.kind == ERR_NONE && commit_fate(en, c, 0, &fate, &e) == 0) {
		record_send(en, c, true);
		return;
	}
	/* The next init_host has it again. */
	log_warning("%s of %s cannot go on: %s", c->method->name, c->object_id, e.message);
	call_free(c);
}

void recover_step(struct engine *en)
{
	struct call **p = &en->cut_off;

	while (*p) {
		struct call *c = *p;
		bool up = c->backend->status == BACKEND_UP;
		int goes = up ? c->method->ops->goes_on(en, c) : -ENODEV;

		if (goes == 0) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		c->next = NULL;
		/* Of a backend that is away again the next init_host has it again. */
		if (up)
			go_on(en, c, goes > 0);
		else
			call_free(c);
		p = &en->cut_off;
	}
}

int recover_at_once(struct engine *en, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:n}", "state", "intent", "ended_at"), *rows = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_CALLS, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row) {
		const struct method *m = method_find(jsonx_str(row, "method"));
		const char *fate = NULL;
		struct call *c = m && (m->flags & METHOD_UNDONE_AT_ONCE) ? call_from_row(row) : NULL;

		if (!c)
			continue;
		if ((r = recover_call(en, c, &fate, e)) < 0) {
			call_free(c);
			return r;
		}
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_CALL_RECOVERED, "%s of %s %s was cut off: %s", m->name,
			 c->object_kind ? c->object_kind : "object", c->object_id ? c->object_id : "", fate);
		record_send(en, c, true);
	}
	return r;
}
