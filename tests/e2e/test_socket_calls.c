/* Who may call, what order calls run in, and what becomes of them when clients leave, repeat themselves, or are hooks.
 */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOBODY 65534
#define CREATE "{'jsonrpc':'2.0','id':%d,'method':'create_share_instance','params':{'name':'%s','size_bytes':%d}}"

static json_t *create(const struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", 1000);
}

static size_t count_shares(const struct fixture *f)
{
	json_t *list = call(f, "list_shares", NULL);
	size_t n = json_array_size(at(list, "shares"));

	json_decref(list);
	return n;
}

/* ---- roles ---- */

/* Groups that every Debian has; nobody is in them by chance who this test takes. */
enum { GROUP_ADMIN = 3 /* sys */, GROUP_READER = 60 /* games */ };
#define ROLES "admin_groups = {\"sys\"}\nreader_groups = {\"games\"}\nsim \"s\" { }\n"

static void may_all(struct client *c, uid_t uid, const char *name)
{
	json_t *share = client_call(c, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", 1);

	ck_assert_int_eq(int_at(share, "owner_uid"), uid);
	json_decref(share);
	json_decref(client_call(c, "list_orphans", NULL));
	json_decref(client_call(c, "reset_status", "{s:s,s:s}", "share", name, "status", "error"));
	json_decref(client_call(c, "init_host", "{s:s}", "backend", "s"));
	if (uid != 0) {
		json_t *e = client_error(c, "permission_denied", "delete_share_instance", "{s:s,s:b}", "share", name,
					 "skip_hooks", 1);

		ck_assert_str_eq(str_at(e, "data.param"), "skip_hooks");
		json_decref(e);
	}
	json_decref(client_call(c, "delete_share_instance", "{s:s}", "share", name));
	client_free(c);
}

static void may_read(struct client *c)
{
	static const char *const writes[] = {
		"create_share_instance",        "delete_share_instance", "allow_access", "init_host",
		"publish_service_capabilities", "set_metadata",          "reset_status", "test_hook"
	};
	static const char *const reads[] = { "list_shares",  "list_backends", "list_calls",   "list_hooks",
					     "list_orphans", "get_service",   "rpc.discover", "subscribe" };

	for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
		json_t *e = client_error(c, "permission_denied", writes[i], NULL);

		ck_assert_int_eq(int_at(e, "code"), 10);
		ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "admin_groups"));
		json_decref(e);
	}
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
		json_decref(client_call(c, reads[i], NULL));
	client_free(c);
}

static void may_nothing(struct client *c)
{
	json_t *reply = client_read(c);

	ck_assert_ptr_nonnull(reply);
	ck_assert(json_is_null(at(reply, "id")));
	ck_assert_int_eq(int_at(reply, "error.code"), 10);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), "permission_denied");
	ck_assert_ptr_null(client_read(c));
	json_decref(reply);
	client_free(c);
}

START_TEST(roles)
{
	static const gid_t admins[] = { 50, GROUP_ADMIN, 51 }, readers[] = { 50, GROUP_READER },
			   both[] = { GROUP_READER, GROUP_ADMIN }, others[] = { 50, 51, 100 };
	struct fixture *f;
	gid_t many[200];

	if (!need_root("roles"))
		return;
	f = fixture_new(ROLES);
	fixture_start(f, NULL, (uid_t)-1);
	may_all(client_new(f), 0, "root");
	may_all(client_new_as(f, 4711, GROUP_ADMIN), 4711, "by-first-group");
	may_all(client_new_groups(f, 4711, 4711, admins, 3), 4711, "by-other-group");
	may_all(client_new_groups(f, 4712, 4712, both, 2), 4712, "by-both");
	may_read(client_new_as(f, 4713, GROUP_READER));
	may_read(client_new_groups(f, 4713, 4713, readers, 2));
	may_nothing(client_new_as(f, NOBODY, NOBODY));
	may_nothing(client_new_groups(f, 4714, 4714, others, 3));
	/* More groups than anybody makes room for at first. */
	for (int i = 0; i < 200; i++)
		many[i] = (gid_t)(5000 + i);
	may_nothing(client_new_groups(f, 4715, 4715, many, 200));
	many[199] = GROUP_ADMIN;
	may_all(client_new_groups(f, 4715, 4715, many, 200), 4715, "by-many-groups");
	ck_assert_uint_eq(count_shares(f), 0);
	fixture_free(f);
}
END_TEST

/* Who it was goes into the records and events. */
START_TEST(callers_are_recorded)
{
	static const gid_t admins[] = { GROUP_ADMIN };
	struct fixture *f;
	struct client *c, *events;
	json_t *calls, *call_record = NULL, *event;

	if (!need_root("callers_are_recorded"))
		return;
	f = fixture_new(ROLES);
	fixture_start(f, NULL, (uid_t)-1);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", "{s:[s]}", "types", "share.*"));
	c = client_new_groups(f, 2, 12345, admins, 1);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1, "request_id",
				"mine"));
	calls = client_call(c, "list_calls", NULL);
	for (size_t i = 0; i < json_array_size(at(calls, "calls")); i++) {
		json_t *one = json_array_get(at(calls, "calls"), i);

		if (strcmp(str_at(one, "method"), "create_share_instance") == 0)
			call_record = one;
	}
	ck_assert_ptr_nonnull(call_record);
	ck_assert_int_eq(int_at(call_record, "uid"), 2);
	ck_assert_str_eq(str_at(call_record, "user"), "bin");
	ck_assert_int_eq(int_at(call_record, "gid"), 12345);
	ck_assert_int_eq(int_at(call_record, "pid"), getpid());
	ck_assert_str_eq(str_at(call_record, "origin"), "client");
	ck_assert_str_eq(str_at(call_record, "request_id"), "mine");
	event = client_read(events);
	ck_assert_int_eq(int_at(event, "params.uid"), 2);
	ck_assert_str_eq(str_at(event, "params.call_id"), str_at(call_record, "id"));
	json_decref(event);
	json_decref(calls);
	client_free(c);
	client_free(events);
	fixture_free(f);
}
END_TEST

/* ---- order ---- */

START_TEST(changes_run_in_order)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.01 }\n");
	struct client *c, *other;
	json_t *reply;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	other = client_new(f);
	client_line(c, CREATE, 0, "a", 1);
	for (int i = 1; i < 50; i++)
		client_line(c,
			    "{'jsonrpc':'2.0','id':%d,'method':'extend_share','params':{'share':'a','size_bytes':%d}}",
			    i, 1 + i);
	client_line(c, "{'jsonrpc':'2.0','id':50,'method':'delete_share_instance','params':{'share':'a'}}");
	client_line(c, CREATE, 51, "a", 7);
	for (int i = 0; i < 52; i++) {
		reply = client_read(c);
		ck_assert_int_eq(int_at(reply, "id"), i);
		at(reply, "result");
		json_decref(reply);
		/* Whoever asks next sees what was answered. */
		reply = client_request(other, "get_share", json_pack("{s:s}", "share", "a"));
		if (i < 50 && json_object_get(reply, "result"))
			ck_assert_int_ge(int_at(reply, "result.size_bytes"), 1);
		if (i == 51)
			ck_assert_int_eq(int_at(reply, "result.size_bytes"), 7);
		json_decref(reply);
	}
	for (int i = 2; i < 30; i++) {
		json_decref(client_call(c, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 10 * i));
		reply = client_call(other, "get_share", "{s:s}", "share", "a");
		ck_assert_int_eq(int_at(reply, "size_bytes"), 10 * i);
		json_decref(reply);
	}
	client_free(c);
	client_free(other);
	fixture_free(f);
}
END_TEST

START_TEST(reads_while_a_call_runs)
{
	struct fixture *f = fixture_new("hook \"gate\" { run = \"exec:@DIR@/gate\" methods = "
					"{\"create_share_instance\"} phases = {\"post\"} timeout = 600 }\n"
					"sim \"s\" { hook_drivers = {\"gate\"} enable_post_hooks = true }\n");
	struct client *c, *reader;
	double slowest = 0;
	json_t *reply;

	fixture_program(f, "gate", "#!/bin/sh\nuntil [ -e @DIR@/open ]; do sleep 0.01; done\n");
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	reader = client_new(f);
	client_line(c, CREATE, 1, "a", 1);
	wait_share(f, "a", "available");
	for (int i = 0; i < 1000; i++) {
		double asked = now();

		switch (i % 4) {
		case 0:
			reply = client_call(reader, "get_share", "{s:s}", "share", "a");
			ck_assert_str_eq(str_at(reply, "status"), "available");
			break;
		case 1:
			reply = client_call(reader, "list_calls", "{s:i}", "limit", 1000);
			ck_assert_str_eq(
				str_at(json_array_get(at(reply, "calls"), json_array_size(at(reply, "calls")) - 1),
				       "state"),
				"running");
			break;
		case 2:
			reply = client_call(reader, "list_backends", NULL);
			break;
		default:
			reply = client_call(reader, "get_service", NULL);
			break;
		}
		json_decref(reply);
		if (now() - asked > slowest)
			slowest = now() - asked;
	}
	ck_assert_msg(slowest < 5, "a read took %g s", slowest);
	ck_assert(client_quiet(c, 0));
	write_file(fixture_path(f, "open"), "");
	reply = client_read(c);
	ck_assert_str_eq(str_at(reply, "result.status"), "available");
	json_decref(reply);
	client_free(c);
	client_free(reader);
	fixture_free(f);
}
END_TEST

/* ---- clients that leave ---- */

START_TEST(half_closed)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.3 }\n");
	struct client *c;
	json_t *reply;
	char *out;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	client_line(c, CREATE, 1, "a", 1);
	client_line(c, "[" CREATE ",{'jsonrpc':'2.0','method':'extend_share','params':{'share':'b','size_bytes':9}}]",
		    2, "b", 2);
	client_line(c, "nonsense");
	client_send_text(c, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"list_shares\"}");
	client_shutdown(c);
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "error.code"), -32700);
	json_decref(reply);
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "id"), 4);
	json_decref(reply);
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "id"), 1);
	ck_assert_str_eq(str_at(reply, "result.status"), "available");
	json_decref(reply);
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "0.id"), 2);
	json_decref(reply);
	ck_assert_ptr_null(client_read(c));
	client_free(c);
	/* Nothing was asked, or half of something. */
	c = client_new(f);
	client_shutdown(c);
	ck_assert_ptr_null(client_read(c));
	client_free(c);
	c = client_new(f);
	client_send_text(c, "\n{\"jsonrpc\"");
	client_shutdown(c);
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "error.code"), -32700);
	json_decref(reply);
	ck_assert_ptr_null(client_read(c));
	client_free(c);
	/* As from a shell. */
	ck_assert_int_eq(
		shell(&out,
		      "printf '%%s' '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"delete_share_instance\",\"params\":"
		      "{\"share\":\"a\"}}' | socat -t 10 - UNIX-CONNECT:%s",
		      f->socket),
		0);
	ck_assert_str_eq(out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}\n");
	free(out);
	fixture_free(f);
}
END_TEST

START_TEST(clients_that_vanish)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.3 }\n");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	client_line(c, CREATE, 1, "a", 1);
	client_line(c, CREATE, 2, "b", 1);
	client_line(c, "[" CREATE "]", 3, "c", 1);
	nap(0.1); /* all is read; the first runs, the others wait */
	client_free(c);
	wait_share(f, "a", "available");
	for (int i = 0; i < 200 && count_shares(f) < 3; i++)
		nap(0.02);
	wait_share(f, "b", "available");
	wait_share(f, "c", "available");
	/* Half a call is none. */
	c = client_new(f);
	client_send_text(
		c, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"delete_share_instance\",\"params\":{\"share\":\"a\"}");
	client_free(c);
	json_decref(create(f, "d"));
	ck_assert_uint_eq(count_shares(f), 4);
	fixture_free(f);
}
END_TEST

/* ---- request_id ---- */

static json_t *create_once(const struct fixture *f, const char *name, int size, const char *id)
{
	return call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", name, "size_bytes", size, "request_id", id);
}

static void check_taken(json_t *error)
{
	ck_assert_str_eq(str_at(error, "data.param"), "request_id");
	json_decref(error);
}

START_TEST(same_request_id_same_answer)
{
	struct fixture *f = fixture_new("sim \"s\" { fail = {\"create_share:EIO@2\"} }\n");
	char longest[80] = "";
	json_t *first, *again, *error;

	fixture_start(f, NULL, (uid_t)-1);
	first = create_once(f, "a", 1000, "one");
	/* Since then it changed, and the answer of that time is given. */
	json_decref(call(f, "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 2000, "request_id", "two"));
	again = create_once(f, "a", 1000, "one");
	ck_assert(json_equal(first, again));
	json_decref(again);
	check_taken(call_error(f, "already_exists", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes",
			       1001, "request_id", "one"));
	check_taken(call_error(f, "already_exists", "delete_share_instance", "{s:s,s:s}", "share", "a", "request_id",
			       "one"));
	check_taken(call_error(f, "already_exists", "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 1500,
			       "request_id", "two"));
	/* What failed after its intent failed for good; the object is there to show it. */
	error = call_error(f, "driver_failed", "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1,
			   "request_id", "bad");
	again = call_error(f, "driver_failed", "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1,
			   "request_id", "bad");
	ck_assert(json_equal(error, again));
	json_decref(error);
	json_decref(again);
	ck_assert_uint_eq(count_shares(f), 2);
	/* A null answer is an answer. */
	json_decref(call(f, "delete_share_instance", "{s:s,s:s}", "share", "b", "request_id", "gone"));
	ck_assert(json_is_null(
		again = call(f, "delete_share_instance", "{s:s,s:s}", "share", "b", "request_id", "gone")));
	json_decref(call_error(f, "not_found", "delete_share_instance", "{s:s,s:s}", "share", "b", "request_id",
			       "gone too"));
	/* Changes without hooks keep theirs too. */
	json_decref(
		call(f, "set_metadata", "{s:s,s:{s:s},s:s}", "share", "a", "metadata", "k", "1", "request_id", "m"));
	json_decref(call(f, "set_metadata", "{s:s,s:{s:s}}", "share", "a", "metadata", "k", "2"));
	json_decref(
		call(f, "set_metadata", "{s:s,s:{s:s},s:s}", "share", "a", "metadata", "k", "1", "request_id", "m"));
	again = call(f, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(again, "metadata.k"), "2");
	json_decref(again);
	/* Its form. */
	memset(longest, 'r', 64);
	json_decref(create_once(f, "c", 1, longest));
	longest[64] = 'r';
	error = call_error(f, "invalid_params", "create_share_instance", "{s:s,s:i,s:s}", "name", "d", "size_bytes", 1,
			   "request_id", longest);
	check_taken(error);
	check_taken(call_error(f, "invalid_params", "create_share_instance", "{s:s,s:i,s:s}", "name", "d", "size_bytes",
			       1, "request_id", ""));
	/* All of it lasts over restarts, clean or not. */
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	again = create_once(f, "a", 1000, "one");
	ck_assert(json_equal(first, again));
	json_decref(again);
	fixture_kill(f);
	fixture_start(f, NULL, (uid_t)-1);
	again = create_once(f, "a", 1000, "one");
	ck_assert(json_equal(first, again));
	json_decref(again);
	check_taken(call_error(f, "already_exists", "create_share_instance", "{s:s,s:i,s:s}", "name", "x", "size_bytes",
			       1000, "request_id", "one"));
	json_decref(first);
	fixture_free(f);
}
END_TEST

START_TEST(refusals_are_not_kept)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	json_t *share;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call_error(f, "not_found", "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 9,
			       "request_id", "r"));
	json_decref(create(f, "a"));
	json_decref(call_error(f, "invalid_params", "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 9,
			       "request_id", "r"));
	share = call(f, "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 2000, "request_id", "r");
	ck_assert_int_eq(int_at(share, "size_bytes"), 2000);
	json_decref(share);
	fixture_free(f);
}
END_TEST

START_TEST(request_ids_are_each_users_own)
{
	static const gid_t admins[] = { GROUP_ADMIN };
	struct fixture *f;
	struct client *c;
	json_t *mine, *theirs;

	if (!need_root("request_ids_are_each_users_own"))
		return;
	f = fixture_new(ROLES);
	fixture_start(f, NULL, (uid_t)-1);
	mine = create_once(f, "a", 1, "same");
	c = client_new_groups(f, 4711, 4711, admins, 1);
	theirs = client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1, "request_id",
			     "same");
	ck_assert_str_eq(str_at(theirs, "name"), "b");
	json_decref(mine);
	json_decref(theirs);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* Two at once, from two connections: one is done, both are answered. The work of it is held until both have asked. */
static void check_twins(struct fixture *f, const char *method, const char *params)
{
	struct client *a = client_new(f), *b = client_new(f);
	json_t *first, *second;

	fixture_hold_work(f);
	client_line(a, "{'jsonrpc':'2.0','id':1,'method':'%s','params':%s}", method, params);
	json_decref(client_call(a, "list_shares", NULL)); /* it is in the queue */
	client_line(b, "{'jsonrpc':'2.0','id':1,'method':'%s','params':%s}", method, params);
	ck_assert(client_quiet(a, 0.15));
	ck_assert(client_quiet(b, 0.05));
	fixture_release_work(f);
	first = client_read(a);
	second = client_read(b);
	at(first, "result.id");
	ck_assert(json_equal(first, second));
	json_decref(first);
	json_decref(second);
	client_free(a);
	client_free(b);
}

static size_t count_calls(const struct fixture *f, const char *method)
{
	json_t *calls = call(f, "list_calls", "{s:i}", "limit", 1000), *list = at(calls, "calls");
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (strcmp(str_at(one, "method"), method) == 0 && strcmp(str_at(one, "outcome"), "ok") == 0)
			n++;
	}
	json_decref(calls);
	return n;
}

START_TEST(twins)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.4 }\ndir \"d\" { root = \"@DIR@/root\" }\n");
	struct client *a, *b;

	fixture_hold_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	/* In the queue behind it. */
	check_twins(f, "create_share_instance",
		    "{\"name\":\"a\",\"size_bytes\":1,\"backend\":\"s\",\"request_id\":\"t1\"}");
	/* Long work: the first is parked, and the second waits for it. */
	json_decref(
		call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "big", "size_bytes", 1000, "backend", "d"));
	check_twins(f, "create_snapshot", "{\"share\":\"big\",\"name\":\"s\",\"request_id\":\"t2\"}");
	ck_assert_uint_eq(count_calls(f, "create_snapshot"), 1);
	/* Its twin with other parameters is none. */
	fixture_hold_work(f);
	a = client_new(f);
	b = client_new(f);
	client_line(a, "{'jsonrpc':'2.0','id':1,'method':'create_snapshot','params':{'share':'big','name':'s2','"
		       "request_id':'t3'}}");
	json_decref(client_call(a, "list_shares", NULL));
	check_taken(client_error(b, "already_exists", "create_snapshot", "{s:s,s:s,s:s}", "share", "big", "name", "s3",
				 "request_id", "t3"));
	fixture_release_work(f);
	json_decref(client_read(a));
	client_free(a);
	client_free(b);
	ck_assert_uint_eq(count_calls(f, "create_snapshot"), 2);
	fixture_free(f);
}
END_TEST

/* ---- if_absent, if_present ---- */

static void check_differs(const struct fixture *f, const char *method, const char *param, json_t *params)
{
	struct client *c = client_new(f);
	json_t *reply;

	json_object_set_new(params, "if_absent", json_true());
	reply = client_request(c, method, params);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), "already_exists");
	ck_assert_str_eq(str_at(reply, "error.data.param"), param);
	json_decref(reply);
	client_free(c);
}

/* The same call again answers what is there. */
static json_t *check_same(const struct fixture *f, const char *method, json_t *params)
{
	struct client *c = client_new(f);
	json_t *first = NULL;

	json_object_set_new(params, "if_absent", json_true());
	for (int i = 0; i < 2; i++) {
		json_t *reply = client_request(c, method, json_incref(params)), *result = at(reply, "result");

		if (first)
			ck_assert(json_equal(first, result));
		else
			first = json_incref(result);
		json_decref(reply);
	}
	json_decref(params);
	client_free(c);
	return first;
}

START_TEST(if_absent)
{
	struct fixture *f = fixture_new("dir \"d\" { root = \"@DIR@/root\" }\nsim \"s\" { }\n");

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(check_same(f, "create_share_instance",
			       json_pack("{s:s,s:i,s:s,s:{s:s}}", "name", "a", "size_bytes", 1000, "backend", "d",
					 "metadata", "k", "v")));
	check_differs(f, "create_share_instance", "size_bytes",
		      json_pack("{s:s,s:i}", "name", "a", "size_bytes", 1001));
	check_differs(f, "create_share_instance", "backend",
		      json_pack("{s:s,s:i,s:s}", "name", "a", "size_bytes", 1000, "backend", "s"));
	check_differs(f, "create_share_instance", "metadata",
		      json_pack("{s:s,s:i,s:{s:s}}", "name", "a", "size_bytes", 1000, "metadata", "k", "w"));
	json_decref(check_same(f, "create_snapshot", json_pack("{s:s,s:s}", "share", "a", "name", "s")));
	check_differs(f, "create_snapshot", "metadata",
		      json_pack("{s:s,s:s,s:{s:s}}", "share", "a", "name", "s", "metadata", "k", "v"));
	json_decref(check_same(f, "create_share_instance",
			       json_pack("{s:s,s:s,s:s}", "name", "b", "snapshot", "a@s", "backend", "d")));
	check_differs(f, "create_share_instance", "snapshot", json_pack("{s:s,s:i}", "name", "b", "size_bytes", 1000));
	json_decref(check_same(f, "allow_access",
			       json_pack("{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to", "daemon")));
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s,s:s}", "name", "n", "size_bytes", 1, "backend", "s",
			 "share_proto", "NFS"));
	json_decref(
		check_same(f, "allow_access",
			   json_pack("{s:s,s:s,s:s}", "share", "n", "access_type", "ip", "access_to", "10.0.0.0/8")));
	check_differs(f, "allow_access", "access_level",
		      json_pack("{s:s,s:s,s:s,s:s}", "share", "n", "access_type", "ip", "access_to", "10.0.0.0/8",
				"access_level", "ro"));
	check_differs(f, "allow_access", "options",
		      json_pack("{s:s,s:s,s:s,s:{s:s}}", "share", "n", "access_type", "ip", "access_to", "10.0.0.0/8",
				"options", "sec", "krb5"));
	ck_assert_int_eq(shell(NULL, "mkdir %s/root/old %s/root/other", f->dir, f->dir), 0);
	json_decref(check_same(f, "manage_share",
			       json_pack("{s:s,s:s,s:s}", "backend", "d", "name", "m", "provider_location", "old")));
	check_differs(f, "manage_share", "provider_location",
		      json_pack("{s:s,s:s,s:s}", "backend", "d", "name", "m", "provider_location", "other"));
	json_decref(check_same(f, "manage_snapshot",
			       json_pack("{s:s,s:s,s:s}", "share", "n", "name", "ms", "provider_location", "p")));
	check_differs(f, "manage_snapshot", "provider_location",
		      json_pack("{s:s,s:s,s:s}", "share", "n", "name", "ms", "provider_location", "q"));
	/* Without it, being there is an error. */
	json_decref(call_error(f, "already_exists", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes",
			       1000, "backend", "d"));
	json_decref(call_error(f, "already_exists", "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	json_decref(call_error(f, "already_exists", "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type",
			       "user", "access_to", "daemon"));
	json_decref(call_error(f, "already_exists", "manage_share", "{s:s,s:s,s:s}", "backend", "d", "name", "m",
			       "provider_location", "old"));
	fixture_free(f);
}
END_TEST

START_TEST(if_present)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	static const struct {
		const char *method, *params;
	} cases[] = {
		{ "delete_share_instance", "{\"share\":\"none\"}" },
		{ "unmanage_share", "{\"share\":\"none\"}" },
		{ "delete_snapshot", "{\"snapshot\":\"none@none\"}" },
		{ "delete_snapshot", "{\"snapshot\":\"a@none\"}" },
		{ "unmanage_snapshot", "{\"snapshot\":\"5c2b36b6-8f4e-4a57-b6b5-1d7e2b3f0a11\"}" },
		{ "deny_access", "{\"share\":\"none\",\"access_type\":\"user\",\"access_to\":\"daemon\"}" },
		{ "deny_access", "{\"share\":\"a\",\"access_type\":\"user\",\"access_to\":\"daemon\"}" },
		{ "deny_access", "{\"share\":\"a\",\"access\":\"5c2b36b6-8f4e-4a57-b6b5-1d7e2b3f0a11\"}" },
	};
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	c = client_new(f);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *params = json_loads(cases[i].params, 0, NULL);
		json_t *reply = client_request(c, cases[i].method, json_copy(params));

		ck_assert_str_eq(str_at(reply, "error.data.kind"), "not_found");
		json_decref(reply);
		json_object_set_new(params, "if_present", json_true());
		reply = client_request(c, cases[i].method, params);
		ck_assert(json_is_null(at(reply, "result")));
		json_decref(reply);
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- hooks that call back ---- */

static const char asks[] =
	"ask() { echo \"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":1,\\\"method\\\":\\\"$1\\\",\\\"params\\\":$2}\" |"
	" socat -t 5 - UNIX-CONNECT:$SHARESD_SOCKET; }\n"
	"both() { ask delete_share_instance '{\"share\":\"a\"}' > @DIR@/$1.write\n"
	"ask get_share '{\"share\":\"a\"}' > @DIR@/$1.tmp; mv @DIR@/$1.tmp @DIR@/$1.read; }\n";

static void check_asked(const struct fixture *f, const char *who)
{
	char *text = read_text(fixture_path(f, "%s.write", who));
	json_t *j = text ? json_loads(text, 0, NULL) : NULL;

	ck_assert_msg(j != NULL, "%s was not answered", who);
	ck_assert_int_eq(int_at(j, "error.code"), 15);
	ck_assert_str_eq(str_at(j, "error.data.kind"), "would_deadlock");
	json_decref(j);
	free(text);
	text = read_text(fixture_path(f, "%s.read", who));
	j = text ? json_loads(text, 0, NULL) : NULL;
	ck_assert_msg(j != NULL, "%s could not read", who);
	ck_assert_str_eq(str_at(j, "result.name"), "a");
	json_decref(j);
	free(text);
}

START_TEST(hooks_would_deadlock)
{
	struct fixture *f = fixture_new("sim \"s\" { hook_drivers = {\"exec:@DIR@/hook\"} enable_pre_hooks = true "
					"enable_post_hooks = true exec_timeout = 20 }\n");
	char *text;

	ck_assert_int_gt(
		asprintf(&text, "#!/bin/sh\n%s%s", asks,
			 "[ $2 = extend_share ] || exit 0\n"
			 "both $1-hook\n"
			 "( both $1-child )\n"
			 /* Away from every parent: a new session, and the one between is gone. */
			 "( setsid sh -c '. @DIR@/functions; sleep 0.2; both '$1-grandchild'' < /dev/null & )\n"
			 "while [ ! -e @DIR@/$1-grandchild.read ]; do sleep 0.05; done\n"),
		0);
	fixture_program(f, "functions", asks);
	fixture_program(f, "hook", text);
	free(text);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 2000));
	check_asked(f, "pre-hook");
	check_asked(f, "pre-child");
	check_asked(f, "pre-grandchild");
	check_asked(f, "post-hook");
	check_asked(f, "post-child");
	check_asked(f, "post-grandchild");
	ck_assert_uint_eq(count_shares(f), 1);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socket_calls");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, roles);
	tcase_add_test(t, callers_are_recorded);
	tcase_add_test(t, changes_run_in_order);
	tcase_add_test(t, reads_while_a_call_runs);
	tcase_add_test(t, half_closed);
	tcase_add_test(t, clients_that_vanish);
	tcase_add_test(t, same_request_id_same_answer);
	tcase_add_test(t, refusals_are_not_kept);
	tcase_add_test(t, request_ids_are_each_users_own);
	tcase_add_test(t, twins);
	tcase_add_test(t, if_absent);
	tcase_add_test(t, if_present);
	tcase_add_test(t, hooks_would_deadlock);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
