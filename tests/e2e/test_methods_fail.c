/* Drivers that fail, objects in the wrong state, and work that takes long: what is answered, and what is left. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "'" for '"'. */
static json_t *params_of(const char *text)
{
	char *copy = strdup(text);
	json_t *j;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(copy, 0, NULL);
	ck_assert_msg(j != NULL, "the test writes no JSON: %s", text);
	free(copy);
	return j;
}

static json_t *ask(struct client *c, const char *method, const char *params)
{
	return client_request(c, method, params_of(params));
}

static void ok(struct client *c, const char *method, const char *params)
{
	json_t *reply = ask(c, method, params);

	if (!json_object_get(reply, "result"))
		ck_abort_msg("%s with %s failed: %s", method, params, json_dumps(reply, 0));
	json_decref(reply);
}

static void check_status(struct client *c, const char *ref, const char *status)
{
	bool snapshot = strchr(ref, '@') != NULL;
	json_t *j =
		client_call(c, snapshot ? "get_snapshot" : "get_share", "{s:s}", snapshot ? "snapshot" : "share", ref);

	ck_assert_msg(strcmp(str_at(j, "status"), status) == 0, "%s is %s, and not %s", ref, str_at(j, "status"),
		      status);
	json_decref(j);
}

static void check_reason(struct client *c, const char *ref, const char *word)
{
	bool snapshot = strchr(ref, '@') != NULL;
	json_t *j =
		client_call(c, snapshot ? "get_snapshot" : "get_share", "{s:s}", snapshot ? "snapshot" : "share", ref);

	ck_assert_msg(strstr(str_at(j, "status_reason"), word) != NULL, "no \"%s\" in the reason: %s", word,
		      str_at(j, "status_reason"));
	json_decref(j);
}

/* ---- drivers that fail ---- */

/* Before each: shares a and b, snapshot a@s, a rule of a. */
static void make_objects(struct client *c)
{
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000}");
	ok(c, "create_snapshot", "{'share':'a','name':'s'}");
	ok(c, "create_share_instance", "{'name':'b','size_bytes':1000}");
	ok(c, "allow_access", "{'share':'a','access_type':'ip','access_to':'::1'}");
}

static const struct failure {
	const char *fail; /* the scripted failure: the first call that is not make_objects' */
	const char *method, *params, *kind, *errno_name;
	const char *object, *status; /* what it is in then; NULL: nothing is left */
	const char *again;           /* what gets it out of there, and its params */
	const char *again_params;
} failures[] = {
	{ "create_share:EIO@3", "create_share_instance", "{'name':'x','size_bytes':1}", "driver_failed", "EIO", "x",
	  "error", "delete_share_instance", "{'share':'x'}" },
	{ "create_share:ENOSPC@3", "create_share_instance", "{'name':'x','size_bytes':1}", "no_space", "ENOSPC", "x",
	  "error", "delete_share_instance", "{'share':'x'}" },
	{ "create_share:EDQUOT@3", "create_share_instance", "{'name':'x','size_bytes':1}", "no_space", "EDQUOT", "x",
	  "error", "unmanage_share", "{'share':'x'}" },
	{ "create_share_from_snapshot:EIO", "create_share_instance", "{'name':'x','snapshot':'a@s'}", "driver_failed",
	  "EIO", "x", "error", "delete_share_instance", "{'share':'x'}" },
	{ "delete_share:EBUSY@1", "delete_share_instance", "{'share':'b'}", "driver_failed", "EBUSY", "b",
	  "error_deleting", "delete_share_instance", "{'share':'b'}" },
	{ "extend_share:ENOSPC@1", "extend_share", "{'share':'a','size_bytes':2000}", "no_space", "ENOSPC", "a",
	  "extending_error", "reset_status", "{'share':'a','status':'available'}" },
	{ "extend_share:EIO@1", "extend_share", "{'share':'a','size_bytes':2000}", "driver_failed", "EIO", "a",
	  "extending_error", "reset_status", "{'share':'a','status':'available'}" },
	{ "shrink_share:ENOTEMPTY@1", "shrink_share", "{'share':'a','size_bytes':1}", "data_loss", "ENOTEMPTY", "a",
	  "available", "shrink_share", "{'share':'a','size_bytes':1}" },
	{ "shrink_share:EIO@1", "shrink_share", "{'share':'a','size_bytes':1}", "driver_failed", "EIO", "a",
	  "shrinking_error", "reset_status", "{'share':'a','status':'available'}" },
	{ "create_snapshot:EIO@2", "create_snapshot", "{'share':'a','name':'x'}", "driver_failed", "EIO", "a@x",
	  "error", "delete_snapshot", "{'snapshot':'a@x'}" },
	{ "delete_snapshot:EIO@1", "delete_snapshot", "{'snapshot':'a@s'}", "driver_failed", "EIO", "a@s",
	  "error_deleting", "delete_snapshot", "{'snapshot':'a@s'}" },
	{ "revert_to_snapshot:EIO@1", "revert_to_snapshot", "{'snapshot':'a@s'}", "driver_failed", "EIO", "a",
	  "reverting_error", "revert_to_snapshot", "{'snapshot':'a@s'}" },
	{ "manage_existing:EIO@1", "manage_share", "{'backend':'s','name':'x','provider_location':'y'}",
	  "driver_failed", "EIO", "x", "manage_error", "unmanage_share", "{'share':'x'}" },
	{ "manage_existing:ENOENT@1", "manage_share", "{'backend':'s','name':'x','provider_location':'y'}", "not_found",
	  "ENOENT", "x", "manage_error", "delete_share_instance", "{'share':'x'}" },
	{ "unmanage:EIO@1", "unmanage_share", "{'share':'b'}", "driver_failed", "EIO", "b", "unmanage_error",
	  "unmanage_share", "{'share':'b'}" },
	{ "manage_existing_snapshot:EIO@1", "manage_snapshot", "{'share':'a','name':'x','provider_location':'y'}",
	  "driver_failed", "EIO", "a@x", "manage_error", "unmanage_snapshot", "{'snapshot':'a@x'}" },
	{ "unmanage_snapshot:EIO@1", "unmanage_snapshot", "{'snapshot':'a@s'}", "driver_failed", "EIO", "a@s",
	  "unmanage_error", "unmanage_snapshot", "{'snapshot':'a@s'}" },
	/* What is not there is deleted. */
	{ "delete_share:ENOENT", "delete_share_instance", "{'share':'b'}", NULL, NULL, "b", NULL, NULL, NULL },
	{ "delete_snapshot:ENOENT", "delete_snapshot", "{'snapshot':'a@s'}", NULL, NULL, "a@s", NULL, NULL, NULL },
	{ "unmanage:ENOENT", "unmanage_share", "{'share':'b'}", NULL, NULL, "b", NULL, NULL, NULL },
	{ "unmanage_snapshot:ENOENT", "unmanage_snapshot", "{'snapshot':'a@s'}", NULL, NULL, "a@s", NULL, NULL, NULL },
	{ "update_access:ENOENT@2", "deny_access", "{'share':'a','access_type':'ip','access_to':'::1'}", NULL, NULL,
	  NULL, NULL, NULL, NULL },
	/* By force past errors. */
	{ "delete_share:EIO", "delete_share_instance", "{'share':'b','force':true}", NULL, NULL, "b", NULL, NULL,
	  NULL },
	{ "delete_snapshot:EIO", "delete_snapshot", "{'snapshot':'a@s','force':true}", NULL, NULL, "a@s", NULL, NULL,
	  NULL },
	{ "unmanage:EIO", "unmanage_share", "{'share':'b','force':true}", NULL, NULL, "b", NULL, NULL, NULL },
};

static void check_gone(struct client *c, const char *ref)
{
	bool snapshot = strchr(ref, '@') != NULL;

	json_decref(client_error(c, "not_found", snapshot ? "get_snapshot" : "get_share", "{s:s}",
				 snapshot ? "snapshot" : "share", ref));
}

static void check_failure(struct client *c, const struct failure *f, const json_t *reply)
{
	ck_assert_str_eq(str_at(reply, "error.data.kind"), f->kind);
	ck_assert_str_eq(str_at(reply, "error.data.errno"), f->errno_name);
	ck_assert_str_eq(str_at(reply, "error.data.phase"), "driver");
	ck_assert_str_eq(str_at(reply, "error.data.backend"), "s");
	ck_assert_uint_eq(strlen(str_at(reply, "error.data.call_id")), 36);
	check_status(c, f->object, f->status);
	check_reason(c, f->object, "failed as its option");
}

static void run_failure(const struct failure *f)
{
	char conf[256];
	struct fixture *fix;
	struct client *c;
	json_t *reply;

	snprintf(conf, sizeof conf, "sim \"s\" { fail = {\"%s\"} }\n", f->fail);
	fix = fixture_new(conf);
	fixture_start(fix, NULL, (uid_t)-1);
	c = client_new(fix);
	make_objects(c);
	reply = ask(c, f->method, f->params);
	if (f->kind) {
		ck_assert_msg(json_object_get(reply, "error") != NULL, "%s succeeds with %s", f->method, f->fail);
		check_failure(c, f, reply);
	} else {
		ck_assert_msg(json_object_get(reply, "result") != NULL, "%s fails with %s", f->method, f->fail);
		if (f->object)
			check_gone(c, f->object);
	}
	json_decref(reply);
	/* It is still known after a restart, which does not make it well by itself. */
	client_free(c);
	fixture_stop(fix);
	fixture_start(fix, NULL, (uid_t)-1);
	c = client_new(fix);
	if (f->status)
		check_status(c, f->object, f->status);
	client_free(c);
	fixture_free(fix);
}

START_TEST(driver_failures)
{
	run_failure(&failures[_i]);
}
END_TEST

/* The way out of each: without the restart, since "@n" counts from there. */
START_TEST(ways_out)
{
	const struct failure *f = &failures[_i];
	char conf[256];
	struct fixture *fix;
	struct client *c;

	if (!f->again)
		return;
	snprintf(conf, sizeof conf, "sim \"s\" { fail = {\"%s\"} }\n", f->fail);
	fix = fixture_new(conf);
	fixture_start(fix, NULL, (uid_t)-1);
	c = client_new(fix);
	make_objects(c);
	json_decref(ask(c, f->method, f->params));
	ok(c, f->again, f->again_params);
	if (strncmp(f->again, "delete", 6) == 0 || strncmp(f->again, "unmanage", 8) == 0)
		check_gone(c, f->object);
	else
		check_status(c, f->object, "available");
	client_free(c);
	fixture_free(fix);
}
END_TEST

/* A rule that failed stays, is tried again, and may be denied. */
START_TEST(rules_that_fail)
{
	struct fixture *f = fixture_new(
		"sim \"s\" { fail = {\"update_access:EIO@1\", \"update_access:EIO@3\", \"update_access:EIO@5\"} }\n");
	struct client *c;
	json_t *e, *rules;
	char id[40];

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000}");
	e = client_error(c, "driver_failed", "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "ip",
			 "access_to", "::1");
	ck_assert_str_eq(str_at(e, "data.errno"), "EIO");
	json_decref(e);
	rules = client_call(c, "list_access_rules", NULL);
	ck_assert_str_eq(str_at(rules, "access_rules.0.state"), "error");
	at(rules, "access_rules.0.status_reason");
	snprintf(id, sizeof id, "%s", str_at(rules, "access_rules.0.id"));
	json_decref(rules);
	e = client_call(c, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(e, "access_rules_status"), "error");
	ck_assert_str_eq(str_at(e, "status"), "available");
	json_decref(e);
	json_decref(client_error(c, "invalid_state", "allow_access", "{s:s,s:s,s:s,s:b}", "share", "a", "access_type",
				 "ip", "access_to", "::1", "if_absent", 1));
	ok(c, "update_access", "{'share':'a'}"); /* the second call */
	rules = client_call(c, "list_access_rules", NULL);
	ck_assert_str_eq(str_at(rules, "access_rules.0.state"), "active");
	ck_assert(json_is_null(at(rules, "access_rules.0.status_reason")));
	json_decref(rules);
	/* One change fails: the rule says so, with the old level. */
	json_decref(client_error(c, "driver_failed", "update_access", "{s:s,s:s,s:s}", "share", "a", "access", id,
				 "access_level", "ro"));
	rules = client_call(c, "list_access_rules", NULL);
	ck_assert_str_eq(str_at(rules, "access_rules.0.state"), "error");
	ck_assert_str_eq(str_at(rules, "access_rules.0.access_level"), "rw");
	json_decref(rules);
	e = client_call(c, "update_access", "{s:s,s:s,s:s}", "share", "a", "access", id, "access_level", "ro");
	ck_assert_str_eq(str_at(e, "access_rules_status"), "active");
	json_decref(e);
	/* What is to go is not wanted any more, whatever happens: it is tried again. */
	json_decref(client_error(c, "driver_failed", "deny_access", "{s:s,s:s}", "share", "a", "access", id));
	rules = client_call(c, "list_access_rules", NULL);
	ck_assert_str_eq(str_at(rules, "access_rules.0.state"), "queued_to_deny");
	at(rules, "access_rules.0.status_reason");
	json_decref(rules);
	e = client_call(c, "update_access", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(e, "access_rules_status"), "active");
	json_decref(e);
	rules = client_call(c, "list_access_rules", NULL);
	ck_assert_uint_eq(json_array_size(at(rules, "access_rules")), 0);
	json_decref(rules);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* A backend whose setup fails is down until it does not; one whose stats fail stays up. */
START_TEST(setups_that_fail)
{
	struct fixture *f = fixture_new("sim \"a\" { fail = {\"do_setup:EIO@1\"} }\n"
					"sim \"b\" { fail = {\"check_for_setup_error:EIO@1\"} }\n"
					"sim \"c\" { fail = {\"ensure_shares:EIO@1\"} }\n"
					"sim \"d\" { fail = {\"get_share_stats:EIO@2\"} }\n");
	struct client *c;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	j = client_call(c, "get_backend", "{s:s}", "backend", "a");
	ck_assert_str_eq(str_at(j, "status"), "down");
	ck_assert_ptr_nonnull(strstr(str_at(j, "status_reason"), "do_setup"));
	json_decref(j);
	json_decref(client_error(c, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "x", "size_bytes",
				 1, "backend", "b"));
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "x", "size_bytes", 1, "backend", "c"));
	wait_backend(f, "a", "up");
	wait_backend(f, "b", "up");
	json_decref(client_error(c, "driver_failed", "publish_service_capabilities", "{s:s}", "backend", "d"));
	j = client_call(c, "get_backend", "{s:s}", "backend", "d");
	ck_assert_str_eq(str_at(j, "status"), "up");
	ck_assert(json_is_true(at(j, "capabilities.snapshots")));
	json_decref(j);
	ok(c, "publish_service_capabilities", "{'backend':'d'}");
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(drivers_that_take_too_long)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.6 driver_timeout = 0.3 }\n");
	struct client *c;
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	e = client_error(c, "driver_failed", "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1);
	ck_assert_str_eq(str_at(e, "data.errno"), "ETIMEDOUT");
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "driver_timeout"));
	json_decref(e);
	check_status(c, "a", "error");
	e = client_call(c, "get_backend", "{s:s}", "backend", "s");
	ck_assert_str_eq(str_at(e, "status"), "down");
	json_decref(e);
	wait_backend(f, "s", "up");
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- states ---- */

static bool is_word_of(const char *words, const char *word)
{
	for (const char *p = words; (p = strstr(p, word)) != NULL; p++)
		if ((p == words || p[-1] == ' ') && strchr(" ", p[strlen(word)]))
			return true;
	return false;
}

/* Statuses that reset_status can bring about, and who goes on from there. */
START_TEST(states)
{
	static const struct {
		const char *method, *params;
		const char *allowed; /* besides "available" */
	} cases[] = {
		{ "extend_share", "{'share':'a','size_bytes':%d}", "" },
		{ "create_snapshot", "{'share':'a','name':'n%d'}", "" },
		{ "allow_access", "{'share':'a','access_type':'ip','access_to':'10.0.0.%d'}",
		  "extending_error shrinking_error reverting_error" },
	};
	static const char *const statuses[] = { "error",           "error_deleting",  "extending_error",
						"shrinking_error", "reverting_error", "manage_error",
						"unmanage_error" };
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c;
	int n = 0;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++) {
			bool allowed = is_word_of(cases[i].allowed, statuses[k]);
			char params[128], number[16], *mark;
			json_t *reply;

			json_decref(client_call(c, "reset_status", "{s:s,s:s}", "share", "a", "status", statuses[k]));
			mark = strstr(cases[i].params, "%d");
			snprintf(number, sizeof number, "%d", 2 + n++);
			snprintf(params, sizeof params, "%.*s%s%s", (int)(mark - cases[i].params), cases[i].params,
				 number, mark + 2);
			reply = ask(c, cases[i].method, params);
			ck_assert_msg((json_object_get(reply, "result") != NULL) == allowed, "%s of a share that is %s",
				      cases[i].method, statuses[k]);
			if (!allowed) {
				ck_assert_str_eq(str_at(reply, "error.data.kind"), "invalid_state");
				ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), statuses[k]));
				check_status(c, "a", statuses[k]);
			}
			json_decref(reply);
		}
	/* Whatever it is in, it can be deleted. */
	for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++) {
		ok(c, "create_share_instance", "{'name':'d','size_bytes':1}");
		json_decref(client_call(c, "reset_status", "{s:s,s:s}", "share", "d", "status", statuses[k]));
		ok(c, "delete_share_instance", "{'share':'d'}");
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(dependants)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000}");
	ok(c, "create_snapshot", "{'share':'a','name':'s1'}");
	ok(c, "create_snapshot", "{'share':'a','name':'s2'}");
	for (int force = 0; force < 2; force++) {
		json_decref(client_error(c, "invalid_state", "delete_share_instance", "{s:s,s:b}", "share", "a",
					 "force", force));
		json_decref(
			client_error(c, "invalid_state", "unmanage_share", "{s:s,s:b}", "share", "a", "force", force));
	}
	/* Only the latest. */
	j = client_error(c, "invalid_state", "revert_to_snapshot", "{s:s}", "snapshot", "a@s1");
	ck_assert_ptr_nonnull(strstr(str_at(j, "message"), "s2"));
	json_decref(j);
	ok(c, "revert_to_snapshot", "{'snapshot':'a@s2'}");
	ok(c, "delete_snapshot", "{'snapshot':'a@s2'}");
	ok(c, "revert_to_snapshot", "{'snapshot':'a@s1'}");
	/* A share made of a snapshot does not need it any more; it still says where it came from. */
	ok(c, "create_share_instance", "{'name':'b','snapshot':'a@s1'}");
	ok(c, "delete_snapshot", "{'snapshot':'a@s1'}");
	j = client_call(c, "get_share", "{s:s}", "share", "b");
	ck_assert_int_eq((int)strlen(str_at(j, "snapshot_id")), 36);
	json_decref(j);
	ok(c, "delete_share_instance", "{'share':'a'}");
	/* Its name is free, and its rules and snapshots went with it. */
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000}");
	j = client_call(c, "list_snapshots", "{s:s}", "share", "a");
	ck_assert_uint_eq(json_array_size(at(j, "snapshots")), 0);
	json_decref(j);
	/* Its size goes back with its contents. */
	ok(c, "create_snapshot", "{'share':'a','name':'s'}");
	ok(c, "extend_share", "{'share':'a','size_bytes':5000}");
	j = client_call(c, "revert_to_snapshot", "{s:s}", "snapshot", "a@s");
	ck_assert_int_eq(int_at(j, "size_bytes"), 1000);
	json_decref(j);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- long work ---- */

#define BIG "dir \"d\" { root = \"@DIR@/d\" }\nsim \"s\" { }\n"

static void fill(const struct fixture *f, const char *share, int files)
{
	ck_assert_int_eq(shell(NULL,
			       "cd '%s/d/%s/data' && for i in $(seq %d); do head -c 20000 /dev/urandom > f$i; done",
			       f->dir, share, files),
			 0);
}

/* The record of the call, or NULL. New reference. */
static json_t *find_call(struct client *c, const char *method)
{
	json_t *calls = client_call(c, "list_calls", "{s:i}", "limit", 1000), *list = at(calls, "calls"), *found = NULL;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(str_at(json_array_get(list, i), "method"), method) == 0)
			found = json_array_get(list, i);
	json_incref(found);
	json_decref(calls);
	return found;
}

/* The snapshot as soon as it shows how far it is. New reference. */
static json_t *wait_progress(struct client *c, const char *snapshot)
{
	for (double until = now() + 10;; nap(0.01)) {
		json_t *j = client_call(c, "get_snapshot", "{s:s}", "snapshot", snapshot);

		if (json_is_object(at(j, "progress")))
			return j;
		ck_assert_msg(now() < until, "%s shows no progress", snapshot);
		json_decref(j);
	}
}

START_TEST(long_work)
{
	struct fixture *f = fixture_new(BIG);
	struct client *c, *events;
	json_t *j, *event;

	fixture_hold_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	events = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000,'backend':'d'}");
	fill(f, "a", 40);
	json_decref(client_call(events, "subscribe", "{s:[s]}", "types", "snapshot.*"));
	/* Not waited for: the answer is the object as it is now. */
	j = client_call(c, "create_snapshot", "{s:s,s:s,s:b,s:s}", "share", "a", "name", "s", "wait", 0, "request_id",
			"r");
	ck_assert_str_eq(str_at(j, "status"), "creating");
	json_decref(j);
	/* Others go on, and so do other objects of the same backend. */
	ok(c, "create_share_instance", "{'name':'b','size_bytes':1000,'backend':'d'}");
	ok(c, "create_share_instance", "{'name':'c','size_bytes':1000,'backend':'s'}");
	j = wait_progress(c, "a@s");
	ck_assert_str_eq(str_at(j, "status"), "creating");
	ck_assert_double_eq_tol(json_number_value(at(j, "progress.percent")), 1.5, 1e-9);
	ck_assert_int_eq(int_at(j, "progress.bytes"), 1000);
	json_decref(j);
	j = find_call(c, "create_snapshot");
	ck_assert_str_eq(str_at(j, "state"), "working");
	json_decref(j);
	ck_assert(client_quiet(events, 0));
	fixture_release_work(f);
	wait_share(f, "a@s", "available");
	event = client_read(events);
	ck_assert_str_eq(str_at(event, "params.type"), "snapshot.available");
	ck_assert_str_eq(str_at(event, "params.object.name"), "s");
	json_decref(event);
	j = client_call(c, "get_snapshot", "{s:s}", "snapshot", "a@s");
	ck_assert(json_is_null(at(j, "progress")));
	json_decref(j);
	j = find_call(c, "create_snapshot");
	ck_assert_str_eq(str_at(j, "outcome"), "ok");
	ck_assert_str_eq(str_at(j, "state"), "done");
	json_decref(j);
	/* Asked again, the whole answer is there. */
	j = client_call(c, "create_snapshot", "{s:s,s:s,s:s}", "share", "a", "name", "s", "request_id", "r");
	ck_assert_str_eq(str_at(j, "status"), "available");
	json_decref(j);
	client_free(c);
	client_free(events);
	fixture_free(f);
}
END_TEST

START_TEST(busy_objects)
{
	static const char *const calls[][2] = {
		{ "delete_snapshot", "{'snapshot':'a@s1'}" },
		{ "revert_to_snapshot", "{'snapshot':'a@s1'}" },
		{ "delete_share_instance", "{'share':'x'}" },
		{ "extend_share", "{'share':'x','size_bytes':9000}" },
		{ "create_snapshot", "{'share':'x','name':'y'}" },
		{ "allow_access", "{'share':'x','access_type':'user','access_to':'bin'}" },
		{ "unmanage_share", "{'share':'x'}" },
		{ "reset_status", "{'share':'x','status':'error'}" },
	};
	struct fixture *f = fixture_new(BIG);
	struct client *c;
	json_t *j;

	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000,'backend':'d'}");
	fill(f, "a", 40);
	ok(c, "create_snapshot", "{'share':'a','name':'s1'}");
	fixture_hold_work(f);
	j = client_call(c, "create_share_instance", "{s:s,s:s,s:b}", "name", "x", "snapshot", "a@s1", "wait", 0);
	ck_assert_str_eq(str_at(j, "status"), "creating_from_snapshot");
	json_decref(j);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		json_t *reply = ask(c, calls[i][0], calls[i][1]);

		ck_assert_msg(json_object_get(reply, "error") != NULL, "%s goes on while the share is made",
			      calls[i][0]);
		ck_assert_msg(strcmp(str_at(reply, "error.data.kind"), "busy") == 0, "%s: %s: %s", calls[i][0],
			      str_at(reply, "error.data.kind"), str_at(reply, "error.message"));
		ck_assert(json_is_true(at(reply, "error.data.retryable")));
		json_decref(reply);
	}
	json_decref(client_error(c, "busy", "create_share_instance", "{s:s,s:s,s:b}", "name", "x", "snapshot", "a@s1",
				 "if_absent", 1));
	fixture_release_work(f);
	wait_share(f, "x", "available");
	ok(c, "delete_snapshot", "{'snapshot':'a@s1'}");
	ok(c, "delete_share_instance", "{'share':'x'}");
	client_free(c);
	fixture_free(f);
}
END_TEST

/* A call whose client waits: the answer comes with the end; others of the same client go past it. */
START_TEST(waiting_holds_nobody_up)
{
	struct fixture *f = fixture_new(BIG);
	struct client *c;
	json_t *j;

	fixture_hold_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000,'backend':'d'}");
	fill(f, "a", 40);
	client_line(c, "{'jsonrpc':'2.0','id':1,'method':'create_snapshot','params':{'share':'a','name':'s'}}");
	client_line(c, "{'jsonrpc':'2.0','id':2,'method':'create_share_instance','params':{'name':'b','size_bytes':1,'"
		       "backend':'s'}}");
	j = client_read(c);
	ck_assert_int_eq(int_at(j, "id"), 2);
	json_decref(j);
	ck_assert(client_quiet(c, 0.1));
	fixture_release_work(f);
	j = client_read(c);
	ck_assert_int_eq(int_at(j, "id"), 1);
	ck_assert_str_eq(str_at(j, "result.status"), "available");
	json_decref(j);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* A daemon that stops does not wait for copies: they are undone, and the client is told. */
START_TEST(stop_in_the_middle)
{
	struct fixture *f = fixture_new(BIG);
	struct client *c;
	json_t *j;
	double begin;

	fixture_hold_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	ok(c, "create_share_instance", "{'name':'a','size_bytes':1000,'backend':'d'}");
	fill(f, "a", 40);
	client_line(c, "{'jsonrpc':'2.0','id':1,'method':'create_snapshot','params':{'share':'a','name':'s'}}");
	json_decref(client_call(c, "list_orphans", NULL)); /* behind it in the queue */
	begin = now();
	fixture_stop(f);
	ck_assert_double_le(now() - begin, 5);
	j = client_read(c);
	ck_assert_str_eq(str_at(j, "error.data.kind"), "shutting_down");
	ck_assert(json_is_true(at(j, "error.data.retryable")));
	json_decref(j);
	ck_assert_ptr_null(client_read(c));
	client_free(c);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	check_gone(c, "a@s");
	ck_assert_int_eq(shell(NULL, "[ -z \"$(ls %s/d/.sharesd/snapshots %s/d/.sharesd/staging | grep -v :)\" ]",
			       f->dir, f->dir),
			 0);
	ok(c, "create_snapshot", "{'share':'a','name':'s'}");
	client_free(c);
	fixture_free(f);
}
END_TEST

int main(void)
{
	const int n = sizeof failures / sizeof *failures;
	Suite *s = suite_create("methods_fail");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, driver_failures, 0, n);
	tcase_add_loop_test(t, ways_out, 0, n);
	tcase_add_test(t, rules_that_fail);
	tcase_add_test(t, setups_that_fail);
	tcase_add_test(t, drivers_that_take_too_long);
	tcase_add_test(t, states);
	tcase_add_test(t, dependants);
	tcase_add_test(t, long_work);
	tcase_add_test(t, busy_objects);
	tcase_add_test(t, waiting_holds_nobody_up);
	tcase_add_test(t, stop_in_the_middle);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
