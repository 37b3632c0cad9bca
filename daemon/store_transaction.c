/* Transactions, and when they are on stable storage.
 *
 * Whether a commit is durable is known only at its end, when SQLite's `synchronous` cannot be changed any more. So the
 * connection runs with NORMAL, which flushes the log where the file's consistency needs it but not at each commit, and
 * a durable commit flushes the log itself, as FULL would. */
#include "base/crash.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "daemon/store_db.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Pages in the log from which on they are moved into the database: 4 MiB. */
#define CHECKPOINT_PAGES 1000

static int fault(struct error *e, const char *what)
{
	log_kind(LOG_LEVEL_ERROR, LOG_KIND_STORE_FAILED, "%s", what);
	return error_set(e, ERR_INTERNAL, EINVAL, "%s: this is a fault in sharesd, please report it", what);
}

static int is_broken(const struct store *st, struct error *e)
{
	return error_set(e, ERR_INTERNAL, EIO, "nothing can be stored any more: %s", st->broken);
}

/* After a failed flush nobody knows which pages of the file are on the disk, and flushing again would only seem to
 * succeed. What stands there is what a power cut could have left, and the next start repairs that; so nothing is added.
 */
static int break_store(struct store *st, int err, struct error *e)
{
	if (!st->broken) {
		st->broken = xasprintf(
			"the database %s could not be flushed to its disk (%s): repair the disk, then restart sharesd",
			st->path, strerror(err));
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_STORE_FAILED, "%s", st->broken);
		sqlite3_db_config(st->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	}
	return is_broken(st, e);
}

/* ---- the log ---- */

static int flush_log(struct store *st, struct error *e)
{
	sqlite3_file *log = NULL;
	int err = 0;

	if (sqlite3_file_control(st->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || !log ||
	    !log->pMethods)
		return fault(e, "the store's log is not open");
	if (log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK)
		return 0;
	log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &err);
	return break_store(st, err ? err : EIO, e);
}

/* SQLite's own way of doing this drops failures. A full disk or a reader in the way may pass: the log grows, and a
 * later commit tries again. A failed flush may not. */
static int move_log(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *st = arg;

	store_note_log(st, pages);
	if (pages < CHECKPOINT_PAGES || st->broken)
		return SQLITE_OK;
	if (sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK &&
	    sqlite3_extended_errcode(db) == SQLITE_IOERR_FSYNC)
		break_store(st, EIO, NULL);
	return SQLITE_OK;
}

void store_watch_log(struct store *st)
{
	sqlite3_wal_hook(st->db, move_log, st);
}

/* ---- transactions ---- */

/* SQLite ends a transaction by itself after some failures (a full disk among them). What comes after that must not be
 * committed on its own. */
static int ended_early(const struct store *st, struct error *e)
{
	return error_set(e, ERR_INTERNAL, EIO, "the transaction on %s was taken back after an earlier failure",
			 st->path);
}

/* A file that has no name any more, or another's place: what is written to it is gone with this process. It may come
 * back as it was. */
static int check_place(struct store *st, struct error *e)
{
	struct stat log;
	int moved = 0, r;

	(void)sqlite3_file_control(st->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (!moved && (st->log_fd < 0 || fstat(st->log_fd, &log) < 0 || log.st_nlink > 0)) {
		st->displaced = false;
		return 0;
	}
	r = error_set(
		e, ERR_INTERNAL, ESTALE,
		"nothing can be stored any more: somebody removed or replaced the database %s while sharesd runs; "
		"put back what was there, or restart sharesd to go on with what is there now",
		st->path);
	if (!st->displaced)
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_STORE_FAILED,
			 "somebody removed or replaced the database %s: changes are refused until it is back, or "
			 "sharesd "
			 "restarted with what is there now",
			 st->path);
	st->displaced = true;
	return r;
}

static void forget_later(struct store *st)
{
	json_decref(st->later.fields);
	st->later.fields = NULL;
	st->later.made = false;
}

bool store_is_settled(const struct store *st)
{
	return !st->later.fields;
}

static int make_later(struct store *st, struct error *e)
{
	int r;

	if (store_is_settled(st))
		return 0;
	r = store_update_seq(st, st->later.table, st->later.seq, st->later.fields, e);
	/* Somebody took the row out by hand: nobody else is to suffer from that. */
	if (r < 0 && r != -ENOENT) {
		store_rollback(st);
		return r;
	}
	st->later.made = true;
	return 0;
}

int store_begin(struct store *st, struct error *e)
{
	int r;

	if (st->in_transaction)
		return fault(e, "a transaction of the store is open already");
	if (st->broken)
		return is_broken(st, e);
	if (st->writable && (r = check_place(st, e)) < 0)
		return r;
	if ((r = store_run(st, st->writable ? SQL_BEGIN_WRITE : SQL_BEGIN_READ, e)) < 0)
		return r;
	st->in_transaction = true;
	st->last_event = st->committed_event;
	return make_later(st, e);
}

int store_may_write(struct store *st, struct error *e)
{
	if (!st->writable || !st->in_transaction)
		return fault(e, "a row of the store was to be changed outside of a transaction");
	return sqlite3_get_autocommit(st->db) ? ended_early(st, e) : 0;
}

int store_commit(struct store *st, bool durable, struct error *e)
{
	int r;

	if (!st->in_transaction)
		return fault(e, "no transaction of the store is open");
	if (sqlite3_get_autocommit(st->db)) {
		st->in_transaction = false;
		return ended_early(st, e);
	}
	if (durable)
		crash_step("store commit");
	if ((r = store_run(st, SQL_COMMIT, e)) < 0) {
		store_rollback(st);
		return r;
	}
	st->in_transaction = false;
	st->committed_event = st->last_event;
	if (st->later.made)
		forget_later(st);
	if (!durable)
		return 0;
	r = flush_log(st, e);
	if (r == 0)
		st->durable_event = st->committed_event;
	crash_step("store commit");
	return r;
}

int store_find_events(struct store *st, bool unclean, struct error *e)
{
	int r;

	/* A process that was killed leaves what its kernel has not written yet. */
	if (unclean &&
	    ((r = store_begin(st, e)) < 0 || (r = store_commit(st, false, e)) < 0 || (r = flush_log(st, e)) < 0)) {
		store_rollback(st);
		return r;
	}
	st->last_event = st->committed_event = st->durable_event = store_last_event(st);
	return 0;
}

void store_rollback(struct store *st)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (!st->in_transaction)
		return;
	st->in_transaction = false;
	st->later.made = false;
	if (!sqlite3_get_autocommit(st->db) && store_run(st, SQL_ROLLBACK, &e) < 0)
		log_warning("%s", e.message);
}

/* ---- what waits ---- */

bool store_waits_for(const struct store *st, enum store_table t, int64_t seq)
{
	return !store_is_settled(st) && st->later.table == t && st->later.seq == seq;
}

int store_settle(struct store *st, struct error *e)
{
	int r;

	if (store_is_settled(st))
		return 0;
	r = store_begin(st, e);
	return r < 0 ? r : store_commit(st, false, e);
}

int store_update_later(struct store *st, enum store_table t, int64_t seq, json_t *fields, struct error *e)
{
	int r = store_settle(st, e);

	if (r < 0) {
		json_decref(fields);
		return r;
	}
	st->later.table = t;
	st->later.seq = seq;
	st->later.fields = fields;
	return 0;
}

void store_drop_later(struct store *st)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (store_settle(st, &e) < 0)
		log_warning("the end of the last call could not be stored: %s", e.message);
	forget_later(st);
}
