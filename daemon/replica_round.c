#include "daemon/replica_round.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "daemon/backend.h"
#include "daemon/call_run.h"
#include "daemon/methods.h"
#include "daemon/objects.h"
#include "daemon/replicas.h"

#include <string.h>

/* ---- what is to be done ---- */

static void add(struct backend *b, const char *method, const char *param, const char *id)
{
	json_array_append_new(b->to_update, jsonx_pack("{s:s,s:s,s:s}", "method", method, "param", param, "id", id));
}

static bool is_under_way(const char *status)
{
	return strcmp(status, "creating") == 0 || strcmp(status, "deleting") == 0;
}

/* A snapshot with instances on several replicas of the backend is asked for once. */
static void add_snapshots(struct engine *en, struct backend *b, const json_t *instance, json_t *seen)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "instance_id", json_object_get(instance, "id")),
			      *rows = NULL;
	json_t *row;
	size_t i;

	if (store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where }, &rows, NULL) < 0)
		return;
	json_array_foreach(rows, i, row) {
		const char *id = jsonx_str(row, "snapshot_id");

		if (!is_under_way(jsonx_str(row, "status")) || json_object_get(seen, id))
			continue;
		json_object_set_new(seen, id, json_true());
		add(b, "update_replicated_snapshot", "snapshot", id);
	}
}

void replica_round_begin(struct engine *en, const char *backend)
{
	struct backend *b = backend_find(en, backend);
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "backend", backend), *rows = NULL, *seen = json_object();
	json_t *row;
	size_t i;

	if (!b || b->to_update || b->status != BACKEND_UP ||
	    store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where }, &rows, NULL) < 0)
		return;
	b->to_update = json_array();
	json_array_foreach(rows, i, row) {
		if (!jsonx_get(row, "replica_state"))
			continue;
		if (!replica_is_active(row) && backend_has_slot(b, "update_replica_state"))
			add(b, "update_share_replica", "replica", jsonx_str(row, "id"));
		if (backend_has_slot(b, "update_replicated_snapshot"))
			add_snapshots(en, b, row, seen);
	}
}

/* ---- step by step ---- */

/* One transfer of a round at a time: the next one waits for its end. */
static bool is_at_work(const struct engine *en, const struct backend *b)
{
	for (const struct call *p = en->parked; p; p = p->next)
		if (p->backend == b && p->method && p->origin == HOOK_ORIGIN_TIMER)
			return true;
	return false;
}

static bool is_due(const struct engine *en, const struct backend *b)
{
	return b->to_update && (b->status != BACKEND_UP || !is_at_work(en, b));
}

bool replica_round_is_due(const struct engine *en)
{
	for (const struct backend *b = en->backends; b; b = b->next)
		if (is_due(en, b))
			return true;
	return false;
}

static bool is_parked(const struct engine *en, const char *id)
{
	for (const struct call *p = en->parked; p; p = p->next)
		if ((p->instance && strcmp(jsonx_str(p->instance, "id"), id) == 0) ||
		    (p->snapshot && strcmp(jsonx_str(p->snapshot, "id"), id) == 0))
			return true;
	return false;
}

/* Things may have changed since the round began: what would only be refused is no call. */
static bool replica_wants(struct engine *en, const char *id)
{
	_cleanup_json_ json_t *row = NULL, *active = NULL;
	const struct backend *from;
	const char *status;

	if (store_get(en->st, STORE_INSTANCES, "id", id, &row, NULL) < 0 || replica_is_active(row) ||
	    object_instance_of(en->st, jsonx_str(row, "share_id"), &active, NULL) < 0)
		return false;
	/* A source that is away is no fault of the replica, which stays what it is until it is promoted. */
	from = backend_find(en, jsonx_str(active, "backend"));
	status = jsonx_str(row, "status");
	return from && from->status == BACKEND_UP && (strcmp(status, "available") == 0 || strcmp(status, "error") == 0);
}

static bool snapshot_wants(struct engine *en, const char *id)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "snapshot_id", id), *rows = NULL, *snapshot = NULL,
			      *active = NULL;
	const struct backend *b;
	bool wants = false;
	json_t *row;
	size_t i;

	if (store_get(en->st, STORE_SNAPSHOTS, "id", id, &snapshot, NULL) < 0 ||
	    object_instance_of(en->st, jsonx_str(snapshot, "share_id"), &active, NULL) < 0 ||
	    store_select(en->st, STORE_SNAPSHOT_INSTANCES, &(struct store_query){ .where = where }, &rows, NULL) < 0)
		return false;
	json_array_foreach(rows, i, row)
		wants = wants || is_under_way(jsonx_str(row, "status"));
	/* Its hooks are those of the active replica's backend. */
	b = backend_find(en, jsonx_str(active, "backend"));
	return wants && b && b->status == BACKEND_UP;
}

static void run(struct engine *en, const json_t *todo)
{
	const char *id = jsonx_str(todo, "id"), *param = jsonx_str(todo, "param");
	struct call *c;

	if (is_parked(en, id) || !(strcmp(param, "replica") == 0 ? replica_wants(en, id) : snapshot_wants(en, id)))
		return;
	c = call_new(method_find(jsonx_str(todo, "method")), HOOK_ORIGIN_TIMER);
	c->params = jsonx_pack("{s:s}", param, id);
	call_announce(en, c);
	call_run(en, c);
}

void replica_round_step(struct engine *en)
{
	for (struct backend *b = en->backends; b; b = b->next) {
		_cleanup_json_ json_t *todo = NULL;

		if (!is_due(en, b))
			continue;
		todo = b->status == BACKEND_UP ? json_incref(json_array_get(b->to_update, 0)) : NULL;
		if (todo) {
			json_array_remove(b->to_update, 0);
			run(en, todo);
			return;
		}
		/* Done, or the backend went away: the next round sees to the rest. */
		json_decref(b->to_update);
		b->to_update = NULL;
	}
}
