/* base/process: what a program gets, what is heard of it, and what goes wrong before it starts. */
#include "tests/unit/others.h"
#include "tests/unit/process_util.h"

START_TEST(input_output_errors)
{
	const char *input = "a line\nand more";
	struct process_spec spec = spec_of(SHELL("cat; echo 'on stderr ' >&2; echo >&2"));
	_cleanup_result_ struct process_result r;
	_cleanup_free_ char *text = NULL;

	spec.input = input;
	spec.input_len = strlen(input);
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert_int_eq(r.exit_code, 0);
	ck_assert_int_eq(r.signal, 0);
	ck_assert(!r.timed_out && !r.too_much);
	ck_assert_str_eq(r.output, input);
	ck_assert_uint_eq(r.output_len, strlen(input));
	ck_assert_str_eq(r.errors, "on stderr");
	ck_assert(r.seconds > 0 && r.seconds < 20);
	text = process_result_text(&r, &spec);
	ck_assert_str_eq(text, "exit status 0");
}
END_TEST

START_TEST(exit_codes)
{
	_cleanup_result_ struct process_result r = run(SHELL("exit 3"));
	struct process_spec spec = spec_of(NULL);
	_cleanup_free_ char *text = process_result_text(&r, &spec);

	ck_assert_int_eq(r.exit_code, 3);
	ck_assert_str_eq(r.output, "");
	ck_assert_uint_eq(r.output_len, 0);
	ck_assert_str_eq(r.errors, "");
	ck_assert_str_eq(text, "exit status 3");
}
END_TEST

START_TEST(ended_by_a_signal)
{
	_cleanup_result_ struct process_result r = run(SHELL("kill -KILL $$"));
	struct process_spec spec = spec_of(NULL);
	_cleanup_free_ char *text = process_result_text(&r, &spec);

	ck_assert_int_eq(r.exit_code, -1);
	ck_assert_int_eq(r.signal, SIGKILL);
	ck_assert(!r.timed_out);
	ck_assert_str_eq(text, "signal 9 (Killed)");
}
END_TEST

START_TEST(output_with_nul)
{
	_cleanup_result_ struct process_result r = run(SHELL("printf 'a\\0b'; printf 'c\\0d\\n' >&2"));

	ck_assert_uint_eq(r.output_len, 3);
	ck_assert(memcmp(r.output, "a\0b", 4) == 0);
	ck_assert_str_eq(r.errors, "c?d");
}
END_TEST

START_TEST(large_input_is_read_whole)
{
	struct process_spec spec = spec_of(SHELL("wc -c"));
	_cleanup_result_ struct process_result r;
	_cleanup_free_ char *input = xcalloc(1, 1 << 20);

	spec.input = input;
	spec.input_len = 1 << 20;
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert_int_eq(strtol(r.output, NULL, 10), 1 << 20);
}
END_TEST

START_TEST(input_need_not_be_read)
{
	static const char *const programs[] = { "exec 0<&-; sleep 0.1; echo x", "echo x", "read line; echo x" };
	_cleanup_free_ char *input = xcalloc(1, 1 << 20);

	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < COUNT(programs); i++) {
		struct process_spec spec = spec_of(SHELL(programs[i]));
		_cleanup_result_ struct process_result r;

		memset(input, '\n', 1 << 20);
		spec.input = input;
		spec.input_len = 1 << 20;
		ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
		ck_assert_int_eq(r.exit_code, 0);
		ck_assert_str_eq(r.output, "x\n");
	}
}
END_TEST

START_TEST(no_input_is_end_of_file)
{
	_cleanup_result_ struct process_result r = run(SHELL("cat; echo end"));

	ck_assert_str_eq(r.output, "end\n");
}
END_TEST

START_TEST(too_much_output)
{
	struct process_spec spec = spec_of(NULL);
	_cleanup_result_ struct process_result r;
	_cleanup_free_ char *text = NULL, *script = NULL;

	script = xasprintf("echo $$ > %s/pid; exec cat /dev/zero", dir);
	spec.argv = SHELL(script);
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert(r.too_much && !r.timed_out);
	ck_assert_uint_eq(r.output_len, 1 << 20);
	ck_assert_int_eq(r.exit_code, -1);
	ck_assert_int_eq(r.signal, SIGKILL);
	ck_assert(gone(read_pid("pid")));
	text = process_result_text(&r, &spec);
	ck_assert_str_eq(text, "more than 1 MiB of output and killed");
}
END_TEST

START_TEST(output_up_to_the_limit)
{
	struct process_spec spec = spec_of(SHELL("head -c 5000 /dev/zero"));
	_cleanup_result_ struct process_result exact, over, none;

	spec.max_output = 5000;
	ck_assert_int_eq(process_run(&spec, &exact, NULL), 0);
	ck_assert(!exact.too_much);
	ck_assert_uint_eq(exact.output_len, 5000);
	ck_assert_int_eq(exact.exit_code, 0);
	spec.max_output = 4999;
	ck_assert_int_eq(process_run(&spec, &over, NULL), 0);
	ck_assert(over.too_much);
	ck_assert_uint_eq(over.output_len, 4999);
	spec.max_output = 0;
	spec.argv = SHELL("exit 0");
	ck_assert_int_eq(process_run(&spec, &none, NULL), 0);
	ck_assert(!none.too_much);
}
END_TEST

START_TEST(only_the_end_of_errors)
{
	_cleanup_result_ struct process_result r = run(SHELL(
		"head -c 300000000 /dev/zero >&2; i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done"));
	size_t len = strlen(r.errors);

	ck_assert_uint_le(len, 4096);
	ck_assert_uint_gt(len, 4000);
	ck_assert_str_eq(r.errors + len - strlen("line 1999"), "line 1999");
	ck_assert_ptr_null(strchr(r.errors, '?'));
}
END_TEST

START_TEST(errors_begin_with_a_whole_character)
{
	_cleanup_result_ struct process_result r =
		run(SHELL("i=0; while [ $i -lt 3000 ]; do printf '\\342\\202\\254' >&2; i=$((i+1)); done"));
	_cleanup_free_ char *fixed = xstrdup(r.errors);

	text_fix_utf8(fixed);
	ck_assert_str_eq(fixed, r.errors);
	ck_assert_uint_eq(strlen(r.errors), 4095);
}
END_TEST

static int fails(const char *program, struct error *e)
{
	struct process_spec spec = spec_of((const char *const[]){ program, NULL });
	struct process_result r;

	return process_run(&spec, &r, e);
}

START_TEST(programs_that_cannot_start)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *path;

	ck_assert_int_eq(fails("/nonexistent/x", &e), -ENOENT);
	ck_assert_str_eq(e.message, "cannot run /nonexistent/x: No such file or directory");
	ck_assert_int_eq(e.kind, ERR_DRIVER_FAILED);
	ck_assert_int_eq(fails(make_file("plain", "#!/bin/sh\n", 0644), &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.message, "is it executable?"));
	ck_assert_int_eq(fails(dir, &e), -EACCES);
	path = make_file("orphan", "#!/nonexistent/interpreter\n", 0755);
	ck_assert_int_eq(fails(path, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "interpreter"));
	ck_assert_ptr_nonnull(strstr(e.message, path));
	ck_assert_int_eq(fails(make_file("text", "echo no first line\n", 0755), &e), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(e.message, "#!"));
	ck_assert_int_eq(fails("sh", &e), -EINVAL);
	ck_assert_int_eq(fails("", &e), -EINVAL);
	ck_assert_int_eq(fails("/nonexistent/x", NULL), -ENOENT);
	errno = 0;
	ck_assert(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}
END_TEST

START_TEST(limits_that_are_none)
{
	static const double limits[] = { 0, -1, NAN, INFINITY };
	struct process_spec spec = spec_of(SHELL("exit 0"));
	struct process_result r;

	for (size_t i = 0; i < COUNT(limits); i++) {
		spec.timeout = limits[i];
		ck_assert_int_eq(process_run(&spec, &r, NULL), -EINVAL);
	}
	spec.timeout = 1e300;
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	process_result_clear(&r);
}
END_TEST

START_TEST(a_helper_that_is_none)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	process_set_helper("/nonexistent/sharesd-contain");
	ck_assert_str_eq(process_helper(), "/nonexistent/sharesd-contain");
	ck_assert_int_eq(fails("/bin/sh", &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent/sharesd-contain"));
	process_set_helper("/bin/true");
	ck_assert_int_eq(fails("/bin/sh", &e), -EPIPE);
	ck_assert_ptr_nonnull(strstr(e.message, "/bin/true"));
}
END_TEST

START_TEST(what_the_program_finds)
{
	struct process_spec spec = spec_of((const char *const[]){ self, "probe", "x y", "", NULL });
	_cleanup_result_ struct process_result r;
	sigset_t mask;

	/* What a daemon may have that its programs must not see. */
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
	ck_assert_int_eq(dup2(0, 500), 500);
	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	setenv("SECRET", "s", 1);
	umask(0);
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert_str_eq(r.errors, "");
	ck_assert_str_eq(r.output, "argument: x y\nargument: \n"
				   "descriptor: 0\ndescriptor: 1\ndescriptor: 2\n"
				   "environment: PATH=/usr/bin:/bin\nenvironment: A=b\nenvironment: SHARESD_RUN of 32\n"
				   "own session: 1\nblocked: 0\nignored: 0\numask: 22\ndirectory: /\n");
}
END_TEST

START_TEST(no_environment_is_an_empty_one)
{
	struct process_spec spec = spec_of((const char *const[]){ self, "probe", NULL });
	_cleanup_result_ struct process_result r;

	spec.env = NULL;
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert_int_eq(r.exit_code, 0);
	ck_assert_ptr_nonnull(strstr(r.output, "environment: SHARESD_RUN of 32\nown session: 1"));
	ck_assert_ptr_null(strstr(r.output, "environment: PATH"));
}
END_TEST

START_TEST(from_a_daemon_without_standard_descriptors)
{
	struct process_spec spec = spec_of(SHELL("cat; echo err >&2"));
	_cleanup_result_ struct process_result r;

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	spec.input = "in";
	spec.input_len = 2;
	ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
	ck_assert_str_eq(r.output, "in");
	ck_assert_str_eq(r.errors, "err");
}
END_TEST

static char *identity_as(const char *user)
{
	struct process_spec spec = spec_of(SHELL("echo $(id -u) $(id -g) $(id -G)"));
	_cleanup_result_ struct process_result r;
	_cleanup_error_ struct error e = ERROR_INIT;

	spec.user = user;
	ck_assert_msg(process_run(&spec, &r, &e) == 0, "%s", e.message);
	return xstrdup(r.output);
}

START_TEST(as_another_user)
{
	struct process_spec spec = spec_of(SHELL("exit 0"));
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *nobody = NULL, *number = NULL, *entry = NULL;
	struct process_result r;

	if (geteuid() != 0) {
		printf("SKIP as_another_user: needs root\n");
		return;
	}
	nobody = identity_as("nobody");
	ck_assert_str_eq(nobody, "65534 65534 65534\n");
	entry = identity_as("65534");
	ck_assert_str_eq(entry, nobody);
	number = identity_as("61234");
	ck_assert_str_eq(number, "61234 61234 61234\n");
	spec.user = "no such user";
	ck_assert_int_eq(process_run(&spec, &r, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "\"no such user\""));
	spec.user = "4294967295";
	ck_assert_int_eq(process_run(&spec, &r, &e), -ENOENT);
	spec.user = "nobody";
	spec.argv = (const char *const[]){ make_file("private", "#!/bin/sh\n", 0700), NULL };
	ck_assert_int_eq(process_run(&spec, &r, &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.message, "\"nobody\""));
}
END_TEST

START_TEST(as_another_user_without_root)
{
	struct process_spec spec = spec_of(SHELL("exit 0"));
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *own = NULL;
	struct process_result r;

	uid_t before = getuid();

	if (before == 0 && !others_may_run("as_another_user_without_root", "sharesd-contain"))
		return;
	if (before == 0)
		ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
	spec.user = "0";
	ck_assert_int_eq(process_run(&spec, &r, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.message, "only root"));
	own = xasprintf("%u", geteuid());
	spec.user = own;
	ck_assert_int_eq(process_run(&spec, &r, &e), 0);
	ck_assert_int_eq(r.exit_code, 0);
	process_result_clear(&r);
	if (before == 0)
		ck_assert_int_eq(setresuid(0, 0, 0), 0);
}
END_TEST

START_TEST(a_program_that_goes_on)
{
	struct process_spec spec = spec_of(SHELL("while read l; do echo \"got $l\"; done; exit 7"));
	_cleanup_process_ struct process *p = NULL;
	struct process_result r = { 0 };
	struct pollfd fd;
	char text[64];
	ssize_t n;

	ck_assert_int_eq(process_start(&spec, &p, NULL), 0);
	ck_assert_int_gt(process_pid(p), 0);
	ck_assert(fcntl(process_stdin(p), F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(process_stdout(p), F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(process_stderr(p), F_GETFL) & O_NONBLOCK);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(write(process_stdin(p), "x\n", 2), 2);
		fd = (struct pollfd){ .fd = process_stdout(p), .events = POLLIN };
		ck_assert_int_eq(poll(&fd, 1, 5000), 1);
		n = read(process_stdout(p), text, sizeof(text));
		ck_assert_int_eq(n, 6);
		ck_assert(memcmp(text, "got x\n", 6) == 0);
	}
	ck_assert_int_eq(process_poll(p, &r), -EAGAIN);
	process_close_stdin(p);
	process_close_stdin(p);
	ck_assert_int_eq(process_stdin(p), -1);
	ck_assert_str_eq(read_to_end(process_stdout(p)), "");
	fd = (struct pollfd){ .fd = process_pidfd(p), .events = POLLIN };
	ck_assert_int_eq(poll(&fd, 1, 5000), 1);
	ck_assert_int_eq(process_poll(p, &r), 0);
	ck_assert_int_eq(r.exit_code, 7);
	ck_assert_int_eq(r.signal, 0);
	ck_assert(gone(process_pid(p)));
	ck_assert_int_eq(process_poll(p, &r), 0);
	ck_assert_int_eq(r.exit_code, 7);
	process_kill(p);
}
END_TEST

/* It goes on while nobody waits for it, as far as its pipes hold what it says. */
START_TEST(waited_for_a_while_at_a_time)
{
	struct process_spec spec = spec_of(SHELL("echo one; sleep 1; head -c 300000 /dev/zero"));
	_cleanup_result_ struct process_result r = { 0 }, killed = { 0 }, late = { 0 };
	struct process_run *run;

	spec.max_output = 1 << 20;
	ck_assert_int_eq(process_run_begin(&spec, &run, NULL), 0);
	ck_assert(!process_run_wait(run, 0.01));
	usleep(1100000);
	while (!process_run_wait(run, 0.01))
		continue;
	ck_assert(process_run_wait(run, 0.01));
	process_run_end(run, &r);
	ck_assert_int_eq(r.exit_code, 0);
	ck_assert_uint_eq(r.output_len, 300004);
	/* Nobody waits for its end. */
	spec = spec_of(SHELL("echo one; exec sleep 1000"));
	ck_assert_int_eq(process_run_begin(&spec, &run, NULL), 0);
	ck_assert(!process_run_wait(run, 0.3));
	process_run_end(run, &killed);
	ck_assert_int_eq(killed.signal, SIGKILL);
	ck_assert_str_eq(killed.output, "one\n");
	ck_assert_int_eq(process_run_begin(&spec, &run, NULL), 0);
	process_run_end(run, NULL);
	process_run_end(NULL, NULL);
	/* Nor before its limit. */
	spec.timeout = 0.1;
	ck_assert_int_eq(process_run_begin(&spec, &run, NULL), 0);
	usleep(200000);
	ck_assert(process_run_wait(run, 10));
	process_run_end(run, &late);
	ck_assert(late.timed_out);
}
END_TEST

START_TEST(kill_twice)
{
	struct process_spec spec = spec_of(SHELL("trap '' TERM; sleep 100"));
	_cleanup_process_ struct process *p = NULL;
	struct process_result r = { 0 };

	ck_assert_int_eq(process_start(&spec, &p, NULL), 0);
	process_kill(p);
	ck_assert(gone(process_pid(p)));
	process_kill(p);
	ck_assert_int_eq(process_poll(p, &r), 0);
	ck_assert_int_eq(r.exit_code, -1);
	ck_assert_int_eq(r.signal, SIGKILL);
	process_free(NULL);
}
END_TEST

START_TEST(start_fails_as_run_does)
{
	struct process_spec spec = spec_of((const char *const[]){ "/nonexistent/x", NULL });
	_cleanup_error_ struct error e = ERROR_INIT;
	struct process *p = NULL;

	ck_assert_int_eq(process_start(&spec, &p, &e), -ENOENT);
	ck_assert_ptr_null(p);
	ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent/x"));
}
END_TEST

START_TEST(nothing_is_left_behind)
{
	struct process_spec spec = spec_of(SHELL("sleep 100 & echo x; echo y >&2"));
	int before = count_descriptors();

	for (int i = 0; i < 20; i++) {
		_cleanup_result_ struct process_result r;
		_cleanup_process_ struct process *p = NULL;
		_cleanup_error_ struct error e = ERROR_INIT;

		ck_assert_int_eq(process_run(&spec, &r, NULL), 0);
		ck_assert_int_eq(process_start(&spec, &p, NULL), 0);
		ck_assert_int_lt(fails("/nonexistent/x", &e), 0);
	}
	ck_assert_int_eq(count_descriptors(), before);
	errno = 0;
	ck_assert(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}
END_TEST

static void *run_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 15; i++) {
		_cleanup_free_ char *script = xasprintf("read x; echo $x; sleep 100 & exit %d", i);
		struct process_spec spec = spec_of(SHELL(script));
		_cleanup_result_ struct process_result r;

		spec.input = "text\n";
		spec.input_len = 5;
		if (process_run(&spec, &r, NULL) < 0 || r.exit_code != i || strcmp(r.output, "text\n") != 0)
			return &dir;
	}
	return NULL;
}

START_TEST(from_several_threads)
{
	pthread_t threads[4];
	int before = count_descriptors();

	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_many, NULL), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

static void refused(const char *path, uid_t uid, const char *why)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(process_check_program(path, uid, &e) == -EPERM, "%s", path);
	ck_assert_msg(strstr(e.message, why), "%s", e.message);
	ck_assert_ptr_nonnull(strstr(e.message, path));
}

START_TEST(who_may_write_a_program)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *path = xstrdup(make_file("hook", "#!/bin/sh\n", 0755));
	_cleanup_free_ char *link = xasprintf("%s/link", dir);

	ck_assert_int_eq(process_check_program(path, geteuid(), &e), 0);
	ck_assert_int_eq(symlink("hook", link), 0);
	ck_assert_int_eq(process_check_program(link, geteuid(), &e), 0);
	chmod(path, 0775);
	refused(path, geteuid(), "go-w");
	refused(link, geteuid(), "go-w");
	chmod(path, 0757);
	refused(path, geteuid(), "go-w");
	chmod(path, 0644);
	refused(path, geteuid(), "chmod +x");
	chmod(path, 0744);
	ck_assert_int_eq(process_check_program(path, geteuid(), &e), 0);
	chmod(dir, 0777);
	refused(path, geteuid(), "directory");
	chmod(dir, 01777);
	ck_assert_int_eq(process_check_program(path, geteuid(), &e), 0);
	refused(dir, geteuid(), "regular file");
	ck_assert_int_eq(process_check_program("/nonexistent/x", 0, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent/x"));
	if (geteuid() != 0) {
		printf("SKIP the rest of who_may_write_a_program: needs root\n");
		return;
	}
	ck_assert_int_eq(process_check_program(path, 1000, &e), 0);
	ck_assert_int_eq(chown(path, 1000, 1000), 0);
	ck_assert_int_eq(process_check_program(path, 1000, &e), 0);
	refused(path, 0, "chown");
	refused(path, 1001, "chown");
}
END_TEST

/* What a program finds, for what_the_program_finds. */
static int probe(int argc, char **argv)
{
	sigset_t mask;
	int blocked = 0, ignored = 0;
	char cwd[PATH_MAX];

	for (int i = 2; i < argc; i++)
		printf("argument: %s\n", argv[i]);
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("descriptor: %d\n", fd);
	/* The value is another for each run. */
	for (char **p = environ; *p; p++)
		if (strncmp(*p, "SHARESD_RUN=", 12) == 0)
			printf("environment: SHARESD_RUN of %zu\n", strspn(*p + 12, "0123456789abcdef"));
		else
			printf("environment: %s\n", *p);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int i = 1; i < NSIG; i++) {
		struct sigaction sa;

		blocked += sigismember(&mask, i) == 1;
		ignored += sigaction(i, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
	}
	printf("own session: %d\nblocked: %d\nignored: %d\numask: %o\n", getsid(0) == getpid(), blocked, ignored,
	       umask(0));
	printf("directory: %s\n", getcwd(cwd, sizeof(cwd)));
	return 0;
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("base_process");
	TCase *t = tcase_create("run"), *start = tcase_create("start");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, input_output_errors);
	tcase_add_test(t, exit_codes);
	tcase_add_test(t, ended_by_a_signal);
	tcase_add_test(t, output_with_nul);
	tcase_add_test(t, large_input_is_read_whole);
	tcase_add_test(t, input_need_not_be_read);
	tcase_add_test(t, no_input_is_end_of_file);
	tcase_add_test(t, too_much_output);
	tcase_add_test(t, output_up_to_the_limit);
	tcase_add_test(t, only_the_end_of_errors);
	tcase_add_test(t, errors_begin_with_a_whole_character);
	tcase_add_test(t, programs_that_cannot_start);
	tcase_add_test(t, limits_that_are_none);
	tcase_add_test(t, a_helper_that_is_none);
	tcase_add_test(t, what_the_program_finds);
	tcase_add_test(t, no_environment_is_an_empty_one);
	tcase_add_test(t, from_a_daemon_without_standard_descriptors);
	tcase_add_test(t, as_another_user);
	tcase_add_test(t, as_another_user_without_root);
	tcase_add_test(t, who_may_write_a_program);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(start, setup, teardown);
	tcase_set_timeout(start, 60);
	tcase_add_test(start, a_program_that_goes_on);
	tcase_add_test(start, waited_for_a_while_at_a_time);
	tcase_add_test(start, kill_twice);
	tcase_add_test(start, start_fails_as_run_does);
	tcase_add_test(start, nothing_is_left_behind);
	tcase_add_test(start, from_several_threads);
	suite_add_tcase(s, start);
	return s;
}

int main(int argc, char **argv)
{
	SRunner *runner;
	ssize_t n;
	int failed;

	if (argc > 1)
		return probe(argc, argv);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return 1;
	runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
