#include "drivers/transfer_child.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { PIPE_BYTES = 1 << 20 };

int transfer_pipe(int ret[2], struct error *e)
{
	if (pipe2(ret, O_CLOEXEC) < 0)
		return error_errno(e, errno, "cannot make a pipe");
	/* Only for speed: what one user may have of them is limited. */
	(void)fcntl(ret[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

int transfer_signals(struct error *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? error_errno(e, errno, "cannot wait for signals") : fd;
}

int transfer_interrupted(int signals, struct error *e)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof info) != (ssize_t)sizeof info)
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, ECANCELED, "the transfer was ended by a signal (%s)",
			 strsignal((int)info.ssi_signo));
}

/* ---- in the child ---- */

struct failure {
	int err;
	int preparing; /* not at the program itself */
};

static int become(int fd, int as)
{
	int from = fd < 0 ? open("/dev/null", O_RDWR) : fd;

	return from < 0 || dup2(from, as) < 0 ? -errno : 0;
}

static int child_prepare(const struct transfer_spec *s, int err, pid_t parent)
{
	sigset_t none;
	int r;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* It died before we asked for that. */
	if (getppid() != parent)
		return -ESRCH;
	if ((r = become(s->in, 0)) < 0 || (r = become(s->out, 1)) < 0 || (r = become(err, 2)) < 0)
		return r;
	if (s->keep >= 0 && fcntl(s->keep, F_SETFD, 0) < 0)
		return -errno;
	return s->prepare ? s->prepare(s->data) : 0;
}

static _Noreturn void child(const struct transfer_spec *s, int err, int report, pid_t parent)
{
	struct failure f = { .err = -child_prepare(s, err, parent), .preparing = 1 };

	if (f.err == 0) {
		execvp(s->argv[0], (char *const *)s->argv);
		f = (struct failure){ .err = errno };
	}
	(void)!write(report, &f, sizeof f);
	_exit(127);
}

/* ---- of the child ---- */

static int not_started(const struct transfer_spec *s, const struct failure *f, struct error *e)
{
	if (f->preparing)
		return error_errno(e, f->err, "cannot confine %s to the two trees of the transfer", s->name);
	if (f->err == ENOENT)
		return error_set(e, ERR_DRIVER_FAILED, ENOENT, "the program %s is not there: install the package %s",
				 s->argv[0], s->package);
	return error_errno(e, f->err, "cannot start %s", s->argv[0]);
}

int transfer_child_start(const struct transfer_spec *s, struct transfer_child *ret, struct error *e)
{
	int err[2], report[2];
	struct failure f;
	pid_t parent = getpid();
	ssize_t n;

	*ret = TRANSFER_CHILD_INIT;
	ret->name = s->name;
	ret->package = s->package;
	if (pipe2(err, O_CLOEXEC) < 0)
		return error_errno(e, errno, "cannot make a pipe");
	ret->err = err[0];
	(void)fcntl(err[0], F_SETFL, O_NONBLOCK);
	if (pipe2(report, O_CLOEXEC) < 0) {
		close(err[1]);
		return error_errno(e, errno, "cannot make a pipe");
	}
	ret->pid = fork();
	if (ret->pid == 0)
		child(s, err[1], report[1], parent);
	close(err[1]);
	close(report[1]);
	if (ret->pid > 0)
		ret->pidfd = pidfd_open(ret->pid, 0);
	if (ret->pid < 0 || ret->pidfd < 0) {
		close(report[0]);
		ret->pid = ret->pid < 0 ? 0 : ret->pid;
		return error_errno(e, errno, "cannot start %s", s->name);
	}
	do
		n = read(report[0], &f, sizeof f);
	while (n < 0 && errno == EINTR);
	close(report[0]);
	return n == (ssize_t)sizeof f ? not_started(s, &f, e) : 0;
}

static void listen_errors(struct transfer_child *c)
{
	char data[TRANSFER_ERRORS_KEPT];
	ssize_t n;

	while (c->err >= 0 && (n = read(c->err, data, sizeof data)) != -1) {
		if (n == 0) {
			close(take_fd(c->err));
			return;
		}
		if (c->errors_len + (size_t)n >= sizeof c->errors) {
			size_t gone = c->errors_len + (size_t)n - TRANSFER_ERRORS_KEPT;

			gone = gone < c->errors_len ? gone : c->errors_len;
			memmove(c->errors, c->errors + gone, c->errors_len - gone);
			c->errors_len -= gone;
		}
		memcpy(c->errors + c->errors_len, data, (size_t)n);
		c->errors_len += (size_t)n;
		c->errors[c->errors_len] = '\0';
	}
}

void transfer_child_listen(struct transfer_child *c)
{
	listen_errors(c);
	if (c->pid > 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid) {
		c->pid = 0;
		close(take_fd(c->pidfd));
		listen_errors(c);
	}
}

void transfer_child_end(struct transfer_child *c)
{
	if (c->pid > 0) {
		c->killed = true;
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
			;
		c->pid = 0;
	}
	if (c->pidfd >= 0)
		close(take_fd(c->pidfd));
	if (c->err >= 0)
		close(take_fd(c->err));
}

bool transfer_child_is_good(const struct transfer_child *c)
{
	return c->pid == 0 && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
}

/* They print what strerror says, in the C locale. */
static int told_errno(const char *errors)
{
	static const int known[] = { ENOSPC, EDQUOT, EROFS, ENOENT, EPERM, EACCES, ENOMEM, EXDEV };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(errors, strerror(known[i])))
			return known[i];
	return EIO;
}

/* From the start of a line, on one line. */
static const char *last_words(struct transfer_child *c)
{
	char *s = c->errors, *nl;
	size_t n;

	if (c->errors_len > TRANSFER_ERRORS_KEPT) {
		s += c->errors_len - TRANSFER_ERRORS_KEPT;
		nl = strchr(s, '\n');
		s = nl && nl[1] ? nl + 1 : s;
	}
	for (n = strlen(s); n > 0 && strchr("\r\n ", s[n - 1]); n--)
		s[n - 1] = '\0';
	for (char *p = s; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return s;
}

int transfer_child_error(struct transfer_child *c, struct error *e)
{
	const char *said = last_words(c);
	int err = told_errno(said);
	enum error_kind kind = err == ENOSPC || err == EDQUOT ? ERR_NO_SPACE : ERR_DRIVER_FAILED;

	if (*said)
		return error_set(e, kind, err, "%s: %s", c->name, said);
	if (WIFSIGNALED(c->status))
		return error_set(e, kind, err, "%s was ended by signal %d (%s)", c->name, WTERMSIG(c->status),
				 strsignal(WTERMSIG(c->status)));
	return error_set(e, kind, err, "%s ended with status %d", c->name, WEXITSTATUS(c->status));
}
