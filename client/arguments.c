#include "client/arguments.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define FIRST_OPTION 256 /* above every character, so that short options stay apart */

/* An option as it was given, before the command is known. */
struct given {
	const char *name, *value;
};

struct raw {
	struct given *given;
	size_t given_count;
};

static bool has_value(enum value_type type)
{
	return type != VALUE_FLAG && type != VALUE_NOT;
}

/* Every option of every command once: the command may come after them. */
static struct option *all_options(void)
{
	struct option *all = xcalloc(1, sizeof *all);
	size_t n = 0;

	for (const struct command *c = NULL;; c = c ? c + 1 : command_table()) {
		const struct argument *o = c ? c->options : command_common_options();

		if (c && !c->words)
			return all;
		for (; o && o->name; o++) {
			size_t i = 0;

			while (i < n && strcmp(all[i].name, o->name) != 0)
				i++;
			if (i < n)
				continue;
			all = xrealloc(all, (n + 2) * sizeof *all);
			all[n] = (struct option){ .name = o->name,
						  .has_arg = has_value(o->type) ? required_argument : no_argument,
						  .val = FIRST_OPTION + (int)n };
			all[++n] = (struct option){ 0 };
		}
	}
}

static void add_word(struct invocation *inv, const char *word)
{
	inv->words = xrealloc(inv->words, (inv->word_count + 1) * sizeof *inv->words);
	inv->words[inv->word_count++] = word;
}

static void add_given(struct raw *raw, const char *name, const char *value)
{
	raw->given = xrealloc(raw->given, (raw->given_count + 1) * sizeof *raw->given);
	raw->given[raw->given_count++] = (struct given){ name, value };
}

/* Words and options apart. Goes on past a fault, since --json after it says how the fault is told. */
static int split(int argc, char **argv, struct invocation *inv, struct raw *raw, struct failure *f)
{
	_cleanup_free_ struct option *options = all_options();
	int o;

	opterr = 0;
	optind = 0; /* glibc: begin anew */
	/* "-": words come in order as option 1, whatever POSIXLY_CORRECT says. */
	while ((o = getopt_long(argc, argv, "-:h", options, NULL)) != -1) {
		if (o == 1)
			add_word(inv, optarg);
		else if (o == 'h')
			inv->help = true;
		else if (o == ':')
			failure_set(f, CTL_USAGE, "--%s needs a value (sharesctl help)",
				    options[optopt - FIRST_OPTION].name);
		else if (o == '?' && optopt >= FIRST_OPTION)
			failure_set(f, CTL_USAGE, "--%s takes no value (sharesctl help)",
				    options[optopt - FIRST_OPTION].name);
		else if (o == '?' && optopt)
			failure_set(f, CTL_USAGE, "sharesctl has no option -%c (sharesctl help)", optopt);
		else if (o == '?')
			failure_set(f, CTL_USAGE,
				    "sharesctl has no option %s, or several that begin so (sharesctl help)",
				    argv[optind - 1]);
		else
			add_given(raw, options[o - FIRST_OPTION].name, optarg);
	}
	while (optind < argc)
		add_word(inv, argv[optind++]);
	return f->exit_code ? -1 : 0;
}

static void list_group(const char *group, struct failure *f)
{
	const char *before = " ";
	size_t n = strlen(group);

	for (const struct command *c = command_table(); c->words; c++) {
		if (strncmp(c->words, group, n) != 0 || c->words[n] != ' ')
			continue;
		failure_append(f, "%s%s", before, c->words + n + 1);
		before = ", ";
	}
}

static int find_command(struct invocation *inv, struct failure *f)
{
	size_t used = 0;

	inv->command = command_find(inv->words, inv->word_count, &used);
	if (inv->command) {
		inv->word_count -= used;
		memmove(inv->words, inv->words + used, inv->word_count * sizeof *inv->words);
		return 0;
	}
	if (inv->help)
		return 0;
	if (inv->word_count == 0)
		return failure_set(f, CTL_USAGE, "say what to do, like \"sharesctl share list\" (sharesctl help)");
	if (!command_is_group(inv->words[0]))
		return failure_set(f, CTL_USAGE, "sharesctl has no command \"%s\" (sharesctl help)", inv->words[0]);
	if (inv->word_count > 1)
		failure_set(f, CTL_USAGE, "\"%s\" has no command \"%s\", but:", inv->words[0], inv->words[1]);
	else
		failure_set(f, CTL_USAGE, "say what to do with \"%s\":", inv->words[0]);
	list_group(inv->words[0], f);
	return -1;
}

static bool parse_number(const char *s, json_int_t *ret)
{
	json_int_t n = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *s - '0', &n))
			return false;
	}
	*ret = n;
	return true;
}

static int set_pair(json_t *params, const char *param, enum value_type type, const char *what, const char *value,
		    struct failure *f)
{
	const char *equals = strchr(value, '=');
	size_t len = strlen(value);
	json_t *pairs = json_object_get(params, param);
	_cleanup_free_ char *key = NULL;
	json_int_t number;

	if (!pairs) {
		pairs = json_object();
		json_object_set_new(params, param, pairs);
	}
	if (type == VALUE_PATCH && !equals && len > 1 && value[len - 1] == '-') {
		key = xstrndup(value, len - 1);
		json_object_set_new(pairs, key, json_null());
		return 0;
	}
	if (!equals || equals == value)
		return failure_set(f, CTL_USAGE, "%s: \"%s\" is not %s", what, value,
				   type == VALUE_PATCH ? "KEY=VALUE, nor KEY- to remove a key" : "KEY=VALUE");
	key = xstrndup(value, (size_t)(equals - value));
	if (type == VALUE_SETTING && parse_number(equals + 1, &number))
		json_object_set_new(pairs, key, json_integer(number));
	else
		json_object_set_new(pairs, key, jsonx_string(equals + 1));
	return 0;
}

static int set_size(json_t *params, const char *param, const char *what, const char *value, struct failure *f)
{
	uint64_t bytes;
	int r = text_parse_size(value, &bytes);

	if (r == -ERANGE)
		return failure_set(f, CTL_USAGE, "%s: \"%s\" is more than a share can have", what, value);
	if (r < 0)
		return failure_set(f, CTL_USAGE, "%s: \"%s\" is no size: write it like 10GiB, 1.5T or 4096", what,
				   value);
	json_object_set_new(params, param, json_integer((json_int_t)bytes));
	return 0;
}

static int set_seconds(json_t *params, const char *param, const char *what, const char *value, struct failure *f)
{
	char *end;
	double seconds = strtod(value, &end);

	/* An upper bound keeps infinity and what no clock can count out; the comparison is false for "nan". */
	if (*end || end == value || !(seconds > 0 && seconds <= 1e9))
		return failure_set(f, CTL_USAGE, "%s: \"%s\" is no number of seconds above 0", what, value);
	json_object_set_new(params, param, json_real(seconds));
	return 0;
}

static int set_json(json_t *params, const char *param, const char *what, const char *value, FILE *in, struct failure *f)
{
	json_t *v = NULL;
	int r = arguments_read_json(value, in, what, &v, f);

	if (r == 0)
		json_object_set_new(params, param, v);
	return r;
}

static void append_word(json_t *params, const char *param, const char *value)
{
	if (!json_object_get(params, param))
		json_object_set_new(params, param, json_array());
	json_array_append_new(json_object_get(params, param), jsonx_string(value));
}

int arguments_set(json_t *params, const char *param, enum value_type type, const char *what, const char *value,
		  FILE *in, struct failure *f)
{
	json_int_t number;

	switch (type) {
	case VALUE_TEXT:
		json_object_set_new(params, param, jsonx_string(value));
		return 0;
	case VALUE_SIZE:
		return set_size(params, param, what, value, f);
	case VALUE_NUMBER:
		if (!parse_number(value, &number))
			return failure_set(f, CTL_USAGE, "%s: \"%s\" is no whole number", what, value);
		json_object_set_new(params, param, json_integer(number));
		return 0;
	case VALUE_SECONDS:
		return set_seconds(params, param, what, value, f);
	case VALUE_OWNER:
		json_object_set_new(params, param,
				    parse_number(value, &number) ? json_integer(number) : jsonx_string(value));
		return 0;
	case VALUE_FLAG:
	case VALUE_NOT:
		json_object_set_new(params, param, json_boolean(type == VALUE_FLAG));
		return 0;
	case VALUE_PAIR:
	case VALUE_SETTING:
	case VALUE_PATCH:
		return set_pair(params, param, type, what, value, f);
	case VALUE_WORDS:
		append_word(params, param, value);
		return 0;
	case VALUE_JSON:
		return set_json(params, param, what, value, in, f);
	}
	return failure_set(f, CTL_INTERNAL, "%s has no type", what);
}

static int read_all(FILE *in, char **ret, size_t *ret_len)
{
	size_t space = 65536, len = 0, n;
	_cleanup_free_ char *text = xmalloc(space);

	while ((n = fread(text + len, 1, space - len, in)) > 0) {
		len += n;
		if (len == space)
			text = xrealloc(text, space *= 2);
	}
	if (ferror(in))
		return -EIO;
	*ret = take_ptr(text);
	*ret_len = len;
	return 0;
}

int arguments_read_json(const char *text, FILE *in, const char *what, json_t **ret, struct failure *f)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *read = NULL;
	size_t len = strlen(text);

	if (strcmp(text, "-") == 0) {
		if (read_all(in, &read, &len) < 0)
			return failure_set(f, CTL_USAGE, "%s: standard input cannot be read", what);
		text = read;
	}
	if (jsonx_parse(text, len, 256, ret, &e) < 0)
		return failure_set(f, CTL_USAGE, "%s is not JSON: %s", what, e.message);
	return 0;
}

static int set_positionals(struct invocation *inv, FILE *in, struct failure *f)
{
	const struct command *c = inv->command;
	const struct argument *p = c->positionals;

	for (size_t i = 0; i < inv->word_count; i++) {
		int r;

		if (!p || !p->name)
			return failure_set(f, CTL_USAGE, "\"%s\" has no use for \"%s\" (sharesctl help %s)", c->words,
					   inv->words[i], c->words);
		r = p->param ? arguments_set(inv->params, p->param, p->type, p->name, inv->words[i], in, f) : 0;
		if (r < 0)
			return r;
		if (!p->repeated)
			p++;
		else if (i + 1 == inv->word_count)
			return 0;
	}
	if (p && p->name && !p->optional)
		return failure_set(f, CTL_USAGE, "\"%s\" needs %s (sharesctl help %s)", c->words, p->name, c->words);
	return 0;
}

static void set_own(struct invocation *inv, const char *name, const char *value)
{
	if (strcmp(name, "socket") == 0)
		inv->socket = value;
	else if (strcmp(name, "json") == 0)
		inv->json = true;
	else if (strcmp(name, "yes") == 0)
		inv->yes = true;
	else if (strcmp(name, "help") == 0)
		inv->help = true;
}

static int set_timeout(struct invocation *inv, const char *value, struct failure *f)
{
	_cleanup_json_ json_t *o = json_object();
	int r = set_seconds(o, "timeout", "--timeout", value, f);

	if (r == 0)
		inv->timeout = json_real_value(json_object_get(o, "timeout"));
	return r;
}

static int set_option(struct invocation *inv, const struct given *given, FILE *in, struct failure *f)
{
	const struct argument *o = command_option(inv->command, given->name);
	_cleanup_free_ char *what = xasprintf("--%s", given->name);

	if (!o)
		return failure_set(f, CTL_USAGE, "\"%s\" does not take %s (sharesctl help %s)", inv->command->words,
				   what, inv->command->words);
	if (strcmp(o->name, "timeout") == 0)
		return set_timeout(inv, given->value, f);
	if (!o->param)
		return 0;
	return arguments_set(inv->params, o->param, o->type, what, given->value, in, f);
}

static int check_required(const struct invocation *inv, struct failure *f)
{
	for (const struct argument *o = inv->command->options; o && o->name; o++)
		if (o->required && !json_object_get(inv->params, o->param))
			return failure_set(f, CTL_USAGE, "\"%s\" needs --%s %s (sharesctl help %s)",
					   inv->command->words, o->name, o->value, inv->command->words);
	return 0;
}

/* The second half, once all options and words are apart. */
static int fill(struct invocation *inv, const struct raw *raw, FILE *in, struct failure *f)
{
	int r = find_command(inv, f);

	if (r < 0 || inv->help)
		return r;
	if ((r = set_positionals(inv, in, f)) < 0)
		return r;
	for (size_t i = 0; i < raw->given_count; i++)
		if ((r = set_option(inv, &raw->given[i], in, f)) < 0)
			return r;
	return check_required(inv, f);
}

int arguments_parse(int argc, char **argv, FILE *in, struct invocation *ret, struct failure *f)
{
	struct raw raw = { 0 };
	int r;

	*ret = (struct invocation){ .params = json_object() };
	r = split(argc, argv, ret, &raw, f);
	for (size_t i = 0; i < raw.given_count; i++)
		set_own(ret, raw.given[i].name, raw.given[i].value);
	if (r == 0)
		r = fill(ret, &raw, in, f);
	free(raw.given);
	return r;
}

void invocation_clear(struct invocation *inv)
{
	json_decref(inv->params);
	free(inv->words);
	*inv = (struct invocation){ 0 };
}

const char *invocation_word(const struct invocation *inv, size_t i)
{
	return i < inv->word_count ? inv->words[i] : NULL;
}
