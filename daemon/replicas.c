#include "daemon/replicas.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/call_run.h"
#include "daemon/methods.h"
#include "daemon/objects.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>

int replica_rows(struct engine *en, const char *share_id, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "share_id", share_id);

	return store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where }, ret, e);
}

bool replica_is_active(const json_t *instance)
{
	const char *state = jsonx_str(instance, "replica_state");

	return state && strcmp(state, "active") == 0;
}

static int no_replica(struct error *e, const char *ref)
{
	error_set(e, ERR_NOT_FOUND, ENOENT, "there is no replica %s: list_replicas shows those that there are", ref);
	error_add(e, "param", json_string("replica"));
	error_add(e, "object", json_string(ref));
	return -ENOENT;
}

/* SHARE@BACKEND */
static int find_named(struct engine *en, const char *ref, json_t **ret_row, struct error *e)
{
	const char *at = strchr(ref, '@');
	_cleanup_free_ char *share_ref = at ? xstrndup(ref, (size_t)(at - ref)) : NULL;
	_cleanup_json_ json_t *share = NULL, *rows = NULL;
	json_t *row;
	size_t i;
	int r = at ? store_get(en->st, STORE_SHARES, text_is_uuid(share_ref) ? "id" : "name", share_ref, &share, e)
		   : -ENOENT;

	if (r < 0 || (r = replica_rows(en, jsonx_str(share, "id"), &rows, e)) < 0)
		return r;
	json_array_foreach(rows, i, row)
		if (strcmp(jsonx_str(row, "backend"), at + 1) == 0) {
			*ret_row = json_incref(row);
			return 0;
		}
	return -ENOENT;
}

int resolve_replica(struct engine *en, struct call *c, const char *ref, struct error *e)
{
	int r = text_is_uuid(ref) ? store_get(en->st, STORE_INSTANCES, "id", ref, &c->instance, e)
				  : find_named(en, ref, &c->instance, e);

	if (r == -ENOENT || (r == 0 && !jsonx_get(c->instance, "replica_state")))
		return no_replica(e, ref);
	if (r < 0 || (r = object_find_share(en->st, jsonx_str(c->instance, "share_id"), "replica", &c->share, e)) < 0 ||
	    (r = load_server(en, c, e)) < 0)
		return r;
	free(c->object_kind);
	free(c->object_id);
	c->object_kind = xstrdup("share_replica");
	c->object_id = xstrdup(jsonx_str(c->instance, "id"));
	c->backend = backend_find(en, jsonx_str(c->instance, "backend"));
	if (!c->backend)
		return error_set(e, ERR_BACKEND_DOWN, ENODEV,
				 "backend \"%s\" is not in the conf file: put its section back",
				 jsonx_str(c->instance, "backend"));
	return 0;
}

static bool is_promotion(const struct call *c)
{
	return c->method && strcmp(c->method->name, "promote_share_replica") == 0;
}

int need_quiet_replica(struct engine *en, const struct call *c, const json_t *instance, struct error *e)
{
	const char *id = jsonx_str(instance, "id"), *share_id = jsonx_str(c->share, "id");

	for (const struct call *p = en->parked; p; p = p->next) {
		if (!p->method || !p->instance || !p->share || strcmp(jsonx_str(p->share, "id"), share_id) != 0)
			continue;
		if (!is_promotion(p) && strcmp(jsonx_str(p->instance, "id"), id) != 0)
			continue;
		error_set(e, ERR_BUSY, EBUSY,
			  "a %s of share \"%s\" goes on: try again when that is through (list_calls "
			  "shows it)",
			  p->method->name, jsonx_str(c->share, "name"));
		error_add(e, "object", json_string(id));
		return -EBUSY;
	}
	return 0;
}

struct call *replica_part(struct engine *en, struct call *c, const json_t *instance)
{
	struct call *part = call_new(c->method, c->origin);

	snprintf(part->id, sizeof part->id, "%s", c->id);
	part->part_of = c->part_of ? c->part_of : c;
	part->recovering = c->recovering;
	part->backend = backend_find(en, jsonx_str(instance, "backend"));
	part->share = json_incref(c->share);
	part->instance = json_incref((json_t *)instance);
	part->snapshot = c->snapshot ? json_incref(c->snapshot) : NULL;
	load_server(en, part, NULL);
	return part;
}

bool replica_part_is_up(const struct call *part)
{
	return part->backend && part->backend->status == BACKEND_UP;
}

/* Where a peer's data lie on this host: a driver that is on two backends can bring them over by itself. */
static json_t *place_of(struct engine *en, struct call *c, const json_t *instance)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *values = NULL;
	struct call *part = replica_part(en, c, instance);
	json_t *path = NULL;

	if (replica_part_is_up(part) && backend_has_slot(part->backend, "locate_share") &&
	    jsonx_get(instance, "provider_location")) {
		if (backend_invoke(en, part->backend, part, "locate_share", input_of(part), &values, &e) == 0)
			path = json_incref(json_object_get(values, "path"));
		else
			log_debug("a replica's place is not known: %s", e.message);
	}
	call_free(part);
	return path;
}

int replica_input(struct engine *en, struct call *c, struct input **ret, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	struct input *in;
	json_t *row;
	size_t i;
	int r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);

	if (r < 0)
		return r;
	in = input_of(c);
	json_array_foreach(rows, i, row) {
		_cleanup_json_ json_t *path = place_of(en, c, row);

		if ((r = add_share_to(en, in, c->share, row, e)) < 0) {
			input_free(in);
			return r;
		}
		input_add_place(in, path);
	}
	*ret = in;
	return 0;
}

int replica_add_snapshot(struct engine *en, struct input *in, const json_t *snapshot, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "snapshot_id", json_object_get(snapshot, "id")),
			      *rows = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row)
		input_add_snapshot(in, snapshot, row);
	return r;
}

int replica_add_snapshots(struct engine *en, const struct call *c, struct input *in, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "share_id", json_object_get(c->share, "id")), *rows = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_SNAPSHOTS, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = replica_add_snapshot(en, in, row, e);
	return r;
}

int replica_whole_input(struct engine *en, struct call *c, struct input **ret, struct error *e)
{
	struct input *in;
	int r = replica_input(en, c, &in, e);

	if (r < 0)
		return r;
	if ((r = access_add_wanted(en, c, in, NULL, NULL, e)) < 0 || (r = replica_add_snapshots(en, c, in, e)) < 0) {
		input_free(in);
		return r;
	}
	*ret = in;
	return 0;
}

json_t *replica_args(const struct call *c)
{
	json_t *args = json_copy(c->params);

	json_object_set(args, "share", json_object_get(c->share, "id"));
	return args;
}

int set_replica(struct engine *en, const struct call *c, const char *status, const char *state, const char *reason,
		struct error *e)
{
	return set_instance(en, c,
			    jsonx_pack("{s:s,s:s,s:o}", "status", status, "replica_state", state, "status_reason",
				       jsonx_string(reason)),
			    e);
}

int replica_state_of(const struct call *c, const char *said, const char **ret, struct error *e)
{
	static const char *const words[] = { "in_sync", "out_of_sync", "error" };

	*ret = "out_of_sync";
	if (!said)
		return 0;
	if (strcmp(said, "active") == 0) {
		log_warning("driver %s says that replica %s is active, and only promote_share_replica makes it so: it "
			    "counts as out_of_sync",
			    c->backend->driver, jsonx_str(c->instance, "id"));
		return 0;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(said, words[i]) == 0) {
			*ret = words[i];
			return 0;
		}
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
			 "driver %s answered the unknown replica_state \"%s\": there are in_sync, out_of_sync, error",
			 c->backend->driver, said);
}

void replica_event(struct engine *en, struct call *c, const char *instance_id)
{
	_cleanup_json_ json_t *row = NULL;
	_cleanup_free_ char *type = NULL;
	const char *status;

	if (store_get(en->st, STORE_INSTANCES, "id", instance_id, &row, NULL) < 0)
		return;
	status = jsonx_str(row, "status");
	type = xasprintf("share_replica.%s",
			 strcmp(status, "error_deleting") == 0 ? status : jsonx_str(row, "replica_state"));
	call_event(c, type, object_instance(row));
}

int replica_settle_rules(struct engine *en, const struct call *c, struct error *e)
{
	const char *reason = jsonx_str(c->more, "reason"), *id = jsonx_str(c->instance, "id");

	return reason ? access_set_all(en, jsonx_str(c->share, "id"), id, "error", reason, e)
		      : access_settle(en, c, json_object_get(c->more, "rules"), e);
}

int replica_leave(struct engine *en, struct call *c, struct error *e)
{
	(void)en;
	(void)c;
	(void)e;
	return 0;
}

int drop_snapshot_instance(struct engine *en, const json_t *instance, struct error *e)
{
	const char *snapshot_id = jsonx_str(instance, "snapshot_id");
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "snapshot_id", snapshot_id);
	int64_t others;
	int r;

	if ((r = store_delete(en->st, STORE_SNAPSHOT_INSTANCES, jsonx_str(instance, "id"), e)) < 0 ||
	    (r = store_count(en->st, STORE_SNAPSHOT_INSTANCES, where, &others, e)) < 0 || others > 0)
		return r;
	return store_delete(en->st, STORE_SNAPSHOTS, snapshot_id, e);
}

void replica_ask_snapshots(struct engine *en, struct call *c)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "instance_id", c->object_id), *rows = NULL;
	json_t *row;
	size_t i;

	if (!backend_has_slot(c->backend, "update_replicated_snapshot") ||
	    store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where }, &rows, NULL) < 0)
		return;
	json_array_foreach(rows, i, row) {
		const char *status = jsonx_str(row, "status");
		struct call *one;

		if (strcmp(status, "creating") != 0 && strcmp(status, "deleting") != 0)
			continue;
		one = call_new(method_find("update_replicated_snapshot"), HOOK_ORIGIN_CALL);
		one->params = jsonx_pack("{s:O}", "snapshot", json_object_get(row, "snapshot_id"));
		call_run_nested(en, c, one);
	}
}
