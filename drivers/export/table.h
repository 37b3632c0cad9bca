/* The list of exporters, and the one object of each that a daemon has. Call thread, but for what says otherwise. */
#ifndef DRIVERS_EXPORT_TABLE_H
#define DRIVERS_EXPORT_TABLE_H

#include "conf/conf.h"
#include "drivers/export/export.h"

/* NULL-terminated. Any thread. */
const struct exporter_ops *const *exporter_table(void);
const struct exporter_ops *exporter_find(const char *name); /* or NULL */
/* One more, before anything asks for the list: tests bring their own. */
void exporter_register(const struct exporter_ops *ops);

/* An exporter in use, shared by all backends that name it. */
struct exporter {
	const struct exporter_ops *ops;
	void *object;
	unsigned generation; /* grows when its server was lost and started again: exports are to be put again */
	/* The rest is the table's. */
	struct conf *conf;
	unsigned users;
};

/* One of a share server, in a place of its own; it needs a close, too. */
int exporter_open_at(const struct exporter_ops *ops, struct conf *conf, const struct export_place *place,
		     struct exporter **ret, struct error *e);
/* Makes it for the first user, with the top level of this conf. Each open needs a close; the last one's leaves the
 * server running. */
int exporter_open(const struct exporter_ops *ops, struct conf *conf, struct exporter **ret, struct error *e);
void exporter_close(struct exporter *x); /* NULL is fine */
/* Its server runs, and is the one that this process saw last, or a new generation begins. */
int exporter_start(struct exporter *x, struct error *e);

#endif
