/* create_replicated_snapshot, delete_replicated_snapshot, update_replicated_snapshot: one snapshot, with an instance on
 * every replica. The active replica's backend makes and deletes them; what it leaves open each replica's own backend is
 * asked for later. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/text.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/replicas.h"
#include "daemon/resolve.h"
#include "daemon/snapshots.h"

#include <errno.h>
#include <string.h>

/* ---- instances ---- */

static int instances_of(struct engine *en, const struct call *c, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "snapshot_id", json_object_get(c->snapshot, "id"));

	return store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where }, ret, e);
}

static int write_instance(struct engine *en, const json_t *row, json_t *fields, struct error *e)
{
	int r;

	json_object_set_new(fields, "updated_at", now_json());
	r = store_update(en->st, STORE_SNAPSHOT_INSTANCES, jsonx_str(row, "id"), fields, e);
	json_decref(fields);
	return r;
}

static int set_all(struct engine *en, const struct call *c, const char *status, const char *reason, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = instances_of(en, c, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = write_instance(
				en, row,
				jsonx_pack("{s:s,s:o}", "status", status, "status_reason", jsonx_string(reason)), e);
	return r;
}

static bool is_gone(struct engine *en, const struct call *c)
{
	_cleanup_json_ json_t *row = NULL;

	return store_get(en->st, STORE_SNAPSHOTS, "id", jsonx_str(c->snapshot, "id"), &row, NULL) == -ENOENT;
}

/* Told once it is at rest. `before`: as it was, for the case that it is gone. */
static void tell(struct engine *en, struct call *c, json_t *before)
{
	_cleanup_json_ json_t *o = NULL;

	if (is_gone(en, c)) {
		call_event(c, "snapshot.deleted", json_incref(before));
		return;
	}
	call_forget_shown(c);
	if (answer_snapshot(en, c, &o, NULL) == 0 && strcmp(jsonx_str(o, "status"), "creating") != 0 &&
	    strcmp(jsonx_str(o, "status"), "deleting") != 0)
		snapshot_event(en, c);
}

/* What was said of one instance. While it is to be deleted, "available" and "error" are that it could not be. */
static int settle_instance(struct engine *en, const json_t *row, const json_t *said, struct error *e)
{
	const char *status = jsonx_str(said, "status"), *reason = jsonx_str(said, "reason");
	bool leaving = strcmp(jsonx_str(row, "status"), "deleting") == 0;
	json_t *fields;

	if (!status)
		return 0;
	if (strcmp(status, "deleted") == 0)
		return drop_snapshot_instance(en, row, e);
	if (leaving)
		status = "error_deleting";
	if (!reason && strcmp(status, "available") != 0)
		reason = leaving ? "its driver says that it is still there" : "its driver says that it is broken";
	fields = jsonx_pack("{s:s,s:o}", "status", status, "status_reason", jsonx_string(reason));
	if (jsonx_get(said, "provider_location"))
		json_object_set(fields, "provider_location", json_object_get(said, "provider_location"));
	return write_instance(en, row, fields, e);
}

/* c->results' "instances"; those that are left out stay as they are. */
static int settle_all(struct engine *en, struct call *c, struct error *e)
{
	const json_t *said = json_object_get(c->results, "instances");
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = instances_of(en, c, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = settle_instance(en, row, json_object_get(said, jsonx_str(row, "id")), e);
	return r;
}

/* ---- create ---- */

static int create_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = snapshot_resolve_new(en, c, e);

	if (r < 0 || c->answered)
		return r;
	if (!jsonx_str(c->share, "replication_type")) {
		error_set(e, ERR_INVALID_STATE, EINVAL,
			  "share \"%s\" is not replicated: create_snapshot makes its snapshots",
			  jsonx_str(c->share, "name"));
		error_add(e, "object", json_string(jsonx_str(c->share, "name")));
		return -EINVAL;
	}
	return 0;
}

static int insert_others(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);

	json_array_foreach(rows, i, row) {
		const char *status = jsonx_str(row, "status");
		_cleanup_json_ json_t *one = json_copy(c->snapshot_instance);
		char id[37];

		/* One that is broken or about to go gets no more. */
		if (r < 0 || strcmp(jsonx_str(row, "id"), jsonx_str(c->instance, "id")) == 0 ||
		    (strcmp(status, "available") != 0 && strcmp(status, "creating") != 0))
			continue;
		text_make_uuid(id);
		json_object_set_new(one, "id", json_string(id));
		json_object_set(one, "instance_id", json_object_get(row, "id"));
		r = store_insert(en->st, STORE_SNAPSHOT_INSTANCES, one, NULL, e);
	}
	return r;
}

static int create_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->snapshot = json_incref(json_object_get(c->extra, "snapshot"));
	c->snapshot_instance = json_incref(json_object_get(c->extra, "instance"));
	c->intent = snapshot_intent(c);
	if ((r = store_insert(en->st, STORE_SNAPSHOTS, c->snapshot, NULL, e)) < 0 ||
	    (r = store_insert(en->st, STORE_SNAPSHOT_INSTANCES, c->snapshot_instance, NULL, e)) < 0)
		return r;
	return insert_others(en, c, e);
}

static int invoke(struct engine *en, struct call *c, const char *slot, json_t **ret, struct error *e)
{
	struct input *in;
	int r = replica_input(en, c, &in, e);

	if (r < 0)
		return r;
	if ((r = replica_add_snapshot(en, in, c->snapshot, e)) < 0) {
		input_free(in);
		return r;
	}
	input_call(in)->force = jsonx_bool(c->params, "force");
	return c->recovering ? recover_invoke(en, c, slot, in, ret, e)
			     : backend_invoke(en, c->backend, c, slot, in, ret, e);
}

static int create_drive(struct engine *en, struct call *c, struct error *e)
{
	return invoke(en, c, "create_replicated_snapshot", &c->results, e);
}

/* What is told of the active replica's instance is the call's own outcome. */
static int need_good(const struct call *c, const char *word, struct error *e)
{
	const json_t *said = json_object_get(c->results, "instances"),
		     *own = json_object_get(said, jsonx_str(c->snapshot_instance, "id"));
	const char *status = jsonx_str(own, "status");

	if (!status || strcmp(status, word) == 0)
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, EIO,
			 "driver %s says that snapshot \"%s\" is %s on the active replica, on backend \"%s\"",
			 c->backend->driver, jsonx_str(c->snapshot, "name"), status, c->backend->name);
}

static int create_follow(struct engine *en, struct call *c, struct error *e)
{
	(void)en;
	return need_good(c, "available", e);
}

static void complete_results(struct call *c)
{
	json_t *metadata = jsonx_get(c->snapshot, "metadata");

	if (!jsonx_get(c->results, "instances"))
		json_object_set_new(c->results, "instances", json_object());
	json_object_set_new(c->results, "metadata", metadata ? json_incref(metadata) : json_object());
}

static int create_settle(struct engine *en, struct call *c, struct error *e)
{
	int r;

	if ((r = settle_all(en, c, e)) < 0 || (r = reload_rows(en, c, e)) < 0)
		return r;
	complete_results(c);
	tell(en, c, NULL);
	return 0;
}

static int create_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_all(en, c, "error", cause->message, e);

	if (r == 0)
		snapshot_event(en, c);
	return r;
}

static int create_undo(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = instances_of(en, c, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = drop_snapshot_instance(en, row, e);
	return r;
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
		if ((r = create_drive(en, c, e)) < 0 || (r = create_follow(en, c, e)) < 0)
			return r;
		return 1;
	}
	r = invoke(en, c, "delete_replicated_snapshot", &gone, e);
	return r < 0 ? r : 0;
}

const struct call_ops ops_create_replicated_snapshot = {
	.resolve = create_resolve,
	.intend = create_intend,
	.drive = create_drive,
	.follow = create_follow,
	.settle = create_settle,
	.fail = create_fail,
	.amend = snapshot_amend,
	.answer = answer_snapshot,
	.recover = create_recover,
	.undo = create_undo,
};

/* ---- delete ---- */

/* What a driver left half done and nobody finishes can be deleted by force. */
int snapshot_resolve_delete(struct engine *en, struct call *c, struct error *e)
{
	bool any = jsonx_bool(c->params, "force") && c->backend->status == BACKEND_UP;
	int r;

	if ((r = snapshot_need_unused(en, c, e)) < 0 ||
	    (!any &&
	     (r = need_snapshot_status(
		      en, c, WORDS("available", "error", "error_deleting", "manage_error", "unmanage_error"), e)) < 0))
		return r;
	c->args = snapshot_args(c);
	return 0;
}

static int delete_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_snapshot(en, c, jsonx_str(c->params, "snapshot"), e), e);

	return r < 0 || c->answered ? r : snapshot_resolve_delete(en, c, e);
}

static int delete_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->intent = snapshot_intent(c);
	if ((r = instances_of(en, c, &c->extra, e)) < 0)
		return r;
	return set_all(en, c, "deleting", NULL, e);
}

/* All instances are gone. */
static json_t *all_deleted(struct engine *en, const struct call *c)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row, *said = json_object();
	size_t i;

	instances_of(en, c, &rows, NULL);
	json_array_foreach(rows, i, row)
		json_object_set_new(said, jsonx_str(row, "id"), jsonx_pack("{s:s}", "status", "deleted"));
	return jsonx_pack("{s:o}", "instances", said);
}

/* Past errors of the driver, and past replicas whose backend is not there: what stays is an orphan. */
static int pass_over(struct engine *en, struct call *c, const json_t *row, json_t *said, struct error *e)
{
	const char *id = jsonx_str(row, "id"), *status = jsonx_str(json_object_get(said, id), "status");
	_cleanup_json_ json_t *instance = NULL;
	const struct backend *b = NULL;
	int r = store_get(en->st, STORE_INSTANCES, "id", jsonx_str(row, "instance_id"), &instance, e);

	if (r < 0 && r != -ENOENT)
		return r;
	if (instance)
		b = backend_find(en, jsonx_str(instance, "backend"));
	if ((status && strcmp(status, "deleted") == 0) || (!status && b && b->status == BACKEND_UP))
		return 0;
	log_kind(LOG_LEVEL_WARNING, LOG_KIND_ORPHAN_LEFT, "%s goes on by force, and leaves an orphan on backend \"%s\"",
		 c->method->name, instance ? jsonx_str(instance, "backend") : "");
	json_object_set_new(said, id, jsonx_pack("{s:s}", "status", "deleted"));
	return 0;
}

static int delete_by_force(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = instances_of(en, c, &rows, e);

	if (!json_object_get(c->results, "instances"))
		json_object_set_new(c->results, "instances", json_object());
	json_array_foreach(rows, i, row)
		if (r == 0)
			r = pass_over(en, c, row, json_object_get(c->results, "instances"), e);
	return r;
}

static int delete_drive(struct engine *en, struct call *c, struct error *e)
{
	return invoke(en, c, "delete_replicated_snapshot", &c->results, e);
}

static int delete_forgive(struct engine *en, struct call *c, int r, struct error *e)
{
	if (r >= 0 || forgive_delete(en, c, r, e) < 0)
		return r;
	json_decref(c->results);
	c->results = all_deleted(en, c);
	return 0;
}

static int delete_follow(struct engine *en, struct call *c, struct error *e)
{
	return jsonx_bool(c->params, "force") ? delete_by_force(en, c, e) : need_good(c, "deleted", e);
}

static int delete_settle(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *before = NULL;
	int r;

	if ((r = answer_snapshot(en, c, &before, e)) < 0 || (r = settle_all(en, c, e)) < 0)
		return r;
	/* What became of the instances is the store's business; a hook gets nothing to change. */
	json_decref(c->results);
	c->results = json_object();
	tell(en, c, before);
	return 0;
}

static int delete_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_all(en, c, "error_deleting", cause->message, e);

	if (r == 0)
		snapshot_event(en, c);
	return r;
}

static int delete_undo(struct engine *en, struct call *c, struct error *e)
{
	json_t *row;
	size_t i;
	int r = 0;

	json_array_foreach(c->extra, i, row)
		if (r == 0)
			r = write_instance(en, row,
					   jsonx_pack("{s:O,s:o}", "status", json_object_get(row, "status"),
						      "status_reason", jsonx_string(jsonx_str(row, "status_reason"))),
					   e);
	return r;
}

static int delete_recover(struct engine *en, struct call *c, struct error *e)
{
	int r = delete_forgive(en, c, delete_drive(en, c, e), e);

	if (r == 0)
		r = delete_follow(en, c, e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_delete_replicated_snapshot = {
	.resolve = delete_resolve,
	.intend = delete_intend,
	.drive = delete_drive,
	.forgive = delete_forgive,
	.follow = delete_follow,
	.settle = delete_settle,
	.fail = delete_fail,
	.recover = delete_recover,
	.undo = delete_undo,
};

/* ---- update ---- */

static int update_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r;

	if ((r = resolve_snapshot(en, c, jsonx_str(c->params, "snapshot"), e)) < 0 ||
	    (r = snapshot_need_unused(en, c, e)) < 0)
		return r;
	c->args = snapshot_args(c);
	return 0;
}

static int update_intend(struct engine *en, struct call *c, struct error *e)
{
	(void)en;
	(void)e;
	c->intent = snapshot_intent(c);
	return 0;
}

/* The replica's own backend is asked. NULL: nothing is known, or the backend is not there to be asked. */
static json_t *ask(struct engine *en, struct call *part, const json_t *row, struct error *e)
{
	_cleanup_json_ json_t *values = NULL;
	const char *id = jsonx_str(row, "id");
	struct input *in;
	json_t *said;
	int r;

	part->snapshot_instance = json_incref((json_t *)row);
	if (!replica_part_is_up(part) || replica_input(en, part, &in, e) < 0)
		return NULL;
	r = replica_add_snapshot(en, in, part->snapshot, e);
	if (r < 0) {
		input_free(in);
		return NULL;
	}
	r = backend_invoke(en, part->backend, part, "update_replicated_snapshot", in, &values, e);
	if (r == 1) {
		error_set(e, ERR_INTERNAL, EINVAL, "update_replicated_snapshot of driver %s answered with long work",
			  part->backend->driver);
	} else if (r == 0) {
		said = json_object_get(json_object_get(values, "instances"), id);
		return said ? json_incref(said) : NULL;
	}
	if (e->kind == ERR_BACKEND_DOWN)
		return NULL;
	if (e->kind == ERR_NOT_FOUND && strcmp(jsonx_str(row, "status"), "deleting") == 0) {
		error_clear(e);
		return jsonx_pack("{s:s}", "status", "deleted");
	}
	return jsonx_pack("{s:s,s:s}", "status", "error", "reason", e->message);
}

static int ask_one(struct engine *en, struct call *c, const json_t *row, json_t *said, struct error *e)
{
	_cleanup_json_ json_t *instance = NULL;
	struct call *part;
	json_t *one;
	int r = store_get(en->st, STORE_INSTANCES, "id", jsonx_str(row, "instance_id"), &instance, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	part = replica_part(en, c, instance);
	one = ask(en, part, row, e);
	call_free(part);
	if (one)
		json_object_set_new(said, jsonx_str(row, "id"), one);
	if (e->kind == ERR_NONE)
		return 0;
	log_warning("snapshot \"%s\" on backend \"%s\": %s", jsonx_str(c->snapshot, "name"),
		    jsonx_str(instance, "backend"), e->message);
	return e->err ? -e->err : -EIO;
}

/* One that fails does not keep the others from being asked; the call fails where nothing else came of it. */
static int update_drive(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL, *said = json_object();
	bool any = false;
	json_t *row;
	size_t i;
	int r = instances_of(en, c, &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		_cleanup_error_ struct error why = ERROR_INIT;
		int one = ask_one(en, c, row, said, &why);

		any = any || one == 0;
		if (one < 0 && r == 0) {
			r = one;
			error_clear(e);
			error_move(e, &why);
		}
	}
	json_decref(c->results);
	c->results = jsonx_pack("{s:O}", "instances", said);
	if (!any)
		return r;
	error_clear(e);
	return 0;
}

static int update_settle(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *before = NULL, *after = NULL;
	const char *id;
	json_t *said;
	int r;

	if ((r = answer_snapshot(en, c, &before, e)) < 0 || (r = settle_all(en, c, e)) < 0)
		return r;
	/* A reason is for the store: hooks see what a driver may say. */
	json_object_foreach(json_object_get(c->results, "instances"), id, said)
		json_object_del(said, "reason");
	call_forget_shown(c);
	if (!is_gone(en, c) && (r = answer_snapshot(en, c, &after, e)) < 0)
		return r;
	if (!after || strcmp(jsonx_str(before, "status"), jsonx_str(after, "status")) != 0)
		tell(en, c, before);
	return 0;
}

static int update_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	(void)cause;
	return update_settle(en, c, e);
}

static int update_answer(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	if (!is_gone(en, c))
		return answer_snapshot(en, c, ret, e);
	*ret = json_null();
	return 0;
}

const struct call_ops ops_update_replicated_snapshot = {
	.resolve = update_resolve,
	.intend = update_intend,
	.drive = update_drive,
	.settle = update_settle,
	.fail = update_fail,
	.answer = update_answer,
	.recover = replica_leave,
	.undo = replica_leave,
};
