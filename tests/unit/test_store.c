/* daemon/store: rows, queries, transactions. */
#include "test_store.h"
#include "base/text.h"
#include "daemon/store_schema.h"
#include "daemon/store_sql.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>

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

/* Takes `where`. */
static json_t *selected(enum store_table t, struct store_query q, json_t *where)
{
	_cleanup_json_ json_t *mine = where;
	json_t *rows = NULL;

	q.where = mine;
	must(store_select(st, t, &q, &rows, &e), &e);
	return rows;
}

/* The seqs of the rows, as "3,4,5". Takes the rows. */
static const char *seqs(json_t *rows)
{
	static char text[400];
	size_t i, at = 0;
	json_t *row;

	text[0] = '\0';
	json_array_foreach(rows, i, row)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%lld", i ? "," : "",
				       (long long)jsonx_int(row, "seq"));
	json_decref(rows);
	return text;
}

/* ---- rows ---- */

static json_t *value_for(const struct store_column *c)
{
	switch (c->type) {
	case STORE_TEXT:
		/* Every row has this id, so that every reference finds one. */
		return json_string("öne");
	case STORE_INTEGER:
		return json_integer(INT64_MAX - (json_int_t)strlen(c->name));
	case STORE_JSON:
	case STORE_OBJECT:
		return jsonx_pack("{s:[s,i,f,b,n],s:{}}", c->name, "a \"quoted\"\n/path", -7, 0.1, 1, "empty");
	case STORE_TEXTS:
		return jsonx_pack("{s:s,s:s}", c->name, "a \"quoted\"\n/path", "empty", "");
	case STORE_LIST:
		return jsonx_pack("[s,s]", c->name, "");
	case STORE_LOCATIONS:
		return jsonx_pack("[{s:s,s:b,s:{s:s}},{s:s}]", "path", c->name, "preferred", 1, "metadata", "a", "b",
				  "path", "");
	}
	abort();
}

static json_t *full_row(enum store_table t)
{
	json_t *row = json_object();

	for (unsigned i = STORE_FIRST; i < store_schemas[t].count; i++)
		json_object_set_new(row, store_schemas[t].columns[i].name, value_for(&store_schemas[t].columns[i]));
	return row;
}

START_TEST(every_column_comes_back)
{
	begin(st);
	for (enum store_table t = 0; t < STORE_TABLE_COUNT; t++)
		insert(st, t, full_row(t));
	commit(st, true);
	for (enum store_table t = 0; t < STORE_TABLE_COUNT; t++) {
		const char *first = store_schemas[t].columns[STORE_FIRST].name;
		_cleanup_json_ json_t *row = get(t, first, "öne"), *want = full_row(t);

		json_object_set_new(want, "seq", json_integer(1));
		ck_assert_msg(json_equal(row, want), "%s: %s", store_schemas[t].name, jsonx_dump(row));
	}
}
END_TEST

START_TEST(missing_and_null_are_one)
{
	_cleanup_json_ json_t *a = NULL, *b = NULL;

	begin(st);
	insert(st, STORE_SHARES, jsonx_pack("{s:s,s:s}", "id", "a", "name", "a"));
	insert(st, STORE_SHARES,
	       jsonx_pack("{s:s,s:s,s:n,s:n,s:n}", "id", "b", "name", "b", "size_bytes", "metadata", "share_proto"));
	commit(st, false);
	a = get(STORE_SHARES, "id", "a");
	b = get(STORE_SHARES, "id", "b");
	ck_assert(json_is_null(json_object_get(a, "size_bytes")) && json_is_null(json_object_get(a, "metadata")));
	ck_assert_uint_eq(json_object_size(a), store_schemas[STORE_SHARES].count);
	ck_assert_uint_eq(json_object_size(b), store_schemas[STORE_SHARES].count);
	json_object_set_new(b, "id", json_string("a"));
	json_object_set_new(b, "name", json_string("a"));
	json_object_set_new(b, "seq", json_integer(1));
	ck_assert(json_equal(a, b));
}
END_TEST

/* What is set is what is read, whatever JSON it is. */
START_TEST(values_of_all_shapes)
{
	static const char *const texts[] = { "{}",
					     "[]",
					     "\"\"",
					     "\"text\"",
					     "0",
					     "-9223372036854775808",
					     "1.5",
					     "true",
					     "false",
					     "[null]",
					     "{\"a\":{\"b\":[{\"c\":null}]}}",
					     "\"\\u0000 inside\"" };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		_cleanup_json_ json_t *row = NULL, *want = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		char id[16];

		snprintf(id, sizeof id, "v%zu", i);
		begin(st);
		insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s,s:O}", "time", id, "type", "t", "object", want));
		commit(st, false);
		row = get(STORE_EVENTS, "time", id);
		ck_assert_msg(json_equal(json_object_get(row, "object"), want), "%s", texts[i]);
	}
}
END_TEST

START_TEST(texts_of_all_lengths)
{
	static const size_t lengths[] = { 0, 1, 500, 5000, 3 << 20 };

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		_cleanup_free_ char *text = xmalloc(lengths[i] + 1);
		_cleanup_json_ json_t *row = NULL;
		char id[16];

		memset(text, 'x', lengths[i]);
		text[lengths[i]] = '\0';
		snprintf(id, sizeof id, "t%zu", i);
		begin(st);
		insert(st, STORE_SHARES, jsonx_pack("{s:s,s:s,s:s}", "id", id, "name", id, "share_network", text));
		commit(st, false);
		row = get(STORE_SHARES, "id", id);
		ck_assert_str_eq(jsonx_str(row, "share_network"), text);
	}
}
END_TEST

START_TEST(update_sets_the_members_given)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:i,s:n,s:[s]}", "size_bytes", 5, "share_proto", "warnings", "w");
	_cleanup_json_ json_t *none = json_object(), *row = NULL;

	begin(st);
	insert(st, STORE_SHARES,
	       jsonx_pack("{s:s,s:s,s:s,s:i}", "id", "a", "name", "n", "share_proto", "NFS", "owner_uid", 7));
	insert_share(st, "other", 1);
	must(store_update(st, STORE_SHARES, "a", fields, &e), &e);
	must(store_update(st, STORE_SHARES, "a", none, &e), &e);
	commit(st, false);
	row = get(STORE_SHARES, "id", "a");
	ck_assert_int_eq(jsonx_int(row, "size_bytes"), 5);
	ck_assert_int_eq(jsonx_int(row, "owner_uid"), 7);
	ck_assert_ptr_null(jsonx_get(row, "share_proto"));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "warnings"), 0)), "w");
	json_decref(row);
	row = get(STORE_SHARES, "id", "other");
	ck_assert_int_eq(jsonx_int(row, "size_bytes"), 1);
}
END_TEST

START_TEST(update_and_delete_of_what_is_not_there)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:i}", "size_bytes", 5);

	begin(st);
	ck_assert_int_eq(store_update(st, STORE_SHARES, "a", fields, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "shares"));
	ck_assert_int_eq(store_delete(st, STORE_SHARES, "a", &e), 0);
	insert_share(st, "b", 1);
	ck_assert_int_eq(store_delete(st, STORE_SHARES, "b", &e), 0);
	ck_assert_int_eq(store_update(st, STORE_SHARES, NULL, fields, NULL), -ENOENT);
	commit(st, false);
	ck_assert_int_eq(count(st, STORE_SHARES), 0);
}
END_TEST

static void refused(json_t *row, const char *says)
{
	_cleanup_json_ json_t *mine = row;
	_cleanup_error_ struct error why = ERROR_INIT;

	ck_assert_int_eq(store_insert(st, STORE_SHARES, mine, NULL, &why), -EINVAL);
	ck_assert_int_eq(why.kind, ERR_INTERNAL);
	ck_assert_msg(strstr(why.message, says) != NULL, "%s", why.message);
}

START_TEST(faulty_rows_are_refused)
{
	begin(st);
	refused(jsonx_pack("{s:s,s:s,s:s}", "id", "a", "name", "a", "colour", "red"), "no column");
	refused(jsonx_pack("{s:s,s:s,s:i}", "id", "a", "name", "a", "seq", 4), "no column");
	refused(jsonx_pack("{s:s,s:i}", "id", "a", "name", 4), "shares.name");
	refused(jsonx_pack("{s:s,s:s,s:s}", "id", "a", "name", "a", "size_bytes", "1"), "shares.size_bytes");
	refused(jsonx_pack("{s:s,s:s,s:f}", "id", "a", "name", "a", "size_bytes", 1.0), "shares.size_bytes");
	refused(jsonx_pack("{s:s}", "id", "a"), "shares.name");
	refused(jsonx_pack("{s:s}", "name", "a"), "shares.id");
	commit(st, false);
	ck_assert_int_eq(count(st, STORE_SHARES), 0);
}
END_TEST

START_TEST(an_unknown_column_ends_the_process)
{
	json_t *row = NULL;

	store_get(st, STORE_SHARES, "name; DROP TABLE shares", "x", &row, NULL);
}
END_TEST

START_TEST(update_by_number)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:s}", "type", "y"), *faulty = jsonx_pack("{s:s}", "size", "1"),
			      *one = NULL, *two = NULL;
	int64_t first, second;

	begin(st);
	first = insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "x"));
	second = insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "u", "type", "x"));
	must(store_update_seq(st, STORE_EVENTS, second, fields, &e), &e);
	ck_assert_int_eq(store_update_seq(st, STORE_EVENTS, second + 1, fields, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.message, "events has no row 3"));
	ck_assert_int_eq(store_update_seq(st, STORE_EVENTS, first, faulty, &e), -EINVAL);
	commit(st, false);
	one = get(STORE_EVENTS, "time", "t");
	two = get(STORE_EVENTS, "time", "u");
	ck_assert_str_eq(jsonx_str(one, "type"), "x");
	ck_assert_str_eq(jsonx_str(two, "type"), "y");
	ck_assert_int_eq(store_update_seq(st, STORE_EVENTS, first, fields, &e), -EINVAL);
}
END_TEST

static int64_t later_event(const char *type)
{
	int64_t seq;

	begin(st);
	seq = insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "x"));
	commit(st, false);
	must(store_update_later(st, STORE_EVENTS, seq, jsonx_pack("{s:s}", "type", type), &e), &e);
	ck_assert(!store_is_settled(st));
	return seq;
}

static int64_t count_type(const char *type)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "type", type);
	int64_t n = -1;

	must(store_count(st, STORE_EVENTS, where, &n, &e), &e);
	return n;
}

START_TEST(update_with_the_next_transaction)
{
	later_event("a");
	ck_assert_int_eq(count_type("a"), 0);
	begin(st);
	ck_assert_int_eq(count_type("a"), 1);
	/* What is taken back is made again. */
	store_rollback(st);
	ck_assert_int_eq(count_type("a"), 0);
	ck_assert(!store_is_settled(st));
	add_share(st, "s", true);
	ck_assert_int_eq(count_type("a"), 1);
	ck_assert(store_is_settled(st));
	later_event("b");
	must(store_settle(st, &e), &e);
	must(store_settle(st, &e), &e);
	ck_assert_int_eq(count_type("b"), 1);
	/* Only one waits. */
	must(store_update_later(st, STORE_EVENTS, later_event("c"), jsonx_pack("{s:s}", "type", "d"), &e), &e);
	ck_assert_int_eq(count_type("c"), 1);
	store_close(st);
	st = open_store(true);
	ck_assert_int_eq(count_type("d"), 1);
}
END_TEST

/* Nobody has to suffer from a row that somebody took out. */
START_TEST(update_of_what_is_gone_is_dropped)
{
	must(store_update_later(st, STORE_EVENTS, 7, jsonx_pack("{s:s}", "type", "a"), &e), &e);
	add_share(st, "s", true);
	ck_assert(store_is_settled(st) && has_share(st, "s"));
}
END_TEST

/* ---- unique keys and references ---- */

static void doubled(enum store_table t, json_t *row, bool fails)
{
	_cleanup_json_ json_t *mine = row;
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = store_insert(st, t, mine, NULL, &why);

	ck_assert_msg(r == (fails ? -EEXIST : 0), "%s %d %s", store_schemas[t].name, r, why.message);
	if (fails)
		ck_assert_int_eq(why.kind, ERR_ALREADY_EXISTS);
}

static json_t *rule(const char *id, const char *share, const char *type, const char *to)
{
	return jsonx_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "id", id, "share_id", share, "access_type", type, "access_to",
			  to, "canonical", to, "access_level", "rw");
}

static json_t *call(const char *id, int uid, const char *request_id)
{
	return jsonx_pack("{s:s,s:s,s:s,s:i,s:o}", "id", id, "method", "m", "state", "done", "uid", uid, "request_id",
			  jsonx_string(request_id));
}

START_TEST(unique_keys)
{
	begin(st);
	insert_share(st, "a", 1);
	insert_share(st, "b", 1);
	doubled(STORE_SHARES, jsonx_pack("{s:s,s:s}", "id", "a", "name", "c"), true);
	doubled(STORE_SHARES, jsonx_pack("{s:s,s:s}", "id", "c", "name", "a"), true);
	doubled(STORE_BACKENDS, jsonx_pack("{s:s,s:s,s:s}", "id", "1", "name", "media", "driver", "dir"), false);
	doubled(STORE_BACKENDS, jsonx_pack("{s:s,s:s,s:s}", "id", "2", "name", "media", "driver", "dir"), true);
	doubled(STORE_SNAPSHOTS, jsonx_pack("{s:s,s:s,s:s}", "id", "1", "share_id", "a", "name", "n"), false);
	doubled(STORE_SNAPSHOTS, jsonx_pack("{s:s,s:s,s:s}", "id", "2", "share_id", "b", "name", "n"), false);
	doubled(STORE_SNAPSHOTS, jsonx_pack("{s:s,s:s,s:s}", "id", "3", "share_id", "a", "name", "n"), true);
	doubled(STORE_ACCESS_RULES, rule("1", "a", "ip", "x"), false);
	doubled(STORE_ACCESS_RULES, rule("2", "a", "user", "x"), false);
	doubled(STORE_ACCESS_RULES, rule("3", "b", "ip", "x"), false);
	doubled(STORE_ACCESS_RULES, rule("4", "a", "ip", "x"), true);
	doubled(STORE_CALLS, call("1", 7, "r"), false);
	doubled(STORE_CALLS, call("2", 8, "r"), false);
	doubled(STORE_CALLS, call("3", 7, NULL), false);
	doubled(STORE_CALLS, call("4", 7, NULL), false);
	doubled(STORE_CALLS, call("5", 7, "r"), true);
	commit(st, true);
	ck_assert_int_eq(count(st, STORE_SHARES), 2);
	ck_assert_int_eq(count(st, STORE_CALLS), 4);
}
END_TEST

START_TEST(update_to_a_double)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:s}", "name", "a");

	begin(st);
	insert_share(st, "a", 1);
	insert_share(st, "b", 1);
	ck_assert_int_eq(store_update(st, STORE_SHARES, "b", fields, &e), -EEXIST);
	commit(st, false);
	ck_assert(has_share(st, "b"));
}
END_TEST

static json_t *instance(const char *id, const char *share, const char *backend)
{
	return jsonx_pack("{s:s,s:s,s:s,s:s}", "id", id, "share_id", share, "backend", backend, "status", "available");
}

START_TEST(references_are_checked_at_the_commit)
{
	begin(st);
	insert(st, STORE_INSTANCES, instance("i", "a", "media"));
	insert_share(st, "a", 1);
	commit(st, true);

	begin(st);
	insert_share(st, "b", 1);
	must(store_delete(st, STORE_SHARES, "a", &e), &e);
	ck_assert_int_eq(store_commit(st, true, &e), -EINVAL);
	ck_assert_int_eq(e.kind, ERR_INTERNAL);
	ck_assert(has_share(st, "a"));
	ck_assert(!has_share(st, "b"));

	begin(st);
	must(store_delete(st, STORE_SHARES, "a", &e), &e);
	must(store_delete(st, STORE_INSTANCES, "i", &e), &e);
	commit(st, true);
	ck_assert_int_eq(count(st, STORE_SHARES) + count(st, STORE_INSTANCES), 0);
}
END_TEST

/* ---- queries ---- */

START_TEST(get_by_other_columns)
{
	_cleanup_json_ json_t *row = NULL;

	begin(st);
	insert(st, STORE_CALLS, call("1", 7, "r"));
	insert(st, STORE_CALLS, call("2", 8, "r"));
	insert(st, STORE_CALLS, call("3", 8, NULL));
	commit(st, false);
	must(store_get2(st, STORE_CALLS, "uid", "8", "request_id", "r", &row, &e), &e);
	ck_assert_str_eq(jsonx_str(row, "id"), "2");
	json_decref(take_ptr(row));
	/* Where several are equal, the oldest. */
	row = get(STORE_CALLS, "request_id", "r");
	ck_assert_str_eq(jsonx_str(row, "id"), "1");
	json_decref(take_ptr(row));
	ck_assert_int_eq(store_get2(st, STORE_CALLS, "uid", "9", "request_id", "r", &row, &e), -ENOENT);
	ck_assert_int_eq(store_get(st, STORE_CALLS, "request_id", NULL, &row, &e), -ENOENT);
	ck_assert_int_eq(store_get(st, STORE_CALLS, "id", "\xff", &row, &e), -ENOENT);
	ck_assert_int_eq(store_get(st, STORE_CALLS, "id", "' OR 1 --", &row, NULL), -ENOENT);
	ck_assert_ptr_null(row);
	ck_assert_ptr_null(e.message);
}
END_TEST

static void add_some_calls(void)
{
	begin(st);
	for (int i = 1; i <= 9; i++) {
		char id[16];

		snprintf(id, sizeof id, "%d", i);
		insert(st, STORE_CALLS, call(id, i % 2, i % 3 == 0 ? id : NULL));
	}
	commit(st, false);
}

START_TEST(select_where)
{
	add_some_calls();
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 }, NULL)), "1,2,3,4,5,6,7,8,9");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 }, json_object())), "1,2,3,4,5,6,7,8,9");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 }, jsonx_pack("{s:i}", "uid", 1))),
			 "1,3,5,7,9");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 }, jsonx_pack("{s:s}", "uid", "0"))),
			 "2,4,6,8");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 }, jsonx_pack("{s:n}", "request_id"))),
			 "1,2,4,5,7,8");
	ck_assert_str_eq(
		seqs(selected(STORE_CALLS, (struct store_query){ 0 }, jsonx_pack("{s:n,s:i}", "request_id", "uid", 0))),
		"2,4,8");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 },
				       jsonx_pack("{s:i,s:s,s:s}", "uid", 1, "request_id", "9", "state", "done"))),
			 "9");
	ck_assert_str_eq(
		seqs(selected(STORE_CALLS, (struct store_query){ 0 }, jsonx_pack("{s:s}", "state", "working"))), "");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ 0 }, jsonx_pack("{s:i}", "seq", 4))), "4");
}
END_TEST

START_TEST(select_of_a_faulty_value)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:b}", "uid", 1), *rows = NULL;

	ck_assert_int_eq(store_select(st, STORE_CALLS, &(struct store_query){ .where = where }, &rows, &e), -EINVAL);
	ck_assert_ptr_null(rows);
	ck_assert_ptr_nonnull(strstr(e.message, "calls.uid"));
}
END_TEST

START_TEST(pages_both_ways)
{
	add_some_calls();
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .limit = 4 }, NULL)), "1,2,3,4");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .limit = 4, .after = 4 }, NULL)), "5,6,7,8");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .limit = 4, .after = 8 }, NULL)), "9");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .limit = 4, .after = 9 }, NULL)), "");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .after = 6 }, NULL)), "7,8,9");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .newest = true, .limit = 4 }, NULL)),
			 "9,8,7,6");
	ck_assert_str_eq(
		seqs(selected(STORE_CALLS, (struct store_query){ .newest = true, .limit = 4, .after = 6 }, NULL)),
		"5,4,3,2");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .newest = true, .after = 3 }, NULL)), "2,1");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .newest = true, .after = 1 }, NULL)), "");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .newest = true, .limit = 2, .after = 7 },
				       jsonx_pack("{s:i}", "uid", 1))),
			 "5,3");
	ck_assert_str_eq(seqs(selected(STORE_CALLS, (struct store_query){ .limit = SIZE_MAX, .after = 8 }, NULL)), "9");
}
END_TEST

START_TEST(count_where)
{
	_cleanup_json_ json_t *odd = jsonx_pack("{s:i}", "uid", 1), *without = jsonx_pack("{s:n}", "request_id");
	int64_t n;

	add_some_calls();
	ck_assert_int_eq(count(st, STORE_CALLS), 9);
	must(store_count(st, STORE_CALLS, odd, &n, &e), &e);
	ck_assert_int_eq(n, 5);
	must(store_count(st, STORE_CALLS, without, &n, &e), &e);
	ck_assert_int_eq(n, 6);
	ck_assert_int_eq(count(st, STORE_EVENTS), 0);
}
END_TEST

static uint64_t allocated(const char *backend)
{
	uint64_t n = 1;

	must(store_allocated_bytes(st, backend, &n, &e), &e);
	return n;
}

START_TEST(allocated_bytes)
{
	begin(st);
	insert_share(st, "a", 1000);
	insert_share(st, "b", 0xffffffff);
	insert(st, STORE_SHARES, jsonx_pack("{s:s,s:s}", "id", "unknown", "name", "unknown"));
	insert(st, STORE_INSTANCES, instance("1", "a", "media"));
	insert(st, STORE_INSTANCES, instance("2", "a", "other"));
	insert(st, STORE_INSTANCES, instance("3", "b", "media"));
	insert(st, STORE_INSTANCES, instance("4", "a", "media"));
	insert(st, STORE_INSTANCES, instance("5", "unknown", "media"));
	commit(st, false);
	ck_assert_uint_eq(allocated("media"), 0xffffffff + UINT64_C(1000));
	ck_assert_uint_eq(allocated("other"), 1000);
	ck_assert_uint_eq(allocated("none"), 0);
}
END_TEST

START_TEST(allocated_bytes_of_huge_shares)
{
	static const char *const ids[] = { "a", "b", "c" };

	begin(st);
	for (size_t i = 0; i < 3; i++) {
		insert_share(st, ids[i], INT64_MAX);
		insert(st, STORE_INSTANCES, instance(ids[i], ids[i], i < 2 ? "two" : "one"));
		insert(st, STORE_INSTANCES, instance(i == 0 ? "x" : i == 1 ? "y" : "z", ids[i], "three"));
	}
	commit(st, false);
	ck_assert_uint_eq(allocated("one"), INT64_MAX);
	ck_assert_uint_eq(allocated("two"), 2 * (uint64_t)INT64_MAX);
	ck_assert_uint_eq(allocated("three"), UINT64_MAX);
}
END_TEST

/* More different statements than are kept, over and over. */
START_TEST(more_statements_than_are_kept)
{
	static const char *const names[] = { "owner_uid",  "root_uid",   "root_gid",    "root_mode",
					     "size_bytes", "created_at", "share_proto", "snapshot_id" };

	begin(st);
	insert_share(st, "a", 0);
	for (int round = 1; round <= 3; round++)
		for (unsigned set = 1; set < 1u << 8; set++) {
			_cleanup_json_ json_t *fields = json_object(), *row = NULL;

			for (unsigned i = 0; i < 8; i++)
				if (set & 1u << i)
					json_object_set_new(fields, names[i],
							    i < 5 ? json_integer(round * 1000 + (int)set)
								  : json_sprintf("%u", set));
			must(store_update(st, STORE_SHARES, "a", fields, &e), &e);
			row = get(STORE_SHARES, "id", "a");
			for (unsigned i = 0; i < 8; i++)
				if (set & 1u << i)
					ck_assert(json_equal(json_object_get(row, names[i]),
							     json_object_get(fields, names[i])));
		}
	commit(st, false);
}
END_TEST

/* ---- transactions ---- */

START_TEST(rollback_takes_all_back)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:i}", "size_bytes", 9), *row = NULL;

	add_share(st, "kept", true);
	store_rollback(st);
	begin(st);
	insert_share(st, "gone", 1);
	must(store_update(st, STORE_SHARES, "kept", fields, &e), &e);
	ck_assert(has_share(st, "gone"));
	store_rollback(st);
	store_rollback(st);
	ck_assert(!has_share(st, "gone"));
	row = get(STORE_SHARES, "id", "kept");
	ck_assert_int_eq(jsonx_int(row, "size_bytes"), 1);
	add_share(st, "gone", true);
}
END_TEST

START_TEST(close_takes_an_open_one_back)
{
	add_share(st, "kept", false);
	begin(st);
	insert_share(st, "gone", 1);
	store_close(st);
	st = open_store(true);
	ck_assert(has_share(st, "kept"));
	ck_assert(!has_share(st, "gone"));
}
END_TEST

START_TEST(misuse_is_refused)
{
	_cleanup_json_ json_t *row = jsonx_pack("{s:s,s:s}", "id", "a", "name", "a");
	struct store *reader = open_store(false);

	ck_assert_int_eq(store_insert(st, STORE_SHARES, row, NULL, &e), -EINVAL);
	ck_assert_int_eq(store_update(st, STORE_SHARES, "a", row, &e), -EINVAL);
	ck_assert_int_eq(store_delete(st, STORE_SHARES, "a", &e), -EINVAL);
	ck_assert_int_eq(store_commit(st, true, &e), -EINVAL);
	begin(st);
	ck_assert_int_eq(store_begin(st, &e), -EINVAL);
	commit(st, true);
	begin(reader);
	ck_assert_int_eq(store_insert(reader, STORE_SHARES, row, NULL, &e), -EINVAL);
	commit(reader, false);
	ck_assert_int_eq(count(st, STORE_SHARES), 0);
	store_close(reader);
}
END_TEST

START_TEST(a_reader_sees_commits_only)
{
	struct store *reader = open_store(false);

	begin(st);
	insert_share(st, "a", 1);
	ck_assert(!has_share(reader, "a"));
	commit(st, false);
	ck_assert(has_share(reader, "a"));
	begin(st);
	insert_share(st, "b", 1);
	store_rollback(st);
	ck_assert(!has_share(reader, "b"));
	store_close(reader);
}
END_TEST

START_TEST(a_reader_may_hold_one_state)
{
	struct store *reader = open_store(false);

	add_share(st, "a", false);
	begin(reader);
	ck_assert_int_eq(count(reader, STORE_SHARES), 1);
	add_share(st, "b", true);
	ck_assert_int_eq(count(reader, STORE_SHARES), 1);
	store_rollback(reader);
	ck_assert_int_eq(count(reader, STORE_SHARES), 2);
	store_close(reader);
}
END_TEST

static atomic_bool written;

/* Every share has its instance, whenever one looks. */
static void *watch(void *arg)
{
	struct store *reader = arg;
	int64_t shares, instances, last = 0;
	bool end;

	do {
		end = atomic_load(&written);
		begin(reader);
		shares = count(reader, STORE_SHARES);
		instances = count(reader, STORE_INSTANCES);
		commit(reader, false);
		ck_assert_int_eq(shares, instances);
		ck_assert_int_ge(shares, last);
		last = shares;
	} while (!end);
	return (void *)(intptr_t)last;
}

START_TEST(a_reader_in_another_thread)
{
	struct store *reader = open_store(false);
	pthread_t thread;
	void *seen;

	ck_assert_int_eq(pthread_create(&thread, NULL, watch, reader), 0);
	for (int i = 0; i < 2000; i++) {
		char id[16];

		snprintf(id, sizeof id, "%d", i);
		begin(st);
		insert_share(st, id, 1);
		insert(st, STORE_INSTANCES, instance(id, id, "media"));
		if (i % 10 == 9)
			store_rollback(st);
		else
			commit(st, i % 100 == 0);
	}
	atomic_store(&written, true);
	ck_assert_int_eq(pthread_join(thread, &seen), 0);
	ck_assert_int_eq((intptr_t)seen, 1800);
	store_close(reader);
}
END_TEST

/* ---- what is dropped, what is kept ---- */

static void add_calls(int n, const char *request_prefix, const char *state, const char *ended_at)
{
	static int last;

	for (int i = 0; i < n; i++, last++) {
		json_t *row = jsonx_pack("{s:o,s:s,s:s,s:s,s:i}", "id", json_sprintf("%d", last), "method", "m",
					 "state", state, "started_at", ended_at, "uid", 1);

		if (request_prefix)
			json_object_set_new(row, "request_id", json_sprintf("%s%d", request_prefix, i));
		if (strcmp(state, "done") == 0)
			json_object_set_new(row, "ended_at", json_string(ended_at));
		insert(st, STORE_CALLS, row);
	}
}

static int64_t count_calls(const char *request_id)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "request_id", request_id);
	int64_t n;

	must(store_count(st, STORE_CALLS, where, &n, &e), &e);
	return n;
}

START_TEST(prune_calls)
{
	static const char old[] = "2020-01-01T00:00:00.000Z";
	char now[32];

	text_now(now);
	begin(st);
	add_calls(300, NULL, "done", now);
	add_calls(1, "fresh", "done", now);
	add_calls(1, "stale", "done", old);
	add_calls(1, "cut", "interrupted", old);
	add_calls(1, "intent", "intent", old);
	add_calls(1, "working", "working", old);
	add_calls(1, "post", "post_hooks", old);
	add_calls(999, NULL, "done", old);
	add_calls(1, "young-but-stale", "done", old);
	commit(st, false);
	must(store_prune(st, &e), &e);
	/* The newest 1000, and four that are older. */
	ck_assert_int_eq(count(st, STORE_CALLS), 1004);
	ck_assert_int_eq(count_calls("fresh0"), 1);
	ck_assert_int_eq(count_calls("stale0"), 0);
	ck_assert_int_eq(count_calls("cut0"), 0);
	ck_assert_int_eq(count_calls("intent0") + count_calls("working0") + count_calls("post0"), 3);
	ck_assert_int_eq(count_calls("young-but-stale0"), 1);
	must(store_prune(st, &e), &e);
	ck_assert_int_eq(count(st, STORE_CALLS), 1004);
}
END_TEST

START_TEST(prune_events)
{
	ck_assert_int_eq(store_last_event(st), 0);
	must(store_prune(st, &e), &e);
	begin(st);
	for (int i = 0; i < 10050; i++)
		insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "x"));
	commit(st, false);
	ck_assert_int_eq(store_last_event(st), 10050);
	must(store_prune(st, &e), &e);
	ck_assert_int_eq(count(st, STORE_EVENTS), 10000);
	ck_assert_str_eq(seqs(selected(STORE_EVENTS, (struct store_query){ .limit = 1 }, NULL)), "51");
	store_close(st);
	st = open_store(true);
	ck_assert_int_eq(store_last_event(st), 10050);
	begin(st);
	ck_assert_int_eq(insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "x")), 10051);
	commit(st, false);
}
END_TEST

START_TEST(prune_in_a_transaction_is_refused)
{
	begin(st);
	insert_share(st, "a", 1);
	ck_assert_int_eq(store_prune(st, &e), -EINVAL);
	commit(st, false);
	ck_assert(has_share(st, "a"));
}
END_TEST

START_TEST(ten_thousand_shares)
{
	int64_t after = 0, pages = 0, total = 0;
	double start = text_monotonic();

	for (int i = 0; i < 10000; i++) {
		char id[37];

		text_make_uuid(id);
		if (i % 1000 == 0)
			begin(st);
		insert_share(st, id, i);
		insert(st, STORE_INSTANCES, instance(id, id, "media"));
		if (i % 1000 == 999)
			commit(st, true);
	}
	printf("10,000 shares stored in %.0f ms", (text_monotonic() - start) * 1000);
	start = text_monotonic();
	for (;; pages++) {
		_cleanup_json_ json_t *rows =
			selected(STORE_SHARES, (struct store_query){ .after = after, .limit = 1000 }, NULL);
		size_t n = json_array_size(rows);

		if (n == 0)
			break;
		ck_assert_int_eq(jsonx_int(json_array_get(rows, 0), "size_bytes"), total);
		after = jsonx_int(json_array_get(rows, n - 1), "seq");
		total += (int64_t)n;
	}
	printf(", listed in %.0f ms\n", (text_monotonic() - start) * 1000);
	ck_assert_int_eq(total, 10000);
	ck_assert_int_eq(pages, 10);
	ck_assert_uint_eq(allocated("media"), UINT64_C(10000) * 9999 / 2);
}
END_TEST

/* ---- the schema ---- */

static sqlite3 *open_raw(void)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(state_file("sharesd.db"), &db), SQLITE_OK);
	return db;
}

START_TEST(columns_are_those_of_the_database)
{
	sqlite3 *db = open_raw();
	sqlite3_stmt *s;

	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT name, type, \"notnull\" FROM pragma_table_info(?) ORDER BY cid",
					    -1, &s, NULL),
			 SQLITE_OK);
	for (enum store_table t = 0; t < STORE_TABLE_COUNT; t++) {
		const struct store_schema *schema = &store_schemas[t];

		ck_assert_uint_le(schema->count, STORE_COLUMNS_MAX);
		sqlite3_bind_text(s, 1, schema->name, -1, SQLITE_STATIC);
		for (unsigned i = 0; i < schema->count; i++) {
			ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
			ck_assert_str_eq((const char *)sqlite3_column_text(s, 0), schema->columns[i].name);
			ck_assert_str_eq((const char *)sqlite3_column_text(s, 1),
					 schema->columns[i].type == STORE_INTEGER ? "INTEGER" : "TEXT");
			ck_assert_int_eq(sqlite3_column_int(s, 2), schema->columns[i].needed);
			ck_assert_uint_eq(store_column_index(t, schema->columns[i].name), i);
		}
		ck_assert_int_eq(sqlite3_step(s), SQLITE_DONE);
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
}
END_TEST

/* Queries that calls and reads ask every time: none may read a whole table. */
START_TEST(common_queries_use_an_index)
{
	static const struct {
		enum store_table table;
		const char *columns[3];
	} queries[] = {
		{ STORE_SHARES, { "id" } },
		{ STORE_SHARES, { "name" } },
		{ STORE_BACKENDS, { "name" } },
		{ STORE_INSTANCES, { "share_id" } },
		{ STORE_INSTANCES, { "backend" } },
		{ STORE_SNAPSHOTS, { "share_id", "name" } },
		{ STORE_SNAPSHOT_INSTANCES, { "snapshot_id" } },
		{ STORE_SNAPSHOT_INSTANCES, { "instance_id" } },
		{ STORE_ACCESS_RULES, { "share_id" } },
		{ STORE_ACCESS_RULES, { "share_id", "access_type", "canonical" } },
		{ STORE_ACCESS_STATES, { "access_id" } },
		{ STORE_ACCESS_STATES, { "instance_id" } },
		{ STORE_CALLS, { "uid", "request_id" } },
		{ STORE_CALLS, { "backend", "state", "ended_at" } },
		{ STORE_CALLS, { "state", "ended_at" } },
	};
	sqlite3 *db = open_raw();

	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		struct sql_key key = { .kind = SQL_SELECT, .table = queries[i].table };
		_cleanup_free_ char *text = NULL, *explain = NULL;
		sqlite3_stmt *s;
		const char *plan;

		for (size_t k = 0; k < 3 && queries[i].columns[k]; k++)
			key.set |= 1u << store_column_index(key.table, queries[i].columns[k]);
		/* Looked for where it has none. */
		if (key.table == STORE_CALLS)
			key.nulls = key.set & 1u << store_column_index(key.table, "ended_at");
		text = sql_text(&key);
		explain = xasprintf("EXPLAIN QUERY PLAN %s", text);
		ck_assert_int_eq(sqlite3_prepare_v2(db, explain, -1, &s, NULL), SQLITE_OK);
		ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
		plan = (const char *)sqlite3_column_text(s, 3);
		ck_assert_msg(strncmp(plan, "SEARCH", 6) == 0 && strstr(plan, "USING INDEX"), "%s: %s", text, plan);
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
}
END_TEST

static TCase *rows(void)
{
	TCase *c = tcase_create("rows");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, every_column_comes_back);
	tcase_add_test(c, missing_and_null_are_one);
	tcase_add_test(c, values_of_all_shapes);
	tcase_add_test(c, texts_of_all_lengths);
	tcase_add_test(c, update_sets_the_members_given);
	tcase_add_test(c, update_and_delete_of_what_is_not_there);
	tcase_add_test(c, faulty_rows_are_refused);
	tcase_add_test(c, update_by_number);
	tcase_add_test(c, update_with_the_next_transaction);
	tcase_add_test(c, update_of_what_is_gone_is_dropped);
	tcase_add_test(c, unique_keys);
	tcase_add_test(c, update_to_a_double);
	tcase_add_test(c, references_are_checked_at_the_commit);
	return c;
}

/* Its directory is removed by a test that does not end in a signal. */
static void setup_without(void)
{
	setup();
	remove_test_dir();
}

static TCase *faults(void)
{
	TCase *c = tcase_create("faults");

	tcase_add_checked_fixture(c, setup_without, NULL);
	tcase_add_test_raise_signal(c, an_unknown_column_ends_the_process, SIGABRT);
	return c;
}

static TCase *queries(void)
{
	TCase *c = tcase_create("queries");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, get_by_other_columns);
	tcase_add_test(c, select_where);
	tcase_add_test(c, select_of_a_faulty_value);
	tcase_add_test(c, pages_both_ways);
	tcase_add_test(c, count_where);
	tcase_add_test(c, allocated_bytes);
	tcase_add_test(c, allocated_bytes_of_huge_shares);
	tcase_add_test(c, more_statements_than_are_kept);
	return c;
}

static TCase *transactions(void)
{
	TCase *c = tcase_create("transactions");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, rollback_takes_all_back);
	tcase_add_test(c, close_takes_an_open_one_back);
	tcase_add_test(c, misuse_is_refused);
	tcase_add_test(c, a_reader_sees_commits_only);
	tcase_add_test(c, a_reader_may_hold_one_state);
	tcase_add_test(c, a_reader_in_another_thread);
	return c;
}

static TCase *amounts(void)
{
	TCase *c = tcase_create("amounts");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, prune_calls);
	tcase_add_test(c, prune_events);
	tcase_add_test(c, prune_in_a_transaction_is_refused);
	tcase_add_test(c, ten_thousand_shares);
	return c;
}

static TCase *schema(void)
{
	TCase *c = tcase_create("schema");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, columns_are_those_of_the_database);
	tcase_add_test(c, common_queries_use_an_index);
	return c;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { rows, faults, queries, transactions, amounts, schema };

	return run_suite("store", cases, sizeof cases / sizeof *cases);
}
