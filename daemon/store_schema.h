/* What the database looks like: the columns that rows are made of, and the numbered steps that make it so. */
#ifndef DAEMON_STORE_SCHEMA_H
#define DAEMON_STORE_SCHEMA_H

#include "daemon/store.h"

enum store_type {
	STORE_TEXT,
	STORE_INTEGER,
	/* Kept as compact text, null as NULL. */
	STORE_JSON, /* any */
	STORE_OBJECT,
	STORE_TEXTS,     /* object of strings */
	STORE_LIST,      /* array of strings */
	STORE_LOCATIONS, /* array of export locations */
};

struct store_column {
	const char *name;
	enum store_type type;
	bool needed; /* NOT NULL */
};

/* A set of columns is a bit mask. */
#define STORE_COLUMNS_MAX 32

struct store_schema {
	const char *name;
	const struct store_column *columns; /* the first is seq */
	unsigned count;
};

#define STORE_SEQ   0
#define STORE_FIRST 1 /* of those that a row brings: seq is given by the database */

extern const struct store_schema store_schemas[STORE_TABLE_COUNT];

/* A column's index. A name that is no column is a fault of ours and ends the process: names become SQL. */
unsigned store_column_index(enum store_table t, const char *name);

/* store_migrations[n] leads from version n to n + 1, inside one transaction; versions are SQLite's user_version. */
extern const char *const store_migrations[];
extern const int store_version;

#endif
