/* The module exec with real programs, the examples among them. */
#include "tests/unit/test_hooks.h"

static const char *const func_name = "create_share_instance";

/* The events of one program with these lines of shell. */
static int run_script(const char *body, enum hook_phase phase, const char *options, json_t **ret_data,
		      json_t **ret_outcome, struct error *e)
{
	write_script("program", body);
	struct hook_set *set = one_hook(text("exec:%s/program", dir), options);
	int r = run_phase(set, phase, func_name, ret_data, ret_outcome, e);

	hook_set_free(set);
	return r;
}

START_TEST(test_event_and_arguments)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(setenv("SECRET", "not for hooks", 1), 0);
	ck_assert_int_eq(
		run_script(
			text("cd %s; echo \"$# $*\" >args; cat >event; env >env; echo $(ls /proc/self/fd) >fds", dir),
			HOOK_PRE, "", NULL, NULL, &e),
		0);
	_cleanup_free_ char *args = read_file("args"), *event = read_file("event"), *env = read_file("env");
	_cleanup_free_ char *fds = read_file("fds");
	ck_assert_str_eq(args, "2 pre create_share_instance\n");
	ck_assert_str_eq(fds, "0 1 2 3\n"); /* the fourth is the listing's own */
	ck_assert_ptr_eq(strchr(event, '\n'), event + strlen(event) - 1);
	_cleanup_json_ json_t *o = json_loads(event, 0, NULL);
	ck_assert_str_eq(jsonx_str(o, "phase"), "pre");
	ck_assert_str_eq(jsonx_str(json_object_get(o, "args"), "name"), "photos");
	ck_assert_ptr_nonnull(strstr(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"));
	ck_assert_ptr_nonnull(strstr(env, "SHARESD_SOCKET=/run/sharesd/test.sock\n"));
	ck_assert_ptr_nonnull(strstr(env, "SHARESD_CALL_ID=c-1\n"));
	ck_assert_ptr_null(strstr(env, "SECRET"));
	ck_assert_int_eq(run_script(text("cd %s; echo \"$# $*\" >args", dir), HOOK_PERIODIC, "", NULL, NULL, &e), 0);
	_cleanup_free_ char *periodic = read_file("args");
	ck_assert_str_eq(periodic, "1 periodic\n");
	ck_assert_int_eq(run_script(text("cd %s; echo \"$# $*\" >args", dir), HOOK_ERROR, "", NULL, NULL, &e), 0);
	_cleanup_free_ char *error = read_file("args");
	ck_assert_str_eq(error, "2 error create_share_instance\n");
}
END_TEST

/* What the hook's own post hook is handed is what its pre hook printed. */
static const struct {
	const char *body;
	const char *data;    /* JSON; NULL: the hook fails */
	const char *message; /* part of the failure's */
} pre_rows[] = {
	{ "exit 0", "null", NULL },
	{ "echo; printf ' \\t\\r\\n'", "null", NULL },
	{ "echo null", "null", NULL },
	{ "echo '{}'", "{}", NULL },
	{ "echo '{\"ticket\": 4711}'", "{\"ticket\":4711}", NULL },
	{ "printf '\\n{\\n \"a\":\\n [1,2]\\n}\\n'", "{\"a\":[1,2]}", NULL },
	{ "echo '\"text\"'", "\"text\"", NULL },
	{ "echo 5; exec >&-", "5", NULL },
	{ "echo plain text", NULL, "standard output is neither empty nor one JSON value" },
	{ "echo '{} {}'", NULL, "standard output is neither empty nor one JSON value" },
	{ "echo '{\"a\":1,\"a\":2}'", NULL, "standard output is neither empty nor one JSON value" },
	{ "printf '\\377'", NULL, "standard output is neither empty nor one JSON value" },
	{ "echo '[[[[[]]]]]'", "[[[[[]]]]]", NULL },
	{ "echo '[[[[[[]]]]]]'", NULL, "nested deeper than 5 levels" },
	{ "exit 3", NULL, "exit status 3" },
	{ "echo first >&2; echo 'no ticket  ' >&2; exit 1", NULL, "exit status 1: no ticket" },
	{ "kill -9 $$", NULL, "signal 9 (Killed)" },
	{ "head -c 1G /dev/zero", NULL, "more than 1 MiB of output and killed" },
	{ "yes", NULL, "more than 1 MiB of output and killed" },
	{ "echo '{\"half\":1'; exit 1", NULL, "exit status 1" },
};

START_TEST(test_pre)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_json_ json_t *results = json_object(), *changed = NULL;

	max_depth = 5;
	write_script("program", text("[ $1 = pre ] || exec cat >%s/post\n%s", dir, pre_rows[_i].body));
	struct hook_set *set = one_hook(text("exec:%s/program", dir), "");
	fake_call_init(&f, func_name);
	struct hook_run *run = hook_run_new(set, &f.call);
	int r = hook_run_pre(run, &e);
	if (!pre_rows[_i].data) {
		ck_assert_int_lt(r, 0);
		ck_assert_int_eq(e.kind, ERR_PRE_HOOK_FAILED);
		ck_assert_msg(strstr(e.message, pre_rows[_i].message) != NULL, "%s", e.message);
		ck_assert_msg(strstr(e.message, "program\" failed before create_share_instance") != NULL, "%s",
			      e.message);
	} else {
		ck_assert_msg(r == 0, "%s", e.message);
		ck_assert_int_eq(hook_run_post(run, results, &changed, &e), 0);
		_cleanup_free_ char *line = read_file("post");
		_cleanup_json_ json_t *event = json_loads(line, 0, NULL);
		_cleanup_free_ char *data = jsonx_dump(json_object_get(event, "pre_hook_data"));
		ck_assert_str_eq(data, pre_rows[_i].data);
	}
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

static const struct {
	const char *body;
	int n;               /* the result's "n", 1 before; 0: the hook fails */
	const char *message; /* part of the failure's */
} post_rows[] = {
	{ "exit 0", 1, NULL },
	{ "echo null", 1, NULL },
	{ "echo '{}'", 1, NULL },
	{ "echo '{\"driver_action_results\":{\"n\":2}}'", 2, NULL },
	{ "echo '{\"driver_action_results\":{}}'", 1, NULL },
	{ "echo '{\"driver_action_results\":null}'", 1, NULL },
	{ "echo '{\"n\":2}'", 0, "the answer has a member \"n\"" },
	{ "echo '{\"driver_action_results\":{\"n\":2},\"more\":1}'", 0, "the answer has a member \"more\"" },
	{ "echo '{\"driver_action_results\":[]}'", 0, "\"driver_action_results\" of the answer is an array" },
	{ "echo '[]'", 0, "the answer is an array" },
	{ "echo '\"x\"'", 0, "the answer is a string" },
	{ "echo '{\"driver_action_results\":{\"size_bytes\":2}}'", 0, "a post hook may not set it" },
	{ "echo '{\"driver_action_results\":{\"n\":\"2\"}}'", 0, "it must be a number" },
	{ "echo text", 0, "standard output is neither empty nor one JSON value" },
	{ "echo '{\"driver_action_results\":{\"metadata\":[[[[]]]]}}'", 0, "nested deeper than 5 levels" },
	{ "echo no >&2; exit 10", 0, "exit status 10: no" }, /* a veto belongs to pre */
	{ "exit 1", 0, "exit status 1" },
};

START_TEST(test_post)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;

	max_depth = 5;
	int r = run_script(post_rows[_i].body, HOOK_POST, "", &results, NULL, &e);
	if (post_rows[_i].n > 0) {
		ck_assert_msg(r == 0, "%s", e.message);
		ck_assert_int_eq(jsonx_int(results, "n"), post_rows[_i].n);
		return;
	}
	ck_assert_int_lt(r, 0);
	ck_assert_int_eq(e.kind, ERR_POST_HOOK_FAILED);
	ck_assert_msg(strstr(e.message, post_rows[_i].message) != NULL, "%s", e.message);
	ck_assert_int_eq(jsonx_int(results, "n"), 1);
}
END_TEST

/* Output is ignored here, the exit status is not. */
START_TEST(test_periodic_and_error)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *good = NULL, *bad = NULL;
	enum hook_phase phase = _i ? HOOK_ERROR : HOOK_PERIODIC;

	run_script("echo this is no JSON", phase, "", NULL, &good, &e);
	ck_assert_str_eq(jsonx_str(good, "outcome"), "ok");
	run_script("echo ouch >&2; exit 10", phase, "", NULL, &bad, &e);
	ck_assert_str_eq(jsonx_str(bad, "outcome"), "failed");
	ck_assert_ptr_nonnull(strstr(jsonx_str(bad, "error"), "exit status 10: ouch"));
}
END_TEST

static const struct {
	const char *body, *text;
} vetoes[] = {
	{ "echo 'only 500 GiB a share' >&2; exit 10", "only 500 GiB a share" },
	{ "printf '\\n two\\nlines \\n\\n' >&2; exit 10", "two\nlines" },
	{ "exit 10", "the hook refused create_share_instance and gave no reason" },
	{ "echo '{\"ignored\":true}'; echo no >&2; exit 10", "no" },
};

START_TEST(test_veto)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_lt(run_script(vetoes[_i].body, HOOK_PRE, "suppress_pre_hooks_errors = true\n", NULL, NULL, &e),
			 0);
	ck_assert_int_eq(e.kind, ERR_VETOED);
	ck_assert_str_eq(e.message, vetoes[_i].text);
	ck_assert_str_eq(jsonx_str(e.data, "phase"), "pre_hook");
	ck_assert_str_eq(jsonx_str(e.data, "hook"), text("exec:%s/program", dir));
}
END_TEST

START_TEST(test_stderr)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	int fd = open(in_dir("log"), O_CREAT | O_WRONLY | O_APPEND, 0600), saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	run_script("echo one >&2; echo two >&2; printf '\\377' >&2; exit 1", HOOK_PRE, "", NULL, NULL, &e);
	dup2(saved, STDERR_FILENO);
	close(fd);
	close(saved);
	_cleanup_free_ char *log = read_file("log");
	ck_assert_msg(strstr(log, "program] one\n") != NULL && strstr(log, "program] two\n") != NULL, "%s", log);
	ck_assert_int_eq(strncmp(jsonx_str(e.data, "stderr"), "one\ntwo\n", 8), 0);
	/* The whole of it can be sent on. */
	_cleanup_json_ json_t *o = error_to_json(&e);
	_cleanup_free_ char *dumped = jsonx_dump(o);
	ck_assert_ptr_nonnull(dumped);
}
END_TEST

/* ---- limits ---- */

static bool alive(const char *pid_file)
{
	pid_t pid = (pid_t)number_in(pid_file);

	ck_assert_int_gt(pid, 1);
	return kill(pid, 0) == 0;
}

START_TEST(test_timeout)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *outcome = NULL;
	double start = now();

	/* With a child in a session of its own. */
	int r = run_script(
		text("cd %s; echo started >&2; setsid sleep 60 & echo $! >child; echo $$ >self; sleep 60", dir),
		HOOK_PRE, "exec_timeout = 0.5\n", NULL, &outcome, &e);
	ck_assert_int_lt(r, 0);
	ck_assert(now() - start < 10);
	ck_assert_int_eq(e.kind, ERR_PRE_HOOK_FAILED);
	ck_assert_int_eq(e.err, ETIMEDOUT);
	ck_assert_msg(strstr(e.message, "no end within 0.5 s and killed: started") != NULL, "%s", e.message);
	ck_assert(jsonx_bool(outcome, "timed_out"));
	ck_assert_int_ge(jsonx_int(outcome, "duration_ms"), 400);
	ck_assert(!alive("child") && !alive("self"));
}
END_TEST

START_TEST(test_timeout_of_section)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	write_script("program", "sleep 60");
	struct hook_set *set = new_set(text("hook \"x\" {\nrun = \"exec:%s/program\"\ntimeout = 0.2\n}", dir),
				       text("hook_drivers = {\"x\"}\nexec_timeout = 50.0\n%s", ALL_PHASES));
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_msg(strstr(e.message, "hook \"x\" failed before create_share_instance: no end within 0.2 s") != NULL,
		      "%s", e.message);
	hook_set_free(set);
}
END_TEST

START_TEST(test_leftover_children_are_killed)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	double start = now();

	ck_assert_int_eq(
		run_script(text("cd %s; setsid sleep 60 >/dev/null 2>&1 & echo $! >%s/child; exit 0", dir, dir),
			   HOOK_PRE, "", NULL, NULL, &e),
		0);
	ck_assert(now() - start < 10);
	ck_assert(!alive("child"));
}
END_TEST

/* Nothing is left, not even where it killed who answers for its children. */
START_TEST(test_kills_its_helper)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	double start = now();

	ck_assert_int_lt(run_script(text("cd %s; setsid sh -c 'echo $$ >child; exec sleep 60' & "
					 "until [ -s child ]; do sleep 0.01; done; kill -9 $PPID; sleep 60",
					 dir),
				    HOOK_PRE, "", NULL, NULL, &e),
			 0);
	ck_assert(now() - start < 15);
	ck_assert_msg(strstr(e.message, "signal 9 (Killed)") != NULL, "%s", e.message);
	for (int i = 0; i < 1000 && alive("child"); i++)
		sleep_ms(10);
	ck_assert(!alive("child"));
}
END_TEST

START_TEST(test_ignores_signals)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	double start = now();

	ck_assert_int_lt(run_script(text("cd %s; trap '' TERM INT HUP QUIT; echo $$ >self; sleep 60", dir), HOOK_PRE,
				    "exec_timeout = 0.5\n", NULL, NULL, &e),
			 0);
	ck_assert(now() - start < 10);
	ck_assert_msg(strstr(e.message, "no end within 0.5 s and killed") != NULL, "%s", e.message);
	ck_assert(!alive("self"));
}
END_TEST

/* Its children hold the pipe that the answer came through. */
START_TEST(test_children_hold_the_pipe)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;
	double start = now();

	ck_assert_int_eq(run_script(text("cd %s; (setsid sleep 60 & echo $! >child); sleep 60 & echo $! >self; "
					 "echo '{\"driver_action_results\":{\"n\":7}}'",
					 dir),
				    HOOK_POST, "", &results, NULL, &e),
			 0);
	ck_assert(now() - start < 10);
	ck_assert_int_eq(jsonx_int(results, "n"), 7);
	ck_assert(!alive("child") && !alive("self"));
}
END_TEST

/* An event longer than a pipe holds, to a program that does not read it. */
START_TEST(test_large_event)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_free_ char *big = xcalloc(1, 300001);

	memset(big, 'x', 300000);
	write_script("program", text("[ $1 = pre ] && exit 0; wc -c >%s/size", dir));
	struct hook_set *set = one_hook(text("exec:%s/program", dir), "");
	fake_call_init(&f, func_name);
	json_object_set_new(f.args, "big", json_string(big));
	struct hook_run *run = hook_run_new(set, &f.call);
	_cleanup_json_ json_t *results = json_object(), *changed = NULL;
	ck_assert_int_eq(hook_run_pre(run, &e), 0);
	ck_assert_int_eq(hook_run_post(run, results, &changed, &e), 0);
	ck_assert_int_gt(number_in("size"), 300000);
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

/* ---- what may be run ---- */

static const char *failure(struct hook_set *set, struct error *e)
{
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, NULL, e), 0);
	ck_assert_int_eq(e->kind, ERR_PRE_HOOK_FAILED);
	return e->message;
}

START_TEST(test_program_is_looked_at_before_each_run)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = one_hook(text("exec:%s/program", dir), "");

	ck_assert(hook_set_wants(set, HOOK_PRE, func_name));
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "No such file"));
	write_script("program", "exit 0");
	ck_assert_int_eq(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_int_eq(chmod(in_dir("program"), 0775), 0);
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "others may write it"));
	ck_assert_int_eq(chmod(in_dir("program"), 0644), 0);
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "not executable"));
	write_file("program", "#!/no/such/interpreter\n", 0755);
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "interpreter"));
	hook_set_free(set);
}
END_TEST

START_TEST(test_directory)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *none = NULL, *ran = NULL;

	ck_assert_int_eq(mkdir(in_dir("hooks"), 0755), 0);
	struct hook_set *set = one_hook(text("exec:%s/hooks", dir), "");
	/* What is not there costs nothing: no call, no outcome. */
	ck_assert(!hook_set_wants(set, HOOK_PRE, func_name));
	ck_assert_int_eq(run_phase(set, HOOK_PRE, func_name, NULL, &none, &e), 0);
	ck_assert_ptr_null(none);
	write_script("hooks/pre-create_share_instance", text("echo \"$*\" >>%s/ran", dir));
	write_script("hooks/periodic", text("echo \"$*\" >>%s/ran", dir));
	write_script("hooks/error-extend_share", text("echo \"$*\" >>%s/ran", dir));
	ck_assert(hook_set_wants(set, HOOK_PRE, func_name));
	ck_assert(!hook_set_wants(set, HOOK_PRE, "extend_share"));
	ck_assert(!hook_set_wants(set, HOOK_POST, func_name));
	ck_assert(hook_set_wants(set, HOOK_ERROR, "extend_share"));
	for (int p = 0; p < HOOK_PHASE_COUNT; p++) {
		run_phase(set, (enum hook_phase)p, func_name, NULL, p == HOOK_PRE ? &ran : NULL, &e);
		run_phase(set, (enum hook_phase)p, "extend_share", NULL, NULL, &e);
	}
	ck_assert_str_eq(jsonx_str(ran, "outcome"), "ok");
	_cleanup_free_ char *seen = read_file("ran");
	ck_assert_str_eq(seen, "pre create_share_instance\nperiodic\nperiodic\nerror extend_share\n");
	/* One that is there and cannot run is not passed over. */
	ck_assert_int_eq(chmod(in_dir("hooks/pre-create_share_instance"), 0644), 0);
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "not executable"));
	ck_assert_int_eq(chmod(in_dir("hooks/pre-create_share_instance"), 0755), 0);
	ck_assert_int_eq(chmod(in_dir("hooks"), 0777), 0);
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "may be written by others"));
	hook_set_free(set);
}
END_TEST

/* Which of the two an entry is, is looked at each time. */
START_TEST(test_program_becomes_directory)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	write_script("program", "echo no >&2; exit 10");
	struct hook_set *set = one_hook(text("exec:%s/program", dir), "");
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_int_eq(unlink(in_dir("program")), 0);
	ck_assert_int_eq(mkdir(in_dir("program"), 0755), 0);
	ck_assert_int_eq(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_int_eq(rmdir(in_dir("program")), 0);
	ck_assert_ptr_nonnull(strstr(failure(set, &e), "No such file"));
	hook_set_free(set);
}
END_TEST

START_TEST(test_user)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;

	if (geteuid() != 0) {
		printf("SKIP test_user: needs root\n");
		return;
	}
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(run_script("echo \"{\\\"driver_action_results\\\":{\\\"n\\\":$(id -u)}}\"", HOOK_POST,
				    "exec_user = \"nobody\"\n", &results, NULL, &e),
			 0);
	ck_assert_int_eq(jsonx_int(results, "n"), 65534);
	ck_assert_int_lt(run_script("exit 0", HOOK_PRE, "exec_user = \"no-such-user\"\n", NULL, NULL, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.message, "no such user"));
}
END_TEST

/* ---- the examples ---- */

static const struct {
	const char *options; /* of the hook, in the conf file */
	int64_t size;
	enum error_kind kind;
	const char *message;
} policies[] = {
	{ "\"max_size=1MiB\"", 1 << 20, ERR_NONE, NULL },
	{ "\"max_size=1MiB\"", (1 << 20) + 1, ERR_VETOED,
	  "a share may have 1MiB at most, and this one would have 1048577 bytes" },
	{ "\"max_size=1.5 GB\"", 1500000000, ERR_NONE, NULL },
	{ "\"max_size=1.5 GB\"", 1500000001, ERR_VETOED, "a share may have 1.5 GB at most" },
	{ "\"max_size=4096\"", 4097, ERR_VETOED, "a share may have 4096 at most" },
	{ "\"max_size=much\"", 1, ERR_PRE_HOOK_FAILED, "could not be judged" },
	{ "", 1, ERR_PRE_HOOK_FAILED, "could not be judged" },
};

static void install_example(const char *name)
{
	copy_file(text("hooks/examples/%s", name), name, 0755);
}

START_TEST(test_policy)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;

	install_example("policy");
	struct hook_set *set = new_set(
		text("hook \"policy\" {\nrun = \"exec:%s/policy\"\noptions = {%s}\n}", dir, policies[_i].options),
		text("hook_drivers = {\"policy\"}\n%s", ALL_PHASES));
	fake_call_init(&f, func_name);
	json_object_set_new(f.args, "size_bytes", json_integer(policies[_i].size));
	struct hook_run *run = hook_run_new(set, &f.call);
	int r = hook_run_pre(run, &e);
	ck_assert_msg((r == 0) == (policies[_i].kind == ERR_NONE), "%s", e.message ? e.message : "taken");
	ck_assert_int_eq(e.kind, policies[_i].kind);
	if (r < 0)
		ck_assert_msg(strstr(e.message, policies[_i].message) != NULL, "%s", e.message);
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

static const struct {
	const char *path, *named;
} locations[] = {
	{ "/srv/media/photos/data", "nas.example.org:/srv/media/photos/data" },
	{ "192.0.2.1:/photos", "nas.example.org:/photos" },
	{ "[2001:db8::1]:/photos", "nas.example.org:/photos" },
	{ "\\\\192.0.2.1\\photos", "\\\\nas.example.org\\photos" },
};

START_TEST(test_add_location)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_json_ json_t *changed = NULL,
			      *results = jsonx_pack("{s:[{s:s,s:b,s:b,s:{}}]}", "export_locations", "path",
						    locations[_i].path, "preferred", 1, "is_admin_only", 0, "metadata");

	install_example("add-location");
	struct hook_set *set = new_set(
		text("hook \"dns\" {\nrun = \"exec:%s/add-location\"\noptions = {\"dns_name=nas.example.org\"}\n}",
		     dir),
		text("hook_drivers = {\"dns\"}\n%s", ALL_PHASES));
	fake_call_init(&f, func_name);
	struct hook_run *run = hook_run_new(set, &f.call);
	ck_assert_msg(hook_run_pre(run, &e) == 0, "%s", e.message);
	ck_assert_msg(hook_run_post(run, results, &changed, &e) == 0, "%s", e.message);
	const json_t *list = json_object_get(results, "export_locations");
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(jsonx_str(json_array_get(list, 0), "path"), locations[_i].named);
	ck_assert(jsonx_bool(json_array_get(list, 0), "preferred"));
	ck_assert_str_eq(jsonx_str(json_array_get(list, 1), "path"), locations[_i].path);
	ck_assert(!jsonx_bool(json_array_get(list, 1), "preferred"));
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

#define LOOP(tc, test, rows) tcase_add_loop_test(tc, test, 0, (int)(sizeof(rows) / sizeof(*(rows))))

int main(void)
{
	Suite *s = suite_create("hooks: exec");
	TCase *tc = tcase_create("exec");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_event_and_arguments);
	LOOP(tc, test_pre, pre_rows);
	LOOP(tc, test_post, post_rows);
	tcase_add_loop_test(tc, test_periodic_and_error, 0, 2);
	LOOP(tc, test_veto, vetoes);
	tcase_add_test(tc, test_stderr);
	tcase_add_test(tc, test_timeout);
	tcase_add_test(tc, test_timeout_of_section);
	tcase_add_test(tc, test_leftover_children_are_killed);
	tcase_add_test(tc, test_kills_its_helper);
	tcase_add_test(tc, test_ignores_signals);
	tcase_add_test(tc, test_children_hold_the_pipe);
	tcase_add_test(tc, test_large_event);
	tcase_add_test(tc, test_program_is_looked_at_before_each_run);
	tcase_add_test(tc, test_directory);
	tcase_add_test(tc, test_program_becomes_directory);
	tcase_add_test(tc, test_user);
	LOOP(tc, test_policy, policies);
	LOOP(tc, test_add_location, locations);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
