#include "hooks/dialog.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK = 65536,
	CHUNKS_PER_TURN = 16, /* so that a flood on one pipe does not keep the other from being looked at */
	STOP_GRACE_MS = 200,
	END_GRACE_MS = 200, /* between the end of its output and the end of its tree */
};

struct dialog {
	struct process *process;
	char *buf; /* what came after the last line taken */
	size_t len, size;
	bool output_ended, errors_ended;
	struct hook_stderr errors;
};

int dialog_start(const struct process_spec *spec, struct dialog **ret, struct error *e)
{
	struct process *process;
	int r = process_start(spec, &process, e);
	if (r < 0)
		return r;
	struct dialog *p = xcalloc(1, sizeof(*p));
	p->process = process;
	*ret = p;
	return 0;
}

pid_t dialog_pid(const struct dialog *p)
{
	return process_pid(p->process);
}

static bool wait_for_end(const struct dialog *p, int milliseconds)
{
	struct pollfd pfd = { .fd = process_pidfd(p->process), .events = POLLIN };
	return poll(&pfd, 1, milliseconds) > 0;
}

static void read_errors(struct dialog *p)
{
	char chunk[4096];
	for (size_t i = 0; i < CHUNKS_PER_TURN && !p->errors_ended; i++) {
		ssize_t n = read(process_stderr(p->process), chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			p->errors_ended = true;
		else
			hook_stderr_feed(&p->errors, chunk, (size_t)n);
	}
}

struct hook_stderr *dialog_stderr(struct dialog *p)
{
	read_errors(p);
	return &p->errors;
}

void dialog_kill(struct dialog *p)
{
	if (!p)
		return;
	process_kill(p->process);
	read_errors(p);
	hook_stderr_end(&p->errors);
	process_free(p->process);
	free(p->buf);
	free(p);
}

void dialog_stop(struct dialog *p)
{
	if (!p)
		return;
	process_close_stdin(p->process);
	wait_for_end(p, STOP_GRACE_MS);
	dialog_kill(p);
}

/* Hands out whole lines, up to the first that `on_line` waited for; the rest stays for the next turn. */
static int take_lines(struct dialog *p, size_t new_from, dialog_line *on_line, void *data, struct error *e)
{
	size_t start = 0, from = new_from;
	int r = 0;
	while (r == 0) {
		const char *end = memchr(p->buf + from, '\n', p->len - from);
		size_t len = (end ? (size_t)(end - p->buf) : p->len) - start;
		if (len > HOOK_OUTPUT_MAX)
			return error_set(e, ERR_INTERNAL, EFBIG, "it wrote a line of more than %zu bytes",
					 HOOK_OUTPUT_MAX);
		if (!end)
			break;
		const char *line = p->buf + start;
		from = start = (size_t)(end - p->buf) + 1;
		while (len > 0 && strchr(" \t\r", line[len - 1]) && line[len - 1])
			len--;
		if (len > 0)
			r = on_line(data, line, len, e);
	}
	p->len -= start;
	memmove(p->buf, p->buf + start, p->len);
	return r;
}

static int read_output(struct dialog *p, dialog_line *on_line, void *data, struct error *e)
{
	/* Lines left over from the last turn come first. */
	int r = p->len > 0 ? take_lines(p, 0, on_line, data, e) : 0;
	for (size_t i = 0; i < CHUNKS_PER_TURN && r == 0 && !p->output_ended; i++) {
		if (p->size - p->len < CHUNK) {
			p->size = p->len + CHUNK;
			p->buf = xrealloc(p->buf, p->size);
		}
		ssize_t n = read(process_stdout(p->process), p->buf + p->len, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			p->output_ended = true;
			return 0;
		}
		p->len += (size_t)n;
		r = take_lines(p, p->len - (size_t)n, on_line, data, e);
	}
	return r;
}

/* Why nothing more will come. */
static int ended(struct dialog *p, struct error *e)
{
	if (!wait_for_end(p, END_GRACE_MS))
		return error_set(e, ERR_INTERNAL, EPIPE, "it closed its standard output");
	struct process_result result = { 0 };
	struct process_spec spec = { 0 };
	process_poll(p->process, &result);
	_cleanup_free_ char *text = process_result_text(&result, &spec);
	process_result_clear(&result);
	return error_set(e, ERR_INTERNAL, EPIPE, "it ended (%s)", text);
}

int dialog_drain(struct dialog *p, dialog_line *on_line, void *data, struct error *e)
{
	/* Looked at before the pipes: what it wrote before its end is in them. */
	bool gone = wait_for_end(p, 0);
	read_errors(p);
	int r;
	do
		r = read_output(p, on_line, data, e);
	while (r == 1);
	if (r < 0)
		return r;
	return gone || p->output_ended ? ended(p, e) : 0;
}

/* Bytes written now. A process that does not read any more is found out by its end. */
static size_t write_some(const struct dialog *p, const char *text, size_t len)
{
	ssize_t n = write(process_stdin(p->process), text, len);
	if (n >= 0)
		return (size_t)n;
	return errno == EPIPE ? len : 0;
}

/* Until something can go on: negative on time-out. */
static int wait_turn(const struct dialog *p, bool writing, bool reading, double deadline)
{
	double left = deadline - text_monotonic();
	if (left <= 0)
		return -ETIMEDOUT;
	struct pollfd fds[] = {
		{ .fd = writing ? process_stdin(p->process) : -1, .events = POLLOUT },
		{ .fd = reading ? process_stdout(p->process) : -1, .events = POLLIN },
		{ .fd = p->errors_ended ? -1 : process_stderr(p->process), .events = POLLIN },
		{ .fd = process_pidfd(p->process), .events = POLLIN },
	};
	poll(fds, sizeof(fds) / sizeof(*fds), (int)fmin(ceil(left * 1000), 60000));
	return 0;
}

int dialog_exchange(struct dialog *p, const char *text, size_t len, double timeout, dialog_line *on_line, void *data,
		    struct error *e)
{
	double deadline = text_monotonic() + timeout;
	size_t written = 0;
	bool answered = false;
	for (;;) {
		if (written < len)
			written += write_some(p, text + written, len - written);
		bool gone = wait_for_end(p, 0);
		read_errors(p);
		if (!answered) {
			int r = read_output(p, on_line, data, e);
			if (r < 0)
				return r;
			answered = r == 1;
		}
		if (answered && (written == len || gone))
			return 0;
		if (gone || p->output_ended)
			return ended(p, e);
		if (wait_turn(p, written < len, !answered, deadline) < 0)
			return error_set(e, ERR_INTERNAL, ETIMEDOUT, "no answer within %.1f s and killed", timeout);
	}
}
