#include "base/mem.h"
#include "conf/tree.h"

#include <stdlib.h>

struct settings *settings_new_hook(struct conf *c, const struct conf_section *hook, const struct conf_section *backend)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	*s = (struct settings){ .schema = c->schema, .hook = hook != NULL, .conf = conf_ref(c) };
	if (hook)
		s->layers[s->n++] = hook->settings->layers[0];
	/* The backend's view goes on: its own, the top level, the defaults. */
	for (size_t i = 0; i < backend->settings->n; i++)
		s->layers[s->n++] = backend->settings->layers[i];
	if (hook)
		s->layers[s->n++] = &c->hook_defaults;
	return s;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	conf_unref(s->conf);
	free(s);
}
