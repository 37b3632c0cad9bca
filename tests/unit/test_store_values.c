/* daemon/store: what others wrote into the database. */
#include "test_store.h"

#include <sqlite3.h>

static struct store *st;
static struct error e;

static void setup(void)
{
	make_test_dir();
	st = open_store(true);
}

static void teardown(void)
{
	store_close(st);
	error_clear(&e);
	remove_test_dir();
}

static json_t *get(enum store_table t, const char *column, const char *value)
{
	json_t *row = NULL;

	must(store_get(st, t, column, value, &row, &e), &e);
	return row;
}

static sqlite3 *open_raw(void)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(state_file("sharesd.db"), &db), SQLITE_OK);
	return db;
}

static void set_raw(sqlite3 *db, const char *table, const char *column, const char *value)
{
	_cleanup_free_ char *sql = xasprintf("UPDATE %s SET %s = %s", table, column, value);

	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void refused_row(enum store_table t, const char *where)
{
	json_t *rows = NULL;

	error_clear(&e);
	ck_assert_msg(store_select(st, t, &(struct store_query){ 0 }, &rows, &e) == -EUCLEAN, "%s", where);
	ck_assert_msg(strstr(e.message, where) != NULL, "%s: %s", where, e.message);
}

START_TEST(a_value_that_is_no_json)
{
	json_t *row = NULL;
	sqlite3 *db;

	add_share(st, "a", true);
	add_share(st, "b", true);
	db = open_raw();
	ck_assert_int_eq(sqlite3_exec(db,
				      "UPDATE shares SET metadata = '{broken' WHERE id = 'a';"
				      "UPDATE shares SET name = CAST(x'ff' AS TEXT) WHERE id = 'b'",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(store_get(st, STORE_SHARES, "id", "a", &row, &e), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(e.message, "shares.metadata of row 1"));
	ck_assert_ptr_nonnull(strstr(e.message, state_file("sharesd.db")));
	ck_assert_int_eq(store_get(st, STORE_SHARES, "id", "b", &row, &e), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(e.message, "shares.name of row 2"));
	ck_assert_ptr_null(row);
}
END_TEST

/* Columns whose values the daemon relies on: what could not come from it is no row of its. */
START_TEST(values_of_the_wrong_shape)
{
	static const char *const wrong[][2] = {
		{ "metadata", "'[]'" },  { "metadata", "'{\"a\":1}'" }, { "warnings", "'{}'" },
		{ "warnings", "'[1]'" }, { "size_bytes", "'many'" },    { "name", "NULL" },
	};
	static const char *const locations[] = { "'{}'",
						 "'[1]'",
						 "'[{}]'",
						 "'[{\"path\":1}]'",
						 "'[{\"path\":\"/\",\"metadata\":[]}]'",
						 "'[{\"path\":\"/\",\"preferred\":1}]'",
						 "'[{\"path\":\"/\",\"is_admin_only\":\"no\"}]'" };
	sqlite3 *db = open_raw();

	/* As in a file that others made. */
	ck_assert_int_eq(sqlite3_exec(db,
				      "PRAGMA writable_schema = ON;"
				      "UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT', ')'),"
				      "  'TEXT NOT NULL', 'TEXT')",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	store_close(st);
	st = open_store(true);
	add_share(st, "a", true);
	begin(st);
	insert(st, STORE_INSTANCES,
	       jsonx_pack("{s:s,s:s,s:s,s:s}", "id", "i", "share_id", "a", "backend", "b", "status", "error"));
	commit(st, true);
	db = open_raw();
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		_cleanup_free_ char *where = xasprintf("shares.%s of row 1", wrong[i][0]);

		set_raw(db, "shares", wrong[i][0], wrong[i][1]);
		refused_row(STORE_SHARES, where);
		set_raw(db, "shares", wrong[i][0], strcmp(wrong[i][0], "name") == 0 ? "'a'" : "NULL");
	}
	for (size_t i = 0; i < sizeof locations / sizeof *locations; i++) {
		set_raw(db, "instances", "export_locations", locations[i]);
		refused_row(STORE_INSTANCES, "instances.export_locations of row 1");
	}
	set_raw(db, "instances", "export_locations", "'[{\"path\":\"/\",\"metadata\":{\"a\":\"b\"}}]'");
	json_decref(get(STORE_INSTANCES, "id", "i"));
	json_decref(get(STORE_SHARES, "id", "a"));
	sqlite3_close(db);
}
END_TEST

static TCase *values(void)
{
	TCase *c = tcase_create("values");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_value_that_is_no_json);
	tcase_add_test(c, values_of_the_wrong_shape);
	return c;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { values };

	return run_suite("store_values", cases, sizeof cases / sizeof *cases);
}
