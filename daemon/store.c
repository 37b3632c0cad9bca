#include "daemon/store.h"

#include "base/jsonx.h"
#include "base/log.h"
#include "daemon/store_value.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define KEEP_CALLS  1000
#define KEEP_EVENTS 10000

/* ---- rows ---- */

static int wrong_type(enum store_table t, const char *column, struct error *e)
{
	return error_set(e, ERR_INTERNAL, EINVAL,
			 "the store's column %s.%s was given a value of another type: this is a fault in sharesd, "
			 "please report it",
			 store_schemas[t].name, column);
}

static int bind_column(struct store *st, sqlite3_stmt *s, int at, enum store_table t, unsigned column, const json_t *v,
		       struct error *e)
{
	const struct store_column *c = &store_schemas[t].columns[column];
	int code = store_value_bind(s, at, c, v);

	if (code == SQLITE_MISMATCH)
		return wrong_type(t, c->name, e);
	return code == SQLITE_OK ? 0 : store_fail(st, e);
}

/* The members in the order of the columns: every one must be a column, and seq is never given. */
static int columns_of(enum store_table t, const json_t *row, const json_t *values[STORE_COLUMNS_MAX], uint32_t *ret,
		      struct error *e)
{
	const struct store_schema *s = &store_schemas[t];
	size_t found = 0;
	uint32_t set = 0;

	for (unsigned i = STORE_FIRST; i < s->count; i++)
		if ((values[i] = json_object_get(row, s->columns[i].name))) {
			set |= 1u << i;
			found++;
		}
	if (found != json_object_size(row))
		return error_set(e, ERR_INTERNAL, EINVAL,
				 "a row for the store's table %s has a member that is no column: this is a fault in "
				 "sharesd, please report it",
				 s->name);
	*ret = set;
	return 0;
}

static int read_row(struct store *st, sqlite3_stmt *s, enum store_table t, json_t **ret, struct error *e)
{
	const struct store_schema *schema = &store_schemas[t];
	_cleanup_json_ json_t *row = json_object();

	for (unsigned i = 0; i < schema->count; i++) {
		json_t *v = store_value_read(s, (int)i, &schema->columns[i]);
		char where[128];

		if (!v && sqlite3_errcode(st->db) == SQLITE_NOMEM)
			return store_fail(st, e);
		if (!v) {
			snprintf(where, sizeof where, "%s.%s of row %" PRId64, schema->name, schema->columns[i].name,
				 (int64_t)sqlite3_column_int64(s, STORE_SEQ));
			return store_damaged(st, where, e);
		}
		json_object_set_new_nocheck(row, schema->columns[i].name, v);
	}
	*ret = take_ptr(row);
	return 0;
}

/* ---- changes ---- */

int store_insert(struct store *st, enum store_table t, const json_t *row, int64_t *ret_seq, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	const json_t *values[STORE_COLUMNS_MAX];
	uint32_t set;
	int r;

	if ((r = store_may_write(st, e)) < 0 || (r = columns_of(t, row, values, &set, e)) < 0 ||
	    (r = store_statement(st, &(struct sql_key){ .kind = SQL_INSERT, .table = t }, &s, e)) < 0)
		return r;
	for (unsigned i = STORE_FIRST; i < store_schemas[t].count; i++)
		if ((r = bind_column(st, s, (int)i, t, i, values[i], e)) < 0)
			return r;
	if ((r = store_step(st, s, e)) < 0)
		return r;
	if (t == STORE_EVENTS)
		st->last_event = sqlite3_last_insert_rowid(st->db);
	if (ret_seq)
		*ret_seq = sqlite3_last_insert_rowid(st->db);
	return 0;
}

static int bind_id(struct store *st, sqlite3_stmt *s, int at, const char *id, struct error *e)
{
	return sqlite3_bind_text(s, at, id, -1, SQLITE_STATIC) == SQLITE_OK ? 0 : store_fail(st, e);
}

static int bind_seq(struct store *st, sqlite3_stmt *s, int at, int64_t seq, struct error *e)
{
	return sqlite3_bind_int64(s, at, seq) == SQLITE_OK ? 0 : store_fail(st, e);
}

/* By id or by seq, as the key says. */
static int update(struct store *st, struct sql_key *key, const char *id, int64_t seq, const json_t *fields,
		  struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	const json_t *values[STORE_COLUMNS_MAX] = { NULL };
	int r, at = 1;

	if ((r = store_may_write(st, e)) < 0 || (r = columns_of(key->table, fields, values, &key->set, e)) < 0)
		return r;
	if (key->set == 0)
		return 0;
	if ((r = store_statement(st, key, &s, e)) < 0)
		return r;
	for (unsigned i = STORE_FIRST; i < store_schemas[key->table].count; i++)
		if (values[i] && (r = bind_column(st, s, at++, key->table, i, values[i], e)) < 0)
			return r;
	r = key->kind == SQL_UPDATE_SEQ ? bind_seq(st, s, at, seq, e) : bind_id(st, s, at, id, e);
	if (r < 0 || (r = store_step(st, s, e)) < 0)
		return r;
	return sqlite3_changes(st->db) ? 0 : -ENOENT;
}

int store_update(struct store *st, enum store_table t, const char *id, const json_t *fields, struct error *e)
{
	int r = update(st, &(struct sql_key){ .kind = SQL_UPDATE, .table = t }, id, 0, fields, e);

	return r != -ENOENT ? r
			    : error_set(e, ERR_INTERNAL, ENOENT, "the store's table %s has no row %s",
					store_schemas[t].name, id ? id : "without id");
}

int store_update_seq(struct store *st, enum store_table t, int64_t seq, const json_t *fields, struct error *e)
{
	int r = update(st, &(struct sql_key){ .kind = SQL_UPDATE_SEQ, .table = t }, NULL, seq, fields, e);

	return r != -ENOENT ? r
			    : error_set(e, ERR_INTERNAL, ENOENT, "the store's table %s has no row %" PRId64,
					store_schemas[t].name, seq);
}

int store_delete(struct store *st, enum store_table t, const char *id, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r;

	if ((r = store_may_write(st, e)) < 0 ||
	    (r = store_statement(st, &(struct sql_key){ .kind = SQL_DELETE, .table = t }, &s, e)) < 0 ||
	    (r = bind_id(st, s, 1, id, e)) < 0)
		return r;
	return store_step(st, s, e);
}

/* ---- queries ---- */

static void key_of_where(struct sql_key *key, const json_t *where)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)where, name, v) {
		uint32_t bit = 1u << store_column_index(key->table, name);

		key->set |= bit;
		if (json_is_null(v))
			key->nulls |= bit;
	}
}

/* A number given as text is as good: the column's type decides how SQLite compares. */
static int bind_where(struct store *st, sqlite3_stmt *s, const struct sql_key *key, const json_t *where, int *at,
		      struct error *e)
{
	const struct store_schema *schema = &store_schemas[key->table];

	for (unsigned i = 0; i < schema->count; i++) {
		json_t *v;
		int code;

		if (!(key->set & ~key->nulls & 1u << i))
			continue;
		v = json_object_get(where, schema->columns[i].name);
		if (json_is_string(v))
			code = sqlite3_bind_text64(s, (*at)++, json_string_value(v), json_string_length(v),
						   SQLITE_STATIC, SQLITE_UTF8);
		else if (json_is_integer(v))
			code = sqlite3_bind_int64(s, (*at)++, json_integer_value(v));
		else
			return wrong_type(key->table, schema->columns[i].name, e);
		if (code != SQLITE_OK)
			return store_fail(st, e);
	}
	return 0;
}

static int bind_page(struct store *st, sqlite3_stmt *s, int at, const struct store_query *q, struct error *e)
{
	int64_t from = q->newest && q->after == 0 ? INT64_MAX : q->after;
	int64_t limit = q->limit == 0 || q->limit > INT64_MAX ? -1 : (int64_t)q->limit;

	if (sqlite3_bind_int64(s, at, from) != SQLITE_OK || sqlite3_bind_int64(s, at + 1, limit) != SQLITE_OK)
		return store_fail(st, e);
	return 0;
}

int store_select(struct store *st, enum store_table t, const struct store_query *q, json_t **ret, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	_cleanup_json_ json_t *rows = NULL;
	struct sql_key key = { .kind = q->newest ? SQL_SELECT_NEWEST : SQL_SELECT, .table = t };
	int r, at = 1;

	key_of_where(&key, q->where);
	if ((r = store_statement(st, &key, &s, e)) < 0 || (r = bind_where(st, s, &key, q->where, &at, e)) < 0 ||
	    (r = bind_page(st, s, at, q, e)) < 0)
		return r;
	rows = json_array();
	while ((r = store_step(st, s, e)) > 0) {
		json_t *row = NULL;

		if ((r = read_row(st, s, t, &row, e)) < 0)
			return r;
		json_array_append_new(rows, row);
	}
	if (r == 0)
		*ret = take_ptr(rows);
	return r;
}

static int get_one(struct store *st, enum store_table t, const json_t *where, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	int r = store_select(st, t, &(struct store_query){ .where = where, .limit = 1 }, &rows, e);

	if (r < 0)
		return r;
	if (json_array_size(rows) == 0)
		return -ENOENT;
	*ret = json_incref(json_array_get(rows, 0));
	return 0;
}

/* Nothing equals what is not there, and no text in the store is anything but UTF-8. */
static bool add_equal(json_t *where, enum store_table t, const char *column, const char *value)
{
	json_t *v = value ? json_string(value) : NULL;

	store_column_index(t, column);
	return v && json_object_set_new(where, column, v) == 0;
}

int store_get(struct store *st, enum store_table t, const char *column, const char *value, json_t **ret,
	      struct error *e)
{
	_cleanup_json_ json_t *where = json_object();

	return add_equal(where, t, column, value) ? get_one(st, t, where, ret, e) : -ENOENT;
}

int store_get2(struct store *st, enum store_table t, const char *c1, const char *v1, const char *c2, const char *v2,
	       json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where = json_object();

	return add_equal(where, t, c1, v1) && add_equal(where, t, c2, v2) ? get_one(st, t, where, ret, e) : -ENOENT;
}

int store_count(struct store *st, enum store_table t, const json_t *where, int64_t *ret, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	struct sql_key key = { .kind = SQL_COUNT, .table = t };
	int r, at = 1;

	key_of_where(&key, where);
	if ((r = store_statement(st, &key, &s, e)) < 0 || (r = bind_where(st, s, &key, where, &at, e)) < 0 ||
	    (r = store_step(st, s, e)) < 0)
		return r;
	*ret = sqlite3_column_int64(s, 0);
	return 0;
}

int store_allocated_bytes(struct store *st, const char *backend, uint64_t *ret, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	uint64_t upper, lower;
	int r;

	if ((r = store_statement(st, &(struct sql_key){ .kind = SQL_ALLOCATED_BYTES }, &s, e)) < 0 ||
	    (r = bind_id(st, s, 1, backend, e)) < 0 || (r = store_step(st, s, e)) < 0)
		return r;
	upper = (uint64_t)sqlite3_column_int64(s, 0);
	lower = (uint64_t)sqlite3_column_int64(s, 1);
	upper += lower >> 32;
	*ret = upper > UINT32_MAX ? UINT64_MAX : upper << 32 | (lower & UINT32_MAX);
	return 0;
}

int store_free_export_number(struct store *st, int64_t *ret, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r;

	if ((r = store_statement(st, &(struct sql_key){ .kind = SQL_FREE_EXPORT_NUMBER }, &s, e)) < 0 ||
	    (r = store_step(st, s, e)) < 0)
		return r;
	if (sqlite3_column_type(s, 0) == SQLITE_NULL)
		return error_set(
			e, ERR_LIMIT, ENOSPC,
			"65535 shares are exported already, which is all that one export server can tell apart: "
			"delete some, or run a second daemon");
	*ret = sqlite3_column_int64(s, 0);
	return 0;
}

int store_count_exports(struct store *st, const char *backend, int64_t *ret, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r;

	if ((r = store_statement(st, &(struct sql_key){ .kind = SQL_COUNT_EXPORTS }, &s, e)) < 0 ||
	    (r = bind_id(st, s, 1, backend, e)) < 0 || (r = store_step(st, s, e)) < 0)
		return r;
	*ret = sqlite3_column_int64(s, 0);
	return 0;
}

int64_t store_last_event(struct store *st)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = store_statement(st, &(struct sql_key){ .kind = SQL_LAST_EVENT }, &s, &e);

	if (r == 0)
		r = store_step(st, s, &e);
	if (r < 0)
		log_error("the last event's number cannot be read: %s", e.message);
	return r > 0 ? sqlite3_column_int64(s, 0) : 0;
}

int64_t store_durable_event(const struct store *st)
{
	return st->durable_event;
}

/* ---- pruning ---- */

static int prune(struct store *st, enum sql_kind kind, int64_t keep, struct error *e)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = store_statement(st, &(struct sql_key){ .kind = kind }, &s, e);

	if (r < 0)
		return r;
	if (sqlite3_bind_int64(s, 1, keep) != SQLITE_OK)
		return store_fail(st, e);
	return store_step(st, s, e);
}

int store_prune(struct store *st, struct error *e)
{
	int r = store_begin(st, e);

	if (r < 0)
		return r;
	if ((r = prune(st, SQL_PRUNE_CALLS, KEEP_CALLS, e)) < 0 ||
	    (r = prune(st, SQL_PRUNE_EVENTS, KEEP_EVENTS, e)) < 0) {
		store_rollback(st);
		return r;
	}
	return store_commit(st, false, e);
}
