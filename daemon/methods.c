#include "daemon/methods.h"

#include <string.h>

/* Rows read like the table in the manual; a new method is a row here and its functions. */

/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers, not expressions */
#define P(n, t, req, ...)                                                                                              \
	{                                                                                                              \
		.name = n, .type = t, .required = req, __VA_ARGS__                                                     \
	}
#define PARAMS(...)                                                                                                    \
	(const struct param[])                                                                                         \
	{                                                                                                              \
		__VA_ARGS__,                                                                                           \
		{                                                                                                      \
			.name = NULL, .help = NULL                                                                     \
		}                                                                                                      \
	}
#define SLOTS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define RESULTS(...)                                                                                                   \
	(const struct result_key[])                                                                                    \
	{                                                                                                              \
		__VA_ARGS__,                                                                                           \
		{                                                                                                      \
			.name = NULL, .shape = SHAPE_OBJECT                                                            \
		}                                                                                                      \
	}
#define MAX_LEN(n) .min = 1, .max = n
#define KEY(n, s)                                                                                                      \
	{                                                                                                              \
		.name = n, .shape = s, .changeable = false                                                             \
	}
#define KEY_CHANGEABLE(n, s)                                                                                           \
	{                                                                                                              \
		.name = n, .shape = s, .changeable = true                                                              \
	}

static const char *const protos[] = { "LOCAL", "NFS", "CIFS", "NFS_CIFS", "CEPHFS", NULL };
static const char *const access_types[] = { "ip", "user", "cephx", NULL };
static const char *const levels[] = { "rw", "ro", NULL };
static const char *const statuses[] = { "available",       "error",           "error_deleting",
					"extending_error", "shrinking_error", "reverting_error",
					"manage_error",    "unmanage_error",  NULL };

#define P_BACKEND(req) P("backend", PARAM_STRING, req, MAX_LEN(255), .help = "name of a backend")
#define P_SHARE        P("share", PARAM_REF, true, .help = "id or name of the share")
#define P_SNAPSHOT     P("snapshot", PARAM_REF, true, .help = "id of the snapshot, or share@snapshot")
#define P_REPLICA      P("replica", PARAM_REF, true, .help = "SHARE@BACKEND, or the id of a replica")
#define P_METADATA     P("metadata", PARAM_METADATA, false, .fallback = "{}", .help = "texts of the caller's own")
#define P_FORCE                                                                                                        \
	P("force", PARAM_BOOL, false, .fallback = "false",                                                             \
	  .help = "go on past errors of the driver; what stays behind is an orphan")
#define P_PAGE                                                                                                         \
	P("limit", PARAM_INT, false, .fallback = "100", .min = 1, .max = 1000,                                         \
	  .help = "most entries of this page; large ones end it earlier"),                                             \
		P("after", PARAM_STRING, false, MAX_LEN(64), .help = "`next` of the page before")
#define P_LEVEL(fb) P("access_level", PARAM_CHOICE, false, .fallback = fb, .choices = levels, .help = "rw or ro")
#define P_OPTIONS(fb)                                                                                                  \
	P("options", PARAM_OBJECT, false, .fallback = fb, .help = "of the protocol: squash, sec, anonuid, anongid")
#define P_LOCATION       P("provider_location", PARAM_STRING, true, MAX_LEN(4095), .help = "where it lies on the backend")
#define P_TYPE(req)      P("access_type", PARAM_CHOICE, req, .choices = access_types, .help = "what access_to is")
#define P_TO(req)        P("access_to", PARAM_STRING, req, MAX_LEN(255), .help = "address, network, user or id")
#define P_DRIVER_OPTIONS P("driver_options", PARAM_OBJECT, false, .fallback = "{}", .help = "for the driver")
#define P_NEW_NAME                                                                                                     \
	P("name", PARAM_NAME, true, .help = "1 to 255 of A-Z a-z 0-9 . _ -, not starting with . or -, not a UUID")

/* NOLINTEND(bugprone-macro-parentheses) */

static const struct method table[] = {
	{ .name = "init_host",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_NO_INTENT | METHOD_ANY_BACKEND_STATE,
	  .params = PARAMS(P_BACKEND(true)),
	  .result = "backend",
	  .results = RESULTS(KEY_CHANGEABLE("shares", SHAPE_LOCATIONS_BY_ID), KEY("failed", SHAPE_ARRAY),
			     KEY("recovered", SHAPE_ARRAY)),
	  .slots = SLOTS("check_for_setup_error", "ensure_shares"),
	  .ops = &ops_init_host,
	  .help = "Sets a backend up: looks whether it is there, decides the fate of half-done calls, checks its "
		  "shares, makes the rules in force equal to the wanted ones." },
	{ .name = "publish_service_capabilities",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_NO_INTENT,
	  .params = PARAMS(P_BACKEND(true)),
	  .result = "backend",
	  .results = RESULTS(KEY_CHANGEABLE("*", SHAPE_STATS)),
	  .slots = SLOTS("get_share_stats"),
	  .ops = &ops_publish,
	  .help = "Asks a backend for its capacity and capabilities and publishes them." },
	{ .name = "create_share_instance",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT | METHOD_LONG,
	  .params = PARAMS(P_NEW_NAME,
			   P("size_bytes", PARAM_SIZE, false,
			     .help = "bytes; may be left out with `snapshot`, then not below its size"),
			   P_BACKEND(false),
			   P("share_proto", PARAM_CHOICE, false, .fallback = "\"LOCAL\"", .choices = protos,
			     .help = "how it is reached"),
			   P("snapshot", PARAM_REF, false, .help = "make it from this snapshot"),
			   P("share_network", PARAM_STRING, false, MAX_LEN(255),
			     .help = "where share servers are used; with `snapshot` its share's may be left out"),
			   P_METADATA, P("uid", PARAM_OWNER, false, .help = "owner of its root; the caller"),
			   P("gid", PARAM_OWNER, false, .help = "group of its root; the caller's"),
			   P("mode", PARAM_MODE, false, .help = "mode of its root, octal")),
	  .result = "share",
	  .results = RESULTS(KEY_CHANGEABLE("export_locations", SHAPE_LOCATIONS),
			     KEY("provider_location", SHAPE_STRING), KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .ops = &ops_create_share,
	  .help = "Creates a share, empty or from a snapshot." },
	{ .name = "delete_share_instance",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT | METHOD_LONG,
	  .params = PARAMS(P_SHARE, P_FORCE),
	  .result = "null",
	  .slots = SLOTS("delete_share"),
	  .ops = &ops_delete_share,
	  .help = "Denies all access to a share and deletes it with its data." },
	{ .name = "manage_share",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT | METHOD_LONG,
	  .params = PARAMS(
		  P_BACKEND(true), P_NEW_NAME, P_LOCATION,
		  P("share_proto", PARAM_CHOICE, false, .fallback = "\"LOCAL\"", .choices = protos,
		    .help = "how it is reached"),
		  P("size_bytes", PARAM_SIZE, false, .help = "its size; what is used, where it is left out"),
		  P("access_rules", PARAM_RULES, false, .fallback = "[]", .help = "put in force in the same step"),
		  P_DRIVER_OPTIONS, P_METADATA,
		  P("dry_run", PARAM_BOOL, false, .fallback = "false",
		    .help = "look, and answer what it would become; change nothing")),
	  .result = "share",
	  .results = RESULTS(KEY("size_bytes", SHAPE_SIZE), KEY_CHANGEABLE("export_locations", SHAPE_LOCATIONS),
			     KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("manage_existing"),
	  .ops = &ops_manage_share,
	  .help = "Adopts what lies on a backend as a share; owner, place and contents stay." },
	{ .name = "unmanage_share",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT,
	  .params = PARAMS(P_SHARE, P_FORCE),
	  .result = "null",
	  .slots = SLOTS("unmanage"),
	  .ops = &ops_unmanage_share,
	  .help = "Forgets a share and its rules; the data stay." },
	{ .name = "extend_share",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_LONG,
	  .params = PARAMS(P_SHARE, P("size_bytes", PARAM_SIZE, true, .help = "the new size, above the present")),
	  .result = "share",
	  .results = RESULTS(KEY("size_bytes", SHAPE_SIZE), KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("extend_share"),
	  .ops = &ops_resize_share,
	  .help = "Makes a share larger." },
	{ .name = "shrink_share",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_LONG,
	  .params = PARAMS(P_SHARE, P("size_bytes", PARAM_SIZE, true, .help = "the new size, below the present")),
	  .result = "share",
	  .results = RESULTS(KEY("size_bytes", SHAPE_SIZE), KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("shrink_share"),
	  .ops = &ops_resize_share,
	  .help = "Makes a share smaller; refused (data_loss) when what is used does not fit." },
	{ .name = "allow_access",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT,
	  .params = PARAMS(P_SHARE, P_TYPE(true), P_TO(true), P_LEVEL("\"rw\""), P_OPTIONS("{}"), P_METADATA),
	  .result = "access_rule",
	  .results = RESULTS(KEY("state", SHAPE_STRING), KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("update_access"),
	  .ops = &ops_allow_access,
	  .help = "Adds an access rule to a share and puts it in force." },
	{ .name = "deny_access",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT,
	  .params = PARAMS(P_SHARE, P("access", PARAM_STRING, false, MAX_LEN(64), .help = "id of the rule"),
			   P_TYPE(false), P_TO(false)),
	  .result = "null",
	  .slots = SLOTS("update_access"),
	  .ops = &ops_deny_access,
	  .help = "Takes an access rule away, by id or by type and target." },
	{ .name = "update_access",
	  .kind = METHOD_HOOKED,
	  .params = PARAMS(P_SHARE, P("access", PARAM_STRING, false, MAX_LEN(64), .help = "id of the rule to change"),
			   P_LEVEL(NULL), P_OPTIONS(NULL)),
	  .result = "share",
	  .results = RESULTS(KEY("rules", SHAPE_OBJECT)),
	  .slots = SLOTS("update_access"),
	  .ops = &ops_update_access,
	  .help = "Changes a rule's level or options; without `access`: makes what is in force equal to the wanted "
		  "rules." },
	{ .name = "create_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT | METHOD_LONG,
	  .params = PARAMS(P_SHARE, P_NEW_NAME, P_METADATA),
	  .result = "snapshot",
	  .results = RESULTS(KEY("provider_location", SHAPE_STRING), KEY("size_bytes", SHAPE_SIZE),
			     KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("create_snapshot"),
	  .ops = &ops_create_snapshot,
	  .taken_as = "create_replicated_snapshot",
	  .help = "Makes a snapshot of a share; of a replicated one it is create_replicated_snapshot, hooks "
		  "included." },
	{ .name = "delete_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT | METHOD_LONG,
	  .params = PARAMS(P_SNAPSHOT, P_FORCE),
	  .result = "null",
	  .slots = SLOTS("delete_snapshot"),
	  .ops = &ops_delete_snapshot,
	  .taken_as = "delete_replicated_snapshot",
	  .help = "Deletes a snapshot; of a replicated share it is delete_replicated_snapshot, hooks included." },
	{ .name = "revert_to_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_LONG,
	  .params = PARAMS(P("snapshot", PARAM_REF, true, .help = "the share's latest snapshot")),
	  .result = "share",
	  .results = RESULTS(KEY("size_bytes", SHAPE_SIZE), KEY_CHANGEABLE("export_locations", SHAPE_LOCATIONS)),
	  .slots = SLOTS("revert_to_snapshot"),
	  .ops = &ops_revert,
	  .help = "Gives a share the contents of its latest snapshot." },
	{ .name = "manage_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT | METHOD_LONG,
	  .params = PARAMS(P_SHARE, P_NEW_NAME, P_LOCATION, P_DRIVER_OPTIONS, P_METADATA),
	  .result = "snapshot",
	  .results = RESULTS(KEY("provider_location", SHAPE_STRING), KEY("size_bytes", SHAPE_SIZE),
			     KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("manage_existing_snapshot"),
	  .ops = &ops_manage_snapshot,
	  .help = "Adopts what lies on a backend as a snapshot of a share." },
	{ .name = "unmanage_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT,
	  .params = PARAMS(P_SNAPSHOT),
	  .result = "null",
	  .slots = SLOTS("unmanage_snapshot"),
	  .ops = &ops_unmanage_snapshot,
	  .help = "Forgets a snapshot; its data stay." },

	{ .name = "create_share_replica",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT | METHOD_LONG,
	  .params = PARAMS(P_SHARE, P_BACKEND(true)),
	  .result = "share",
	  .results = RESULTS(KEY("replica_state", SHAPE_STRING), KEY_CHANGEABLE("export_locations", SHAPE_LOCATIONS)),
	  .slots = SLOTS("create_replica", "delete_replica"),
	  .ops = &ops_create_replica,
	  .help = "Makes a replica of a share on another backend of its replication_domain; until it is promoted it is "
		  "open for reading only (readable), or not at all (dr)." },
	{ .name = "delete_share_replica",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT | METHOD_LONG,
	  .params = PARAMS(P_REPLICA, P_FORCE),
	  .result = "share|null",
	  .slots = SLOTS("delete_replica"),
	  .ops = &ops_delete_replica,
	  .help = "Deletes a replica with its instances of snapshots; never the active one, nor the only instance of a "
		  "snapshot." },
	{ .name = "promote_share_replica",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_LONG | METHOD_UNDONE_AT_ONCE,
	  .params = PARAMS(P_REPLICA,
			   P("force", PARAM_BOOL, false, .fallback = "false",
			     .help = "although it is not in sync, or the active one cannot be shut to writers")),
	  .result = "share",
	  .results = RESULTS(KEY("replicas", SHAPE_REPLICAS), KEY_CHANGEABLE("export_locations", SHAPE_LOCATIONS)),
	  .slots = SLOTS("promote_replica"),
	  .ops = &ops_promote_replica,
	  .help = "Makes a replica the active one, also when the backend of the active one is gone. Of the active one "
		  "itself nothing is changed. Where it fails, the share stays where it was." },
	{ .name = "update_share_replica",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_LONG | METHOD_UNDONE_AT_ONCE,
	  .params = PARAMS(P_REPLICA),
	  .result = "share",
	  .results = RESULTS(KEY("replica_state", SHAPE_STRING)),
	  .slots = SLOTS("update_replica_state"),
	  .ops = &ops_update_replica,
	  .help = "Brings a replica up to date, as each replica_state_update_interval does, and mends one in error. Of "
		  "the active one nothing is changed." },
	{ .name = "create_replicated_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT | METHOD_LONG,
	  .params = PARAMS(P_SHARE, P_NEW_NAME, P_METADATA),
	  .result = "snapshot",
	  .results = RESULTS(KEY("instances", SHAPE_SNAPSHOT_INSTANCES), KEY_CHANGEABLE("metadata", SHAPE_METADATA)),
	  .slots = SLOTS("create_replicated_snapshot", "delete_replicated_snapshot"),
	  .ops = &ops_create_replicated_snapshot,
	  .help = "Makes a snapshot of a replicated share on all its replicas." },
	{ .name = "delete_replicated_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT | METHOD_LONG,
	  .params = PARAMS(P_SNAPSHOT, P_FORCE),
	  .result = "null",
	  .slots = SLOTS("delete_replicated_snapshot"),
	  .ops = &ops_delete_replicated_snapshot,
	  .help = "Deletes a snapshot on all replicas; one whose backend is down follows when that is back." },
	{ .name = "update_replicated_snapshot",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_UNDONE_AT_ONCE,
	  .params = PARAMS(P_SNAPSHOT),
	  .result = "snapshot|null",
	  .results = RESULTS(KEY("instances", SHAPE_SNAPSHOT_INSTANCES)),
	  .slots = SLOTS("update_replicated_snapshot"),
	  .ops = &ops_update_replicated_snapshot,
	  .help = "Asks all replicas for a snapshot, as each replica_state_update_interval does while one of them "
		  "makes "
		  "or deletes it. Null: it is gone." },

	{ .name = "create_share_server",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_ABSENT,
	  .params = PARAMS(P_BACKEND(true), P("share_network", PARAM_STRING, true, MAX_LEN(255),
					      .help = "a share_network section of the conf file")),
	  .result = "share_server",
	  .results = RESULTS(KEY("backend_details", SHAPE_OBJECT)),
	  .slots = SLOTS("setup_server", "teardown_server"),
	  .ops = &ops_create_share_server,
	  .help = "Makes the share server of a network on a backend; shares get theirs by themselves." },
	{ .name = "delete_share_server",
	  .kind = METHOD_HOOKED,
	  .flags = METHOD_IF_PRESENT,
	  .params = PARAMS(P("share_server", PARAM_REF, true, .help = "id of a share server without shares")),
	  .result = "null",
	  .slots = SLOTS("teardown_server"),
	  .ops = &ops_delete_share_server,
	  .help = "Deletes a share server that has no shares." },

	{ .name = "set_metadata",
	  .kind = METHOD_WRITE,
	  .params = PARAMS(P("share", PARAM_REF, false, .help = "id or name of the share"),
			   P("snapshot", PARAM_REF, false, .help = "id of the snapshot, or share@snapshot"),
			   P("access", PARAM_STRING, false, MAX_LEN(64), .help = "id of the access rule"),
			   P("metadata", PARAM_PATCH, true, .help = "texts to set; null removes one")),
	  .result = "share|snapshot|access_rule",
	  .ops = &ops_set_metadata,
	  .help = "Changes the metadata of a share, a snapshot or an access rule; what is not named stays." },
	{ .name = "reset_status",
	  .kind = METHOD_WRITE,
	  .params = PARAMS(P("share", PARAM_REF, false, .help = "id or name of the share"),
			   P("snapshot", PARAM_REF, false, .help = "id of the snapshot, or share@snapshot"),
			   P("status", PARAM_CHOICE, true, .choices = statuses, .help = "the status to write")),
	  .result = "share|snapshot",
	  .ops = &ops_reset_status,
	  .help = "Writes the status of a share or a snapshot, looking at nothing: for when you know better." },
	{ .name = "test_hook",
	  .kind = METHOD_WRITE,
	  .flags = METHOD_NO_INTENT,
	  .params = PARAMS(
		  P_BACKEND(true), P("hook", PARAM_STRING, true, MAX_LEN(4096), .help = "name or entry of the hook"),
		  P("event", PARAM_OBJECT, true, .help = "`phase` and `func_name`; what it lacks comes from a sample")),
	  .result = "hook_test",
	  .ops = &ops_test_hook,
	  .help = "Runs one hook on an event and shows what it answered, and whether that would be taken; changes "
		  "nothing." },
	{ .name = "enable_hook",
	  .kind = METHOD_WRITE,
	  .flags = METHOD_NO_INTENT,
	  .params = PARAMS(P_BACKEND(true),
			   P("hook", PARAM_STRING, true, MAX_LEN(4096), .help = "name or entry of the hook")),
	  .result = "null",
	  .ops = &ops_enable_hook,
	  .help = "Calls a hook again that is left out since it did not answer in time." },
	{ .name = "list_orphans",
	  .kind = METHOD_QUEUED_READ,
	  .params = PARAMS(P_BACKEND(false), P_PAGE),
	  .result = "orphans",
	  .ops = &ops_list_orphans,
	  .help = "Lists what is marked as ours on the backends and is not in the store." },

	{ .name = "list_backends",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_PAGE),
	  .result = "backends",
	  .read = read_list_backends,
	  .help = "Lists the backends." },
	{ .name = "get_backend",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_BACKEND(true)),
	  .result = "backend",
	  .read = read_get_backend,
	  .help = "Shows a backend." },
	{ .name = "list_shares",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_BACKEND(false),
			   P("status", PARAM_STRING, false, MAX_LEN(64), .help = "only those of this status"), P_PAGE),
	  .result = "shares",
	  .read = read_list_shares,
	  .help = "Lists the shares." },
	{ .name = "get_share",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_SHARE),
	  .result = "share",
	  .read = read_get_share,
	  .help = "Shows a share." },
	{ .name = "list_snapshots",
	  .kind = METHOD_READ,
	  .params = PARAMS(P("share", PARAM_REF, false, .help = "only those of this share"), P_PAGE),
	  .result = "snapshots",
	  .read = read_list_snapshots,
	  .help = "Lists the snapshots." },
	{ .name = "get_snapshot",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_SNAPSHOT),
	  .result = "snapshot",
	  .read = read_get_snapshot,
	  .help = "Shows a snapshot." },
	{ .name = "list_access_rules",
	  .kind = METHOD_READ,
	  .params = PARAMS(P("share", PARAM_REF, false, .help = "only those of this share"), P_TO(false), P_PAGE),
	  .result = "access_rules",
	  .read = read_list_access_rules,
	  .help = "Lists the access rules." },
	{ .name = "list_replicas",
	  .kind = METHOD_READ,
	  .params = PARAMS(P("share", PARAM_REF, false, .help = "only those of this share"), P_PAGE),
	  .result = "replicas",
	  .read = read_list_replicas,
	  .help = "Lists the replicas of replicated shares." },
	{ .name = "list_share_networks",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_PAGE),
	  .result = "share_networks",
	  .read = read_list_share_networks,
	  .help = "Lists the networks of the conf file that share servers can be made for." },
	{ .name = "list_share_servers",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_PAGE),
	  .result = "share_servers",
	  .read = read_list_share_servers,
	  .help = "Lists the share servers." },
	{ .name = "list_calls",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_PAGE),
	  .result = "calls",
	  .read = read_list_calls,
	  .help = "Lists calls in the order they began: the last 1000, then those that run or wait." },
	{ .name = "list_hooks",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_BACKEND(false), P_PAGE),
	  .result = "hooks",
	  .read = read_list_hooks,
	  .help = "Lists the hooks of the backends." },
	{ .name = "get_hook",
	  .kind = METHOD_READ,
	  .params = PARAMS(P_BACKEND(true),
			   P("hook", PARAM_STRING, true, MAX_LEN(4096), .help = "name or entry of the hook")),
	  .result = "hook",
	  .read = read_get_hook,
	  .help = "Shows a hook." },
	{ .name = "subscribe",
	  .kind = METHOD_READ,
	  .params =
		  PARAMS(P("types", PARAM_STRINGS, false, .help = "only these types; all of a kind with \"share.*\""),
			 P("since", PARAM_INT, false, .min = 0, .max = INT64_MAX, .help = "also those after this seq")),
	  .result = "subscription",
	  .read = read_subscribe,
	  .help = "From now on this connection also gets events, as notifications of method `event`." },
	{ .name = "get_service",
	  .kind = METHOD_READ,
	  .result = "service",
	  .read = read_get_service,
	  .help = "Shows the daemon: version, limits, counts, drivers." },
	{ .name = "rpc.discover",
	  .kind = METHOD_READ,
	  .result = "openrpc",
	  .read = read_discover,
	  .help = "Describes this interface as an OpenRPC document." },
	{ .name = NULL },
};

static const struct param common[] = {
	P("request_id", PARAM_STRING, false, MAX_LEN(64),
	  .help = "the same call with the same id is done once, and answered the same for a day"),
	P("wait", PARAM_BOOL, false, .fallback = "true", .help = "false: answer before long work is through"),
	P("if_absent", PARAM_BOOL, false, .fallback = "false",
	  .help = "what exists with the same parameters is the answer"),
	P("if_present", PARAM_BOOL, false, .fallback = "false", .help = "nothing there is success"),
	P("skip_hooks", PARAM_BOOL, false, .fallback = "false", .help = "root only: no hook runs"),
	{ .name = NULL },
};

const struct method *method_table(void)
{
	return table;
}

const struct method *method_find(const char *name)
{
	for (const struct method *m = table; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

const struct result_key *method_result_key(const struct method *m, const char *key)
{
	for (const struct result_key *k = m->results; k && k->name; k++)
		if (strcmp(k->name, key) == 0 || strcmp(k->name, "*") == 0)
			return k;
	return NULL;
}

const struct param *method_common_params(void)
{
	return common;
}

bool method_takes(const struct method *m, const char *name)
{
	if (m->kind != METHOD_WRITE && m->kind != METHOD_HOOKED)
		return false;
	if (strcmp(name, "wait") == 0)
		return m->flags & METHOD_LONG;
	if (strcmp(name, "if_absent") == 0)
		return m->flags & METHOD_IF_ABSENT;
	if (strcmp(name, "if_present") == 0)
		return m->flags & METHOD_IF_PRESENT;
	if (strcmp(name, "skip_hooks") == 0)
		return m->kind == METHOD_HOOKED;
	return strcmp(name, "request_id") == 0;
}
