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

/* ---- samples ---- */

/* What is in these is the caller's or the driver's own, or by id. */
static bool is_free(const char *key)
{
	static const char *const names[] = { "metadata",       "options",       "capabilities", "context",
					     "driver_options", "pre_hook_data", "shares",       "rules" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(key, names[i]) == 0)
			return true;
	return false;
}

/* The same members of the same types, as deep as both go. */
static void same_shape(const json_t *real, const json_t *sample, const char *where)
{
	char inner[256];
	const char *key;
	json_t *v;

	if (json_is_null(real) || json_is_null(sample))
		return;
	ck_assert_msg(json_typeof(real) == json_typeof(sample) || (json_is_boolean(real) && json_is_boolean(sample)),
		      "%s is of another type", where);
	if (json_is_array(real) && json_array_size(real) && json_array_size(sample))
		same_shape(json_array_get(real, 0), json_array_get(sample, 0), where);
	json_object_foreach((json_t *)real, key, v) {
		snprintf(inner, sizeof inner, "%s.%s", where, key);
		ck_assert_msg(json_object_get(sample, key) != NULL, "the sample lacks %s", inner);
		if (!is_free(key))
			same_shape(v, json_object_get(sample, key), inner);
	}
	json_object_foreach((json_t *)sample, key, v)
		ck_assert_msg(json_object_get(real, key) != NULL, "the sample invents %s.%s", where, key);
}

static json_t *sampled(const struct fixture *f, const char *phase, const char *func_name)
{
	json_t *answer = call(f, "test_hook", "{s:s,s:s,s:{s:s,s:s}}", "backend", "s", "hook", "t", "event", "phase",
			      phase, "func_name", func_name);

	ck_assert_msg(json_is_true(at(answer, "accepted")), "%s %s is not accepted", phase, func_name);
	return answer;
}

static const char *const hooked[] = { "init_host",
				      "publish_service_capabilities",
				      "create_share_instance",
				      "delete_share_instance",
				      "manage_share",
				      "unmanage_share",
				      "extend_share",
				      "shrink_share",
				      "allow_access",
				      "deny_access",
				      "update_access",
				      "create_snapshot",
				      "delete_snapshot",
				      "revert_to_snapshot",
				      "manage_snapshot",
				      "unmanage_snapshot" };

/* Every event that this daemon has sent is compared with its sample. */
static void compare_with_real(const struct fixture *f)
{
	static const char *const phases[] = { "pre", "post" };

	for (size_t m = 0; m < sizeof hooked / sizeof *hooked; m++) {
		for (size_t p = 0; p < 2; p++) {
			char name[128];
			_cleanup_json_ json_t *real = NULL, *answer = sampled(f, phases[p], hooked[m]);

			snprintf(name, sizeof name, "%s-%s", phases[p], hooked[m]);
			real = json_load_file(fixture_path(f, "events/%s", name), 0, NULL);
			ck_assert_msg(real != NULL, "there was no %s", name);
			same_shape(real, at(answer, "event"), name);
		}
		json_decref(sampled(f, "error", hooked[m]));
	}
}

static void call_everything(const struct fixture *f)
{
	json_decref(create(f, "a"));
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 3000));
	json_decref(call(f, "shrink_share", "{s:s,s:i}", "share", "a", "size_bytes", 2000));
	json_decref(call(f, "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to", "root"));
	_cleanup_json_ json_t *rules = call(f, "list_access_rules", "{s:s}", "share", "a");
	json_decref(call(f, "update_access", "{s:s,s:s,s:s}", "share", "a", "access",
			 str_at(rules, "access_rules.0.id"), "access_level", "ro"));
	json_decref(call(f, "deny_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to", "root"));
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "x"));
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "a@x"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@x"));
	json_decref(call(f, "manage_snapshot", "{s:s,s:s,s:s}", "share", "a", "name", "y", "provider_location", "y"));
	json_decref(call(f, "unmanage_snapshot", "{s:s}", "snapshot", "a@y"));
	json_decref(call(f, "manage_share", "{s:s,s:s,s:s,s:i}", "backend", "s", "name", "m", "provider_location", "m",
			 "size_bytes", 1000));
	json_decref(call(f, "unmanage_share", "{s:s}", "share", "m"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	json_decref(call(f, "init_host", "{s:s}", "backend", "s"));
	json_decref(call(f, "publish_service_capabilities", "{s:s}", "backend", "s"));
}

START_TEST(test_samples)
{
	struct fixture *f = fixture_new(
		"hook \"t\" {\n run = \"exec:@DIR@/t\"\n options = {\"colour=red\"}\n methods = "
		"{\"create_snapshot\"}\n}\n"
		"sim \"s\" {\n hook_drivers = {\"exec:@DIR@/r\", \"t\"}\n enable_pre_hooks = true\n"
		" enable_post_hooks = true\n enable_periodic_hooks = true\n periodic_hooks_interval = 0.2\n}\n");
	_cleanup_json_ json_t *answer = NULL, *got = NULL, *periodic = NULL, *real = NULL, *e = NULL;
	double end = now() + 60;

	/* In one step: periodic events come while this test reads. */
	fixture_program(
		f, "r",
		"#!/bin/sh\nmkdir -p @DIR@/events; to=@DIR@/events/$1${2:+-}$2\ncat >$to.new; mv $to.new $to\n");
	fixture_program(f, "t", "#!/bin/sh\ncat >@DIR@/got\n");
	fixture_start(f, NULL, (uid_t)-1);
	call_everything(f);
	compare_with_real(f);
	/* Given members stand, the rest is the sample's. */
	answer = call(f, "test_hook", "{s:s,s:s,s:{s:s,s:s,s:{s:i}}}", "backend", "s", "hook", "t", "event", "phase",
		      "pre", "func_name", "extend_share", "args", "size_bytes", 77);
	got = json_load_file(fixture_path(f, "got"), 0, NULL);
	ck_assert(json_equal(got, at(answer, "event")));
	ck_assert_int_eq(int_at(got, "args.size_bytes"), 77);
	ck_assert_str_eq(str_at(got, "args.share"), str_at(got, "objects.share.id"));
	ck_assert_str_eq(str_at(got, "options.colour"), "red");
	ck_assert_str_eq(str_at(got, "backend.driver"), "sim");
	ck_assert_int_eq(int_at(got, "context.uid"), (long long)getuid());
	/* Periodic: the real one needs a share to be one. */
	json_decref(create(f, "b"));
	unlink(fixture_path(f, "events/periodic"));
	while (!(real = json_load_file(fixture_path(f, "events/periodic"), 0, NULL)) ||
	       json_array_size(at(real, "periodic_hook_data")) == 0) {
		json_decref(real);
		ck_assert(now() < end);
		nap(0.05);
	}
	periodic = call(f, "test_hook", "{s:s,s:s,s:{s:s}}", "backend", "s", "hook", "t", "event", "phase", "periodic");
	json_object_del(at(real, "periodic_hook_data.0"), "simulator"); /* what this driver adds */
	same_shape(real, at(periodic, "event"), "periodic");
	e = call_error(f, "invalid_params", "test_hook", "{s:s,s:s,s:{s:s,s:s}}", "backend", "s", "hook", "t", "event",
		       "phase", "pre", "func_name", "extend_shar");
	ck_assert_msg(strstr(str_at(e, "message"), "\"extend_shar\"") != NULL, "%s", str_at(e, "message"));
	fixture_free(f);
}
END_TEST

/* ---- the end of a call that cannot be stored ---- */

static size_t lines_with(const struct fixture *f, const char *text)
{
	_cleanup_free_ char *log = fixture_log(f);
	size_t n = 0;

	for (const char *p = log; (p = strstr(p, text)); p++)
		n++;
	return n;
}

/* Its post hook takes the database away: the end is tried again, less and less often, until it is back. */
START_TEST(test_end_that_waits)
{
	static const char waits[] = "could not be stored and waits";
	struct fixture *f =
		fixture_new("sim \"s\" {\n hook_drivers = {\"exec:@DIR@/h\"}\n enable_post_hooks = true\n}\n");
	double until = now() + 30;
	_cleanup_json_ json_t *answer = NULL, *one;
	size_t i, n = 0;

	fixture_program(f, "h",
			"#!/bin/sh\n[ $2 != create_share_instance ] || mv @DIR@/state/sharesd.db @DIR@/state/away\n");
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	while (lines_with(f, waits) == 0 && now() < until)
		nap(0.05);
	ck_assert_uint_ge(lines_with(f, waits), 1);
	nap(2);
	ck_assert_uint_le(lines_with(f, waits), 20);
	ck_assert_int_eq(rename(fixture_path(f, "state/away"), fixture_path(f, "state/sharesd.db")), 0);
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 2000));
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	answer = call(f, "list_calls", NULL);
	/* The new start's own calls may still run. */
	json_array_foreach(at(answer, "calls"), i, one)
		if (strcmp(str_at(one, "method"), "create_share_instance") == 0)
			n += strcmp(str_at(one, "state"), "done") == 0;
	ck_assert_uint_eq(n, 1);
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
	tcase_add_test(c, test_samples);
	tcase_add_test(c, test_end_that_waits);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
