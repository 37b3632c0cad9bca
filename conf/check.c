#include "conf/check.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/privilege.h"
#include "base/text.h"
#include "conf/near.h"
#include "conf/relate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where else in the file an option of that name may stand; NULL: nowhere. Owned by the caller. */
static char *belongs_elsewhere(const struct conf_schema *schema, enum schema_scope scope, const char *name)
{
	if (scope != SCOPE_TOP && schema_row(schema->top, name))
		return xstrdup(
			"may stand at the top level only; move it out of this section, or close the section before "
			"it with a }");
	if (scope != SCOPE_HOOK && schema_row(conf_hook_options, name))
		return xstrdup("may stand in a hook section only; move it there");
	if (scope != SCOPE_NETWORK && schema_row(conf_network_options, name))
		return xstrdup("may stand in a share_network section only; move it there");
	if (scope == SCOPE_NETWORK && schema_row(schema->backend, name))
		return xstrdup("is an option of backends, not of a network; move it to the backend's section");
	if (scope == SCOPE_HOOK && schema_row(schema->backend, name))
		return xstrdup("is an option of backends, not of a hook; move it to the backend's section");
	for (const struct conf_driver *d = schema->drivers; d && d->keyword; d++) {
		if (schema_row(d->options, name))
			return xasprintf("is an option of the driver %s; it may stand in %s sections only", d->keyword,
					 d->keyword);
	}
	return NULL;
}

static void add_unknown(const struct checked *s, const struct conf_schema *schema, const struct raw_option *o,
			struct fault_list *faults)
{
	_cleanup_free_ char *elsewhere = belongs_elsewhere(schema, s->scope, o->name);
	if (elsewhere) {
		fault_add(faults, o->line, s->raw, o->name, "%s", elsewhere);
		return;
	}
	struct near near = { .word = o->name };
	for (const struct option *const *t = s->tables; *t; t++) {
		for (const struct option *row = *t; row->name; row++)
			near_add(&near, row->name);
	}
	if (near.names)
		fault_add(faults, o->line, s->raw, o->name, "there is no such option; did you mean %s?", near.names);
	else
		fault_add(faults, o->line, s->raw, o->name,
			  "there is no such option; remove it, or look up its right name in the manual");
	free(near.names);
}

static bool is_free_list(const struct option *o)
{
	return o->type == OPTION_LIST && (strcmp(o->name, "options") == 0 || strcmp(o->name, "hook_options") == 0);
}

/* Every entry is "key=value", every key is there once. NULL: all is well. Owned by the caller. */
static char *check_free_list(const struct value *v)
{
	for (size_t i = 0; i < v->n; i++) {
		_cleanup_free_ char *shown = fault_shown(v->list[i]);
		size_t n = value_key_length(v->list[i]);
		if (n == 0)
			return xasprintf("\"%s\" is not key=value; begin it with a key of A-Z a-z 0-9 _ and a `='",
					 shown);
		for (size_t j = 0; j < i; j++) {
			if (strncmp(v->list[i], v->list[j], n + 1) == 0)
				return xasprintf("gives the key \"%.*s\" twice; keep one", (int)n, v->list[i]);
		}
	}
	return NULL;
}

/* A hook that could never run is found here rather than at its first call. NULL: all is well. Owned by the caller. */
static char *check_user(const struct value *v)
{
	uid_t uid;

	if (privilege_users() || !*v->text || text_parse_user(v->text, &uid, NULL) < 0 || uid == geteuid())
		return NULL;
	return xasprintf("the daemon may not run programs as user %s; under systemd its unit needs the drop-in run-as "
			 "(see sharesd(8)), else run the daemon as root",
			 v->text);
}

static void check_option(struct checked *s, const struct conf_schema *schema, const struct raw_option *raw, bool broken,
			 struct fault_list *faults)
{
	const struct option *o = schema_find(s->tables, raw->name);
	_cleanup_free_ char *reason = NULL;
	struct value v = { 0 };
	/* After a syntax error the values are missing. */
	if (broken && raw->n == 0)
		return;
	if (!o) {
		add_unknown(s, schema, raw, faults);
		return;
	}
	if (raw->bad)
		return;
	if (raw->braces && o->type != OPTION_LIST) {
		fault_add(faults, raw->line, s->raw, raw->name, "takes one value, not a list; write it without braces");
		return;
	}
	if (value_parse(o, raw->values, raw->n, &v, &reason) == 0 && is_free_list(o))
		reason = check_free_list(&v);
	if (!reason && o->flags & OPTION_USER)
		reason = check_user(&v);
	if (reason) {
		fault_add(faults, raw->line, s->raw, raw->name, "%s", reason);
		value_clear(&v);
		return;
	}
	v.line = raw->line;
	layer_add(&s->body->own, &v);
}

static void check_required(const struct checked *s, struct fault_list *faults)
{
	for (const struct option *o = s->tables[0]; o->name; o++) {
		if (o->flags & OPTION_REQUIRED && !raw_find(s->raw, o->name))
			fault_add(faults, s->raw->line, s->raw, o->name, "is missing; add %s = %s to this section",
				  o->name, o->flags & OPTION_ABSOLUTE ? "\"/PATH\"" : "VALUE");
	}
}

static void add_unknown_section(const struct conf_schema *schema, const struct raw_section *raw,
				struct fault_list *faults)
{
	_cleanup_free_ char *all = xstrdup(""), *shown = fault_shown(raw->keyword);
	for (const struct conf_driver *d = schema->drivers; d && d->keyword; d++) {
		char *longer = xasprintf("%s%s%s", all, *all ? ", " : "", d->keyword);
		free(all);
		all = longer;
	}
	fault_add(faults, raw->line, raw, NULL, "there is no driver named %s; there are: %s%s", shown, all,
		  near_distance(raw->keyword, "hook", 2) <= 2 ? "; a hook's section begins with the word hook" : "");
}

/* The name of a backend is unique over all drivers, that of a hook over all hooks. */
static void check_title(const struct raw_section *raw, const char *what, const struct conf_section *twin,
			struct fault_list *faults)
{
	if (!text_is_name(raw->title))
		fault_add(faults, raw->line, raw, NULL,
			  "this cannot be the name of a %s; use 1 to 255 of A-Z a-z 0-9 . _ -, not beginning with . or "
			  "-, "
			  "and no UUID",
			  what);
	else if (twin)
		fault_add(faults, raw->line, raw, NULL,
			  "there is a %s of this name on line %d already; choose another name", what, twin->line);
}

/* Takes up one section. false: there is nothing to check in it. */
static bool open_section(struct conf *c, const struct raw_section *raw, struct checked *ret, struct fault_list *faults)
{
	const struct conf_driver *driver = NULL;
	*ret = (struct checked){ .raw = raw };
	if (!raw->keyword) {
		ret->scope = SCOPE_TOP;
		ret->body = &c->top;
	} else if (strcmp(raw->keyword, "hook") == 0) {
		check_title(raw, "hook", conf_hook(c, raw->title), faults);
		check_hook_title(raw, c->schema, faults);
		ret->scope = SCOPE_HOOK;
		ret->body = conf_add_hook(c, raw->title, raw->line);
	} else if (strcmp(raw->keyword, "share_network") == 0) {
		check_title(raw, "network", conf_network(c, raw->title), faults);
		ret->scope = SCOPE_NETWORK;
		ret->body = conf_add_network(c, raw->title, raw->line);
	} else {
		driver = schema_driver(c->schema, raw->keyword);
		if (!driver) {
			add_unknown_section(c->schema, raw, faults);
			return false;
		}
		check_title(raw, "backend", conf_backend(c, raw->title), faults);
		ret->scope = SCOPE_BACKEND;
		ret->body = conf_add_backend(c, driver, raw->title, raw->line);
	}
	ret->tables = schema_tables(c->schema, ret->scope, driver);
	return true;
}

void conf_check(const struct raw *raw, struct conf *c, struct fault_list *faults, struct fault_list *warnings)
{
	_cleanup_free_ struct checked *sections = xcalloc(raw->n, sizeof(*sections));
	size_t n = 0;
	for (size_t i = 0; i < raw->n; i++) {
		struct checked *s = &sections[n];
		const struct raw_section *r = &raw->sections[i];
		if (!open_section(c, r, s, faults))
			continue;
		n++;
		for (size_t j = 0; j < r->n; j++)
			check_option(s, c->schema, &r->options[j], raw->broken, faults);
		if (r->closed && !raw->broken)
			check_required(s, faults);
	}
	/* What one section says of another can be judged only when all have been read. */
	if (!raw->broken)
		conf_relate(c, sections, n, faults, warnings);
	for (size_t i = 0; i < n; i++)
		free(sections[i].tables);
}
