/* sharesd-manual: prints the parts of the manual that the tables know, as mdoc, for pages whose text has a line
 * "@OPTIONS@", "@METHODS@", .. where they go; or what rpc.discover answers. Runs at build time. */
#include "base/jsonx.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/option.h"
#include "conf/conf.h"
#include "daemon/discover.h"
#include "daemon/event_types.h"
#include "daemon/methods.h"
#include "daemon/options.h"
#include "drivers/table.h"
#include "hooks/table.h"

#include <stdio.h>
#include <string.h>

/* mdoc takes a dot or quote at the start of a line, and a backslash anywhere, for its own. */
static void print_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else if (text[0] == '.' && text[1] == ' ' && text[2])
			fputs(".\n", stdout), text++; /* each sentence on a line of its own */
		else
			putchar(*text);
	}
}

static void print_line(const char *text)
{
	print_text(text);
	putchar('\n');
}

/* ---- options ---- */

static const char *type_name(enum option_type type)
{
	switch (type) {
	case OPTION_STRING:
		return "text";
	case OPTION_BOOL:
		return "true or false";
	case OPTION_INT:
		return "whole number";
	case OPTION_SECONDS:
		return "seconds";
	case OPTION_SIZE:
		return "size";
	case OPTION_MODE:
		return "octal mode";
	case OPTION_CHOICE:
		return "word";
	case OPTION_LIST:
		return "list";
	}
	return "";
}

static void print_default(const struct option *o)
{
	if (o->flags & OPTION_REQUIRED)
		printf("Must be there.\n");
	else if (o->type == OPTION_LIST && !o->fallback)
		printf("Default:\n.Li {} .\n");
	else if (o->fallback && *o->fallback) {
		printf("Default:\n.Li \"");
		print_text(o->fallback);
		printf("\" .\n");
	}
}

static void print_bounds(const struct option *o)
{
	if (o->max <= 0 || (o->type != OPTION_INT && o->type != OPTION_SECONDS))
		return;
	printf("%s %g, at most %.10g.\n", o->flags & OPTION_ABOVE_MIN ? "Above" : "At least", o->min, o->max);
}

static void print_option(const struct option *o)
{
	printf(".It Ic ");
	print_text(o->name);
	printf(" Pq %s\n", type_name(o->type));
	print_line(o->help ? o->help : "");
	for (const char *const *c = o->choices; c && *c; c++)
		printf("%s%s%s", c == o->choices ? "One of " : ", ", *c, c[1] ? "" : ".\n");
	print_bounds(o);
	print_default(o);
	if (o->flags & OPTION_FIXED)
		printf("A reload does not change it.\n");
}

static void print_table(const struct option *table)
{
	printf(".Bl -tag -width Ds\n");
	for (const struct option *o = table; o && o->name; o++)
		print_option(o);
	printf(".El\n");
}

static void print_module_options(void)
{
	printf(".Bl -tag -width Ds\n");
	for (const struct hook_ops *const *m = hook_module_table(); *m; m++)
		for (const struct option *o = (*m)->options; o && o->name; o++)
			print_option(o);
	printf(".El\n");
}

static void print_drivers(void)
{
	for (const struct share_driver_ops *const *d = driver_table(); *d; d++) {
		printf(".Ss The driver %s\n", (*d)->name);
		print_line((*d)->summary ? (*d)->summary : "");
		printf(".Pp\nIts own options:\n");
		print_table((*d)->options);
	}
}

/* ---- methods ---- */

static void print_param(const struct param *p)
{
	printf(".It Va ");
	print_text(p->name);
	printf("%s\n", p->required ? "" : " Pq optional");
	print_line(p->help);
	if (p->fallback) {
		printf("Default:\n.Li ");
		print_line(p->fallback);
	}
	for (const char *const *c = p->choices; c && *c; c++)
		printf("%s%s%s", c == p->choices ? "One of " : ", ", *c, c[1] ? "" : ".\n");
}

static void print_results(const struct method *m)
{
	if (!m->results)
		return;
	printf("A post hook sees in\n.Va driver_action_results :\n");
	for (const struct result_key *k = m->results; k->name; k++)
		printf("%s%s%s", strcmp(k->name, "*") == 0 ? "the capabilities" : k->name,
		       k->changeable ? " (may be replaced)" : "", k[1].name ? ", " : ".\n");
}

static void print_method(const struct method *m)
{
	static const char *const kinds[] = { "read", "read that waits its turn", "change without hooks",
					     "change with hooks" };
	size_t common = 0;

	printf(".Ss %s\n", m->name);
	print_line(m->help);
	printf("(%s; answers %s)\n", kinds[m->kind], m->result);
	if (m->params) {
		printf(".Bl -tag -width Ds\n");
		for (const struct param *p = m->params; p->name; p++)
			print_param(p);
		printf(".El\n");
	}
	for (const struct param *p = method_common_params(); p->name; p++)
		if (method_takes(m, p->name))
			printf("%s%s", common++ ? ", " : ".Pp\nAlso: ", p->name);
	if (common)
		printf(".\n");
	if (m->results)
		printf(".Pp\n");
	print_results(m);
}

static void print_methods(void)
{
	for (const struct method *m = method_table(); m->name; m++)
		print_method(m);
}

static void print_common(void)
{
	printf(".Bl -tag -width Ds\n");
	for (const struct param *p = method_common_params(); p->name; p++)
		print_param(p);
	printf(".El\n");
}

static void print_errors(void)
{
	printf(".Bl -column \"-32602\" \"post_hook_failed\" \"retryable\"\n");
	for (int k = ERR_NONE + 1; k < ERR_KIND_COUNT; k++)
		printf(".It %d Ta %s Ta %s\n", error_kind_code((enum error_kind)k), error_kind_name((enum error_kind)k),
		       error_kind_retryable((enum error_kind)k) ? "retryable" : "");
	printf(".El\n");
}

static void print_messages(void)
{
	printf(".Bl -tag -width Ds\n");
	for (int k = 0; k < LOG_KIND_COUNT; k++) {
		printf(".It Li %s Pq %s\n", log_kind_id((enum log_kind)k), log_kind_name((enum log_kind)k));
		print_line(log_kind_help((enum log_kind)k));
	}
	printf(".El\n");
}

static void print_events(void)
{
	printf(".Bl -tag -width Ds\n");
	for (const struct event_type *t = event_type_table(); t->name; t++) {
		printf(".It Li %s\n", t->name);
		print_line(t->help);
	}
	printf(".El\n");
}

static int print_discovery(void)
{
	json_t *doc = discover_document();
	int r = json_dumpf(doc, stdout, JSON_INDENT(1));

	json_decref(doc);
	return r == 0 && putchar('\n') != EOF && fflush(stdout) == 0 ? 0 : 1;
}

/* ---- pages ---- */

static bool fill_in(const char *line)
{
	if (strcmp(line, "@TOP_OPTIONS@\n") == 0)
		print_table(daemon_schema()->top);
	else if (strcmp(line, "@BACKEND_OPTIONS@\n") == 0)
		print_table(daemon_schema()->backend);
	else if (strcmp(line, "@HOOK_OPTIONS@\n") == 0)
		print_table(conf_hook_options);
	else if (strcmp(line, "@MODULE_OPTIONS@\n") == 0)
		print_module_options();
	else if (strcmp(line, "@DRIVERS@\n") == 0)
		print_drivers();
	else if (strcmp(line, "@METHODS@\n") == 0)
		print_methods();
	else if (strcmp(line, "@COMMON@\n") == 0)
		print_common();
	else if (strcmp(line, "@ERRORS@\n") == 0)
		print_errors();
	else if (strcmp(line, "@MESSAGES@\n") == 0)
		print_messages();
	else if (strcmp(line, "@EVENTS@\n") == 0)
		print_events();
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	char line[1024];
	FILE *page;

	mem_setup();
	if (argc == 2 && strcmp(argv[1], "--discovery") == 0)
		return print_discovery();
	page = argc == 2 ? fopen(argv[1], "re") : NULL;
	if (!page) {
		fprintf(stderr, "Usage: sharesd-manual PAGE.in > PAGE, or sharesd-manual --discovery\n");
		return 1;
	}
	while (fgets(line, sizeof line, page))
		if (!fill_in(line))
			fputs(line, stdout);
	fclose(page);
	return fflush(stdout) == 0 ? 0 : 1;
}
