#include "drivers/export/table.h"

#include "base/mem.h"
#include "drivers/export/ganesha.h"
#include "drivers/export/samba.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_EXPORTERS = 16 };

/* The exporters of this program: a new one is a line here, and a name in the list. */
static const struct exporter_ops *exporters[MAX_EXPORTERS + 1] = { &ganesha_exporter, &samba_exporter };
static struct exporter *open_ones[MAX_EXPORTERS + 1];

const struct exporter_ops *const *exporter_table(void)
{
	return exporters;
}

const struct exporter_ops *exporter_find(const char *name)
{
	for (size_t i = 0; exporters[i]; i++)
		if (strcmp(exporters[i]->name, name) == 0)
			return exporters[i];
	return NULL;
}

void exporter_register(const struct exporter_ops *ops)
{
	size_t n = 0;

	while (exporters[n])
		n++;
	if (n < MAX_EXPORTERS)
		exporters[n] = ops;
}

int exporter_open(const struct exporter_ops *ops, struct conf *conf, struct exporter **ret, struct error *e)
{
	struct exporter *x;
	size_t i = 0;
	int r;

	for (; open_ones[i]; i++)
		if (open_ones[i]->ops == ops) {
			open_ones[i]->users++;
			*ret = open_ones[i];
			return 0;
		}
	x = xcalloc(1, sizeof *x);
	x->ops = ops;
	if ((r = ops->create(conf_top(conf), &x->object, e)) < 0) {
		free(x);
		return r;
	}
	x->conf = conf_ref(conf);
	x->users = 1;
	open_ones[i] = x;
	*ret = x;
	return 0;
}

void exporter_close(struct exporter *x)
{
	size_t i = 0, last = 0;

	if (!x || --x->users > 0)
		return;
	for (size_t n = 0; open_ones[n]; n++) {
		if (open_ones[n] == x)
			i = n;
		last = n;
	}
	open_ones[i] = open_ones[last];
	open_ones[last] = NULL;
	x->ops->destroy(x->object);
	conf_unref(x->conf);
	free(x);
}

int exporter_start(struct exporter *x, struct error *e)
{
	bool lost = x->ops->is_lost(x->object);
	int r = x->ops->start(x->object, e);

	if (r == 0 && lost)
		x->generation++;
	return r;
}
