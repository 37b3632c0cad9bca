#include "base/process.h"

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/contain.h"
#include "base/mem.h"
#include "base/process_private.h"
#include "base/stray.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The program's 0, 1, 2 and the helper's CONTAIN_FD. */
#define CHANNELS (CONTAIN_FD + 1)
/* All that the helper gets. */
#define ENDS (CONTAIN_GROUP_FD + 1)
/* For process_start, which has no limit of its own: a machine that takes longer to start a program is in trouble. */
#define START_LIMIT 30.0
#define HELPER_NAME "sharesd-contain"

struct ends {
	int fd[ENDS]; /* -1: none */
};

static char helper_path[PATH_MAX];
static pthread_once_t helper_once = PTHREAD_ONCE_INIT;

void process_set_helper(const char *path)
{
	snprintf(helper_path, sizeof(helper_path), "%s", path);
}

static bool try_helper(const char *format, const char *directory)
{
	_cleanup_free_ char *path = NULL;

	path = xasprintf("%s/%s" HELPER_NAME, directory, format);
	if (access(path, X_OK) < 0)
		return false;
	process_set_helper(path);
	return true;
}

static void find_helper(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (helper_path[0] != '\0')
		return;
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		/* "..": programs that lie one below, as tests do. */
		if (try_helper("", self) || try_helper("../", self))
			return;
	}
	process_set_helper(SHARESD_LIBEXEC "/" HELPER_NAME);
}

const char *process_helper(void)
{
	pthread_once(&helper_once, find_helper);
	return helper_path;
}

const char *process_containment(void)
{
	return cgroup_holds() ? "cgroup" : "subreaper";
}

char *process_beside_helper(const char *name)
{
	const char *helper = process_helper();
	const char *slash = strrchr(helper, '/');

	return xasprintf("%.*s/%s", slash ? (int)(slash - helper) : 1, slash ? helper : ".", name);
}

int process_wait_ms(double deadline)
{
	double left = (deadline - text_monotonic()) * 1000;

	if (left <= 0)
		return 0;
	return left > 3600 * 1000.0 ? 3600 * 1000 : (int)left + 1;
}

static void ends_close(struct ends *ends)
{
	for (int i = 0; i < ENDS; i++)
		if (ends->fd[i] >= 0)
			close(take_fd(ends->fd[i]));
}

/* Above the numbers that the helper's descriptors get: else one dup2 would overwrite the source of another. */
static int lift(int *fd)
{
	int high;

	if (*fd >= ENDS)
		return 0;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, ENDS);
	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

/* Both ends are ours to close, also on failure; -1 where there is none. */
static int make_channel(int target, int *ret_ours, int *ret_theirs)
{
	int fds[2], r;

	if (target == CONTAIN_FD)
		r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
	else
		r = pipe2(fds, O_CLOEXEC);
	if (r < 0)
		return -errno;
	*ret_ours = fds[target == STDIN_FILENO];
	*ret_theirs = fds[target != STDIN_FILENO];
	r = lift(ret_theirs);
	if (r == 0 && fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	return r;
}

static int make_channels(struct process *p, struct ends *theirs)
{
	int *ours[CHANNELS] = { &p->in, &p->out, &p->err, &p->control };

	for (int i = 0; i < CHANNELS; i++) {
		int r = make_channel(i, ours[i], &theirs->fd[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Its control group, where it is to have one and there are any. */
static int make_group(struct process *p, const struct process_spec *spec, struct ends *theirs)
{
	p->group = spec->group ? cgroup_make() : NULL;
	if (!p->group)
		return 0;
	theirs->fd[CONTAIN_GROUP_FD] = fcntl(cgroup_fd(p->group), F_DUPFD_CLOEXEC, ENDS);
	return theirs->fd[CONTAIN_GROUP_FD] < 0 ? -errno : 0;
}

static const char **helper_argv(const struct process_spec *spec, bool group)
{
	size_t n = 0;
	const char **argv;

	while (spec->argv[n])
		n++;
	argv = xcalloc(n + 4, sizeof(*argv));
	argv[0] = HELPER_NAME;
	argv[1] = spec->user ? spec->user : "";
	argv[2] = group ? "group" : "";
	memcpy(argv + 3, spec->argv, n * sizeof(*argv));
	return argv;
}

static const char **marked_env(const struct process_spec *spec, const char *mark)
{
	size_t n = 0;
	const char **env;

	while (spec->env && spec->env[n])
		n++;
	env = xcalloc(n + 2, sizeof(*env));
	if (n > 0)
		memcpy(env, spec->env, n * sizeof(*env));
	env[n] = mark;
	return env;
}

/* Returns 0 or an errno, as posix_spawn does. A session of its own: what ends the daemon's whole process group must
 * leave the helper to clear up. */
static int spawn(const struct process_spec *spec, const struct ends *theirs, const char *mark, pid_t *ret)
{
	_cleanup_free_ const char **argv = helper_argv(spec, theirs->fd[CONTAIN_GROUP_FD] >= 0);
	_cleanup_free_ const char **env = marked_env(spec, mark);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int r = 0;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < ENDS && r == 0; i++)
		if (theirs->fd[i] >= 0)
			r = posix_spawn_file_actions_adddup2(&actions, theirs->fd[i], i);
	if (r == 0)
		r = posix_spawn(ret, process_helper(), &actions, &attr, (char **)argv, (char **)env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r;
}

static int spawn_helper(struct process *p, const struct process_spec *spec, struct error *e)
{
	struct ends theirs __attribute__((__cleanup__(ends_close))) = { { -1, -1, -1, -1, -1 } };
	int r;

	r = make_channels(p, &theirs);
	if (r == 0)
		r = make_group(p, spec, &theirs);
	if (r < 0)
		return error_errno(e, -r, "cannot make the pipes to run %s", spec->argv[0]);
	r = stray_mark(p->mark);
	if (r < 0)
		return error_errno(e, -r, "cannot run %s, for there are no random numbers", spec->argv[0]);
	r = spawn(spec, &theirs, p->mark, &p->helper);
	if (r != 0) {
		p->helper = 0;
		return error_errno(e, r, "cannot run %s, for its helper %s cannot be started", spec->argv[0],
				   process_helper());
	}
	p->pidfd = pidfd_open(p->helper, 0);
	if (p->pidfd < 0)
		return error_errno(e, errno, "cannot watch %s", spec->argv[0]);
	return 0;
}

static int exec_failure(const struct process_spec *spec, int err, struct error *e)
{
	const char *program = spec->argv[0];

	if (err == ENOENT && access(program, F_OK) == 0)
		return error_set(e, ERR_DRIVER_FAILED, err,
				 "cannot run %s: the interpreter that its first line names is not there", program);
	if (err == ENOEXEC)
		return error_set(
			e, ERR_DRIVER_FAILED, err,
			"cannot run %s: it is neither a program nor a script whose first line is \"#!INTERPRETER\"",
			program);
	if (err == EACCES && spec->user)
		return error_set(e, ERR_DRIVER_FAILED, err, "cannot run %s: user \"%s\" may not execute it", program,
				 spec->user);
	if (err == EACCES)
		return error_set(e, ERR_DRIVER_FAILED, err, "cannot run %s: Permission denied (is it executable?)",
				 program);
	return error_errno(e, err, "cannot run %s", program);
}

static int start_failure(const struct process_spec *spec, const struct contain_message *m, struct error *e)
{
	switch ((enum contain_word)m->word) {
	case CONTAIN_NO_USER:
		if (m->value == ENOENT)
			return error_set(e, ERR_DRIVER_FAILED, ENOENT,
					 "cannot run %s as user \"%s\": there is no such user", spec->argv[0],
					 spec->user);
		return error_errno(e, m->value, "cannot run %s as user \"%s\"", spec->argv[0], spec->user);
	case CONTAIN_NO_SWITCH:
		return error_errno(e, m->value, "cannot run %s as user \"%s\" (only root may become another)",
				   spec->argv[0], spec->user);
	case CONTAIN_NO_GROUP:
		return error_errno(e, m->value, "cannot run %s in a control group of its own", spec->argv[0]);
	case CONTAIN_NO_EXEC:
		return exec_failure(spec, m->value, e);
	case CONTAIN_STARTED:
	case CONTAIN_ENDED:
		break;
	}
	return error_set(e, ERR_INTERNAL, EPROTO, "cannot run %s: %s is not of this version", spec->argv[0],
			 process_helper());
}

/* One message of the helper; -EAGAIN: none yet; -EPIPE: it has hung up. */
static int receive(const struct process *p, struct contain_message *ret)
{
	ssize_t n;

	do
		n = recv(p->control, ret, sizeof(*ret), 0);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*ret))
		return 0;
	return n < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
}

static int await_start(struct process *p, const struct process_spec *spec, double deadline, struct error *e)
{
	struct pollfd fd = { .fd = p->control, .events = POLLIN };
	struct contain_message m;
	int r;

	while ((r = receive(p, &m)) == -EAGAIN) {
		int ms = process_wait_ms(deadline);

		if (ms == 0)
			return error_set(e, ERR_DRIVER_FAILED, ETIMEDOUT, "cannot run %s: it did not start in time",
					 spec->argv[0]);
		(void)poll(&fd, 1, ms);
	}
	if (r < 0)
		return error_set(e, ERR_DRIVER_FAILED, EPIPE, "cannot run %s: its helper %s died", spec->argv[0],
				 process_helper());
	if (m.word != CONTAIN_STARTED)
		return start_failure(spec, &m, e);
	p->program = m.value;
	return 0;
}

int process_start_until(const struct process_spec *spec, double deadline, struct process **ret, struct error *e)
{
	struct process *p __attribute__((__cleanup__(process_freep))) = NULL;
	int r;

	if (!spec->argv[0] || spec->argv[0][0] != '/')
		return error_set(e, ERR_INTERNAL, EINVAL, "cannot run \"%s\": it is no absolute path",
				 spec->argv[0] ? spec->argv[0] : "");
	p = xmalloc(sizeof(*p));
	*p = (struct process){ .pidfd = -1, .control = -1, .in = -1, .out = -1, .err = -1 };
	p->started = text_monotonic();
	r = spawn_helper(p, spec, e);
	if (r == 0)
		r = await_start(p, spec, deadline, e);
	if (r == 0)
		*ret = take_ptr(p);
	return r;
}

int process_start(const struct process_spec *spec, struct process **ret, struct error *e)
{
	return process_start_until(spec, text_monotonic() + START_LIMIT, ret, e);
}

void process_listen(struct process *p)
{
	struct contain_message m;
	int r = -EAGAIN;

	while (p->control >= 0 && (r = receive(p, &m)) == 0)
		if (m.word == CONTAIN_ENDED) {
			p->ended = true;
			p->status = m.value;
		}
	if (r == -EPIPE)
		close(take_fd(p->control));
}

static void end_group(struct process *p)
{
	cgroup_end(p->group, PROCESS_KILL_LIMIT);
	p->group = NULL;
}

/* The helper was killed, and the program with it: nobody else ends what is left of both, in whatever session, and
 * group, for the daemon's own user may leave that. */
static void end_strays(const struct process *p)
{
	if (p->program > 1)
		kill(-p->program, SIGKILL);
	stray_kill(p->mark, PROCESS_KILL_LIMIT);
}

/* The helper has ended, or is about to. */
static void reap_helper(struct process *p)
{
	siginfo_t info = { 0 };
	bool killed;

	if (p->helper == 0)
		return;
	while (waitid(P_PID, (id_t)p->helper, &info, WEXITED) < 0 && errno == EINTR)
		continue;
	p->helper = 0;
	end_group(p);
	process_listen(p);
	killed = info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
	if (p->ended && !killed)
		return;
	if (killed || p->program > 1)
		end_strays(p);
	if (!p->ended)
		p->status = SIGKILL;
	p->ended = true;
}

void process_kill(struct process *p)
{
	double deadline = text_monotonic() + PROCESS_KILL_LIMIT;
	struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };
	int ms, n = 0;

	if (p->helper == 0)
		return;
	/* Not close: a copy of the descriptor in some other process must not keep the tree alive. */
	if (p->control >= 0)
		shutdown(p->control, SHUT_WR);
	while (p->pidfd >= 0 && (ms = process_wait_ms(deadline)) > 0 && (n = poll(&fd, 1, ms)) <= 0)
		continue;
	if (n <= 0)
		kill(p->helper, SIGKILL); /* not reaped yet, so the number is still its own */
	reap_helper(p);
}

int process_poll(struct process *p, struct process_result *ret)
{
	struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };

	if (p->helper != 0 && poll(&fd, 1, 0) <= 0)
		return -EAGAIN;
	reap_helper(p);
	*ret = (struct process_result){ .seconds = text_monotonic() - p->started };
	process_fate(p, ret);
	return 0;
}

void process_fate(const struct process *p, struct process_result *ret)
{
	bool exited = WIFEXITED(p->status);

	ret->exit_code = exited ? WEXITSTATUS(p->status) : -1;
	ret->signal = exited ? 0 : WTERMSIG(p->status);
}

void process_free(struct process *p)
{
	if (!p)
		return;
	process_kill(p);
	end_group(p);
	cleanup_close(&p->pidfd);
	cleanup_close(&p->control);
	cleanup_close(&p->in);
	cleanup_close(&p->out);
	cleanup_close(&p->err);
	free(p);
}

void process_freep(struct process **p)
{
	process_free(*p);
}

int process_stdin(const struct process *p)
{
	return p->in;
}

int process_stdout(const struct process *p)
{
	return p->out;
}

int process_stderr(const struct process *p)
{
	return p->err;
}

int process_pidfd(const struct process *p)
{
	return p->pidfd;
}

pid_t process_pid(const struct process *p)
{
	return p->program;
}

void process_close_stdin(struct process *p)
{
	if (p->in >= 0)
		close(take_fd(p->in));
}
