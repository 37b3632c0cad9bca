/* Replicated snapshots, and the rounds of replica updates, on the simulator: what hooks are told, what drivers leave
 * out and what they fail at, what follows later by a timer, crashes. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define QUIET  "stats_interval = 86400\nreplica_state_update_interval = 86400\n"
#define OFTEN  "stats_interval = 86400\nreplica_state_update_interval = 0.1\n"
#define DOMAIN "replication_domain = \"d\"\n"
#define LAG    "replicas_lag = true\n"

static json_t *create(const struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", name, "backend", "a", "size_bytes", 1000);
}

static void replicate(const struct fixture *f, const char *share)
{
	json_decref(call(f, "create_share_replica", "{s:s,s:s}", "share", share, "backend", "b"));
}

static json_t *snapshot(const struct fixture *f, const char *share, const char *name)
{
	return call(f, "create_snapshot", "{s:s,s:s}", "share", share, "name", name);
}

static json_t *get(const struct fixture *f, const char *ref)
{
	return call(f, "get_snapshot", "{s:s}", "snapshot", ref);
}

static char *replica_on(const struct fixture *f, const char *share, const char *backend)
{
	_cleanup_json_ json_t *s = call(f, "get_share", "{s:s}", "share", share);
	size_t i;
	json_t *instance;

	json_array_foreach(at(s, "instances"), i, instance)
		if (strcmp(str_at(instance, "backend"), backend) == 0)
			return strdup(str_at(instance, "id"));
	ck_abort_msg("share %s has no replica on %s", share, backend);
}

static size_t count_snapshots(const struct fixture *f)
{
	_cleanup_json_ json_t *all = call(f, "list_snapshots", NULL);

	return json_array_size(at(all, "snapshots"));
}

/* Waits until the snapshot's second instance is in this status. */
static void wait_second(const struct fixture *f, const char *ref, const char *status)
{
	double until = now() + 20;

	for (;;) {
		_cleanup_json_ json_t *s = get(f, ref);

		if (strcmp(str_at(s, "instances.1.status"), status) == 0)
			return;
		ck_assert_msg(now() < until, "%s is %s on its replica", ref, str_at(s, "instances.1.status"));
		nap(0.02);
	}
}

/* ---- a life ---- */

START_TEST(one_on_every_replica)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN "}\nsim \"p\" { }\n");
	_cleanup_free_ char *b = NULL;
	json_t *s;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s"));
	json_decref(snapshot(f, "s", "before"));
	replicate(f, "s");
	/* What is there comes over, when it is asked for. */
	s = get(f, "s@before");
	ck_assert_uint_eq(json_array_size(at(s, "instances")), 2);
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "instances.1.status"), "creating");
	json_decref(s);
	s = call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@before");
	ck_assert_str_eq(str_at(s, "instances.1.status"), "available");
	json_decref(s);
	s = call(f, "create_replicated_snapshot", "{s:s,s:s,s:{s:s}}", "share", "s", "name", "two", "metadata", "k",
		 "v");
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "metadata.k"), "v");
	ck_assert_str_eq(str_at(s, "instances.0.status"), "available");
	ck_assert_str_eq(str_at(s, "instances.1.status"), "available");
	ck_assert_str_ne(str_at(s, "instances.0.instance_id"), str_at(s, "instances.1.instance_id"));
	json_decref(s);
	json_decref(call_error(f, "already_exists", "create_snapshot", "{s:s,s:s}", "share", "s", "name", "two"));
	json_decref(call(f, "create_snapshot", "{s:s,s:s,s:b}", "share", "s", "name", "two", "if_absent", 1));
	/* Either is adopted or given back on one replica alone. */
	json_decref(call_error(f, "invalid_state", "unmanage_snapshot", "{s:s}", "snapshot", "s@two"));
	json_decref(call_error(f, "invalid_state", "manage_snapshot", "{s:s,s:s,s:s}", "share", "s", "name", "x",
			       "provider_location", "x"));
	/* A share can be made of it where the share's replicas are. */
	s = call(f, "create_share_instance", "{s:s,s:s,s:s}", "name", "copy", "snapshot", "s@two", "backend", "b");
	ck_assert_str_eq(str_at(s, "backend"), "b");
	json_decref(s);
	json_decref(call_error(f, "invalid_params", "create_share_instance", "{s:s,s:s,s:s}", "name", "no", "snapshot",
			       "s@two", "backend", "p"));
	/* Reverting the active one leaves the other behind. */
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "s@two"));
	s = call(f, "list_replicas", "{s:s}", "share", "s");
	ck_assert_str_eq(str_at(s, "replicas.1.replica_state"), "out_of_sync");
	json_decref(s);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@two"));
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "s@two"));
	json_decref(call(f, "delete_replicated_snapshot", "{s:s,s:b}", "snapshot", "s@two", "if_present", 1));
	/* They stay where the share goes. */
	b = replica_on(f, "s", "b");
	json_decref(call(f, "promote_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	{
		_cleanup_free_ char *a = replica_on(f, "s", "a");

		json_decref(call(f, "delete_share_replica", "{s:s}", "replica", a));
	}
	s = get(f, "s@before");
	ck_assert_uint_eq(json_array_size(at(s, "instances")), 1);
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "instances.0.instance_id"), b);
	json_decref(s);
	json_decref(call(f, "delete_replicated_snapshot", "{s:s}", "snapshot", "s@before"));
	ck_assert_uint_eq(count_snapshots(f), 0);
	/* Of a share that is not replicated there are none. */
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", "q", "backend", "p", "size_bytes", 9));
	json_decref(
		call_error(f, "invalid_state", "create_replicated_snapshot", "{s:s,s:s}", "share", "q", "name", "x"));
	json_decref(snapshot(f, "q", "x"));
	fixture_free(f);
}
END_TEST

/* What came over with a replica is there at once: it is asked for by a call of the call's own. */
START_TEST(with_its_replica)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN LAG "}\nsim \"b\" { " DOMAIN LAG "}\n");
	_cleanup_free_ char *b = NULL;
	_cleanup_json_ json_t *s = NULL, *calls = NULL;
	json_t *one;
	size_t i, n = 0;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s"));
	json_decref(snapshot(f, "s", "x"));
	replicate(f, "s");
	b = replica_on(f, "s", "b");
	wait_second(f, "s@x", "creating");
	json_decref(call(f, "update_share_replica", "{s:s}", "replica", b));
	wait_second(f, "s@x", "available");
	json_decref(snapshot(f, "s", "y"));
	wait_second(f, "s@y", "creating");
	json_decref(call(f, "promote_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	s = get(f, "s@y");
	ck_assert_str_eq(str_at(s, "status"), "available");
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "s@y"));
	calls = call(f, "list_calls", NULL);
	json_array_foreach(at(calls, "calls"), i, one)
		if (strcmp(str_at(one, "method"), "update_replicated_snapshot") == 0) {
			ck_assert_str_eq(str_at(one, "origin"), "call");
			ck_assert_str_eq(str_at(one, "outcome"), "ok");
			n++;
		}
	ck_assert_uint_eq(n, 2);
	fixture_free(f);
}
END_TEST

/* The only instance of a snapshot keeps its replica. */
START_TEST(the_only_instance)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN LAG "}\nsim \"b\" { " DOMAIN LAG
					      "fail = {\"update_replicated_snapshot:EIO@1\"} }\n");
	_cleanup_free_ char *a = NULL, *b = NULL;
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s"));
	json_decref(snapshot(f, "s", "x"));
	replicate(f, "s");
	a = replica_on(f, "s", "a");
	b = replica_on(f, "s", "b");
	/* A driver that says nothing: not in step, and not stuck. */
	json_decref(call_error(f, "invalid_state", "promote_share_replica", "{s:s}", "replica", b));
	json_decref(call(f, "promote_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	e = call_error(f, "invalid_state", "delete_share_replica", "{s:s,s:b}", "replica", a, "force", 1);
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "only instance of snapshot \"x\""));
	json_decref(e);
	json_decref(call_error(f, "invalid_state", "revert_to_snapshot", "{s:s}", "snapshot", "s@x"));
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@x"));
	json_decref(call(f, "delete_share_replica", "{s:s}", "replica", a));
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "s@x"));
	fixture_free(f);
}
END_TEST

/* ---- hooks ---- */

static const char hooked_conf[] =
	"%s%shook \"one\" { run = \"%s\" }\n"
	"sim \"a\" { " DOMAIN LAG
	"hook_drivers = {\"one\"}\nenable_pre_hooks = true\nenable_post_hooks = true\nenable_error_hooks = true\n%s }\n"
	"sim \"b\" { " DOMAIN LAG
	"hook_drivers = {\"one\"}\nenable_pre_hooks = true\nenable_post_hooks = true\nenable_error_hooks = true }\n";

static void start_hooked(struct fixture *f, const char *top, const char *options)
{
	char body[2048];

	ck_assert_uint_lt(
		(size_t)snprintf(body, sizeof body, hooked_conf, recorder_options, top, recorder_entry(), options),
		sizeof body);
	fixture_conf(f, body);
	fixture_start(f, NULL, (uid_t)-1);
}

static void told(struct recorder *r, const char *method, const char *first, const char *second)
{
	_cleanup_json_ json_t *lines = recorder_events(r);

	ck_assert_msg(json_array_size(lines) == 2, "%s: %zu events", method, json_array_size(lines));
	for (size_t i = 0; i < 2; i++) {
		const json_t *event = at(json_array_get(lines, i), "event");

		ck_assert_str_eq(str_at(event, "func_name"), method);
		ck_assert_str_eq(str_at(event, "phase"), i ? second : first);
		ck_assert_str_eq(str_at(event, "backend.name"), "a");
	}
}

START_TEST(hooks_of_the_active_one)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	json_t *s;

	start_hooked(f, QUIET, "fail = {\"delete_replicated_snapshot:EIO@1\"}");
	json_decref(create(f, "s"));
	replicate(f, "s");
	json_decref(recorder_events(r));
	recorder_script(r, "a",
			json_pack("{s:[{s:{s:{s:s}}}]}", "one post create_replicated_snapshot client", "return",
				  "metadata", "by", "hook"));
	s = snapshot(f, "s", "x");
	ck_assert_str_eq(str_at(s, "metadata.by"), "hook");
	json_decref(s);
	told(r, "create_replicated_snapshot", "pre", "post");
	recorder_script(r, "a", NULL);
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@x"));
	told(r, "update_replicated_snapshot", "pre", "post");
	/* Taken as another method, and all the same known by its request_id. */
	json_decref(call(f, "create_snapshot", "{s:s,s:s,s:s}", "share", "s", "name", "y", "request_id", "one"));
	json_decref(call(f, "create_snapshot", "{s:s,s:s,s:s}", "share", "s", "name", "y", "request_id", "one"));
	told(r, "create_replicated_snapshot", "pre", "post");
	json_decref(call_error(f, "driver_failed", "delete_snapshot", "{s:s}", "snapshot", "s@x"));
	told(r, "delete_replicated_snapshot", "pre", "error");
	s = get(f, "s@x");
	ck_assert_str_eq(str_at(s, "status"), "error_deleting");
	ck_assert_str_eq(str_at(s, "instances.1.status"), "error_deleting");
	json_decref(s);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@x"));
	told(r, "delete_replicated_snapshot", "pre", "post");
	/* The replica's is deleted when it is asked for. */
	s = get(f, "s@x");
	ck_assert_uint_eq(json_array_size(at(s, "instances")), 1);
	ck_assert_str_eq(str_at(s, "status"), "deleting");
	json_decref(s);
	recorder_script(r, "a",
			json_pack("{s:[{s:s}]}", "one pre update_replicated_snapshot client", "veto", "not today"));
	json_decref(call_error(f, "vetoed", "update_replicated_snapshot", "{s:s}", "snapshot", "s@x"));
	told(r, "update_replicated_snapshot", "pre", "error");
	recorder_script(r, "a", NULL);
	s = call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@x");
	ck_assert(json_is_null(s));
	json_decref(s);
	ck_assert_uint_eq(count_snapshots(f), 1);
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* ---- drivers that fail ---- */

static void second_is(const struct fixture *f, const char *ref, const char *status)
{
	_cleanup_json_ json_t *s = get(f, ref);

	ck_assert_str_eq(str_at(s, "instances.1.status"), status);
}

START_TEST(a_driver_that_fails)
{
	struct fixture *f =
		fixture_new(QUIET "sim \"a\" { " DOMAIN LAG "fail = {\"create_replicated_snapshot:EIO@1\", "
				  "\"delete_replicated_snapshot:EIO@2\"} }\n"
				  "sim \"b\" { " DOMAIN LAG "fail = {\"update_replicated_snapshot:EIO@1\", "
				  "\"update_replicated_snapshot:ENOENT@3\", \"update_replicated_snapshot:ENOENT@4\", "
				  "\"update_replicated_snapshot:ENOENT@7\"} }\n");
	json_t *s;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s"));
	replicate(f, "s");
	json_decref(call_error(f, "driver_failed", "create_snapshot", "{s:s,s:s}", "share", "s", "name", "x"));
	s = get(f, "s@x");
	ck_assert_str_eq(str_at(s, "status"), "error");
	json_decref(s);
	second_is(f, "s@x", "error");
	/* Gone from the active one; the replica's is asked for, first in vain. */
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@x"));
	json_decref(call_error(f, "driver_failed", "update_replicated_snapshot", "{s:s}", "snapshot", "s@x"));
	s = get(f, "s@x");
	ck_assert_str_eq(str_at(s, "status"), "error_deleting");
	json_decref(s);
	json_decref(call_error(f, "driver_failed", "delete_snapshot", "{s:s}", "snapshot", "s@x"));
	json_decref(call(f, "delete_snapshot", "{s:s,s:b}", "snapshot", "s@x", "force", 1));
	s = call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@x");
	ck_assert(json_is_null(s));
	json_decref(s);
	/* What is not there while it is to be made is an error, which a good update mends. */
	json_decref(snapshot(f, "s", "y"));
	second_is(f, "s@y", "creating");
	for (int i = 0; i < 2; i++) {
		s = call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@y");
		ck_assert_str_eq(str_at(s, "status"), "available");
		ck_assert_str_eq(str_at(s, "instances.1.status"), "error");
		json_decref(s);
	}
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@y"));
	second_is(f, "s@y", "available");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@y"));
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@y"));
	ck_assert_uint_eq(count_snapshots(f), 0);
	/* While it is to be deleted, that it is not there is what was wanted. */
	json_decref(snapshot(f, "s", "z"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@z"));
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@z"));
	ck_assert_uint_eq(count_snapshots(f), 0);
	fixture_free(f);
}
END_TEST

START_TEST(a_backend_that_is_gone)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN LAG "}\nsim \"b\" { " DOMAIN LAG "}\n");

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "s"));
	replicate(f, "s");
	json_decref(snapshot(f, "s", "x"));
	json_decref(snapshot(f, "s", "y"));
	fixture_conf(f, QUIET "sim \"a\" { " DOMAIN LAG "}\n");
	fixture_hup(f);
	wait_backend(f, "b", "down");
	/* It waits for who is not there, or not. */
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@x"));
	second_is(f, "s@x", "creating");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@x"));
	json_decref(call(f, "delete_snapshot", "{s:s,s:b}", "snapshot", "s@y", "force", 1));
	ck_assert_uint_eq(count_snapshots(f), 1);
	fixture_conf(f, QUIET "sim \"a\" { " DOMAIN LAG "}\nsim \"b\" { " DOMAIN LAG "}\n");
	fixture_hup(f);
	wait_backend(f, "b", "up");
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@x"));
	ck_assert_uint_eq(count_snapshots(f), 0);
	fixture_free(f);
}
END_TEST

/* ---- timers ---- */

static void wait_state(const struct fixture *f, const char *share, const char *state)
{
	double until = now() + 20;

	for (;;) {
		_cleanup_json_ json_t *list = call(f, "list_replicas", "{s:s}", "share", share);
		const json_t *replica = at(list, "replicas.1");

		if (strcmp(str_at(replica, "replica_state"), state) == 0 &&
		    strcmp(str_at(replica, "status"), "available") == 0)
			return;
		ck_assert_msg(now() < until, "the replica of %s is %s, %s", share, str_at(replica, "status"),
			      str_at(replica, "replica_state"));
		nap(0.02);
	}
}

static void wait_no_snapshots(const struct fixture *f)
{
	double until = now() + 20;

	while (count_snapshots(f)) {
		ck_assert_msg(now() < until, "a snapshot is still there");
		nap(0.02);
	}
}

/* Is there a call of a timer of this method that ended so? */
static bool by_timer(const struct fixture *f, const char *method, const char *outcome)
{
	_cleanup_json_ json_t *calls = call(f, "list_calls", "{s:i}", "limit", 1000);
	size_t i;
	json_t *c;

	json_array_foreach(at(calls, "calls"), i, c)
		if (strcmp(str_at(c, "method"), method) == 0 && strcmp(str_at(c, "origin"), "timer") == 0 &&
		    json_object_get(c, "outcome") && strcmp(str_at(c, "outcome"), outcome) == 0)
			return true;
	return false;
}

/* What a call did is seen before its end. */
static void wait_timer(const struct fixture *f, const char *method, const char *outcome)
{
	double until = now() + 20;

	while (!by_timer(f, method, outcome)) {
		ck_assert_msg(now() < until, "no timer's %s ended with %s", method, outcome);
		nap(0.02);
	}
}

/* One that fails does not keep the others waiting, and is mended by the next round. */
START_TEST(rounds)
{
	struct fixture *f = fixture_new(OFTEN "sim \"a\" { " DOMAIN LAG "}\nsim \"b\" { " DOMAIN LAG
					      "fail = {\"update_replica_state:EIO@1\"} }\n");
	static const char *const shares[] = { "s1", "s2", "s3" };

	fixture_start(f, NULL, (uid_t)-1);
	for (size_t i = 0; i < 3; i++) {
		json_decref(create(f, shares[i]));
		replicate(f, shares[i]);
	}
	for (size_t i = 0; i < 3; i++)
		wait_state(f, shares[i], "in_sync");
	wait_timer(f, "update_share_replica", "driver_failed");
	wait_timer(f, "update_share_replica", "ok");
	json_decref(snapshot(f, "s2", "x"));
	wait_second(f, "s2@x", "available");
	wait_timer(f, "update_replicated_snapshot", "ok");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s2@x"));
	wait_no_snapshots(f);
	fixture_free(f);
}
END_TEST

/* Hooks of a round are told of it; one that refuses only warns, as in every call of a timer. */
START_TEST(hooks_of_rounds)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	bool replica = false, snap = false;
	double until = now() + 20;

	recorder_script(r, "b", json_pack("{s:[{s:s}]}", "one pre update_share_replica timer", "fail", "out of order"));
	start_hooked(f, OFTEN, "");
	json_decref(create(f, "s"));
	replicate(f, "s");
	json_decref(snapshot(f, "s", "x"));
	wait_state(f, "s", "in_sync");
	wait_second(f, "s@x", "available");
	while (!replica || !snap) {
		_cleanup_json_ json_t *lines = recorder_events(r);
		size_t i;
		json_t *line;

		ck_assert_msg(now() < until, "the hooks were not told of a round");
		json_array_foreach(lines, i, line) {
			const json_t *e = at(line, "event");
			const char *name = str_at(e, "func_name");

			if (strcmp(str_at(e, "context.origin"), "timer") != 0 ||
			    strcmp(str_at(e, "phase"), "post") != 0)
				continue;
			ck_assert(json_is_null(at(e, "context.uid")));
			if (strcmp(name, "update_share_replica") == 0) {
				ck_assert_str_eq(str_at(e, "backend.name"), "b");
				ck_assert_str_eq(str_at(e, "pre_hook_error.data.kind"), "pre_hook_failed");
				replica = true;
			}
			snap = snap || strcmp(name, "update_replicated_snapshot") == 0;
		}
		nap(0.02);
	}
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* ---- crashes ---- */

enum cut { CUT_CREATE, CUT_UPDATE, CUT_DELETE, CUTS };

static const char *const cut_methods[CUTS] = { "create_snapshot", "update_replicated_snapshot", "delete_snapshot" };

static json_t *cut_params(enum cut cut, const char *share)
{
	char ref[32];

	snprintf(ref, sizeof ref, "%s@x", share);
	return cut == CUT_CREATE ? json_pack("{s:s,s:s,s:s}", "share", share, "name", "x", "request_id", share)
				 : json_pack("{s:s,s:s}", "snapshot", ref, "request_id", share);
}

static void do_again(const struct fixture *f, enum cut cut, const char *share)
{
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = client_request(c, cut_methods[cut], cut_params(cut, share));

	client_free(c);
	if (!json_object_get(reply, "result"))
		ck_abort_msg("%s: %s", cut_methods[cut], str_at(reply, "error.message"));
}

START_TEST(cut_off_at_every_step)
{
	struct fixture *f = fixture_new(QUIET "sim \"a\" { " DOMAIN "}\nsim \"b\" { " DOMAIN "}\n");
	enum cut cut = (enum cut)_i;
	unsigned step = 1;
	bool through = false;

	fixture_start(f, NULL, (uid_t)-1);
	for (; !through && step < 100; step++) {
		char share[16], ref[32];

		snprintf(share, sizeof share, "s%u", step);
		snprintf(ref, sizeof ref, "%s@x", share);
		json_decref(create(f, share));
		if (cut == CUT_UPDATE) /* the replica's instance is to come over */
			json_decref(snapshot(f, share, "x"));
		replicate(f, share);
		if (cut == CUT_DELETE)
			json_decref(snapshot(f, share, "x"));
		fixture_stop(f);
		through = fixture_crash_at(f, step, cut_methods[cut], cut_params(cut, share));
		fixture_start(f, NULL, (uid_t)-1);
		do_again(f, cut, share);
		if (cut == CUT_DELETE) {
			ck_assert_msg(count_snapshots(f) == 0, "step %u: %zu snapshots", step, count_snapshots(f));
			continue;
		}
		wait_second(f, ref, "available");
		ck_assert_msg(count_snapshots(f) == 1, "step %u: %zu snapshots", step, count_snapshots(f));
		json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", ref));
	}
	ck_assert_uint_gt(step, 4);
	ck_assert(through);
	fixture_free(f);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { one_on_every_replica,
				 with_its_replica,
				 the_only_instance,
				 hooks_of_the_active_one,
				 a_driver_that_fails,
				 a_backend_that_is_gone,
				 rounds,
				 hooks_of_rounds };
	Suite *s = suite_create("replicated_snapshots");
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
