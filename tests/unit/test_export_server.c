/* drivers/export/server and base/process_launch: servers that outlive who started them, and are found again. */
#include "drivers/export/server.h"

#include "base/process_launch.h"
#include "tests/unit/process_util.h"

#define _cleanup_server_ cleanup(free_server)

static void free_server(struct export_server **s)
{
	export_server_free(*s);
}

/* Ended by the test in any case. */
static void stop_server(struct export_server **s)
{
	ck_assert(export_server_stop(*s, 20));
	export_server_free(*s);
}

static void start(struct export_server *s, const char *const *argv)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(export_server_start(s, argv, some_env, &e) == 0, "%s", e.message);
}

static char *text_of(const char *name)
{
	char path[PATH_MAX + 64];
	char *text = xcalloc(1, 1 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f) {
		ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, f), (1 << 20) - 1);
		fclose(f);
	}
	return text;
}

/* Waits until the file says it. */
static char *await_text(const char *name, const char *part)
{
	double deadline = text_monotonic() + 20;
	char *text = text_of(name);

	while (!strstr(text, part)) {
		ck_assert_msg(text_monotonic() < deadline, "no \"%s\" in \"%s\"", part, text);
		poll(NULL, 0, 5);
		free(text);
		text = text_of(name);
	}
	return text;
}

START_TEST(starts_and_stops)
{
	struct export_server *s cleanup(stop_server) = export_server_new(dir, "one");
	_cleanup_free_ char *pid_file = NULL;
	unsigned long long begin;
	char path[PATH_MAX + 64];
	struct stat st;
	pid_t pid;

	ck_assert(!export_server_is_alive(s));
	ck_assert_int_eq(export_server_pid(s), 0);
	ck_assert_int_eq(export_server_take_over(s), -ESRCH);
	start(s, SHELL("exec sleep 1000"));
	ck_assert(export_server_is_alive(s));
	ck_assert(export_server_is_in_place(s));
	pid = export_server_pid(s);
	ck_assert_int_gt(pid, 1);
	pid_file = text_of("one.pid");
	ck_assert_int_eq(strtol(pid_file, NULL, 10), pid);
	ck_assert_int_eq(process_start_time(pid, &begin), 0);
	for (const char *const *name = (const char *const[]){ "pid", "log", NULL }; *name; name++) {
		snprintf(path, sizeof(path), "%s/one.%s", dir, *name);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(st.st_mode & 07777, 0600);
	}
	ck_assert(export_server_stop(s, 20));
	ck_assert(!export_server_is_alive(s));
	ck_assert_int_eq(export_server_pid(s), 0);
	/* One of ours is reaped, not left as a zombie. */
	ck_assert(gone(pid));
	ck_assert(export_server_stop(s, 20));
}
END_TEST

START_TEST(runs_once)
{
	struct export_server *s cleanup(stop_server) = export_server_new(dir, "one");
	_cleanup_server_ struct export_server *other = export_server_new(dir, "one");
	_cleanup_error_ struct error e = ERROR_INIT;

	start(s, SHELL("exec sleep 1000"));
	ck_assert_int_eq(export_server_start(s, SHELL("exit 0"), some_env, &e), -EEXIST);
	ck_assert_int_eq(export_server_start(other, SHELL("exit 0"), some_env, &e), -EEXIST);
	ck_assert_ptr_nonnull(strstr(e.message, "one runs already, as process "));
	ck_assert_int_eq(export_server_pid(other), export_server_pid(s));
}
END_TEST

/* A session of its own, "/", nothing blocked or ignored, no descriptor but three, the environment given. */
START_TEST(begins_clean)
{
	struct export_server *s cleanup(stop_server) = export_server_new(dir, "one");
	_cleanup_free_ char *text = NULL;
	sigset_t set, saved;
	int leaked = open("/dev/null", O_RDONLY); /* not close-on-exec, and one on each of the low numbers */
	char want[64];

	ck_assert_int_ge(leaked, 3);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &saved);
	signal(SIGHUP, SIG_IGN);
	start(s, SHELL("env | sort | tr '\\n' ' '; pwd; ls /proc/$$/fd; "
		       "grep -E 'Sig(Blk|Ign)|NSsid' /proc/self/status; echo done; exec sleep 1000"));
	sigprocmask(SIG_SETMASK, &saved, NULL);
	signal(SIGHUP, SIG_DFL);
	close(leaked);
	text = await_text("one.log", "done");
	ck_assert_msg(strstr(text, "A=b PATH=/usr/bin:/bin PWD=/ /\n0\n1\n2\nNSsid") != NULL, "%s", text);
	snprintf(want, sizeof(want), "NSsid:\t%d\n", (int)export_server_pid(s));
	ck_assert_ptr_nonnull(strstr(text, want));
	ck_assert_msg(strstr(text, "SigBlk:\t0000000000000000\n") != NULL, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "SigIgn:\t"));
	/* But for 32 and 33, which belong to the C library, and are as they were when this program began. */
	ck_assert_msg((strtoull(strstr(text, "SigIgn:\t") + 8, NULL, 16) & ~0x180000000ull) == 0, "%s", text);
}
END_TEST

START_TEST(taken_over)
{
	struct export_server *s cleanup(stop_server) = export_server_new(dir, "one");
	pid_t starter, pid;
	int status;

	starter = fork();
	if (starter == 0) {
		struct export_server *first = export_server_new(dir, "one");

		(void)export_server_start(first, SHELL("exec sleep 1000"), some_env, NULL);
		export_server_free(first);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(starter, &status, 0), starter);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(export_server_take_over(s), 0);
	ck_assert(export_server_is_alive(s));
	pid = export_server_pid(s);
	ck_assert_int_eq(pid, read_pid("one.pid"));
	/* Somebody else's child by now: its end is seen all the same, even where nobody has reaped it yet. */
	ck_assert(export_server_stop(s, 20));
	ck_assert_int_eq(export_server_take_over(s), -ESRCH);
}
END_TEST

/* Whoever dies between the two halves leaves nothing that runs. */
START_TEST(not_before_it_is_known)
{
	char made[PATH_MAX + 64];
	int fds[2], status;
	pid_t starter, pid = 0;

	snprintf(made, sizeof(made), "%s/made", dir);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	starter = fork();
	if (starter == 0) {
		const char *const argv[] = { "/usr/bin/touch", made, NULL };
		struct process_launch l = PROCESS_LAUNCH_INIT;

		if (process_launch_hold(argv, some_env, STDERR_FILENO, &l, NULL) == 0 &&
		    write(fds[1], &l.pid, sizeof(l.pid)) > 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(starter, &status, 0), starter);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(read(fds[0], &pid, sizeof(pid)), sizeof(pid));
	for (unsigned long long begin; process_start_time(pid, &begin) == 0;)
		poll(NULL, 0, 5);
	ck_assert_int_lt(access(made, F_OK), 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* A pid file that names a process that lives, but which is another. */
START_TEST(another_process)
{
	_cleanup_server_ struct export_server *s = export_server_new(dir, "one");
	struct export_server *ours cleanup(stop_server) = export_server_new(dir, "two");
	_cleanup_free_ char *text = NULL, *wrong = NULL;
	unsigned long long begin;
	char boot[64] = "";

	start(ours, SHELL("exec sleep 1000"));
	text = text_of("two.pid");
	/* NOLINTNEXTLINE(cert-err34-c) */
	ck_assert_int_eq(sscanf(text, "%*d %llu %63s", &begin, boot), 2);
	make_file("one.pid", text, 0600);
	ck_assert_int_eq(export_server_take_over(s), 0);
	export_server_free(s);
	s = export_server_new(dir, "one");
	wrong = xasprintf("%d %llu %s\n", (int)export_server_pid(ours), begin + 1, boot);
	make_file("one.pid", wrong, 0600);
	ck_assert_int_eq(export_server_take_over(s), -ESRCH);
	/* Before the machine was started anew. */
	boot[0] = boot[0] == '0' ? '1' : '0';
	free(take_ptr(wrong));
	wrong = xasprintf("%d %llu %s\n", (int)export_server_pid(ours), begin, boot);
	make_file("one.pid", wrong, 0600);
	ck_assert_int_eq(export_server_take_over(s), -ESRCH);
	for (const char *const *bad = (const char *const[]){ "", "x", "1 1 x", "-5 3 x", "12", NULL }; *bad; bad++) {
		make_file("one.pid", *bad, 0600);
		ck_assert_int_eq(export_server_take_over(s), -ESRCH);
	}
	ck_assert(!export_server_is_alive(s));
	ck_assert_int_eq(export_server_pid(s), 0);
}
END_TEST

START_TEST(zombie_is_dead)
{
	_cleanup_server_ struct export_server *s = export_server_new(dir, "one");
	struct export_server *ours cleanup(stop_server) = export_server_new(dir, "one");
	pid_t pid;

	start(ours, SHELL("exec sleep 1000"));
	pid = export_server_pid(ours);
	ck_assert_int_eq(export_server_take_over(s), 0);
	kill(pid, SIGKILL);
	/* Its state letter: not reaped, as nobody has asked yet. */
	for (unsigned long long begin; process_start_time(pid, &begin) == 0;)
		poll(NULL, 0, 5);
	ck_assert_int_eq(kill(pid, 0), 0);
	export_server_free(s);
	s = export_server_new(dir, "one");
	ck_assert_int_eq(export_server_take_over(s), -ESRCH);
	ck_assert(!export_server_is_alive(ours));
}
END_TEST

START_TEST(killed_with_its_group)
{
	struct export_server *s cleanup(stop_server) = export_server_new(dir, "one");
	pid_t child;

	start(s, SHELL("trap '' TERM; sleep 1000 & echo $! >" /* in the log's directory */
		       "/proc/self/fd/1; while :; do sleep 1000; done"));
	for (double deadline = text_monotonic() + 20; (child = read_pid("one.log")) == 0;) {
		ck_assert(text_monotonic() < deadline);
		poll(NULL, 0, 5);
	}
	ck_assert(export_server_stop(s, 0.2));
	for (unsigned long long begin; process_start_time(child, &begin) == 0;)
		poll(NULL, 0, 5);
}
END_TEST

START_TEST(cannot_start)
{
	_cleanup_server_ struct export_server *s = export_server_new(dir, "one");
	_cleanup_server_ struct export_server *nowhere = export_server_new("/no/such/directory", "one");
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(export_server_start(s, (const char *const[]){ "/no/such", NULL }, some_env, &e), -ENOENT);
	ck_assert_str_eq(e.message, "cannot start /no/such: No such file or directory");
	ck_assert(!export_server_is_alive(s));
	ck_assert_int_eq(export_server_take_over(s), -ESRCH);
	ck_assert_int_eq(export_server_start(s, (const char *const[]){ "/etc/passwd", NULL }, some_env, &e), -EACCES);
	ck_assert_int_eq(export_server_start(nowhere, SHELL("exit 0"), some_env, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "/no/such/directory"));
	ck_assert_int_lt(waitpid(-1, NULL, WNOHANG), 0);
}
END_TEST

START_TEST(what_it_said)
{
	struct export_server *s cleanup(stop_server) = export_server_new(dir, "one");
	_cleanup_free_ char *line = NULL, *last = NULL, *none = NULL;

	ck_assert_ptr_null(export_server_log_line(s, NULL));
	start(s,
	      SHELL("i=0; while [ $i -lt 8000 ]; do i=$((i + 1)); echo \"line $i of many\"; done; "
		    "echo 'ERROR: the first'; echo 'ERROR: the port' >&2; printf '\\377last\\n\\n'; exec sleep 1000"));
	free(await_text("one.log", "last"));
	line = export_server_log_line(s, "ERROR");
	ck_assert_str_eq(line, "ERROR: the port");
	last = export_server_log_line(s, NULL);
	ck_assert_str_eq(last, "?last");
	none = export_server_log_line(s, "no such");
	ck_assert_ptr_null(none);
	ck_assert(export_server_stop(s, 20));
	start(s, SHELL("exec sleep 1000"));
	ck_assert_ptr_null(export_server_log_line(s, NULL));
	free(await_text("one.log.old", "the port"));
}
END_TEST

START_TEST(private_directory)
{
	_cleanup_free_ char *path = xasprintf("%s/a/b c/d", dir), *above = xasprintf("%s/a/b c", dir);
	_cleanup_error_ struct error e = ERROR_INIT;
	struct stat st;

	ck_assert_msg(export_server_make_directory(path, &e) == 0, "%s", e.message);
	ck_assert_int_eq(export_server_make_directory(path, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(above, &st), 0);
	ck_assert_int_eq(st.st_mode & 022, 0);
	ck_assert_int_eq(chmod(path, 0770), 0);
	ck_assert_int_eq(export_server_make_directory(path, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.message, "may change it"));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(symlink("/tmp", path), 0);
	ck_assert_int_eq(export_server_make_directory(path, &e), -ENOTDIR);
	ck_assert_int_eq(export_server_make_directory("relative", &e), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("export_server");
	TCase *tc = tcase_create("servers");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, starts_and_stops);
	tcase_add_test(tc, runs_once);
	tcase_add_test(tc, begins_clean);
	tcase_add_test(tc, taken_over);
	tcase_add_test(tc, not_before_it_is_known);
	tcase_add_test(tc, another_process);
	tcase_add_test(tc, zombie_is_dead);
	tcase_add_test(tc, killed_with_its_group);
	tcase_add_test(tc, cannot_start);
	tcase_add_test(tc, what_it_said);
	tcase_add_test(tc, private_directory);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
