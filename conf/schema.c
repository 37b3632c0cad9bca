#include "conf/schema.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/value.h"

#include <errno.h>
#include <string.h>

static const struct option no_options[] = { { 0 } };

const struct option **schema_tables(const struct conf_schema *schema, enum schema_scope scope,
				    const struct conf_driver *driver)
{
	size_t n = 0;
	while (schema->modules && schema->modules[n])
		n++;
	const struct option **tables = xcalloc(n + 3, sizeof(void *)), **t = tables;
	if (scope == SCOPE_TOP)
		*t = schema->top;
	else if (scope == SCOPE_NETWORK)
		*t = conf_network_options;
	else
		*t = scope == SCOPE_HOOK ? conf_hook_options : driver->options;
	if (scope == SCOPE_NETWORK)
		return tables;
	if (!*t)
		*t = no_options;
	t++;
	if (scope != SCOPE_HOOK && schema->backend)
		*t++ = schema->backend;
	for (size_t i = 0; i < n; i++)
		*t++ = schema->modules[i];
	return tables;
}

const struct option *schema_row(const struct option *table, const char *name)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

const struct option *schema_find(const struct option *const *tables, const char *name)
{
	const struct option *o = NULL;
	for (; *tables && !o; tables++)
		o = schema_row(*tables, name);
	return o;
}

const struct conf_driver *schema_driver(const struct conf_schema *schema, const char *keyword)
{
	for (const struct conf_driver *d = schema->drivers; d && d->keyword; d++) {
		if (strcmp(d->keyword, keyword) == 0)
			return d;
	}
	return NULL;
}

/* What can be written in a conf file without quotes, and will not be taken for something else. */
static bool is_word(const char *s, const char *allowed)
{
	return *s >= 'a' && *s <= 'z' && s[strspn(s, allowed)] == '\0';
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_choices(const char *const *a, const char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *b && strcmp(*a, *b) == 0)
		a++, b++;
	return !*a && !*b;
}

static bool same_option(const struct option *a, const struct option *b)
{
	return a->type == b->type && same_text(a->fallback, b->fallback) && a->min == b->min && a->max == b->max &&
	       same_choices(a->choices, b->choices) && a->flags == b->flags;
}

static int clash(struct error *e, const char *name, const char *what)
{
	return error_set(e, ERR_INVALID_PARAMS, EEXIST,
			 "the option `%s' is declared twice, %s: one of the two tables must use another name", name,
			 what);
}

static int check_row(const struct option *table, const struct option *o, struct error *e)
{
	_cleanup_free_ char *reason = NULL;
	struct value v;
	if (!is_word(o->name, "abcdefghijklmnopqrstuvwxyz0123456789_"))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL,
				 "\"%s\" cannot be the name of an option: use a-z, 0-9 and _, beginning with a letter",
				 o->name);
	if (schema_row(table, o->name) != o)
		return clash(e, o->name, "in the same table");
	if (o->type == OPTION_CHOICE && !o->choices)
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "the option `%s' is a choice without choices", o->name);
	if (value_default(o, &v, &reason) < 0)
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "the default of option `%s' does not fit: %s", o->name,
				 reason);
	value_clear(&v);
	return 0;
}

static int check_table(const struct option *table, struct error *e)
{
	for (const struct option *o = table; o && o->name; o++) {
		int r = check_row(table, o, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Tables that are looked up one after the other: who asks for a name must get what he declared. */
static int check_shared(const struct option *const *tables, struct error *e)
{
	int r = 0;
	for (; *tables && r == 0; tables++) {
		r = check_table(*tables, e);
		for (const struct option *o = *tables; o->name && r == 0; o++) {
			const struct option *other = schema_find(tables + 1, o->name);
			if (other && !same_option(o, other))
				r = clash(e, o->name, "with different meanings");
		}
	}
	return r;
}

static int check_driver(const struct conf_schema *schema, const struct conf_driver *d,
			const struct option *const *shared, struct error *e)
{
	/* libconfuse keeps "root" for itself. */
	if (!is_word(d->keyword, "abcdefghijklmnopqrstuvwxyz0123456789_-") || strcmp(d->keyword, "hook") == 0 ||
	    strcmp(d->keyword, "share_network") == 0 || strcmp(d->keyword, "root") == 0)
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "\"%s\" cannot be the name of a driver: choose another",
				 d->keyword);
	if (schema_driver(schema, d->keyword) != d || schema_find(shared, d->keyword))
		return error_set(e, ERR_INVALID_PARAMS, EEXIST,
				 "the driver \"%s\" has the name of another driver or of an option: choose another",
				 d->keyword);
	int r = check_table(d->options, e);
	for (const struct option *o = d->options; o && o->name && r == 0; o++) {
		if (schema_find(shared, o->name))
			r = clash(e, o->name, "by a driver and for all backends, hooks or the daemon");
	}
	return r;
}

int conf_schema_check(const struct conf_schema *schema, struct error *e)
{
	_cleanup_free_ const struct option **tables = schema_tables(schema, SCOPE_TOP, NULL);
	size_t n = 0;
	while (tables[n])
		n++;
	_cleanup_free_ const struct option **shared = xcalloc(n + 2, sizeof(void *));
	memcpy(shared, tables, n * sizeof(void *));
	shared[n] = conf_hook_options;
	int r = check_shared(shared, e);
	for (const struct conf_driver *d = schema->drivers; d && d->keyword && r == 0; d++)
		r = check_driver(schema, d, shared, e);
	return r;
}
