/* The inside of struct conf and struct settings: shared by the files of this room. */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/conf.h"
#include "conf/schema.h"
#include "conf/value.h"

#include <stdatomic.h>

/* A view: where to look, in this order. */
struct settings {
	const struct conf_schema *schema;
	bool hook;                     /* options of hook sections are among them */
	const struct layer *layers[6]; /* the section's own, what is inherited, the defaults */
	size_t n;
	struct conf *conf; /* a reference, or NULL where the conf itself owns the view */
};

struct body {
	struct layer own;
	struct settings settings;
};

struct conf {
	atomic_uint refs;
	char *path;
	const struct conf_schema *schema;
	struct layer defaults, hook_defaults, network_defaults;
	struct layer *driver_defaults; /* in the order of the schema's drivers */
	struct body top;
	/* Sections and, at the same index, what they hold; there is room for all sections of the file. */
	struct conf_section *backends, *hooks, *networks;
	struct body *backend_bodies, *hook_bodies, *network_bodies;
	size_t n_backends, n_hooks, n_networks;
};

/* With one reference, with room for so many sections of each kind. NULL with a reason (owned by the caller): a default
 * of the schema does not fit. */
struct conf *conf_new(const char *path, const struct conf_schema *schema, size_t room, char **ret_reason);
/* Their `own` is to be filled by the caller. The strings are copied. */
struct body *conf_add_backend(struct conf *c, const struct conf_driver *driver, const char *title, int line);
struct body *conf_add_hook(struct conf *c, const char *title, int line);
struct body *conf_add_network(struct conf *c, const char *title, int line);

/* NULL: no table in view has it. */
const struct value *settings_find(const struct settings *s, const char *name);

#endif
