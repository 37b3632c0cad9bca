/* Which options may stand where: views on the tables of a struct conf_schema. */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "conf/conf.h"

enum schema_scope { SCOPE_TOP, SCOPE_BACKEND, SCOPE_HOOK, SCOPE_NETWORK, SCOPE_COUNT };

/* The tables whose options may stand in a section: NULL-terminated, to be freed with free(). The section's own is the
 * first (the daemon's, the driver's, that of hooks or networks), then what is inherited: nothing by a network. `driver`
 * is NULL but for backends. */
const struct option **schema_tables(const struct conf_schema *schema, enum schema_scope scope,
				    const struct conf_driver *driver);
/* A row of one table, or of several; NULL: there is none of that name. */
const struct option *schema_row(const struct option *table, const char *name);
const struct option *schema_find(const struct option *const *tables, const char *name);

const struct conf_driver *schema_driver(const struct conf_schema *schema, const char *keyword);

#endif
