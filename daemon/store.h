/* The store: what must outlive the process, in SQLite (WAL). The one place that knows SQL.
 *
 * Rows go in and out as JSON objects, one member a column; which columns a table has stands in store_schema.c. Columns
 * of type JSON hold JSON; missing and null are one. Every table has `seq` (integer, ascending by creation); all but
 * events have `id`.
 *
 * Threads: the call thread owns the one writing store, the loop thread a reading one of its own. */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

enum store_table {
	STORE_BACKENDS,
	STORE_SHARES,
	STORE_INSTANCES,
	STORE_SNAPSHOTS,
	STORE_SNAPSHOT_INSTANCES,
	STORE_ACCESS_RULES,
	STORE_ACCESS_STATES,
	STORE_SHARE_SERVERS,
	STORE_CALLS,
	STORE_EVENTS,
	STORE_TABLE_COUNT,
};

/* Opens state_dir/sharesd.db, making directory (0700), lock and database when `writable`, and runs the migrations that
 * are due. Errors say what to do: another daemon holds the lock (-EBUSY), a database of a newer version (-ENOTSUP), a
 * damaged one (-EUCLEAN), a state_dir of other people (-EPERM). */
int store_open(const char *state_dir, bool writable, struct store **ret, struct error *e);
void store_close(struct store *st); /* NULL is fine */

/* One transaction at a time. Everything that changes rows stands in one. A reading store's gives all its reads one
 * state. */
int store_begin(struct store *st, struct error *e);
/* durable: on stable storage when it returns. Else it survives the process, not a power cut. -ENOSPC (no_space) and
 * others roll back. After a failed flush nothing may be written until a restart, which decides what of it stands. */
int store_commit(struct store *st, bool durable, struct error *e);
/* Before a driver is called: sees to it that the intent and the results of so many calls that are under way can be
 * stored even if the disk is full by then. -ENOSPC (no_space): they could not. `frees`: a call that makes room, which
 * may take what is kept for such. */
int store_need_room(struct store *st, unsigned results, bool frees, struct error *e);
void store_rollback(struct store *st); /* no transaction: does nothing */

/* `row` is borrowed; a member that is no column, or of the wrong type, is ERR_INTERNAL. -EEXIST for a double unique
 * key. */
int store_insert(struct store *st, enum store_table t, const json_t *row, int64_t *ret_seq, struct error *e);
/* Sets the members given. -ENOENT when there is no such row. */
int store_update(struct store *st, enum store_table t, const char *id, const json_t *fields, struct error *e);
/* The same by the row's number: of calls and events. */
int store_update_seq(struct store *st, enum store_table t, int64_t seq, const json_t *fields, struct error *e);
/* The same with the next transaction, whoever begins it, or by store_settle: for what a crash may lose. `fields` is
 * taken; what waits already is settled first. */
int store_update_later(struct store *st, enum store_table t, int64_t seq, json_t *fields, struct error *e);
bool store_is_settled(const struct store *st);
/* Is it a change of this row that waits? */
bool store_waits_for(const struct store *st, enum store_table t, int64_t seq);
int store_settle(struct store *st, struct error *e);
/* 0 also when there is none. */
int store_delete(struct store *st, enum store_table t, const char *id, struct error *e);

/* One row where the column is equal; new reference. -ENOENT without a word in `e` when there is none. */
int store_get(struct store *st, enum store_table t, const char *column, const char *value, json_t **ret,
	      struct error *e);
/* Two columns equal. */
int store_get2(struct store *st, enum store_table t, const char *c1, const char *v1, const char *c2, const char *v2,
	       json_t **ret, struct error *e);

/* Rows where all of `where` (object: column to string, integer or null; NULL: all) are equal, seq > after, at most
 * `limit` (0: all), ascending; `newest`: the last ones first, seq < after (0: from the end). New reference to an array.
 */
struct store_query {
	const json_t *where;
	int64_t after;
	size_t limit;
	bool newest;
};
int store_select(struct store *st, enum store_table t, const struct store_query *q, json_t **ret, struct error *e);
int store_count(struct store *st, enum store_table t, const json_t *where, int64_t *ret, struct error *e);

/* A number for an instance that is to be exported: above those in use, so that one of a moment ago does not come back
 * at once; -ENOSPC (limit) when all 65535 are in use. */
int store_free_export_number(struct store *st, int64_t *ret, struct error *e);
/* Instances on the backend that have such a number. */
int store_count_exports(struct store *st, const char *backend, int64_t *ret, struct error *e);
/* Sum of size_bytes of the shares that have an instance on the backend. */
int store_allocated_bytes(struct store *st, const char *backend, uint64_t *ret, struct error *e);
/* Keeps the newest 1000 calls and those with a request_id of the last day (and all unfinished), the newest 10,000
 * events. */
int store_prune(struct store *st, struct error *e);
/* The events' last seq; 0: there is none. */
int64_t store_last_event(struct store *st);
/* The last one that a power cut does not take away, by which its seq would be given to another: for the writing store.
 * Only those up to here may be told. */
int64_t store_durable_event(const struct store *st);

#endif
