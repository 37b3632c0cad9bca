/* Replicas on the simulator: made, brought up to date, promoted and deleted, with what hooks are told and may change,
 * what is refused, rules and snapshots that follow, and what fails. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Nothing happens by itself. */
#define QUIET  "stats_interval = 86400\nreplica_state_update_interval = 86400\n"
#define DOMAIN "replication_domain = \"d\"\n"

static json_t *create(const struct fixture *f, const char *name, const char *backend)
{
	return call(f, "create_share_instance", "{s:s,s:s,s:i,s:s}", "name", name, "backend", backend, "size_bytes",
		    1000, "share_proto", "NFS");
}

static json_t *replicate(const struct fixture *f, const char *share, const char *backend)
{
	return call(f, "create_share_replica", "{s:s,s:s}", "share", share, "backend", backend);
}

/* The share's instance on a backend; borrowed from `share`, or NULL. */
static const json_t *on(const json_t *share, const char *backend)
{
	size_t i;
	json_t *instance;

	json_array_foreach(at(share, "instances"), i, instance)
		if (strcmp(str_at(instance, "backend"), backend) == 0)
			return instance;
	return NULL;
}

static json_t *get(const struct fixture *f, const char *share)
{
	return call(f, "get_share", "{s:s}", "share", share);
}

static char *id_on(const struct fixture *f, const char *share, const char *backend)
{
	_cleanup_json_ json_t *s = get(f, share);

	ck_assert_msg(on(s, backend) != NULL, "share %s has no replica on %s", share, backend);
	return strdup(str_at(on(s, backend), "id"));
}

static void expect(const struct fixture *f, const char *share, const char *backend, const char *status,
		   const char *state)
{
	_cleanup_json_ json_t *s = get(f, share);
	const json_t *i = on(s, backend);

	ck_assert_msg(i != NULL, "share %s has no replica on %s", share, backend);
	ck_assert_msg(strcmp(str_at(i, "status"), status) == 0 && strcmp(str_at(i, "replica_state"), state) == 0,
		      "the replica on %s is %s, %s", backend, str_at(i, "status"), str_at(i, "replica_state"));
}

static size_t count_active(const struct fixture *f, const char *share)
{
	_cleanup_json_ json_t *s = get(f, share);
	size_t i, n = 0;
	json_t *instance;

	json_array_foreach(at(s, "instances"), i, instance)
		n += strcmp(str_at(instance, "replica_state"), "active") == 0;
	return n;
}

/* ---- a life ---- */

START_TEST(a_life)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN "}\n");
	_cleanup_free_ char *b = NULL, *a = NULL;
	json_t *s, *list;

	fixture_start(f, NULL, (uid_t)-1);
	s = create(f, "s", "a");
	ck_assert_str_eq(str_at(s, "replication_type"), "readable");
	ck_assert_str_eq(str_at(s, "instances.0.replica_state"), "active");
	json_decref(s);
	s = replicate(f, "s", "b");
	ck_assert_str_eq(str_at(s, "backend"), "a");
	ck_assert_str_eq(str_at(on(s, "b"), "status"), "available");
	ck_assert_str_eq(str_at(on(s, "b"), "replica_state"), "in_sync");
	ck_assert_str_eq(str_at(on(s, "b"), "provider_location"), "s");
	ck_assert_str_eq(str_at(on(s, "b"), "export_locations.0.path"), "/sim/b/s");
	ck_assert_str_eq(str_at(s, "export_locations.0.path"), "/sim/a/s");
	json_decref(s);
	/* A share is listed once, where its active replica is. */
	list = call(f, "list_shares", "{s:s}", "status", "available");
	ck_assert_uint_eq(json_array_size(at(list, "shares")), 1);
	json_decref(list);
	list = call(f, "list_replicas", "{s:s}", "share", "s");
	ck_assert_uint_eq(json_array_size(at(list, "replicas")), 2);
	json_decref(list);
	a = id_on(f, "s", "a");
	b = id_on(f, "s", "b");
	/* Of the active one nothing is changed. */
	json_decref(call(f, "update_share_replica", "{s:s}", "replica", a));
	json_decref(call(f, "promote_share_replica", "{s:s}", "replica", "s@a"));
	json_decref(call(f, "update_share_replica", "{s:s}", "replica", b));
	s = call(f, "promote_share_replica", "{s:s}", "replica", "s@b");
	ck_assert_str_eq(str_at(s, "backend"), "b");
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "export_locations.0.path"), "/sim/b/s");
	ck_assert_str_eq(str_at(on(s, "b"), "replica_state"), "active");
	ck_assert_str_eq(str_at(on(s, "a"), "replica_state"), "in_sync"); /* as the driver says */
	ck_assert_str_eq(str_at(on(s, "a"), "export_locations.0.path"), "/sim/a/s");
	json_decref(s);
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 2000));
	json_decref(call_error(f, "invalid_state", "delete_share_instance", "{s:s}", "share", "s"));
	json_decref(call_error(f, "invalid_state", "delete_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	s = call(f, "delete_share_replica", "{s:s}", "replica", a);
	ck_assert_uint_eq(json_array_size(at(s, "instances")), 1);
	json_decref(s);
	json_decref(call_error(f, "not_found", "delete_share_replica", "{s:s}", "replica", a));
	s = call(f, "delete_share_replica", "{s:s,s:b}", "replica", a, "if_present", 1);
	ck_assert(json_is_null(s));
	json_decref(s);
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "s"));
	fixture_free(f);
}
END_TEST

/* ---- what is refused ---- */

static void refuse(const struct fixture *f, const char *kind, const char *param, const char *share, const char *backend)
{
	json_t *e = call_error(f, kind, "create_share_replica", "{s:s,s:s}", "share", share, "backend", backend);

	if (param)
		ck_assert_str_eq(str_at(e, "data.param"), param);
	json_decref(e);
}

START_TEST(what_is_refused)
{
	static const char backends[] = QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN
					     "}\nsim \"other\" { replication_domain = \"e\" }\nsim \"plain\" { }\n"
					     "sim \"small\" { " DOMAIN "capacity = 10 }\n"
					     "bare \"d\" { " DOMAIN "}\nbare \"d2\" { " DOMAIN "}\n";
	_cleanup_free_ char *conf =
		xasprintf("plugins = {\"%s\"}\n%s", program_path("tests/plugins/driver_bare.so"), backends);
	struct fixture *f = fixture_new(conf);
	_cleanup_free_ char *b = NULL;
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s", "a"));
	json_decref(create(f, "alone", "plain"));
	json_decref(
		call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", "real", "backend", "d", "size_bytes", 1000));
	refuse(f, "not_found", "share", "nothing", "b");
	refuse(f, "not_found", "backend", "s", "nowhere");
	refuse(f, "invalid_state", NULL, "alone", "b");
	refuse(f, "invalid_params", "backend", "s", "other");
	refuse(f, "invalid_params", "backend", "s", "plain");
	refuse(f, "invalid_params", "backend", "s", "d");
	refuse(f, "no_space", NULL, "s", "small");
	refuse(f, "already_exists", "backend", "s", "a");
	refuse(f, "not_supported", NULL, "real", "d2");
	json_decref(replicate(f, "s", "b"));
	refuse(f, "already_exists", "backend", "s", "b");
	json_decref(call(f, "create_share_replica", "{s:s,s:s,s:b}", "share", "s", "backend", "b", "if_absent", 1));
	b = id_on(f, "s", "b");
	json_decref(call_error(f, "invalid_state", "unmanage_share", "{s:s}", "share", "s"));
	json_decref(call_error(f, "not_found", "update_share_replica", "{s:s}", "replica", "s"));
	json_decref(call_error(f, "not_found", "update_share_replica", "{s:s}", "replica", "s@small"));
	json_decref(call_error(f, "not_found", "update_share_replica", "{s:s}", "replica", "none@b"));
	json_decref(call_error(f, "not_found", "promote_share_replica", "{s:s}", "replica",
			       "5b1f8c1e-6a52-4e0c-9a77-0d3c1f2b8a01"));
	/* What is not replicated has no replicas. */
	{
		_cleanup_free_ char *alone = id_on(f, "alone", "plain");

		json_decref(call_error(f, "not_found", "delete_share_replica", "{s:s}", "replica", alone));
	}
	e = call_error(f, "invalid_params", "promote_share_replica", "{s:s,s:s}", "replica", b, "quiesce", "5");
	ck_assert_str_eq(str_at(e, "data.param"), "quiesce");
	json_decref(e);
	fixture_free(f);
}
END_TEST

/* ---- hooks ---- */

static const char hooked_conf[] =
	"%s" QUIET "hook \"one\" { run = \"%s\" }\n"
	"sim \"a\" { " DOMAIN
	"hook_drivers = {\"one\"}\nenable_pre_hooks = true\nenable_post_hooks = true\nenable_error_hooks = true }\n"
	"sim \"b\" { " DOMAIN "hook_drivers = {\"one\"}\nenable_pre_hooks = true\nenable_post_hooks = "
	"true\nenable_error_hooks = true\n%s }\n";

static void start_hooked(struct fixture *f, const char *options)
{
	char body[2048];

	ck_assert_uint_lt((size_t)snprintf(body, sizeof body, hooked_conf, recorder_options, recorder_entry(), options),
			  sizeof body);
	fixture_conf(f, body);
	fixture_start(f, NULL, (uid_t)-1);
}

/* The only events since the last time: of this method, its phases in this order. New reference. */
static json_t *told(struct recorder *r, const char *method, const char *backend, const char *const *phases)
{
	json_t *lines = recorder_events(r), *line;
	size_t i, n = 0;

	json_array_foreach(lines, i, line) {
		ck_assert_msg(phases[n] != NULL, "%s: too many events", method);
		ck_assert_str_eq(str_at(line, "event.func_name"), method);
		ck_assert_str_eq(str_at(line, "event.phase"), phases[n]);
		ck_assert_str_eq(str_at(line, "event.backend.name"), backend);
		n++;
	}
	ck_assert_msg(!phases[n], "%s: phase %s was not told", method, phases[n]);
	return lines;
}

#define PHASES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void change_locations(struct recorder *r, const char *method, const char *path)
{
	char key[80];

	snprintf(key, sizeof key, "one post %s client", method);
	recorder_script(r, "b", json_pack("{s:[{s:{s:[{s:s}]}}]}", key, "return", "export_locations", "path", path));
}

START_TEST(hooks_and_what_they_change)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	_cleanup_free_ char *b = NULL;
	json_t *s, *events;

	start_hooked(f, "");
	json_decref(create(f, "s", "a"));
	json_decref(recorder_events(r));
	/* The hooks of the replica's backend. */
	change_locations(r, "create_share_replica", "/by/create");
	s = replicate(f, "s", "b");
	ck_assert_str_eq(str_at(on(s, "b"), "export_locations.0.path"), "/by/create");
	ck_assert_str_eq(str_at(s, "export_locations.0.path"), "/sim/a/s");
	json_decref(s);
	events = told(r, "create_share_replica", "b", PHASES("pre", "post"));
	b = id_on(f, "s", "b");
	ck_assert_str_eq(str_at(events, "0.event.args.id"), b);
	ck_assert_uint_eq(json_array_size(at(events, "0.event.objects.share.instances")), 1);
	ck_assert_str_eq(str_at(events, "1.event.driver_action_results.replica_state"), "in_sync");
	ck_assert_uint_eq(json_object_size(at(events, "1.event.driver_action_results")), 2);
	ck_assert_str_eq(str_at(events, "1.event.result.export_locations.0.path"), "/sim/a/s");
	ck_assert_uint_eq(json_array_size(at(events, "1.event.result.instances")), 2);
	json_decref(events);

	json_decref(call(f, "update_share_replica", "{s:s}", "replica", b));
	events = told(r, "update_share_replica", "b", PHASES("pre", "post"));
	ck_assert_str_eq(str_at(events, "1.event.driver_action_results.replica_state"), "in_sync");
	ck_assert_str_eq(str_at(events, "0.event.args.replica"), b);
	json_decref(events);

	change_locations(r, "promote_share_replica", "/by/promote");
	s = call(f, "promote_share_replica", "{s:s}", "replica", b);
	ck_assert_str_eq(str_at(s, "export_locations.0.path"), "/by/promote");
	json_decref(s);
	s = get(f, "s");
	ck_assert_str_eq(str_at(s, "export_locations.0.path"), "/by/promote");
	json_decref(s);
	events = told(r, "promote_share_replica", "b", PHASES("pre", "post"));
	s = json_incref(at(events, "1.event.driver_action_results.replicas"));
	ck_assert_str_eq(str_at(json_object_get(s, b), "replica_state"), "active");
	ck_assert_uint_eq(json_object_size(s), 2);
	json_decref(s);
	json_decref(events);
	recorder_script(r, "b", NULL);
	{
		_cleanup_free_ char *a = id_on(f, "s", "a");

		json_decref(call(f, "delete_share_replica", "{s:s}", "replica", a));
	}
	json_decref(told(r, "delete_share_replica", "a", PHASES("pre", "post")));
	recorder_free(r);
	fixture_free(f);
}
END_TEST

static void veto(struct recorder *r, const char *method)
{
	char key[80];

	snprintf(key, sizeof key, "one pre %s client", method);
	recorder_script(r, "b", json_pack("{s:[{s:s}]}", key, "veto", "not today"));
}

static void vetoed(struct fixture *f, struct recorder *r, const char *method, const char *replica)
{
	veto(r, method);
	json_decref(call_error(f, "vetoed", method, "{s:s}", "replica", replica));
	json_decref(told(r, method, "b", PHASES("pre", "error")));
}

START_TEST(hooks_that_refuse)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	_cleanup_free_ char *b = NULL;
	json_t *s;

	start_hooked(f, "");
	json_decref(create(f, "s", "a"));
	json_decref(recorder_events(r));
	veto(r, "create_share_replica");
	json_decref(call_error(f, "vetoed", "create_share_replica", "{s:s,s:s}", "share", "s", "backend", "b"));
	json_decref(told(r, "create_share_replica", "b", PHASES("pre", "error")));
	s = get(f, "s");
	ck_assert_uint_eq(json_array_size(at(s, "instances")), 1);
	json_decref(s);
	recorder_script(r, "b", NULL);
	json_decref(replicate(f, "s", "b"));
	json_decref(recorder_events(r));
	b = id_on(f, "s", "b");
	vetoed(f, r, "update_share_replica", b);
	vetoed(f, r, "promote_share_replica", b);
	vetoed(f, r, "delete_share_replica", b);
	expect(f, "s", "a", "available", "active");
	expect(f, "s", "b", "available", "in_sync");
	/* What a post hook may not set. */
	recorder_script(r, "b",
			json_pack("{s:[{s:{s:s}}]}", "one post update_share_replica client", "return", "replica_state",
				  "error"));
	json_decref(call_error(f, "post_hook_failed", "update_share_replica", "{s:s}", "replica", b));
	expect(f, "s", "b", "available", "in_sync");
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* ---- a driver that fails ---- */

START_TEST(a_driver_that_fails)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	_cleanup_free_ char *b = NULL;
	json_t *s;

	start_hooked(f, "fail = {\"create_replica:EIO@1\", \"update_replica_state:EIO@1\", \"promote_replica:EIO@1\", "
			"\"delete_replica:EIO@1\"}");
	json_decref(create(f, "s", "a"));
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "ip", "access_to", "192.0.2.1"));
	json_decref(recorder_events(r));
	json_decref(call_error(f, "driver_failed", "create_share_replica", "{s:s,s:s}", "share", "s", "backend", "b"));
	json_decref(told(r, "create_share_replica", "b", PHASES("pre", "error")));
	expect(f, "s", "b", "error", "error");
	expect(f, "s", "a", "available", "active");
	b = id_on(f, "s", "b");
	/* A replica in error: brought up to date, first in vain, then both its status and its state are well. */
	json_decref(call_error(f, "driver_failed", "update_share_replica", "{s:s}", "replica", b));
	expect(f, "s", "b", "error", "error");
	json_decref(call_error(f, "invalid_state", "promote_share_replica", "{s:s}", "replica", b));
	json_decref(call(f, "update_share_replica", "{s:s}", "replica", b));
	expect(f, "s", "b", "available", "in_sync");
	/* A promotion that fails leaves the share where it was, and says so. */
	json_decref(recorder_events(r));
	json_decref(call_error(f, "driver_failed", "promote_share_replica", "{s:s}", "replica", b));
	json_decref(told(r, "promote_share_replica", "b", PHASES("pre", "error")));
	s = get(f, "s");
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "backend"), "a");
	ck_assert_str_eq(str_at(s, "access_rules_status"), "active");
	ck_assert_ptr_nonnull(strstr(str_at(s, "status_reason"), "promote_replica of backend \"b\" failed"));
	json_decref(s);
	expect(f, "s", "b", "available", "in_sync");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 2000));
	json_decref(call_error(f, "driver_failed", "delete_share_replica", "{s:s}", "replica", b));
	expect(f, "s", "b", "error_deleting", "error");
	json_decref(call(f, "delete_share_replica", "{s:s}", "replica", b));
	s = get(f, "s");
	ck_assert_uint_eq(json_array_size(at(s, "instances")), 1);
	json_decref(s);
	recorder_free(r);
	fixture_free(f);
}
END_TEST

START_TEST(by_force)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "fail = {\"update_access:EIO@2\"} }\n"
					      "sim \"b\" { " DOMAIN "fail = {\"delete_replica:EIO\"} }\n");
	_cleanup_free_ char *a = NULL, *b = NULL;
	json_t *list;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s", "a"));
	json_decref(replicate(f, "s", "b"));
	a = id_on(f, "s", "a");
	b = id_on(f, "s", "b");
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "ip", "access_to", "192.0.2.1"));
	/* The old one cannot be shut to writers: only by force are there two that may be written to. */
	json_decref(call_error(f, "driver_failed", "promote_share_replica", "{s:s}", "replica", b));
	expect(f, "s", "a", "available", "active");
	expect(f, "s", "b", "available", "in_sync");
	json_decref(call(f, "promote_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	expect(f, "s", "b", "available", "active");
	json_decref(call(f, "promote_share_replica", "{s:s}", "replica", a));
	expect(f, "s", "a", "available", "active");
	/* What is wrong with the old one stays to be seen. */
	json_decref(call(f, "reset_status", "{s:s,s:s}", "share", "s", "status", "error"));
	list = call(f, "promote_share_replica", "{s:s}", "replica", b);
	ck_assert_str_eq(str_at(list, "status"), "available");
	ck_assert_str_eq(str_at(on(list, "a"), "status"), "error");
	ck_assert_str_eq(str_at(on(list, "a"), "status_reason"), "set by reset_status");
	json_decref(list);
	json_decref(call(f, "update_share_replica", "{s:s}", "replica", a));
	json_decref(call(f, "promote_share_replica", "{s:s}", "replica", a));
	expect(f, "s", "a", "available", "active");
	json_decref(call_error(f, "driver_failed", "delete_share_replica", "{s:s}", "replica", b));
	json_decref(call(f, "delete_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	list = call(f, "list_access_rules", "{s:s}", "share", "s");
	ck_assert_uint_eq(json_array_size(at(list, "access_rules")), 1);
	ck_assert_str_eq(str_at(list, "access_rules.0.state"), "active");
	json_decref(list);
	fixture_free(f);
}
END_TEST

/* ---- access rules ---- */

static void rule_is(const struct fixture *f, const char *state)
{
	_cleanup_json_ json_t *list = call(f, "list_access_rules", "{s:s}", "share", "s");

	ck_assert_uint_eq(json_array_size(at(list, "access_rules")), 1);
	ck_assert_msg(strcmp(str_at(list, "access_rules.0.state"), state) == 0, "the rule is %s: %s",
		      str_at(list, "access_rules.0.state"),
		      json_string_value(at(list, "access_rules.0.status_reason")));
}

static json_t *rule(const char *to)
{
	return json_pack("{s:s,s:s,s:s}", "share", "s", "access_type", "ip", "access_to", to);
}

static void with_rule(const struct fixture *f, const char *method)
{
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = client_request(c, method, rule("192.0.2.1"));

	ck_assert_ptr_null(json_object_get(reply, "error"));
	client_free(c);
}

START_TEST(rules_follow)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN
					      "fail = {\"update_access:EIO@3\", \"update_access:EIO@6\"} }\n");
	json_t *list;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s", "a"));
	with_rule(f, "allow_access");
	json_decref(replicate(f, "s", "b")); /* 1 */
	rule_is(f, "active");
	with_rule(f, "deny_access"); /* 2 */
	list = call(f, "list_access_rules", NULL);
	ck_assert_uint_eq(json_array_size(at(list, "access_rules")), 0);
	json_decref(list);
	/* What does not follow is told, and tried again. */
	with_rule(f, "allow_access"); /* 3 fails */
	rule_is(f, "error");
	json_decref(call(f, "update_access", "{s:s}", "share", "s")); /* 4 */
	rule_is(f, "active");
	list = call(f, "list_access_rules", NULL);
	json_decref(call(f, "update_access", "{s:s,s:s,s:s}", "share", "s", "access", str_at(list, "access_rules.0.id"),
			 "access_level", "ro")); /* 5 */
	json_decref(list);
	rule_is(f, "active");
	with_rule(f, "deny_access"); /* 6 fails: it stays until the replica lets nobody in any more */
	rule_is(f, "queued_to_deny");
	json_decref(call(f, "init_host", "{s:s}", "backend", "b"));
	list = call(f, "list_access_rules", NULL);
	ck_assert_uint_eq(json_array_size(at(list, "access_rules")), 0);
	json_decref(list);
	fixture_free(f);
}
END_TEST

/* ---- a backend that is gone ---- */

START_TEST(disaster)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN "}\n");
	_cleanup_free_ char *a = NULL, *b = NULL;
	json_t *s;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s", "a"));
	json_decref(replicate(f, "s", "b"));
	with_rule(f, "allow_access");
	a = id_on(f, "s", "a");
	b = id_on(f, "s", "b");
	fixture_conf(f, QUIET "sim \"b\" { " DOMAIN "}\n");
	fixture_hup(f);
	wait_backend(f, "a", "down");
	json_decref(call_error(f, "backend_down", "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 2000));
	/* What was in sync stays so: nothing is to be had from the source, and nobody writes there. */
	json_decref(call_error(f, "backend_down", "update_share_replica", "{s:s}", "replica", b));
	expect(f, "s", "b", "available", "in_sync");
	s = call(f, "promote_share_replica", "{s:s}", "replica", b);
	ck_assert_str_eq(str_at(s, "backend"), "b");
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "access_rules_status"), "active");
	json_decref(s);
	/* Who is not there cannot be told yet. */
	rule_is(f, "queued_to_apply");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 2000));
	json_decref(call_error(f, "backend_down", "update_share_replica", "{s:s}", "replica", a));
	fixture_conf(f, QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN "}\n");
	fixture_hup(f);
	wait_backend(f, "a", "up");
	rule_is(f, "active");
	ck_assert_uint_eq(count_active(f, "s"), 1);
	expect(f, "s", "b", "available", "active");
	json_decref(call(f, "update_share_replica", "{s:s}", "replica", a));
	expect(f, "s", "a", "available", "in_sync");
	fixture_free(f);
}
END_TEST

/* ---- crashes ---- */

enum cut { CUT_CREATE, CUT_PROMOTE, CUT_UPDATE, CUT_DELETE, CUTS };

static const char *const cut_methods[CUTS] = { "create_share_replica", "promote_share_replica", "update_share_replica",
					       "delete_share_replica" };

static json_t *cut_params(const struct fixture *f, enum cut cut, const char *share, const char *replica)
{
	json_t *params = cut == CUT_CREATE ? json_pack("{s:s,s:s}", "share", share, "backend", "b")
					   : json_pack("{s:s}", "replica", replica);

	(void)f;
	json_object_set_new(params, "request_id", json_string(share));
	return params;
}

static void check_whole(const struct fixture *f, const char *share, unsigned step)
{
	_cleanup_json_ json_t *s = get(f, share), *rules = call(f, "list_access_rules", "{s:s}", "share", share);
	size_t i;
	json_t *instance;

	ck_assert_msg(count_active(f, share) == 1, "step %u: %zu active replicas", step, count_active(f, share));
	json_array_foreach(at(s, "instances"), i, instance)
		ck_assert_msg(strcmp(str_at(instance, "status"), "available") == 0, "step %u: the one on %s is %s: %s",
			      step, str_at(instance, "backend"), str_at(instance, "status"),
			      str_at(instance, "status_reason"));
	ck_assert_msg(strcmp(str_at(rules, "access_rules.0.state"), "active") == 0, "step %u: the rule is %s", step,
		      str_at(rules, "access_rules.0.state"));
}

static void check_done(const struct fixture *f, enum cut cut, const char *share, const char *replica)
{
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = client_request(c, cut_methods[cut], cut_params(f, cut, share, replica)),
			      *s = get(f, share);

	client_free(c);
	if (!json_object_get(reply, "result"))
		ck_abort_msg("%s: %s", cut_methods[cut], str_at(reply, "error.message"));
	ck_assert_uint_eq(json_array_size(at(s, "instances")), cut == CUT_DELETE ? 1 : 2);
	ck_assert_str_eq(str_at(s, "backend"), cut == CUT_PROMOTE ? "b" : "a");
	if (cut == CUT_CREATE || cut == CUT_UPDATE)
		ck_assert_str_eq(str_at(on(s, "b"), "replica_state"), "in_sync");
}

/* There is one active replica at any time, and the same request_id ends in what was asked for. */
START_TEST(cut_off_at_every_step)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN "}\n");
	enum cut cut = (enum cut)_i;
	unsigned step = 1;
	bool through = false;

	fixture_start(f, NULL, (uid_t)-1);
	for (; !through && step < 100; step++) {
		_cleanup_free_ char *replica = NULL;
		char share[16];

		snprintf(share, sizeof share, "s%u", step);
		json_decref(create(f, share, "a"));
		json_decref(call(f, "allow_access", "{s:s,s:s,s:s}", "share", share, "access_type", "ip", "access_to",
				 "192.0.2.1"));
		if (cut != CUT_CREATE) {
			json_decref(replicate(f, share, "b"));
			replica = id_on(f, share, "b");
		}
		fixture_stop(f);
		through = fixture_crash_at(f, step, cut_methods[cut], cut_params(f, cut, share, replica));
		fixture_start(f, NULL, (uid_t)-1);
		check_whole(f, share, step);
		check_done(f, cut, share, replica);
		check_whole(f, share, step);
		if (cut != CUT_DELETE) {
			_cleanup_free_ char *other = id_on(f, share, cut == CUT_PROMOTE ? "a" : "b");

			json_decref(call(f, "delete_share_replica", "{s:s}", "replica", other));
		}
		json_decref(call(f, "delete_share_instance", "{s:s}", "share", share));
	}
	ck_assert_uint_gt(step, 4);
	ck_assert(through);
	fixture_free(f);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { a_life,   what_is_refused, hooks_and_what_they_change, hooks_that_refuse,
				 by_force, rules_follow,    a_driver_that_fails,        disaster };
	Suite *s = suite_create("methods_replica");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		tcase_add_test(t, tests[i]);
	tcase_add_loop_test(t, cut_off_at_every_step, 0, CUTS);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
