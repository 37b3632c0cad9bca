/* Opening the store: one file, brought to the version that this program knows. */
#include "base/mem.h"
#include "daemon/store_db.h"
#include "daemon/store_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Readers meet a lock only for moments; another program (sqlite3 at a terminal) may hold one longer. */
#define BUSY_MS 5000

/* Little memory; no temporary files, which could fill another file system; references checked. What is deleted is
 * overwritten where that costs no further page. */
static const char settings[] = "PRAGMA cache_size = -1024;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA mmap_size = 0;"
			       "PRAGMA trusted_schema = OFF;"
			       "PRAGMA foreign_keys = ON;"
			       "PRAGMA synchronous = NORMAL;"
			       "PRAGMA secure_delete = FAST;"
			       "PRAGMA journal_size_limit = 4194304;";

static int execute(struct store *st, const char *sql, struct error *e)
{
	return sqlite3_exec(st->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_fail(st, e);
}

/* The first value that a statement gives, as text owned by the caller; NULL when it gives none. */
static int ask(struct store *st, const char *sql, char **ret, struct error *e)
{
	sqlite3_stmt *s = NULL;
	int r;

	if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK)
		return store_fail(st, e);
	if ((r = store_step(st, s, e)) >= 0)
		*ret = xstrdup(r > 0 ? (const char *)sqlite3_column_text(s, 0) : NULL);
	sqlite3_finalize(s);
	return r < 0 ? r : 0;
}

static int connect_file(struct store *st, struct error *e)
{
	int flags = (st->writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(st->path, &st->db, flags, NULL) != SQLITE_OK)
		return store_fail(st, e);
	sqlite3_busy_timeout(st->db, BUSY_MS);
	return 0;
}

/* ---- versions ---- */

/* Read first, and from the file's head alone: a newer version's tables may be more than this SQLite understands. */
static int version_of(struct store *st, int *ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	long version;
	int r = ask(st, "PRAGMA user_version", &text, e);

	if (r < 0)
		return r;
	version = text ? strtol(text, NULL, 10) : -1;
	if (version < 0)
		return store_damaged(st, "it has no version", e);
	if (version > store_version)
		return error_set(e, ERR_NOT_SUPPORTED, ENOTSUP,
				 "database version %ld is newer than this sharesd knows (%d): run the newer sharesd, "
				 "or restore a copy of %s",
				 version, store_version, st->path);
	*ret = (int)version;
	return 0;
}

/* Without it readers would wait for the writer. It needs memory shared through a file, which some file systems lack. */
static int use_log(struct store *st, struct error *e)
{
	_cleanup_free_ char *mode = NULL;
	int r = ask(st, "PRAGMA journal_mode = WAL", &mode, e);

	if (r < 0)
		return r;
	if (mode && strcmp(mode, "wal") == 0)
		return 0;
	return error_set(e, ERR_NOT_SUPPORTED, ENOTSUP,
			 "the file system of %s cannot hold the database: set state_dir to a local one", st->path);
}

static int check_whole(struct store *st, struct error *e)
{
	_cleanup_free_ char *verdict = NULL;
	int r = ask(st, "PRAGMA quick_check(1)", &verdict, e);

	if (r < 0)
		return r;
	return verdict && strcmp(verdict, "ok") == 0 ? 0 : store_damaged(st, verdict ? verdict : "no verdict", e);
}

static int migrate(struct store *st, int from, struct error *e)
{
	char set_version[48];
	int r;

	for (int v = from; v < store_version; v++) {
		snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", v + 1);
		if ((r = store_begin(st, e)) < 0)
			return r;
		if ((r = execute(st, store_migrations[v], e)) < 0 || (r = execute(st, set_version, e)) < 0 ||
		    (r = store_commit(st, true, e)) < 0) {
			store_rollback(st);
			error_prefix(e, "cannot bring the database from version %d to %d", v, v + 1);
			return r;
		}
	}
	return 0;
}

static int prepare_to_write(struct store *st, bool unclean, struct error *e)
{
	int r, version = 0;

	if ((r = version_of(st, &version, e)) < 0 || (r = execute(st, settings, e)) < 0 || (r = use_log(st, e)) < 0 ||
	    (unclean && (r = check_whole(st, e)) < 0))
		return r;
	store_watch_log(st);
	if ((r = migrate(st, version, e)) < 0)
		return r;
	return store_find_events(st, unclean, e);
}

static int prepare_to_read(struct store *st, struct error *e)
{
	int version = 0, r = version_of(st, &version, e);

	if (r < 0)
		return r;
	if (version == store_version)
		return execute(st, settings, e);
	return error_set(e, ERR_NOT_SUPPORTED, ENOTSUP,
			 "the database %s has version %d and not %d: start sharesd on it first", st->path, version,
			 store_version);
}

/* ---- the store ---- */

static void close_it(struct store **st)
{
	store_close(*st);
}

int store_open(const char *state_dir, bool writable, struct store **ret, struct error *e)
{
	__attribute__((__cleanup__(close_it))) struct store *st = xcalloc(1, sizeof *st);
	bool unclean = false;
	int r;

	st->lock = st->log_fd = -1;
	st->writable = writable;
	st->path = xasprintf("%s/" STORE_FILE, state_dir);
	if (writable && (r = store_dir_take(state_dir, &st->lock, &unclean, e)) < 0)
		return r;
	if ((r = connect_file(st, e)) < 0)
		return r;
	r = writable ? prepare_to_write(st, unclean, e) : prepare_to_read(st, e);
	if (r < 0)
		return r;
	*ret = take_ptr(st);
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	store_drop_later(st);
	for (unsigned i = 0; i < st->count; i++)
		sqlite3_finalize(st->statements[i].stmt);
	sqlite3_close(st->db);
	cleanup_close(&st->log_fd);
	/* Last: until then the file is ours. */
	if (st->lock >= 0)
		close(st->lock);
	free(st->path);
	free(st->broken);
	free(st);
}
