/* The texts of the store's statements. */
#ifndef DAEMON_STORE_SQL_H
#define DAEMON_STORE_SQL_H

#include "daemon/store_schema.h"

enum sql_kind {
	/* These are built from table and columns. */
	SQL_INSERT,        /* all columns but seq, in their order */
	SQL_UPDATE,        /* the columns of `set`, then id */
	SQL_UPDATE_SEQ,    /* the columns of `set`, then seq */
	SQL_DELETE,        /* id */
	SQL_SELECT,        /* the columns of `set` less `nulls`, the seq before the first row, the limit */
	SQL_SELECT_NEWEST, /* the same, with the seq after the first row */
	SQL_COUNT,         /* the columns of `set` less `nulls` */
	/* These stand for themselves. */
	SQL_BEGIN_READ,
	SQL_BEGIN_WRITE,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_ALLOCATED_BYTES,
	SQL_FREE_EXPORT_NUMBER,
	SQL_COUNT_EXPORTS,
	/* backend */     /* backend; gives the upper and the lower 32 bits' sums */
	SQL_PRUNE_CALLS,  /* how many stay */
	SQL_PRUNE_EVENTS, /* how many stay */
	SQL_LAST_EVENT,
};

/* What makes two statements the same one. */
struct sql_key {
	enum sql_kind kind;
	enum store_table table;
	uint32_t set;   /* columns, as bits: those set, or those looked for */
	uint32_t nulls; /* of the latter, those looked for where they are null */
};

/* Owned by the caller. */
char *sql_text(const struct sql_key *key);

#endif
