/* "coproc:/path/program": one long-lived process. Events go to it as lines with an "id", answers come back as lines
 * with the same "id". It may say with {"wants":[..]}, at any time and best at first, what it wants to be asked.
 * Whatever breaks this protocol ends the process; the next event starts it anew, after a pause that grows while it
 * fails. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hooks/answer.h"
#include "hooks/dialog.h"
#include "hooks/set.h"
#include "hooks/table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_MIN 0.1
#define PAUSE_MAX 30.0

struct coproc {
	const struct hook_setup *setup;
	double timeout;
	const char *user;      /* NULL: the daemon's */
	struct dialog *dialog; /* NULL: not running */
	char *why;             /* it is not running; NULL before the first failure */
	double started;        /* the last try */
	double next_try, pause;
	uint64_t starts;
	json_t *wants; /* as last said, kept over restarts; NULL: everything */
	uint64_t last_id;
	uint64_t let_off; /* an event that crossed with the news that it is not wanted: an answer to it is dropped */
	const struct hook_event *event; /* under way */
	json_t *answer;                 /* to it; NULL: nothing to say */
};

static const struct option coproc_options[] = {
	{ .name = "coproc_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .min = 0,
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN,
	  .help = "Seconds that a process of the module coproc has for each event before it is killed with all its "
		  "children." },
	{ .name = "coproc_user",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .help = "User that processes of the module coproc run as; the daemon's own without it." },
	{ 0 },
};

static bool wants(const json_t *list, enum hook_phase phase, const char *func_name)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
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
static int on_wants(struct coproc *c, json_t *o, const char *line, size_t len, struct error *e)
{
	json_t *list = json_object_get(o, "wants"), *item;
	size_t i;
	if (json_object_size(o) != 1 || !json_is_array(list))
		return fault(e, "a \"wants\" that is no list of events", line, len);
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			return fault(e, "a \"wants\" that is no list of events", line, len);
	}
	json_decref(c->wants);
	c->wants = json_incref(list);
	if (!c->event || wants(list, c->event->phase, c->event->func_name))
		return 0;
	c->let_off = c->last_id;
	return 1;
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
	struct coproc *c = data;
	_cleanup_json_ json_t *o = NULL;
	_cleanup_error_ struct error why = ERROR_INIT;
	/* The line's own brackets hold the answer. */
	if (jsonx_parse(line, len, c->setup->max_depth + 1, &o, &why) < 0) {
		_cleanup_free_ char *what = xasprintf("a line that is no answer (%s)", why.message);
		return fault(e, what, line, len);
	}
	json_t *id = json_object_get(o, "id");
	if (!id && json_object_get(o, "wants"))
		return on_wants(c, o, line, len, e);
	if (!json_is_integer(id))
		return fault(e, "a line that is no answer (it has no \"id\")", line, len);
	uint64_t n = (uint64_t)json_integer_value(id);
	if (n == c->let_off && n > 0) {
		c->let_off = 0;
		return 0;
	}
	if (!c->event || n != c->last_id)
		return fault(e, "an answer to what was not asked", line, len);
	if (!is_answer(o))
		return fault(e, "an answer that is not one of \"result\", \"veto\" (text) and \"error\" (text)", line,
			     len);
	c->answer = take_ptr(o);
	return 1;
}

/* `since`: the pause counts from there. */
static void down(struct coproc *c, double since, const char *why)
{
	dialog_kill(c->dialog);
	c->dialog = NULL;
	c->let_off = 0;
	free(c->why);
	c->why = xstrdup(why);
	c->next_try = since + c->pause;
	c->pause = fmin(c->pause * 2, PAUSE_MAX);
}

static int start(struct coproc *c, struct error *e)
{
	const char *path = c->setup->argument;
	c->started = text_monotonic();
	int r = process_check_program(path, geteuid(), e);
	if (r < 0)
		return r;
	_cleanup_hook_env_ struct hook_env env;
	hook_env_make(&env, c->setup, NULL);
	const char *const argv[] = { path, NULL };
	struct process_spec spec = { .argv = argv, .env = env.vars, .user = c->user };
	r = dialog_start(&spec, &c->dialog, e);
	if (r == 0)
		c->starts++;
	return r;
}

/* Takes what the process has said, finds out whether it still runs, and starts it where it does not and its pause is
 * over. */
static int tend(struct coproc *c, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	if (c->dialog && dialog_drain(c->dialog, on_line, c, &why) < 0) {
		log_info("%s: %s", c->setup->argument, why.message);
		down(c, c->started, why.message);
	}
	if (c->dialog)
		return 0;
	double now = text_monotonic();
	if (now < c->next_try)
		return error_set(e, ERR_INTERNAL, EAGAIN, "%s is not running, and is started again in %.1f s: %s",
				 c->setup->argument, c->next_try - now, c->why);
	int r = start(c, e);
	if (r < 0)
		down(c, c->started, e->message);
	return r;
}

/* Whether it runs is told by events; here, whether it could. */
static int coproc_check(void *hook, struct error *e)
{
	const struct coproc *c = hook;
	return process_check_program(c->setup->argument, geteuid(), e);
}

static int coproc_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	int r = hook_program_check_argument(setup, "coproc", e);
	if (r < 0)
		return r;
	struct coproc *c = xcalloc(1, sizeof(*c));
	const char *user = settings_string(setup->settings, "coproc_user");
	c->setup = setup;
	c->timeout = setup->timeout > 0 ? setup->timeout : settings_seconds(setup->settings, "coproc_timeout");
	c->user = *user ? user : NULL;
	c->pause = PAUSE_MIN;
	/* Early, so that it has said what it wants before the first event. A failure shows when an event comes. */
	_cleanup_error_ struct error why = ERROR_INIT;
	if (tend(c, &why) < 0)
		log_info("%s", why.message);
	*ret = c;
	return 0;
}

static void coproc_destroy(void *hook)
{
	struct coproc *c = hook;
	if (!c)
		return;
	dialog_stop(c->dialog);
	free(c->why);
	json_decref(c->wants);
	free(c);
}

static bool coproc_wanted(void *hook, enum hook_phase phase, const char *func_name)
{
	struct coproc *c = hook;
	_cleanup_error_ struct error why = ERROR_INIT;
	tend(c, &why);
	return wants(c->wants, phase, func_name);
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

static int ask(struct coproc *c, const struct hook_event *ev, struct error *e)
{
	size_t len;
	_cleanup_free_ char *line = make_line(++c->last_id, ev, &len);
	hook_stderr_begin(dialog_stderr(c->dialog));
	c->event = ev;
	int r = dialog_exchange(c->dialog, line, len, c->timeout, on_line, c, e);
	c->event = NULL;
	if (r < 0) {
		_cleanup_free_ char *errors = hook_stderr_tail(dialog_stderr(c->dialog));
		error_prefix(e, "%s", c->setup->argument);
		hook_error_add_stderr(e, errors);
		down(c, text_monotonic(), e->message);
		return r;
	}
	c->pause = PAUSE_MIN;
	return 0;
}

static int take_answer(const struct hook_event *ev, const json_t *answer, json_t **ret, struct error *e)
{
	const char *veto = jsonx_str(answer, "veto"), *error = jsonx_str(answer, "error");
	if (veto && *veto)
		return error_set(e, ERR_VETOED, EPERM, "%s", veto);
	if (veto)
		return error_set(e, ERR_VETOED, EPERM, "the hook refused %s and gave no reason",
				 ev->func_name ? ev->func_name : hook_phase_name(ev->phase));
	if (error)
		return error_set(e, ERR_INTERNAL, EIO, "%s", *error ? error : "it failed without saying why");
	return hook_answer_take(ev->phase, jsonx_get(answer, "result"), ret, e);
}

static int coproc_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	struct coproc *c = hook;
	int r = tend(c, e);
	if (r < 0)
		return r;
	r = ask(c, ev, e);
	if (r < 0)
		return r;
	_cleanup_json_ json_t *answer = take_ptr(c->answer);
	return take_answer(ev, answer, ret, e);
}

static int coproc_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	json_t *nothing = NULL;
	return coproc_event(hook, ev, &nothing, e);
}

static void coproc_describe(void *hook, json_t *object)
{
	const struct coproc *c = hook;
	json_object_set_new(object, "timeout", json_real(c->timeout));
	json_object_set_new(object, "user", jsonx_string(c->user));
	json_object_set_new(object, "state", json_string(c->dialog ? "running" : "stopped"));
	json_object_set_new(object, "pid", c->dialog ? json_integer(dialog_pid(c->dialog)) : json_null());
	json_object_set_new(object, "starts", json_integer((json_int_t)c->starts));
	json_object_set_new(object, "last_error", jsonx_string(c->why));
	json_object_set_new(object, "wants", c->wants ? json_incref(c->wants) : json_null());
}

const struct hook_ops hook_coproc = {
	.abi = HOOK_ABI,
	.name = "coproc",
	.options = coproc_options,
	.create = coproc_create,
	.destroy = coproc_destroy,
	.check_for_setup_error = coproc_check,
	.wanted = coproc_wanted,
	.execute_pre_hook = coproc_event,
	.execute_post_hook = coproc_event,
	.execute_periodic_hook = coproc_tell,
	.execute_error_hook = coproc_tell,
	.describe = coproc_describe,
};
