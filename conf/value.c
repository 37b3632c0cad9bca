#include "conf/value.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/fault.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

/* No timer or time limit of a service is longer than a year; "forever" must not be reached by accident. */
#define SECONDS_MAX (366.0 * 24 * 3600)
#define INT_MOST    1e18

__attribute__((format(printf, 2, 3))) static int refuse(char **ret_reason, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	*ret_reason = xvasprintf(fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int refuse_word(char **ret_reason, const char *word, const char *why)
{
	_cleanup_free_ char *shown = fault_shown(word);
	return refuse(ret_reason, "\"%s\" %s", shown, why);
}

static void print_bound(const struct option *o, double bound, char ret[32])
{
	if (o->type == OPTION_SIZE)
		text_format_size((uint64_t)bound, ret);
	else
		snprintf(ret, 32, "%.15g", bound);
}

static int refuse_range(const struct option *o, double min, double max, const char *word, char **ret_reason)
{
	_cleanup_free_ char *shown = fault_shown(word);
	bool above = o->flags & OPTION_ABOVE_MIN;
	const char *unit = o->type == OPTION_SECONDS ? " seconds" : "";
	char lo[32], hi[32];
	print_bound(o, min, lo);
	print_bound(o, max, hi);
	if (above)
		return refuse(ret_reason, "%s is out of range; it must be above %s and at most %s%s", shown, lo, hi,
			      unit);
	return refuse(ret_reason, "%s is out of range; it must be between %s and %s%s", shown, lo, hi, unit);
}

/* A row with 0 and 0 has no bounds, one with a maximum below its minimum has no maximum; the type's own are left. */
static int check_range(const struct option *o, double number, const char *word, char **ret_reason)
{
	double most = o->type == OPTION_SECONDS ? SECONDS_MAX : o->type == OPTION_INT ? INT_MOST : (double)INT64_MAX;
	bool none = o->min == 0 && o->max == 0;
	double min = none && o->type == OPTION_INT ? -most : o->min;
	double max = none || o->max < o->min ? most : o->max;
	bool low = o->flags & OPTION_ABOVE_MIN ? number > min : number >= min;
	return low && number <= max ? 0 : refuse_range(o, min, max, word, ret_reason);
}

static int parse_bool(const char *word, struct value *v, char **ret_reason)
{
	static const char *const words[][2] = { { "false", "true" }, { "no", "yes" }, { "off", "on" } };
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		for (size_t b = 0; b < 2; b++) {
			if (strcasecmp(word, words[i][b]) == 0) {
				v->flag = b;
				return 0;
			}
		}
	}
	return refuse_word(ret_reason, word, "is neither true nor false; write one of the two");
}

static int parse_int(const char *word, struct value *v, char **ret_reason)
{
	const char *digits = word + (*word == '-');
	size_t n = strspn(digits, "0123456789");
	if (n == 0 || digits[n])
		return refuse_word(ret_reason, word, "is no whole number; write digits such as 5");
	/* Octal to some, decimal to others. */
	if (n > 1 && *digits == '0')
		return refuse_word(ret_reason, word, "begins with a zero; write the number without it");
	v->number = strtoll(word, NULL, 10); /* what is too large becomes more than any bound */
	return check_range(v->option, (double)v->number, word, ret_reason);
}

/* Not strtod: it takes nan, inf and hexadecimal digits, and the point is the locale's. */
static int parse_seconds(const char *word, struct value *v, char **ret_reason)
{
	const char *p = word + (*word == '-');
	size_t whole = strspn(p, "0123456789"), part = 0;
	double digits = 0, scale = 1;
	if (p[whole] == '.')
		part = strspn(p + whole + 1, "0123456789");
	if (whole + part == 0 || p[whole + (p[whole] == '.') + part])
		return refuse_word(ret_reason, word, "is no number of seconds; write one such as 30 or 2.5");
	for (; whole > 0; whole--)
		digits = digits * 10 + (*p++ - '0');
	/* Nanoseconds are the end of it. */
	for (size_t i = 1; i <= part && i <= 9; i++) {
		digits = digits * 10 + (p[i] - '0');
		scale *= 10;
	}
	v->seconds = (*word == '-' ? -digits : digits) / scale;
	return check_range(v->option, v->seconds, word, ret_reason);
}

static int parse_size(const char *word, struct value *v, char **ret_reason)
{
	int r = text_parse_size(word, &v->size);
	if (r == -ERANGE)
		return refuse_word(ret_reason, word, "is too large; the largest size is 8EiB - 1");
	if (r < 0)
		return refuse_word(ret_reason, word, "is no size; write one such as 512MiB or 10GiB");
	return check_range(v->option, (double)v->size, word, ret_reason);
}

static int check_choice(const struct option *o, const char *word, char **ret_reason)
{
	_cleanup_free_ char *all = xstrdup("");
	for (const char *const *c = o->choices; c && *c; c++) {
		if (strcmp(word, *c) == 0)
			return 0;
		char *longer = xasprintf("%s%s%s", all, *all ? ", " : "", *c);
		free(all);
		all = longer;
	}
	_cleanup_free_ char *shown = fault_shown(word);
	return refuse(ret_reason, "\"%s\" is no choice; choose one of: %s", shown, all);
}

size_t value_key_length(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	return text[n] == '=' && !(*text >= '0' && *text <= '9') ? n : 0;
}

/* UTF-8, without control characters: they would break log lines, messages and other programs' configuration. */
static int check_text(const struct option *o, const char *word, char **ret_reason)
{
	for (const char *p = word; *p;) {
		size_t n = text_utf8_length(p);
		if (n == 0)
			return refuse_word(ret_reason, word, "is not UTF-8; write it in that encoding");
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return refuse_word(ret_reason, word, "holds a control character; remove it");
		p += n;
	}
	if (!(o->flags & OPTION_ABSOLUTE) || !*word)
		return 0;
	if (*word != '/')
		return refuse_word(ret_reason, word, "is no absolute path; write it from / on");
	if (strlen(word) >= PATH_MAX)
		return refuse(ret_reason, "the path is longer than %d bytes; shorten it", PATH_MAX - 1);
	return 0;
}

static int parse_text(const char *word, struct value *v, char **ret_reason)
{
	const struct option *o = v->option;
	int r = check_text(o, word, ret_reason);
	if (r == 0 && o->type == OPTION_CHOICE)
		r = check_choice(o, word, ret_reason);
	if (r == 0 && o->type == OPTION_MODE && text_parse_mode(word, &v->mode) < 0)
		r = refuse_word(ret_reason, word, "is no mode; write octal digits such as \"0770\"");
	if (r == 0 && o->flags & OPTION_REQUIRED && !*word)
		r = refuse(ret_reason, "is empty; write a value");
	if (r == 0)
		v->text = xstrdup(word);
	return r;
}

static int parse_list(char *const *words, size_t n, struct value *v, char **ret_reason)
{
	const struct option *o = v->option;
	if (n > VALUE_ENTRIES_MAX)
		return refuse(ret_reason, "has more than %d entries; remove some", VALUE_ENTRIES_MAX);
	for (size_t i = 0; i < n; i++) {
		int r = *words[i] ? check_text(o, words[i], ret_reason)
				  : refuse(ret_reason, "has an empty entry; remove it");
		if (r == 0 && o->choices)
			r = check_choice(o, words[i], ret_reason);
		if (r < 0)
			return r;
	}
	v->list = xcalloc(n + 1, sizeof(char *));
	for (v->n = 0; v->n < n; v->n++)
		v->list[v->n] = xstrdup(words[v->n]);
	return 0;
}

static int parse_one(const char *word, struct value *v, char **ret_reason)
{
	switch (v->option->type) {
	case OPTION_BOOL:
		return parse_bool(word, v, ret_reason);
	case OPTION_INT:
		return parse_int(word, v, ret_reason);
	case OPTION_SECONDS:
		return parse_seconds(word, v, ret_reason);
	case OPTION_SIZE:
		return parse_size(word, v, ret_reason);
	case OPTION_STRING:
	case OPTION_MODE:
	case OPTION_CHOICE:
		return parse_text(word, v, ret_reason);
	case OPTION_LIST:
		break;
	}
	return refuse(ret_reason, "has a type that does not exist");
}

int value_parse(const struct option *o, char *const *words, size_t n, struct value *ret, char **ret_reason)
{
	struct value v = { .option = o };
	int r;
	if (o->type == OPTION_LIST)
		r = parse_list(words, n, &v, ret_reason);
	else if (n != 1)
		r = refuse(ret_reason, "takes one value; write it without braces");
	else
		r = parse_one(words[0], &v, ret_reason);
	if (r < 0)
		value_clear(&v);
	else
		*ret = v;
	return r;
}

static int default_list(const struct option *o, struct value *ret, char **ret_reason)
{
	_cleanup_free_ char *text = xstrdup(o->fallback ? o->fallback : "");
	_cleanup_free_ char **words = xcalloc(strlen(text) + 1, sizeof(char *));
	size_t n = 0;
	char *rest = NULL;
	for (char *w = strtok_r(text, ",", &rest); w; w = strtok_r(NULL, ",", &rest))
		words[n++] = w + strspn(w, " ");
	return value_parse(o, words, n, ret, ret_reason);
}

int value_default(const struct option *o, struct value *ret, char **ret_reason)
{
	if (o->type == OPTION_LIST)
		return default_list(o, ret, ret_reason);
	if (o->fallback && *o->fallback) {
		_cleanup_free_ char *word = xstrdup(o->fallback);
		return value_parse(o, &word, 1, ret, ret_reason);
	}
	*ret = (struct value){ .option = o, .text = xstrdup("") };
	return 0;
}

void value_clear(struct value *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->list[i]);
	free(v->list);
	free(v->text);
	*v = (struct value){ 0 };
}

static json_t *list_json(const struct value *v)
{
	json_t *list = json_array();
	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(list, json_string(v->list[i]));
	return list;
}

json_t *value_json(const struct value *v)
{
	switch (v->option->type) {
	case OPTION_BOOL:
		return json_boolean(v->flag);
	case OPTION_INT:
		return json_integer(v->number);
	case OPTION_SECONDS:
		return json_real(v->seconds);
	case OPTION_SIZE:
		return json_integer((json_int_t)v->size);
	case OPTION_MODE:
		return json_sprintf("%04o", (unsigned)v->mode);
	case OPTION_STRING:
	case OPTION_CHOICE:
		return json_string(v->text);
	case OPTION_LIST:
		break;
	}
	return list_json(v);
}

const struct value *layer_find(const struct layer *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->values[i].option->name, name) == 0)
			return &l->values[i];
	}
	return NULL;
}

void layer_add(struct layer *l, struct value *v)
{
	l->values = xrealloc(l->values, (l->n + 1) * sizeof(*l->values));
	l->values[l->n++] = *v;
	*v = (struct value){ 0 };
}

void layer_clear(struct layer *l)
{
	for (size_t i = 0; i < l->n; i++)
		value_clear(&l->values[i]);
	free(l->values);
	*l = (struct layer){ 0 };
}
