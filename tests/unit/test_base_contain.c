/* sharesd-contain: whatever comes of a program ends with it. */
#include "tests/unit/process_util.h"

#include <sys/prctl.h>

START_TEST(time_limit_takes_all)
{
	_cleanup_free_ char *script =
		xasprintf("(setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > %s/deep; while :; do sleep 1; done' &)\n"
			  "echo $$ > %s/top; echo before; sleep 100",
			  dir, dir);
	struct process_spec spec = spec_of(SHELL(script));
	_cleanup_result_ struct process_result r;
	_cleanup_free_ char *text = NULL;

	spec.timeout = 1.0;
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert(r.timed_out && !r.too_much);
	ck_assert_int_eq(r.exit_code, -1);
	ck_assert_int_eq(r.signal, SIGKILL);
	ck_assert_str_eq(r.output, "before\n");
	ck_assert(r.seconds >= 1.0 && r.seconds < 4.0);
	ck_assert_int_gt(read_pid("deep"), 0);
	ck_assert(gone(read_pid("deep")));
	ck_assert(gone(read_pid("top")));
	text = process_result_text(&r, &spec);
	ck_assert_str_eq(text, "no end within 1.0 s and killed");
}
END_TEST

START_TEST(signals_ignored_or_stopped)
{
	static const char *const programs[] = { "trap '' TERM INT HUP QUIT; while :; do sleep 1; done",
						"kill -STOP $$" };

	for (size_t i = 0; i < COUNT(programs); i++) {
		struct process_spec spec = spec_of(SHELL(programs[i]));
		_cleanup_result_ struct process_result r;

		spec.timeout = 1.5; /* within which it must have started */
		ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
		ck_assert(r.timed_out);
		ck_assert(r.seconds < 10.0);
	}
}
END_TEST

START_TEST(a_child_that_holds_the_pipe)
{
	_cleanup_free_ char *script = xasprintf(
		"(setsid sleep 100 & echo $! > %s/child); sleep 100 & echo $! > %s/near; echo done", dir, dir);
	_cleanup_result_ struct process_result r = run(SHELL(script));

	ck_assert_str_eq(r.output, "done\n");
	ck_assert_int_eq(r.exit_code, 0);
	ck_assert(!r.timed_out);
	ck_assert(r.seconds < 5.0);
	ck_assert(gone(read_pid("child")));
	ck_assert(gone(read_pid("near")));
}
END_TEST

START_TEST(many_children_in_many_sessions)
{
	_cleanup_process_ struct process *p = NULL;
	struct process_spec spec = spec_of(
		SHELL("i=0; while [ $i -lt 100 ]; do (setsid sleep 100 &); i=$((i+1)); done; echo up; sleep 100"));
	struct pollfd fd;
	char c;

	ck_assert_int_eq(process_start(&spec, &p, NULL), 0);
	fd = (struct pollfd){ .fd = process_stdout(p), .events = POLLIN };
	ck_assert_int_eq(poll(&fd, 1, 10000), 1);
	process_kill(p);
	/* Each of them held the other end. */
	ck_assert_str_eq(read_to_end(process_stdout(p)), "up\n");
	ck_assert_int_eq(read(process_stderr(p), &c, 1), 0);
}
END_TEST

/* A process that starts the next and ends, without end. */
START_TEST(a_runaway_is_caught)
{
	_cleanup_free_ char *path = xstrdup(make_file("comet", "#!/bin/sh\n\"$0\" &\n", 0755));
	_cleanup_result_ struct process_result r = run((const char *const[]){ path, NULL });

	ck_assert_int_eq(r.exit_code, 0);
	ck_assert(r.seconds < 4.0);
}
END_TEST

START_TEST(a_subreaper_below)
{
	_cleanup_result_ struct process_result r = run((const char *const[]){ self, "subreaper", NULL });
	char *p = r.output;

	for (int i = 0; i < 3; i++) {
		pid_t pid = (pid_t)strtol(p, &p, 10);

		ck_assert_int_gt(pid, 1);
		ck_assert_msg(gone(pid), "%d", i);
	}
	ck_assert(r.seconds < 4.0);
}
END_TEST

/* Starts a tree from a process that then ends by `signal`, or by _exit for 0. Returns the program's id. */
static pid_t orphan_a_tree(int signal_number, const char *script)
{
	int fds[2], status;
	pid_t daemon, program = 0;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	daemon = fork();
	if (daemon == 0) {
		struct process_spec spec = spec_of(SHELL(script));
		struct process *p;
		struct pollfd fd;

		setpgid(0, 0);
		if (process_start(&spec, &p, NULL) < 0)
			_exit(1);
		fd = (struct pollfd){ .fd = process_stdout(p), .events = POLLIN };
		poll(&fd, 1, 10000);
		program = process_pid(p);
		if (write(fds[1], &program, sizeof(program)) != (ssize_t)sizeof(program))
			_exit(1);
		if (signal_number)
			kill(0, signal_number);
		_exit(0);
	}
	ck_assert_int_eq(read(fds[0], &program, sizeof(program)), (ssize_t)sizeof(program));
	waitpid(daemon, &status, 0);
	ck_assert(signal_number ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fds[0]);
	close(fds[1]);
	return program;
}

START_TEST(the_daemon_dies)
{
	static const int signals[] = { 0, SIGKILL };
	_cleanup_free_ char *script = xasprintf("(setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > %s/deep; echo up; "
						"while :; do sleep 1; done' &); sleep 100",
						dir);

	/* By its own end, and with its whole process group. */
	for (size_t i = 0; i < COUNT(signals); i++) {
		pid_t program = orphan_a_tree(signals[i], script);

		ck_assert_int_gt(program, 0);
		ck_assert_int_gt(read_pid("deep"), 0);
		ck_assert(gone_within(program, 5.0));
		ck_assert(gone_within(read_pid("deep"), 5.0));
	}
}
END_TEST

/* Nobody is the reaper of its tree then: children are found wherever they went. Those of others are let alone. The
 * helper lets go of the output once it has said that the program runs; killed before, nothing would have run for who
 * asked. */
START_TEST(the_program_kills_its_helper)
{
	_cleanup_free_ char *script = xasprintf(
		"cd %s; echo $$ >pid; sleep 100 & echo $! >child; setsid sleep 100 & echo $! >session; "
		"(setsid sh -c 'trap \"\" TERM HUP; echo $$ >deep; sleep 100 & echo $! >deeper; wait' &); "
		"until [ -s deeper ] && [ \"$(readlink /proc/$PPID/fd/1)\" = /dev/null ]; do sleep 0.01; done; "
		"echo out; kill -9 $PPID; wait",
		dir);
	static const char *const files[] = { "pid", "child", "session", "deep", "deeper" };
	struct process_spec spec = spec_of(SHELL("exec sleep 100"));
	_cleanup_process_ struct process *other = NULL;
	_cleanup_result_ struct process_result r;
	struct process_result still;

	ck_assert_int_eq(process_start(&spec, &other, NULL), 0);
	r = run(SHELL(script));
	ck_assert_int_eq(r.exit_code, -1);
	ck_assert_int_eq(r.signal, SIGKILL);
	ck_assert(!r.timed_out);
	ck_assert_str_eq(r.output, "out\n");
	ck_assert(r.seconds < 10.0);
	for (size_t i = 0; i < COUNT(files); i++) {
		ck_assert_int_gt(read_pid(files[i]), 1);
		ck_assert_msg(gone_within(read_pid(files[i]), 8.0), "%s", files[i]);
	}
	ck_assert_int_eq(process_poll(other, &still), -EAGAIN);
}
END_TEST

START_TEST(the_program_signals_its_helper)
{
	_cleanup_result_ struct process_result r =
		run(SHELL("for s in TERM INT HUP QUIT USR1 USR2 PIPE ALRM TSTP CHLD; do kill -$s $PPID; done; exit 4"));

	ck_assert_int_eq(r.exit_code, 4);
}
END_TEST

/* How many pipes of any kind process `pid` holds; adds all its descriptors to `*ret_all`. */
static int count_pipes(pid_t pid, int *ret_all)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/fd", pid);
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *entry;
	char target[64];
	int pipes = 0;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		*ret_all += n > 0;
		pipes += strncmp(target, "pipe:", 5) == 0;
	}
	return pipes;
}

/* A pipe of the program's that the helper kept would never end; one of the daemon's would outlive the daemon. */
START_TEST(the_helper_holds_nothing)
{
	struct process_spec spec = spec_of(SHELL("echo $PPID; exec sleep 100"));
	double deadline = text_monotonic() + 5.0;
	_cleanup_process_ struct process *p = NULL;
	struct pollfd fd;
	char text[32] = "";
	int all = 0;
	pid_t helper;

	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(dup(STDIN_FILENO), 0);
	ck_assert_int_eq(process_start(&spec, &p, NULL), 0);
	fd = (struct pollfd){ .fd = process_stdout(p), .events = POLLIN };
	ck_assert_int_eq(poll(&fd, 1, 5000), 1);
	ck_assert_int_gt(read(process_stdout(p), text, sizeof(text) - 1), 0);
	helper = (pid_t)strtol(text, NULL, 10);
	while (count_pipes(helper, &all) > 0) {
		ck_assert(text_monotonic() < deadline);
		poll(NULL, 0, 5);
		all = 0;
	}
	/* 0, 1, 2, the control channel, the bell for ended children. */
	ck_assert_int_eq(all, 5);
}
END_TEST

/* Descriptors that another process of the daemon's got by a fork do not keep a tree alive. */
START_TEST(a_copy_of_the_descriptors)
{
	struct process_spec spec = spec_of(SHELL("sleep 100"));
	_cleanup_process_ struct process *p = NULL;
	pid_t holder;

	ck_assert_int_eq(process_start(&spec, &p, NULL), 0);
	holder = fork();
	if (holder == 0) {
		pause();
		_exit(0);
	}
	process_kill(p);
	ck_assert(gone(process_pid(p)));
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
}
END_TEST

/* A reaper of its own with a tree of its own, which it leaves running. */
static int leave_a_subreaper(void)
{
	int fds[2], pids[3] = { 0 };

	if (pipe2(fds, O_CLOEXEC) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 1;
	for (int i = 0; i < 3; i++) {
		if (fork() != 0)
			break;
		pids[i] = getpid();
		setsid();
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	}
	if (pids[0] != 0) {
		if (pids[2] != 0 && write(fds[1], pids, sizeof(pids)) < 0)
			return 1;
		for (;;)
			pause();
	}
	if (read(fds[0], pids, sizeof(pids)) != (ssize_t)sizeof(pids))
		return 1;
	printf("%d %d %d\n", pids[0], pids[1], pids[2]);
	return 0;
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("base_contain");
	TCase *t = tcase_create("contain");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, time_limit_takes_all);
	tcase_add_test(t, signals_ignored_or_stopped);
	tcase_add_test(t, a_child_that_holds_the_pipe);
	tcase_add_test(t, many_children_in_many_sessions);
	tcase_add_test(t, a_runaway_is_caught);
	tcase_add_test(t, a_subreaper_below);
	tcase_add_test(t, the_daemon_dies);
	tcase_add_test(t, the_program_kills_its_helper);
	tcase_add_test(t, the_program_signals_its_helper);
	tcase_add_test(t, the_helper_holds_nothing);
	tcase_add_test(t, a_copy_of_the_descriptors);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	SRunner *runner;
	ssize_t n;
	int failed;

	if (argc > 1)
		return argv[1][0] == 's' ? leave_a_subreaper() : 1;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return 1;
	runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
