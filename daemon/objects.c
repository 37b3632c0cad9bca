#include "daemon/objects.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

static int not_found(struct error *e, const char *param, const char *kind, const char *ref)
{
	error_set(e, ERR_NOT_FOUND, ENOENT, "there is no %s \"%s\"", kind, ref);
	error_add(e, "param", json_string(param));
	error_add(e, "object", jsonx_string(ref));
	return -ENOENT;
}

int object_find_share(struct store *st, const char *ref, const char *param, json_t **ret_row, struct error *e)
{
	int r = store_get(st, STORE_SHARES, text_is_uuid(ref) ? "id" : "name", ref, ret_row, e);

	return r == -ENOENT ? not_found(e, param, "share", ref) : r;
}

static int find_named_snapshot(struct store *st, const char *ref, json_t **ret_row, struct error *e)
{
	const char *at = strchr(ref, '@');
	_cleanup_free_ char *share_ref = NULL;
	_cleanup_json_ json_t *share = NULL;
	int r;

	if (!at)
		return -ENOENT;
	share_ref = xstrndup(ref, (size_t)(at - ref));
	r = store_get(st, STORE_SHARES, text_is_uuid(share_ref) ? "id" : "name", share_ref, &share, e);
	if (r < 0)
		return r;
	return store_get2(st, STORE_SNAPSHOTS, "share_id", jsonx_str(share, "id"), "name", at + 1, ret_row, e);
}

int object_find_snapshot(struct store *st, const char *ref, const char *param, json_t **ret_row, struct error *e)
{
	int r;

	if (text_is_uuid(ref))
		r = store_get(st, STORE_SNAPSHOTS, "id", ref, ret_row, e);
	else
		r = find_named_snapshot(st, ref, ret_row, e);
	return r == -ENOENT ? not_found(e, param, "snapshot", ref) : r;
}

int object_find_access(struct store *st, const char *id, const char *param, json_t **ret_row, struct error *e)
{
	int r = store_get(st, STORE_ACCESS_RULES, "id", id, ret_row, e);

	return r == -ENOENT ? not_found(e, param, "access rule", id) : r;
}

static int select_by(struct store *st, enum store_table t, const char *column, const char *value, json_t **ret,
		     struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", column, value);

	return store_select(st, t, &(struct store_query){ .where = where }, ret, e);
}

/* All instances of the share, and the one that stands for it: the active replica, else the first. */
static int instances_of(struct store *st, const char *share_id, json_t **ret_rows, json_t **ret_active, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row, *found;
	size_t i;
	int r = select_by(st, STORE_INSTANCES, "share_id", share_id, &rows, e);

	if (r < 0)
		return r;
	found = json_array_get(rows, 0);
	json_array_foreach(rows, i, row) {
		const char *state = jsonx_str(row, "replica_state");

		if (state && strcmp(state, "active") == 0)
			found = row;
	}
	if (!found)
		return error_set(e, ERR_INTERNAL, ENOENT, "share %s has no instance in the store", share_id);
	*ret_active = found;
	*ret_rows = take_ptr(rows);
	return 0;
}

int object_instance_of(struct store *st, const char *share_id, json_t **ret_row, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *found = NULL;
	int r = instances_of(st, share_id, &rows, &found, e);

	if (r == 0)
		*ret_row = json_incref(found);
	return r;
}

/* The one on that share instance, else the first. */
static int pick_snapshot_instance(const char *snapshot_id, const json_t *rows, const char *instance_id, json_t **ret,
				  struct error *e)
{
	json_t *row, *found = json_array_get(rows, 0);
	size_t i;

	json_array_foreach(rows, i, row)
		if (instance_id && strcmp(jsonx_str(row, "instance_id"), instance_id) == 0)
			found = row;
	if (!found)
		return error_set(e, ERR_INTERNAL, ENOENT, "snapshot %s has no instance in the store", snapshot_id);
	*ret = json_incref(found);
	return 0;
}

int object_snapshot_instance_of(struct store *st, const char *snapshot_id, const char *instance_id, json_t **ret_row,
				struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	int r = select_by(st, STORE_SNAPSHOT_INSTANCES, "snapshot_id", snapshot_id, &rows, e);

	return r < 0 ? r : pick_snapshot_instance(snapshot_id, rows, instance_id, ret_row, e);
}

json_t *object_locations(const json_t *instance_row)
{
	json_t *hook = jsonx_get(instance_row, "hook_export_locations");

	return hook ? hook : jsonx_get(instance_row, "export_locations");
}

/* Columns that are shown as they are. */
static void copy_members(json_t *to, const json_t *row, const char *const *names)
{
	for (; *names; names++) {
		json_t *v = json_object_get(row, *names);

		json_object_set_new(to, *names, v ? json_incref(v) : json_null());
	}
}

/* A hook may have said no more than where it is. */
static json_t *whole_location(json_t *l)
{
	_cleanup_json_ json_t *defaults = jsonx_pack("{s:b,s:b,s:{}}", "preferred", 0, "is_admin_only", 0, "metadata");
	json_t *whole = json_copy(l);

	json_object_update_missing(whole, defaults);
	return whole;
}

static void show_locations(json_t *to, const json_t *instance_row)
{
	json_t *list = json_array(), *l;
	size_t i;

	json_array_foreach(object_locations(instance_row), i, l)
		json_array_append_new(list, whole_location(l));
	json_object_set_new(to, "export_locations", list);
}

json_t *object_instance(const json_t *row)
{
	static const char *const shown[] = {
		"id",         "share_id",   "backend", "status", "status_reason", "replica_state", "provider_location",
		"created_at", "updated_at", NULL
	};
	json_t *o = json_object();

	copy_members(o, row, shown);
	show_locations(o, row);
	json_object_set_new(o, "progress", json_null());
	return o;
}

/* The worst of the rules' states, in upstream's three words. */
static int rules_status(struct store *st, const char *instance_id, const char **ret, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = select_by(st, STORE_ACCESS_STATES, "instance_id", instance_id, &rows, e);

	if (r < 0)
		return r;
	*ret = "active";
	json_array_foreach(rows, i, row) {
		const char *state = jsonx_str(row, "state");

		if (strcmp(state, "error") == 0) {
			*ret = "error";
			return 0;
		}
		if (strcmp(state, "active") != 0)
			*ret = "syncing";
	}
	return 0;
}

static json_t *share_json(const json_t *row, const json_t *instances, const json_t *active, const char *rules)
{
	static const char *const shown[] = { "id",
					     "name",
					     "share_proto",
					     "size_bytes",
					     "snapshot_id",
					     "replication_type",
					     "share_network",
					     "share_server_id",
					     "owner_uid",
					     "metadata",
					     "created_at",
					     "updated_at",
					     NULL };
	static const char *const of_instance[] = {
		"backend", "status", "status_reason", "used_bytes", "used_at", NULL
	};
	json_t *o = json_object(), *list = json_array(), *warnings = jsonx_get(row, "warnings"), *i_row;
	size_t i;

	copy_members(o, row, shown);
	copy_members(o, active, of_instance);
	if (!jsonx_get(o, "metadata"))
		json_object_set_new(o, "metadata", json_object());
	json_object_set_new(o, "progress", json_null());
	show_locations(o, active);
	json_object_set_new(o, "access_rules_status", json_string(rules));
	json_object_set_new(o, "warnings", warnings ? json_incref(warnings) : json_array());
	json_array_foreach(instances, i, i_row)
		json_array_append_new(list, object_instance(i_row));
	json_object_set_new(o, "instances", list);
	return o;
}

int object_share(struct store *st, const json_t *row, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *instances = NULL;
	const char *rules = NULL;
	json_t *active = NULL;
	int r;

	if ((r = instances_of(st, jsonx_str(row, "id"), &instances, &active, e)) < 0 ||
	    (r = rules_status(st, jsonx_str(active, "id"), &rules, e)) < 0)
		return r;
	*ret = share_json(row, instances, active, rules);
	return 0;
}

json_t *object_new_share(const json_t *row, const json_t *instance)
{
	_cleanup_json_ json_t *instances = jsonx_pack("[O]", instance);

	return share_json(row, instances, instance, "active");
}

int object_share_by_id(struct store *st, const char *id, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r = object_find_share(st, id, "share", &row, e);

	return r < 0 ? r : object_share(st, row, ret, e);
}

/* The one on the active replica stands for the snapshot. */
static int main_instance(struct store *st, const json_t *row, const json_t *instances, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *active = NULL;
	int r;

	if (json_array_size(instances) > 1) {
		if ((r = object_instance_of(st, jsonx_str(row, "share_id"), &active, e)) < 0)
			return r;
	}
	return pick_snapshot_instance(jsonx_str(row, "id"), instances, active ? jsonx_str(active, "id") : NULL, ret, e);
}

int object_snapshot(struct store *st, const json_t *row, json_t **ret, struct error *e)
{
	static const char *const shown[] = { "id",       "share_id",   "name",       "size_bytes",
					     "metadata", "created_at", "updated_at", NULL };
	static const char *const of_instance[] = { "status", "status_reason", "provider_location", NULL };
	static const char *const instance_shown[] = { "id",         "snapshot_id",   "instance_id",
						      "status",     "status_reason", "provider_location",
						      "created_at", "updated_at",    NULL };
	_cleanup_json_ json_t *rows = NULL, *first = NULL, *o = json_object();
	json_t *list, *i_row;
	size_t i;
	int r;

	if ((r = select_by(st, STORE_SNAPSHOT_INSTANCES, "snapshot_id", jsonx_str(row, "id"), &rows, e)) < 0 ||
	    (r = main_instance(st, row, rows, &first, e)) < 0)
		return r;
	copy_members(o, row, shown);
	copy_members(o, first, of_instance);
	if (!jsonx_get(o, "metadata"))
		json_object_set_new(o, "metadata", json_object());
	json_object_set_new(o, "progress", json_null());
	list = json_array();
	json_array_foreach(rows, i, i_row) {
		json_t *one = json_object();

		copy_members(one, i_row, instance_shown);
		json_object_set_new(one, "progress", json_null());
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "instances", list);
	*ret = take_ptr(o);
	return 0;
}

/* The order in which one instance's state stands for the rule's. */
static int state_rank(const char *state)
{
	static const char *const worst_first[] = { "error",    "denying",         "queued_to_deny", "updating",
						   "applying", "queued_to_apply", "active" };

	for (int i = 0; i < 7; i++)
		if (state && strcmp(state, worst_first[i]) == 0)
			return i;
	return 7;
}

int object_access(struct store *st, const json_t *row, json_t **ret, struct error *e)
{
	static const char *const shown[] = { "id",      "share_id", "access_type", "access_to",  "access_level",
					     "options", "metadata", "created_at",  "updated_at", NULL };
	_cleanup_json_ json_t *states = NULL, *o = json_object();
	json_t *s, *worst = NULL;
	size_t i;
	int r = select_by(st, STORE_ACCESS_STATES, "access_id", jsonx_str(row, "id"), &states, e);

	if (r < 0)
		return r;
	copy_members(o, row, shown);
	json_array_foreach(states, i, s)
		if (!worst || state_rank(jsonx_str(s, "state")) < state_rank(jsonx_str(worst, "state")))
			worst = s;
	json_object_set_new(o, "state", jsonx_string(worst ? jsonx_str(worst, "state") : "queued_to_apply"));
	json_object_set_new(o, "status_reason", jsonx_string(worst ? jsonx_str(worst, "status_reason") : NULL));
	if (!jsonx_get(o, "options"))
		json_object_set_new(o, "options", json_object());
	if (!jsonx_get(o, "metadata"))
		json_object_set_new(o, "metadata", json_object());
	*ret = take_ptr(o);
	return 0;
}

json_t *object_share_server(const json_t *row)
{
	static const char *const shown[] = { "id",     "backend",       "share_network",   "address",    "identifier",
					     "status", "status_reason", "backend_details", "created_at", "updated_at",
					     NULL };
	json_t *o = json_object();

	copy_members(o, row, shown);
	return o;
}

json_t *object_call(const json_t *row)
{
	static const char *const shown[] = { "id",         "method",     "origin",      "parent_call_id",
					     "request_id", "backend",    "object_kind", "object_id",
					     "uid",        "started_at", NULL };
	json_t *record = jsonx_get(row, "record"), *o = json_object();
	const char *state = jsonx_str(row, "state");
	bool ended = strcmp(state, "done") == 0 || strcmp(state, "interrupted") == 0;

	copy_members(o, row, shown);
	if (record)
		json_object_update(o, record);
	json_object_set_new(o, "state", json_string(ended ? state : "unfinished"));
	return o;
}

int object_rules(struct store *st, const char *share_id, json_t **ret, struct error *e)
{
	return select_by(st, STORE_ACCESS_RULES, "share_id", share_id, ret, e);
}
