/* What can be seen of hooks, and done about them: figures, the breaker, trying one by hand. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *create(const struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", 1000);
}

static json_t *create_error(const struct fixture *f, const char *kind, const char *name)
{
	return call_error(f, kind, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", 1000);
}

static json_t *shown(const struct fixture *f, const char *hook)
{
	return call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", hook);
}

/* ---- the breaker ---- */

/* Hangs while DIR/hang is there. */
static struct fixture *with_hanging(const char *more)
{
	char conf[1024];
	struct fixture *f = fixture_new("");

	snprintf(conf, sizeof conf,
		 "hook \"h\" {\n run = \"exec:@DIR@/h\"\n timeout = 0.5\n methods = {\"create_share_instance\"}\n}\n"
		 "sim \"s\" {\n hook_drivers = {\"h\"}\n enable_pre_hooks = true\n hook_breaker_timeouts = 2\n"
		 " hook_breaker_pause = 3600.0\n %s\n}\n",
		 more);
	fixture_conf(f, conf);
	fixture_program(f, "h", "#!/bin/sh\necho x >>@DIR@/runs\n[ ! -e @DIR@/hang ] || exec sleep 1000\n");
	write_file(fixture_path(f, "hang"), "");
	return f;
}

static size_t runs(const struct fixture *f)
{
	_cleanup_free_ char *s = read_text(fixture_path(f, "runs"));

	return s ? strlen(s) / 2 : 0;
}

/* The next event about a hook. */
static void next_event(struct client *c, const char *type)
{
	_cleanup_json_ json_t *event = client_read(c);

	ck_assert_ptr_nonnull(event);
	ck_assert_str_eq(str_at(event, "params.type"), type);
	ck_assert_str_eq(str_at(event, "params.object.name"), "h");
	ck_assert_str_eq(str_at(event, "params.object.backend"), "s");
}

START_TEST(test_fails_fast)
{
	struct fixture *f = with_hanging("");
	struct client *c;
	_cleanup_json_ json_t *h = NULL, *e = NULL, *after = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "subscribe", "{s:[s]}", "types", "hook.*"));
	json_decref(create_error(f, "pre_hook_failed", "a"));
	json_decref(create_error(f, "pre_hook_failed", "a"));
	ck_assert_uint_eq(runs(f), 2);
	next_event(c, "hook.left_out");
	/* It might veto, so nothing goes on without it. */
	e = create_error(f, "pre_hook_failed", "a");
	ck_assert_uint_eq(runs(f), 2);
	ck_assert_msg(strstr(str_at(e, "message"), "did not answer in time 2 times in a row") != NULL, "%s",
		      str_at(e, "message"));
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "a"));
	h = shown(f, "h");
	ck_assert_str_eq(str_at(h, "state"), "left_out");
	ck_assert_int_eq(int_at(h, "timeouts_in_row"), 2);
	ck_assert_int_eq(int_at(h, "calls"), 2);
	ck_assert_int_eq(int_at(h, "timeouts"), 2);
	ck_assert_int_eq(int_at(h, "failures"), 2);
	ck_assert_int_eq(int_at(h, "calls_left_out"), 1);
	str_at(h, "left_out_until");
	ck_assert_int_eq(unlink(fixture_path(f, "hang")), 0);
	json_decref(create_error(f, "pre_hook_failed", "a"));
	json_decref(call_error(f, "not_found", "enable_hook", "{s:s,s:s}", "backend", "s", "hook", "g"));
	ck_assert_int_eq(shell(NULL, "'%s' --socket '%s' hook enable s h", program_path("sharesctl"), f->socket), 0);
	next_event(c, "hook.back");
	json_decref(create(f, "a"));
	ck_assert_uint_eq(runs(f), 3);
	after = shown(f, "h");
	ck_assert_str_eq(str_at(after, "state"), "ready");
	ck_assert(json_is_null(at(after, "left_out_until")));
	ck_assert(client_quiet(c, 0.2));
	client_free(c);
	fixture_stop(f);
	ck_assert(fixture_log_has(f, "did not answer in time 2 times in a row and is left out for 3600 s"));
	fixture_free(f);
}
END_TEST

START_TEST(test_goes_on)
{
	struct fixture *f = with_hanging("suppress_pre_hooks_errors = true");
	_cleanup_json_ json_t *h = NULL, *calls = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	json_decref(create(f, "b"));
	json_decref(create(f, "c"));
	ck_assert_uint_eq(runs(f), 2);
	h = shown(f, "h");
	ck_assert_int_eq(int_at(h, "calls_left_out"), 1);
	ck_assert_int_eq(int_at(h, "suppressed_failures"), 2);
	calls = call(f, "list_calls", NULL);
	json_t *list = at(calls, "calls"), *last = json_array_get(list, json_array_size(list) - 1);
	ck_assert_str_eq(str_at(last, "hooks.0.outcome"), "suppressed");
	ck_assert(json_is_true(at(last, "hooks.0.left_out")));
	fixture_free(f);
}
END_TEST

/* Who may only read changes nothing here either. */
START_TEST(test_reader)
{
	struct fixture *f;
	struct client *c;

	if (!need_root("test_reader"))
		return;
	f = fixture_new("reader_groups = {\"nogroup\"}\nsim \"s\" {\n hook_drivers = {\"journal\"}\n "
			"enable_pre_hooks = true\n}\n");
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new_as(f, 65534, 65534);
	json_decref(
		client_error(c, "permission_denied", "enable_hook", "{s:s,s:s}", "backend", "s", "hook", "journal"));
	client_free(c);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooks seen");
	TCase *c = tcase_create("hooks seen");
	SRunner *sr;
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_fails_fast);
	tcase_add_test(c, test_goes_on);
	tcase_add_test(c, test_reader);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
