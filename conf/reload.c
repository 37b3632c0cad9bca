/* What a reload may not change. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names of what differs, separated by commas; NULL: nothing. */
struct changes {
	char *names;
};

__attribute__((format(printf, 2, 3))) static void add_change(struct changes *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_free_ char *name = xvasprintf(fmt, ap), *before = c->names;
	va_end(ap);
	c->names = before ? xasprintf("%s, %s", before, name) : take_ptr(name);
}

static bool is_same(const struct settings *a, const struct settings *b, const char *name)
{
	_cleanup_json_ json_t *x = value_json(settings_find(a, name));
	_cleanup_json_ json_t *y = value_json(settings_find(b, name));
	return json_equal(x, y);
}

/* `where` is put before the names. */
static void compare(struct changes *c, const char *where, const struct option *table, const struct settings *a,
		    const struct settings *b)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (o->flags & OPTION_FIXED && !is_same(a, b, o->name))
			add_change(c, "%soption `%s'", where, o->name);
	}
}

static void compare_backend(struct changes *c, const struct conf_schema *schema, const struct conf_section *a,
			    const struct conf_section *b)
{
	_cleanup_free_ char *where = xasprintf("backend \"%s\": ", a->title);
	if (strcmp(a->keyword, b->keyword) != 0) {
		add_change(c, "%sdriver", where);
		return;
	}
	_cleanup_free_ const struct option **tables =
		schema_tables(schema, SCOPE_BACKEND, schema_driver(schema, a->keyword));
	for (const struct option *const *t = tables; *t; t++)
		compare(c, where, *t, a->settings, b->settings);
}

int conf_check_reload(const struct conf *old, const struct conf *now, struct error *e)
{
	struct changes c = { 0 };
	compare(&c, "", old->schema->top, &old->top.settings, &now->top.settings);
	for (size_t i = 0; i < old->n_backends; i++) {
		const struct conf_section *b = conf_backend(now, old->backends[i].title);
		if (b)
			compare_backend(&c, old->schema, &old->backends[i], b);
	}
	if (!c.names)
		return 0;
	_cleanup_free_ char *names = c.names;
	return error_set(e, ERR_INVALID_STATE, EBUSY,
			 "a reload cannot change %s; write the old values back, or restart the daemon", names);
}
