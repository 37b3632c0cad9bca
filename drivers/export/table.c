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

int exporter_open_at(const struct exporter_ops *ops, struct conf *conf, const struct export_place *place,
		     struct exporter **ret, struct error *e)
{
	struct exporter *x = xcalloc(1, sizeof *x);
	int r = ops->create(conf_top(conf), place, &x->object, e);

	if (r < 0) {
		free(x);
		return r;
	}
	x->ops = ops;
	x->conf = conf_ref(conf);
	x->users = 1;
	*ret = x;
	return 0;
}

int exporter_open(const struct exporter_ops *ops, struct conf *conf, struct exporter **ret, struct error *e)
{
	size_t i = 0;
	int r;

	for (; open_ones[i]; i++)
		if (open_ones[i]->ops == ops) {
			open_ones[i]->users++;
			*ret = open_ones[i];
			return 0;
		}
	r = exporter_open_at(ops, conf, NULL, &open_ones[i], e);
	if (r == 0)
		*ret = open_ones[i];
	return r;
}

/* Of those that all backends share. */
static void take_out(const struct exporter *x)
{
	size_t i = 0, last = 0;

	while (open_ones[i] && open_ones[i] != x)
		i++;
	if (!open_ones[i])
		return;
	for (last = i; open_ones[last + 1];)
		last++;
	open_ones[i] = open_ones[last];
	open_ones[last] = NULL;
}

void exporter_close(struct exporter *x)
{
	if (!x || --x->users > 0)
		return;
	take_out(x);
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
