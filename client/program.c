#include "client/program.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/help.h"
#include "client/list.h"
#include "client/terminal.h"

#include <string.h>

/* The command that shows what became of it: "share list" for those of shares. */
static char *look_with(const struct invocation *inv)
{
	size_t used, len = strcspn(inv->command->words, " ");
	_cleanup_free_ char *group = xstrndup(inv->command->words, len);
	const struct command *list = command_find((const char *const[]){ group, "list" }, 2, &used);

	if (!list)
		return xstrdup("calls");
	if (list->positionals && !list->positionals->optional && inv->word_count > 0)
		return xasprintf("%s %s", list->words, inv->words[0]);
	return xstrdup(list->words);
}

/* What to do where no answer came. */
static void advise(const struct invocation *inv, struct failure *f)
{
	const char *request_id = jsonx_str(inv->params, "request_id");
	_cleanup_free_ char *look = NULL;

	if (f->exit_code != CTL_UNKNOWN || !inv->command)
		return;
	if (inv->command->flags & COMMAND_ANY)
		failure_append(f, ", so what became of it is unknown: look (sharesctl calls)");
	if (!(inv->command->flags & COMMAND_CHANGES))
		return;
	look = look_with(inv);
	failure_append(f,
		       ", so whether it was done is unknown: look (sharesctl %s), or repeat it with --request-id %s, "
		       "which never does it twice",
		       look, request_id);
}

/* Before something is gone for good. True: go on. */
static bool ask(struct ctl *c, const struct invocation *inv)
{
	_cleanup_free_ char *name = NULL;
	char answer[16] = "";

	if (!inv->command->question || inv->yes || !c->in_tty)
		return true;
	name = terminal_escape(inv->words[0]);
	fprintf(c->err, "Delete %s %s? [y/N] ", inv->command->question, name);
	fflush(c->err);
	if (!fgets(answer, sizeof answer, c->in)) {
		fputc('\n', c->err);
		return false;
	}
	answer[strcspn(answer, "\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

static int run_usual(struct ctl *c, struct invocation *inv, struct failure *f)
{
	_cleanup_json_ json_t *result = NULL;
	int r;

	if (inv->command->list)
		return list_run(c, inv, f);
	if (!ask(c, inv))
		return failure_set(f, CTL_DECLINED, "nothing was deleted");
	if ((r = ctl_call_watched(c, inv, &result, f)) < 0)
		return r;
	/* A delete has nothing to show. */
	if (c->json || !json_is_null(result))
		ctl_print(c, result);
	return CTL_OK;
}

/* With an id of ours a change whose answer is lost can be repeated safely; `advise` tells it. */
static void set_request_id(struct invocation *inv)
{
	char id[37];

	if (!(inv->command->flags & COMMAND_CHANGES) || json_object_get(inv->params, "request_id"))
		return;
	text_make_uuid(id);
	json_object_set_new(inv->params, "request_id", json_string(id));
}

static const char *choose_socket(const struct invocation *inv)
{
	const char *from_environment = getenv("SHARESD_SOCKET");

	if (inv->socket)
		return inv->socket;
	return from_environment && *from_environment ? from_environment : CTL_SOCKET;
}

static int run(struct ctl *c, struct invocation *inv, struct failure *f)
{
	int r;

	if (inv->help && inv->command) {
		help_print_command(inv->command, c->out);
		return CTL_OK;
	}
	if (inv->help)
		return help_print(inv->words, inv->word_count, c->out, f);
	c->socket = choose_socket(inv);
	c->deadline = inv->timeout > 0 ? text_monotonic() + inv->timeout : 0;
	if (inv->command->prepare && (r = inv->command->prepare(c, inv, f)) < 0)
		return r;
	set_request_id(inv);
	return inv->command->run ? inv->command->run(c, inv, f) : run_usual(c, inv, f);
}

int program_run(struct ctl *c, int argc, char **argv)
{
	_cleanup_failure_ struct failure f = { 0 };
	struct invocation inv;
	int code = arguments_parse(argc, argv, c->in, &inv, &f);

	c->json = inv.json;
	if (code >= 0)
		code = run(c, &inv, &f);
	if (f.exit_code) {
		advise(&inv, &f);
		code = f.exit_code;
		failure_print(&f, c->json, c->err);
	}
	if ((fflush(c->out) != 0 || ferror(c->out)) && code == CTL_OK) {
		failure_set(&f, CTL_OUTPUT, "the answer could not be written to standard output");
		failure_print(&f, c->json, c->err);
		code = CTL_OUTPUT;
	}
	connection_close(c->conn);
	c->conn = NULL;
	invocation_clear(&inv);
	return code;
}
