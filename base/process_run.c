#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/process_private.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#define ERRORS_KEPT ((size_t)4096)
#define CHUNK       32768

struct process_run {
	const struct process_spec *spec;
	struct process *p;
	double deadline;
	size_t written;
	char *output;
	size_t output_len, output_size;
	char errors[2 * ERRORS_KEPT + 1]; /* slides, so that the last ERRORS_KEPT are always in it */
	size_t errors_len;
	bool errors_cut;
	bool timed_out, too_much, over;
};

/* A pipe that nobody reads raises SIGPIPE, which must reach neither the daemon nor a signal that waits already. */
static ssize_t write_quietly(int fd, const void *data, size_t len)
{
	sigset_t pipe_signal, pending, saved;
	ssize_t n;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &saved);
	n = write(fd, data, len);
	if (n < 0 && errno == EPIPE) {
		if (!sigismember(&pending, SIGPIPE))
			sigtimedwait(&pipe_signal, NULL, &(struct timespec){ 0 });
		errno = EPIPE;
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return n;
}

static void feed(struct process_run *run)
{
	const struct process_spec *spec = run->spec;
	ssize_t n;

	while (run->p->in >= 0 && run->written < spec->input_len) {
		n = write_quietly(run->p->in, (const char *)spec->input + run->written, spec->input_len - run->written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		/* It need not read: whatever else went wrong, this much it got. */
		if (n < 0)
			break;
		run->written += (size_t)n;
	}
	process_close_stdin(run->p);
}

static void keep_output(struct process_run *run, const char *data, size_t len)
{
	size_t room = run->spec->max_output - run->output_len;

	if (len > room) {
		run->too_much = true;
		len = room;
	}
	if (run->output_len + len >= run->output_size) {
		run->output_size = 2 * (run->output_len + len) + 1;
		run->output = xrealloc(run->output, run->output_size);
	}
	memcpy(run->output + run->output_len, data, len);
	run->output_len += len;
}

static void keep_errors(struct process_run *run, const char *data, size_t len)
{
	if (len > ERRORS_KEPT) {
		data += len - ERRORS_KEPT;
		len = ERRORS_KEPT;
		run->errors_len = 0;
		run->errors_cut = true;
	}
	if (run->errors_len + len > 2 * ERRORS_KEPT) {
		memmove(run->errors, run->errors + run->errors_len - ERRORS_KEPT, ERRORS_KEPT);
		run->errors_len = ERRORS_KEPT;
		run->errors_cut = true;
	}
	memcpy(run->errors + run->errors_len, data, len);
	run->errors_len += len;
}

/* One read from `*fd`, which is closed at its end. False when there is nothing to read now. */
static bool take(struct process_run *run, int *fd, void (*keep)(struct process_run *, const char *, size_t))
{
	char buffer[CHUNK];
	ssize_t n;

	if (*fd < 0)
		return false;
	n = read(*fd, buffer, sizeof(buffer));
	if (n > 0)
		keep(run, buffer, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		close(take_fd(*fd));
	return n > 0;
}

/* False when it is over: all has ended, or has to. Waits until the time given at most. */
static bool step(struct process_run *run, double until)
{
	struct process *p = run->p;
	struct pollfd fds[] = {
		{ .fd = p->in, .events = POLLOUT },
		{ .fd = p->out, .events = POLLIN },
		{ .fd = p->err, .events = POLLIN },
		{ .fd = p->control, .events = POLLIN },
	};
	int left = process_wait_ms(run->deadline), ms = process_wait_ms(until);

	if (left == 0) {
		run->timed_out = !p->ended;
		return false;
	}
	if (poll(fds, 4, ms < left ? ms : left) <= 0)
		return true;
	if (fds[0].revents)
		feed(run);
	if (fds[1].revents)
		take(run, &p->out, keep_output);
	if (fds[2].revents)
		take(run, &p->err, keep_errors);
	if (fds[3].revents) {
		bool ended = p->ended;

		process_listen(p);
		/* From here on the limit is that of killing what the program left. */
		if (p->ended && !ended)
			run->deadline = text_monotonic() + PROCESS_KILL_LIMIT;
	}
	return p->control >= 0 && !run->too_much;
}

/* What lies in the pipes when nobody is left to write. Bounded all the same: somebody is left where a helper was
 * killed, or where a process could not be. */
static void drain(struct process_run *run)
{
	double deadline = text_monotonic() + PROCESS_KILL_LIMIT;

	while (!run->too_much && take(run, &run->p->out, keep_output) && text_monotonic() < deadline)
		continue;
	while (take(run, &run->p->err, keep_errors) && text_monotonic() < deadline)
		continue;
}

static char *errors_text(struct process_run *run)
{
	size_t from = run->errors_len > ERRORS_KEPT ? run->errors_len - ERRORS_KEPT : 0;

	for (size_t i = 0; i < run->errors_len; i++)
		if (run->errors[i] == '\0')
			run->errors[i] = '?';
	while (run->errors_len > from && strchr(" \t\r\n\v\f", run->errors[run->errors_len - 1]))
		run->errors_len--;
	/* Not from the middle of a character. */
	if (from > 0 || run->errors_cut)
		for (int i = 0; i < 3 && from < run->errors_len && ((unsigned char)run->errors[from] & 0xc0) == 0x80;
		     i++)
			from++;
	return xstrndup(run->errors + from, run->errors_len - from);
}

static void finish(struct process_run *run, struct process_result *ret)
{
	struct process_result result = { .timed_out = run->timed_out, .too_much = run->too_much };

	process_fate(run->p, &result);
	/* It had ended by itself when the limit came. */
	if (result.exit_code >= 0)
		result.timed_out = false;
	result.output = run->output ? take_ptr(run->output) : xstrdup("");
	result.output_len = run->output_len;
	result.output[result.output_len] = '\0';
	result.errors = errors_text(run);
	result.seconds = text_monotonic() - run->p->started;
	*ret = result;
}

int process_run_begin(const struct process_spec *spec, struct process_run **ret, struct error *e)
{
	struct process_run *run;
	struct process *p = NULL;
	double deadline;
	int r;

	if (!isfinite(spec->timeout) || spec->timeout <= 0)
		return error_set(e, ERR_INTERNAL, EINVAL, "cannot run %s: its time limit is not a number above 0",
				 spec->argv[0]);
	deadline = text_monotonic() + spec->timeout;
	r = process_start_until(spec, deadline, &p, e);
	if (r < 0)
		return r;
	run = xcalloc(1, sizeof *run);
	run->spec = spec;
	run->deadline = deadline;
	run->p = p;
	feed(run);
	*ret = run;
	return 0;
}

bool process_run_wait(struct process_run *run, double seconds)
{
	double until = text_monotonic() + seconds;

	while (!run->over && !(run->over = !step(run, until)) && text_monotonic() < until)
		continue;
	return run->over;
}

void process_run_end(struct process_run *run, struct process_result *ret)
{
	if (!run)
		return;
	process_kill(run->p);
	drain(run);
	if (ret)
		finish(run, ret);
	process_free(run->p);
	free(run->output);
	free(run);
}

int process_run(const struct process_spec *spec, struct process_result *ret, struct error *e)
{
	struct process_run *run = NULL;
	int r = process_run_begin(spec, &run, e);

	if (!run)
		return r;
	while (!process_run_wait(run, spec->timeout))
		continue;
	process_run_end(run, ret);
	return 0;
}

void process_result_clear(struct process_result *r)
{
	free(r->output);
	free(r->errors);
	*r = (struct process_result){ 0 };
}

char *process_result_text(const struct process_result *r, const struct process_spec *spec)
{
	char size[32], *unit;

	if (r->too_much) {
		text_format_size(spec->max_output, size);
		unit = size + strspn(size, "0123456789.");
		return xasprintf("more than %.*s %s of output and killed", (int)(unit - size), size, unit);
	}
	if (r->timed_out)
		return xasprintf("no end within %.*f s and killed", spec->timeout < 0.1 ? 3 : 1, spec->timeout);
	if (r->signal)
		return xasprintf("signal %d (%s)", r->signal, strsignal(r->signal));
	return xasprintf("exit status %d", r->exit_code);
}
