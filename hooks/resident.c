#include "hooks/resident.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hooks/answer.h"
#include "hooks/dialog.h"
#include "hooks/set.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_MIN 0.1
#define PAUSE_MAX 30.0

struct resident {
	const struct resident_spec *spec;
	struct dialog *dialog; /* NULL: not running */
	char *why;             /* it is not running; NULL before the first failure */
	double started;        /* the last try */
	double next_try, pause;
	uint64_t starts;
	bool greeted;  /* the greeting has been sent to this process */
	bool ready;    /* and answered */
	bool greeting; /* being sent, without an event */
	bool excused;  /* its last failure is in its own words */
	json_t *wants; /* as last said, kept over restarts; NULL: everything */
	uint64_t last_id;
	uint64_t let_off; /* an event that crossed with the news that it is not wanted: an answer to it is dropped */
	const struct hook_event *event; /* under way */
	json_t *answer;                 /* to it; NULL: nothing to say */
};

static bool wants(const json_t *list, enum hook_phase phase, const char *func_name)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item) {
		if (hook_pattern_matches(json_string_value(item), phase, func_name))
			return true;
	}
	return !list;
}

static int fault(struct error *e, const char *what, const char *line, size_t len)
{
	enum { SHOWN = 80 };
	return error_set(e, ERR_INTERNAL, EPROTO, "it wrote %s: %.*s%s", what, (int)(len < SHOWN ? len : SHOWN), line,
			 len > SHOWN ? ".." : "");
}

/* {"wants":["pre-create_share_instance",..]}. 1 when the event under way is not among them. */
static int on_wants(struct resident *p, json_t *o, const char *line, size_t len, struct error *e)
{
	json_t *list = json_object_get(o, "wants"), *item;
	size_t i;
	if (json_object_size(o) != 1 || !json_is_array(list))
		return fault(e, "a \"wants\" that is no list of events", line, len);
	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			return fault(e, "a \"wants\" that is no list of events", line, len);
	}
	json_decref(p->wants);
	p->wants = json_incref(list);
	p->ready = true;
	if (!p->event)
		return p->greeting;
	if (wants(list, p->event->phase, p->event->func_name))
		return 0;
	p->let_off = p->last_id;
	return 1;
}

/* {"error":"text"}: it cannot serve. */
static int on_refusal(struct resident *p, const json_t *o, const char *line, size_t len, struct error *e)
{
	const char *text = jsonx_str(o, "error");
	if (json_object_size(o) != 1 || !text || !*text)
		return fault(e, "an \"error\" that is no text", line, len);
	p->excused = true;
	return error_set(e, ERR_INTERNAL, EIO, "%s", text);
}

/* {"id":N} with at most one of "result", "veto", "error". */
static bool is_answer(json_t *o)
{
	json_t *text = json_object_get(o, "veto");
	if (!text)
		text = json_object_get(o, "error");
	bool bare = json_object_size(o) == 1;
	bool full = json_object_size(o) == 2 && (json_object_get(o, "result") || text);
	return (bare || full) && (!text || json_is_string(text));
}

static int on_line(void *data, const char *line, size_t len, struct error *e)
{
	struct resident *p = data;
	_cleanup_json_ json_t *o = NULL;
	_cleanup_error_ struct error why = ERROR_INIT;
	/* The line's own brackets hold the answer. */
	if (jsonx_parse(line, len, p->spec->setup->max_depth + 1, &o, &why) < 0) {
		_cleanup_free_ char *what = xasprintf("a line that is no answer (%s)", why.message);
		return fault(e, what, line, len);
	}
	json_t *id = json_object_get(o, "id");
	if (!id && json_object_get(o, "wants"))
		return on_wants(p, o, line, len, e);
	if (!id && json_object_get(o, "error"))
		return on_refusal(p, o, line, len, e);
	if (!json_is_integer(id))
		return fault(e, "a line that is no answer (it has no \"id\")", line, len);
	uint64_t n = (uint64_t)json_integer_value(id);
	if (n == p->let_off && n > 0) {
		p->let_off = 0;
		return 0;
	}
	if (!p->event || n != p->last_id)
		return fault(e, "an answer to what was not asked", line, len);
	if (!is_answer(o))
		return fault(e, "an answer that is not one of \"result\", \"veto\" (text) and \"error\" (text)", line,
			     len);
	p->answer = take_ptr(o);
	return 1;
}

/* `since`: the pause counts from there. */
static void down(struct resident *p, double since, const char *why)
{
	dialog_kill(p->dialog);
	p->dialog = NULL;
	p->let_off = 0;
	free(p->why);
	p->why = xstrdup(why);
	p->next_try = since + p->pause;
	p->pause = fmin(p->pause * 2, PAUSE_MAX);
}

static int start(struct resident *p, struct error *e)
{
	const char *path = p->spec->program;
	p->started = text_monotonic();
	int r = p->spec->own ? 0 : process_check_program(path, geteuid(), e);
	if (r < 0)
		return r;
	_cleanup_hook_env_ struct hook_env env;
	hook_env_make(&env, p->spec->setup, NULL);
	const char *const argv[] = { path, NULL };
	struct process_spec spec = { .argv = argv, .env = env.vars, .user = p->spec->user, .group = true };
	r = dialog_start(&spec, &p->dialog, e);
	if (r < 0)
		return r;
	p->starts++;
	p->greeted = p->ready = !p->spec->greeting;
	return 0;
}

/* Names it and adds what it said on standard error. */
static void blame(struct resident *p, struct error *e)
{
	_cleanup_free_ char *errors = hook_stderr_tail(dialog_stderr(p->dialog));
	if (p->spec->name)
		error_prefix(e, "%s", p->spec->name);
	if (!p->excused)
		hook_error_add_stderr(e, errors);
	else if (errors)
		error_add(e, "stderr", jsonx_string(errors));
	p->excused = false;
}

/* Takes what it has said, and finds out whether it still runs. */
static void look(struct resident *p)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	if (!p->dialog || dialog_drain(p->dialog, on_line, p, &why) == 0)
		return;
	p->excused = false;
	log_info("%s: %s", p->spec->program, why.message);
	down(p, p->started, why.message);
}

/* Starts it where it does not run and its pause is over. */
static int tend(struct resident *p, struct error *e)
{
	look(p);
	if (p->dialog)
		return 0;
	double now = text_monotonic();
	if (now < p->next_try)
		return error_set(e, ERR_INTERNAL, EAGAIN, "%s is not running, and is started again in %.1f s: %s",
				 p->spec->name ? p->spec->name : "its process", p->next_try - now, p->why);
	int r = start(p, e);
	if (r < 0)
		down(p, p->started, e->message);
	return r;
}

struct resident *resident_new(const struct resident_spec *spec)
{
	struct resident *p = xcalloc(1, sizeof(*p));
	p->spec = spec;
	p->pause = PAUSE_MIN;
	_cleanup_error_ struct error why = ERROR_INIT;
	if (tend(p, &why) < 0)
		log_info("%s", why.message);
	return p;
}

void resident_free(struct resident *p)
{
	if (!p)
		return;
	dialog_stop(p->dialog);
	free(p->why);
	json_decref(p->wants);
	free(p);
}

bool resident_wanted(struct resident *p, enum hook_phase phase, const char *func_name)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	tend(p, &why);
	return wants(p->wants, phase, func_name);
}

/* Sends the greeting, where it is due, and the text; takes lines until on_line has what it waits for. */
static int talk(struct resident *p, const char *text, size_t len, struct error *e)
{
	const char *greeting = p->greeted ? "" : p->spec->greeting;
	_cleanup_free_ char *all = xasprintf("%s%.*s", greeting, (int)len, text);
	p->greeted = true;
	hook_stderr_begin(dialog_stderr(p->dialog));
	int r = dialog_exchange(p->dialog, all, strlen(all), p->spec->timeout, on_line, p, e);
	if (r < 0) {
		blame(p, e);
		down(p, text_monotonic(), e->message);
		return r;
	}
	p->pause = PAUSE_MIN;
	return 0;
}

int resident_greet(struct resident *p, struct error *e)
{
	look(p);
	if (!p->dialog)
		p->next_try = 0;
	int r = tend(p, e);
	if (r < 0 || p->ready)
		return r;
	p->greeting = true;
	r = talk(p, "", 0, e);
	p->greeting = false;
	return r;
}

/* The event with its "id" as first member, and the end of line. */
static char *make_line(uint64_t id, const struct hook_event *ev, size_t *ret_len)
{
	size_t len;
	const char *text = hook_event_text(ev, &len);
	char head[32];
	size_t n = (size_t)snprintf(head, sizeof(head), "{\"id\":%" PRIu64 ",", id);
	char *line = xmalloc(n + len);
	memcpy(line, head, n);
	memcpy(line + n, text + 1, len - 1);
	line[n + len - 1] = '\n';
	*ret_len = n + len;
	return line;
}

static int ask(struct resident *p, const struct hook_event *ev, struct error *e)
{
	size_t len;
	_cleanup_free_ char *line = make_line(++p->last_id, ev, &len);
	p->event = ev;
	int r = talk(p, line, len, e);
	p->event = NULL;
	return r;
}

static int take_answer(struct resident *p, const struct hook_event *ev, const json_t *answer, json_t **ret,
		       struct error *e)
{
	const char *veto = jsonx_str(answer, "veto"), *error = jsonx_str(answer, "error");
	if (veto && *veto)
		return error_set(e, ERR_VETOED, EPERM, "%s", veto);
	if (veto)
		return error_set(e, ERR_VETOED, EPERM, "the hook refused %s and gave no reason",
				 ev->func_name ? ev->func_name : hook_phase_name(ev->phase));
	if (!error)
		return hook_answer_take(ev->phase, jsonx_get(answer, "result"), ret, e);
	_cleanup_free_ char *errors = hook_stderr_tail(dialog_stderr(p->dialog));
	error_set(e, ERR_INTERNAL, EIO, "%s", *error ? error : "it failed without saying why");
	if (errors)
		error_add(e, "stderr", jsonx_string(errors));
	return -EIO;
}

int resident_event(struct resident *p, const struct hook_event *ev, json_t **ret, struct error *e)
{
	int r = tend(p, e);
	if (r < 0)
		return r;
	r = ask(p, ev, e);
	if (r < 0)
		return r;
	_cleanup_json_ json_t *answer = take_ptr(p->answer);
	return take_answer(p, ev, answer, ret, e);
}

int resident_tell(struct resident *p, const struct hook_event *ev, struct error *e)
{
	json_t *nothing = NULL;
	return resident_event(p, ev, &nothing, e);
}

void resident_describe(const struct resident *p, json_t *object)
{
	json_object_set_new(object, "timeout", json_real(p->spec->timeout));
	json_object_set_new(object, "user", jsonx_string(p->spec->user));
	json_object_set_new(object, "containment", json_string(process_containment()));
	json_object_set_new(object, "state", json_string(p->dialog ? "running" : "stopped"));
	json_object_set_new(object, "pid", p->dialog ? json_integer(dialog_pid(p->dialog)) : json_null());
	json_object_set_new(object, "starts", json_integer((json_int_t)p->starts));
	json_object_set_new(object, "last_error", jsonx_string(p->why));
	json_object_set_new(object, "wants", p->wants ? json_incref(p->wants) : json_null());
}
