/* One value of the store, between JSON and a column of SQLite. For the store's own files only. */
#ifndef DAEMON_STORE_VALUE_H
#define DAEMON_STORE_VALUE_H

#include "daemon/store_db.h"

/* May this (NULL and null: nothing) stand in the column, but for what only SQL demands? */
bool store_value_fits(const struct store_column *c, const json_t *v);
/* SQLite's code. The text stays the caller's; what fits not is SQLITE_MISMATCH. */
int store_value_bind(sqlite3_stmt *s, int at, const struct store_column *c, const json_t *v);
/* New reference; NULL: what stands there is nothing that the daemon could have written. */
json_t *store_value_read(sqlite3_stmt *s, int at, const struct store_column *c);

#endif
