#include "daemon/work.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "daemon/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is longer is no line of progress, nor a result. */
#define LINE_MAX_BYTES (1 << 20)

struct work {
	struct work *next;
	struct driver_work *spec;
	struct backend *backend;
	struct input *in;
	struct process *process;
	char *buf;
	size_t len;
	char errors[2048];
	size_t errors_len;
	json_t *progress, *output;
	struct error failure;
	bool failed, ended, cut_off;
};

static void fail(struct work *w, struct error *e)
{
	if (!w->failed)
		error_move(&w->failure, e);
	w->failed = true;
}

struct work *work_new(struct driver_work *spec, struct backend *b, struct input *in)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL };
	struct work *w = xcalloc(1, sizeof *w);
	_cleanup_error_ struct error e = ERROR_INIT;

	w->spec = spec;
	w->backend = b;
	w->in = in;
	if (process_start(&(struct process_spec){ .argv = (const char *const *)spec->argv, .env = env }, &w->process,
			  &e) < 0) {
		fail(w, &e);
		w->ended = true;
	} else {
		process_close_stdin(w->process);
	}
	return w;
}

void work_free(struct work *w)
{
	if (!w)
		return;
	process_free(w->process);
	driver_work_free(w->spec);
	input_free(w->in);
	json_decref(w->progress);
	json_decref(w->output);
	error_clear(&w->failure);
	free(w->buf);
	free(w);
}

size_t work_poll_fds(const struct work *w, struct pollfd *fds)
{
	size_t n = 0;

	if (w->ended) {
		return 0;
	}
	if (process_stdout(w->process) >= 0)
		fds[n++] = (struct pollfd){ .fd = process_stdout(w->process), .events = POLLIN };
	if (process_stderr(w->process) >= 0)
		fds[n++] = (struct pollfd){ .fd = process_stderr(w->process), .events = POLLIN };
	if (n == 0)
		fds[n++] = (struct pollfd){ .fd = process_pidfd(w->process), .events = POLLIN };
	return n;
}

static void take_error(struct work *w, const json_t *j)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *text = jsonx_str(j, "message");

	error_errno(&e, (int)jsonx_int(j, "errno"), "%s", text ? text : "the helper failed");
	/* The helper's own text already says why. */
	if (text) {
		free(e.message);
		e.message = xstrdup(text);
	}
	fail(w, &e);
}

static void take_line(struct work *w, const char *line, size_t len)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;
	json_t *member;

	if (jsonx_parse(line, len, 16, &j, &e) < 0) {
		log_debug("a helper printed no JSON: %s", e.message);
		return;
	}
	if ((member = jsonx_get(j, "result"))) {
		json_decref(w->output);
		w->output = json_incref(member);
	} else if ((member = jsonx_get(j, "error"))) {
		take_error(w, member);
	} else if (json_is_object(j)) {
		json_decref(w->progress);
		w->progress = take_ptr(j);
	}
}

static void take_output(struct work *w, const char *data, size_t n)
{
	char *nl;

	w->buf = xrealloc(w->buf, w->len + n);
	memcpy(w->buf + w->len, data, n);
	w->len += n;
	while (w->len && (nl = memchr(w->buf, '\n', w->len))) {
		size_t used = (size_t)(nl - w->buf) + 1;

		take_line(w, w->buf, used - 1);
		memmove(w->buf, w->buf + used, w->len - used);
		w->len -= used;
	}
	if (w->len > LINE_MAX_BYTES)
		w->len = 0;
}

static void read_pipes(struct work *w)
{
	char data[4096];
	ssize_t n;

	while ((n = read(process_stdout(w->process), data, sizeof data)) > 0)
		take_output(w, data, (size_t)n);
	while ((n = read(process_stderr(w->process), data, sizeof data)) > 0) {
		size_t room = sizeof w->errors - 1 - w->errors_len, take = (size_t)n < room ? (size_t)n : room;

		memcpy(w->errors + w->errors_len, data, take);
		w->errors_len += take;
	}
}

bool work_step(struct work *w)
{
	struct process_result r = { 0 };
	_cleanup_error_ struct error e = ERROR_INIT;

	if (w->ended)
		return true;
	read_pipes(w);
	if (process_poll(w->process, &r) == -EAGAIN)
		return false;
	read_pipes(w);
	w->ended = true;
	if (r.exit_code != 0 || (!w->output && !w->failed)) {
		error_set(&e, ERR_DRIVER_FAILED, EIO, "the helper %s ended with exit status %d, signal %d%s%s",
			  w->spec->argv[0], r.exit_code, r.signal, w->errors_len ? ": " : "", w->errors);
		fail(w, &e);
	}
	process_result_clear(&r);
	return true;
}

json_t *work_progress(struct work *w)
{
	return take_ptr(w->progress);
}

void work_cut_off(struct work *w)
{
	process_free(w->process);
	w->process = NULL;
	w->ended = w->cut_off = true;
}

bool work_is_cut_off(const struct work *w)
{
	return w->cut_off;
}

void work_wait(struct work *w)
{
	struct pollfd fds[3];

	while (!work_step(w))
		poll(fds, work_poll_fds(w, fds), 200);
}

struct input *work_input(struct work *w)
{
	return w->in;
}

struct input *work_take_input(struct work *w)
{
	return take_ptr(w->in);
}

const struct driver_work *work_spec(const struct work *w)
{
	return w->spec;
}

const struct error *work_failure(const struct work *w)
{
	return w->failed ? &w->failure : NULL;
}

const json_t *work_output(const struct work *w)
{
	return w->output;
}

struct backend *work_backend(const struct work *w)
{
	return w->backend;
}

void work_add_background(struct work **list, struct work *w)
{
	w->next = *list;
	*list = w;
}

struct work *work_take_ended(struct work **list)
{
	for (; *list; list = &(*list)->next) {
		struct work *w = *list;

		if (!work_step(w))
			continue;
		*list = w->next;
		w->next = NULL;
		return w;
	}
	return NULL;
}

struct work *work_next(const struct work *w)
{
	return w->next;
}

void work_free_all(struct work *list)
{
	while (list) {
		struct work *next = list->next;

		work_free(list);
		list = next;
	}
}
