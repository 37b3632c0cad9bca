/* init_host and publish_service_capabilities. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "daemon/access.h"
#include "daemon/call_run.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/replicas.h"
#include "daemon/resolve.h"
#include "daemon/share_servers.h"

#include <errno.h>
#include <string.h>

/* Shares that are looked at in one go: enough to be quick, few enough to stay small in memory. */
#define BATCH 256

static int backend_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = backend_get(en, jsonx_str(c->params, "backend"), "backend", &c->backend, e);

	if (r < 0)
		return r;
	c->object_kind = xstrdup("backend");
	c->object_id = xstrdup(c->backend->name);
	return 0;
}

/* The answer goes to the other thread, so it shares nothing with what stays here. */
static json_t *backend_copy(const struct backend *b)
{
	_cleanup_json_ json_t *shared = backend_json(b);

	return json_deep_copy(shared);
}

static int backend_answer(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	(void)en;
	(void)e;
	*ret = backend_copy(c->backend);
	return 0;
}

/* ---- publish ---- */

/* What a driver has no slot for, it cannot do, whatever its stats say; what it does not mention, it has not. */
static void complete_stats(const struct backend *b, json_t *stats)
{
	static const struct {
		const char *name, *slot;
	} flags[] = {
		{ "size_enforced", NULL },
		{ "snapshots", "create_snapshot" },
		{ "snapshot_consistent", "create_snapshot" },
		{ "create_from_snapshot", "create_share_from_snapshot" },
		{ "revert", "revert_to_snapshot" },
		{ "shrink", "shrink_share" },
		{ "manage", "manage_existing" },
		{ "reflink", NULL },
	};
	static const char *const lists[] = { "share_protos", "access_types", "access_levels" };
	static const char *const nulls[] = { "total_bytes", "free_bytes", "replication_type" };

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!json_object_get(stats, flags[i].name) || (flags[i].slot && !backend_has_slot(b, flags[i].slot)))
			json_object_set_new(stats, flags[i].name, json_false());
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (!json_object_get(stats, lists[i]))
			json_object_set_new(stats, lists[i], json_array());
	for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
		if (!json_object_get(stats, nulls[i]))
			json_object_set_new(stats, nulls[i], json_null());
}

static int publish_drive(struct engine *en, struct call *c, struct error *e)
{
	uint64_t allocated;
	int r = backend_invoke(en, c->backend, c, "get_share_stats", NULL, &c->results, e);

	if (r == 1)
		return error_set(e, ERR_INTERNAL, EINVAL, "get_share_stats of driver %s answered with long work",
				 c->backend->driver);
	if (r < 0)
		return r;
	if ((r = store_allocated_bytes(en->st, c->backend->name, &allocated, e)) < 0)
		return r;
	json_object_set_new(c->results, "allocated_bytes", json_integer((json_int_t)allocated));
	complete_stats(c->backend, c->results);
	return 0;
}

static void publish(struct engine *en, struct call *c)
{
	json_decref(c->backend->capabilities);
	c->backend->capabilities = json_deep_copy(c->results);
	backend_set_status(en, c->backend, c->backend->status,
			   c->backend->status == BACKEND_UP ? NULL : c->backend->reason);
}

static int publish_settle(struct engine *en, struct call *c, struct error *e)
{
	(void)e;
	publish(en, c);
	return 0;
}

static int publish_amend(struct engine *en, struct call *c, const json_t *changed, struct error *e)
{
	(void)changed;
	(void)e;
	publish(en, c);
	return 0;
}

const struct call_ops ops_publish = {
	.resolve = backend_resolve,
	.drive = publish_drive,
	.settle = publish_settle,
	.amend = publish_amend,
	.answer = backend_answer,
};

/* ---- init_host ---- */

static int init_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = backend_resolve(en, c, e);

	if (r < 0)
		return r;
	r = backend_prepare(en, c->backend, e);
	if (r < 0) {
		backend_set_status(en, c->backend, BACKEND_DOWN, e->message);
		error_add(e, "backend", json_string(c->backend->name));
		e->kind = ERR_BACKEND_DOWN;
	}
	return r;
}

/* Its servers may go on exporting what nobody looks after any more. */
static int need_exporters(struct engine *en, const struct backend *b, struct error *e)
{
	int64_t n = 0;
	int r = backend_is_exported(b) ? 0 : store_count_exports(en->st, b->name, &n, e);

	if (r < 0 || n == 0)
		return r;
	return error_set(
		e, ERR_BACKEND_DOWN, ENODEV,
		"%lld of its shares are exported, and `export` names no exporter any more: put it back, or delete "
		"or unmanage them first",
		(long long)n);
}

static int set_up(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *nothing = NULL, *nothing2 = NULL;
	struct input *in;
	bool empty;
	int r = backend_is_empty(en, c->backend, &empty, e);

	if (r < 0 || (r = need_exporters(en, c->backend, e)) < 0)
		return r;
	if (backend_has_slot(c->backend, "do_setup")) {
		in = input_new(c->id, c->method->name);
		input_call(in)->root_is_empty = empty;
		if ((r = backend_invoke(en, c->backend, c, "do_setup", in, &nothing, e)) != 0)
			return r < 0 ? r
				     : error_set(e, ERR_INTERNAL, EINVAL,
						 "do_setup of driver %s answered with long work", c->backend->driver);
	}
	r = backend_invoke(en, c->backend, c, "check_for_setup_error", NULL, &nothing2, e);
	return r == 1 ? error_set(e, ERR_INTERNAL, EINVAL, "check_for_setup_error of driver %s answered with long work",
				  c->backend->driver)
		      : r;
}

/* Its status is for its owner to mend, or a call is at work on it; its rules are in force all the same. */
static bool keeps_status(const char *status)
{
	static const char *const words[] = { "extending_error", "shrinking_error", "reverting_error", "extending",
					     "shrinking" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(status, words[i]) == 0)
			return true;
	return false;
}

/* Was it ever there? A share whose creation failed is not made available by a look. */
static bool is_ensured(const json_t *instance)
{
	const char *status = jsonx_str(instance, "status");

	return strcmp(status, "available") == 0 || keeps_status(status) ||
	       (strcmp(status, "error") == 0 && jsonx_get(instance, "export_locations"));
}

static void note_failed(struct call *c, const json_t *share, const char *reason)
{
	json_array_append_new(json_object_get(c->results, "failed"),
			      jsonx_pack("{s:O,s:O,s:s}", "id", json_object_get(share, "id"), "name",
					 json_object_get(share, "name"), "reason",
					 reason ? reason : "missing on the backend"));
}

/* Only what differs is written later. */
static void note_change(struct call *c, const json_t *share, const json_t *instance, const json_t *found)
{
	const char *was = jsonx_str(instance, "status"), *status = jsonx_str(found, "status"),
		   *reason = jsonx_str(found, "status_reason");
	json_t *locations = jsonx_get(found, "export_locations");
	bool moved = locations && !json_equal(locations, jsonx_get(instance, "export_locations"));

	if (!found) {
		status = "error";
		reason = "the driver said nothing about it";
	}
	if (!status)
		status = "available";
	if (strcmp(status, "available") != 0)
		note_failed(c, share, reason);
	else if (keeps_status(was)) {
		status = was;
		reason = jsonx_str(instance, "status_reason");
	}
	if (strcmp(status, was) == 0 && !moved)
		return;
	json_array_append_new(json_object_get(c->extra, "changes"),
			      jsonx_pack("{s:O,s:O,s:o,s:s,s:o,s:o}", "share_id", json_object_get(share, "id"),
					 "instance_id", json_object_get(instance, "id"), "replica_state",
					 jsonx_string(jsonx_str(instance, "replica_state")), "status", status, "reason",
					 strcmp(status, "available") == 0
						 ? json_null()
						 : jsonx_string(reason ? reason : "missing on the backend"),
					 "locations", moved ? json_incref(locations) : json_null()));
}

static void show_to_hooks(struct call *c, const json_t *share, const json_t *instance, const json_t *found)
{
	json_t *l = jsonx_get(found, "export_locations");

	if (!c->hooks)
		return;
	if (!l || jsonx_get(instance, "hook_export_locations"))
		l = object_locations(instance);
	json_object_set_new(json_object_get(c->results, "shares"), jsonx_str(share, "id"),
			    l ? json_incref(l) : json_array());
}

static bool has_rules(struct engine *en, const json_t *instance)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "instance_id", json_object_get(instance, "id"));
	int64_t n = 0;

	return store_count(en->st, STORE_ACCESS_STATES, where, &n, NULL) == 0 && n > 0;
}

/* A share's rules, made equal to the wanted ones; its failure is its own, unless the whole backend went away. */
static int put_rules_in_force(struct engine *en, struct call *c, json_t *share, json_t *instance, struct error *ret_e)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct call *one = call_new(c->method, c->origin);
	json_t *rules = NULL;
	int r;

	snprintf(one->id, sizeof one->id, "%s", c->id);
	one->backend = c->backend;
	one->part_of = c;
	one->share = json_incref(share);
	one->instance = json_incref(instance);
	r = load_server(en, one, &e);
	if (r == 0)
		r = access_apply(en, one, NULL, NULL, NULL, &rules, &e);
	if (r < 0 && (e.kind == ERR_BACKEND_DOWN || e.err == ETIMEDOUT)) {
		error_move(ret_e, &e);
		call_free(one);
		return r;
	}
	if (r < 0) {
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_RULES_FAILED,
			 "the access rules of share \"%s\" could not be put in force: %s", jsonx_str(share, "name"),
			 e.message);
		note_failed(c, share, e.message);
		json_array_append_new(json_object_get(c->extra, "rules_failed"),
				      jsonx_pack("{s:O,s:O,s:s}", "share_id", json_object_get(share, "id"),
						 "instance_id", json_object_get(instance, "id"), "reason", e.message));
	} else if (json_object_size(rules) > 0 || has_rules(en, instance)) {
		json_array_append_new(
			json_object_get(c->extra, "rules"),
			jsonx_pack("{s:O,s:O}", "instance_id", json_object_get(instance, "id"), "rules", rules));
	}
	json_decref(rules);
	call_free(one);
	return 0;
}

/* `known`: in the last batch. */
static int ensure_batch(struct engine *en, struct call *c, json_t *shares, json_t *instances, json_t *known,
			struct error *e)
{
	_cleanup_json_ json_t *values = NULL;
	struct input *in = input_new(c->id, c->method->name);
	json_t *instance, *found;
	size_t i;
	int r;

	json_array_foreach(instances, i, instance)
		if ((r = add_share_to(en, in, json_array_get(shares, i), instance, e)) < 0) {
			input_free(in);
			return r;
		}
	input_call(in)->known = input_keep(in, known);
	r = backend_invoke(en, c->backend, c, "ensure_shares", in, &values, e);
	if (r != 0)
		return r < 0 ? r
			     : error_set(e, ERR_INTERNAL, EINVAL, "ensure_shares of driver %s answered with long work",
					 c->backend->driver);
	json_array_foreach(instances, i, instance) {
		json_t *share = json_array_get(shares, i);

		found = json_object_get(json_object_get(values, "shares"), jsonx_str(instance, "id"));
		note_change(c, share, instance, found);
		show_to_hooks(c, share, instance, found);
		if (found && (!jsonx_str(found, "status") || strcmp(jsonx_str(found, "status"), "available") == 0) &&
		    backend_has_slot(c->backend, "update_access"))
			r = put_rules_in_force(en, c, share, instance, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* All shares of the backend, some at a time. */
static int ensure_all(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "backend", c->backend->name), *known = json_object();
	int64_t after = 0;

	for (;;) {
		_cleanup_json_ json_t *rows = NULL, *shares = json_array(), *instances = json_array();
		json_t *row;
		size_t i;
		int r = store_select(en->st, STORE_INSTANCES,
				     &(struct store_query){ .where = where, .after = after, .limit = BATCH }, &rows, e);

		if (r < 0)
			return r;
		json_array_foreach(rows, i, row) {
			json_t *share;

			after = jsonx_int(row, "seq");
			json_object_set_new(known, jsonx_str(row, "id"), json_true());
			if (!is_ensured(row))
				continue;
			if ((r = object_find_share(en->st, jsonx_str(row, "share_id"), "share", &share, e)) < 0)
				return r;
			json_array_append_new(shares, share);
			json_array_append(instances, row);
		}
		/* Nothing to ensure is something to an export server that exports what is gone. */
		if ((json_array_size(instances) || backend_is_exported(c->backend)) &&
		    (r = ensure_batch(en, c, shares, instances, json_array_size(rows) < BATCH ? known : NULL, e)) < 0)
			return r;
		if (json_array_size(rows) < BATCH)
			return 0;
	}
}

/* Those of other share servers are in force even where one of these is not to be had. */
static int init_drive(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_error_ struct error lacking = ERROR_INIT;
	json_t *recovered = NULL;
	int r;

	c->extra = jsonx_pack("{s:[],s:[],s:[]}", "changes", "rules", "rules_failed");
	c->results = jsonx_pack("{s:{},s:[],s:[]}", "shares", "failed", "recovered");
	if ((r = set_up(en, c, e)) < 0)
		return r;
	(void)share_servers_put_back(en, c, &lacking);
	if ((r = recover_backend(en, c, &recovered, e)) < 0)
		return r;
	json_object_set_new(c->results, "recovered", recovered);
	if ((r = ensure_all(en, c, e)) < 0 || lacking.kind == ERR_NONE)
		return r;
	error_move(e, &lacking);
	return e->err ? -e->err : -EIO;
}

static int write_change(struct engine *en, struct call *c, const json_t *change, struct error *e)
{
	_cleanup_json_ json_t *fields =
		jsonx_pack("{s:O,s:O,s:o}", "status", json_object_get(change, "status"), "status_reason",
			   json_object_get(change, "reason"), "updated_at", now_json());
	json_t *locations = jsonx_get(change, "locations"), *object = NULL;
	const char *status = jsonx_str(change, "status"), *state = jsonx_str(change, "replica_state");
	bool secondary = state && strcmp(state, "active") != 0;
	_cleanup_free_ char *type = xasprintf("share.%s", status);
	int r;

	if (locations) {
		json_object_set(fields, "export_locations", locations);
		json_object_set_new(fields, "hook_export_locations", json_null());
	}
	/* One that is broken is in step with nothing; a good update_share_replica mends both. */
	if (secondary && strcmp(status, "error") == 0)
		json_object_set_new(fields, "replica_state", json_string("error"));
	r = store_update(en->st, STORE_INSTANCES, jsonx_str(change, "instance_id"), fields, e);
	if (r == 0 && secondary)
		replica_event(en, c, jsonx_str(change, "instance_id"));
	else if (r == 0 && object_share_by_id(en->st, jsonx_str(change, "share_id"), &object, NULL) == 0)
		call_event(c, type, object);
	return r;
}

static int write_rules_failed(struct engine *en, const json_t *failed, struct error *e)
{
	return access_set_all(en, jsonx_str(failed, "share_id"), jsonx_str(failed, "instance_id"), "error",
			      jsonx_str(failed, "reason"), e);
}

static int write_rules(struct engine *en, const json_t *entry, struct error *e)
{
	const char *instance_id = jsonx_str(entry, "instance_id");
	int r = access_settle_on(en, instance_id, json_object_get(entry, "rules"), e);

	return r < 0 ? r : access_drop_denied(en, instance_id, e);
}

static int init_settle(struct engine *en, struct call *c, struct error *e)
{
	size_t i;
	json_t *entry;
	int r;

	json_array_foreach(json_object_get(c->extra, "changes"), i, entry)
		if ((r = write_change(en, c, entry, e)) < 0)
			return r;
	json_array_foreach(json_object_get(c->extra, "rules"), i, entry)
		if ((r = write_rules(en, entry, e)) < 0)
			return r;
	json_array_foreach(json_object_get(c->extra, "rules_failed"), i, entry)
		if ((r = write_rules_failed(en, entry, e)) < 0)
			return r;
	return 0;
}

static int init_amend(struct engine *en, struct call *c, const json_t *changed, struct error *e)
{
	const char *id;
	json_t *locations;

	json_object_foreach(json_object_get(changed, "shares"), id, locations) {
		_cleanup_json_ json_t *instance = NULL, *fields = NULL;
		int r = object_instance_of(en->st, id, &instance, e);

		/* A hook that speaks of a share that is not of this backend is not believed. */
		if (r < 0 || strcmp(jsonx_str(instance, "backend"), c->backend->name) != 0) {
			error_clear(e);
			continue;
		}
		if (json_equal(locations, object_locations(instance)))
			continue;
		fields = jsonx_pack("{s:O,s:o}", "hook_export_locations", locations, "updated_at", now_json());
		if ((r = store_update(en->st, STORE_INSTANCES, jsonx_str(instance, "id"), fields, e)) < 0)
			return r;
	}
	return 0;
}

static void published(struct engine *en, struct call *c)
{
	_cleanup_free_ char *reason = NULL;

	if (c->backend->capabilities || c->backend->status != BACKEND_UP)
		return;
	reason = xasprintf("what it can do is not known: %s", c->err.message);
	backend_set_status(en, c->backend, BACKEND_UP, reason);
}

/* Nobody sees it up before its capabilities are known, or why they are not. Those are asked for again every
 * stats_interval. */
static void publish_first(struct engine *en, struct call *c)
{
	struct backend *b = c->backend;
	enum backend_status before = b->status;
	struct call *p = call_new(method_find("publish_service_capabilities"), HOOK_ORIGIN_CALL);

	b->status = BACKEND_UP;
	free(b->reason);
	b->reason = NULL;
	p->params = jsonx_pack("{s:s}", "backend", b->name);
	p->after = published;
	call_run_nested(en, c, p);
	if (b->status != BACKEND_UP)
		return;
	b->status = before;
	backend_set_status(en, b, BACKEND_UP,
			   b->capabilities || b->reason
				   ? b->reason
				   : "what it can do is not known: a pre hook refused publish_service_capabilities");
}

/* Up, or down with the reason. */
static void init_after(struct engine *en, struct call *c)
{
	if (c->result < 0 && c->err.kind != ERR_POST_HOOK_FAILED) {
		backend_set_status(en, c->backend, BACKEND_DOWN, c->err.message);
		return;
	}
	publish_first(en, c);
	if (c->result == 0) {
		json_decref(c->answer);
		c->answer = backend_copy(c->backend);
	}
}

static int init_drive_and_follow(struct engine *en, struct call *c, struct error *e)
{
	c->after = init_after;
	return init_drive(en, c, e);
}

const struct call_ops ops_init_host = {
	.resolve = init_resolve,
	.drive = init_drive_and_follow,
	.settle = init_settle,
	.amend = init_amend,
	.answer = backend_answer,
};
