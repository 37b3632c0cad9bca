#include "client/help.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

static bool takes_value(const struct argument *o)
{
	return o->type != VALUE_FLAG && o->type != VALUE_NOT;
}

static void print_usage(const struct command *c, FILE *to)
{
	fprintf(to, "sharesctl %s", c->words);
	for (const struct argument *p = c->positionals; p && p->name; p++)
		fprintf(to, p->optional ? " [%s]%s" : " %s%s", p->name, p->repeated ? ".." : "");
	for (const struct argument *o = c->options; o && o->name; o++)
		if (o->required)
			fprintf(to, " --%s %s", o->name, o->value);
}

static void print_argument(const char *name, const char *help, FILE *to)
{
	enum { WIDTH = 26 };

	if (strlen(name) > WIDTH)
		fprintf(to, "  %s\n  %*s %s\n", name, WIDTH, "", help);
	else
		fprintf(to, "  %-*s %s\n", WIDTH, name, help);
}

static void print_option(const struct argument *o, FILE *to)
{
	_cleanup_free_ char *name = NULL;

	if (!o->help)
		return;
	name = takes_value(o) ? xasprintf("--%s %s", o->name, o->value ? o->value : "VALUE")
			      : xasprintf("--%s", o->name);
	print_argument(name, o->help, to);
}

void help_print_command(const struct command *c, FILE *to)
{
	fputs("Usage: ", to);
	print_usage(c, to);
	fprintf(to, " [options]\n%s.\n\n", c->help);
	for (const struct argument *p = c->positionals; p && p->name; p++)
		print_argument(p->name, p->help, to);
	for (const struct argument *o = c->options; o && o->name; o++)
		print_option(o, to);
	for (const struct argument *o = command_common_options(); o->name; o++)
		if (command_takes_common(c, o))
			print_option(o, to);
}

/* Commands of a group, or all. */
static void print_commands(const char *group, FILE *to)
{
	size_t n = group ? strlen(group) : 0;

	for (const struct command *c = command_table(); c->words; c++)
		if (!group || (strncmp(c->words, group, n) == 0 && c->words[n] == ' '))
			print_argument(c->words, c->help, to);
}

static void print_all(FILE *to)
{
	fputs("Usage: sharesctl COMMAND [arguments] [options]\n"
	      "Makes and looks after the file shares of sharesd.\n\nCommands:\n",
	      to);
	print_commands(NULL, to);
	fputs("\nOptions of all commands, anywhere:\n", to);
	for (const struct argument *o = command_common_options(); o->name; o++)
		if (!o->param)
			print_option(o, to);
	fputs("\nOptions of commands that change something:\n", to);
	for (const struct argument *o = command_common_options(); o->name; o++)
		if (o->param)
			print_option(o, to);
	fputs("\nExit codes:\n", to);
	failure_print_codes(to);
}

int help_print(const char *const *words, size_t count, FILE *to, struct failure *f)
{
	size_t used;
	const struct command *c = command_find(words, count, &used);

	if (c)
		help_print_command(c, to);
	else if (count == 0)
		print_all(to);
	else if (count == 1 && command_is_group(words[0]))
		print_commands(words[0], to);
	else
		return failure_set(f, CTL_USAGE, "sharesctl has no command \"%s%s%s\" (sharesctl help)", words[0],
				   count > 1 ? " " : "", count > 1 ? words[1] : "");
	return CTL_OK;
}

static void print_option_word(const struct argument *o, FILE *to)
{
	fprintf(to, " --%s%s", o->name, takes_value(o) ? "=" : "");
}

void help_print_words(FILE *to)
{
	for (const struct command *c = command_table(); c->words; c++) {
		fprintf(to, "%s\t", c->words);
		for (const struct argument *p = c->positionals; p && p->name; p++)
			fprintf(to, "%s%s", p == c->positionals ? "" : " ", p->name);
		fputs("\t", to);
		for (const struct argument *o = c->options; o && o->name; o++)
			if (o->help)
				print_option_word(o, to);
		for (const struct argument *o = command_common_options(); o->name; o++)
			if (command_takes_common(c, o))
				print_option_word(o, to);
		fputs("\n", to);
	}
}
