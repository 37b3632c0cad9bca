#include "tests/fuzz/stand_in.h"

#include "base/mem.h"
#include "base/process_private.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PIECE_MAX = 60, PATIENCE = 3 };

static struct {
	const char *output, *errors;
	size_t len, errors_len;
	int status;
} program;

static struct {
	const char *output;
	size_t len, at;
	struct fuzz_random random;
	bool waits; /* for an event */
	unsigned idle;
	struct process *process; /* NULL: none, or ended */
	int in, out, err;        /* its ends */
} coproc = { .in = -1, .out = -1, .err = -1 };

int __wrap_process_start(const struct process_spec *spec, struct process **ret, struct error *e);
int __wrap_process_start_until(const struct process_spec *spec, double deadline, struct process **ret, struct error *e);
int __wrap_process_pidfd(const struct process *p);

static struct process *make(void)
{
	struct process *p = xcalloc(1, sizeof *p);

	p->program = getpid();
	p->pidfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->control = -1;
	p->started = text_monotonic();
	return p;
}

static void make_pipe(int *ret_reads, int *ret_writes)
{
	int fds[2];

	FUZZ_CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0, "pipe: %m");
	*ret_reads = fds[0];
	*ret_writes = fds[1];
}

/* ---- process_run ---- */

void stand_in_program(const char *output, size_t len, const char *errors, size_t errors_len, int status)
{
	program.output = output;
	program.len = len;
	program.errors = errors;
	program.errors_len = errors_len;
	program.status = status;
}

static int filled(const char *data, size_t len)
{
	int reads, writes;

	make_pipe(&reads, &writes);
	FUZZ_CHECK(write(writes, data, len) == (ssize_t)len, "an input too large for a pipe");
	close(writes);
	return reads;
}

int __wrap_process_start_until(const struct process_spec *spec, double deadline, struct process **ret, struct error *e)
{
	struct process *p = make();

	(void)spec;
	(void)deadline;
	(void)e;
	p->in = open("/dev/null", O_WRONLY | O_CLOEXEC);
	p->out = filled(program.output, program.len);
	p->err = filled(program.errors, program.errors_len);
	p->ended = true;
	p->status = program.status;
	*ret = p;
	return 0;
}

/* ---- process_start ---- */

void stand_in_coproc(const char *output, size_t len, struct fuzz_random r)
{
	stand_in_clear();
	coproc.output = output;
	coproc.len = len;
	coproc.at = 0;
	coproc.random = r;
	coproc.waits = false;
	coproc.idle = 0;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void stand_in_clear(void)
{
	close_end(&coproc.in);
	close_end(&coproc.out);
	close_end(&coproc.err);
	coproc.process = NULL;
}

int __wrap_process_start(const struct process_spec *spec, struct process **ret, struct error *e)
{
	struct process *p = make();

	(void)spec;
	(void)e;
	stand_in_clear();
	make_pipe(&coproc.in, &p->in);
	make_pipe(&p->out, &coproc.out);
	make_pipe(&p->err, &coproc.err);
	coproc.process = p;
	*ret = p;
	return 0;
}

static void end(void)
{
	static const uint64_t one = 1;

	coproc.process->ended = true;
	FUZZ_CHECK(write(coproc.process->pidfd, &one, sizeof one) == sizeof one, "eventfd: %m");
	stand_in_clear();
}

/* False: its input was closed. */
static bool hear(void)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(coproc.in, buffer, sizeof buffer)) > 0)
		coproc.waits = false;
	return n < 0;
}

static void say_some(void)
{
	const char *text = coproc.output + coproc.at;
	size_t left = coproc.len - coproc.at, n = 1 + fuzz_random_next(&coproc.random, PIECE_MAX);
	const char *mark;

	n = n < left ? n : left;
	mark = memmem(text, left, "~\n", 2);
	if (mark && (size_t)(mark - text) < n)
		n = (size_t)(mark - text);
	FUZZ_CHECK(write(coproc.out, text, n) == (ssize_t)n, "pipe: %m");
	coproc.at += n;
	if (mark && mark == text + n) {
		coproc.at += 2;
		coproc.waits = true;
	}
}

int __wrap_process_pidfd(const struct process *p)
{
	if (coproc.process != p)
		return p->pidfd;
	/* Something is always there to be read, so that nobody waits in vain. */
	(void)!write(coproc.err, "\n", 1);
	if (!hear() || coproc.idle > PATIENCE) {
		end();
	} else if (coproc.waits || coproc.at == coproc.len) {
		coproc.idle++;
	} else {
		coproc.idle = 0;
		say_some();
	}
	return p->pidfd;
}
