#include "daemon/store_schema.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define TEXT      STORE_TEXT, false
#define NEEDED    STORE_TEXT, true
#define INTEGER   STORE_INTEGER, false
#define JSON      STORE_JSON, false
#define OBJECT    STORE_OBJECT, false
#define TEXTS     STORE_TEXTS, false
#define LIST      STORE_LIST, false
#define LOCATIONS STORE_LOCATIONS, false

/* In the order of the SQL below. Large values stand last, since SQLite reads a row up to the last column it needs. */
static const struct store_column backends[] = {
	{ "seq", INTEGER }, { "id", NEEDED }, { "name", NEEDED }, { "driver", NEEDED }, { "created_at", TEXT },
};
static const struct store_column shares[] = {
	{ "seq", INTEGER },          { "id", NEEDED },         { "name", NEEDED },           { "share_proto", TEXT },
	{ "size_bytes", INTEGER },   { "snapshot_id", TEXT },  { "replication_type", TEXT }, { "share_network", TEXT },
	{ "share_server_id", TEXT }, { "owner_uid", INTEGER }, { "root_uid", INTEGER },      { "root_gid", INTEGER },
	{ "root_mode", INTEGER },    { "created_at", TEXT },   { "updated_at", TEXT },       { "metadata", TEXTS },
	{ "warnings", LIST },
};
static const struct store_column instances[] = {
	{ "seq", INTEGER },
	{ "id", NEEDED },
	{ "share_id", NEEDED },
	{ "backend", NEEDED },
	{ "status", NEEDED },
	{ "status_reason", TEXT },
	{ "replica_state", TEXT },
	{ "provider_location", TEXT },
	{ "used_bytes", INTEGER },
	{ "used_at", TEXT },
	{ "share_server_id", TEXT },
	{ "created_at", TEXT },
	{ "updated_at", TEXT },
	{ "export_locations", LOCATIONS },
	{ "hook_export_locations", LOCATIONS },
	{ "export_number", INTEGER },
};
static const struct store_column snapshots[] = {
	{ "seq", INTEGER },        { "id", NEEDED },       { "share_id", NEEDED }, { "name", NEEDED },
	{ "size_bytes", INTEGER }, { "created_at", TEXT }, { "updated_at", TEXT }, { "metadata", TEXTS },
};
static const struct store_column snapshot_instances[] = {
	{ "seq", INTEGER },     { "id", NEEDED },          { "snapshot_id", NEEDED },     { "instance_id", NEEDED },
	{ "status", NEEDED },   { "status_reason", TEXT }, { "provider_location", TEXT }, { "created_at", TEXT },
	{ "updated_at", TEXT },
};
static const struct store_column access_rules[] = {
	{ "seq", INTEGER },      { "id", NEEDED },        { "share_id", NEEDED },     { "access_type", NEEDED },
	{ "access_to", NEEDED }, { "canonical", NEEDED }, { "access_level", NEEDED }, { "created_at", TEXT },
	{ "updated_at", TEXT },  { "options", OBJECT },   { "metadata", TEXTS },
};
static const struct store_column access_states[] = {
	{ "seq", INTEGER },  { "id", NEEDED },          { "access_id", NEEDED }, { "instance_id", NEEDED },
	{ "state", NEEDED }, { "status_reason", TEXT }, { "access_key", TEXT },
};
static const struct store_column share_servers[] = {
	{ "seq", INTEGER },        { "id", NEEDED },
	{ "backend", NEEDED },     { "share_network", TEXT },
	{ "identifier", TEXT },    { "status", NEEDED },
	{ "status_reason", TEXT }, { "created_at", TEXT },
	{ "updated_at", TEXT },    { "backend_details", OBJECT },
	{ "address", TEXT },
};
static const struct store_column calls[] = {
	{ "seq", INTEGER },      { "id", NEEDED },       { "method", NEEDED }, { "backend", TEXT },
	{ "object_kind", TEXT }, { "object_id", TEXT },  { "origin", TEXT },   { "parent_call_id", TEXT },
	{ "uid", INTEGER },      { "request_id", TEXT }, { "state", NEEDED },  { "started_at", TEXT },
	{ "ended_at", TEXT },    { "request", OBJECT },  { "intent", OBJECT }, { "outcome", OBJECT },
	{ "record", OBJECT },
};
static const struct store_column events[] = {
	{ "seq", INTEGER },  { "time", NEEDED }, { "type", NEEDED },
	{ "call_id", TEXT }, { "uid", INTEGER }, { "object", JSON },
};

#define COLUMNS(array) .columns = (array), .count = sizeof(array) / sizeof *(array)

const struct store_schema store_schemas[STORE_TABLE_COUNT] = {
	[STORE_BACKENDS] = { .name = "backends", COLUMNS(backends) },
	[STORE_SHARES] = { .name = "shares", COLUMNS(shares) },
	[STORE_INSTANCES] = { .name = "instances", COLUMNS(instances) },
	[STORE_SNAPSHOTS] = { .name = "snapshots", COLUMNS(snapshots) },
	[STORE_SNAPSHOT_INSTANCES] = { .name = "snapshot_instances", COLUMNS(snapshot_instances) },
	[STORE_ACCESS_RULES] = { .name = "access_rules", COLUMNS(access_rules) },
	[STORE_ACCESS_STATES] = { .name = "access_states", COLUMNS(access_states) },
	[STORE_SHARE_SERVERS] = { .name = "share_servers", COLUMNS(share_servers) },
	[STORE_CALLS] = { .name = "calls", COLUMNS(calls) },
	[STORE_EVENTS] = { .name = "events", COLUMNS(events) },
};

unsigned store_column_index(enum store_table t, const char *name)
{
	const struct store_schema *s = &store_schemas[t];

	for (unsigned i = 0; i < s->count; i++)
		if (strcmp(s->columns[i].name, name) == 0)
			return i;
	log_error("the store's table %s has no column \"%s\": this is a fault in sharesd", s->name, name);
	abort();
}

/* References are checked at the commit, so the order in which a share's rows go does not matter.
 *
 * Each page that a call changes is written at once and again later, so there is no index that nobody asks: calls and
 * events, of which each call adds some, are changed by their seq. */
static const char version_1[] =
	"CREATE TABLE backends ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, created_at TEXT"
	") STRICT;"

	"CREATE TABLE shares ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" name TEXT NOT NULL UNIQUE, share_proto TEXT, size_bytes INTEGER, snapshot_id TEXT, replication_type TEXT,"
	" share_network TEXT, share_server_id TEXT, owner_uid INTEGER, root_uid INTEGER, root_gid INTEGER,"
	" root_mode INTEGER, created_at TEXT, updated_at TEXT, metadata TEXT, warnings TEXT"
	") STRICT;"

	"CREATE TABLE instances ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" share_id TEXT NOT NULL REFERENCES shares (id) DEFERRABLE INITIALLY DEFERRED,"
	" backend TEXT NOT NULL, status TEXT NOT NULL, status_reason TEXT, replica_state TEXT, provider_location TEXT,"
	" used_bytes INTEGER, used_at TEXT, share_server_id TEXT, created_at TEXT, updated_at TEXT,"
	" export_locations TEXT, hook_export_locations TEXT"
	") STRICT;"
	"CREATE INDEX instances_by_share ON instances (share_id);"
	"CREATE INDEX instances_by_backend ON instances (backend);"

	"CREATE TABLE snapshots ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" share_id TEXT NOT NULL REFERENCES shares (id) DEFERRABLE INITIALLY DEFERRED,"
	" name TEXT NOT NULL, size_bytes INTEGER, created_at TEXT, updated_at TEXT, metadata TEXT,"
	" UNIQUE (share_id, name)"
	") STRICT;"

	"CREATE TABLE snapshot_instances ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" snapshot_id TEXT NOT NULL REFERENCES snapshots (id) DEFERRABLE INITIALLY DEFERRED,"
	" instance_id TEXT NOT NULL, status TEXT NOT NULL, status_reason TEXT, provider_location TEXT,"
	" created_at TEXT, updated_at TEXT"
	") STRICT;"
	"CREATE INDEX snapshot_instances_by_snapshot ON snapshot_instances (snapshot_id);"
	"CREATE INDEX snapshot_instances_by_instance ON snapshot_instances (instance_id);"

	"CREATE TABLE access_rules ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" share_id TEXT NOT NULL REFERENCES shares (id) DEFERRABLE INITIALLY DEFERRED,"
	" access_type TEXT NOT NULL, access_to TEXT NOT NULL, canonical TEXT NOT NULL, access_level TEXT NOT NULL,"
	" created_at TEXT, updated_at TEXT, options TEXT, metadata TEXT,"
	" UNIQUE (share_id, access_type, canonical)"
	") STRICT;"

	"CREATE TABLE access_states ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" access_id TEXT NOT NULL REFERENCES access_rules (id) DEFERRABLE INITIALLY DEFERRED,"
	" instance_id TEXT NOT NULL REFERENCES instances (id) DEFERRABLE INITIALLY DEFERRED,"
	" state TEXT NOT NULL, status_reason TEXT, access_key TEXT,"
	" UNIQUE (access_id, instance_id)"
	") STRICT;"
	"CREATE INDEX access_states_by_instance ON access_states (instance_id);"

	"CREATE TABLE share_servers ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" backend TEXT NOT NULL, share_network TEXT, identifier TEXT, status TEXT NOT NULL, status_reason TEXT,"
	" created_at TEXT, updated_at TEXT, backend_details TEXT"
	") STRICT;"

	"CREATE TABLE calls ("
	" seq INTEGER PRIMARY KEY, id TEXT NOT NULL,"
	" method TEXT NOT NULL, backend TEXT, object_kind TEXT, object_id TEXT, origin TEXT, parent_call_id TEXT,"
	" uid INTEGER, request_id TEXT, state TEXT NOT NULL, started_at TEXT, ended_at TEXT,"
	" request TEXT, intent TEXT, outcome TEXT, record TEXT"
	") STRICT;"
	"CREATE UNIQUE INDEX calls_by_request ON calls (uid, request_id) WHERE request_id IS NOT NULL;"
	"CREATE INDEX calls_unfinished ON calls (ended_at, backend) WHERE ended_at IS NULL;"

	"CREATE TABLE events ("
	" seq INTEGER PRIMARY KEY,"
	" time TEXT NOT NULL, type TEXT NOT NULL, call_id TEXT, uid INTEGER, object TEXT"
	") STRICT;";

/* Shares that are exported: a number for life, which export servers and their clients know them by. */
static const char version_2[] = "ALTER TABLE instances ADD COLUMN export_number INTEGER;"
				"CREATE UNIQUE INDEX instances_by_export ON instances (export_number)"
				" WHERE export_number IS NOT NULL;";

/* The address of its network that a share server has. */
static const char version_3[] = "ALTER TABLE share_servers ADD COLUMN address TEXT;"
				"CREATE INDEX instances_by_server ON instances (share_server_id)"
				" WHERE share_server_id IS NOT NULL;";

const char *const store_migrations[] = { version_1, version_2, version_3 };
const int store_version = sizeof store_migrations / sizeof *store_migrations;
