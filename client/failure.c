#include "client/failure.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "client/terminal.h"

#include <errno.h>
#include <string.h>

/* Scripts rely on these numbers: none is ever given another meaning. `kind` is the word in data.kind; ours have words
 * too, so that --json tells them apart. */
static const struct exit_code {
	int code;
	const char *kind; /* NULL: no error has this code */
	const char *meaning;
} exit_codes[] = {
	{ CTL_OK, NULL, "done" },
	{ CTL_DEGRADED, NULL, "status: degraded, a backend is not up" },
	{ CTL_DOWN, NULL, "status: down, no sharesd answers" },
	{ 3, "not_found", "there is no such object" },
	{ 4, "already_exists", "the name is taken, or there is an equal rule" },
	{ 5, "invalid_params", "the daemon refuses a parameter" },
	{ 6, "invalid_state", "the object's status does not allow it" },
	{ 7, "not_supported", "the backend cannot do it" },
	{ 8, "no_space", "no space left on the backend" },
	{ 9, "data_loss", "it would lose data" },
	{ 10, "driver_failed", "the backend's driver failed" },
	{ 11, "pre_hook_failed", "a hook before the change failed: nothing was changed" },
	{ 12, "post_hook_failed", "a hook after the change failed: the change stays" },
	{ 13, "permission_denied", "you may not" },
	{ 14, "busy", "too many calls are waiting: try again" },
	{ 15, "limit", "a limit of the daemon is reached" },
	{ 16, "backend_down", "the backend is down" },
	{ 17, "vetoed", "a hook said no" },
	{ 18, "would_deadlock", "called from a hook, which may only read" },
	{ 19, "shutting_down", "the daemon is stopping: try again" },
	{ CTL_INTERNAL, "internal", "internal error, or one that is not listed here" },
	{ 21, "method_not_found", "this sharesd has no such method" },
	{ CTL_DECLINED, "declined", "the question was not answered with yes: nothing was done" },
	{ CTL_USAGE, "usage", "wrong command line" },
	{ CTL_NO_DAEMON, "no_daemon", "no sharesd answers" },
	{ CTL_OUTPUT, "output", "the answer could not be written" },
	{ CTL_UNKNOWN, "no_answer", "no answer came: the outcome is unknown" },
};

#define EXIT_CODE_COUNT (sizeof exit_codes / sizeof exit_codes[0])

static const char *own_kind(enum ctl_exit code)
{
	for (size_t i = 0; i < EXIT_CODE_COUNT; i++)
		if (exit_codes[i].code == (int)code)
			return exit_codes[i].kind;
	return NULL;
}

int failure_exit_code(const char *kind)
{
	for (size_t i = 0; kind && i < EXIT_CODE_COUNT; i++)
		if (exit_codes[i].kind && strcmp(exit_codes[i].kind, kind) == 0)
			return exit_codes[i].code;
	return CTL_INTERNAL;
}

int failure_set(struct failure *f, enum ctl_exit code, const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	if (f->exit_code)
		return -EINVAL;
	va_start(ap, fmt);
	message = xvasprintf(fmt, ap);
	va_end(ap);
	f->exit_code = code;
	/* -32000 is the first of the codes that JSON-RPC leaves to implementations; the daemon uses none of them. */
	f->error = jsonx_pack("{s:i,s:o,s:{s:s}}", "code", -32000, "message", jsonx_string(message), "data", "kind",
			      own_kind(code));
	return -EINVAL;
}

int failure_set_error(struct failure *f, const json_t *error)
{
	if (f->exit_code)
		return -EREMOTEIO;
	f->exit_code = failure_exit_code(jsonx_str(jsonx_get(error, "data"), "kind"));
	/* Copied, since failure_append writes into it. */
	f->error = json_is_object(error) ? json_copy((json_t *)error) : json_object();
	return -EREMOTEIO;
}

void failure_append(struct failure *f, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	message = xasprintf("%s%s", failure_message(f), text);
	if (f->error)
		json_object_set_new(f->error, "message", jsonx_string(message));
}

const char *failure_message(const struct failure *f)
{
	const char *message = jsonx_str(f->error, "message");

	return message ? message : "sharesd answered with an error that has no message";
}

void failure_print(const struct failure *f, bool json, FILE *to)
{
	_cleanup_free_ char *text = NULL;

	if (!f->exit_code)
		return;
	if (json) {
		text = terminal_json(f->error, false);
		fprintf(to, "%s\n", text);
	} else {
		text = terminal_escape(failure_message(f));
		fprintf(to, "sharesctl: %s\n", text);
	}
}

void failure_move(struct failure *f, struct failure *from)
{
	if (f->exit_code == 0) {
		*f = *from;
		*from = (struct failure){ 0 };
	}
	failure_clear(from);
}

void failure_clear(struct failure *f)
{
	json_decref(f->error);
	*f = (struct failure){ 0 };
}

void failure_print_codes(FILE *to)
{
	for (size_t i = 0; i < EXIT_CODE_COUNT; i++)
		fprintf(to, "  %2d  %s\n", exit_codes[i].code, exit_codes[i].meaning);
}
