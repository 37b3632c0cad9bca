#include "daemon/schemas.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/event_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A member is "name:type"; "name-:type" may be missing. Types are those of JSON schemas, "any", "texts" (an object of
 * strings), the name of another schema, and "[type]", a list of it; with "?" at the end it may also be null. */
static const struct schema {
	const char *name;
	const char *members; /* of an object */
	bool open;           /* it may have others besides */
	const char *words;   /* instead: the values of a string */
} schemas[] = {
	{ .name = "share_status",
	  .words = "creating creating_from_snapshot available deleting error error_deleting extending extending_error "
		   "shrinking shrinking_error reverting reverting_error manage_starting manage_error "
		   "unmanage_starting unmanage_error replication_change" },
	{ .name = "snapshot_status",
	  .words = "creating available deleting error error_deleting restoring manage_starting manage_error "
		   "unmanage_starting unmanage_error" },
	{ .name = "share_server_status", .words = "creating active deleting error" },
	{ .name = "replica_state", .words = "active in_sync out_of_sync error" },
	{ .name = "access_state", .words = "queued_to_apply applying updating active queued_to_deny denying error" },
	{ .name = "access_rules_status", .words = "active syncing error" },
	{ .name = "access_type", .words = "ip user cephx" },
	{ .name = "access_level", .words = "rw ro" },
	{ .name = "backend_status", .words = "up down starting" },
	{ .name = "call_state", .words = "queued running working done interrupted unfinished" },
	{ .name = "call_phase", .words = "queued check pre_hook store driver work post_hook periodic done" },
	{ .name = "call_origin", .words = "client start timer call" },
	{ .name = "call_fate", .words = "finished resumed undone error" },
	{ .name = "hook_phase", .words = "pre post periodic error" },

	{ .name = "progress", .members = "percent:number? bytes:integer" },
	{ .name = "export_location", .members = "path:string preferred:boolean is_admin_only:boolean metadata:texts" },
	{ .name = "instance",
	  .members = "id:string share_id:string backend:string status:share_status status_reason:string? "
		     "replica_state:replica_state? provider_location:string? export_locations:[export_location] "
		     "progress:progress? created_at:string updated_at:string" },
	{ .name = "share",
	  .members = "id:string? name:string backend:string share_proto:string size_bytes:integer used_bytes:integer? "
		     "used_at:string? status:share_status status_reason:string? progress:progress? "
		     "export_locations:[export_location] access_rules_status:access_rules_status snapshot_id:string? "
		     "replication_type:string? share_network:string? share_server_id:string? owner_uid:integer? "
		     "metadata:texts warnings:[string] instances:[instance] created_at:string updated_at:string" },
	{ .name = "snapshot_instance",
	  .members = "id:string snapshot_id:string instance_id:string status:snapshot_status status_reason:string? "
		     "provider_location:string? progress:progress? created_at:string updated_at:string" },
	{ .name = "snapshot",
	  .members = "id:string share_id:string name:string size_bytes:integer status:snapshot_status "
		     "status_reason:string? progress:progress? provider_location:string? metadata:texts "
		     "instances:[snapshot_instance] created_at:string updated_at:string" },
	{ .name = "access_rule",
	  .members = "id:string share_id:string access_type:access_type access_to:string access_level:access_level "
		     "options:object state:access_state status_reason:string? metadata:texts access_key-:string "
		     "created_at:string updated_at:string" },
	{ .name = "share_network", .members = "name:string bridge:string addresses:[string] gateway:string?" },
	{ .name = "share_server",
	  .members = "id:string backend:string share_network:string? address:string? identifier:string? "
		     "status:share_server_status "
		     "status_reason:string? backend_details:object? created_at:string updated_at:string" },
	{ .name = "backend",
	  .members = "name:string driver:string status:backend_status status_reason:string? hooks:[hook_entry] "
		     "capabilities:object?" },
	{ .name = "hook_enabled", .members = "pre:boolean post:boolean periodic:boolean error:boolean" },
	{ .name = "hook_entry",
	  .open = true, /* modules add their own */
	  .members = "backend:string name:string entry:string module:string phases:[hook_phase] enabled:hook_enabled "
		     "methods:[string] on_error:string? timeout:number? state:string timeouts_in_row:integer "
		     "left_out_until:string?" },
	{ .name = "hook",
	  .open = true,
	  .members = "backend:string name:string entry:string module:string phases:[hook_phase] enabled:hook_enabled "
		     "methods:[string] on_error:string? timeout:number? state:string timeouts_in_row:integer "
		     "left_out_until:string? calls:integer calls_left_out:integer failures:integer "
		     "suppressed_failures:integer timeouts:integer vetoes:integer duration_ms:hook_durations? "
		     "last_error:string? dropped_ticks:integer" },
	{ .name = "hook_durations", .members = "min:number median:number p99:number max:number" },
	{ .name = "hook_outcome",
	  .members = "hook:string phase:hook_phase outcome:string duration_ms:number error-:string timed_out-:boolean "
		     "left_out-:boolean" },
	{ .name = "hook_test",
	  .members = "accepted:boolean wanted:boolean phase:hook_phase returned:any duration_ms:number error-:error "
		     "event:object" },
	{ .name = "call",
	  .members =
		  "id:string method:string origin:call_origin state:call_state phase-:call_phase backend:string? "
		  "parent_call_id-:string? request_id:string? object_kind-:string? object_id-:string? uid:integer? "
		  "user-:string? gid-:integer? pid-:integer? queued_at-:string started_at-:string? ended_at-:string? "
		  "duration_ms-:number skip_hooks-:boolean outcome-:string error-:error? hooks-:[hook_outcome] "
		  "recovered-:call_fate" },
	{ .name = "orphan",
	  .members = "backend:string kind:string id:string? name-:string? provider_location:string?" },
	{ .name = "limits",
	  .members = "max_request_bytes:integer max_request_depth:integer max_batch_entries:integer "
		     "max_connections:integer max_connections_per_user:integer max_unsent_bytes:integer "
		     "request_line_timeout:number max_queued_calls:integer" },
	{ .name = "counts",
	  .members = "shares:integer snapshots:integer access_rules:integer share_servers:integer backends:integer "
		     "connections:integer calls:integer" },
	{ .name = "driver", .members = "name:string summary:string?" },
	{ .name = "service",
	  .members = "version:string started_at:string pid:integer conf_file:string? limits:limits counts:counts "
		     "drivers:[driver]" },
	{ .name = "subscription", .members = "seq:integer" },
	{ .name = "openrpc", .open = true, .members = "openrpc:string info:object methods:[object] components:object" },

	{ .name = "event",
	  .members = "seq:integer time:string type:event_type object:object call_id:string? uid:integer?" },
	{ .name = "event_backend", .members = "name:string driver:string status_reason:string?" },
	{ .name = "event_stuck", .members = "name:string method:string status_reason:string" },
	{ .name = "event_call", .members = "method:string message:string" },
	{ .name = "event_skipped", .members = "method:string" },
	{ .name = "event_hook", .members = "backend:string name:string status_reason:string?" },
	{ .name = "event_client", .members = "uid:integer pid:integer reason:string" },

	{ .name = "error", .members = "code:integer message:string data:error_data" },
	{ .name = "error_phase", .words = "check pre_hook driver post_hook store" },
	{ .name = "error_data",
	  .members = "kind:error_kind retryable:boolean param-:string object-:any backend-:string hook-:string "
		     "phase-:error_phase errno-:string stderr-:string call_id-:string result-:any limit-:integer" },
	{ .name = NULL },
};

static const struct {
	const char *name, *of;
} pages[] = {
	{ "shares", "share" },
	{ "snapshots", "snapshot" },
	{ "access_rules", "access_rule" },
	{ "replicas", "instance" },
	{ "share_servers", "share_server" },
	{ "share_networks", "share_network" },
	{ "backends", "backend" },
	{ "hooks", "hook" },
	{ "calls", "call" },
	{ "orphans", "orphan" },
};

static json_t *reference(const char *name)
{
	_cleanup_free_ char *path = xasprintf("#/components/schemas/%s", name);

	return jsonx_pack("{s:s}", "$ref", path);
}

static json_t *plain_type(const char *name)
{
	static const char *const types[] = { "string", "integer", "number", "boolean", "object" };

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(name, types[i]) == 0)
			return jsonx_pack("{s:s}", "type", name);
	if (strcmp(name, "any") == 0)
		return json_object();
	if (strcmp(name, "texts") == 0)
		return jsonx_pack("{s:s,s:{s:s}}", "type", "object", "additionalProperties", "type", "string");
	return reference(name);
}

static json_t *or_null(json_t *schema)
{
	json_t *type = json_object_get(schema, "type");

	if (!type)
		return jsonx_pack("{s:[o,{s:s}]}", "anyOf", schema, "type", "null");
	json_object_set_new(schema, "type", jsonx_pack("[O,s]", type, "null"));
	return schema;
}

/* Takes its text apart. */
static json_t *type_schema(char *type)
{
	size_t n = strlen(type);
	bool nullable = type[n - 1] == '?';
	json_t *schema;

	if (nullable)
		type[--n] = '\0';
	if (*type == '[') {
		type[n - 1] = '\0';
		schema = jsonx_pack("{s:s,s:o}", "type", "array", "items", type_schema(type + 1));
	} else {
		schema = plain_type(type);
	}
	return nullable ? or_null(schema) : schema;
}

static json_t *object_schema(const struct schema *s)
{
	_cleanup_free_ char *copy = xstrdup(s->members);
	json_t *properties = json_object(), *required = json_array();
	char *rest = copy, *name;

	while ((name = strsep(&rest, " "))) {
		char *type = strchr(name, ':');
		size_t n = (size_t)(type - name);

		*type++ = '\0';
		if (name[n - 1] == '-')
			name[n - 1] = '\0';
		else
			json_array_append_new(required, json_string(name));
		json_object_set_new(properties, name, type_schema(type));
	}
	return jsonx_pack("{s:s,s:o,s:o,s:b}", "type", "object", "required", required, "properties", properties,
			  "additionalProperties", s->open);
}

static json_t *words_schema(const char *words)
{
	_cleanup_free_ char *copy = xstrdup(words);
	json_t *list = json_array();
	char *rest = copy, *word;

	while ((word = strsep(&rest, " ")))
		json_array_append_new(list, json_string(word));
	return jsonx_pack("{s:s,s:o}", "type", "string", "enum", list);
}

static json_t *event_types(void)
{
	json_t *list = json_array();

	for (const struct event_type *t = event_type_table(); t->name; t++)
		json_array_append_new(list, json_string(t->name));
	return jsonx_pack("{s:s,s:o}", "type", "string", "enum", list);
}

static json_t *error_kinds(void)
{
	json_t *list = json_array();

	for (int k = ERR_NONE + 1; k < ERR_KIND_COUNT; k++)
		json_array_append_new(list, json_string(error_kind_name((enum error_kind)k)));
	return jsonx_pack("{s:s,s:o}", "type", "string", "enum", list);
}

json_t *schemas_json(void)
{
	json_t *all = json_object();

	for (const struct schema *s = schemas; s->name; s++)
		json_object_set_new(all, s->name, s->words ? words_schema(s->words) : object_schema(s));
	json_object_set_new(all, "event_type", event_types());
	json_object_set_new(all, "error_kind", error_kinds());
	return all;
}

static json_t *page_schema(const char *member, const char *of)
{
	return jsonx_pack("{s:s,s:[s,s],s:{s:{s:s,s:o},s:{s:[s,s]}},s:b}", "type", "object", "required", member, "next",
			  "properties", member, "type", "array", "items", reference(of), "next", "type", "string",
			  "null", "additionalProperties", 0);
}

json_t *schema_of_result(const char *result)
{
	_cleanup_free_ char *names = xstrdup(result);
	json_t *any;
	char *rest = names, *name;

	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
		if (strcmp(pages[i].name, result) == 0)
			return page_schema(pages[i].name, pages[i].of);
	if (strcmp(result, "null") == 0)
		return jsonx_pack("{s:s}", "type", "null");
	if (!strchr(result, '|'))
		return reference(result);
	any = json_array();
	while ((name = strsep(&rest, "|")))
		json_array_append_new(any,
				      strcmp(name, "null") == 0 ? jsonx_pack("{s:s}", "type", name) : reference(name));
	return jsonx_pack("{s:o}", "anyOf", any);
}
