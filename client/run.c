/* Commands that are more than one call and its answer. */
#include "client/arguments.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/ctl.h"
#include "client/help.h"
#include "client/list.h"
#include "client/terminal.h"

#include <string.h>

#define STATUS_SECONDS 10.0 /* a daemon that does not answer for so long is as good as down */

/* The exit code is that of the error that the answer would have been, so that hooks can be tested in scripts. */
int run_hook_test(struct ctl *c, struct invocation *inv, struct failure *f)
{
	_cleanup_json_ json_t *result = NULL;
	int r = ctl_call(c, inv->command->method, inv->params, &result, f);

	if (r < 0)
		return r;
	/* For people it would hide the rest. */
	if (!c->json)
		json_object_del(result, "event");
	ctl_print(c, result);
	if (jsonx_bool(result, "accepted"))
		return CTL_OK;
	return failure_exit_code(jsonx_str(jsonx_get(jsonx_get(result, "error"), "data"), "kind"));
}

static int print_down(struct ctl *c, const struct failure *why)
{
	_cleanup_json_ json_t *o = NULL;
	_cleanup_free_ char *text = terminal_escape(failure_message(why));

	if (c->json) {
		o = jsonx_pack("{s:s,s:s}", "status", "down", "reason", failure_message(why));
		ctl_print(c, o);
	} else {
		fprintf(c->out, "down: %s\n", text);
	}
	return CTL_DOWN;
}

static void print_health(struct ctl *c, const char *status, json_t *service, json_t *backends)
{
	const char *version = jsonx_str(service, "version");
	_cleanup_free_ char *safe = terminal_escape(version ? version : "");
	const char *colour = ctl_colours(c) ? terminal_status_colour(status) : "";
	_cleanup_json_ json_t *o = NULL;

	if (c->json) {
		o = jsonx_pack("{s:s,s:O,s:O}", "status", status, "service", service, "backends", backends);
		ctl_print(c, o);
		return;
	}
	fprintf(c->out, "sharesd%s%s on %s: %s%s%s\n", *safe ? " " : "", safe, c->socket, colour, status,
		*colour ? TERMINAL_PLAIN : "");
	view_print_list(&view_health, backends, ctl_colours(c), c->out);
}

int run_status(struct ctl *c, struct invocation *inv, struct failure *f)
{
	_cleanup_json_ json_t *service = NULL, *list = NULL;
	json_t *backends, *b;
	bool degraded = false;
	size_t i;

	if (inv->timeout <= 0)
		c->deadline = text_monotonic() + STATUS_SECONDS;
	if (ctl_call(c, "get_service", NULL, &service, f) < 0 ||
	    list_fetch(c, "list_backends", "backends", NULL, &list, f) < 0) {
		bool down = f->exit_code == CTL_NO_DAEMON || f->exit_code == CTL_UNKNOWN;
		int code = down ? print_down(c, f) : f->exit_code;

		if (down)
			failure_clear(f);
		return code;
	}
	backends = json_object_get(list, "backends");
	json_array_foreach(backends, i, b) {
		const char *status = jsonx_str(b, "status");

		degraded = degraded || !status || strcmp(status, "up") != 0;
	}
	print_health(c, degraded ? "degraded" : "well", service, backends);
	return degraded ? CTL_DEGRADED : CTL_OK;
}

static void print_event(struct ctl *c, const json_t *event)
{
	const json_t *object = jsonx_get(event, "object");
	const char *time = jsonx_str(event, "time"), *type = jsonx_str(event, "type"),
		   *name = jsonx_str(object, "name");
	const char *reason = jsonx_str(object, "status_reason");
	_cleanup_free_ char *line = NULL, *safe = NULL;

	if (c->json) {
		_cleanup_free_ char *text = terminal_json(event, false);

		fprintf(c->out, "%s\n", text);
		return;
	}
	if (!name)
		name = jsonx_str(object, "id");
	line = xasprintf("%s  %lld  %s  %s%s%s", time ? time : "-", (long long)jsonx_int(event, "seq"),
			 type ? type : "-", name ? name : "-", reason ? ": " : "", reason ? reason : "");
	safe = terminal_escape(line);
	fprintf(c->out, "%s\n", safe);
}

static int follow_events(struct ctl *c, long long seq, struct failure *f)
{
	for (;;) {
		_cleanup_json_ json_t *event = NULL;
		int r = connection_next_event(c->conn, &event, f);

		if (r < 0 && f->exit_code == CTL_UNKNOWN) {
			failure_clear(f);
			return failure_set(
				f, CTL_NO_DAEMON,
				"sharesd closed the connection: follow on with sharesctl events --since %lld", seq);
		}
		if (r < 0)
			return r;
		seq = jsonx_int(event, "seq");
		print_event(c, event);
		if (fflush(c->out) != 0)
			return CTL_OK; /* ctl_run finds the fault of the stream */
	}
}

int run_events(struct ctl *c, struct invocation *inv, struct failure *f)
{
	_cleanup_json_ json_t *result = NULL;
	json_t *since = json_object_get(inv->params, "since");
	int r = ctl_call(c, inv->command->method, inv->params, &result, f);

	if (r < 0 && f->exit_code == failure_exit_code("method_not_found"))
		failure_append(f, ": this sharesd does not tell events");
	if (r < 0)
		return r;
	return follow_events(c, since ? json_integer_value(since) : jsonx_int(result, "seq"), f);
}

int run_call(struct ctl *c, struct invocation *inv, struct failure *f)
{
	const char *method = invocation_word(inv, 0), *text = invocation_word(inv, 1);
	_cleanup_json_ json_t *params = NULL, *result = NULL;
	bool options = json_object_size(inv->params) > 0;
	int r;

	if (text && (r = arguments_read_json(text, c->in, "params", &params, f)) < 0)
		return r;
	if (params && !json_is_object(params))
		return failure_set(f, CTL_USAGE, "params must be a JSON object: {\"name\":value,..}");
	if (!params && options)
		params = json_object();
	if (options)
		json_object_update(params, inv->params);
	if ((r = ctl_call(c, method, params, &result, f)) < 0)
		return r;
	view_print_json(result, c->out_tty, c->out);
	return CTL_OK;
}

int run_version(struct ctl *c, struct invocation *inv, struct failure *f)
{
	(void)inv;
	(void)f;
	if (c->json)
		fputs("{\"version\":\"" SHARESD_VERSION "\"}\n", c->out);
	else
		fputs("sharesctl " SHARESD_VERSION "\n", c->out);
	return CTL_OK;
}

static json_t *find_named(const json_t *list, const char *name)
{
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o) {
		const char *is = jsonx_str(o, "name");

		if (is && strcmp(is, name) == 0)
			return o;
	}
	return NULL;
}

/* What may stand somewhere, as the daemon describes itself: "methods", "events", a schema's name, or a method's and its
 * parameter's. An array of words, or of objects with a name; borrowed. */
static const json_t *find_choices(const json_t *doc, const char *what, const char *param)
{
	const json_t *m = find_named(jsonx_get(doc, "methods"), what);

	if (param)
		return jsonx_get(jsonx_get(find_named(jsonx_get(m, "params"), param), "schema"), "enum");
	if (strcmp(what, "methods") == 0)
		return jsonx_get(doc, "methods");
	if (strcmp(what, "events") == 0)
		return jsonx_get(doc, "x-events");
	return jsonx_get(jsonx_get(jsonx_get(jsonx_get(doc, "components"), "schemas"), what), "enum");
}

static int print_choices(struct ctl *c, struct invocation *inv, struct failure *f)
{
	const char *what = invocation_word(inv, 0);
	_cleanup_json_ json_t *doc = NULL;
	const json_t *choices;
	json_t *o;
	size_t i;
	int r = ctl_call(c, "rpc.discover", NULL, &doc, f);

	if (r < 0)
		return r;
	choices = what ? find_choices(doc, what, invocation_word(inv, 1)) : NULL;
	json_array_foreach(choices, i, o) {
		const char *name = json_is_string(o) ? json_string_value(o) : jsonx_str(o, "name");
		_cleanup_free_ char *safe = terminal_escape(name ? name : "");

		fprintf(c->out, "%s\n", safe);
	}
	return CTL_OK;
}

int run_help(struct ctl *c, struct invocation *inv, struct failure *f)
{
	if (jsonx_bool(inv->params, "choices"))
		return print_choices(c, inv, f);
	if (jsonx_bool(inv->params, "words")) {
		help_print_words(c->out);
		return CTL_OK;
	}
	return help_print(inv->words, inv->word_count, c->out, f);
}
