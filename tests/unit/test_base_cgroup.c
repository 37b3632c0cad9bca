/* Control groups of hook processes, in a real hierarchy: a group made for the test is delegated to it, which so stands
 * in for the daemon in its unit. */
#include "tests/unit/process_util.h"

#include "base/cgroup.h"
#include "base/process_launch.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static char mount[256], home[512], place[600];
static char reason[700];

/* ---- where it happens ---- */

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void find_mount(void)
{
	FILE *f =
		popen("awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo; sed -n s/^0:://p /proc/self/cgroup",
		      "re");
	char own[256];

	if (!f || fscanf(f, "%255s %255s", mount, own) != 2)
		snprintf(reason, sizeof(reason), "no control groups v2 are mounted here");
	else
		snprintf(home, sizeof(home), "%s%s", mount, strcmp(own, "/") == 0 ? "" : own);
	if (f)
		pclose(f);
}

static void delegate(const char *value)
{
	ck_assert_int_eq(setxattr(place, "user.delegate", value, strlen(value), 0), 0);
}

/* The test goes into the group. */
static void make_place(void)
{
	_cleanup_free_ char *procs = NULL;

	if (reason[0])
		return;
	snprintf(place, sizeof(place), "%s/sharesd-test.%d", home, (int)getpid());
	procs = xasprintf("%s/cgroup.procs", place);
	if (mkdir(place, 0755) < 0 || write_text(procs, "0") < 0)
		snprintf(reason, sizeof(reason), "cannot make and use %s: %s", place, strerror(errno));
	else
		delegate("1");
}

static void begin(void)
{
	setup();
	make_place();
}

static int remove_group(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

static void end(void)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", home), *kill_all = xasprintf("%s/cgroup.kill", place);

	cgroup_setup_end();
	teardown();
	if (reason[0])
		return;
	ck_assert_int_eq(write_text(procs, "0"), 0);
	write_text(kill_all, "1");
	/* What was killed may take a moment to go. */
	for (int i = 0; i < 1000 && access(place, F_OK) == 0; i++) {
		nftw(place, remove_group, 8, FTW_DEPTH | FTW_PHYS);
		poll(NULL, 0, 5);
	}
}

static bool is_there(const char *name)
{
	const char *ci = getenv("CI");

	if (!reason[0])
		return true;
	printf("SKIP %s: %s\n", name, reason);
	if (ci && *ci)
		ck_abort_msg("%s must not be skipped by CI: %s", name, reason);
	return false;
}

static void set_up_groups(void)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(cgroup_setup(&e) == 0, "%s", e.message);
	ck_assert(cgroup_holds());
}

/* How many groups lie in a directory. */
static int count_groups(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *entry;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)))
		n += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	return n;
}

static char *base_of(pid_t pid)
{
	return xasprintf("%s/sharesd-hooks.%d", place, (int)pid);
}

/* A zombie is: it may have to wait for an init that comes round to it. */
static bool is_dead(pid_t pid)
{
	unsigned long long start;

	return process_start_time(pid, &start) == -ESRCH;
}

static bool dies(pid_t pid)
{
	double deadline = text_monotonic() + 20;

	while (!is_dead(pid) && text_monotonic() < deadline)
		poll(NULL, 0, 5);
	return is_dead(pid);
}

static void nothing_is_left(void)
{
	_cleanup_free_ char *base = base_of(getpid());

	ck_assert_int_eq(count_groups(base), 0);
}

/* As the filter of a unit with RestrictNamespaces= does. */
static void take_away_clone3(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = COUNT(code), .filter = code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static struct process_result run_in_group(const char *script, double timeout)
{
	struct process_spec spec = spec_of(SHELL(script));
	_cleanup_error_ struct error e = ERROR_INIT;
	struct process_result r;

	spec.group = true;
	spec.timeout = timeout;
	ck_assert_msg(process_run(&spec, &r, &e) == 0, "%s", e.message);
	return r;
}

/* ---- tests ---- */

START_TEST(a_group_for_each_run)
{
	_cleanup_result_ struct process_result r = { 0 }, own = { 0 };
	_cleanup_free_ char *expected = NULL, *base = base_of(getpid());

	if (!is_there("a_group_for_each_run"))
		return;
	if (_i)
		take_away_clone3();
	set_up_groups();
	ck_assert_str_eq(process_containment(), "cgroup");
	/* Its own, and its helper's. */
	r = run_in_group("sed -n s/^0:://p /proc/self/cgroup /proc/$PPID/cgroup; ls /proc/self/fd; exit 3", 20);
	ck_assert_int_eq(r.exit_code, 3);
	expected = xasprintf("%s/1\n%s\n0\n1\n2\n3\n", base + strlen(mount), place + strlen(mount));
	ck_assert_str_eq(r.output, expected);
	nothing_is_left();
	/* Who does not ask for one goes where we are. */
	own = run(SHELL("sed -n s/^0:://p /proc/self/cgroup"));
	free(expected);
	expected = xasprintf("%s\n", place + strlen(mount));
	ck_assert_str_eq(own.output, expected);
}
END_TEST

/* A grandchild that nothing else finds: two forks and a session away, without the mark of the run in its environment,
 * and the helper is dead. */
#define ESCAPE                                                                                                         \
	"cd %s; rm -f pid; echo $PPID >helper; (env -i setsid /bin/sh -c "                                             \
	"'/bin/sh -c \"echo \\$\\$ >pid; kill -9 \\$(cat helper); exec sleep 100\" &' &); sleep 100"

START_TEST(nobody_escapes)
{
	_cleanup_free_ char *script = xasprintf(ESCAPE, dir);
	_cleanup_result_ struct process_result r = { 0 }, free_one = { 0 };

	if (!is_there("nobody_escapes"))
		return;
	if (_i)
		take_away_clone3();
	set_up_groups();
	r = run_in_group(script, 20);
	ck_assert_int_eq(r.signal, SIGKILL);
	ck_assert(!r.timed_out);
	ck_assert_int_gt(read_pid("pid"), 1);
	ck_assert(dies(read_pid("pid")));
	nothing_is_left();
	/* It is the group that got it. */
	free_one = run(SHELL(script));
	ck_assert_int_eq(free_one.signal, SIGKILL);
	ck_assert_int_gt(read_pid("pid"), 1);
	ck_assert(!is_dead(read_pid("pid")));
	kill(read_pid("pid"), SIGKILL);
}
END_TEST

/* Its own, and one of them frozen. */
START_TEST(groups_below)
{
	_cleanup_free_ char *base = base_of(getpid());
	_cleanup_free_ char *script =
		xasprintf("cd %s/1; mkdir -p a/b; setsid sleep 100 & echo $! >%s/pid; cat %s/pid >a/b/cgroup.procs; "
			  "echo 1 >a/cgroup.freeze; echo frozen; sleep 100",
			  base, dir, dir);
	struct process_spec spec = spec_of(SHELL(script));
	_cleanup_process_ struct process *p = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	struct pollfd fd = { .events = POLLIN };

	if (!is_there("groups_below"))
		return;
	set_up_groups();
	spec.group = true;
	ck_assert_msg(process_start(&spec, &p, &e) == 0, "%s", e.message);
	fd.fd = process_stdout(p);
	ck_assert_int_eq(poll(&fd, 1, 20000), 1);
	ck_assert_int_gt(read_pid("pid"), 1);
	ck_assert(!is_dead(read_pid("pid")));
	process_kill(p);
	ck_assert(dies(read_pid("pid")));
	nothing_is_left();
}
END_TEST

/* Another user cannot leave its group, nor keep it. */
START_TEST(another_user)
{
	_cleanup_free_ char *script =
		xasprintf("id -u; for g in %s %s; do echo $$ >$g/cgroup.procs || echo no; done", place, home);
	struct process_spec spec = spec_of(SHELL(script));
	_cleanup_result_ struct process_result r = { 0 };
	_cleanup_error_ struct error e = ERROR_INIT;

	if (!is_there("another_user"))
		return;
	set_up_groups();
	spec.group = true;
	spec.user = "65534";
	ck_assert_msg(process_run(&spec, &r, &e) == 0, "%s", e.message);
	ck_assert_str_eq(r.output, "65534\nno\nno\n");
	nothing_is_left();
}
END_TEST

START_TEST(what_does_not_start)
{
	struct process_spec spec = spec_of((const char *const[]){ "/nonexistent", NULL });
	_cleanup_error_ struct error e = ERROR_INIT;
	struct process_result r;

	if (!is_there("what_does_not_start"))
		return;
	set_up_groups();
	spec.group = true;
	ck_assert_int_eq(process_run(&spec, &r, &e), -ENOENT);
	nothing_is_left();
}
END_TEST

START_TEST(not_delegated)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_result_ struct process_result r = { 0 };

	if (!is_there("not_delegated"))
		return;
	delegate("0");
	ck_assert_int_eq(cgroup_setup(&e), -ENOENT);
	ck_assert_ptr_null(e.message);
	ck_assert_ptr_null(cgroup_make());
	ck_assert_str_eq(process_containment(), "subreaper");
	r = run_in_group("exit 4", 20);
	ck_assert_int_eq(r.exit_code, 4);
	ck_assert_int_eq(count_groups(place), 0);
}
END_TEST

/* Delegated, but there is no room for groups: a failure with its reason; later, the helper alone. */
START_TEST(no_room)
{
	_cleanup_free_ char *room = xasprintf("%s/cgroup.max.descendants", place);
	_cleanup_error_ struct error e = ERROR_INIT;

	if (!is_there("no_room"))
		return;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_text(room, i ? "1" : "0"), 0);
		ck_assert_int_eq(cgroup_setup(&e), -EAGAIN);
		ck_assert_msg(strstr(e.message, "sharesd-hooks.") != NULL, "%s", e.message);
		ck_assert_str_eq(process_containment(), "subreaper");
		ck_assert_int_eq(count_groups(place), 0);
		error_clear(&e);
	}
	ck_assert_int_eq(write_text(room, "2"), 0);
	set_up_groups();
	for (int i = 0; i < 2; i++) {
		_cleanup_result_ struct process_result r = { 0 };

		ck_assert_int_eq(write_text(room, i ? "2" : "1"), 0);
		r = run_in_group("exit 4", 20);
		ck_assert_int_eq(r.exit_code, 4);
		ck_assert_str_eq(process_containment(), i ? "cgroup" : "subreaper");
	}
}
END_TEST

/* A daemon that runs `script` in a group, tells when that has said something, and goes on. */
static pid_t start_daemon(const char *script)
{
	int fds[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct process_spec spec = spec_of(SHELL(script));
		struct process *p;

		spec.group = true;
		if (cgroup_setup(NULL) < 0 || process_start(&spec, &p, NULL) < 0 ||
		    poll(&(struct pollfd){ .fd = process_stdout(p), .events = POLLIN }, 1, 20000) != 1 ||
		    write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

/* What a daemon left that was killed, with the helper; one that lives keeps what it has. */
START_TEST(left_over)
{
	_cleanup_free_ char *left = xasprintf("cd %s; echo $PPID >helper; (env -i setsid sleep 100 & echo $! >left; "
					      "echo up); sleep 100",
					      dir);
	_cleanup_free_ char *kept = xasprintf("cd %s; echo $$ >kept; echo up; sleep 100", dir);
	pid_t crashed, alive;

	if (!is_there("left_over"))
		return;
	crashed = start_daemon(left);
	alive = start_daemon(kept);
	kill(crashed, SIGSTOP); /* so it cannot clear up */
	ck_assert_int_eq(waitpid(crashed, NULL, WUNTRACED), crashed);
	kill(read_pid("helper"), SIGKILL);
	kill(crashed, SIGKILL);
	waitpid(crashed, NULL, 0);
	ck_assert_int_gt(read_pid("left"), 1);
	ck_assert(!is_dead(read_pid("left")));
	set_up_groups();
	ck_assert(dies(read_pid("left")));
	_cleanup_free_ char *base = base_of(crashed), *other = base_of(alive);
	ck_assert_int_lt(access(base, F_OK), 0);
	ck_assert_int_eq(count_groups(other), 1);
	ck_assert(!is_dead(read_pid("kept")));
	ck_assert_int_eq(count_groups(place), 2);
	kill(alive, SIGKILL);
	waitpid(alive, NULL, 0);
	ck_assert(gone_within(read_pid("kept"), 8.0));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("base_cgroup");
	TCase *t = tcase_create("cgroup");

	tcase_add_checked_fixture(t, begin, end);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_group_for_each_run, 0, 2);
	tcase_add_loop_test(t, nobody_escapes, 0, 2);
	tcase_add_test(t, groups_below);
	tcase_add_test(t, another_user);
	tcase_add_test(t, what_does_not_start);
	tcase_add_test(t, not_delegated);
	tcase_add_test(t, no_room);
	tcase_add_test(t, left_over);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner;
	int failed;

	if (geteuid() != 0)
		snprintf(reason, sizeof(reason), "needs root");
	else
		find_mount();
	runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
