/* "python:package.module:Class": a hook class in a Python process of its own, which the shipped runner keeps. It gets
 * class and options as its first line, and says what it wants or why it cannot serve. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/process.h"
#include "hooks/program.h"
#include "hooks/resident.h"
#include "hooks/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct python {
	struct resident_spec spec;
	char *runner, *greeting;
	struct resident *resident;
};

static const struct option python_options[] = {
	{ .name = "python_path",
	  .type = OPTION_LIST,
	  .fallback = SHARESD_SYSCONF "/hooks",
	  .help = "Directories in which the module python looks for hook classes, before where Python looks itself." },
	{ .name = "python_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .min = 0,
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN,
	  .help = "Seconds that a hook of the module python has to be made, and for each event, before its process is "
		  "killed with all its children." },
	{ .name = "python_user",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .help = "User that hooks of the module python run as; the daemon's own without it." },
	{ 0 },
};

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

/* The length of the name at the start, 0: there is none. Letters beyond ASCII are Python's to judge. */
static size_t name_length(const char *s)
{
	size_t n = 0;
	while (s[n] && (strchr(letters, s[n]) || (unsigned char)s[n] >= 0x80))
		n++;
	return *s >= '0' && *s <= '9' ? 0 : n;
}

static bool is_class(const char *s)
{
	size_t n;
	while ((n = name_length(s)) > 0 && s[n] == '.')
		s += n + 1;
	if (n == 0 || s[n] != ':')
		return false;
	s += n + 1;
	n = name_length(s);
	return n > 0 && s[n] == '\0';
}

static char *make_greeting(const struct hook_setup *setup)
{
	size_t n;
	const char *const *path = settings_list(setup->settings, "python_path", &n);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, jsonx_string(path[i]));
	_cleanup_free_ char *host = xasprintf("%s@%s", setup->host, setup->backend);
	_cleanup_json_ json_t *o = jsonx_pack("{s:o,s:o,s:o,s:o,s:I,s:I,s:I}", "class", jsonx_string(setup->argument),
					      "host", jsonx_string(host), "path", list, "options",
					      settings_all(setup->settings), "uid", (json_int_t)geteuid(), "max_depth",
					      (json_int_t)setup->max_depth, "max_answer", (json_int_t)HOOK_OUTPUT_MAX);
	_cleanup_free_ char *text = jsonx_dump(o);
	return xasprintf("%s\n", text);
}

static int check_path(const struct hook_setup *setup, struct error *e)
{
	size_t n;
	const char *const *path = settings_list(setup->settings, "python_path", &n);
	for (size_t i = 0; i < n; i++) {
		if (path[i][0] != '/')
			return error_set(e, ERR_INVALID_PARAMS, EINVAL, "python_path: \"%s\" must be a path from \"/\"",
					 path[i]);
	}
	return 0;
}

static int python_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	if (!is_class(setup->argument))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL,
				 "\"%s\" needs the name of a class: write python:package.module:Class", setup->entry);
	int r = check_path(setup, e);
	if (r < 0)
		return r;
	struct python *p = xcalloc(1, sizeof(*p));
	const char *user = settings_string(setup->settings, "python_user");
	double timeout = setup->timeout > 0 ? setup->timeout : settings_seconds(setup->settings, "python_timeout");
	p->runner = process_beside_helper("sharesd-python");
	p->greeting = make_greeting(setup);
	p->spec = (struct resident_spec){ .setup = setup,
					  .program = p->runner,
					  .own = true,
					  .user = *user ? user : NULL,
					  .timeout = timeout,
					  .greeting = p->greeting };
	p->resident = resident_new(&p->spec);
	*ret = p;
	return 0;
}

static void python_destroy(void *hook)
{
	struct python *p = hook;
	if (!p)
		return;
	resident_free(p->resident);
	free(p->runner);
	free(p->greeting);
	free(p);
}

/* Only Python knows whether the class is there and can be made: it is made here, for the events to come. */
static int python_check(void *hook, struct error *e)
{
	return resident_greet(((struct python *)hook)->resident, e);
}

static bool python_wanted(void *hook, enum hook_phase phase, const char *func_name)
{
	return resident_wanted(((struct python *)hook)->resident, phase, func_name);
}

static int python_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	return resident_event(((struct python *)hook)->resident, ev, ret, e);
}

static int python_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	return resident_tell(((struct python *)hook)->resident, ev, e);
}

static void python_describe(void *hook, json_t *object)
{
	resident_describe(((struct python *)hook)->resident, object);
}

const struct hook_ops hook_python = {
	.abi = HOOK_ABI,
	.name = "python",
	.options = python_options,
	.create = python_create,
	.destroy = python_destroy,
	.check_for_setup_error = python_check,
	.wanted = python_wanted,
	.execute_pre_hook = python_event,
	.execute_post_hook = python_event,
	.execute_periodic_hook = python_tell,
	.execute_error_hook = python_tell,
	.describe = python_describe,
};
