/* Every method: what it takes, what it answers, in which order lists come, and what it refuses before anything is done.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_schema.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKENDS "dir \"d\" { root = \"@DIR@/d\" }\nsim \"s\" { }\n"

/* ---- the table ---- */

/* As the manual has it: "!" marks what is required. Those that change something take request_id too, those with hooks
 * skip_hooks. */
static const struct {
	const char *method, *params;
	enum { READS, WRITES, HOOKED } kind;
} methods[] = {
	{ "init_host", "backend!", HOOKED },
	{ "publish_service_capabilities", "backend!", HOOKED },
	{ "create_share_instance",
	  "name! size_bytes backend share_proto snapshot share_network metadata uid gid mode wait if_absent", HOOKED },
	{ "delete_share_instance", "share! force wait if_present", HOOKED },
	{ "manage_share",
	  "backend! name! provider_location! share_proto size_bytes access_rules driver_options metadata dry_run wait "
	  "if_absent",
	  HOOKED },
	{ "unmanage_share", "share! force if_present", HOOKED },
	{ "extend_share", "share! size_bytes! wait", HOOKED },
	{ "shrink_share", "share! size_bytes! wait", HOOKED },
	{ "allow_access", "share! access_type! access_to! access_level options metadata if_absent", HOOKED },
	{ "deny_access", "share! access access_type access_to if_present", HOOKED },
	{ "update_access", "share! access access_level options", HOOKED },
	{ "create_snapshot", "share! name! metadata wait if_absent", HOOKED },
	{ "delete_snapshot", "snapshot! force wait if_present", HOOKED },
	{ "revert_to_snapshot", "snapshot! wait", HOOKED },
	{ "manage_snapshot", "share! name! provider_location! driver_options metadata wait if_absent", HOOKED },
	{ "unmanage_snapshot", "snapshot! if_present", HOOKED },
	{ "create_share_replica", "share! backend! wait if_absent", HOOKED },
	{ "delete_share_replica", "replica! force wait if_present", HOOKED },
	{ "promote_share_replica", "replica! force wait", HOOKED },
	{ "update_share_replica", "replica! wait", HOOKED },
	{ "create_replicated_snapshot", "share! name! metadata wait if_absent", HOOKED },
	{ "delete_replicated_snapshot", "snapshot! force wait if_present", HOOKED },
	{ "update_replicated_snapshot", "snapshot!", HOOKED },
	{ "create_share_server", "backend! share_network! if_absent", HOOKED },
	{ "delete_share_server", "share_server! if_present", HOOKED },
	{ "set_metadata", "share snapshot access metadata!", WRITES },
	{ "reset_status", "share snapshot status!", WRITES },
	{ "test_hook", "backend! hook! event!", WRITES },
	{ "enable_hook", "backend! hook!", WRITES },
	{ "list_orphans", "backend limit after", READS },
	{ "list_backends", "limit after", READS },
	{ "get_backend", "backend!", READS },
	{ "list_shares", "backend status limit after", READS },
	{ "get_share", "share!", READS },
	{ "list_snapshots", "share limit after", READS },
	{ "get_snapshot", "snapshot!", READS },
	{ "list_access_rules", "share access_to limit after", READS },
	{ "list_replicas", "share limit after", READS },
	{ "list_share_networks", "limit after", READS },
	{ "list_share_servers", "limit after", READS },
	{ "list_calls", "limit after", READS },
	{ "list_hooks", "backend limit after", READS },
	{ "get_hook", "backend! hook!", READS },
	{ "subscribe", "types since", READS },
	{ "get_service", "", READS },
	{ "rpc.discover", "", READS },
};
enum { N_METHODS = sizeof methods / sizeof *methods };

static void check_described_params(const json_t *m, const char *params)
{
	const json_t *list = at(m, "params");
	char name[64];
	size_t n = 0, i;
	int used;

	for (; sscanf(params, " %63s%n", name, &used) == 1; params += used, n++) {
		size_t len = strlen(name);
		bool required = name[len - 1] == '!';
		json_t *found = NULL;

		if (required)
			name[len - 1] = '\0';
		for (i = 0; i < json_array_size(list); i++)
			if (strcmp(str_at(json_array_get(list, i), "name"), name) == 0)
				found = json_array_get(list, i);
		ck_assert_msg(found != NULL, "%s: no parameter %s is described", str_at(m, "name"), name);
		ck_assert_msg(json_is_true(at(found, "required")) == required, "%s: %s is described wrongly",
			      str_at(m, "name"), name);
		ck_assert_uint_gt(strlen(str_at(found, "description")), 0);
		ck_assert(json_is_object(at(found, "schema")));
	}
	ck_assert_msg(json_array_size(at(m, "params")) == n, "%s takes %zu parameters, and %zu are known",
		      str_at(m, "name"), json_array_size(at(m, "params")), n);
}

START_TEST(discover)
{
	struct fixture *f = fixture_new("");
	struct client *c;
	json_t *doc;
	char params[512];

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	doc = client_call(c, "rpc.discover", NULL);
	at(doc, "openrpc");
	ck_assert_uint_eq(json_array_size(at(doc, "methods")), N_METHODS);
	for (size_t i = 0; i < N_METHODS; i++) {
		json_t *m = described_method(doc, methods[i].method), *reply;

		snprintf(params, sizeof params, "%s%s%s", methods[i].params,
			 methods[i].kind != READS ? " request_id" : "", methods[i].kind == HOOKED ? " skip_hooks" : "");
		check_described_params(m, params);
		ck_assert_str_eq(str_at(m, "paramStructure"), "by-name");
		ck_assert_uint_gt(strlen(str_at(m, "summary")), 0);
		ck_assert_uint_gt(json_array_size(at(m, "errors")), 10);
		/* What is described is there. */
		reply = client_request(c, methods[i].method, json_pack("{s:i}", "colour", 1));
		ck_assert_str_eq(str_at(reply, "error.data.param"), "colour");
		json_decref(reply);
	}
	json_decref(doc);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* Each once, with its answer held against its description. */
START_TEST(every_answer_is_as_described)
{
	static const struct {
		const char *method, *params; /* with ' for " */
	} calls[] = {
		{ "init_host", "{'backend':'s'}" },
		{ "publish_service_capabilities", "{'backend':'d'}" },
		{ "create_share_instance", "{'name':'a','size_bytes':1000,'backend':'s','metadata':{'k':'v'},'request_"
					   "id':'r','share_proto':'NFS'}" },
		{ "extend_share", "{'share':'a','size_bytes':2000}" },
		{ "shrink_share", "{'share':'a','size_bytes':1500,'wait':true}" },
		{ "allow_access", "{'share':'a','access_type':'ip','access_to':'10.0.0.0/"
				  "8','access_level':'ro','options':{'sec':'sys'}}" },
		{ "allow_access", "{'share':'a','access_type':'cephx','access_to':'alice'}" },
		{ "update_access", "{'share':'a'}" },
		{ "list_access_rules", "{'share':'a'}" },
		{ "deny_access", "{'share':'a','access_type':'ip','access_to':'10.0.0.0/8'}" },
		{ "create_snapshot", "{'share':'a','name':'s1'}" },
		{ "create_snapshot", "{'share':'a','name':'s2','metadata':{'a':'b'}}" },
		{ "revert_to_snapshot", "{'snapshot':'a@s2'}" },
		{ "get_snapshot", "{'snapshot':'a@s1'}" },
		{ "list_snapshots", "{}" },
		{ "set_metadata", "{'share':'a','metadata':{'k':null,'l':'m'}}" },
		{ "set_metadata", "{'snapshot':'a@s1','metadata':{'k':'v'}}" },
		{ "reset_status", "{'share':'a','status':'error'}" },
		{ "reset_status", "{'snapshot':'a@s1','status':'error_deleting'}" },
		{ "reset_status", "{'share':'a','status':'available'}" },
		{ "delete_snapshot", "{'snapshot':'a@s1'}" },
		{ "unmanage_snapshot", "{'snapshot':'a@s2'}" },
		{ "manage_snapshot", "{'share':'a','name':'s3','provider_location':'somewhere'}" },
		{ "create_share_instance", "{'name':'b','snapshot':'a@s3','size_bytes':9000}" },
		{ "manage_share", "{'backend':'s','name':'m','provider_location':'x','dry_run':true}" },
		{ "manage_share",
		  "{'backend':'s','name':'m','provider_location':'x','share_proto':'NFS','access_rules':"
		  "[{'access_type':'ip','access_to':'::1'}]}" },
		{ "list_shares", "{'backend':'s','status':'available','limit':2}" },
		{ "get_share", "{'share':'m'}" },
		{ "unmanage_share", "{'share':'m'}" },
		{ "delete_share_instance", "{'share':'b','force':false}" },
		{ "list_orphans", "{'backend':'d'}" },
		{ "list_backends", "{}" },
		{ "get_backend", "{'backend':'d'}" },
		{ "list_replicas", "{'share':'a'}" },
		{ "create_share_instance", "{'name':'r','size_bytes':1000,'backend':'r1'}" },
		{ "create_share_replica", "{'share':'r','backend':'r2'}" },
		{ "list_replicas", "{'share':'r'}" },
		{ "update_share_replica", "{'replica':'@REPLICA@'}" },
		{ "promote_share_replica", "{'replica':'@REPLICA@'}" },
		{ "create_share_replica", "{'share':'r','backend':'r1','if_absent':true}" },
		{ "delete_share_replica", "{'replica':'none','if_present':true}" },
		{ "create_replicated_snapshot", "{'share':'r','name':'s1','metadata':{'a':'b'}}" },
		{ "update_replicated_snapshot", "{'snapshot':'r@s1'}" },
		{ "create_snapshot", "{'share':'r','name':'s2'}" },
		{ "delete_snapshot", "{'snapshot':'r@s2'}" },
		{ "delete_replicated_snapshot", "{'snapshot':'r@s1'}" },
		{ "create_share_server", "{'backend':'servers','share_network':'n'}" },
		{ "create_share_server", "{'backend':'servers','share_network':'n','if_absent':true}" },
		{ "list_share_servers", "{}" },
		{ "list_share_networks", "{}" },
		{ "delete_share_server", "{'share_server':'none','if_present':true}" },
		{ "list_calls", "{'limit':1000}" },
		{ "list_hooks", "{'backend':'h'}" },
		{ "get_hook", "{'backend':'h','hook':'journal'}" },
		{ "test_hook", "{'backend':'h','hook':'journal','event':{'phase':'pre','func_name':'extend_share'}}" },
		{ "enable_hook", "{'backend':'h','hook':'journal'}" },
		{ "get_service", "{}" },
		{ "subscribe", "{'types':['share.*'],'since':0}" },
		{ "rpc.discover", "{}" },
	};
	struct fixture *f =
		fixture_new(BACKENDS "sim \"h\" { hook_drivers = {\"journal\"} enable_pre_hooks = true }\n"
				     "sim \"r1\" { replication_domain = \"d\" }\n"
				     "sim \"r2\" { replication_domain = \"d\" }\n"
				     "sim \"servers\" { driver_handles_share_servers = true }\n"
				     "share_network \"n\" { bridge = \"br\"\n addresses = \"192.0.2.1/24\" }\n");
	bool called[N_METHODS] = { false };
	char replica[40] = "";
	struct client *c;
	json_t *doc;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	doc = client_call(c, "rpc.discover", NULL);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		const char *mark = strstr(calls[i].params, "@REPLICA@");
		json_t *answer;
		char params[512];

		snprintf(params, sizeof params, "%.*s%s%s", (int)(mark ? mark - calls[i].params : 400), calls[i].params,
			 mark ? replica : "", mark ? mark + 9 : "");
		for (char *p = params; *p; p++)
			if (*p == '\'')
				*p = '"';
		answer = checked_call(c, doc, calls[i].method, json_loads(params, 0, NULL));
		if (strcmp(calls[i].method, "create_share_replica") == 0)
			snprintf(replica, sizeof replica, "%s", str_at(answer, "instances.1.id"));
		json_decref(answer);
		for (size_t k = 0; k < N_METHODS; k++)
			called[k] = called[k] || strcmp(methods[k].method, calls[i].method) == 0;
	}
	for (size_t k = 0; k < N_METHODS; k++)
		ck_assert_msg(called[k], "%s was not called", methods[k].method);
	json_decref(doc);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- objects ---- */

#define SHARE                                                                                                          \
	"id:s name:s backend:s share_proto:s size_bytes:i used_bytes:i? used_at:s? status:s status_reason:s? "         \
	"progress:o? export_locations:a access_rules_status:s snapshot_id:s? replication_type:s? share_network:s? "    \
	"share_server_id:s? owner_uid:i? metadata:o warnings:a instances:a created_at:s updated_at:s"
#define INSTANCE                                                                                                       \
	"id:s share_id:s backend:s status:s status_reason:s? replica_state:s? provider_location:s? "                   \
	"export_locations:a progress:o? created_at:s updated_at:s"
#define LOCATION "path:s preferred:b is_admin_only:b metadata:o"
#define SNAPSHOT                                                                                                       \
	"id:s share_id:s name:s size_bytes:i status:s status_reason:s? progress:o? provider_location:s? metadata:o "   \
	"instances:a created_at:s updated_at:s"
#define RULE                                                                                                           \
	"id:s share_id:s access_type:s access_to:s access_level:s options:o state:s status_reason:s? metadata:o "      \
	"created_at:s updated_at:s"
#define BACKEND "name:s driver:s status:s status_reason:s? hooks:a capabilities:o?"
#define STATS                                                                                                          \
	"total_bytes:i free_bytes:i allocated_bytes:i size_enforced:b share_protos:a access_types:a access_levels:a "  \
	"snapshots:b snapshot_consistent:b create_from_snapshot:b revert:b shrink:b manage:b replication_type:s? "     \
	"reflink:b"

/* "2026-11-22T15:37:02.123Z" */
static void check_time(const char *t)
{
	static const char like[] = "dddd-dd-ddTdd:dd:dd.dddZ";

	ck_assert_uint_eq(strlen(t), sizeof like - 1);
	for (size_t i = 0; like[i]; i++)
		ck_assert_msg(like[i] == 'd' ? t[i] >= '0' && t[i] <= '9' : t[i] == like[i], "%s is no time", t);
}

static void check_id(const char *id)
{
	ck_assert_uint_eq(strlen(id), 36);
	ck_assert_uint_eq(strspn(id, "0123456789abcdef-"), 36);
}

static void check_share_shape(const json_t *share)
{
	check_shape(share, SHARE);
	check_id(str_at(share, "id"));
	check_time(str_at(share, "created_at"));
	check_time(str_at(share, "updated_at"));
	ck_assert_uint_eq(json_array_size(at(share, "instances")), 1);
	check_shape(at(share, "instances.0"), INSTANCE);
	check_shape(at(share, "export_locations.0"), LOCATION);
	ck_assert_str_eq(str_at(share, "instances.0.share_id"), str_at(share, "id"));
	ck_assert(json_equal(at(share, "export_locations"), at(share, "instances.0.export_locations")));
}

START_TEST(shapes)
{
	struct fixture *f = fixture_new(BACKENDS);
	json_t *share, *snapshot, *j;

	fixture_start(f, NULL, (uid_t)-1);
	share = call(f, "create_share_instance", "{s:s,s:i,s:s,s:{s:s}}", "name", "a", "size_bytes", 1000, "backend",
		     "d", "metadata", "k", "v");
	check_share_shape(share);
	ck_assert_str_eq(str_at(share, "status"), "available");
	ck_assert_str_eq(str_at(share, "share_proto"), "LOCAL");
	ck_assert_str_eq(str_at(share, "access_rules_status"), "active");
	ck_assert_str_eq(str_at(share, "warnings.0"), "size is not enforced on this backend");
	ck_assert_str_eq(str_at(share, "metadata.k"), "v");
	ck_assert_str_eq(str_at(share, "export_locations.0.path"), fixture_path(f, "d/a/data"));
	ck_assert_int_eq(int_at(share, "owner_uid"), geteuid());
	ck_assert(json_is_null(at(share, "used_bytes")) && json_is_null(at(share, "progress")));
	j = call(f, "get_share", "{s:s}", "share", "a");
	ck_assert(json_equal(j, share));
	json_decref(j);
	j = call(f, "get_share", "{s:s}", "share", str_at(share, "id"));
	ck_assert(json_equal(j, share));
	json_decref(j);
	j = call(f, "list_shares", NULL);
	check_shape(j, "shares:a next:s?");
	ck_assert(json_equal(at(j, "shares.0"), share));
	json_decref(j);
	snapshot = call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s");
	check_shape(snapshot, SNAPSHOT);
	check_id(str_at(snapshot, "id"));
	ck_assert_str_eq(str_at(snapshot, "share_id"), str_at(share, "id"));
	ck_assert_int_eq(int_at(snapshot, "size_bytes"), 1000);
	for (int i = 0; i < 3; i++) {
		char ref[128];

		snprintf(ref, sizeof ref, "%s%s",
			 i == 0   ? ""
			 : i == 1 ? "a@"
				  : str_at(share, "id"),
			 i == 0   ? str_at(snapshot, "id")
			 : i == 1 ? "s"
				  : "@s");
		j = call(f, "get_snapshot", "{s:s}", "snapshot", ref);
		ck_assert(json_equal(j, snapshot));
		json_decref(j);
	}
	j = call(f, "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to", "daemon");
	check_shape(j, RULE);
	ck_assert_str_eq(str_at(j, "state"), "active");
	ck_assert_str_eq(str_at(j, "access_level"), "rw");
	json_decref(j);
	j = call(f, "get_backend", "{s:s}", "backend", "d");
	check_shape(j, BACKEND);
	check_shape(at(j, "capabilities"), STATS);
	ck_assert_int_eq(int_at(j, "capabilities.allocated_bytes"), 0); /* of the last time it was published */
	json_decref(j);
	j = call(f, "publish_service_capabilities", "{s:s}", "backend", "d");
	ck_assert_int_eq(int_at(j, "capabilities.allocated_bytes"), 1000);
	json_decref(j);
	j = call(f, "get_service", NULL);
	ck_assert_int_eq(int_at(j, "counts.shares"), 1);
	ck_assert_int_eq(int_at(j, "counts.snapshots"), 1);
	ck_assert_int_eq(int_at(j, "counts.access_rules"), 1);
	ck_assert_int_eq(int_at(j, "counts.backends"), 2);
	check_time(str_at(j, "started_at"));
	json_decref(j);
	json_decref(share);
	json_decref(snapshot);
	fixture_free(f);
}
END_TEST

/* The key of a rule goes to an admin's answer and nowhere else. */
START_TEST(secrets)
{
	struct fixture *f = fixture_new("reader_groups = {\"games\"}\nsim \"s\" { hook_drivers = {\"exec:@DIR@/hook\"} "
					"enable_pre_hooks = true enable_post_hooks = true }\n");
	struct client *events, *reader;
	json_t *j;
	char *text, key[64];

	fixture_program(f, "hook", "#!/bin/sh\ncat >> @DIR@/seen\n");
	fixture_start(f, NULL, (uid_t)-1);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", NULL));
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1, "share_proto",
			 "CEPHFS"));
	j = call(f, "allow_access", "{s:s,s:s,s:s,s:s}", "share", "a", "access_type", "cephx", "access_to", "alice",
		 "request_id", "once");
	check_shape(j, RULE " access_key:s");
	snprintf(key, sizeof key, "%s", str_at(j, "access_key"));
	json_decref(j);
	j = call(f, "allow_access", "{s:s,s:s,s:s,s:s}", "share", "a", "access_type", "cephx", "access_to", "alice",
		 "request_id", "once");
	ck_assert_str_eq(str_at(j, "access_key"), key);
	json_decref(j);
	j = call(f, "list_access_rules", NULL);
	ck_assert_str_eq(str_at(j, "access_rules.0.access_key"), key);
	json_decref(j);
	if (geteuid() == 0) {
		reader = client_new_as(f, 4711, 60);
		j = client_call(reader, "list_access_rules", NULL);
		check_shape(at(j, "access_rules.0"), RULE);
		json_decref(j);
		client_free(reader);
	}
	j = call(f, "list_calls", NULL);
	text = json_dumps(j, 0);
	ck_assert_ptr_nonnull(strstr(text, "allow_access"));
	ck_assert_ptr_null(strstr(text, key));
	free(text);
	json_decref(j);
	do {
		j = client_read(events);
		text = json_dumps(j, 0);
		ck_assert_ptr_null(strstr(text, key));
		free(text);
		if (strcmp(str_at(j, "params.type"), "access.active") == 0)
			break;
		json_decref(j);
	} while (true);
	json_decref(j);
	client_free(events);
	text = read_text(fixture_path(f, "seen"));
	ck_assert_ptr_nonnull(strstr(text, "alice"));
	ck_assert_ptr_null(strstr(text, key));
	free(text);
	ck_assert(!fixture_log_has(f, key));
	fixture_free(f);
}
END_TEST

/* ---- lists ---- */

/* All pages of a list; checks that no page is too long and none but the last too short. */
static json_t *all_pages(struct client *c, const char *method, const char *member, json_t *params, size_t limit)
{
	json_t *all = json_array(), *cursor = NULL;

	json_object_set_new(params, "limit", json_integer((json_int_t)limit));
	for (;;) {
		json_t *reply = client_request(c, method, json_copy(params)), *result = at(reply, "result");
		json_t *next = at(result, "next");

		ck_assert_uint_le(json_array_size(at(result, member)), limit);
		if (!json_is_null(next))
			ck_assert_uint_eq(json_array_size(at(result, member)), limit);
		json_array_extend(all, at(result, member));
		json_decref(cursor);
		cursor = json_incref(next);
		json_decref(reply);
		if (json_is_null(cursor))
			break;
		json_object_set(params, "after", cursor);
	}
	json_decref(cursor);
	json_decref(params);
	return all;
}

static void check_pages(struct client *c, const char *method, const char *member, json_t *params, size_t n)
{
	const size_t limits[] = { 1, 2, 3, n - 1, n, n + 1 };
	json_t *whole = all_pages(c, method, member, json_copy(params), 1000);

	ck_assert_uint_eq(json_array_size(whole), n);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		size_t limit = limits[i] - 1 < 1000 ? limits[i] : 1;
		json_t *pages = all_pages(c, method, member, json_copy(params), limit);

		ck_assert_msg(json_equal(pages, whole), "%s in pages of %zu is another list", method, limit);
		json_decref(pages);
	}
	json_decref(whole);
	json_decref(params);
}

START_TEST(pages)
{
	struct fixture *f = fixture_new(BACKENDS);
	struct client *c;
	json_t *list, *first;
	char name[32];

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int i = 0; i < 12; i++) {
		/* Neither the names' order nor the ids' is that of creation. */
		snprintf(name, sizeof name, "%c%d", 'z' - i * 7 % 26, i);
		json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", name, "size_bytes", 1,
					"backend", i % 3 ? "s" : "d"));
		json_decref(client_call(c, "allow_access", "{s:s,s:s,s:s}", "share", name, "access_type", "user",
					"access_to", i % 2 ? "daemon" : "bin"));
	}
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof name, "s%d", i);
		json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", i % 2 ? "z0" : "s1", "name", name));
	}
	check_pages(c, "list_shares", "shares", json_object(), 12);
	check_pages(c, "list_shares", "shares", json_pack("{s:s}", "backend", "d"), 4);
	check_pages(c, "list_shares", "shares", json_pack("{s:s,s:s}", "backend", "s", "status", "available"), 8);
	check_pages(c, "list_shares", "shares", json_pack("{s:s}", "status", "error"), 0);
	check_pages(c, "list_snapshots", "snapshots", json_object(), 7);
	check_pages(c, "list_snapshots", "snapshots", json_pack("{s:s}", "share", "z0"), 3);
	check_pages(c, "list_access_rules", "access_rules", json_object(), 12);
	check_pages(c, "list_access_rules", "access_rules", json_pack("{s:s}", "access_to", "bin"), 6);
	check_pages(c, "list_access_rules", "access_rules", json_pack("{s:s,s:s}", "share", "z0", "access_to", "bin"),
		    1);
	check_pages(c, "list_access_rules", "access_rules", json_pack("{s:s}", "share", "s1"), 1);
	check_pages(c, "list_backends", "backends", json_object(), 2);
	check_pages(c, "list_hooks", "hooks", json_object(), 0);
	check_pages(c, "list_replicas", "replicas", json_object(), 0);
	check_pages(c, "list_share_servers", "share_servers", json_object(), 0);
	/* 2 backends: init_host and publish each. */
	check_pages(c, "list_calls", "calls", json_object(), 4 + 12 + 12 + 7);
	list = client_call(c, "list_shares", "{s:i}", "limit", 12);
	ck_assert(json_is_null(at(list, "next")));
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "shares.%d.name", i);
		ck_assert_int_eq(strtol(str_at(list, name) + 1, NULL, 10), i);
	}
	json_decref(list);
	/* What goes away while somebody pages leaves no gap and nothing twice. */
	first = client_call(c, "list_shares", "{s:i}", "limit", 5);
	json_decref(client_call(c, "delete_share_instance", "{s:s}", "share", str_at(first, "shares.4.name")));
	json_decref(client_call(c, "delete_share_instance", "{s:s}", "share", str_at(first, "shares.2.name")));
	list = client_call(c, "list_shares", "{s:i,s:O}", "limit", 5, "after", at(first, "next"));
	ck_assert_int_eq(strtol(str_at(list, "shares.0.name") + 1, NULL, 10), 5);
	json_decref(list);
	json_decref(first);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* Calls that wait or run come after those that ended. */
START_TEST(pages_of_calls_under_way)
{
	struct fixture *f = fixture_new("hook \"gate\" { run = \"exec:@DIR@/gate\" methods = "
					"{\"create_share_instance\"} phases = {\"post\"} timeout = 600 }\n"
					"sim \"s\" { hook_drivers = {\"gate\"} enable_post_hooks = true }\n");
	struct client *c, *other;
	json_t *all, *one;

	fixture_program(f, "gate", "#!/bin/sh\nuntil [ -e @DIR@/open ]; do sleep 0.01; done\n");
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	other = client_new(f);
	json_decref(client_call(other, "list_orphans", NULL));
	for (int i = 0; i < 5; i++)
		client_line(c,
			    "{'jsonrpc':'2.0','id':%d,'method':'create_share_instance','params':{'name':'s%d','size_"
			    "bytes':1}}",
			    i, i);
	json_decref(client_call(c, "list_shares", NULL)); /* all are in the queue */
	wait_share(f, "s0", "available");                 /* and the first is in its hook */
	for (size_t limit = 1; limit < 8; limit++) {
		all = all_pages(other, "list_calls", "calls", json_object(), limit);
		ck_assert_uint_eq(json_array_size(all), 7); /* init_host, publish, and these */
		for (size_t i = 0; i < 7; i++) {
			one = json_array_get(all, i);
			ck_assert_str_eq(str_at(one, "state"), i < 2 ? "done" : i == 2 ? "running" : "queued");
			if (i >= 2)
				ck_assert_str_eq(str_at(one, "method"), "create_share_instance");
		}
		json_decref(all);
	}
	write_file(fixture_path(f, "open"), "");
	for (int i = 0; i < 5; i++)
		json_decref(client_read(c));
	client_free(c);
	client_free(other);
	fixture_free(f);
}
END_TEST

START_TEST(bad_pages)
{
	static const char *const lists[] = { "list_shares",        "list_snapshots", "list_access_rules",
					     "list_backends",      "list_hooks",     "list_replicas",
					     "list_share_servers", "list_calls",     "list_orphans" };
	struct fixture *f = fixture_new(BACKENDS);
	struct client *c;
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		for (int limit = 0; limit <= 1001; limit += 1001) {
			e = client_error(c, "invalid_params", lists[i], "{s:i}", "limit", limit);
			ck_assert_str_eq(str_at(e, "data.param"), "limit");
			json_decref(e);
		}
		e = client_error(c, "invalid_params", lists[i], "{s:s}", "after", "nonsense");
		ck_assert_str_eq(str_at(e, "data.param"), "after");
		json_decref(e);
		json_decref(client_error(c, "invalid_params", lists[i], "{s:s}", "after", "-1"));
	}
	json_decref(client_error(c, "not_found", "list_shares", "{s:s}", "backend", "none"));
	json_decref(client_error(c, "not_found", "list_snapshots", "{s:s}", "share", "none"));
	json_decref(client_error(c, "not_found", "list_access_rules", "{s:s}", "share", "none"));
	json_decref(client_error(c, "not_found", "list_replicas", "{s:s}", "share", "none"));
	json_decref(client_error(c, "not_found", "list_hooks", "{s:s}", "backend", "none"));
	json_decref(client_error(c, "not_found", "list_orphans", "{s:s}", "backend", "none"));
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(names)
{
	static const char *const bad[] = { "",
					   ".",
					   "..",
					   ".a",
					   "-a",
					   "a/b",
					   "a b",
					   "a@b",
					   "a\n",
					   "\xc3\xa4",
					   "a:b",
					   "a*",
					   "5c2b36b6-8f4e-4a57-b6b5-1d7e2b3f0a11" };
	struct fixture *f = fixture_new(BACKENDS);
	struct client *c;
	char longest[257];
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	memset(longest, 'x', 256);
	longest[256] = '\0';
	json_decref(client_error(c, "invalid_params", "create_share_instance", "{s:s,s:i,s:s}", "name", longest,
				 "size_bytes", 1, "backend", "d"));
	longest[255] = '\0';
	j = client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", longest, "size_bytes", 1, "backend", "d");
	ck_assert_str_eq(str_at(j, "name"), longest);
	json_decref(j);
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", longest, "name", longest));
	memset(longest, 'x', 255);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		j = client_error(c, "invalid_params", "create_share_instance", "{s:s,s:i}", "name", bad[i],
				 "size_bytes", 1);
		ck_assert_str_eq(str_at(j, "data.param"), "name");
		json_decref(j);
		j = client_error(c, "invalid_params", "create_snapshot", "{s:s,s:s}", "share", longest, "name", bad[i]);
		ck_assert_str_eq(str_at(j, "data.param"), "name");
		json_decref(j);
	}
	/* Case is told apart; a dot or a dash within is a letter like others. */
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "a.b-c_D", "size_bytes", 1,
				"backend", "d"));
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "a.b-c_d", "size_bytes", 1,
				"backend", "d"));
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "_", "size_bytes", 1, "backend", "d"));
	client_free(c);
	fixture_free(f);
}
END_TEST

static void check_param(json_t *error, const char *param)
{
	ck_assert_str_eq(str_at(error, "data.param"), param);
	json_decref(error);
}

START_TEST(sizes)
{
	struct fixture *f = fixture_new("sim \"s\" { capacity = 9223372036854775807 }\nsim \"small\" { capacity = "
					"10GiB reserved_percentage = 10 }\n");
	struct client *c;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (json_int_t size = INT64_MIN; size <= 0; size += INT64_MAX / 4)
		check_param(client_error(c, "invalid_params", "create_share_instance", "{s:s,s:I}", "name", "a",
					 "size_bytes", size),
			    "size_bytes");
	check_param(
		client_error(c, "invalid_params", "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 0),
		"size_bytes");
	check_param(
		client_error(c, "invalid_params", "create_share_instance", "{s:s,s:f}", "name", "a", "size_bytes", 1.5),
		"size_bytes");
	check_param(client_error(c, "invalid_params", "create_share_instance", "{s:s,s:s}", "name", "a", "size_bytes",
				 "1GiB"),
		    "size_bytes");
	check_param(client_error(c, "invalid_params", "create_share_instance", "{s:s}", "name", "a"), "size_bytes");
	j = client_call(c, "create_share_instance", "{s:s,s:I,s:s}", "name", "all", "size_bytes", (json_int_t)INT64_MAX,
			"backend", "s");
	ck_assert_int_eq(int_at(j, "size_bytes"), INT64_MAX);
	json_decref(j);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 100, "backend",
				"s"));
	for (int size = 1; size <= 100; size += 33)
		check_param(client_error(c, "invalid_params", "extend_share", "{s:s,s:i}", "share", "a", "size_bytes",
					 size),
			    "size_bytes");
	for (int size = 100; size <= 300; size += 100)
		check_param(client_error(c, "invalid_params", "shrink_share", "{s:s,s:i}", "share", "a", "size_bytes",
					 size),
			    "size_bytes");
	json_decref(client_call(c, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 101));
	json_decref(client_call(c, "shrink_share", "{s:s,s:i}", "share", "a", "size_bytes", 1));
	/* From a snapshot: not below it, and as large where nothing is said. */
	json_decref(client_call(c, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 100));
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	check_param(client_error(c, "invalid_params", "create_share_instance", "{s:s,s:s,s:i}", "name", "b", "snapshot",
				 "a@s", "size_bytes", 99),
		    "size_bytes");
	j = client_call(c, "create_share_instance", "{s:s,s:s}", "name", "b", "snapshot", "a@s");
	ck_assert_int_eq(int_at(j, "size_bytes"), 100);
	ck_assert_str_eq(str_at(j, "backend"), "s");
	json_decref(j);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:s,s:i}", "name", "c", "snapshot", "a@s",
				"size_bytes", 101));
	check_param(client_error(c, "invalid_params", "create_share_instance", "{s:s,s:s,s:s}", "name", "d", "snapshot",
				 "a@s", "backend", "small"),
		    "backend");
	/* What is reserved is not for new shares. */
	json_decref(client_call(c, "create_share_instance", "{s:s,s:I,s:s}", "name", "e", "size_bytes",
				(json_int_t)9 << 30, "backend", "small"));
	json_decref(client_error(c, "no_space", "create_share_instance", "{s:s,s:I,s:s}", "name", "f", "size_bytes",
				 ((json_int_t)9 << 30) + 1, "backend", "small"));
	json_decref(client_error(c, "not_found", "get_share", "{s:s}", "share", "f"));
	client_free(c);
	fixture_free(f);
}
END_TEST

/* Each wrong parameter is named, and nothing is done. */
START_TEST(wrong_params)
{
	static const struct {
		const char *method, *params, *kind, *param;
	} cases[] = {
		{ "create_share_instance", "'name':'x','size_bytes':1,'backend':'none'", "not_found", "backend" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'snapshot':'a@none'", "not_found", "snapshot" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'snapshot':'none@s'", "not_found", "snapshot" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'share_network':'n'", "invalid_params",
		  "share_network" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'uid':'no such user'", "invalid_params", "uid" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'gid':'no such group'", "invalid_params", "gid" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'mode':'rwx'", "invalid_params", "mode" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'share_proto':'AFP'", "invalid_params",
		  "share_proto" },
		{ "create_share_instance", "'name':'x','size_bytes':1,'share_proto':'NFS','backend':'d'",
		  "not_supported", NULL },
		{ "create_share_instance", "'name':'x','size_bytes':1,'metadata':{'':'v'}", "invalid_params",
		  "metadata" },
		{ "create_share_instance", "'name':'a','size_bytes':1", "already_exists", "name" },
		{ "delete_share_instance", "'share':'none'", "not_found", "share" },
		{ "delete_share_instance", "'share':'5c2b36b6-8f4e-4a57-b6b5-1d7e2b3f0a11'", "not_found", "share" },
		{ "unmanage_share", "'share':'none'", "not_found", "share" },
		{ "extend_share", "'share':'none','size_bytes':1", "not_found", "share" },
		{ "shrink_share", "'share':'none','size_bytes':1", "not_found", "share" },
		{ "allow_access", "'share':'none','access_type':'user','access_to':'bin'", "not_found", "share" },
		{ "allow_access", "'share':'a','access_type':'group','access_to':'bin'", "invalid_params",
		  "access_type" },
		{ "allow_access", "'share':'a','access_type':'user','access_to':'no such user'", "invalid_params",
		  "access_to" },
		{ "allow_access", "'share':'a','access_type':'user','access_to':''", "invalid_params", "access_to" },
		{ "allow_access", "'share':'a','access_type':'user','access_to':'bin','access_level':'x'",
		  "invalid_params", "access_level" },
		{ "allow_access", "'share':'a','access_type':'user','access_to':'bin','access_level':'ro'",
		  "not_supported", "access_level" },
		{ "allow_access", "'share':'a','access_type':'ip','access_to':'10.0.0.1'", "not_supported",
		  "access_type" },
		{ "allow_access", "'share':'b','access_type':'ip','access_to':'10.0.0.256'", "invalid_params",
		  "access_to" },
		{ "allow_access", "'share':'b','access_type':'ip','access_to':'10.0.0.1/8'", "invalid_params",
		  "access_to" },
		{ "allow_access", "'share':'b','access_type':'ip','access_to':'10.0.0.0/33'", "invalid_params",
		  "access_to" },
		{ "allow_access", "'share':'b','access_type':'ip','access_to':'host.example.org'", "invalid_params",
		  "access_to" },
		{ "allow_access", "'share':'b','access_type':'ip','access_to':'fe80::1%eth0'", "invalid_params",
		  "access_to" },
		{ "allow_access", "'share':'b','access_type':'ip','access_to':'0::0/0'", "already_exists",
		  "access_to" },
		{ "allow_access", "'share':'b','access_type':'cephx','access_to':'a.b'", "invalid_params",
		  "access_to" },
		{ "deny_access", "'share':'a'", "invalid_params", "access" },
		{ "deny_access", "'share':'a','access_type':'user'", "invalid_params", "access" },
		{ "deny_access", "'share':'a','access_type':'user','access_to':'bin'", "not_found", "access_to" },
		{ "deny_access", "'share':'a','access':'none'", "not_found", "access" },
		{ "update_access", "'share':'a','access_level':'ro'", "invalid_params", "access" },
		{ "update_access", "'share':'a','access':'none','access_level':'ro'", "not_found", "access" },
		{ "create_snapshot", "'share':'none','name':'s'", "not_found", "share" },
		{ "create_snapshot", "'share':'a','name':'s'", "already_exists", "name" },
		{ "delete_snapshot", "'snapshot':'a'", "not_found", "snapshot" },
		{ "delete_snapshot", "'snapshot':'a@none'", "not_found", "snapshot" },
		{ "delete_snapshot", "'snapshot':'a@s@s'", "not_found", "snapshot" },
		{ "revert_to_snapshot", "'snapshot':'none@s'", "not_found", "snapshot" },
		{ "unmanage_snapshot", "'snapshot':'@'", "not_found", "snapshot" },
		{ "manage_snapshot", "'share':'none','name':'x','provider_location':'y'", "not_found", "share" },
		{ "manage_share", "'backend':'none','name':'x','provider_location':'y'", "not_found", "backend" },
		{ "manage_share", "'backend':'d','name':'x','provider_location':'none'", "not_found",
		  "provider_location" },
		{ "manage_share", "'backend':'d','name':'x','provider_location':'../x'", "invalid_params",
		  "provider_location" },
		{ "manage_share", "'backend':'d','name':'x','provider_location':'.'", "invalid_params",
		  "provider_location" },
		{ "manage_share", "'backend':'d','name':'x','provider_location':'/etc'", "invalid_params",
		  "provider_location" },
		{ "manage_share", "'backend':'d','name':'x','provider_location':'a'", "already_exists",
		  "provider_location" },
		{ "manage_share", "'backend':'d','name':'a','provider_location':'y'", "already_exists", "name" },
		{ "manage_share",
		  "'backend':'s','name':'x','provider_location':'y','access_rules':[{'access_type':'ip','access_to':'x'"
		  "}]",
		  "invalid_params", "access_to" },
		{ "manage_share",
		  "'backend':'s','name':'x','provider_location':'y','access_rules':[{'access_type':'ip','access_to':'::"
		  "1'},"
		  "{'access_type':'ip','access_to':'0:0::1/128'}]",
		  "invalid_params", "access_rules" },
		{ "set_metadata", "'metadata':{}", "invalid_params", "share" },
		{ "set_metadata", "'share':'a','snapshot':'a@s','metadata':{}", "invalid_params", "share" },
		{ "set_metadata", "'share':'none','metadata':{}", "not_found", "share" },
		{ "set_metadata", "'access':'none','metadata':{}", "not_found", "access" },
		{ "set_metadata", "'share':'a'", "invalid_params", "metadata" },
		{ "reset_status", "'share':'a','status':'creating'", "invalid_params", "status" },
		{ "reset_status", "'share':'a','status':'fine'", "invalid_params", "status" },
		{ "reset_status", "'status':'error'", "invalid_params", "share" },
		{ "reset_status", "'snapshot':'a@none','status':'error'", "not_found", "snapshot" },
		{ "init_host", "'backend':'none'", "not_found", "backend" },
		{ "publish_service_capabilities", "'backend':'none'", "not_found", "backend" },
		{ "get_backend", "'backend':'none'", "not_found", "backend" },
		{ "get_hook", "'backend':'none','hook':'h'", "not_found", "backend" },
		{ "get_hook", "'backend':'s','hook':'h'", "not_found", "hook" },
		{ "get_share", "'share':'none'", "not_found", "share" },
		{ "get_snapshot", "'snapshot':'a@none'", "not_found", "snapshot" },
		{ "test_hook", "'backend':'s','hook':'h','event':{'phase':'pre','func_name':'x'}", "not_found",
		  "hook" },
		{ "test_hook", "'backend':'s','hook':'h','event':{}", "invalid_params", "event" },
		{ "test_hook", "'backend':'none','hook':'h','event':{}", "not_found", "backend" },
		{ "subscribe", "'since':-1", "invalid_params", "since" },
	};
	struct fixture *f = fixture_new(BACKENDS);
	struct client *c;
	json_t *before[4], *j;
	static const char *const lists[] = { "list_shares", "list_snapshots", "list_access_rules", "list_backends" };

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1, "backend", "d"));
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1, "backend", "s"));
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	json_decref(client_call(c, "allow_access", "{s:s,s:s,s:s}", "share", "b", "access_type", "ip", "access_to",
				"::/0"));
	for (int i = 0; i < 4; i++)
		before[i] = client_call(c, lists[i], NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char params[512];
		json_t *reply, *param;
		const char *kind;

		snprintf(params, sizeof params, "%s", cases[i].params);
		for (char *p = params; *p; p++)
			if (*p == '\'')
				*p = '"';
		reply = client_ask(c, "{'jsonrpc':'2.0','id':1,'method':'%s','params':{%s}}", cases[i].method, params);
		ck_assert_msg(json_object_get(reply, "error") != NULL, "%s with %s succeeds", cases[i].method, params);
		kind = str_at(reply, "error.data.kind");
		param = json_object_get(at(reply, "error.data"), "param");
		ck_assert_msg(strcmp(kind, cases[i].kind) == 0, "%s with %s is %s: %s", cases[i].method, params, kind,
			      str_at(reply, "error.message"));
		ck_assert_msg(!cases[i].param || (param && strcmp(json_string_value(param), cases[i].param) == 0),
			      "%s with %s blames %s: %s", cases[i].method, params,
			      param ? json_string_value(param) : "nothing", str_at(reply, "error.message"));
		json_decref(reply);
	}
	for (int i = 0; i < 4; i++) {
		j = client_call(c, lists[i], NULL);
		ck_assert_msg(json_equal(j, before[i]), "%s answers otherwise after mere refusals", lists[i]);
		json_decref(j);
		json_decref(before[i]);
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

/* Addresses are told apart by what they mean. */
START_TEST(equal_rules)
{
	static const char *const equal[][2] = {
		{ "10.0.0.1", "10.0.0.1/32" },
		{ "2001:db8::1", "2001:0DB8:0:0::0001" },
		{ "2001:db8::/32", "2001:0db8:0000::/32" },
		{ "192.0.2.0/24", "192.0.2.0/24" },
	};
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c;
	json_t *e, *rules;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	for (size_t i = 0; i < 4; i++) {
		json_decref(client_call(c, "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "ip",
					"access_to", equal[i][0]));
		e = client_error(c, "already_exists", "allow_access", "{s:s,s:s,s:s,s:s}", "share", "a", "access_type",
				 "ip", "access_to", equal[i][1], "access_level", "ro");
		ck_assert_str_eq(str_at(e, "data.param"), "access_to");
		json_decref(e);
	}
	/* A user by number is the user by name. */
	json_decref(client_call(c, "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to",
				"daemon"));
	json_decref(client_error(c, "already_exists", "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type",
				 "user", "access_to", "1"));
	for (size_t i = 0; i < 4; i++)
		json_decref(client_call(c, "deny_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "ip",
					"access_to", equal[i][1]));
	json_decref(
		client_call(c, "deny_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to", "1"));
	rules = client_call(c, "list_access_rules", NULL);
	ck_assert_uint_eq(json_array_size(at(rules, "access_rules")), 0);
	json_decref(rules);
	client_free(c);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("methods");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, discover);
	tcase_add_test(t, every_answer_is_as_described);
	tcase_add_test(t, shapes);
	tcase_add_test(t, secrets);
	tcase_add_test(t, pages);
	tcase_add_test(t, pages_of_calls_under_way);
	tcase_add_test(t, bad_pages);
	tcase_add_test(t, names);
	tcase_add_test(t, sizes);
	tcase_add_test(t, wrong_params);
	tcase_add_test(t, equal_rules);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
