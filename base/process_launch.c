#include "base/process_launch.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Where the channel lies in the new process; the next higher and all above are closed. */
#define CHANNEL 3

/* ---- in the new process: a copy of ours with one thread, so only what is safe in signal handlers ---- */

static void default_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &action, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The three are above CHANNEL, so no dup2 overwrites the source of another. */
static bool take_descriptors(int nothing, int output, int channel)
{
	return dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
	       dup2(output, STDERR_FILENO) >= 0 && dup2(channel, CHANNEL) >= 0 &&
	       fcntl(CHANNEL, F_SETFD, FD_CLOEXEC) == 0 && close_range(CHANNEL + 1, ~0U, 0) == 0;
}

/* `netns` is -1 or a descriptor. */
static void become(const char *const *argv, const char *const *env, const int fds[3], int netns)
{
	char go;
	int err;

	default_signals();
	(void)setsid();
	umask(022);
	if (chdir("/") == 0 && (netns < 0 || setns(netns, CLONE_NEWNET) == 0) &&
	    take_descriptors(fds[0], fds[1], fds[2])) {
		/* End of file: who started us is no more. */
		if (read(CHANNEL, &go, 1) != 1)
			_exit(0);
		execve(argv[0], (char *const *)argv, (char *const *)env);
	}
	err = errno;
	(void)send(CHANNEL, &err, sizeof(err), MSG_NOSIGNAL);
	_exit(127);
}

/* ---- in ours ---- */

/* A copy above what the new process gives other meanings to. */
static int lifted(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, CHANNEL + 1);
}

/* A fork, where other programs are started cheaper: servers are started some few times in a life, and this way nothing
 * runs before it is written down. */
static int hold(const char *const *argv, const char *const *env, const int fds[3], int netns, struct process_launch *l)
{
	sigset_t all, saved;
	int err;

	/* No handler of ours may run in the copy. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	l->pid = fork();
	if (l->pid == 0)
		become(argv, env, fds, netns);
	err = errno;
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (l->pid < 0) {
		l->pid = 0;
		return -err;
	}
	l->pidfd = pidfd_open(l->pid, 0);
	return l->pidfd < 0 ? -errno : 0;
}

int process_launch_hold_in(int netns, const char *const *argv, const char *const *env, int output,
			   struct process_launch *ret, struct error *e)
{
	struct process_launch l cleanup(process_launch_clear) = PROCESS_LAUNCH_INIT;
	_cleanup_close_ int nothing = -1, out = -1, theirs = -1, null = -1;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(e, errno, "cannot start %s", argv[0]);
	l.channel = fds[0];
	theirs = lifted(fds[1]);
	close(fds[1]);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	nothing = null < 0 ? -1 : lifted(null);
	out = nothing < 0 || theirs < 0 ? -1 : lifted(output);
	if (out < 0)
		return error_errno(e, errno, "cannot start %s", argv[0]);
	r = hold(argv, env, (const int[]){ nothing, out, theirs }, netns, &l);
	if (r < 0)
		return error_errno(e, -r, "cannot start %s", argv[0]);
	*ret = l;
	l = PROCESS_LAUNCH_INIT;
	return 0;
}

int process_launch_hold(const char *const *argv, const char *const *env, int output, struct process_launch *ret,
			struct error *e)
{
	return process_launch_hold_in(-1, argv, env, output, ret, e);
}

int process_launch_go(struct process_launch *l, const char *program, struct error *e)
{
	int err = 0;
	ssize_t n;

	if (send(l->channel, "", 1, MSG_NOSIGNAL) < 0)
		err = errno;
	do
		n = recv(l->channel, &err, sizeof(err), 0);
	while (n < 0 && errno == EINTR);
	if (err != 0) {
		process_launch_clear(l);
		return error_errno(e, err, "cannot start %s", program);
	}
	/* End of file: the program's beginning has closed the channel. */
	close(take_fd(l->channel));
	return 0;
}

void process_launch_clear(struct process_launch *l)
{
	if (l->channel >= 0 && l->pid > 0) {
		kill(l->pid, SIGKILL); /* not reaped yet, so the number is its own */
		while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	cleanup_close(&l->channel);
	cleanup_close(&l->pidfd);
	*l = PROCESS_LAUNCH_INIT;
}

bool process_has_ended(int pidfd)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	if (poll(&fd, 1, 0) <= 0)
		return false;
	/* ECHILD where another started it, and reaps it. */
	(void)waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
	return true;
}

int process_start_time(pid_t pid, unsigned long long *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[32], text[1024], *p;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	/* Field 2 is the name in brackets, which may hold anything; the state is field 3, the start field 22. */
	p = strrchr(text, ')');
	if (!p || p[1] != ' ' || strchr("ZXx", p[2]))
		return -ESRCH;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EPROTO;
	*ret = strtoull(p + 1, NULL, 10);
	return 0;
}
