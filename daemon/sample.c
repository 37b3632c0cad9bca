#include "daemon/sample.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/text.h"
#include "daemon/methods.h"

#include <errno.h>
#include <string.h>

#define SHARE_ID    "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a01"
#define INSTANCE_ID "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a02"
#define SNAPSHOT_ID "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a03"
#define ACCESS_ID   "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a04"
#define COPY_ID     "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a05"
#define REPLICA_ID  "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a06"
#define TIME        "2026-01-02T03:04:05.678Z"
#define GIB         ((json_int_t)1024 * 1024 * 1024)

/* ---- the objects ---- */

static json_t *sample_locations(void)
{
	return jsonx_pack("[{s:s,s:b,s:b,s:{}}]", "path", "/srv/media/photos/data", "preferred", 1, "is_admin_only", 0,
			  "metadata");
}

static json_t *sample_instance(const struct backend *b)
{
	return jsonx_pack("{s:s,s:s,s:s,s:s,s:n,s:n,s:s,s:o,s:n,s:s,s:s}", "id", INSTANCE_ID, "share_id", SHARE_ID,
			  "backend", b->name, "status", "available", "status_reason", "replica_state",
			  "provider_location", "photos", "export_locations", sample_locations(), "progress",
			  "created_at", TIME, "updated_at", TIME);
}

static json_t *sample_share(const struct backend *b)
{
	json_t *o = jsonx_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:n,s:n}", "id", SHARE_ID, "name", "photos", "backend",
			       b->name, "share_proto", "LOCAL", "size_bytes", 10 * GIB, "used_bytes", 3 * GIB,
			       "used_at", TIME, "status", "available", "status_reason", "progress");
	json_t *more =
		jsonx_pack("{s:o,s:s,s:n,s:n,s:n,s:n,s:i,s:{s:s},s:[],s:[o],s:s,s:s}", "export_locations",
			   sample_locations(), "access_rules_status", "active", "snapshot_id", "replication_type",
			   "share_network", "share_server_id", "owner_uid", 1000, "metadata", "project", "holidays",
			   "warnings", "instances", sample_instance(b), "created_at", TIME, "updated_at", TIME);

	jsonx_merge(o, more);
	json_decref(more);
	return o;
}

static json_t *sample_snapshot(void)
{
	return jsonx_pack("{s:s,s:s,s:s,s:I,s:s,s:n,s:n,s:s,s:{},s:[{s:s,s:s,s:s,s:s,s:n,s:s,s:n,s:s,s:s}],s:s,s:s}",
			  "id", SNAPSHOT_ID, "share_id", SHARE_ID, "name", "monday", "size_bytes", 10 * GIB, "status",
			  "available", "status_reason", "progress", "provider_location", "photos/monday", "metadata",
			  "instances", "id", COPY_ID, "snapshot_id", SNAPSHOT_ID, "instance_id", INSTANCE_ID, "status",
			  "available", "status_reason", "provider_location", "photos/monday", "progress", "created_at",
			  TIME, "updated_at", TIME, "created_at", TIME, "updated_at", TIME);
}

static json_t *sample_access(void)
{
	return jsonx_pack("{s:s,s:s,s:s,s:s,s:s,s:{},s:s,s:n,s:{},s:s,s:s}", "id", ACCESS_ID, "share_id", SHARE_ID,
			  "access_type", "user", "access_to", "ann", "access_level", "rw", "options", "state", "active",
			  "status_reason", "metadata", "created_at", TIME, "updated_at", TIME);
}

static const struct param *param_of(const struct method *m, const char *name)
{
	for (const struct param *p = m->params; p && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* Those that a call of the method names. */
static json_t *sample_objects(const struct method *m, const struct backend *b)
{
	const struct param *snapshot = param_of(m, "snapshot");
	bool has_snapshot = snapshot && snapshot->required;
	json_t *o = json_object();

	if (has_snapshot || param_of(m, "share") || param_of(m, "replica"))
		json_object_set_new(o, "share", sample_share(b));
	if (has_snapshot)
		json_object_set_new(o, "snapshot", sample_snapshot());
	if (param_of(m, "access"))
		json_object_set_new(o, "access", sample_access());
	return o;
}

/* ---- args ---- */

static json_int_t sample_size(const struct method *m)
{
	if (strcmp(m->name, "extend_share") == 0)
		return 20 * GIB;
	return strcmp(m->name, "shrink_share") == 0 ? 5 * GIB : 10 * GIB;
}

static json_t *value_by_name(const struct method *m, const struct backend *b, const char *name)
{
	const struct {
		const char *name, *value;
	} known[] = {
		{ "backend", b->name },
		{ "share", SHARE_ID },
		{ "snapshot", SNAPSHOT_ID },
		{ "access", ACCESS_ID },
		{ "replica", INSTANCE_ID },
		{ "access_type", "user" },
		{ "access_to", "ann" },
		{ "access_level", "rw" },
		{ "provider_location", "photos" },
		{ "name", strcmp(m->result, "snapshot") == 0 ? "monday" : "photos" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].name, name) == 0)
			return json_string(known[i].value);
	return NULL;
}

/* NULL: a call without it has no such member. */
static json_t *sample_value(const struct method *m, const struct backend *b, const struct param *p)
{
	json_t *v = value_by_name(m, b, p->name);

	if (v && (p->required || p->type != PARAM_REF))
		return v;
	json_decref(v);
	if (p->fallback)
		return json_loads(p->fallback, JSON_DECODE_ANY, NULL);
	if (p->type == PARAM_SIZE)
		return json_integer(sample_size(m));
	if (p->type == PARAM_MODE)
		return json_string("0770");
	if (p->type == PARAM_OWNER)
		return json_integer(1000);
	return p->required ? json_string("text") : NULL;
}

static json_t *sample_args(const struct method *m, const struct backend *b)
{
	json_t *args = json_object();
	const char *id = param_of(m, "share") && strcmp(m->result, "share") == 0 ? REPLICA_ID
			 : strcmp(m->result, "share") == 0                       ? SHARE_ID
			 : strcmp(m->result, "snapshot") == 0                    ? SNAPSHOT_ID
										 : ACCESS_ID;

	for (const struct param *p = m->params; p && p->name; p++) {
		json_t *v = sample_value(m, b, p);

		if (v)
			json_object_set_new(args, p->name, v);
	}
	/* A rule that is named by its id is known. */
	if (param_of(m, "access")) {
		json_object_set_new(args, "access_type", json_string("user"));
		json_object_set_new(args, "access_to", json_string("ann"));
	}
	/* What a call makes has its id from the start. */
	if (m->flags & METHOD_IF_ABSENT)
		json_object_set_new(args, "id", json_string(id));
	if (strcmp(m->name, "create_share_instance") == 0)
		json_object_set_new(args, "instance_id", json_string(INSTANCE_ID));
	return args;
}

/* ---- results ---- */

static json_t *sample_result_value(const struct method *m, const struct result_key *k)
{
	switch (k->shape) {
	case SHAPE_LOCATIONS:
		return sample_locations();
	case SHAPE_STRING:
		return json_string(strcmp(k->name, "state") == 0 ? "active" : "photos");
	case SHAPE_SIZE:
		return json_integer(sample_size(m));
	case SHAPE_REPLICAS:
		return jsonx_pack("{s:{s:s}}", INSTANCE_ID, "replica_state", "active");
	case SHAPE_SNAPSHOT_INSTANCES:
		return jsonx_pack("{s:{s:s,s:s}}", COPY_ID, "status", "available", "provider_location",
				  "photos/monday");
	case SHAPE_LOCATIONS_BY_ID:
		return jsonx_pack("{s:o}", SHARE_ID, sample_locations());
	case SHAPE_ARRAY:
		return json_array();
	case SHAPE_OBJECT:
		return jsonx_pack("{s:s}", ACCESS_ID, "active"); /* update_access: rules by id */
	case SHAPE_METADATA:
	case SHAPE_STATS:
	case SHAPE_ENSURED:
		break;
	}
	return json_object();
}

static json_t *sample_results(const struct method *m, const struct backend *b)
{
	json_t *o = json_object();

	for (const struct result_key *k = m->results; k && k->name; k++) {
		if (k->shape != SHAPE_STATS)
			json_object_set_new(o, k->name, sample_result_value(m, k));
		else if (b->capabilities)
			json_object_update(o, b->capabilities);
	}
	return o;
}

static json_t *sample_result(const struct method *m, const struct backend *b)
{
	if (strncmp(m->result, "share", 5) == 0 && (!m->result[5] || m->result[5] == '|'))
		return sample_share(b);
	if (strncmp(m->result, "snapshot", 8) == 0)
		return sample_snapshot();
	if (strcmp(m->result, "access_rule") == 0)
		return sample_access();
	return strcmp(m->result, "backend") == 0 ? backend_json(b) : json_null();
}

static json_t *sample_error(const struct backend *b)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	error_set(&e, ERR_NO_SPACE, ENOSPC, "no space is left on backend \"%s\"", b->name);
	error_add(&e, "phase", json_string("driver"));
	return error_to_json(&e);
}

/* ---- the event ---- */

static void add_call(json_t *event, const struct method *m, const struct backend *b, const char *phase)
{
	json_object_set_new(event, "args", sample_args(m, b));
	json_object_set_new(event, "objects", sample_objects(m, b));
	if (strcmp(phase, "pre") == 0)
		return;
	json_object_set_new(event, "pre_hook_data", json_null());
	if (strcmp(phase, "error") == 0) {
		json_object_set_new(event, "error", sample_error(b));
		return;
	}
	json_object_set_new(event, "pre_hook_error", json_null());
	json_object_set_new(event, "driver_action_results", sample_results(m, b));
	json_object_set_new(event, "result", sample_result(m, b));
}

static json_t *sample_periodic(const struct backend *b)
{
	json_t *share = sample_share(b);

	json_object_set_new(share, "access_rules", jsonx_pack("[o]", sample_access()));
	json_object_set_new(share, "instance_id", json_string(INSTANCE_ID));
	return jsonx_pack("[o]", share);
}

int sample_event(const struct engine *en, const struct backend *b, const struct call *c, const json_t *options,
		 const json_t *given, json_t **ret, struct error *e)
{
	const char *phase = jsonx_str(given, "phase"), *func_name = jsonx_str(given, "func_name");
	bool periodic = phase && strcmp(phase, "periodic") == 0;
	const struct method *m = func_name && !periodic ? method_find(func_name) : NULL;
	json_t *event;
	char now[32];

	if (!phase || (!periodic && (!m || m->kind != METHOD_HOOKED)))
		return error_param(e, "event", "event: \"func_name\" must be a method with hooks, not \"%s\"",
				   func_name ? func_name : "");
	text_now(now);
	event = jsonx_pack("{s:i,s:s,s:o,s:s,s:s,s:o,s:o,s:o}", "version", 1, "phase", phase, "func_name",
			   jsonx_string(periodic ? NULL : func_name), "time", now, "host", en->host, "backend",
			   backend_event_json(b), "context", call_context_json(c), "options", json_deep_copy(options));
	if (periodic)
		json_object_set_new(event, "periodic_hook_data", sample_periodic(b));
	else
		add_call(event, m, b, phase);
	json_object_update_recursive(event, (json_t *)given);
	*ret = event;
	return 0;
}
