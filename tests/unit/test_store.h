/* What the store's tests share: a directory of their own, rows with as little in them as is needed. */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/store.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char test_dir[256], state_dir[280];

static inline void make_test_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	mem_setup();
	snprintf(test_dir, sizeof test_dir, "%s/sharesd-store-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(test_dir));
	snprintf(state_dir, sizeof state_dir, "%s/state", test_dir);
}

static inline int remove_entry(const char *path, const struct stat *s, int type, struct FTW *f)
{
	(void)s;
	(void)type;
	(void)f;
	return remove(path);
}

static inline void remove_test_dir(void)
{
	nftw(test_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the state directory, until the next call. */
static inline const char *state_file(const char *name)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s", state_dir, name);
	return path;
}

static inline struct store *open_store(bool writable)
{
	struct store *st = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = store_open(state_dir, writable, &st, &e);

	ck_assert_msg(r == 0, "store_open: %d %s", r, e.message);
	return st;
}

static inline void must(int r, struct error *e)
{
	ck_assert_msg(r >= 0, "%d %s", r, e->message ? e->message : "");
}

static inline void begin(struct store *st)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	must(store_begin(st, &e), &e);
}

static inline void commit(struct store *st, bool durable)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	must(store_commit(st, durable, &e), &e);
}

/* Takes the row. */
static inline int64_t insert(struct store *st, enum store_table t, json_t *row)
{
	_cleanup_json_ json_t *mine = row;
	_cleanup_error_ struct error e = ERROR_INIT;
	int64_t seq = 0;

	must(store_insert(st, t, mine, &seq, &e), &e);
	return seq;
}

/* The id is the name too. */
static inline int64_t insert_share(struct store *st, const char *id, int64_t size)
{
	return insert(st, STORE_SHARES,
		      jsonx_pack("{s:s,s:s,s:I}", "id", id, "name", id, "size_bytes", (json_int_t)size));
}

static inline void add_share(struct store *st, const char *id, bool durable)
{
	begin(st);
	insert_share(st, id, 1);
	commit(st, durable);
}

static inline int64_t count(struct store *st, enum store_table t)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	int64_t n = -1;

	must(store_count(st, t, NULL, &n, &e), &e);
	return n;
}

static inline bool has_share(struct store *st, const char *id)
{
	_cleanup_json_ json_t *row = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = store_get(st, STORE_SHARES, "id", id, &row, &e);

	ck_assert_msg(r == 0 || (r == -ENOENT && !e.message), "%d %s", r, e.message);
	return r == 0;
}

static inline int run_suite(const char *name, TCase *(*const cases[])(void), size_t n)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < n; i++)
		suite_add_tcase(suite, cases[i]());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
