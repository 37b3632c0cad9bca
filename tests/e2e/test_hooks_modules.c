/* The hook modules other than exec, and the periodic hooks, in a real daemon: coprocesses that want, answer, die and
 * hang; the journal where there is none; shared objects; ticks. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <signal.h>
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

static void says(const json_t *error, const char *text)
{
	ck_assert_msg(strstr(str_at(error, "message"), text) != NULL, "%s", str_at(error, "message"));
}

/* ---- coproc ---- */

/* A coprocess in shell: `body` runs for each event, with $id, $phase and $func. */
static struct fixture *with_coproc(const char *head, const char *body, const char *more)
{
	char text[2048], conf[1024];
	struct fixture *f = fixture_new("");

	snprintf(text, sizeof text,
		 "#!/bin/sh\necho $$ >>@DIR@/pids\n%s\nwhile read -r line; do\n"
		 "id=${line#*'\"id\":'}; id=${id%%%%,*}\n"
		 "phase=${line#*'\"phase\":\"'}; phase=${phase%%%%'\"'*}\n"
		 "func=${line#*'\"func_name\":'}; func=${func%%%%,*}\n"
		 "echo \"$phase $func\" >>@DIR@/events\n%s\ndone\necho end >>@DIR@/ended\n",
		 head, body);
	snprintf(conf, sizeof conf,
		 "hook \"h\" {\n run = \"coproc:@DIR@/h\"\n timeout = 1.0\n}\n"
		 "sim \"s\" {\n hook_drivers = {\"h\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n"
		 " periodic_hooks_interval = 0.2\n %s\n}\n",
		 more);
	fixture_conf(f, conf);
	fixture_program(f, "h", text);
	return f;
}

START_TEST(test_coproc)
{
	struct fixture *f = with_coproc(
		"",
		"case $phase in\npre) echo '{\"id\":'$id',\"result\":{\"n\":7}}';;\n"
		"post) case $line in *'\"pre_hook_data\":{\"n\":7}'*) n=seven;; *) n=lost;; esac\n"
		"[ $func = '\"create_share_instance\"' ] || { echo '{\"id\":'$id'}'; continue; }\n"
		"echo '{\"id\":'$id',\"result\":{\"driver_action_results\":{\"metadata\":{\"n\":\"'$n'\"}}}}';;\nesac",
		"");
	_cleanup_json_ json_t *share = NULL, *h = NULL;
	_cleanup_free_ char *events = NULL, *pids = NULL;
	char pid[32];

	fixture_start(f, NULL, (uid_t)-1);
	share = create(f, "photos");
	ck_assert_str_eq(str_at(share, "metadata.n"), "seven");
	events = read_text(fixture_path(f, "events"));
	ck_assert_str_eq(events, "pre \"init_host\"\npost \"init_host\"\npre \"publish_service_capabilities\"\n"
				 "post \"publish_service_capabilities\"\npre \"create_share_instance\"\npost "
				 "\"create_share_instance\"\n");
	h = shown(f, "h");
	ck_assert_str_eq(str_at(h, "state"), "running");
	ck_assert_int_eq(int_at(h, "starts"), 1);
	ck_assert(json_is_null(at(h, "last_error")));
	pids = read_text(fixture_path(f, "pids"));
	snprintf(pid, sizeof pid, "%lld\n", int_at(h, "pid"));
	ck_assert_str_eq(pids, pid);
	/* A clean stop is told by the end of its input. */
	fixture_stop(f);
	ck_assert(exists(fixture_path(f, "ended")));
	ck_assert_int_ne(kill((pid_t)strtol(pids, NULL, 10), 0), 0);
	fixture_free(f);
}
END_TEST

START_TEST(test_coproc_wants)
{
	struct fixture *f = with_coproc(
		"echo '{\"wants\":[\"pre-extend_share\",\"post-create_share_instance\",\"periodic\"]}'\nsleep 0.1",
		"echo '{\"id\":'$id'}'", "enable_periodic_hooks = true");
	_cleanup_json_ json_t *h = NULL;
	_cleanup_free_ char *events = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	/* What was asked before it said what it wants was asked in vain. */
	json_decref(create(f, "first"));
	nap(0.3);
	ck_assert_int_eq(unlink(fixture_path(f, "events")), 0);
	json_decref(create(f, "photos"));
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "photos", "size_bytes", 2000));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	nap(0.5);
	events = read_text(fixture_path(f, "events"));
	ck_assert_msg(strstr(events, "post \"create_share_instance\"\n") != NULL, "%s", events);
	ck_assert_msg(strstr(events, "pre \"extend_share\"\n") != NULL, "%s", events);
	ck_assert_msg(strstr(events, "periodic null\n") != NULL, "%s", events);
	ck_assert_msg(!strstr(events, "pre \"create") && !strstr(events, "post \"extend") && !strstr(events, "delete"),
		      "%s", events);
	h = shown(f, "h");
	ck_assert_uint_eq(json_array_size(at(h, "wants")), 3);
	fixture_free(f);
}
END_TEST

static const struct {
	const char *body, *kind, *message;
	bool restarts;
} coproc_rows[] = {
	{ "echo '{\"id\":'$id',\"veto\":\"no more\"}'", "vetoed", "no more", false },
	{ "echo '{\"id\":'$id',\"error\":\"no ticket\"}'", "pre_hook_failed", "no ticket", false },
	{ "echo 'what?'", "pre_hook_failed", "a line that is no answer", true },
	{ "echo '{\"id\":99999}'", "pre_hook_failed", "an answer to what was not asked", true },
	{ "echo '{\"result\":1}'", "pre_hook_failed", "no \"id\"", true },
	{ "echo '{\"id\":'$id',\"veto\":5}'", "pre_hook_failed", "not one of \"result\"", true },
	{ "echo 'last words' >&2; exit 3", "pre_hook_failed", "exit status 3", true },
	{ "kill -9 $$", "pre_hook_failed", "signal 9", true },
	{ "sleep 30", "pre_hook_failed", "no answer within 1.0 s", true },
	{ "head -c 3000000 /dev/zero | tr '\\0' x", "pre_hook_failed", "a line of more than", true },
	{ "printf '{\"id\":'$id',\"result\":%0100d' 0 | sed 's/0*$//'; printf '%0100d' 0 | tr 0 '['; printf '%0100d' 0 "
	  "| tr 0 ']'; echo '}'",
	  "pre_hook_failed", "a line that is no answer", true },
};

/* A bad answer to one call; the next one finds the coprocess in order again. */
START_TEST(test_coproc_bad)
{
	char body[512];
	struct fixture *f;
	_cleanup_json_ json_t *error = NULL, *h = NULL;

	snprintf(body, sizeof body,
		 "case \"$phase $line\" in pre*'\"name\":\"bad\"'*) %s;; *) echo '{\"id\":'$id'}';; esac",
		 coproc_rows[_i].body);
	f = with_coproc("", body, "");
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "good"));
	error = create_error(f, coproc_rows[_i].kind, "bad");
	says(error, coproc_rows[_i].message);
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "bad"));
	nap(0.3); /* the pause before it is started again */
	json_decref(create(f, "better"));
	h = shown(f, "h");
	ck_assert_int_eq(int_at(h, "starts"), coproc_rows[_i].restarts ? 2 : 1);
	ck_assert_str_eq(str_at(h, "state"), "running");
	fixture_free(f);
}
END_TEST

/* It dies between two calls: the next one starts it anew, and nobody notices. */
START_TEST(test_coproc_restart)
{
	struct fixture *f = with_coproc("", "echo '{\"id\":'$id'}'", "");
	_cleanup_json_ json_t *h = NULL, *after = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "photos"));
	h = shown(f, "h");
	ck_assert_int_eq(kill((pid_t)int_at(h, "pid"), SIGKILL), 0);
	nap(0.3);
	json_decref(create(f, "videos"));
	after = shown(f, "h");
	ck_assert_int_eq(int_at(after, "starts"), 2);
	ck_assert_int_ne(int_at(after, "pid"), int_at(h, "pid"));
	/* kill -9 of the daemon takes its coprocess along. */
	fixture_kill(f);
	for (double until = now() + 5; kill((pid_t)int_at(after, "pid"), 0) == 0; nap(0.01))
		ck_assert_msg(now() < until, "the coprocess outlived its daemon");
	fixture_free(f);
}
END_TEST

/* ---- journal ---- */

/* Where no journal runs it is a line in the log and never a failure. */
START_TEST(test_journal)
{
	struct fixture *f = fixture_new(
		"sim \"s\" {\n hook_drivers = {\"journal\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n"
		" enable_periodic_hooks = true\n enable_error_hooks = true\n periodic_hooks_interval = 0.2\n"
		" fail = {\"extend_share:EIO\"}\n}\n");
	bool has_journal = exists("/run/systemd/journal/socket");
	_cleanup_json_ json_t *h = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "photos"));
	json_decref(call_error(f, "driver_failed", "extend_share", "{s:s,s:i}", "share", "photos", "size_bytes", 2000));
	nap(0.5);
	h = shown(f, "journal");
	ck_assert_int_ge(int_at(h, "calls"), 9);
	ck_assert_int_eq(int_at(h, "failures"), 0);
	ck_assert(has_journal || fixture_log_has(f, "post create_share_instance on backend s by root"));
	ck_assert(has_journal || fixture_log_has(f, "error extend_share on backend s by root"));
	ck_assert(has_journal || fixture_log_has(f, "periodic on backend s by timer"));
	fixture_free(f);
}
END_TEST

/* ---- shared objects ---- */

START_TEST(test_shared_object)
{
	char conf[2048];
	struct fixture *f = fixture_new("");
	struct recorder *r;
	_cleanup_json_ json_t *list = NULL, *h = NULL;
	json_t *line;
	size_t i, n[2] = { 0 };

	snprintf(conf, sizeof conf,
		 "%ssim \"s\" {\n hook_drivers = {\"%s\", \"%s_create_only\"}\n enable_pre_hooks = true\n "
		 "enable_post_hooks = true\n}\n",
		 recorder_options, recorder_entry(), recorder_entry());
	fixture_conf(f, conf);
	r = recorder_new(f);
	fixture_start(f, NULL, (uid_t)-1);
	recorder_script(r, "s", jsonx_pack("{s:[{s:{s:{s:s}}}]}", "unused pre", "return", "metadata", "by", "nobody"));
	json_decref(create(f, "photos"));
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "photos", "size_bytes", 2000));
	list = recorder_events(r);
	json_array_foreach(list, i, line) {
		bool create_only = strstr(str_at(line, "hook"), "_create_only") != NULL;

		n[create_only]++;
		ck_assert(!create_only || strcmp(str_at(line, "event.func_name"), "create_share_instance") == 0);
	}
	ck_assert_uint_eq(
		n[0],
		8); /* two of each: init_host, publish_service_capabilities, create_share_instance, extend_share */
	ck_assert_uint_eq(n[1], 2);
	h = shown(f, recorder_entry());
	ck_assert_str_eq(str_at(h, "module"), "shared");
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* A hook may set what init_host and publish_service_capabilities answer. */
START_TEST(test_host_results)
{
	char conf[2048];
	struct fixture *f = fixture_new("");
	struct recorder *r;
	_cleanup_json_ json_t *share = NULL, *backend = NULL, *after = NULL, *later = NULL, *script = NULL;

	snprintf(conf, sizeof conf,
		 "%shook \"h\" { run = \"%s\" }\nsim \"s\" {\n hook_drivers = {\"h\"}\n enable_post_hooks = true\n "
		 "stats_interval = 0.3\n}\n",
		 recorder_options, recorder_entry());
	fixture_conf(f, conf);
	r = recorder_new(f);
	fixture_start(f, NULL, (uid_t)-1);
	share = create(f, "photos");
	script = jsonx_pack("{s:[{s:{s:{s:[{s:s,s:b,s:b,s:{}}]}}}],s:[{s:{s:i}}]}", "h post init_host start", "return",
			    "shares", str_at(share, "id"), "path", "/told/at/start", "preferred", 1, "is_admin_only", 0,
			    "metadata", "h post publish_service_capabilities timer", "return", "free_bytes", 12345);
	recorder_script(r, "s", json_incref(script));
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	after = call(f, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(after, "export_locations.0.path"), "/told/at/start");
	/* A tick or two later. */
	for (double end = now() + 20; !backend; nap(0.05)) {
		backend = call(f, "get_backend", "{s:s}", "backend", "s");
		if (int_at(backend, "capabilities.free_bytes") != 12345) {
			ck_assert(now() < end);
			json_decref(backend);
			backend = NULL;
		}
	}
	/* It stands without the hook too. */
	recorder_script(r, "s", NULL);
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	later = call(f, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(later, "export_locations.0.path"), "/told/at/start");
	recorder_free(r);
	fixture_free(f);
}
END_TEST

static const struct {
	const char *symbol, *reason;
} bad_objects[] = {
	{ ":hook_record_old", "ABI" },
	{ ":hook_record_nameless", "no name" },
	{ ":hook_record_idle", "no execute function" },
	{ ":hook_record_uncreated", "no create" },
	{ ":nobody", "no symbol" },
	{ "x:hook_record", "cannot use" },
};

/* What a conf file points at makes the one backend down, with the reason; the others serve. */
START_TEST(test_bad_object)
{
	char conf[2048];
	struct fixture *f = fixture_new("");
	_cleanup_json_ json_t *bad = NULL, *good = NULL;

	snprintf(conf, sizeof conf,
		 "sim \"s\" {\n hook_drivers = {\"%s%s\"}\n enable_pre_hooks = true\n}\nsim \"t\" { }\n",
		 program_path("tests/plugins/hook_record.so"), bad_objects[_i].symbol);
	fixture_conf(f, conf);
	fixture_start(f, NULL, (uid_t)-1);
	bad = call(f, "get_backend", "{s:s}", "backend", "s");
	good = call(f, "get_backend", "{s:s}", "backend", "t");
	ck_assert_str_eq(str_at(good, "status"), "up");
	ck_assert_str_eq(str_at(bad, "status"), "down");
	ck_assert_msg(strstr(str_at(bad, "status_reason"), bad_objects[_i].reason) != NULL, "%s",
		      str_at(bad, "status_reason"));
	json_decref(call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes",
			       1000, "backend", "s"));
	fixture_free(f);
}
END_TEST

/* ---- periodic ---- */

static const char ticks_conf[] = "%shook \"h\" { run = \"%s\" }\nhook \"g\" { run = \"%s\" }\n"
				 "sim \"s\" {\n hook_drivers = {\"h\", \"g\"}\n enable_periodic_hooks = true\n"
				 " periodic_hooks_interval = %.2f\n periodic_hooks_ticks = %d\n}\n";

static struct fixture *with_ticks(struct recorder **ret, double interval, int ticks)
{
	char conf[2048];
	struct fixture *f = fixture_new("");

	snprintf(conf, sizeof conf, ticks_conf, recorder_options, recorder_entry(), recorder_entry(), interval, ticks);
	fixture_conf(f, conf);
	*ret = recorder_new(f);
	return f;
}

static size_t count_hook(const json_t *lines, const char *hook)
{
	json_t *line;
	size_t i, n = 0;

	json_array_foreach(lines, i, line)
		n += strcmp(str_at(line, "hook"), hook) == 0 && strcmp(str_at(line, "event.phase"), "periodic") == 0;
	return n;
}

/* Each N ticks, the first one interval after the start; a failing hook does not keep the others from theirs. */
START_TEST(test_ticks)
{
	struct recorder *r;
	struct fixture *f = with_ticks(&r, 0.25, 2);
	_cleanup_json_ json_t *early = NULL, *lines = NULL, *h = NULL;
	double begin = now();

	recorder_script(r, "s", jsonx_pack("{s:[{s:s}]}", "h periodic", "fail", "out of order"));
	fixture_start(f, NULL, (uid_t)-1);
	if (now() - begin < 0.4) {
		early = recorder_events(r);
		ck_assert_uint_eq(count_hook(early, "h"), 0);
	}
	nap(2.6 - (now() - begin));
	lines = recorder_events(r);
	ck_assert_msg(count_hook(lines, "h") >= 3 && count_hook(lines, "h") <= 6, "%zu runs", count_hook(lines, "h"));
	ck_assert_int_le(labs((long)count_hook(lines, "h") - (long)count_hook(lines, "g")), 1);
	h = shown(f, "h");
	ck_assert_int_ge(int_at(h, "failures"), 3);
	ck_assert_int_eq(int_at(h, "failures"), int_at(h, "calls"));
	ck_assert(fixture_log_has(f, "hook \"h\" failed in its periodic run: out of order"));
	recorder_free(r);
	fixture_free(f);
}
END_TEST

START_TEST(test_periodic_data)
{
	struct recorder *r;
	struct fixture *f = with_ticks(&r, 0.2, 1);
	_cleanup_json_ json_t *rule = NULL, *lines = NULL, *none = NULL, *want = NULL;
	const json_t *event, *seen;
	static const char *const members[] = { "version", "phase",   "func_name",         "time", "host", "backend",
					       "context", "options", "periodic_hook_data" };

	fixture_start(f, NULL, (uid_t)-1);
	none = json_array();
	json_decref(create(f, "photos"));
	json_decref(create(f, "videos"));
	rule = call(f, "allow_access", "{s:s,s:s,s:s}", "share", "photos", "access_type", "ip", "access_to",
		    "192.0.2.0/24");
	json_decref(recorder_events(r));
	nap(0.5);
	lines = recorder_events(r);
	event = at(json_array_get(lines, json_array_size(lines) - 1), "event");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		ck_assert_msg(json_object_get(event, members[i]) != NULL, "no %s", members[i]);
	ck_assert_uint_eq(json_object_size(event), sizeof members / sizeof *members);
	ck_assert(json_is_null(at(event, "func_name")));
	ck_assert_str_eq(str_at(event, "context.origin"), "timer");
	ck_assert(json_is_null(at(event, "context.uid")));
	ck_assert_uint_eq(json_array_size(at(event, "periodic_hook_data")), 2);
	seen = at(event, "periodic_hook_data.0");
	/* Whole, with its rules and what the driver adds. */
	want = call(f, "get_share", "{s:s}", "share", "photos");
	json_object_set_new(want, "access_rules", jsonx_pack("[O]", rule));
	json_object_set_new(want, "simulator", json_string("s"));
	json_object_del(want, "instance_id");
	for (const char *const *k = (const char *const[]){ "name", "instances", "export_locations", "access_rules",
							   "simulator", "metadata", NULL };
	     *k; k++)
		ck_assert_msg(json_equal(json_object_get(seen, *k), json_object_get(want, *k)), "%s", *k);
	ck_assert(json_equal(at(event, "periodic_hook_data.1.access_rules"), none));
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* The last run is not through: the tick is dropped and counted. Calls go on behind it. */
START_TEST(test_dropped_ticks)
{
	struct recorder *r;
	struct fixture *f = with_ticks(&r, 0.1, 1);
	_cleanup_json_ json_t *h = NULL, *lines = NULL;

	recorder_script(r, "s", jsonx_pack("{s:[{s:f}]}", "h periodic", "sleep", 0.8));
	fixture_start(f, NULL, (uid_t)-1);
	nap(1.5);
	recorder_script(r, "s", NULL);
	json_decref(create(f, "photos"));
	h = shown(f, "h");
	ck_assert_int_ge(int_at(h, "dropped_ticks"), 5);
	lines = recorder_events(r);
	ck_assert_uint_le(count_hook(lines, "h"), 4);
	recorder_free(r);
	fixture_free(f);
}
END_TEST

START_TEST(test_periodic_argv)
{
	struct fixture *f = fixture_new(
		"hook \"one\" { run = \"exec:@DIR@/note\" phases = {\"periodic\"} }\n"
		"sim \"s\" {\n hook_drivers = {\"one\", \"exec:@DIR@/hooks\"}\n enable_periodic_hooks = true\n"
		" enable_pre_hooks = true\n periodic_hooks_interval = 0.2\n}\n");
	_cleanup_free_ char *args = NULL, *by_name = NULL;

	fixture_program(f, "note", "#!/bin/sh\necho \"$# $*\" >@DIR@/args.new && mv @DIR@/args.new @DIR@/args\n");
	ck_assert_int_eq(shell(NULL, "mkdir %s/hooks", f->dir), 0);
	fixture_program(f, "hooks/periodic",
			"#!/bin/sh\necho \"$# $*\" >@DIR@/dir.new && mv @DIR@/dir.new @DIR@/dir\n");
	fixture_start(f, NULL, (uid_t)-1);
	for (double until = now() + 10; !exists(fixture_path(f, "args")) || !exists(fixture_path(f, "dir")); nap(0.02))
		ck_assert(now() < until);
	args = read_text(fixture_path(f, "args"));
	by_name = read_text(fixture_path(f, "dir"));
	ck_assert_str_eq(args, "1 periodic\n");
	ck_assert_str_eq(by_name, "1 periodic\n");
	fixture_free(f);
}
END_TEST

/* ---- a new conf file ---- */

/* Hooks are made anew at a reload, while calls go on; the old ones' processes end. */
START_TEST(test_reload)
{
	struct fixture *f = with_coproc("", "echo '{\"id\":'$id'}'", "");
	_cleanup_json_ json_t *h = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "photos"));
	h = shown(f, "h");
	fixture_program(f, "veto", "#!/bin/sh\n[ $2 = create_share_instance ] && exit 10\nexit 0\n");
	ck_assert_int_eq(
		shell(NULL, "sed -i 's,hook_drivers.*,hook_drivers = {\"exec:%s/veto\"},' %s", f->dir, f->conf), 0);
	fixture_hup(f);
	for (double until = now() + 10; kill((pid_t)int_at(h, "pid"), 0) == 0; nap(0.01))
		ck_assert_msg(now() < until, "the old coprocess is still there");
	json_decref(create_error(f, "vetoed", "videos"));
	json_decref(call_error(f, "not_found", "get_hook", "{s:s,s:s}", "backend", "s", "hook", "h"));
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hook modules");
	TCase *tc = tcase_create("modules");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_coproc);
	tcase_add_test(tc, test_coproc_wants);
	tcase_add_loop_test(tc, test_coproc_bad, 0, sizeof coproc_rows / sizeof *coproc_rows);
	tcase_add_test(tc, test_coproc_restart);
	tcase_add_test(tc, test_journal);
	tcase_add_test(tc, test_shared_object);
	tcase_add_test(tc, test_host_results);
	tcase_add_loop_test(tc, test_bad_object, 0, sizeof bad_objects / sizeof *bad_objects);
	tcase_add_test(tc, test_ticks);
	tcase_add_test(tc, test_periodic_data);
	tcase_add_test(tc, test_dropped_ticks);
	tcase_add_test(tc, test_periodic_argv);
	tcase_add_test(tc, test_reload);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
