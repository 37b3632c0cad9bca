/* The module coproc with real processes. */
#include "tests/unit/test_hooks.h"

static const char *const func_name = "create_share_instance";

/* Answers each event with what `answer` prints; the line is in $line, its id in $id. */
#define LOOP_HEAD "while read -r line; do\nid=$(echo \"$line\" | cut -c7-40 | cut -d, -f1)\n"
#define LOOP_TAIL "\ndone\n"

static struct hook_set *start(const char *body, const char *options)
{
	write_script("program", body);
	return one_hook(text("coproc:%s/program", dir), options);
}

static struct hook_set *start_loop(const char *body, const char *options)
{
	_cleanup_free_ char *whole = xasprintf("%s%s%s", LOOP_HEAD, body, LOOP_TAIL);

	return start(whole, options);
}

static int pre(struct hook_set *set, struct error *e)
{
	error_clear(e);
	return run_phase(set, HOOK_PRE, func_name, NULL, NULL, e);
}

/* How often it was started: the program says so itself. */
#define COUNT_START "cd '%s'; echo $$ >pid; echo x >>starts\n"

static int starts(void)
{
	_cleanup_free_ char *s = read_file("starts");

	return (int)strlen(s) / 2;
}

static json_t *described(struct hook_set *set)
{
	_cleanup_json_ json_t *list = hook_set_describe(set);

	return json_incref(json_array_get(list, 0));
}

static bool gone(pid_t pid)
{
	/* What was killed is reaped by its helper, and where that was killed too, when init comes round to it. */
	for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
		sleep_ms(10);
	return kill(pid, 0) < 0;
}

static pid_t pid_of(const char *file)
{
	pid_t pid = (pid_t)number_in(file);

	ck_assert_int_gt(pid, 1);
	return pid;
}

START_TEST(test_one_process_for_all_events)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = start(text(COUNT_START LOOP_HEAD
					  "echo \"$line\" >>events; env >env\necho \"{\\\"id\\\":$id}\"" LOOP_TAIL,
					  dir),
				     "");

	for (int i = 0; i < 5; i++)
		ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	run_phase(set, HOOK_PERIODIC, NULL, NULL, NULL, &e);
	ck_assert_int_eq(starts(), 1);
	_cleanup_free_ char *events = read_file("events"), *env = read_file("env");
	int n = 0;
	for (char *line = strtok(events, "\n"); line; line = strtok(NULL, "\n")) {
		_cleanup_json_ json_t *o = json_loads(line, 0, NULL);

		ck_assert_int_eq(jsonx_int(o, "id"), ++n);
		ck_assert_str_eq(jsonx_str(o, "phase"), n < 6 ? "pre" : "periodic");
		ck_assert_str_eq(jsonx_str(json_object_get(o, "context"), "call_id"), "c-1");
	}
	ck_assert_int_eq(n, 6);
	ck_assert_ptr_nonnull(strstr(env, "SHARESD_SOCKET=/run/sharesd/test.sock\n"));
	ck_assert_ptr_null(strstr(env, "HOME="));
	_cleanup_json_ json_t *shown = described(set);
	ck_assert_str_eq(jsonx_str(shown, "state"), "running");
	ck_assert_int_eq(jsonx_int(shown, "pid"), pid_of("pid"));
	ck_assert_int_eq(jsonx_int(shown, "starts"), 1);
	hook_set_free(set);
	ck_assert(gone(pid_of("pid")));
}
END_TEST

static const struct {
	enum hook_phase phase;
	const char *answer;  /* after the id */
	const char *message; /* NULL: it is taken */
	enum error_kind kind;
	int n; /* the results' "n" after post */
} answers[] = {
	{ HOOK_PRE, "", NULL, 0, 1 },
	{ HOOK_PRE, ",\"result\":null", NULL, 0, 1 },
	{ HOOK_PRE, ",\"result\":{\"any\":[1]}", NULL, 0, 1 },
	{ HOOK_PRE, ",\"veto\":\"not today\"", "not today", ERR_VETOED, 1 },
	{ HOOK_PRE, ",\"veto\":\"\"", "the hook refused create_share_instance and gave no reason", ERR_VETOED, 1 },
	{ HOOK_PRE, ",\"error\":\"no ticket\"", "before create_share_instance: no ticket", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_POST, "", NULL, 0, 1 },
	{ HOOK_POST, ",\"result\":{}", NULL, 0, 1 },
	{ HOOK_POST, ",\"result\":{\"driver_action_results\":{\"n\":2}}", NULL, 0, 2 },
	{ HOOK_POST, ",\"result\":{\"n\":2}", "the answer has a member \"n\"", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, ",\"result\":[]", "the answer is an array", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, ",\"result\":{\"driver_action_results\":{\"size\":2}}", "may not set it", ERR_POST_HOOK_FAILED,
	  1 },
	{ HOOK_POST, ",\"error\":\"\"", "it failed without saying why", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, ",\"veto\":\"late\"", "only a pre hook may veto: late", ERR_POST_HOOK_FAILED, 1 },
};

/* Well-formed answers, whatever they say, leave the process running. */
START_TEST(test_answers)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;
	struct hook_set *set = start_loop(text("echo '{\"id\":'$id'%s}'", answers[_i].answer), "");

	int r = run_phase(set, answers[_i].phase, func_name, &results, NULL, &e);
	ck_assert_int_eq(jsonx_int(results, "n"), answers[_i].n);
	if (!answers[_i].message) {
		ck_assert_msg(r == 0, "%s", e.message);
	} else {
		ck_assert_int_lt(r, 0);
		ck_assert_int_eq(e.kind, answers[_i].kind);
		ck_assert_msg(strstr(e.message, answers[_i].message) != NULL, "%s", e.message);
	}
	_cleanup_json_ json_t *shown = described(set);
	ck_assert_str_eq(jsonx_str(shown, "state"), "running");
	hook_set_free(set);
}
END_TEST

/* What it wrote before an answer that is an error is shown beside it. */
START_TEST(test_error_with_details)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set =
		start_loop("echo 'line 1' >&2; echo 'line 2' >&2; echo '{\"id\":'$id',\"error\":\"no ticket\"}'", "");

	for (int i = 0; i < 3; i++) {
		ck_assert_int_lt(pre(set, &e), 0);
		ck_assert_msg(strstr(e.message, "create_share_instance: no ticket") != NULL, "%s", e.message);
		ck_assert_ptr_null(strstr(e.message, "line"));
		ck_assert_str_eq(jsonx_str(e.data, "stderr"), "line 1\nline 2");
	}
	hook_set_free(set);
}
END_TEST

static const struct {
	const char *body; /* of the loop, in the first process only; after it events are answered */
	const char *message;
} broken[] = {
	{ "echo 'no JSON'", "it wrote a line that is no answer (not valid JSON" },
	{ "echo '[]'", "it has no \"id\"" },
	{ "echo '{}'", "it has no \"id\"" },
	{ "echo '{\"id\":\"1\"}'", "it has no \"id\"" },
	{ "echo '{\"id\":99}'", "an answer to what was not asked" },
	{ "echo '{\"id\":-1}'", "an answer to what was not asked" },
	{ "echo '{\"id\":0}'", "an answer to what was not asked" },
	{ "echo '{\"id\":1,\"more\":1}'", "an answer that is not one of" },
	{ "echo '{\"id\":1,\"veto\":5}'", "an answer that is not one of" },
	{ "echo '{\"id\":1,\"veto\":\"a\",\"error\":\"b\"}'", "an answer that is not one of" },
	{ "echo '{\"id\":1,\"result\":[[[[[[]]]]]]}'", "nested deeper than 6 levels" },
	{ "echo '{\"wants\":5}'", "a \"wants\" that is no list of events" },
	{ "echo '{\"wants\":[5]}'", "a \"wants\" that is no list of events" },
	{ "echo '{\"error\":\"no ticket server\"}'", "/program: no ticket server" },
	{ "echo '{\"error\":5}'", "an \"error\" that is no text" },
	{ "echo '{\"error\":\"x\",\"more\":1}'", "an \"error\" that is no text" },
	{ "head -c 1100000 /dev/zero | tr '\\0' x; echo", "a line of more than 1048576 bytes" },
	{ "head -c 1100000 /dev/zero | tr '\\0' x; sleep 20", "a line of more than 1048576 bytes" },
	{ "echo bye >&2; exit 3", "it ended (exit status 3): bye" },
	{ "kill -9 $$", "it ended (signal 9 (Killed))" },
	{ "exec >&-; sleep 20", "it closed its standard output" },
	{ "exec <&-; sleep 20", "no answer within 1.5 s and killed" },
	{ "sleep 20", "no answer within 1.5 s and killed" },
	{ "setsid sleep 20 & echo $! >child; sleep 20", "no answer within 1.5 s and killed" },
	{ "(setsid sleep 20 & echo $! >child); exit 3", "it ended (exit status 3)" },
	{ "trap '' TERM INT HUP; sleep 20", "no answer within 1.5 s and killed" },
};

/* The event fails, the process is killed and started anew. */
START_TEST(test_broken)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	double start_time = now();

	max_depth = 5;
	struct hook_set *set = start(text(COUNT_START LOOP_HEAD "if [ $(wc -l <starts) -eq 1 ]; then\n%s\nelse\n"
								"echo \"{\\\"id\\\":$id}\"\nfi" LOOP_TAIL,
					  dir, broken[_i].body),
				     "coproc_timeout = 1.5\n");
	for (int i = 0; i < 500 && starts() == 0; i++)
		sleep_ms(10);
	pid_t first = pid_of("pid");
	ck_assert_int_lt(pre(set, &e), 0);
	ck_assert_int_eq(e.kind, ERR_PRE_HOOK_FAILED);
	ck_assert_msg(strstr(e.message, broken[_i].message) != NULL, "%s", e.message);
	ck_assert_msg(strstr(e.message, text("%s/program: ", dir)) != NULL, "%s", e.message);
	ck_assert(now() - start_time < 15);
	ck_assert(gone(first));
	if (strstr(broken[_i].body, "child"))
		ck_assert(gone(pid_of("child")));
	/* Within the pause an event fails at once and says so; a machine in trouble may take longer than it. */
	if (pre(set, &e) < 0) {
		ck_assert_msg(strstr(e.message, "is not running, and is started again in 0.") != NULL, "%s", e.message);
		ck_assert_msg(strstr(e.message, broken[_i].message) != NULL, "%s", e.message);
	}
	sleep_ms(150);
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	ck_assert_int_eq(starts(), 2);
	hook_set_free(set);
}
END_TEST

/* Nothing is left, not even where it killed who answers for its children. */
START_TEST(test_kills_its_helper)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set =
		start(text("cd %s; echo $$ >pid; setsid sh -c 'echo $$ >child; exec sleep 60' & read -r line; "
			   "until [ -s child ]; do sleep 0.01; done; kill -9 $PPID; sleep 60",
			   dir),
		      "");

	ck_assert_int_lt(pre(set, &e), 0);
	ck_assert_msg(strstr(e.message, "it ended (signal 9 (Killed))") != NULL, "%s", e.message);
	ck_assert(gone(pid_of("pid")));
	ck_assert(gone(pid_of("child")));
	hook_set_free(set);
}
END_TEST

START_TEST(test_growing_pause)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = one_hook(text("coproc:%s/program", dir), "");
	_cleanup_json_ json_t *shown = described(set);

	/* A program that is missing is no fault of the set. */
	ck_assert_str_eq(jsonx_str(shown, "state"), "stopped");
	ck_assert_ptr_nonnull(strstr(jsonx_str(shown, "last_error"), "No such file"));
	/* From the pauses that are told: 0.1, 0.2, 0.4, 0.8. */
	double pause = 0.1;
	for (int i = 0; i < 3; i++) {
		sleep_ms((long)(pause * 1000) + 20);
		ck_assert_int_lt(pre(set, &e), 0); /* tried again */
		ck_assert_int_lt(pre(set, &e), 0);
		const char *told = strstr(e.message, "started again in ");
		ck_assert_msg(told != NULL, "%s", e.message);
		pause *= 2;
		ck_assert_double_eq_tol(strtod(told + strlen("started again in "), NULL), pause, 0.11);
	}
	write_script("program", LOOP_HEAD "echo '{\"id\":'$id'}'" LOOP_TAIL);
	sleep_ms((long)(pause * 1000) + 20);
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	ck_assert_int_eq(unlink(in_dir("program")), 0);
	ck_assert_int_eq(pre(set, &e), 0);
	hook_set_free(set);
}
END_TEST

START_TEST(test_writable_program)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	write_file("program", "#!/bin/sh\nexit 0\n", 0777);
	struct hook_set *set = one_hook(text("coproc:%s/program", dir), "");
	sleep_ms(120);
	ck_assert_int_lt(pre(set, &e), 0);
	ck_assert_msg(strstr(e.message, "others may write it") != NULL, "%s", e.message);
	_cleanup_json_ json_t *shown = described(set);
	ck_assert_int_eq(jsonx_int(shown, "starts"), 0);
	hook_set_free(set);
}
END_TEST

/* One that ended while nothing was asked is started again by the next event, which does not fail for it. */
START_TEST(test_ended_while_idle)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set =
		start(text(COUNT_START LOOP_HEAD "echo \"{\\\"id\\\":$id}\"; exit 0" LOOP_TAIL, dir), "");

	for (int i = 1; i <= 3; i++) {
		ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
		ck_assert(gone(pid_of("pid")));
		sleep_ms(150);
	}
	ck_assert_int_eq(starts(), 3);
	hook_set_free(set);
}
END_TEST

/* ---- wants ---- */

START_TEST(test_wants)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set =
		start("echo '{\"wants\":[\"pre-create_share_instance\",\"periodic\",\"error-*\"]}'\n" LOOP_HEAD
		      "echo '{\"id\":'$id'}'" LOOP_TAIL,
		      "");
	_cleanup_json_ json_t *none = NULL, *some = NULL;

	/* It may be late: until it has said so it is asked for everything. */
	for (int i = 0; i < 500 && hook_set_wants(set, HOOK_POST, func_name); i++)
		sleep_ms(10);
	ck_assert(!hook_set_wants(set, HOOK_POST, func_name));
	ck_assert(!hook_set_wants(set, HOOK_PRE, "extend_share"));
	ck_assert(hook_set_wants(set, HOOK_PRE, func_name));
	ck_assert(hook_set_wants(set, HOOK_PERIODIC, NULL));
	ck_assert(hook_set_wants(set, HOOK_ERROR, "extend_share"));
	ck_assert_int_eq(run_phase(set, HOOK_POST, func_name, NULL, &none, &e), 0);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(run_phase(set, HOOK_PRE, func_name, NULL, &some, &e), 0);
	ck_assert_str_eq(jsonx_str(some, "outcome"), "ok");
	hook_set_free(set);
}
END_TEST

/* An event that crosses with the news that it is not wanted: it need not be answered, and may be. */
START_TEST(test_wants_cross)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	bool answered = _i;
	struct hook_set *set =
		start(text("read -r line\necho '{\"wants\":[\"pre-create_share_instance\"]}'\n%s\n" LOOP_HEAD
			   "echo '{\"id\":'$id'}'" LOOP_TAIL,
			   answered ? "echo '{\"id\":1,\"veto\":\"dropped\"}'" : ":"),
		      "coproc_timeout = 5.0\n");

	ck_assert_msg(run_phase(set, HOOK_PRE, "extend_share", NULL, NULL, &e) == 0, "%s", e.message);
	ck_assert(!hook_set_wants(set, HOOK_PRE, "extend_share"));
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	hook_set_free(set);
}
END_TEST

/* ---- pipes ---- */

START_TEST(test_large_event_and_answer)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_free_ char *big = xcalloc(1, 500001);
	_cleanup_json_ json_t *results = jsonx_pack("{s:{}}", "metadata"), *changed = NULL;

	memset(big, 'x', 500000);
	/* The answer holds the event. */
	write_script("program",
		     LOOP_HEAD "printf '{\"id\":%s,\"result\":{\"driver_action_results\":{\"metadata\":%s}}}\\n' "
			       "$id \"$line\"" LOOP_TAIL);
	struct hook_set *set =
		new_set("", text("hook_drivers = {\"coproc:%s/program\"}\nenable_post_hooks = true\n", dir));
	fake_call_init(&f, func_name);
	json_object_set_new(f.args, "big", json_string(big));
	struct hook_run *run = hook_run_new(set, &f.call);
	ck_assert_msg(hook_run_post(run, results, &changed, &e) == 0, "%s", e.message);
	const json_t *back = json_object_get(json_object_get(results, "metadata"), "args");
	ck_assert_str_eq(jsonx_str(back, "big"), big);
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

/* Standard error that nobody waits for: more than a pipe holds, before an event and during one. */
START_TEST(test_flood_of_errors)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	int fd = open(in_dir("log"), O_CREAT | O_WRONLY | O_APPEND, 0600), saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	struct hook_set *set =
		start_loop("yes flood | head -c 1000000 >&2; head -c 5000 /dev/zero | tr '\\0' y >&2\n"
			   "echo last >&2\necho '{\"id\":'$id',\"error\":\"x\"}'\nyes again | head -c 60000 >&2",
			   "coproc_timeout = 10.0\n");
	for (int i = 0; i < 3; i++) {
		ck_assert_int_lt(pre(set, &e), 0);
		ck_assert_msg(strstr(e.message, ": x") != NULL, "%s", e.message);
	}
	hook_set_free(set);
	dup2(saved, STDERR_FILENO);
	close(fd);
	close(saved);
	_cleanup_free_ char *log = read_file("log");
	ck_assert_ptr_nonnull(strstr(log, "program] flood\n"));
	ck_assert_ptr_nonnull(strstr(log, "more lines of standard error are not shown"));
	/* 200 lines an event, and what the runner says. */
	ck_assert_uint_lt(strlen(log), 200000);
}
END_TEST

START_TEST(test_long_line_of_errors_is_cut)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	int fd = open(in_dir("log"), O_CREAT | O_WRONLY | O_APPEND, 0600), saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	struct hook_set *set = start_loop("head -c 2500 /dev/zero | tr '\\0' y >&2; exit 1", "");
	ck_assert_int_lt(pre(set, &e), 0);
	hook_set_free(set);
	dup2(saved, STDERR_FILENO);
	close(fd);
	close(saved);
	ck_assert_uint_eq(strlen(jsonx_str(e.data, "stderr")), 2500);
	_cleanup_free_ char *log = read_file("log");
	int lines = 0;
	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		lines += strstr(line, "] yyy") != NULL;
		ck_assert_uint_lt(strlen(line), 4096);
	}
	ck_assert_int_eq(lines, 3);
}
END_TEST

START_TEST(test_user)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (geteuid() != 0) {
		printf("SKIP test_user: needs root\n");
		return;
	}
	ck_assert_int_eq(chmod(dir, 0755), 0);
	struct hook_set *set =
		start_loop("echo '{\"id\":'$id',\"veto\":\"'$(id -un)'\"}'", "coproc_user = \"nobody\"\n");
	ck_assert_int_lt(pre(set, &e), 0);
	ck_assert_str_eq(e.message, "nobody");
	_cleanup_json_ json_t *shown = described(set);
	ck_assert_str_eq(jsonx_str(shown, "user"), "nobody");
	ck_assert_str_eq(jsonx_str(shown, "containment"), "subreaper");
	hook_set_free(set);
}
END_TEST

START_TEST(test_what_it_finds)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(setenv("SECRET", "not for hooks", 1), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(dup(STDERR_FILENO), 0);
	struct hook_set *set = start_loop(text("cd %s; env >env; echo $(ls /proc/self/fd) >fds\n"
					       "echo '{\"id\":'$id'}'",
					       dir),
					  "");
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	_cleanup_free_ char *env = read_file("env"), *fds = read_file("fds");
	ck_assert_str_eq(fds, "0 1 2 3\n"); /* the fourth is the listing's own */
	ck_assert_ptr_nonnull(strstr(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"));
	ck_assert_ptr_nonnull(strstr(env, "SHARESD_SOCKET=/run/sharesd/test.sock\n"));
	ck_assert_ptr_nonnull(strstr(env, "SHARESD_RUN="));
	ck_assert_ptr_null(strstr(env, "SECRET"));
	hook_set_free(set);
}
END_TEST

/* One that reads to the end of its input is not killed before it has cleared up. */
START_TEST(test_stop)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = start(text(LOOP_HEAD "echo '{\"id\":'$id'}'" LOOP_TAIL "echo bye >%s/bye", dir), "");

	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	hook_set_free(set);
	_cleanup_free_ char *bye = read_file("bye");
	ck_assert_str_eq(bye, "bye\n");
}
END_TEST

#define LOOP(tc, test, rows) tcase_add_loop_test(tc, test, 0, (int)(sizeof(rows) / sizeof(*(rows))))

int main(void)
{
	Suite *s = suite_create("hooks: coproc");
	TCase *tc = tcase_create("coproc");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_one_process_for_all_events);
	LOOP(tc, test_answers, answers);
	tcase_add_test(tc, test_error_with_details);
	LOOP(tc, test_broken, broken);
	tcase_add_test(tc, test_kills_its_helper);
	tcase_add_test(tc, test_growing_pause);
	tcase_add_test(tc, test_writable_program);
	tcase_add_test(tc, test_ended_while_idle);
	tcase_add_test(tc, test_wants);
	tcase_add_loop_test(tc, test_wants_cross, 0, 2);
	tcase_add_test(tc, test_large_event_and_answer);
	tcase_add_test(tc, test_flood_of_errors);
	tcase_add_test(tc, test_long_line_of_errors_is_cut);
	tcase_add_test(tc, test_user);
	tcase_add_test(tc, test_what_it_finds);
	tcase_add_test(tc, test_stop);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
