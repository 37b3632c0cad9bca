/* Webhooks in a real daemon: a veto, a changed result, a time-out, files that are missing, secrets that stay secret,
 * and what a daemon without webhooks does not pay. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t server;

/* On DIR/receiver; waits for it. */
static void start_server(const struct fixture *f, const char *more)
{
	char command[1024];

	snprintf(command, sizeof command,
		 "exec /usr/bin/python3 tests/webhook_server.py '%s' --unix '%s/receiver' --secret '%s/secret' %s",
		 f->dir, f->dir, f->dir, more);
	unlink(fixture_path(f, "port"));
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	for (double end = now() + 60; !exists(fixture_path(f, "port")); nap(0.01))
		ck_assert_msg(now() < end && waitpid(server, NULL, WNOHANG) == 0, "the receiver did not start");
}

static void stop_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static struct fixture *with_webhook(const char *path, const char *more)
{
	char body[1024];
	struct fixture *f;

	snprintf(body, sizeof body,
		 "hook \"w\" {\n run = \"webhook:unix:@DIR@/receiver:%s\"\n methods = {\"create_share_instance\"}\n "
		 "%s\n}\n"
		 "sim \"s\" {\n hook_drivers = {\"w\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n}\n",
		 path, more);
	f = fixture_new(body);
	write_file(fixture_path(f, "secret"), "correct horse\n");
	ck_assert_int_eq(chmod(fixture_path(f, "secret"), 0600), 0);
	return f;
}

static void has_library(const struct fixture *f, bool expected)
{
	char path[64];
	_cleanup_free_ char *maps = NULL;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)f->pid);
	maps = read_text(path);
	ck_assert_ptr_nonnull(maps);
	ck_assert_int_eq(strstr(maps, "libcurl") != NULL, expected);
	ck_assert_int_eq(strstr(maps, "sharesd-http.so") != NULL, expected);
}

START_TEST(test_policy)
{
	struct fixture *f = with_webhook("/policy", "");
	_cleanup_json_ json_t *share = NULL, *e = NULL, *h = NULL;

	start_server(f, "");
	fixture_start(f, NULL, (uid_t)-1);
	has_library(f, true);
	share = call(f, "create_share_instance", "{s:s,s:i}", "name", "small", "size_bytes", 1000);
	ck_assert_str_eq(str_at(share, "metadata.ticket"), "4711");
	e = call_error(f, "vetoed", "create_share_instance", "{s:s,s:i}", "name", "large", "size_bytes", 2 << 20);
	ck_assert_str_eq(str_at(e, "message"), "a megabyte is enough for everybody");
	ck_assert_str_eq(str_at(e, "data.hook"), "w");
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "large"));
	h = call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", "w");
	ck_assert_int_eq(int_at(h, "calls"), 3);
	ck_assert_int_eq(int_at(h, "vetoes"), 1);
	ck_assert_int_eq(int_at(h, "failures"), 0);
	ck_assert_int_eq(int_at(h, "last_status"), 409);
	/* Without its receiver a policy fails closed, and works again with it. */
	stop_server();
	json_decref(call_error(f, "pre_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "b", "size_bytes",
			       1000));
	unlink(fixture_path(f, "receiver"));
	start_server(f, "");
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "b", "size_bytes", 1000));
	stop_server();
	fixture_free(f);
}
END_TEST

START_TEST(test_time_out)
{
	struct fixture *f = with_webhook("/drip", "timeout = 0.5");
	_cleanup_json_ json_t *e = NULL, *h = NULL;

	start_server(f, "");
	fixture_start(f, NULL, (uid_t)-1);
	e = call_error(f, "pre_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1000);
	ck_assert_msg(strstr(str_at(e, "message"), "no whole answer within 0.5 s"), "%s", str_at(e, "message"));
	h = call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", "w");
	ck_assert_int_eq(int_at(h, "timeouts"), 1);
	stop_server();
	fixture_free(f);
}
END_TEST

static void nowhere(const char *what, const char *text)
{
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(strstr(text, "correct horse") == NULL, "the secret is in %s", what);
	ck_assert_msg(strstr(text, "hunter2") == NULL, "the token is in %s", what);
}

static void not_in_answer(struct fixture *f, const char *method, const char *params)
{
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = client_request(c, method, json_loads(params, 0, NULL));
	_cleanup_free_ char *text = jsonx_dump(reply);

	nowhere(method, text);
	client_free(c);
}

/* The backend is down until the secret is as it must be, and then it is in nothing that can be read. */
START_TEST(test_secrets)
{
	struct fixture *f = with_webhook("/signed", "");
	_cleanup_json_ json_t *b = NULL;
	_cleanup_free_ char *log = NULL, *requests = NULL;

	fixture_conf(f, "log_level = \"debug\"\nhook \"w\" {\n run = \"webhook:unix:@DIR@/receiver:/signed\"\n"
			" methods = {\"create_share_instance\"}\n}\n"
			"sim \"s\" {\n hook_drivers = {\"w\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n"
			" webhook_secret_file = \"@DIR@/secret\"\n webhook_headers = {\"X-Token: hunter2\"}\n}\n");
	start_server(f, "");
	ck_assert_int_eq(chmod(fixture_path(f, "secret"), 0644), 0);
	fixture_start(f, NULL, (uid_t)-1);
	b = call(f, "get_backend", "{s:s}", "backend", "s");
	ck_assert_str_eq(str_at(b, "status"), "down");
	ck_assert_msg(strstr(str_at(b, "status_reason"), "secret is not used, for others may read it") != NULL, "%s",
		      str_at(b, "status_reason"));
	ck_assert_int_eq(chmod(fixture_path(f, "secret"), 0600), 0);
	json_decref(call(f, "init_host", "{s:s}", "backend", "s"));
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1000));
	not_in_answer(f, "list_hooks", "{}");
	not_in_answer(f, "list_calls", "{}");
	not_in_answer(f, "list_backends", "{}");
	not_in_answer(f, "get_service", "{}");
	not_in_answer(
		f, "test_hook",
		"{\"backend\":\"s\",\"hook\":\"w\",\"event\":{\"phase\":\"pre\",\"func_name\":\"extend_share\"}}");
	fixture_stop(f);
	log = fixture_log(f);
	nowhere("the log", log);
	/* The requests are the events, beside the header that is meant to have it. */
	requests = read_text(fixture_path(f, "requests"));
	ck_assert_ptr_nonnull(strstr(requests, "create_share_instance"));
	for (char *rest = requests, *line; (line = strsep(&rest, "\n")) && *line;) {
		_cleanup_json_ json_t *seen = json_loads(line, 0, NULL);

		nowhere("an event", str_at(seen, "body"));
		ck_assert_str_eq(str_at(seen, "headers.x-token"), "hunter2");
	}
	stop_server();
	fixture_free(f);
}
END_TEST

START_TEST(test_without_webhooks)
{
	struct fixture *f = fixture_new("sim \"s\" {\n hook_drivers = {\"journal\"}\n enable_pre_hooks = true\n}\n");

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1000));
	has_library(f, false);
	fixture_free(f);
}
END_TEST

/* The part that speaks HTTP is not there: that backend is down and says why, the others serve. */
START_TEST(test_missing_library)
{
	struct fixture *f = with_webhook("/policy", "");
	_cleanup_json_ json_t *b = NULL;

	fixture_hold_work(f); /* it runs from DIR/bin now */
	ck_assert_int_eq(unlink(fixture_path(f, "bin/sharesd-http.so")), 0);
	fixture_start(f, NULL, (uid_t)-1);
	b = call(f, "get_backend", "{s:s}", "backend", "s");
	ck_assert_str_eq(str_at(b, "status"), "down");
	ck_assert_msg(strstr(str_at(b, "status_reason"), "the part of sharesd that speaks HTTP is missing") != NULL,
		      "%s", str_at(b, "status_reason"));
	fixture_release_work(f);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("webhook");
	TCase *c = tcase_create("webhook");
	SRunner *sr;
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_policy);
	tcase_add_test(c, test_time_out);
	tcase_add_test(c, test_secrets);
	tcase_add_test(c, test_without_webhooks);
	tcase_add_test(c, test_missing_library);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
