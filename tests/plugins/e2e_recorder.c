/* A hook for end-to-end tests: it appends each event that it gets to the file `recorder_log`, as {"hook","event"} on a
 * line, and does what the file BACKEND.script in the directory `recorder_scripts` says. Both are options in
 * hook_options; with a third, `recorder_brief`, the long members of the event that are the same for all calls of a
 * backend are written as empty objects. The script is read for every event, so a test changes it between two calls of
 * the same daemon.
 *
 * A script is a JSON object from "HOOK PHASE FUNC_NAME ORIGIN", or from "HOOK PHASE", to an array of steps, done in
 * order: {"return":value}, {"fail":"text"}, {"veto":"text"}, {"sleep":seconds}, {"kill":true} (the whole daemon). */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "hooks/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct recorder {
	const struct hook_setup *setup;
	char *log, *script;
	bool brief;
};

extern const struct hook_ops e2e_recorder, e2e_recorder_create_only;

static char *option(const struct hook_setup *setup, const char *name)
{
	_cleanup_json_ json_t *value = settings_lookup(setup->settings, name);

	return xstrdup(json_string_value(value));
}

static void recorder_destroy(void *hook)
{
	struct recorder *r = hook;

	free(r->log);
	free(r->script);
	free(r);
}

static int recorder_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	_cleanup_free_ char *scripts = option(setup, "recorder_scripts"), *brief = option(setup, "recorder_brief");
	struct recorder *r = xcalloc(1, sizeof *r);

	r->setup = setup;
	r->brief = brief != NULL;
	r->log = option(setup, "recorder_log");
	r->script = xasprintf("%s/%s.script", scripts ? scripts : "", setup->backend);
	if (!r->log || !scripts) {
		recorder_destroy(r);
		return error_set(e, ERR_INVALID_PARAMS, EINVAL,
				 "recorder_log and recorder_scripts are not set in hook_options");
	}
	*ret = r;
	return 0;
}

static char *text_of(const struct recorder *r, const struct hook_event *ev)
{
	_cleanup_json_ json_t *brief = NULL;

	if (!r->brief)
		return xstrdup(hook_event_text(ev, NULL));
	brief = json_copy((json_t *)hook_event_json(ev));
	json_object_set_new(brief, "options", json_object());
	json_object_set_new(brief, "backend", json_object());
	return jsonx_dump(brief);
}

static int append(const struct recorder *r, const struct hook_event *ev, struct error *e)
{
	_cleanup_close_ int fd = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	_cleanup_free_ char *text = text_of(r, ev);
	_cleanup_free_ char *line = xasprintf("{\"hook\":\"%s\",\"event\":%s}\n", r->setup->name, text);
	size_t len = strlen(line);

	if (fd < 0 || write(fd, line, len) != (ssize_t)len)
		return error_errno(e, errno, "cannot write %s", r->log);
	return 0;
}

static json_t *steps_of(const struct recorder *r, const struct hook_event *ev)
{
	const char *origin = jsonx_str(json_object_get(hook_event_json(ev), "context"), "origin");
	_cleanup_free_ char *near = xasprintf("%s %s", r->setup->name, hook_phase_name(ev->phase));
	_cleanup_free_ char *exact = xasprintf("%s %s %s", near, ev->func_name ? ev->func_name : "", origin);
	_cleanup_json_ json_t *script = json_load_file(r->script, 0, NULL);
	json_t *steps = json_object_get(script, exact);

	if (!steps)
		steps = json_object_get(script, near);
	return json_incref(steps);
}

static int do_step(const json_t *step, json_t **ret, struct error *e)
{
	const char *fail = jsonx_str(step, "fail"), *veto = jsonx_str(step, "veto");
	double seconds = json_number_value(json_object_get(step, "sleep"));
	struct timespec pause = { .tv_sec = (time_t)seconds,
				  .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

	if (json_object_get(step, "kill"))
		kill(getpid(), SIGKILL);
	if (json_object_get(step, "sleep"))
		nanosleep(&pause, NULL);
	if (json_object_get(step, "return")) {
		json_decref(*ret);
		*ret = json_deep_copy(json_object_get(step, "return"));
	}
	if (veto)
		return error_set(e, ERR_VETOED, EPERM, "%s", veto);
	return fail ? error_set(e, ERR_INTERNAL, EIO, "%s", fail) : 0;
}

static int recorder_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	const struct recorder *r = hook;
	_cleanup_json_ json_t *steps = NULL;
	json_t *step;
	size_t i;
	int result = append(r, ev, e);

	if (result < 0)
		return result;
	steps = steps_of(r, ev);
	json_array_foreach(steps, i, step)
		if ((result = do_step(step, ret, e)) < 0)
			return result;
	return 0;
}

static int recorder_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	_cleanup_json_ json_t *nothing = NULL;

	return recorder_event(hook, ev, &nothing, e);
}

/* clang-format off */
#define RECORDER                                                                                                       \
	.abi = HOOK_ABI, .name = "e2e_recorder", .create = recorder_create, .destroy = recorder_destroy,                \
	.execute_pre_hook = recorder_event, .execute_post_hook = recorder_event,                                        \
	.execute_periodic_hook = recorder_tell, .execute_error_hook = recorder_tell
/* clang-format on */

const struct hook_ops e2e_recorder = { RECORDER };

static const char *const create_only[] = { "pre-create_share_instance", "post-create_share_instance", NULL };
const struct hook_ops e2e_recorder_create_only = { RECORDER, .wants = create_only };
