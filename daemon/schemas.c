#include "daemon/schemas.h"

#include <stddef.h>

#define REF(n)  "{\"$ref\":\"#/components/schemas/" n "\"}"
#define STR     "{\"type\":\"string\"}"
#define STR0    "{\"type\":[\"string\",\"null\"]}"
#define INT     "{\"type\":\"integer\"}"
#define INT0    "{\"type\":[\"integer\",\"null\"]}"
#define NUM     "{\"type\":\"number\"}"
#define BOOL    "{\"type\":\"boolean\"}"
#define OBJ     "{\"type\":\"object\"}"
#define OBJ0    "{\"type\":[\"object\",\"null\"]}"
#define ARR(x)  "{\"type\":\"array\",\"items\":" x "}"
#define TEXTS   "{\"type\":\"object\",\"additionalProperties\":" STR "}"
#define M(k, v) "\"" k "\":" v
#define SHARE_STATUS                                                                                                   \
	"{\"enum\":[\"creating\",\"creating_from_snapshot\",\"available\",\"deleting\",\"error\",\"error_deleting\","  \
	"\"extending\",\"extending_error\",\"shrinking\",\"shrinking_error\",\"reverting\",\"reverting_error\","       \
	"\"manage_starting\",\"manage_error\",\"unmanage_starting\",\"unmanage_error\",\"replication_change\"]}"
#define SNAPSHOT_STATUS                                                                                                \
	"{\"enum\":[\"creating\",\"available\",\"deleting\",\"error\",\"error_deleting\",\"restoring\","               \
	"\"manage_starting\",\"manage_error\",\"unmanage_starting\",\"unmanage_error\"]}"

static const struct schema schemas[] = {
	{ "export_location",
	  "{\"type\":\"object\",\"required\":[\"path\"],\"properties\":{" M("path", STR) "," M("preferred", BOOL) "," M(
		  "is_admin_only", BOOL) "," M("metadata", TEXTS) "},\"additionalProperties\":false}" },
	{ "progress", "{\"type\":[\"object\",\"null\"],\"properties\":{" M("percent", NUM) "," M("bytes", INT) "}}" },
	{ "instance",
	  "{\"type\":\"object\",\"required\":[\"id\",\"share_id\",\"backend\",\"status\",\"replica_state\",\"provider_"
	  "location\","
	  "\"export_locations\",\"progress\"],\"properties\":{" M("id", STR) "," M("share_id", STR) "," M("backend", STR) "," M("status", SHARE_STATUS) "," M(
		  "status_reason",
		  STR0) "," M("replica_state",
			      "{\"enum\":[\"active\",\"in_sync\",\"out_of_sync\","
			      "\"error\",null]}") "," M("provider_location",
							STR0) "," M("export_locations",
								    ARR(REF("export_"
									    "locatio"
									    "n"))) "," M("progress",
											 REF("progress")) "," M("create"
														"d_at",
														STR) "," M("updated_at",
															   STR) "},\"additionalProperties\":false}" },
	{ "share",
	  "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"backend\",\"share_proto\",\"size_bytes\",\"used_"
	  "bytes\",\"used_at\",\"status\","
	  "\"status_reason\",\"progress\",\"export_locations\",\"access_rules_status\",\"snapshot_id\",\"replication_"
	  "type\",\"share_network\","
	  "\"share_server_id\",\"owner_uid\",\"metadata\",\"warnings\",\"instances\",\"created_at\",\"updated_at\"],"
	  "\"properties\":{" M("id", STR0) "," M("name", STR) "," M(
		  "backend", STR) "," M("share_proto",
					STR) "," M("size_bytes",
						   INT) "," M("used_bytes",
							      INT0) "," M("used_at",
									  STR0) "," M("status",
										      SHARE_STATUS) "," M("status_"
													  "reason",
													  STR0) "," M("progress", REF("progress")) "," M("export_locations", ARR(REF("export_location"))) "," M("access_rules_status", "{\"enum\":[\"active\",\"syncing\",\"error\"]}") "," M("snapshot_id", STR0) "," M("replication_type", STR0) "," M("share_network",
																																											 STR0) "," M("share_server_id", STR0) "," M("owner_uid",
																																																    INT0) "," M("metadata", TEXTS) "," M("warnings", ARR(STR)) "," M("instances", ARR(REF("instance"))) "," M("created_at",
																																																													      STR) "," M("updated_at",
																																																															 STR) "},\"additionalProperties\":false}" },
	{ "snapshot_instance",
	  "{\"type\":\"object\",\"required\":[\"id\",\"snapshot_id\",\"instance_id\",\"status\"],"
	  "\"properties\":{" M("id", STR) "," M("snapshot_id", STR) "," M("instance_id", STR) "," M(
		  "status",
		  SNAPSHOT_STATUS) "," M("status_reason",
					 STR0) "," M("provider_location",
						     STR0) "," M("progress",
								 REF("progress")) "," M("created_"
											"at",
											STR) "," M("updated_at",
												   STR) "},"
													"\"additionalPr"
													"operties\":"
													"false}" },
	{ "snapshot",
	  "{\"type\":\"object\",\"required\":[\"id\",\"share_id\",\"name\",\"size_bytes\",\"status\","
	  "\"status_reason\",\"progress\","
	  "\"provider_location\",\"metadata\",\"instances\",\"created_at\",\"updated_at\"],\"properties\":"
	  "{" M("id", STR) "," M("share_id", STR) "," M("name", STR) "," M("size_bytes", INT) "," M("status", SNAPSHOT_STATUS) "," M(
		  "status_reason",
		  STR0) "," M("progress",
			      REF("progress")) "," M("provider_location",
						     STR0) "," M("metadata",
								 TEXTS) "," M("insta"
									      "nces",
									      ARR(REF("snapshot_instance"))) "," M("cre"
														   "ate"
														   "d_"
														   "at",
														   STR) "," M("updated_at",
															      STR) "},\"additionalProperties\":false}" },
	{ "access_rule",
	  "{\"type\":\"object\",\"required\":[\"id\",\"share_id\",\"access_type\",\"access_to\",\"access_level\","
	  "\"options\",\"state\","
	  "\"status_reason\",\"metadata\"],\"properties\":{" M("id", STR) "," M("share_id", STR) "," M("access_type", "{\"enum\":[\"ip\",\"user\",\"cephx\"]}") "," M(
		  "access_to",
		  STR) "," M("access_level",
			     "{\"enum\":[\"rw\",\"ro\"]}") "," M("options",
								 OBJ) "," M("state",
									    "{\"enum\":[\"queued_to_apply\","
									    "\"applying\",\"updating\",\"active\","
									    "\"queued_to_deny\",\"denying\",\"error\"]"
									    "}") "," M("status_reason",
										       STR0) "," M("metadata",
												   TEXTS) "," M("access"
														"_key",
														STR) "," M("created_at",
															   STR) "," M("updated_at",
																      STR) "},\"additionalProperties\":false}" },
	{ "share_server",
	  "{\"type\":\"object\",\"required\":[\"id\",\"backend\",\"share_network\",\"status\"],"
	  "\"properties\":{" M("id", STR) "," M("backend", STR) "," M("share_network", STR0) "," M(
		  "identifier", STR0) "," M("status",
					    STR) "," M("status_reason",
						       STR0) "," M("backend_details",
								   OBJ0) "," M("created_at",
									       STR) "," M("updated_at",
											  STR) "},"
											       "\"additionalPropertie"
											       "s\":false}" },
	{ "backend",
	  "{\"type\":\"object\",\"required\":[\"name\",\"driver\",\"status\",\"status_reason\",\"hooks\","
	  "\"capabilities\"],\"properties\":{" M("name", STR) "," M("driver", STR) "," M(
		  "status",
		  "{\"enum\":[\"up\",\"down\",\"starting\"]}") "," M("status_reason",
								     STR0) "," M("hooks",
										 ARR(OBJ)) "," M("capabilities",
												 OBJ0) "},"
												       "\"additionalPro"
												       "perties\":"
												       "false}" },
	{ "hook",
	  "{\"type\":\"object\",\"required\":[\"name\",\"entry\",\"backend\",\"calls\",\"failures\"],\"properties\":"
	  "{" M("name", STR) "," M("entry", STR) "," M("backend", STR) "," M("calls", INT) "," M("failures", INT) "," M(
		  "suppressed_failures",
		  INT) "," M("timeouts", INT) "," M("vetoes", INT) "," M("duration_ms",
									 OBJ0) "," M("last_error",
										     STR0) "," M("dropped_ticks",
												 INT) "}}" },
	{ "hook_test",
	  "{\"type\":\"object\",\"required\":[\"accepted\",\"duration_ms\"],\"properties\":{" M("accepted", BOOL) "," M(
		  "returned", "{}") "," M("duration_ms", NUM) "," M("error", OBJ) "}}" },
	{ "call",
	  "{\"type\":\"object\",\"required\":[\"id\",\"method\",\"origin\",\"state\"],\"properties\":{" M(
		  "id",
		  STR) "," M("method",
			     STR) "," M("origin",
					"{\"enum\":[\"client\",\"start\",\"timer\",\"call\"]"
					"}") "," M("state",
						   "{\"enum\":[\"queued\",\"running\","
						   "\"working\",\"done\",\"interrupted\","
						   "\"unfinished\"]}") "," M("hooks",
									     ARR(OBJ)) "," M("error",
											     OBJ0) "," M("duration_ms",
													 NUM) "}}" },
	{ "orphan",
	  "{\"type\":\"object\",\"required\":[\"backend\",\"kind\",\"id\",\"provider_location\"],\"properties\":{" M(
		  "backend", STR) "," M("kind", STR) "," M("id", STR) "," M("name", STR0) "," M("provider_location",
												STR0) "}}" },
	{ "service",
	  "{\"type\":\"object\",\"required\":[\"version\",\"started_at\",\"limits\",\"counts\",\"drivers\"],"
	  "\"properties\":{" M("version", STR) "," M("started_at", STR) "," M("pid", INT) "," M("conf_file", STR) "," M(
		  "limits", OBJ) "," M("counts", OBJ) "," M("drivers", ARR(OBJ)) "},\"additionalProperties\":false}" },
	{ "subscription", "{\"type\":\"object\",\"required\":[\"seq\"],\"properties\":{" M(
				  "seq", INT) "},\"additionalProperties\":false}" },
	{ "openrpc", "{\"type\":\"object\",\"required\":[\"openrpc\",\"info\",\"methods\"]}" },
	{ NULL, NULL },
};

static const struct page_schema pages[] = {
	{ "shares", "share" },
	{ "snapshots", "snapshot" },
	{ "access_rules", "access_rule" },
	{ "replicas", "instance" },
	{ "share_servers", "share_server" },
	{ "backends", "backend" },
	{ "hooks", "hook" },
	{ "calls", "call" },
	{ "orphans", "orphan" },
	{ NULL, NULL },
};

const struct schema *schema_table(void)
{
	return schemas;
}

const struct page_schema *schema_pages(void)
{
	return pages;
}
