/* create_snapshot, delete_snapshot, revert_to_snapshot, manage_snapshot, unmanage_snapshot. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/replicas.h"
#include "daemon/resolve.h"
#include "daemon/shares.h"
#include "daemon/snapshots.h"

#include <errno.h>
#include <string.h>

json_t *snapshot_intent(const struct call *c)
{
	return jsonx_pack("{s:O,s:O,s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			  json_object_get(c->instance, "id"), "snapshot_id", json_object_get(c->snapshot, "id"),
			  "snapshot_instance_id", json_object_get(c->snapshot_instance, "id"));
}

static int drop_rows(struct engine *en, const struct call *c, struct error *e)
{
	int r = store_delete(en->st, STORE_SNAPSHOT_INSTANCES, jsonx_str(c->snapshot_instance, "id"), e);

	return r < 0 ? r : store_delete(en->st, STORE_SNAPSHOTS, jsonx_str(c->snapshot, "id"), e);
}

json_t *snapshot_args(const struct call *c)
{
	json_t *args = json_copy(c->params);

	json_object_set(args, "snapshot", json_object_get(c->snapshot, "id"));
	return args;
}

/* ---- a new one: made or adopted ---- */

static int answer_existing(struct engine *en, struct call *c, json_t *row, struct error *e)
{
	_cleanup_json_ json_t *object = NULL;
	const char *name = jsonx_str(row, "name"), *differs = NULL;
	json_t *want = json_object_get(c->params, "provider_location");
	int r;

	if (!c->if_absent) {
		error_set(e, ERR_ALREADY_EXISTS, EEXIST,
			  "share \"%s\" has a snapshot \"%s\" already: choose another name",
			  jsonx_str(c->share, "name"), name);
		error_add(e, "param", json_string("name"));
		error_add(e, "object", json_string(name));
		return -EEXIST;
	}
	if ((r = object_snapshot(en->st, row, &object, e)) < 0)
		return r;
	if (!has_metadata(object, json_object_get(c->params, "metadata")))
		differs = "metadata";
	if (want && !json_equal(want, json_object_get(object, "provider_location")))
		differs = "provider_location";
	if (differs) {
		error_set(e, ERR_ALREADY_EXISTS, EEXIST, "snapshot \"%s\" exists with another %s: choose another name",
			  name, differs);
		error_add(e, "param", json_string(differs));
		return -EEXIST;
	}
	if (strcmp(jsonx_str(object, "status"), "available") != 0)
		return error_set(e, strcmp(jsonx_str(object, "status"), "creating") == 0 ? ERR_BUSY : ERR_INVALID_STATE,
				 EBUSY, "snapshot \"%s\" exists and is %s", name, jsonx_str(object, "status"));
	c->answered = true;
	c->answer = take_ptr(object);
	return 0;
}

static void make_rows(struct call *c, const char *status)
{
	char id[37], instance_id[37], now[32];
	json_t *row, *instance;

	text_make_uuid(id);
	text_make_uuid(instance_id);
	text_now(now);
	row = jsonx_pack("{s:s,s:O,s:O,s:O,s:O,s:s,s:s}", "id", id, "share_id", json_object_get(c->share, "id"), "name",
			 json_object_get(c->params, "name"), "size_bytes", json_object_get(c->share, "size_bytes"),
			 "metadata", json_object_get(c->params, "metadata"), "created_at", now, "updated_at", now);
	instance =
		jsonx_pack("{s:s,s:s,s:O,s:s,s:s,s:s}", "id", instance_id, "snapshot_id", id, "instance_id",
			   json_object_get(c->instance, "id"), "status", status, "created_at", now, "updated_at", now);
	c->extra = jsonx_pack("{s:o,s:o}", "snapshot", row, "instance", instance);
	free(c->object_kind);
	free(c->object_id);
	c->object_kind = xstrdup("snapshot");
	c->object_id = xstrdup(id);
	c->args = json_copy(c->params);
	json_object_set_new(c->args, "id", json_string(id));
	json_object_set(c->args, "share", json_object_get(c->share, "id"));
}

static int new_resolve(struct engine *en, struct call *c, const char *status, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r;

	if ((r = resolve_share(en, c, jsonx_str(c->params, "share"), e)) < 0)
		return r;
	if (store_get2(en->st, STORE_SNAPSHOTS, "share_id", jsonx_str(c->share, "id"), "name",
		       jsonx_str(c->params, "name"), &row, NULL) == 0)
		return answer_existing(en, c, row, e);
	if ((r = need_share_status(en, c, WORDS("available"), e)) < 0)
		return r;
	make_rows(c, status);
	return 0;
}

bool snapshot_is_replicated(const struct call *c)
{
	return jsonx_str(c->share, "replication_type") && backend_has_slot(c->backend, "create_replicated_snapshot");
}

int snapshot_resolve_new(struct engine *en, struct call *c, struct error *e)
{
	int r = new_resolve(en, c, "creating", e);

	if (r == 0 && !c->answered && c->backend->status == BACKEND_UP &&
	    !jsonx_bool(c->backend->capabilities, "snapshots"))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "backend \"%s\" cannot make snapshots",
				 c->backend->name);
	return r;
}

/* Of a replicated share it is another method, for hooks too. */
static int create_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = snapshot_resolve_new(en, c, e);

	if (r == 0 && !c->answered && snapshot_is_replicated(c))
		c->method = method_find(c->method->taken_as);
	return r;
}

static int new_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->snapshot = json_incref(json_object_get(c->extra, "snapshot"));
	c->snapshot_instance = json_incref(json_object_get(c->extra, "instance"));
	if (jsonx_get(c->params, "provider_location"))
		json_object_set(c->snapshot_instance, "provider_location",
				json_object_get(c->params, "provider_location"));
	c->intent = snapshot_intent(c);
	if ((r = store_insert(en->st, STORE_SNAPSHOTS, c->snapshot, NULL, e)) < 0)
		return r;
	return store_insert(en->st, STORE_SNAPSHOT_INSTANCES, c->snapshot_instance, NULL, e);
}

static int create_drive(struct engine *en, struct call *c, struct error *e)
{
	return backend_invoke(en, c->backend, c, "create_snapshot", input_of(c), &c->results, e);
}

static int new_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *location = jsonx_get(c->results, "provider_location"), *more = jsonx_get(c->results, "metadata"), *own,
	       *all;
	json_t *fields;
	/* Long work went on for a while: others may have changed the row. */
	int r = reload_rows(en, c, e);

	if (r < 0)
		return r;
	own = jsonx_get(c->snapshot, "metadata");
	all = own ? json_copy(own) : json_object();
	fields = jsonx_pack("{s:s,s:n}", "status", "available", "status_reason");
	if (more)
		json_object_update(all, more);
	json_object_set_new(c->results, "metadata", all);
	if (!jsonx_get(c->results, "size_bytes"))
		json_object_set(c->results, "size_bytes", json_object_get(c->snapshot, "size_bytes"));
	if (location)
		json_object_set(fields, "provider_location", location);
	if ((r = set_snapshot_instance(en, c, fields, e)) < 0)
		return r;
	r = set_snapshot(en, c,
			 jsonx_pack("{s:O,s:O}", "size_bytes", json_object_get(c->results, "size_bytes"), "metadata",
				    json_object_get(c->results, "metadata")),
			 e);
	if (r < 0 || (r = reload_rows(en, c, e)) < 0)
		return r;
	snapshot_event(en, c);
	return 0;
}

static int fail_with(struct engine *en, struct call *c, const char *status, const struct error *cause, struct error *e)
{
	int r = set_snapshot_status(en, c, status, cause->message, e);

	if (r == 0)
		snapshot_event(en, c);
	return r;
}

static int create_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	return fail_with(en, c, "error", cause, e);
}

int snapshot_amend(struct engine *en, struct call *c, const json_t *changed, struct error *e)
{
	return set_snapshot(en, c, jsonx_pack("{s:O}", "metadata", json_object_get(changed, "metadata")), e);
}

static int create_recover(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *gone = NULL;
	const char *status;
	bool by_call;
	int r = ask_status(en, c, true, &status, &by_call, e);

	if (r < 0)
		return r;
	if (strcmp(status, "available") == 0) {
		r = recover_invoke(en, c, "create_snapshot", input_of(c), &c->results, e);
		return r < 0 ? r : 1;
	}
	r = recover_invoke(en, c, "delete_snapshot", input_of(c), &gone, e);
	return r < 0 ? r : 0;
}

static int new_undo(struct engine *en, struct call *c, struct error *e)
{
	return drop_rows(en, c, e);
}

const struct call_ops ops_create_snapshot = {
	.resolve = create_resolve,
	.intend = new_intend,
	.drive = create_drive,
	.settle = new_settle,
	.fail = create_fail,
	.amend = snapshot_amend,
	.answer = answer_snapshot,
	.recover = create_recover,
	.undo = new_undo,
};

/* A snapshot comes to and leaves all replicas alike, or none. */
static int need_no_replicas(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	int r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);

	if (r < 0 || json_array_size(rows) < 2)
		return r;
	error_set(e, ERR_INVALID_STATE, EBUSY,
		  "share \"%s\" has replicas: its snapshots are made and deleted on all of them, and not adopted or "
		  "given back",
		  jsonx_str(c->share, "name"));
	error_add(e, "object", json_string(jsonx_str(c->share, "name")));
	return -EBUSY;
}

static int manage_resolve(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *where = NULL, *rows = NULL;
	int r = new_resolve(en, c, "manage_starting", e);

	if (r < 0 || c->answered || (r = need_no_replicas(en, c, e)) < 0)
		return r;
	where = jsonx_pack("{s:O,s:O}", "instance_id", json_object_get(c->instance, "id"), "provider_location",
			   json_object_get(c->params, "provider_location"));
	if ((r = store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where, .limit = 1 },
			      &rows, e)) < 0)
		return r;
	if (json_array_size(rows) == 0)
		return 0;
	error_set(e, ERR_ALREADY_EXISTS, EEXIST, "%s is a snapshot of this share already",
		  jsonx_str(c->params, "provider_location"));
	error_add(e, "param", json_string("provider_location"));
	return -EEXIST;
}

static int manage_drive(struct engine *en, struct call *c, struct error *e)
{
	struct input *in = input_of(c);

	input_call(in)->options = input_keep(in, jsonx_get(c->params, "driver_options"));
	return backend_invoke(en, c->backend, c, "manage_existing_snapshot", in, &c->results, e);
}

static int manage_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	return fail_with(en, c, "manage_error", cause, e);
}

static int manage_recover(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *gone = NULL;
	const char *status;
	bool by_call;
	int r = ask_status(en, c, true, &status, &by_call, e);

	if (r < 0)
		return r;
	if (strcmp(status, "available") == 0) {
		r = recover_invoke(en, c, "manage_existing_snapshot", input_of(c), &c->results, e);
		return r < 0 ? r : 1;
	}
	if (backend_has_slot(c->backend, "unmanage_snapshot"))
		r = recover_invoke(en, c, "unmanage_snapshot", input_of(c), &gone, e);
	return r < 0 ? r : 0;
}

const struct call_ops ops_manage_snapshot = {
	.resolve = manage_resolve,
	.intend = new_intend,
	.drive = manage_drive,
	.settle = new_settle,
	.fail = manage_fail,
	.amend = snapshot_amend,
	.answer = answer_snapshot,
	.recover = manage_recover,
	.undo = new_undo,
};

/* ---- leaving ---- */

/* A share is being made of it, or goes back to it. */
int snapshot_need_unused(struct engine *en, const struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->snapshot, "id");

	for (const struct call *p = en->parked; p; p = p->next)
		if (p->snapshot && strcmp(jsonx_str(p->snapshot, "id"), id) == 0) {
			error_set(e, ERR_BUSY, EBUSY,
				  "snapshot \"%s\" is in use by a %s: try again when that is through",
				  jsonx_str(c->snapshot, "name"), p->method->name);
			error_add(e, "object", json_string(id));
			return -EBUSY;
		}
	return 0;
}

static int need_leavable(struct engine *en, struct call *c, struct error *e)
{
	int r;

	if ((r = snapshot_need_unused(en, c, e)) < 0 ||
	    (r = need_snapshot_status(
		     en, c, WORDS("available", "error", "error_deleting", "manage_error", "unmanage_error"), e)) < 0)
		return r;
	c->args = snapshot_args(c);
	return 0;
}

static int delete_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_snapshot(en, c, jsonx_str(c->params, "snapshot"), e), e);

	if (r < 0 || c->answered)
		return r;
	if (!snapshot_is_replicated(c))
		return need_leavable(en, c, e);
	c->method = method_find(c->method->taken_as);
	return snapshot_resolve_delete(en, c, e);
}

static int delete_intend(struct engine *en, struct call *c, struct error *e)
{
	c->intent = snapshot_intent(c);
	return set_snapshot_status(en, c, "deleting", NULL, e);
}

static int delete_drive(struct engine *en, struct call *c, struct error *e)
{
	struct input *in = input_of(c);

	input_call(in)->force = jsonx_bool(c->params, "force");
	return backend_invoke(en, c->backend, c, "delete_snapshot", in, &c->results, e);
}

static int leave_settle(struct engine *en, struct call *c, const char *event, struct error *e)
{
	json_t *object = NULL;
	int r = answer_snapshot(en, c, &object, e);

	if (r < 0)
		return r;
	call_event(c, event, object);
	return drop_rows(en, c, e);
}

static int delete_settle(struct engine *en, struct call *c, struct error *e)
{
	return leave_settle(en, c, "snapshot.deleted", e);
}

static int delete_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	return fail_with(en, c, "error_deleting", cause, e);
}

static int leave_again(struct engine *en, struct call *c, const char *slot, struct error *e)
{
	int r = recover_invoke(en, c, slot, input_of(c), &c->results, e);

	return forgive_delete(en, c, r, e) < 0 ? r : 1;
}

static int delete_recover(struct engine *en, struct call *c, struct error *e)
{
	return leave_again(en, c, "delete_snapshot", e);
}

const struct call_ops ops_delete_snapshot = {
	.resolve = delete_resolve,
	.intend = delete_intend,
	.drive = delete_drive,
	.forgive = forgive_delete,
	.settle = delete_settle,
	.fail = delete_fail,
	.recover = delete_recover,
	.undo = restore_snapshot,
};

static int unmanage_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_snapshot(en, c, jsonx_str(c->params, "snapshot"), e), e);

	if (r < 0 || c->answered || (r = need_leavable(en, c, e)) < 0)
		return r;
	return need_no_replicas(en, c, e);
}

static int unmanage_intend(struct engine *en, struct call *c, struct error *e)
{
	c->intent = snapshot_intent(c);
	return set_snapshot_status(en, c, "unmanage_starting", NULL, e);
}

static int unmanage_drive(struct engine *en, struct call *c, struct error *e)
{
	return backend_invoke(en, c->backend, c, "unmanage_snapshot", input_of(c), &c->results, e);
}

static int unmanage_settle(struct engine *en, struct call *c, struct error *e)
{
	return leave_settle(en, c, "snapshot.unmanaged", e);
}

static int unmanage_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	return fail_with(en, c, "unmanage_error", cause, e);
}

static int unmanage_recover(struct engine *en, struct call *c, struct error *e)
{
	return leave_again(en, c, "unmanage_snapshot", e);
}

const struct call_ops ops_unmanage_snapshot = {
	.resolve = unmanage_resolve,
	.intend = unmanage_intend,
	.drive = unmanage_drive,
	.forgive = forgive_delete,
	.settle = unmanage_settle,
	.fail = unmanage_fail,
	.recover = unmanage_recover,
	.undo = restore_snapshot,
};

/* ---- revert ---- */

static int need_latest(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "share_id", json_object_get(c->share, "id")), *rows = NULL;
	const char *latest;
	int r = store_select(en->st, STORE_SNAPSHOTS,
			     &(struct store_query){ .where = where, .limit = 1, .newest = true }, &rows, e);

	if (r < 0)
		return r;
	latest = jsonx_str(json_array_get(rows, 0), "id");
	if (latest && strcmp(latest, jsonx_str(c->snapshot, "id")) == 0)
		return 0;
	error_set(e, ERR_INVALID_STATE, EINVAL,
		  "snapshot \"%s\" is not the latest of its share, \"%s\" is: delete the later ones first, or make a "
		  "new share from it",
		  jsonx_str(c->snapshot, "name"), jsonx_str(json_array_get(rows, 0), "name"));
	error_add(e, "object", json_string(jsonx_str(c->snapshot, "id")));
	return -EINVAL;
}

/* It lies on the active replica, and nothing brings its data elsewhere now. */
static int need_quiet_replicas(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r;

	if (strcmp(jsonx_str(c->snapshot_instance, "instance_id"), jsonx_str(c->instance, "id")) != 0) {
		error_set(e, ERR_INVALID_STATE, ENOENT, "snapshot \"%s\" is not on the share's active replica",
			  jsonx_str(c->snapshot, "name"));
		error_add(e, "object", json_string(jsonx_str(c->snapshot, "id")));
		return -ENOENT;
	}
	r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);
	for (i = 0; r == 0 && json_array_size(rows) > 1 && i < json_array_size(rows); i++) {
		row = json_array_get(rows, i);
		r = need_quiet_replica(en, c, row, e);
	}
	return r;
}

static int revert_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r;

	if ((r = resolve_snapshot(en, c, jsonx_str(c->params, "snapshot"), e)) < 0 ||
	    (r = snapshot_need_unused(en, c, e)) < 0 || (r = need_quiet_replicas(en, c, e)) < 0 ||
	    (r = need_share_status(en, c, WORDS("available", "reverting_error"), e)) < 0 ||
	    (r = need_snapshot_status(en, c, WORDS("available"), e)) < 0 || (r = need_latest(en, c, e)) < 0)
		return r;
	if (c->backend->status == BACKEND_UP && !jsonx_bool(c->backend->capabilities, "revert"))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "backend \"%s\" cannot revert shares",
				 c->backend->name);
	c->args = snapshot_args(c);
	return 0;
}

static int revert_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->intent = snapshot_intent(c);
	if ((r = set_instance_status(en, c, "reverting", NULL, e)) < 0)
		return r;
	return set_snapshot_status(en, c, "restoring", NULL, e);
}

static struct input *revert_input(struct engine *en, struct call *c)
{
	struct input *in = input_of(c);
	_cleanup_json_ json_t *wanted = NULL;
	size_t i;
	json_t *rule;

	input_rules_begin(in);
	if (access_wanted(en, jsonx_str(c->share, "id"), jsonx_str(c->instance, "id"), &wanted, NULL) == 0)
		json_array_foreach(wanted, i, rule)
			input_rule(in, RULES_ALL, rule);
	return in;
}

static int revert_drive(struct engine *en, struct call *c, struct error *e)
{
	return backend_invoke(en, c->backend, c, "revert_to_snapshot", revert_input(en, c), &c->results, e);
}

/* The others hold what the share held before. */
static int outdate_replicas(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);

	json_array_foreach(rows, i, row) {
		_cleanup_json_ json_t *fields =
			jsonx_pack("{s:s,s:o}", "replica_state", "out_of_sync", "updated_at", now_json());
		const char *state = jsonx_str(row, "replica_state");

		if (r < 0 || !state || strcmp(state, "in_sync") != 0)
			continue;
		r = store_update(en->st, STORE_INSTANCES, jsonx_str(row, "id"), fields, e);
		if (r == 0)
			replica_event(en, c, jsonx_str(row, "id"));
	}
	return r;
}

static int revert_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *locations = jsonx_get(c->results, "export_locations");
	int r;

	if (!jsonx_get(c->results, "size_bytes"))
		json_object_set(c->results, "size_bytes", json_object_get(c->snapshot, "size_bytes"));
	if (!locations)
		json_object_set(c->results, "export_locations", json_object_get(c->instance, "export_locations"));
	if ((r = set_share(en, c, jsonx_pack("{s:O}", "size_bytes", json_object_get(c->results, "size_bytes")), e)) <
		    0 ||
	    (r = set_locations(en, c, locations, e)) < 0 ||
	    (r = set_instance_status(en, c, "available", NULL, e)) < 0 ||
	    (r = set_snapshot_status(en, c, "available", NULL, e)) < 0 || (r = outdate_replicas(en, c, e)) < 0 ||
	    (r = reload_rows(en, c, e)) < 0)
		return r;
	share_event(en, c);
	return 0;
}

static int revert_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r;

	if ((r = set_instance_status(en, c, "reverting_error", cause->message, e)) < 0 ||
	    (r = set_snapshot_status(en, c, "available", NULL, e)) < 0)
		return r;
	share_event(en, c);
	return 0;
}

/* It took effect, or the share is as it was: reverting is not begun anew behind the client's back. */
static int revert_recover(struct engine *en, struct call *c, struct error *e)
{
	const char *status;
	bool by_call;
	int r = ask_status(en, c, false, &status, &by_call, e);

	if (r < 0)
		return r;
	if (!by_call)
		return strcmp(status, "available") == 0
			       ? 0
			       : error_set(e, ERR_DRIVER_FAILED, EIO,
					   "the share was not whole on its backend after a revert was cut off");
	r = recover_invoke(en, c, "revert_to_snapshot", revert_input(en, c), &c->results, e);
	return r < 0 ? r : 1;
}

static int revert_undo(struct engine *en, struct call *c, struct error *e)
{
	int r = !c->recovering
			? restore_instance(en, c, e)
			: set_instance_status(en, c, "available",
					      "a revert was cut off and undone: the share is as it was before", e);

	return r < 0 ? r : set_snapshot_status(en, c, "available", NULL, e);
}

const struct call_ops ops_revert = {
	.resolve = revert_resolve,
	.intend = revert_intend,
	.drive = revert_drive,
	.settle = revert_settle,
	.fail = revert_fail,
	.amend = amend_share,
	.answer = answer_share,
	.recover = revert_recover,
	.undo = revert_undo,
};
