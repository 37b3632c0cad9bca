/* The store's connection to SQLite: its failures and its statements. For the store's own files only. */
#ifndef DAEMON_STORE_DB_H
#define DAEMON_STORE_DB_H

#include "base/cleanup.h"
#include "daemon/store_sql.h"

#include <sqlite3.h>

/* More than the daemon has different statements; what has not been used for longest makes room. */
#define STORE_STATEMENTS 96

struct store {
	sqlite3 *db;
	char *path;
	int lock; /* of the writing one, else -1 */
	bool writable;
	bool in_transaction;
	bool displaced;                                     /* as it was seen last: the file is not in its place */
	int64_t last_event, committed_event, durable_event; /* of the writing one: how far events are */
	/* The log, where results find room (store_room.c): its end, and up to where it has blocks. */
	int log_fd;
	int64_t log_end, log_room;
	/* A change that rides with the next transaction; `made`: in the open one. */
	struct {
		enum store_table table;
		int64_t seq;
		json_t *fields; /* NULL: none */
		bool made;
	} later;
	char *broken; /* why nothing may be written any more, or NULL */
	struct statement {
		struct sql_key key;
		sqlite3_stmt *stmt;
		uint64_t used;
	} statements[STORE_STATEMENTS];
	unsigned count;
	uint64_t clock;
};

/* What SQLite's last failure on this connection means. Returns the negative errno. */
int store_fail(struct store *st, struct error *e);
/* -EUCLEAN: what the file holds cannot be right. */
int store_damaged(const struct store *st, const char *what, struct error *e);

/* A statement of the cache, ready for its values: belongs to the store, and goes back by store_statement_done. */
int store_statement(struct store *st, const struct sql_key *key, sqlite3_stmt **ret, struct error *e);
void store_statement_done(sqlite3_stmt **s);
#define _cleanup_statement_ cleanup(store_statement_done)
/* Runs to its next row: 1, or to its end: 0. */
int store_step(struct store *st, sqlite3_stmt *s, struct error *e);

/* One statement of the kinds that take and give nothing. */
int store_run(struct store *st, enum sql_kind kind, struct error *e);

/* store_transaction.c: 0 where rows may be changed now. */
int store_may_write(struct store *st, struct error *e);
/* store_transaction.c: what waits is settled, or lost, before the store closes. */
void store_drop_later(struct store *st);
/* store_transaction.c: moves what was committed from the log into the database as the log grows. */
void store_watch_log(struct store *st);
/* store_transaction.c: at the opening of the writing store; all that is in it is durable then. */
int store_find_events(struct store *st, bool unclean, struct error *e);
/* store_room.c: the log has so many pages now. */
void store_note_log(struct store *st, int pages);

#endif
