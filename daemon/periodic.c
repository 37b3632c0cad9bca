#include "daemon/periodic.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/backend.h"
#include "daemon/objects.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>

/* ---- the list that periodic hooks get ---- */

static int rules_json(struct engine *en, const char *share_id, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL, *list = json_array();
	json_t *row, *rule;
	size_t i;
	int r = object_rules(en->st, share_id, &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		if ((r = object_access(en->st, row, &rule, e)) < 0)
			return r;
		json_array_append_new(list, rule);
	}
	*ret = take_ptr(list);
	return 0;
}

static int add_share(struct engine *en, const json_t *instance, struct input *in, json_t *list, struct error *e)
{
	_cleanup_json_ json_t *row = NULL, *share = NULL;
	json_t *rules = NULL;
	int r;

	if ((r = object_find_share(en->st, jsonx_str(instance, "share_id"), "share", &row, e)) < 0 ||
	    (r = object_share(en->st, row, &share, e)) < 0 || (r = rules_json(en, jsonx_str(row, "id"), &rules, e)) < 0)
		return r;
	json_object_set_new(share, "access_rules", rules);
	/* For what the driver adds, by instance. */
	json_object_set(share, "instance_id", json_object_get(instance, "id"));
	json_array_append(list, share);
	return add_share_to(en, in, row, instance, e);
}

/* What the driver adds stands beside what the daemon knows, and replaces none of it. */
static void merge_added(json_t *list, const json_t *added)
{
	size_t i;
	json_t *share, *more, *v;
	const char *key;

	json_array_foreach(list, i, share) {
		more = json_object_get(added, jsonx_str(share, "instance_id"));
		json_object_foreach(more, key, v)
			if (!json_object_get(share, key))
				json_object_set(share, key, v);
	}
}

static int make_data(struct engine *en, struct backend *b, struct call *c, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "backend", b->name), *rows = NULL, *values = NULL,
			      *list = json_array();
	struct input *in = input_new(c->id, NULL);
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = add_share(en, row, in, list, e);
	if (r < 0) {
		input_free(in);
		return r;
	}
	if (backend_has_slot(b, "get_periodic_hook_data") && b->status == BACKEND_UP) {
		r = backend_invoke(en, b, c, "get_periodic_hook_data", in, &values, e);
		if (r != 0)
			return r < 0 ? r
				     : error_set(e, ERR_INTERNAL, EINVAL,
						 "get_periodic_hook_data answered with long work");
		merge_added(list, json_object_get(values, "shares"));
	} else {
		input_free(in);
	}
	*ret = take_ptr(list);
	return 0;
}

static json_t *run_hooks(struct backend *b, struct call *c, json_t *data)
{
	_cleanup_json_ json_t *context = call_context_json(c), *about = backend_event_json(b);
	struct hook_call hc = { .call_id = c->id, .tolerant = true, .context = context, .backend = about };
	struct hook_run *run = hook_run_new(b->hooks, &hc);
	json_t *outcomes;

	atomic_store_explicit(&c->phase, CALL_PERIODIC, memory_order_release);
	hook_run_periodic(run, data);
	outcomes = json_deep_copy(hook_run_outcomes(run));
	hook_run_free(run);
	return outcomes;
}

/* What no method stands for is shown all the same while it goes on. */
static struct call *own_call(struct backend *b, const char *what)
{
	struct call *c = call_new(NULL, HOOK_ORIGIN_TIMER);

	c->what = what;
	c->backend = b;
	c->started = text_monotonic();
	text_now(c->started_at);
	atomic_store_explicit(&c->phase, CALL_CHECK, memory_order_release);
	return c;
}

void periodic_run(struct engine *en, const char *name)
{
	struct backend *b = backend_find(en, name);
	struct message *m = message_new(MSG_TICKED);
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *data = NULL;

	m->name = xstrdup(name);
	if (b && b->hooks && hook_set_wants(b->hooks, HOOK_PERIODIC, NULL)) {
		struct call *c = own_call(b, "periodic_hooks");

		call_announce(en, c);
		log_context_clear();
		log_context(LOG_CALL, c->id);
		log_context(LOG_BACKEND, name);
		if (make_data(en, b, c, &data, &e) < 0)
			log_warning("the periodic hooks are left out this time: %s", e.message);
		else
			m->json = run_hooks(b, c, data);
		backend_show_hooks(en, b);
		call_end_own(en, c);
		log_context_clear();
	}
	queue_push(en->out, m);
}

/* ---- usage ---- */

static void usage_next(struct engine *en, struct backend *b);

static void store_usage(struct engine *en, const struct call *c, uint64_t bytes)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	json_t *fields = jsonx_pack("{s:I,s:o}", "used_bytes", (json_int_t)bytes, "used_at", now_json());
	int r = store_begin(en->st, &e);

	if (r < 0) {
		json_decref(fields);
	} else {
		r = set_instance(en, c, fields, &e);
		/* The share may have gone in the meantime. */
		if (r < 0 || store_commit(en->st, false, &e) < 0)
			store_rollback(en->st);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("what a share uses could not be stored: %s", e.message ? e.message : strerror(-r));
}

static void measured(struct engine *en, struct call *c)
{
	json_t *bytes = jsonx_get(c->results, "used_bytes");

	if (bytes)
		store_usage(en, c, (uint64_t)json_integer_value(bytes));
	usage_next(en, c->backend);
}

static struct call *usage_call(struct engine *en, struct backend *b, const char *instance_id)
{
	struct call *c = own_call(b, "measure_usage");
	int r;

	c->after = measured;
	r = store_get(en->st, STORE_INSTANCES, "id", instance_id, &c->instance, NULL);
	if (r == 0)
		r = store_get(en->st, STORE_SHARES, "id", jsonx_str(c->instance, "share_id"), &c->share, NULL);
	if (r == 0)
		r = load_server(en, c, NULL);
	if (r == 0 && strcmp(jsonx_str(c->instance, "status"), "available") == 0)
		return c;
	call_free(c);
	return NULL;
}

/* Takes shares off the round's list until one needs a helper, or none is left. */
static void usage_next(struct engine *en, struct backend *b)
{
	while (json_array_size(b->to_measure) && b->status == BACKEND_UP) {
		struct call *c = usage_call(en, b, json_string_value(json_array_get(b->to_measure, 0)));
		_cleanup_error_ struct error e = ERROR_INIT;
		int r;

		json_array_remove(b->to_measure, 0);
		if (!c)
			continue;
		call_announce(en, c);
		r = backend_invoke(en, b, c, "get_share_usage", input_of(c), &c->results, &e);
		if (r == 1) {
			atomic_store_explicit(&c->phase, CALL_WORK, memory_order_release);
			c->next = en->parked;
			en->parked = c;
			return;
		}
		if (r < 0)
			log_debug("a share was not measured: %s", e.message);
		else
			store_usage(en, c, (uint64_t)jsonx_int(c->results, "used_bytes"));
		call_end_own(en, c);
	}
	json_decref(b->to_measure);
	b->to_measure = NULL;
}

void usage_round(struct engine *en, const char *name)
{
	struct backend *b = backend_find(en, name);
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "backend", name), *rows = NULL;
	json_t *row;
	size_t i;

	if (!b || b->to_measure || b->status != BACKEND_UP || !backend_has_slot(b, "get_share_usage"))
		return;
	if (store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where }, &rows, NULL) < 0)
		return;
	b->to_measure = json_array();
	json_array_foreach(rows, i, row)
		json_array_append(b->to_measure, json_object_get(row, "id"));
	usage_next(en, b);
}
