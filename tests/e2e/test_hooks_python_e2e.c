/* Hook classes in Python in a running daemon, and the examples in Python as a user would install them. */
#include "tests/e2e/harness.h"

#include "base/cleanup.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLASS "from sharesd.hook import HookBase, Veto\n\n\nclass H(HookBase):\n"
#define PRE   "    def _execute_pre_hook(self, context, func_name, *args, **kwargs):\n"
#define POST                                                                                                           \
	"    def _execute_post_hook(self, context, func_name, pre_hook_data, driver_action_results, *args, "           \
	"**kwargs):\n"
#define PATH "python_path = {\"@DIR@/hooks\"}\n"
#define SIM                                                                                                            \
	PATH "sim \"s\" {\n hook_drivers = {\"python:m:H\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n"    \
	     " enable_error_hooks = true\n fail = {\"shrink_share:EIO\"}\n}\nsim \"t\" { }\n"

static void write_module(struct fixture *f, const char *text)
{
	shell(NULL, "mkdir -p %s/hooks", f->dir);
	write_file(fixture_path(f, "hooks/m.py.new"), text);
	ck_assert_int_eq(
		shell(NULL, "cd %s/hooks && sed -i 's,@DIR@,%s,g' m.py.new && mv m.py.new m.py", f->dir, f->dir), 0);
}

static json_t *create(struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", name, "size_bytes", 1000, "backend", "s");
}

static json_t *create_error(struct fixture *f, const char *kind, const char *name)
{
	return call_error(f, kind, "create_share_instance", "{s:s,s:i,s:s}", "name", name, "size_bytes", 1000,
			  "backend", "s");
}

static void says(const json_t *error, const char *words)
{
	ck_assert_msg(strstr(str_at(error, "message"), words) != NULL, "it says: %s", str_at(error, "message"));
}

/* Vetoes, failures, changed results, and the error hook: all in one class, as one would write it. */
START_TEST(test_a_hook)
{
	struct fixture *f = fixture_new(SIM);
	_cleanup_json_ json_t *share = NULL, *veto = NULL, *failed = NULL, *hook = NULL, *list = NULL;
	_cleanup_free_ char *notes = NULL;

	write_module(f,
		     "import os\n" CLASS PRE "        if kwargs.get('name') == 'secret':\n"
		     "            raise Veto('no secrets here')\n"
		     "        if kwargs.get('name') == 'broken':\n            return {}['ticket']\n"
		     "        return {'user': context.user}\n" POST "        if func_name == 'create_share_instance':\n"
		     "            driver_action_results['metadata']['made-by'] = pre_hook_data['user']\n"
		     "    def _execute_error_hook(self, context, func_name, pre_hook_data, error, *args, **kwargs):\n"
		     "        with open('@DIR@/notes', 'a') as f:\n"
		     "            f.write(f\"{func_name} {error['data']['kind']} {kwargs['share_id'] == "
		     "kwargs.get('share')} \"\n"
		     "                    f\"{'share_instance_id' in kwargs}\\n\")\n");
	fixture_start(f, NULL, (uid_t)-1);
	share = create(f, "photos");
	ck_assert_str_eq(str_at(share, "metadata.made-by"), "root");
	veto = create_error(f, "vetoed", "secret");
	ck_assert_str_eq(str_at(veto, "message"), "no secrets here");
	failed = create_error(f, "pre_hook_failed", "broken");
	says(failed, "KeyError: 'ticket'");
	ck_assert_msg(strstr(str_at(failed, "data.stderr"), "m.py\", line ") != NULL, "%s",
		      str_at(failed, "data.stderr"));
	ck_assert(fixture_log_has(f, "Traceback (most recent call last):"));
	json_decref(call_error(f, "driver_failed", "shrink_share", "{s:s,s:i}", "share", "photos", "size_bytes", 500));
	notes = read_text(fixture_path(f, "notes"));
	ck_assert_str_eq(notes, "create_share_instance vetoed False True\ncreate_share_instance pre_hook_failed False "
				"True\nshrink_share driver_failed True True\n");
	list = call(f, "list_shares", "{}");
	ck_assert_uint_eq(json_array_size(at(list, "shares")), 1);
	hook = call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", "python:m:H");
	ck_assert_str_eq(str_at(hook, "state"), "running");
	ck_assert_int_eq(int_at(hook, "starts"), 1);
	/* kill -9 of the daemon takes it along. */
	fixture_kill(f);
	for (double until = now() + 20; kill((pid_t)int_at(hook, "pid"), 0) == 0; nap(0.01))
		ck_assert_msg(now() < until, "the hook outlived its daemon");
	fixture_free(f);
}
END_TEST

static void try_until(const struct fixture *f, const char *status)
{
	for (double until = now() + 60;; nap(0.05)) {
		_cleanup_json_ json_t *b = call(f, "get_backend", "{s:s}", "backend", "s");

		if (strcmp(str_at(b, "status"), status) == 0)
			return;
		ck_assert_msg(now() < until, "backend s stays %s", str_at(b, "status"));
	}
}

static const struct {
	const char *text; /* NULL: no file */
	const char *reason;
} unfit[] = {
	{ NULL, "there is no Python module m" },
	{ CLASS "    def __init__(self, configuration, host):\n        raise OSError('no ticket server')\n",
	  "OSError: no ticket server" },
	{ "import sys\nsys.exit()\n", "SystemExit" },
};

/* What cannot be made keeps its backend down with the reason, and the other up; mended, it comes by itself. */
START_TEST(test_unfit)
{
	struct fixture *f = fixture_new(SIM);
	_cleanup_json_ json_t *bad = NULL, *good = NULL;

	if (unfit[_i].text)
		write_module(f, unfit[_i].text);
	fixture_start(f, NULL, (uid_t)-1);
	bad = call(f, "get_backend", "{s:s}", "backend", "s");
	good = call(f, "get_backend", "{s:s}", "backend", "t");
	ck_assert_str_eq(str_at(good, "status"), "up");
	ck_assert_str_eq(str_at(bad, "status"), "down");
	ck_assert_msg(strstr(str_at(bad, "status_reason"), unfit[_i].reason) != NULL, "%s",
		      str_at(bad, "status_reason"));
	json_decref(create_error(f, "backend_down", "photos"));
	write_module(f, CLASS PRE "        raise Veto('mended')\n");
	try_until(f, "up");
	bad = (json_decref(bad), create_error(f, "vetoed", "photos"));
	ck_assert_str_eq(str_at(bad, "message"), "mended");
	fixture_free(f);
}
END_TEST

/* What a hook, or what it started, asks the daemon: reads are answered, changes refused at once. */
START_TEST(test_calls_from_a_hook)
{
	struct fixture *f = fixture_new(SIM);
	_cleanup_json_ json_t *veto = NULL;
	char text[2048];

	snprintf(text, sizeof text,
		 "import subprocess\n" CLASS PRE
		 "        if func_name != 'create_share_instance':\n            return\n"
		 "        said = []\n"
		 "        for command in (['share', 'list', '--json'], ['share', 'delete', 'photos', '--yes']):\n"
		 "            done = subprocess.run(['%s'] + command, capture_output=True, text=True, timeout=50)\n"
		 "            said.append(f'{done.returncode == 0} {done.stderr}')\n"
		 "        raise Veto(' / '.join(said))\n",
		 program_path("sharesctl"));
	write_module(f, text);
	fixture_start(f, NULL, (uid_t)-1);
	veto = create_error(f, "vetoed", "photos");
	says(veto, "True  / False ");
	says(veto, "hook");
	fixture_free(f);
}
END_TEST

/* A reload makes the class anew, from the file as it is now. */
START_TEST(test_reload)
{
	struct fixture *f = fixture_new(SIM);

	write_module(f, CLASS PRE "        raise Veto('first')\n");
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create_error(f, "vetoed", "photos"));
	write_module(f, CLASS "    pass\n");
	json_decref(create_error(f, "vetoed", "photos"));
	fixture_hup(f);
	for (double until = now() + 60;; nap(0.05)) {
		_cleanup_json_ json_t *h = call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", "python:m:H");
		const json_t *wants = json_object_get(h, "wants");

		if (json_is_array(wants) && json_array_size(wants) == 0)
			break;
		ck_assert_msg(now() < until, "the class was not made anew");
		fixture_hup(f);
	}
	json_decref(create(f, "photos"));
	fixture_free(f);
}
END_TEST

/* An endless hook fails its call in its time, and the next call finds it in order. */
START_TEST(test_endless)
{
	struct fixture *f = fixture_new("python_timeout = 3.0\n" SIM);
	_cleanup_json_ json_t *failed = NULL, *hook = NULL;

	write_module(f, CLASS PRE "        while kwargs.get('name') == 'loop':\n            pass\n");
	fixture_start(f, NULL, (uid_t)-1);
	try_until(f, "up");
	failed = create_error(f, "pre_hook_failed", "loop");
	says(failed, "no answer within 3.0 s and killed");
	for (double until = now() + 60;; nap(0.2)) {
		_cleanup_json_ json_t *reply = NULL;
		struct client *c = client_new(f);

		reply = client_request(
			c, "create_share_instance",
			json_pack("{s:s,s:i,s:s}", "name", "photos", "size_bytes", 1000, "backend", "s"));
		client_free(c);
		if (json_object_get(reply, "result"))
			break;
		ck_assert_msg(now() < until, "the hook does not come back");
	}
	hook = call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", "python:m:H");
	ck_assert_int_ge(int_at(hook, "starts"), 2);
	fixture_free(f);
}
END_TEST

/* An unprivileged daemon runs them too, and what root owns is fine for it. */
START_TEST(test_unprivileged)
{
	struct fixture *f = fixture_new(SIM);
	_cleanup_json_ json_t *veto = NULL;
	struct client *c;

	if (!need_root("test_unprivileged")) {
		fixture_free(f);
		return;
	}
	write_module(f, "import os\n" CLASS PRE "        if func_name == 'create_share_instance':\n"
			"            raise Veto(str(os.getuid()))\n");
	fixture_spawn(f, NULL, 4711);
	fixture_wait_started(f);
	ck_assert_int_eq(shell(NULL, "chown 0:0 %s/hooks/m.py", f->dir), 0);
	c = client_new_as(f, 4711, 4711);
	veto = client_error(c, "vetoed", "create_share_instance", "{s:s,s:i,s:s}", "name", "photos", "size_bytes", 1000,
			    "backend", "s");
	ck_assert_str_eq(str_at(veto, "message"), "4711");
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- the examples ---- */

static struct fixture *with_example(const char *name, const char *conf)
{
	struct fixture *f = fixture_new(conf);

	ck_assert_int_eq(shell(NULL, "install -D -m 0644 -t %s/hooks hooks/examples/%s", f->dir, name), 0);
	return f;
}

static const char policy_conf[] = PATH "hook \"naming-quota\" {\n run = \"python:naming_quota:NamingQuota\"\n"
				       " phases = {\"pre\"}\n options = {\"name_pattern=[a-z][a-z0-9-]{2,30}\", "
				       "\"quota_per_user=%s\"}\n}\n"
				       "dir \"s\" {\n root = \"@DIR@/root\"\n hook_drivers = {\"naming-quota\"}\n"
				       " enable_pre_hooks = true\n}\n";

START_TEST(test_naming_quota)
{
	char conf[2048];
	_cleanup_json_ json_t *name = NULL, *quota = NULL, *extend = NULL, *again = NULL;

	snprintf(conf, sizeof conf, policy_conf, "2.5KiB");
	struct fixture *f = with_example("naming_quota.py", conf);

	fixture_start(f, NULL, (uid_t)-1);
	name = create_error(f, "vetoed", "Photos");
	ck_assert_str_eq(str_at(name, "message"),
			 "a share's name must match [a-z][a-z0-9-]{2,30}, and Photos does not");
	json_decref(create(f, "photos"));
	json_decref(create(f, "videos"));
	quota = create_error(f, "vetoed", "music");
	says(quota, "user 0 may have 2.5KiB in all shares, has 2000 bytes, and this would add 1000");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "photos", "size_bytes", 1560));
	extend = call_error(f, "vetoed", "extend_share", "{s:s,s:i}", "share", "photos", "size_bytes", 1561);
	says(extend, "has 2560 bytes, and this would add 1");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "videos"));
	json_decref(create(f, "music"));
	again = call(f, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(again, "status"), "available");
	fixture_free(f);
}
END_TEST

/* What it cannot read it does not guess. */
START_TEST(test_naming_quota_fails_closed)
{
	char conf[2048];
	_cleanup_json_ json_t *backend = NULL;

	snprintf(conf, sizeof conf, policy_conf, "much");
	struct fixture *f = with_example("naming_quota.py", conf);
	fixture_start(f, NULL, (uid_t)-1);
	backend = call(f, "get_backend", "{s:s}", "backend", "s");
	ck_assert_str_eq(str_at(backend, "status"), "down");
	ck_assert_msg(strstr(str_at(backend, "status_reason"), "'much' is no size: write it as 500GiB") != NULL, "%s",
		      str_at(backend, "status_reason"));
	fixture_free(f);
}
END_TEST

START_TEST(test_usage_report)
{
	struct fixture *f = with_example("usage_report.py",
					 PATH "hook \"usage-report\" {\n run = \"python:usage_report:UsageReport\"\n"
					      " phases = {\"periodic\"}\n options = {\"report_file=@DIR@/usage.csv\", "
					      "\"warn_percent=90\"}\n}\ndir \"s\" {\n root = \"@DIR@/root\"\n"
					      " hook_drivers = {\"usage-report\"}\n enable_periodic_hooks = true\n"
					      " periodic_hooks_interval = 0.3\n usage_interval = 0.3\n}\n");
	_cleanup_free_ char *report = NULL;
	const char *row = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "photos"));
	json_decref(create(f, "videos"));
	json_decref(call(f, "allow_access", "{s:s,s:s,s:s}", "share", "photos", "access_type", "user", "access_to",
			 "nobody"));
	ck_assert_int_eq(shell(NULL, "head -c 20000 /dev/zero >%s/root/photos/data/film", f->dir), 0);
	for (double until = now() + 60;; nap(0.1)) {
		free(report);
		report = read_text(fixture_path(f, "usage.csv"));
		row = report ? strstr(report, ",photos,available,0,1000,") : NULL;
		/* Blocks as the file system gives them out. */
		if (row && strtol(row + strlen(",photos,available,0,1000,"), NULL, 10) >= 20000)
			break;
		ck_assert_msg(now() < until, "the report is: %s", report ? report : "not there");
	}
	ck_assert_ptr_eq(strstr(report, "time,share,status,owner_uid,size_bytes,used_bytes,percent,rules\r\n"), report);
	ck_assert_msg(strstr(row, ",1\r\n") == strstr(row, "\r\n") - 2, "%s", report);
	ck_assert_msg(strstr(report, ",videos,available,0,1000,") != NULL, "%s", report);
	for (double until = now() + 60; !fixture_log_has(f, "WARNING usage_report: share photos is "); nap(0.05))
		ck_assert(now() < until);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooks in Python");
	TCase *tc = tcase_create("python");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 150);
	tcase_add_test(tc, test_a_hook);
	tcase_add_loop_test(tc, test_unfit, 0, sizeof unfit / sizeof *unfit);
	tcase_add_test(tc, test_calls_from_a_hook);
	tcase_add_test(tc, test_reload);
	tcase_add_test(tc, test_endless);
	tcase_add_test(tc, test_unprivileged);
	tcase_add_test(tc, test_naming_quota);
	tcase_add_test(tc, test_naming_quota_fails_closed);
	tcase_add_test(tc, test_usage_report);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
