/* "exec:/path/program": a program run for every event. "exec:/path/directory": the programs in it, each named after the
 * one event that it is for. Which of the two an entry is, is looked at for every event. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "hooks/answer.h"
#include "hooks/program.h"
#include "hooks/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_VETO = 10 };

struct exec {
	const struct hook_setup *setup;
	double timeout;
	const char *user; /* NULL: the daemon's */
};

static const struct option exec_options[] = {
	{ .name = "exec_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .min = 0,
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN,
	  .help = "Seconds after which a hook program of the module exec is killed with all its children." },
	{ .name = "exec_user",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .flags = OPTION_USER,
	  .help = "User that hook programs of the module exec run as; the daemon's own without it." },
	{ 0 },
};

static int exec_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	int r = hook_program_check_argument(setup, "exec", e);
	if (r < 0)
		return r;
	struct exec *x = xcalloc(1, sizeof(*x));
	const char *user = settings_string(setup->settings, "exec_user");
	x->setup = setup;
	x->timeout = setup->timeout > 0 ? setup->timeout : settings_seconds(setup->settings, "exec_timeout");
	x->user = *user ? user : NULL;
	*ret = x;
	return 0;
}

static void exec_destroy(void *hook)
{
	free(hook);
}

/* The path of the event's program, were the entry a directory. */
static char *path_in_directory(const struct exec *x, enum hook_phase phase, const char *func_name)
{
	return xasprintf("%s/%s%s%s", x->setup->argument, hook_phase_name(phase), func_name ? "-" : "",
			 func_name ? func_name : "");
}

/* One system call where there is something to run. An entry that is missing altogether is wanted too, so that its
 * absence is a failure that is seen: a policy must not vanish with its file. */
static bool exec_wanted(void *hook, enum hook_phase phase, const char *func_name)
{
	const struct exec *x = hook;
	_cleanup_free_ char *path = path_in_directory(x, phase, func_name);
	struct stat st;
	if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0 || errno != ENOENT)
		return true;
	return stat(x->setup->argument, &st) < 0 || !S_ISDIR(st.st_mode);
}

/* Who may write the directory may put a program there. */
static int check_directory(const char *path, const struct stat *st, struct error *e)
{
	if ((st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	return error_set(
		e, ERR_PERMISSION_DENIED, EPERM,
		"directory %s may be written by others than root and the daemon's user: change its owner or mode",
		path);
}

static int exec_check(void *hook, struct error *e)
{
	const struct exec *x = hook;
	struct stat st;
	if (stat(x->setup->argument, &st) == 0 && S_ISDIR(st.st_mode))
		return check_directory(x->setup->argument, &st, e);
	return process_check_program(x->setup->argument, geteuid(), e);
}

/* `*ret` stays NULL where the directory has nothing for this event. */
static int find_program(const struct exec *x, const struct hook_event *ev, char **ret, struct error *e)
{
	const char *argument = x->setup->argument;
	struct stat st;
	_cleanup_free_ char *path = NULL;
	if (stat(argument, &st) < 0)
		return error_errno(e, errno, "hook program %s", argument);
	if (!S_ISDIR(st.st_mode)) {
		path = xstrdup(argument);
	} else {
		int r = check_directory(argument, &st, e);
		if (r < 0)
			return r;
		path = path_in_directory(x, ev->phase, ev->func_name);
		if (stat(path, &st) < 0 && errno == ENOENT)
			return 0;
	}
	int r = process_check_program(path, geteuid(), e);
	if (r < 0)
		return r;
	*ret = take_ptr(path);
	return 0;
}

static int run_program(const struct exec *x, const struct hook_event *ev, const char *path, struct process_result *ret,
		       char **ret_text, struct error *e)
{
	size_t len;
	const char *text = hook_event_text(ev, &len);
	/* Programs read lines. */
	_cleanup_free_ char *input = xmalloc(len + 1);
	memcpy(input, text, len);
	input[len] = '\n';
	_cleanup_hook_env_ struct hook_env env;
	hook_env_make(&env, x->setup, ev->call_id);
	const char *const argv[] = { path, hook_phase_name(ev->phase), ev->func_name, NULL };
	struct process_spec spec = { .argv = argv,
				     .env = env.vars,
				     .user = x->user,
				     .group = true,
				     .input = input,
				     .input_len = len + 1,
				     .max_output = HOOK_OUTPUT_MAX,
				     .timeout = x->timeout };
	int r = process_run(&spec, ret, e);
	if (r == 0)
		*ret_text = process_result_text(ret, &spec);
	return r;
}

static void log_errors(const struct process_result *result)
{
	struct hook_stderr lines = { 0 };
	hook_stderr_feed(&lines, result->errors, strlen(result->errors));
	hook_stderr_end(&lines);
}

static int veto(const struct hook_event *ev, const char *text, struct error *e)
{
	if (*text)
		return error_set(e, ERR_VETOED, EPERM, "%s", text);
	return error_set(e, ERR_VETOED, EPERM, "the hook refused %s and gave no reason", ev->func_name);
}

/* `text` says how the program ended. */
static int judge(const struct exec *x, const struct hook_event *ev, const struct process_result *result,
		 const char *text, json_t **ret, struct error *e)
{
	const char *errors = result->errors + strspn(result->errors, " \t\r\n");
	bool ended = !result->timed_out && !result->too_much;
	if (ended && result->exit_code == 0) {
		int r = hook_answer_parse(ev->phase, "standard output", result->output, result->output_len,
					  x->setup->max_depth, ret, e);
		if (r < 0)
			hook_error_add_stderr(e, errors);
		return r;
	}
	if (ended && result->exit_code == EXIT_VETO && ev->phase == HOOK_PRE)
		return veto(ev, errors, e);
	int err = result->timed_out ? ETIMEDOUT : result->too_much ? EFBIG : EIO;
	error_set(e, ERR_INTERNAL, err, "%s", text);
	hook_error_add_stderr(e, errors);
	return -err;
}

static int exec_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	const struct exec *x = hook;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	struct process_result result = { 0 };
	int r = find_program(x, ev, &path, e);
	if (r < 0 || !path)
		return r;
	r = run_program(x, ev, path, &result, &text, e);
	if (r < 0)
		return r;
	log_errors(&result);
	r = judge(x, ev, &result, text, ret, e);
	process_result_clear(&result);
	return r;
}

static int exec_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	json_t *nothing = NULL;
	return exec_event(hook, ev, &nothing, e);
}

static void exec_describe(void *hook, json_t *object)
{
	const struct exec *x = hook;
	json_object_set_new(object, "timeout", json_real(x->timeout));
	json_object_set_new(object, "user", jsonx_string(x->user));
	json_object_set_new(object, "containment", json_string(process_containment()));
}

const struct hook_ops hook_exec = {
	.abi = HOOK_ABI,
	.name = "exec",
	.options = exec_options,
	.create = exec_create,
	.destroy = exec_destroy,
	.check_for_setup_error = exec_check,
	.wanted = exec_wanted,
	.execute_pre_hook = exec_event,
	.execute_post_hook = exec_event,
	.execute_periodic_hook = exec_tell,
	.execute_error_hook = exec_tell,
	.describe = exec_describe,
};
