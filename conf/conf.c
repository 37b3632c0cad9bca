#include "conf/conf.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_defaults(struct layer *l, const struct option *table, char **ret_reason)
{
	for (const struct option *o = table; o && o->name; o++) {
		_cleanup_free_ char *reason = NULL;
		struct value v;
		if (value_default(o, &v, &reason) < 0) {
			*ret_reason = xasprintf("the default of option `%s' does not fit: %s", o->name, reason);
			return -EINVAL;
		}
		layer_add(l, &v);
	}
	return 0;
}

static size_t count_drivers(const struct conf_schema *schema)
{
	size_t n = 0;
	while (schema->drivers && schema->drivers[n].keyword)
		n++;
	return n;
}

struct conf *conf_new(const char *path, const struct conf_schema *schema, size_t room, char **ret_reason)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	size_t n_drivers = count_drivers(schema);
	atomic_init(&c->refs, 1);
	c->path = xstrdup(path);
	c->schema = schema;
	c->driver_defaults = xcalloc(n_drivers + 1, sizeof(*c->driver_defaults));
	c->backends = xcalloc(room + 1, sizeof(*c->backends));
	c->hooks = xcalloc(room + 1, sizeof(*c->hooks));
	c->backend_bodies = xcalloc(room + 1, sizeof(*c->backend_bodies));
	c->hook_bodies = xcalloc(room + 1, sizeof(*c->hook_bodies));
	c->networks = xcalloc(room + 1, sizeof(*c->networks));
	c->network_bodies = xcalloc(room + 1, sizeof(*c->network_bodies));
	c->top.settings = (struct settings){ .schema = schema, .layers = { &c->top.own, &c->defaults }, .n = 2 };

	_cleanup_free_ const struct option **shared = schema_tables(schema, SCOPE_TOP, NULL);
	int r = add_defaults(&c->hook_defaults, conf_hook_options, ret_reason);
	if (r == 0)
		r = add_defaults(&c->network_defaults, conf_network_options, ret_reason);
	for (const struct option *const *t = shared; *t && r == 0; t++)
		r = add_defaults(&c->defaults, *t, ret_reason);
	for (size_t i = 0; i < n_drivers && r == 0; i++)
		r = add_defaults(&c->driver_defaults[i], schema->drivers[i].options, ret_reason);
	if (r == 0)
		return c;
	conf_unref(c);
	return NULL;
}

static struct body *add(struct conf *c, struct conf_section *section, struct body *body, const char *keyword,
			const char *title, int line, const struct layer *defaults)
{
	*section = (struct conf_section){
		.keyword = keyword, .title = xstrdup(title), .line = line, .settings = &body->settings
	};
	body->settings = (struct settings){ .schema = c->schema,
					    .layers = { &body->own, &c->top.own, &c->defaults, defaults },
					    .n = 4 };
	return body;
}

struct body *conf_add_backend(struct conf *c, const struct conf_driver *driver, const char *title, int line)
{
	size_t i = c->n_backends++;
	return add(c, &c->backends[i], &c->backend_bodies[i], driver->keyword, title, line,
		   &c->driver_defaults[driver - c->schema->drivers]);
}

struct body *conf_add_hook(struct conf *c, const char *title, int line)
{
	size_t i = c->n_hooks++;
	struct body *b = add(c, &c->hooks[i], &c->hook_bodies[i], "hook", title, line, &c->hook_defaults);
	b->settings.hook = true;
	return b;
}

/* It inherits nothing. */
struct body *conf_add_network(struct conf *c, const char *title, int line)
{
	size_t i = c->n_networks++;
	struct body *b = add(c, &c->networks[i], &c->network_bodies[i], "share_network", title, line, NULL);
	b->settings = (struct settings){ .schema = c->schema, .layers = { &b->own, &c->network_defaults }, .n = 2 };
	return b;
}

static void clear_sections(struct conf_section *sections, struct body *bodies, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((char *)sections[i].title);
		layer_clear(&bodies[i].own);
	}
	free(sections);
	free(bodies);
}

struct conf *conf_ref(struct conf *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void conf_unref(struct conf *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	clear_sections(c->backends, c->backend_bodies, c->n_backends);
	clear_sections(c->hooks, c->hook_bodies, c->n_hooks);
	clear_sections(c->networks, c->network_bodies, c->n_networks);
	for (size_t i = 0; i < count_drivers(c->schema); i++)
		layer_clear(&c->driver_defaults[i]);
	free(c->driver_defaults);
	layer_clear(&c->defaults);
	layer_clear(&c->hook_defaults);
	layer_clear(&c->network_defaults);
	layer_clear(&c->top.own);
	free(c->path);
	free(c);
}

const char *conf_path(const struct conf *c)
{
	return c->path;
}

const struct settings *conf_top(const struct conf *c)
{
	return &c->top.settings;
}

const struct conf_section *conf_backends(const struct conf *c, size_t *ret_n)
{
	*ret_n = c->n_backends;
	return c->backends;
}

static const struct conf_section *find(const struct conf_section *sections, size_t n, const char *title)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(sections[i].title, title) == 0)
			return &sections[i];
	}
	return NULL;
}

const struct conf_section *conf_backend(const struct conf *c, const char *name)
{
	return find(c->backends, c->n_backends, name);
}

const struct conf_section *conf_hook(const struct conf *c, const char *name)
{
	return find(c->hooks, c->n_hooks, name);
}

const struct conf_section *conf_networks(const struct conf *c, size_t *ret_n)
{
	*ret_n = c->n_networks;
	return c->networks;
}

const struct conf_section *conf_network(const struct conf *c, const char *name)
{
	return find(c->networks, c->n_networks, name);
}
