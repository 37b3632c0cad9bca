#include "tests/e2e/harness.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_SECONDS 20
#define STOP_SECONDS  30
#define LOG_TAIL      (32 * 1024)

/* A failed test ends by _exit, so a process of its own watches: when the test goes without having freed the fixture, it
 * ends the daemon, shows the log and removes the directory. */
struct place {
	struct fixture f;
	int keeper_fd; /* the keeper sees its other end close */
	pid_t keeper;
};

/* ---- the keeper ---- */

static void print_log_tail(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (fd < 0)
		return;
	lseek(fd, size > LOG_TAIL ? size - LOG_TAIL : 0, SEEK_SET);
	dprintf(STDERR_FILENO, "---- the daemon's log, %s ----\n", path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		(void)!write(STDERR_FILENO, buf, (size_t)n);
	dprintf(STDERR_FILENO, "---- end of log ----\n");
	close(fd);
}

/* Not by shell(): each assertion there tells Check where it is, and the keeper must not write to Check's file. More
 * than once: what was killed just now may still be at it. */
static void remove_tree(const char *dir)
{
	char command[400];

	snprintf(command, sizeof command, "chmod -R u+rwX '%s' 2>/dev/null; rm -rf '%s' 2>/dev/null", dir, dir);
	for (int i = 0; i < 20 && exists(dir); i++) {
		if (i > 0)
			nap(0.05);
		(void)!system(command);
	}
}

static _Noreturn void keep(struct place *p, int fd)
{
	pid_t daemon = 0, pid;

	setsid(); /* Check kills the group of a test that takes too long */
	for (int sig = SIGHUP; sig <= SIGTERM; sig++)
		signal(sig, sig == SIGCHLD ? SIG_DFL : SIG_IGN);
	while (read(fd, &pid, sizeof pid) == sizeof pid) {
		if (pid < 0)
			_exit(0);
		daemon = pid;
	}
	if (daemon > 0)
		kill(daemon, SIGKILL);
	print_log_tail(p->f.log);
	remove_tree(p->f.dir);
	_exit(0);
}

static void start_keeper(struct place *p)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fflush(NULL);
	p->keeper = fork();
	ck_assert_int_ge(p->keeper, 0);
	if (p->keeper == 0) {
		close(fds[1]);
		keep(p, fds[0]);
	}
	close(fds[0]);
	p->keeper_fd = fds[1];
}

/* The daemon's pid, 0 for none, negative: all is well, go. */
static void tell_keeper(struct fixture *f, pid_t pid)
{
	struct place *p = (struct place *)f;

	ck_assert_int_eq(write(p->keeper_fd, &pid, sizeof pid), (int)sizeof pid);
}

/* ---- the place ---- */

static char *replace_dir(const char *text, const char *dir)
{
	char *out = NULL;
	size_t size = 0;
	FILE *m = open_memstream(&out, &size);
	const char *mark;

	ck_assert_ptr_nonnull(m);
	while ((mark = strstr(text, "@DIR@")) != NULL) {
		fprintf(m, "%.*s%s", (int)(mark - text), text, dir);
		text = mark + strlen("@DIR@");
	}
	fputs(text, m);
	fclose(m);
	return out;
}

static void make_roots(const struct fixture *f, const char *body)
{
	static const char mark[] = "root = \"@DIR@/";
	char rest[256];

	for (const char *s = body; (s = strstr(s, mark)) != NULL;) {
		s += sizeof mark - 1;
		if (sscanf(s, "%255[^\"]", rest) == 1)
			ck_assert_int_eq(shell(NULL, "mkdir -p '%s/%s'", f->dir, rest), 0);
	}
}

void fixture_conf(struct fixture *f, const char *body)
{
	char head[512], *text = replace_dir(body, f->dir);
	FILE *out = fopen(f->conf, "we");

	ck_assert_ptr_nonnull(out);
	snprintf(head, sizeof head, "state_dir = \"%s/state\"\nsocket = \"%s\"\n", f->dir, f->socket);
	fputs(head, out);
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
	free(text);
	make_roots(f, body);
}

struct fixture *fixture_new(const char *body)
{
	struct place *p = calloc(1, sizeof *p);
	struct fixture *f = &p->f;
	const char *tmp = getenv("TMPDIR");

	umask(0022);
	snprintf(f->dir, sizeof f->dir, "%s/sharesd-e2e-XXXXXX", tmp && *tmp && strlen(tmp) < 60 ? tmp : "/tmp");
	ck_assert_msg(mkdtemp(f->dir) != NULL, "cannot make %s: %s", f->dir, strerror(errno));
	ck_assert_int_eq(chmod(f->dir, 0755), 0);
	snprintf(f->conf, sizeof f->conf, "%s/sharesd.conf", f->dir);
	snprintf(f->socket, sizeof f->socket, "%s/sock", f->dir);
	snprintf(f->log, sizeof f->log, "%s/log", f->dir);
	start_keeper(p);
	fixture_conf(f, body);
	return f;
}

const char *fixture_path(const struct fixture *f, const char *fmt, ...)
{
	static char paths[8][4200];
	static unsigned next;
	char *path = paths[next++ % 8];
	size_t n = (size_t)snprintf(path, sizeof paths[0], "%s/", f->dir);
	va_list ap;

	va_start(ap, fmt);
	ck_assert_uint_lt((size_t)vsnprintf(path + n, sizeof paths[0] - n, fmt, ap), sizeof paths[0] - n);
	va_end(ap);
	return path;
}

const char *fixture_program(struct fixture *f, const char *name, const char *text)
{
	static char path[512];
	char *full = replace_dir(text, f->dir);

	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	write_file(path, full);
	ck_assert_int_eq(chmod(path, 0755), 0);
	free(full);
	return path;
}

const char *program_path(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8], self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	ck_assert_int_gt(n, 0);
	self[n] = '\0';
	/* DIR/tests/test_x -> DIR */
	for (int i = 0; i < 2; i++)
		*strrchr(self, '/') = '\0';
	snprintf(path, sizeof paths[0], "%s/%s", self, name);
	ck_assert_msg(access(path, F_OK) == 0, "%s is not there: build it first", path);
	return path;
}

/* ---- the log ---- */

char *fixture_log(const struct fixture *f)
{
	char *text = read_text(f->log);

	return text ? text : calloc(1, 1);
}

bool fixture_log_has(const struct fixture *f, const char *text)
{
	char *log = fixture_log(f);
	bool has = strstr(log, text) != NULL;

	free(log);
	return has;
}

static void check_sanitizers(const struct fixture *f)
{
	static const char *const marks[] = { "AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
					     "runtime error: " };

	char *log = fixture_log(f);

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		ck_assert_msg(!strstr(log, marks[i]), "the daemon's log holds a report: %s", marks[i]);
	free(log);
}

/* ---- start and stop ---- */

/* Another user may not be able to reach the build. */
static void copy_programs(const struct fixture *f)
{
	ck_assert_int_eq(shell(NULL, "mkdir -p '%s/bin' && cp -r '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s/bin'",
			       f->dir, program_path("sharesd"), program_path("sharesctl"),
			       program_path("sharesd-contain"), program_path("sharesd-tree"),
			       program_path("sharesd-transfer"), program_path("sharesd-http.so"),
			       program_path("sharesd-python"), program_path("python"), f->dir),
			 0);
}

static void hold_program(struct fixture *f, const char *name)
{
	_cleanup_free_ char *path = xasprintf("bin/%s", name), *text = NULL;

	ck_assert_int_eq(shell(NULL, "mv %s/%s %s/%s.held", f->dir, path, f->dir, path), 0);
	text = xasprintf("#!/bin/sh\necho '{\"bytes\":1000,\"percent\":1.5}'\nwhile [ -e @DIR@/hold ]; do sleep 0.01; "
			 "done\nexec @DIR@/%s.held \"$@\"\n",
			 path);
	fixture_program(f, path, text);
}

void fixture_hold_work(struct fixture *f)
{
	if (!exists(fixture_path(f, "bin"))) {
		copy_programs(f);
		hold_program(f, "sharesd-tree");
		hold_program(f, "sharesd-transfer");
	}
	write_file(fixture_path(f, "hold"), "");
}

void fixture_release_work(struct fixture *f)
{
	ck_assert_int_eq(unlink(fixture_path(f, "hold")), 0);
}

static _Noreturn void become_daemon(const struct fixture *f, const char *const *env, uid_t uid)
{
	const char *own = fixture_path(f, "bin/sharesd"), *program = exists(own) ? own : program_path("sharesd");
	int log = open(f->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	for (; env && *env; env++)
		putenv((char *)*env);
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	if (uid != (uid_t)-1 &&
	    (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)) {
		dprintf(STDERR_FILENO, "cannot become uid %u: %s\n", (unsigned)uid, strerror(errno));
		_exit(126);
	}
	execl(program, "sharesd", "--config", f->conf, (char *)NULL);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

void fixture_spawn(struct fixture *f, const char *const *env, uid_t uid)
{
	ck_assert_int_eq(f->pid, 0);
	if (uid != (uid_t)-1 && !exists(fixture_path(f, "bin")))
		copy_programs(f);
	if (uid != (uid_t)-1)
		ck_assert_int_eq(shell(NULL, "chown -R %u:%u '%s'", (unsigned)uid, (unsigned)uid, f->dir), 0);
	fflush(NULL);
	f->pid = fork();
	ck_assert_int_ge(f->pid, 0);
	if (f->pid == 0)
		become_daemon(f, env, uid);
	tell_keeper(f, f->pid);
}

/* -1: it cannot be asked yet. The connection may be to a daemon that was killed: a helper of it that was just being
 * started holds its socket for a moment. */
static int count_starting(const struct fixture *f)
{
	struct client *c = client_try(f);
	json_t *reply, *backends;
	int n;

	if (!c)
		return -1;
	client_send_request(c, "list_backends", json_pack("{s:i}", "limit", 1000));
	reply = client_read(c);
	backends = reply ? at(reply, "result.backends") : NULL;
	n = reply ? 0 : -1;
	for (size_t i = 0; i < json_array_size(backends); i++)
		n += strcmp(str_at(json_array_get(backends, i), "status"), "starting") == 0;
	json_decref(reply);
	client_free(c);
	return n;
}

void fixture_wait_started(struct fixture *f)
{
	double until = now() + START_SECONDS;

	while (count_starting(f) != 0) {
		ck_assert_msg(!fixture_wait_end(f, 0), "the daemon ended at its start, wait status %d", f->status);
		ck_assert_msg(now() < until, "the daemon has not started after %d s", START_SECONDS);
		nap(0.01);
	}
}

void fixture_start(struct fixture *f, const char *const *env, uid_t uid)
{
	fixture_spawn(f, env, uid);
	fixture_wait_started(f);
}

bool fixture_wait_end(struct fixture *f, double seconds)
{
	double until = now() + seconds;

	while (f->pid) {
		pid_t r = waitpid(f->pid, &f->status, WNOHANG);

		ck_assert_int_ge(r, 0);
		if (r == f->pid) {
			f->pid = 0;
			tell_keeper(f, 0);
			break;
		}
		if (now() >= until)
			return false;
		nap(0.005);
	}
	return true;
}

void fixture_stop(struct fixture *f)
{
	ck_assert_int_gt(f->pid, 0);
	kill(f->pid, SIGTERM);
	ck_assert_msg(fixture_wait_end(f, STOP_SECONDS), "the daemon has not ended %d s after SIGTERM", STOP_SECONDS);
	ck_assert_msg(WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0, "the daemon ended with wait status %d",
		      f->status);
	check_sanitizers(f);
}

void fixture_kill(struct fixture *f)
{
	ck_assert_int_gt(f->pid, 0);
	kill(f->pid, SIGKILL);
	ck_assert(fixture_wait_end(f, STOP_SECONDS));
}

void fixture_hup(struct fixture *f)
{
	ck_assert_int_gt(f->pid, 0);
	kill(f->pid, SIGHUP);
}

void fixture_free(struct fixture *f)
{
	struct place *p = (struct place *)f;

	if (!f)
		return;
	if (f->pid)
		fixture_stop(f);
	check_sanitizers(f);
	tell_keeper(f, -1);
	close(p->keeper_fd);
	waitpid(p->keeper, NULL, 0);
	remove_tree(f->dir);
	free(p);
}
