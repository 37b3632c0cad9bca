/* create_share_replica and delete_share_replica. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/replicas.h"
#include "daemon/resolve.h"
#include "daemon/shares.h"

#include <errno.h>
#include <string.h>

/* ---- the replica's instances of snapshots ---- */

static int snapshot_instances_on(struct engine *en, const char *instance_id, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "instance_id", instance_id);

	return store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where }, ret, e);
}

static int set_snapshots_on(struct engine *en, const struct call *c, const char *status, const char *reason,
			    struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = snapshot_instances_on(en, jsonx_str(c->instance, "id"), &rows, e);

	json_array_foreach(rows, i, row) {
		_cleanup_json_ json_t *fields = jsonx_pack("{s:s,s:o,s:o}", "status", status, "status_reason",
							   jsonx_string(reason), "updated_at", now_json());

		if (r == 0)
			r = store_update(en->st, STORE_SNAPSHOT_INSTANCES, jsonx_str(row, "id"), fields, e);
	}
	return r;
}

/* Rules and snapshots of the replica, and itself. A rule or a snapshot that only it still had goes too. */
static int drop_replica(struct engine *en, const struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->instance, "id");
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "instance_id", id), *states = NULL, *snapshots = NULL;
	json_t *row;
	size_t i;
	int r;

	if ((r = store_select(en->st, STORE_ACCESS_STATES, &(struct store_query){ .where = where }, &states, e)) < 0 ||
	    (r = snapshot_instances_on(en, id, &snapshots, e)) < 0)
		return r;
	json_array_foreach(states, i, row)
		if ((r = access_drop(en, jsonx_str(row, "access_id"), id, e)) < 0)
			return r;
	json_array_foreach(snapshots, i, row)
		if ((r = drop_snapshot_instance(en, row, e)) < 0)
			return r;
	return store_delete(en->st, STORE_INSTANCES, id, e);
}

/* ---- create ---- */

/* May this backend have a replica of what lies on that one? */
static int suits(const struct call *c, const struct backend *from, const struct backend *to, struct error *e)
{
	const char *domain = settings_string(to->settings, "replication_domain"),
		   *proto = jsonx_str(c->share, "share_proto"), *of = to->ops ? to->ops->replicates : NULL;
	int r;

	if (!from->settings || !*domain || strcmp(domain, settings_string(from->settings, "replication_domain")) != 0)
		return error_param(e, "backend",
				   "backend \"%s\" is not of the share's replication_domain: name one that is",
				   to->name);
	if (!to->ops || strcmp(from->driver, of ? of : to->driver) != 0)
		return error_param(e, "backend",
				   "backend \"%s\" has another driver: replicas lie on backends of one driver",
				   to->name);
	if (jsonx_str(c->share, "share_network") || settings_bool(to->settings, "driver_handles_share_servers")) {
		error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "shares of share servers cannot be replicated");
		error_add(e, "param", json_string("backend"));
		return -EOPNOTSUPP;
	}
	if ((r = backend_need_known(to, e)) < 0)
		return r;
	if (!of && !backend_offers(to, "share_protos", proto)) {
		error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
			  "backend \"%s\" does not export over %s: get_backend shows share_protos", to->name, proto);
		error_add(e, "param", json_string("backend"));
		return -EOPNOTSUPP;
	}
	return need_capacity(to, (uint64_t)jsonx_int(c->share, "size_bytes"), e);
}

/* 1: answered. */
static int find_existing(struct engine *en, struct call *c, const char *backend, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O,s:s}", "share_id", json_object_get(c->share, "id"), "backend",
						  backend),
			      *rows = NULL;
	const char *status;
	int r = store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where, .limit = 1 }, &rows, e);

	if (r < 0 || json_array_size(rows) == 0)
		return r;
	status = jsonx_str(json_array_get(rows, 0), "status");
	if (c->if_absent && strcmp(status, "available") == 0) {
		c->answered = true;
		return (r = answer_share(en, c, &c->answer, e)) < 0 ? r : 1;
	}
	if (!c->if_absent)
		error_set(e, ERR_ALREADY_EXISTS, EEXIST, "share \"%s\" has a replica on backend \"%s\" already",
			  jsonx_str(c->share, "name"), backend);
	else
		error_set(e, strcmp(status, "creating") == 0 ? ERR_BUSY : ERR_INVALID_STATE, EBUSY,
			  "share \"%s\" has a replica on backend \"%s\", and it is %s", jsonx_str(c->share, "name"),
			  backend, status);
	error_add(e, "param", json_string("backend"));
	error_add(e, "object", json_string(jsonx_str(json_array_get(rows, 0), "id")));
	return -EEXIST;
}

static json_t *create_args(const struct call *c, const char *id)
{
	json_t *args = replica_args(c);

	json_object_set_new(args, "id", json_string(id));
	return args;
}

static int make_row(struct engine *en, struct call *c, struct error *e)
{
	char id[37], now[32];
	json_t *row;

	text_make_uuid(id);
	text_now(now);
	row = jsonx_pack("{s:s,s:O,s:s,s:s,s:s,s:s,s:s}", "id", id, "share_id", json_object_get(c->share, "id"),
			 "backend", c->backend->name, "status", "creating", "replica_state", "out_of_sync",
			 "created_at", now, "updated_at", now);
	json_decref(c->extra);
	c->extra = row;
	free(c->object_kind);
	free(c->object_id);
	c->object_kind = xstrdup("share_replica");
	c->object_id = xstrdup(id);
	c->args = create_args(c, id);
	return number_export(en, c->backend, c->share, row, e);
}

static int create_resolve(struct engine *en, struct call *c, struct error *e)
{
	struct backend *from, *to;
	int r;

	if ((r = resolve_share(en, c, jsonx_str(c->params, "share"), e)) < 0)
		return r;
	from = c->backend;
	if (!jsonx_str(c->share, "replication_type") || !replica_is_active(c->instance)) {
		r = error_set(e, ERR_INVALID_STATE, EINVAL,
			      "share \"%s\" is not replicated: only those made on a backend with a replication_domain "
			      "are",
			      jsonx_str(c->share, "name"));
		error_add(e, "object", json_string(jsonx_str(c->share, "name")));
		return r;
	}
	if ((r = backend_get(en, jsonx_str(c->params, "backend"), "backend", &to, e)) < 0)
		return r;
	c->backend = to;
	if ((r = find_existing(en, c, to->name, e)) != 0)
		return r < 0 ? r : 0;
	if ((r = suits(c, from, to, e)) < 0 || (r = need_share_status(en, c, WORDS("available"), e)) < 0 ||
	    (r = backend_need_up(from, e)) < 0)
		return r;
	return make_row(en, c, e);
}

/* A rule that is about to leave the share is not wanted on the replica either. */
static int insert_rules(struct engine *en, const struct call *c, const char *active_id, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	const char *id = jsonx_str(c->instance, "id");
	json_t *rule;
	size_t i;
	int r;

	if ((r = access_wanted(en, jsonx_str(c->share, "id"), active_id, &rules, e)) < 0)
		return r;
	json_array_foreach(rules, i, rule)
		if ((r = access_add_state(en, jsonx_str(rule, "id"), id, "queued_to_apply", e)) < 0)
			return r;
	return 0;
}

/* What the share has comes over, too; update_replicated_snapshot asks for it. */
static int insert_snapshots(struct engine *en, const struct call *c, const char *active_id, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = snapshot_instances_on(en, active_id, &rows, e);

	json_array_foreach(rows, i, row) {
		_cleanup_json_ json_t *mine = NULL;
		char id[37], now[32];

		if (r < 0 || strcmp(jsonx_str(row, "status"), "available") != 0)
			continue;
		text_make_uuid(id);
		text_now(now);
		mine = jsonx_pack("{s:s,s:O,s:O,s:s,s:s,s:s}", "id", id, "snapshot_id",
				  json_object_get(row, "snapshot_id"), "instance_id",
				  json_object_get(c->instance, "id"), "status", "creating", "created_at", now,
				  "updated_at", now);
		r = store_insert(en->st, STORE_SNAPSHOT_INSTANCES, mine, NULL, e);
	}
	return r;
}

static int create_intend(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *active = c->instance;
	const char *active_id = jsonx_str(active, "id");
	int r;

	c->instance = json_incref(c->extra);
	c->intent = jsonx_pack("{s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			       json_object_get(c->instance, "id"));
	if ((r = store_insert(en->st, STORE_INSTANCES, c->instance, NULL, e)) < 0 ||
	    (r = insert_rules(en, c, active_id, e)) < 0)
		return r;
	return insert_snapshots(en, c, active_id, e);
}

static int create_drive(struct engine *en, struct call *c, struct error *e)
{
	struct input *in;
	int r = replica_whole_input(en, c, &in, e);

	if (r < 0)
		return r;
	return c->recovering ? recover_invoke(en, c, "create_replica", in, &c->results, e)
			     : backend_invoke(en, c->backend, c, "create_replica", in, &c->results, e);
}

/* Its rules, once it is there. That they are not in force is no reason to give the replica up. */
static int create_follow(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	const char *state;
	json_t *rules = NULL;
	int r = replica_state_of(c, jsonx_str(c->results, "replica_state"), &state, e);

	if (r < 0)
		return r;
	json_object_set_new(c->results, "replica_state", json_string(state));
	if (jsonx_get(c->results, "provider_location"))
		json_object_set(c->instance, "provider_location", json_object_get(c->results, "provider_location"));
	if (!backend_has_slot(c->backend, "update_access"))
		return 0;
	json_decref(c->more);
	if (access_apply(en, c, NULL, NULL, NULL, &rules, &why) == 0) {
		c->more = jsonx_pack("{s:o}", "rules", rules);
		return 0;
	}
	if (c->undecided) {
		error_move(e, &why);
		return -ENODEV;
	}
	log_kind(LOG_LEVEL_ERROR, LOG_KIND_RULES_FAILED,
		 "the access rules of a new replica of share \"%s\" could not be put in force: %s",
		 jsonx_str(c->share, "name"), why.message);
	c->more = jsonx_pack("{s:s}", "reason", why.message);
	return 0;
}

static int create_settle(struct engine *en, struct call *c, struct error *e)
{
	static const char *const kept[] = { "export_locations", "provider_location" };
	json_t *fields = jsonx_pack("{s:s,s:n,s:O}", "status", "available", "status_reason", "replica_state",
				    json_object_get(c->results, "replica_state"));
	int r;

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (jsonx_get(c->results, kept[i]))
			json_object_set(fields, kept[i], json_object_get(c->results, kept[i]));
	/* The place is the store's business, not a result. */
	json_object_del(c->results, "provider_location");
	if (!jsonx_get(c->results, "export_locations"))
		json_object_set_new(c->results, "export_locations", json_array());
	if ((r = set_instance(en, c, fields, e)) < 0 || (r = replica_settle_rules(en, c, e)) < 0 ||
	    (r = reload_rows(en, c, e)) < 0)
		return r;
	replica_event(en, c, jsonx_str(c->instance, "id"));
	return 0;
}

static int create_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_replica(en, c, "error", "error", cause->message, e);

	if (r == 0)
		r = set_snapshots_on(en, c, "error", cause->message, e);
	if (r == 0)
		replica_event(en, c, jsonx_str(c->instance, "id"));
	return r;
}

static int create_undo(struct engine *en, struct call *c, struct error *e)
{
	return drop_replica(en, c, e);
}

/* Whole on the backend: the driver says again where it is. Else what is left of it goes. */
static int create_recover(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *gone = NULL;
	struct input *in;
	const char *status;
	bool by_call;
	int r = ask_status(en, c, false, &status, &by_call, e);

	if (r < 0)
		return r;
	if (strcmp(status, "available") == 0) {
		if ((r = create_drive(en, c, e)) < 0 || (r = create_follow(en, c, e)) < 0)
			return r;
		return 1;
	}
	if ((r = replica_whole_input(en, c, &in, e)) < 0)
		return r;
	r = recover_invoke(en, c, "delete_replica", in, &gone, e);
	c->args = create_args(c, jsonx_str(c->instance, "id"));
	return r < 0 ? r : 0;
}

/* The source may come up later, or another replica is it by now; and somebody may delete what waits for it. */
static int create_goes_on(struct engine *en, const struct call *c)
{
	_cleanup_json_ json_t *active = NULL, *row = NULL;
	const struct backend *from;

	if (store_get(en->st, STORE_INSTANCES, "id", jsonx_str(c->instance, "id"), &row, NULL) < 0 ||
	    strcmp(jsonx_str(row, "status"), "creating") != 0 ||
	    object_instance_of(en->st, jsonx_str(c->share, "id"), &active, NULL) < 0)
		return -ENOENT;
	from = backend_find(en, jsonx_str(active, "backend"));
	return from && from->status == BACKEND_UP ? 1 : 0;
}

const struct call_ops ops_create_replica = {
	.resolve = create_resolve,
	.intend = create_intend,
	.drive = create_drive,
	.follow = create_follow,
	.settle = create_settle,
	.fail = create_fail,
	.amend = amend_share,
	.answer = answer_share,
	.recover = create_recover,
	.goes_on = create_goes_on,
	.undo = create_undo,
};

/* ---- delete ---- */

/* What is half done on a backend that does not come back can still be forgotten. */
static bool forced_on_absent(const struct call *c)
{
	return jsonx_bool(c->params, "force") && c->backend->status == BACKEND_DOWN;
}

/* A snapshot whose only whole copy is here would be lost. */
static int need_snapshots_elsewhere(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = snapshot_instances_on(en, jsonx_str(c->instance, "id"), &rows, e);

	json_array_foreach(rows, i, row) {
		_cleanup_json_ json_t *where = jsonx_pack("{s:O,s:s}", "snapshot_id",
							  json_object_get(row, "snapshot_id"), "status", "available"),
				      *snapshot = NULL;
		int64_t n = 0;

		if (r < 0 || strcmp(jsonx_str(row, "status"), "available") != 0)
			continue;
		if ((r = store_count(en->st, STORE_SNAPSHOT_INSTANCES, where, &n, e)) < 0 || n > 1)
			continue;
		if ((r = store_get(en->st, STORE_SNAPSHOTS, "id", jsonx_str(row, "snapshot_id"), &snapshot, e)) < 0)
			return r;
		error_set(e, ERR_INVALID_STATE, ENOTEMPTY,
			  "the replica on backend \"%s\" holds the only instance of snapshot \"%s\": delete that first",
			  c->backend->name, jsonx_str(snapshot, "name"));
		error_add(e, "object", json_string(jsonx_str(snapshot, "id")));
		return -ENOTEMPTY;
	}
	return r;
}

static int need_deletable(struct engine *en, const struct call *c, struct error *e)
{
	int r = need_quiet_replica(en, c, c->instance, e);

	if (r < 0)
		return r;
	if (replica_is_active(c->instance)) {
		error_set(e, ERR_INVALID_STATE, EBUSY,
			  "this is the active replica of share \"%s\": promote another one first, or delete the share",
			  jsonx_str(c->share, "name"));
		error_add(e, "object", json_string(jsonx_str(c->instance, "id")));
		return -EBUSY;
	}
	/* One that is creating and quiet waits, after a restart, for its source. */
	if (!forced_on_absent(c) &&
	    (r = need_share_status(en, c, WORDS("available", "creating", "error", "error_deleting"), e)) < 0)
		return r;
	return need_snapshots_elsewhere(en, c, e);
}

static int delete_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_replica(en, c, jsonx_str(c->params, "replica"), e), e);

	if (r < 0 || c->answered || (r = need_deletable(en, c, e)) < 0)
		return r;
	c->args = replica_args(c);
	return 0;
}

static int set_rule_states(struct engine *en, const struct call *c, const char *state, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "instance_id", json_object_get(c->instance, "id")),
			      *rows = NULL;
	_cleanup_json_ json_t *fields = jsonx_pack("{s:s,s:n}", "state", state, "status_reason");
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_ACCESS_STATES, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = store_update(en->st, STORE_ACCESS_STATES, jsonx_str(row, "id"), fields, e);
	return r;
}

static int delete_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->intent = jsonx_pack("{s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			       json_object_get(c->instance, "id"));
	if ((r = snapshot_instances_on(en, jsonx_str(c->instance, "id"), &c->extra, e)) < 0 ||
	    (r = set_rule_states(en, c, "queued_to_deny", e)) < 0 ||
	    (r = set_snapshots_on(en, c, "deleting", NULL, e)) < 0)
		return r;
	return set_instance_status(en, c, "deleting", NULL, e);
}

static int delete_drive(struct engine *en, struct call *c, struct error *e)
{
	struct input *in;
	int r = forgive_delete(en, c, access_deny_all(en, c, e), e);

	if (r < 0 || (r = replica_whole_input(en, c, &in, e)) < 0)
		return r;
	input_call(in)->force = jsonx_bool(c->params, "force");
	return c->recovering ? recover_invoke(en, c, "delete_replica", in, &c->results, e)
			     : backend_invoke(en, c->backend, c, "delete_replica", in, &c->results, e);
}

static int delete_settle(struct engine *en, struct call *c, struct error *e)
{
	call_event(c, "share_replica.deleted", object_instance(c->instance));
	return drop_replica(en, c, e);
}

static int delete_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_replica(en, c, "error_deleting", "error", cause->message, e);

	if (r == 0)
		r = set_snapshots_on(en, c, "error_deleting", cause->message, e);
	if (r == 0)
		replica_event(en, c, jsonx_str(c->instance, "id"));
	return r;
}

/* As it was; the init_host that the backend needs now puts its rules in force again. */
static int delete_undo(struct engine *en, struct call *c, struct error *e)
{
	json_t *row;
	size_t i;
	int r = set_rule_states(en, c, "queued_to_apply", e);

	json_array_foreach(c->extra, i, row) {
		_cleanup_json_ json_t *fields =
			jsonx_pack("{s:O,s:o}", "status", json_object_get(row, "status"), "status_reason",
				   jsonx_string(jsonx_str(row, "status_reason")));

		if (r == 0)
			r = store_update(en->st, STORE_SNAPSHOT_INSTANCES, jsonx_str(row, "id"), fields, e);
	}
	return r < 0 ? r : restore_instance(en, c, e);
}

/* Deleting twice is deleting: what was begun is done. */
static int delete_recover(struct engine *en, struct call *c, struct error *e)
{
	int r = forgive_delete(en, c, delete_drive(en, c, e), e);

	return r < 0 ? r : 1;
}

const struct call_ops ops_delete_replica = {
	.resolve = delete_resolve,
	.intend = delete_intend,
	.drive = delete_drive,
	.forgive = forgive_delete,
	.settle = delete_settle,
	.fail = delete_fail,
	.answer = answer_share,
	.recover = delete_recover,
	.undo = delete_undo,
};
