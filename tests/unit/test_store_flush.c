/* daemon/store: what is on the disk when a commit returns. SQLite's file system layer is watched: flushes are counted,
 * made to fail, and leave an image of the file, which is all that a power cut leaves. */
#include "test_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>

static struct error e;
static sqlite3_vfs *real_vfs, watching_vfs;
static sqlite3_io_methods db_methods, log_methods;
static int (*real_sync)(sqlite3_file *, int);
static int db_flushes, log_flushes;
static bool fail_db, fail_log, keep_images;

static void copy_file(const char *from, const char *to)
{
	_cleanup_close_ int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char block[65536];
	ssize_t n;

	ck_assert(in >= 0 && out >= 0);
	while ((n = read(in, block, sizeof block)) > 0)
		ck_assert_int_eq(write(out, block, (size_t)n), n);
}

static const char *image(const char *name)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s", test_dir, name);
	return path;
}

static void keep_image(const char *name)
{
	if (keep_images)
		copy_file(state_file(name), image(name));
}

static int sync_db(sqlite3_file *f, int flags)
{
	db_flushes++;
	if (fail_db)
		return SQLITE_IOERR_FSYNC;
	keep_image("sharesd.db");
	return real_sync(f, flags);
}

static int sync_log(sqlite3_file *f, int flags)
{
	log_flushes++;
	if (fail_log)
		return SQLITE_IOERR_FSYNC;
	keep_image("sharesd.db-wal");
	return real_sync(f, flags);
}

static int watching_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	int code = real_vfs->xOpen(real_vfs, name, f, flags, ret_flags);
	sqlite3_io_methods *m = flags & SQLITE_OPEN_MAIN_DB ? &db_methods
				: flags & SQLITE_OPEN_WAL   ? &log_methods
							    : NULL;

	(void)vfs;
	if (code != SQLITE_OK || !m)
		return code;
	real_sync = f->pMethods->xSync;
	*m = *f->pMethods;
	m->xSync = m == &db_methods ? sync_db : sync_log;
	f->pMethods = m;
	return code;
}

static void setup(void)
{
	make_test_dir();
	real_vfs = sqlite3_vfs_find(NULL);
	watching_vfs = *real_vfs;
	watching_vfs.zName = "watching";
	watching_vfs.xOpen = watching_open;
	ck_assert_int_eq(sqlite3_vfs_register(&watching_vfs, 1), SQLITE_OK);
}

static void teardown(void)
{
	error_clear(&e);
	remove_test_dir();
}

static void add_numbered(struct store *st, int i, bool durable)
{
	char id[16];

	snprintf(id, sizeof id, "%d", i);
	add_share(st, id, durable);
}

START_TEST(durable_commits_flush_once_and_others_never)
{
	struct store *st = open_store(true);
	int before;

	add_numbered(st, 0, true);
	before = log_flushes;
	for (int i = 1; i <= 10; i++)
		add_numbered(st, i, true);
	ck_assert_int_eq(log_flushes - before, 10);
	before = log_flushes;
	for (int i = 11; i <= 20; i++)
		add_numbered(st, i, false);
	ck_assert_int_eq(log_flushes - before, 0);
	begin(st);
	insert_share(st, "gone", 1);
	store_rollback(st);
	ck_assert_int_eq(log_flushes - before, 0);
	store_close(st);
}
END_TEST

/* A process that commits 0..last, every 7th durably, and has its power cut: only what was flushed is left. */
static void cut_power_after(int last)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store *st;

		keep_images = true;
		st = open_store(true);
		for (int i = 0; i <= last; i++)
			add_numbered(st, i, i % 7 == 0);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	unlink(state_file("sharesd.db-shm"));
	copy_file(image("sharesd.db"), state_file("sharesd.db"));
	copy_file(image("sharesd.db-wal"), state_file("sharesd.db-wal"));
}

START_TEST(durable_commits_survive_a_power_cut)
{
	/* With nothing after the durable one, with some after it, and around the time at which the log is moved. */
	static const int lasts[] = { 0, 7, 13, 245, 250, 300, 350, 356, 600 };
	int last = lasts[_i], found = 0;
	struct store *st;
	char id[16];

	cut_power_after(last);
	st = open_store(true);
	for (; found <= last; found++) {
		snprintf(id, sizeof id, "%d", found);
		if (!has_share(st, id))
			break;
	}
	ck_assert_int_ge(found, last - last % 7 + 1);
	/* No commit without those before it. */
	ck_assert_int_eq(count(st, STORE_SHARES), found);
	add_share(st, "new", true);
	store_close(st);
}
END_TEST

START_TEST(nothing_is_written_after_a_failed_flush)
{
	struct store *st = open_store(true);

	add_numbered(st, 0, true);
	fail_log = true;
	begin(st);
	insert_share(st, "doubtful", 1);
	ck_assert_int_eq(store_commit(st, true, &e), -EIO);
	ck_assert_int_eq(e.kind, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(e.message, "could not be flushed"));
	/* The disk seems to have come back: nobody believes it. */
	fail_log = false;
	error_clear(&e);
	ck_assert_int_eq(store_begin(st, &e), -EIO);
	ck_assert_ptr_nonnull(strstr(e.message, "restart sharesd"));
	ck_assert(has_share(st, "0"));
	db_flushes = 0;
	store_close(st);
	ck_assert_int_eq(db_flushes, 0);
	st = open_store(true);
	ck_assert(has_share(st, "0"));
	add_share(st, "new", true);
	store_close(st);
}
END_TEST

START_TEST(a_failed_flush_of_the_database)
{
	struct store *st = open_store(true);
	int i = 0;

	fail_db = true;
	db_flushes = 0;
	while (db_flushes == 0)
		add_numbered(st, i++, true);
	ck_assert_int_eq(store_begin(st, &e), -EIO);
	ck_assert_ptr_nonnull(strstr(e.message, "restart sharesd"));
	ck_assert_int_eq(count(st, STORE_SHARES), i);
	store_close(st);
	fail_db = false;
	st = open_store(true);
	ck_assert_int_eq(count(st, STORE_SHARES), i);
	add_share(st, "new", true);
	store_close(st);
}
END_TEST

/* ---- events: a seq that was told is never given to another ---- */

static int64_t add_event(struct store *st, bool durable)
{
	int64_t seq;

	begin(st);
	seq = insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "backend.up"));
	commit(st, durable);
	return seq;
}

START_TEST(events_may_be_told_when_durable)
{
	struct store *st = open_store(true);

	ck_assert_int_eq(store_durable_event(st), 0);
	ck_assert_int_eq(add_event(st, true), 1);
	ck_assert_int_eq(store_durable_event(st), 1);
	ck_assert_int_eq(add_event(st, false), 2);
	ck_assert_int_eq(store_durable_event(st), 1);
	/* The next durable commit, of whatever, takes those before it along. */
	add_share(st, "a", true);
	ck_assert_int_eq(store_durable_event(st), 2);
	/* What was taken back has no number. */
	begin(st);
	insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "backend.up"));
	store_rollback(st);
	add_share(st, "b", true);
	ck_assert_int_eq(store_durable_event(st), 2);
	ck_assert_int_eq(add_event(st, true), 3);
	/* A failed flush tells nothing. */
	begin(st);
	insert(st, STORE_EVENTS, jsonx_pack("{s:s,s:s}", "time", "t", "type", "backend.up"));
	fail_log = true;
	ck_assert_int_lt(store_commit(st, true, &e), 0);
	fail_log = false;
	ck_assert_int_eq(store_durable_event(st), 3);
	store_close(st);
}
END_TEST

/* A process that is killed leaves what its kernel has not written: the next one flushes it before it tells of it. */
START_TEST(what_a_killed_process_left_is_flushed_first)
{
	struct store *st;
	int before, status;
	pid_t pid = fork();

	if (pid == 0) {
		st = open_store(true);
		add_event(st, true);
		add_event(st, false);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	before = log_flushes;
	st = open_store(true);
	ck_assert_int_gt(log_flushes, before);
	ck_assert_int_eq(store_last_event(st), 2);
	ck_assert_int_eq(store_durable_event(st), 2);
	store_close(st);
}
END_TEST

START_TEST(no_seq_twice_after_a_power_cut)
{
	static const int lasts[] = { 1, 7, 13, 20, 60 };
	int status, told;
	struct store *st;
	pid_t pid = fork();

	if (pid == 0) {
		keep_images = true;
		st = open_store(true);
		for (int i = 0; i <= lasts[_i]; i++)
			add_event(st, i % 7 == 0);
		_exit((int)store_durable_event(st));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	told = WEXITSTATUS(status);
	ck_assert_int_eq(told, lasts[_i] - lasts[_i] % 7 + 1);
	unlink(state_file("sharesd.db-shm"));
	copy_file(image("sharesd.db"), state_file("sharesd.db"));
	copy_file(image("sharesd.db-wal"), state_file("sharesd.db-wal"));
	st = open_store(true);
	ck_assert_int_ge(store_last_event(st), told);
	ck_assert_int_gt(add_event(st, true), told);
	store_close(st);
}
END_TEST

static TCase *flush(void)
{
	TCase *c = tcase_create("flush");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, durable_commits_flush_once_and_others_never);
	tcase_add_loop_test(c, durable_commits_survive_a_power_cut, 0, 9);
	tcase_add_test(c, nothing_is_written_after_a_failed_flush);
	tcase_add_test(c, a_failed_flush_of_the_database);
	tcase_add_test(c, events_may_be_told_when_durable);
	tcase_add_test(c, what_a_killed_process_left_is_flushed_first);
	tcase_add_loop_test(c, no_seq_twice_after_a_power_cut, 0, 5);
	return c;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { flush };

	return run_suite("store_flush", cases, sizeof cases / sizeof *cases);
}
