/* Share servers: made on demand and by hand, with hooks; addresses; deleted when nobody needs them; after a crash at
 * every step. */
#include "base/cleanup.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define NETWORKS                                                                                                       \
	"share_network \"blue\" { bridge = \"br0\"\n addresses = {\"192.0.2.10-192.0.2.11/24\"} }\n"                   \
	"share_network \"red\" { bridge = \"br0\"\n addresses = {\"2001:db8::5/64\"}\n gateway = \"2001:db8::1\" }\n"
#define HANDLES "driver_handles_share_servers = true\n"

static json_t *create(const struct fixture *f, const char *name, const char *backend, const char *network)
{
	return call(f, "create_share_instance", "{s:s,s:s,s:i,s:s}", "name", name, "backend", backend, "size_bytes",
		    1000, "share_network", network);
}

static json_t *servers(const struct fixture *f)
{
	json_t *all = call(f, "list_share_servers", NULL), *list = json_incref(at(all, "share_servers"));

	json_decref(all);
	return list;
}

static size_t count_servers(const struct fixture *f)
{
	_cleanup_json_ json_t *list = servers(f);

	return json_array_size(list);
}

START_TEST(on_demand)
{
	struct fixture *f = fixture_new(NETWORKS "sim \"s\" { " HANDLES "}\nsim \"plain\" { }\n");
	json_t *a, *b, *c, *list, *all;

	fixture_start(f, NULL, (uid_t)-1);
	a = create(f, "a", "s", "blue");
	b = create(f, "b", "s", "blue");
	list = servers(f);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(str_at(list, "0.status"), "active");
	ck_assert_str_eq(str_at(list, "0.address"), "192.0.2.10/24");
	ck_assert_str_eq(str_at(list, "0.backend_details.share_network"), "blue");
	ck_assert_str_eq(str_at(a, "share_server_id"), str_at(list, "0.id"));
	ck_assert_str_eq(str_at(b, "share_server_id"), str_at(list, "0.id"));
	ck_assert_str_eq(str_at(a, "share_network"), "blue");
	all = call(f, "list_share_networks", NULL);
	ck_assert_str_eq(str_at(all, "share_networks.0.name"), "blue");
	ck_assert_str_eq(str_at(all, "share_networks.1.gateway"), "2001:db8::1");
	json_decref(all);
	/* A copy goes where its source is, and nowhere else. */
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "x"));
	json_decref(call_error(f, "invalid_params", "create_share_instance", "{s:s,s:s,s:s}", "name", "c", "snapshot",
			       "a@x", "share_network", "red"));
	c = call(f, "create_share_instance", "{s:s,s:s}", "name", "c", "snapshot", "a@x");
	ck_assert_str_eq(str_at(c, "share_network"), "blue");
	ck_assert_str_eq(str_at(c, "share_server_id"), str_at(list, "0.id"));
	json_decref(c);
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "c"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@x"));
	/* A share's server does not go while the share is there; without, it goes. */
	json_decref(
		call_error(f, "invalid_state", "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	json_decref(
		call_error(f, "invalid_state", "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "b"));
	json_decref(call(f, "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	ck_assert_uint_eq(count_servers(f), 0);
	json_decref(call_error(f, "not_found", "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	json_decref(call(f, "delete_share_server", "{s:s,s:b}", "share_server", str_at(list, "0.id"), "if_present", 1));
	json_decref(a);
	json_decref(b);
	json_decref(list);
	fixture_free(f);
}
END_TEST

static void refuse(const struct fixture *f, const char *kind, const char *param, const char *backend,
		   const char *network)
{
	json_t *e =
		call_error(f, kind, "create_share_server", "{s:s,s:s}", "backend", backend, "share_network", network);

	if (param)
		ck_assert_str_eq(str_at(e, "data.param"), param);
	json_decref(e);
}

START_TEST(what_is_refused)
{
	struct fixture *f =
		fixture_new(NETWORKS "sim \"s\" { " HANDLES "}\nsim \"t\" { " HANDLES "}\nsim \"u\" { " HANDLES
				     "}\nsim \"plain\" { }\ndir \"d\" { root = \"@DIR@/root\"\n" HANDLES "}\n");
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	refuse(f, "not_supported", "backend", "plain", "blue");
	refuse(f, "not_supported", NULL, "d", "blue");
	refuse(f, "not_found", "share_network", "s", "green");
	refuse(f, "not_found", "backend", "nowhere", "blue");
	json_decref(call(f, "create_share_server", "{s:s,s:s}", "backend", "s", "share_network", "blue"));
	refuse(f, "already_exists", NULL, "s", "blue");
	json_decref(call(f, "create_share_server", "{s:s,s:s,s:b}", "backend", "s", "share_network", "blue",
			 "if_absent", 1));
	ck_assert_uint_eq(count_servers(f), 1);
	json_decref(call(f, "create_share_server", "{s:s,s:s}", "backend", "t", "share_network", "blue"));
	/* The network has two addresses. */
	refuse(f, "no_space", "share_network", "u", "blue");
	e = call_error(f, "no_space", "create_share_instance", "{s:s,s:i,s:s,s:s}", "name", "a", "size_bytes", 1000,
		       "backend", "u", "share_network", "blue");
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "all addresses of network \"blue\" are taken"));
	json_decref(e);
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	e = call_error(f, "not_found", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1000,
		       "share_network", "green");
	ck_assert_str_eq(str_at(e, "data.param"), "share_network");
	json_decref(e);
	json_decref(call_error(f, "invalid_params", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes",
			       1000, "backend", "s"));
	json_decref(call_error(f, "not_supported", "manage_share", "{s:s,s:s,s:s}", "name", "a", "backend", "s",
			       "provider_location", "x"));
	fixture_free(f);
}
END_TEST

/* ---- hooks ---- */

static const char *const in_order[] = { "pre create_share_instance", "pre create_share_server",
					"post create_share_server",  "post create_share_instance",
					"pre delete_share_instance", "post delete_share_instance",
					"pre delete_share_server",   "post delete_share_server" };

START_TEST(its_own_hooked_calls)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	char body[2048];
	json_t *events;
	size_t i = 0;

	snprintf(body, sizeof body,
		 "%shook \"one\" { run = \"%s\" }\n" NETWORKS "sim \"s\" { " HANDLES
		 "delete_share_server_with_last_share = true\nhook_drivers = {\"one\"}\n"
		 "enable_pre_hooks = true\nenable_post_hooks = true\nenable_error_hooks = true }\n",
		 recorder_options, recorder_entry());
	fixture_conf(f, body);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(recorder_events(r));
	json_decref(create(f, "a", "s", "red"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	ck_assert_uint_eq(count_servers(f), 0);
	events = recorder_events(r);
	for (size_t k = 0; k < json_array_size(events); k++) {
		const json_t *e = at(json_array_get(events, k), "event");
		char what[80];

		/* The timers' own may come in between. */
		if (strcmp(str_at(e, "func_name"), "publish_service_capabilities") == 0)
			continue;
		snprintf(what, sizeof what, "%s %s", str_at(e, "phase"), str_at(e, "func_name"));
		ck_assert_uint_lt(i, sizeof in_order / sizeof *in_order);
		ck_assert_str_eq(what, in_order[i++]);
		if (!strstr(what, "share_server"))
			continue;
		ck_assert_str_eq(str_at(e, "context.origin"), "call");
		ck_assert(json_is_string(at(e, "context.parent_call_id")));
		if (strcmp(what, "post create_share_server") == 0)
			ck_assert_str_eq(str_at(e, "driver_action_results.backend_details.share_network"), "red");
		if (strcmp(what, "pre delete_share_server") == 0)
			ck_assert_str_eq(str_at(e, "objects.share_server.address"), "2001:db8::5/64");
	}
	ck_assert_uint_eq(i, sizeof in_order / sizeof *in_order);
	json_decref(events);
	/* What a hook refuses is not made, and the share says where to look. */
	recorder_script(r, "s", json_pack("{s:[{s:s}]}", "one pre create_share_server call", "veto", "not today"));
	json_decref(call_error(f, "driver_failed", "create_share_instance", "{s:s,s:s,s:i,s:s}", "name", "b", "backend",
			       "s", "size_bytes", 1000, "share_network", "red"));
	wait_share(f, "b", "error");
	ck_assert_uint_eq(count_servers(f), 0);
	recorder_free(r);
	fixture_free(f);
}
END_TEST

START_TEST(a_driver_that_fails)
{
	struct fixture *f = fixture_new(NETWORKS "sim \"s\" { " HANDLES
						 "fail = {\"setup_server:EIO@1\", \"teardown_server:EIO@2\"} }\n");
	json_t *e, *list;

	fixture_start(f, NULL, (uid_t)-1);
	e = call_error(f, "driver_failed", "create_share_instance", "{s:s,s:s,s:i,s:s}", "name", "a", "backend", "s",
		       "size_bytes", 1000, "share_network", "blue");
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "its share server could not be made: setup_server"));
	json_decref(e);
	list = servers(f);
	ck_assert_str_eq(str_at(list, "0.status"), "error");
	ck_assert_ptr_nonnull(strstr(str_at(list, "0.status_reason"), "setup_server"));
	wait_share(f, "a", "error");
	/* Its server is to be deleted first, then all goes well. */
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	e = call_error(f, "invalid_state", "create_share_instance", "{s:s,s:s,s:i,s:s}", "name", "a", "backend", "s",
		       "size_bytes", 1000, "share_network", "blue");
	json_decref(e);
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	json_decref(call(f, "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	json_decref(list);
	json_decref(create(f, "a", "s", "blue"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	list = servers(f);
	json_decref(
		call_error(f, "driver_failed", "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	json_decref(call(f, "delete_share_server", "{s:s}", "share_server", str_at(list, "0.id")));
	json_decref(list);
	fixture_free(f);
}
END_TEST

START_TEST(unused_ones_go)
{
	struct fixture *f = fixture_new(NETWORKS "sim \"s\" { " HANDLES "unused_share_server_cleanup_interval = 0.2 }\n"
						 "sim \"t\" { " HANDLES "unused_share_server_cleanup_interval = 0 }\n");
	double until = now() + 20;
	json_t *calls;
	bool by_timer = false;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "kept", "s", "red"));
	json_decref(call(f, "create_share_server", "{s:s,s:s}", "backend", "s", "share_network", "blue"));
	json_decref(call(f, "create_share_server", "{s:s,s:s}", "backend", "t", "share_network", "blue"));
	while (count_servers(f) > 2 && now() < until)
		nap(0.02);
	ck_assert_uint_eq(count_servers(f), 2);
	calls = call(f, "list_calls", NULL);
	for (size_t i = 0; i < json_array_size(at(calls, "calls")); i++) {
		const json_t *c = json_array_get(at(calls, "calls"), i);

		by_timer = by_timer || (strcmp(str_at(c, "method"), "delete_share_server") == 0 &&
					strcmp(str_at(c, "origin"), "timer") == 0);
	}
	ck_assert(by_timer);
	json_decref(calls);
	json_decref(call(f, "get_share", "{s:s}", "share", "kept"));
	fixture_free(f);
}
END_TEST

/* ---- crashes ---- */

/* The same request_id, then, ends in one share on one server. */
START_TEST(cut_off_at_every_step)
{
	unsigned step = 1;
	bool through = false;

	for (; !through && step < 100; step++) {
		struct fixture *f = fixture_new(NETWORKS "sim \"s\" { " HANDLES "}\n");
		json_t *share, *list;

		through = fixture_crash_at(f, step, "create_share_instance",
					   json_pack("{s:s,s:s,s:i,s:s,s:s}", "name", "a", "backend", "s", "size_bytes",
						     1000, "share_network", "blue", "request_id", "one"));
		fixture_start(f, NULL, (uid_t)-1);
		share = call(f, "create_share_instance", "{s:s,s:s,s:i,s:s,s:s}", "name", "a", "backend", "s",
			     "size_bytes", 1000, "share_network", "blue", "request_id", "one");
		list = servers(f);
		ck_assert_msg(json_array_size(list) == 1, "step %u: %zu servers", step, json_array_size(list));
		ck_assert_str_eq(str_at(list, "0.status"), "active");
		ck_assert_str_eq(str_at(share, "share_server_id"), str_at(list, "0.id"));
		ck_assert_str_eq(str_at(share, "status"), "available");
		json_decref(share);
		json_decref(list);
		fixture_free(f);
	}
	ck_assert_uint_gt(step, 5);
	ck_assert(through);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { on_demand,           what_is_refused, its_own_hooked_calls,
				 a_driver_that_fails, unused_ones_go,  cut_off_at_every_step };
	Suite *s = suite_create("share_servers");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
