#include "daemon/store_db.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

/* ---- failures ---- */

int store_damaged(const struct store *st, const char *what, struct error *e)
{
	return error_set(e, ERR_INTERNAL, EUCLEAN,
			 "the database %s is damaged (%s): stop sharesd, then restore a copy of the file, or move it "
			 "and its -wal file "
			 "away and adopt the shares again with manage_share",
			 st->path, what);
}

static int no_space(const struct store *st, int err, struct error *e)
{
	return error_set(e, ERR_NO_SPACE, err,
			 "no space is left for the database %s: free some on its file system, then try again",
			 st->path);
}

/* SQLite knows the errno of some failures only. */
static int fail_io(const struct store *st, struct error *e)
{
	int err = sqlite3_system_errno(st->db);

	if (err == ENOSPC || err == EDQUOT)
		return no_space(st, err, e);
	return error_set(e, ERR_INTERNAL, err ? err : EIO,
			 "cannot read or write the database %s (%s%s%s): see to its file system", st->path,
			 sqlite3_errmsg(st->db), err ? ": " : "", err ? strerror(err) : "");
}

static int fail_constraint(struct store *st, struct error *e)
{
	int code = sqlite3_extended_errcode(st->db);
	const char *what = sqlite3_errmsg(st->db);

	if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID)
		return error_set(e, ERR_ALREADY_EXISTS, EEXIST, "the store holds one already: %s", what);
	return error_set(e, ERR_INTERNAL, EINVAL,
			 "the store refused a row (%s): this is a fault in sharesd, please report it", what);
}

int store_fail(struct store *st, struct error *e)
{
	int code = sqlite3_extended_errcode(st->db);

	switch (code & 0xff) {
	case SQLITE_FULL:
		return no_space(st, ENOSPC, e);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return fail_io(st, e);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return store_damaged(st, sqlite3_errmsg(st->db), e);
	case SQLITE_CONSTRAINT:
		return fail_constraint(st, e);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(e, ERR_BUSY, EBUSY, "another program holds the database %s: end it, then try again",
				 st->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return error_set(
			e, ERR_INTERNAL, EROFS,
			"the database %s cannot be written (%s): make it and its directory writable for uid %u",
			st->path, sqlite3_errmsg(st->db), (unsigned)geteuid());
	case SQLITE_NOMEM:
		log_error("out of memory in the store; the next start repairs what was under way");
		abort();
	default:
		return error_set(e, ERR_INTERNAL, EIO, "the database %s failed: %s (%d)", st->path,
				 code ? sqlite3_errmsg(st->db) : "it does not say why", code);
	}
}

/* ---- statements ---- */

static bool same_key(const struct sql_key *a, const struct sql_key *b)
{
	return a->set == b->set && a->kind == b->kind && a->table == b->table && a->nulls == b->nulls;
}

static struct statement *find(struct store *st, const struct sql_key *key)
{
	for (unsigned i = 0; i < st->count; i++)
		if (same_key(&st->statements[i].key, key))
			return &st->statements[i];
	return NULL;
}

/* A free place, or that of the one unused for longest. None is in use while another is looked for: each is done with
 * before the store's function that took it returns. */
static struct statement *place(struct store *st)
{
	struct statement *oldest = &st->statements[0];

	if (st->count < STORE_STATEMENTS)
		return &st->statements[st->count++];
	for (unsigned i = 1; i < st->count; i++)
		if (st->statements[i].used < oldest->used)
			oldest = &st->statements[i];
	sqlite3_finalize(oldest->stmt);
	return oldest;
}

int store_statement(struct store *st, const struct sql_key *key, sqlite3_stmt **ret, struct error *e)
{
	struct statement *s = find(st, key);

	if (!s) {
		_cleanup_free_ char *text = sql_text(key);
		sqlite3_stmt *stmt;

		if (sqlite3_prepare_v3(st->db, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK)
			return store_fail(st, e);
		s = place(st);
		*s = (struct statement){ .key = *key, .stmt = stmt };
	}
	s->used = ++st->clock;
	*ret = s->stmt;
	return 0;
}

void store_statement_done(sqlite3_stmt **s)
{
	if (!*s)
		return;
	sqlite3_reset(*s);
	/* The values were borrowed. */
	sqlite3_clear_bindings(*s);
}

int store_step(struct store *st, sqlite3_stmt *s, struct error *e)
{
	int code = sqlite3_step(s);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : store_fail(st, e);
}

int store_run(struct store *st, enum sql_kind kind, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = store_statement(st, &(struct sql_key){ .kind = kind }, &s, e);

	return r < 0 ? r : store_step(st, s, e);
}
