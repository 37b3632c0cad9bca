/* daemon/store: the state directory, its lock, versions, damage, a full disk, a killed process. */
#include "base/crash.h"
#include "daemon/store_schema.h"
#include "test_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

static struct error e;

static void setup(void)
{
	make_test_dir();
}

static void teardown(void)
{
	error_clear(&e);
	remove_test_dir();
}

static void refused(bool writable, int err, enum error_kind kind, const char *says)
{
	struct store *st = NULL;
	int r = store_open(state_dir, writable, &st, &e);

	ck_assert_msg(r == -err, "%d %s", r, e.message);
	ck_assert_msg(e.kind == kind, "%s", error_kind_name(e.kind));
	ck_assert_msg(strstr(e.message, says) != NULL, "%s", e.message);
	ck_assert_ptr_null(st);
}

static mode_t mode_of(const char *path)
{
	struct stat s;

	ck_assert_msg(lstat(path, &s) == 0, "%s", path);
	return s.st_mode & 07777;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void make_store(void)
{
	struct store *st = open_store(true);

	add_share(st, "first", true);
	store_close(st);
}

/* Makes or changes a database behind the store's back. */
static void raw(const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	mkdir(state_dir, 0700);
	ck_assert_int_eq(sqlite3_open(state_file("sharesd.db"), &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

static void write_file(const char *path, const void *data, size_t len)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
}

static void read_line(const char *path, char *ret, int size)
{
	FILE *f = fopen(path, "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(ret, size, f));
	fclose(f);
}

/* ---- directory and lock ---- */

START_TEST(makes_all_private)
{
	struct store *st;
	char pid[32];

	umask(0);
	st = open_store(true);
	add_share(st, "a", true);
	ck_assert_uint_eq(mode_of(state_dir), 0700);
	ck_assert_uint_eq(mode_of(state_file("sharesd.db")), 0600);
	ck_assert_uint_eq(mode_of(state_file("sharesd.db-wal")), 0600);
	ck_assert_uint_eq(mode_of(state_file("sharesd.db-shm")), 0600);
	ck_assert_uint_eq(mode_of(state_file("lock")), 0600);
	read_line(state_file("lock"), pid, sizeof pid);
	ck_assert_int_eq(strtol(pid, NULL, 10), getpid());
	store_close(st);
	ck_assert(!exists(state_file("sharesd.db-wal")));
}
END_TEST

START_TEST(keeps_what_is_there)
{
	struct store *st;

	make_store();
	ck_assert_int_eq(chmod(state_dir, 0755), 0);
	ck_assert_int_eq(chmod(state_file("sharesd.db"), 0644), 0);
	st = open_store(true);
	ck_assert(has_share(st, "first"));
	/* The directory may be any of the admin's; the database is ours. */
	ck_assert_uint_eq(mode_of(state_dir), 0755);
	ck_assert_uint_eq(mode_of(state_file("sharesd.db")), 0600);
	store_close(st);
}
END_TEST

START_TEST(directories_that_will_not_do)
{
	ck_assert_int_eq(mkdir(state_dir, 0700), 0);
	ck_assert_int_eq(chmod(state_dir, 0775), 0);
	refused(true, EPERM, ERR_PERMISSION_DENIED, "may be written by others (mode 0775)");
	ck_assert(!exists(state_file("sharesd.db")));
	ck_assert_int_eq(rmdir(state_dir), 0);
	write_file(state_dir, "x", 1);
	refused(true, ENOTDIR, ERR_INTERNAL, state_dir);
	ck_assert_int_eq(unlink(state_dir), 0);
	snprintf(state_dir, sizeof state_dir, "%s/state/deeper", test_dir);
	refused(true, ENOENT, ERR_INTERNAL, "the directory above it does not exist");
}
END_TEST

START_TEST(a_database_that_is_a_link)
{
	_cleanup_free_ char *elsewhere = xasprintf("%s/elsewhere", test_dir);

	make_store();
	ck_assert_int_eq(rename(state_file("sharesd.db"), elsewhere), 0);
	ck_assert_int_eq(symlink(elsewhere, state_file("sharesd.db")), 0);
	refused(true, EPERM, ERR_PERMISSION_DENIED, "not a regular file");
}
END_TEST

START_TEST(things_of_other_users)
{
	if (geteuid() != 0) {
		printf("SKIP things_of_other_users: needs root\n");
		return;
	}
	make_store();
	ck_assert_int_eq(chown(state_file("sharesd.db"), 12345, 0), 0);
	refused(true, EPERM, ERR_PERMISSION_DENIED, "not a regular file of uid 0");
	ck_assert_int_eq(chown(state_dir, 12345, 0), 0);
	refused(true, EPERM, ERR_PERMISSION_DENIED, "belongs to uid 12345 and sharesd runs as uid 0");
}
END_TEST

START_TEST(one_daemon_each)
{
	struct store *st = open_store(true), *reader;
	_cleanup_free_ char *pid = xasprintf("pid %d: stop it or set another state_dir", (int)getpid());

	refused(true, EBUSY, ERR_BUSY, pid);
	ck_assert_ptr_nonnull(strstr(e.message, state_dir));
	/* The failed one took nothing away. */
	refused(true, EBUSY, ERR_BUSY, pid);
	add_share(st, "a", true);
	reader = open_store(false);
	store_close(reader);
	refused(true, EBUSY, ERR_BUSY, pid);
	store_close(st);
	store_close(open_store(true));
}
END_TEST

/* What a killed daemon was just starting has a copy of its lock until it is executed. */
START_TEST(a_lock_that_a_killed_one_left)
{
	int ready[2];
	char pids[2][32];
	pid_t pid = fork();

	if (pid == 0) {
		ck_assert_int_eq(pipe(ready), 0);
		open_store(true);
		if (fork() == 0) {
			char c;

			close(ready[1]);
			/* Until our parent is gone, and a moment longer. */
			(void)!read(ready[0], &c, 1);
			nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
			_exit(0);
		}
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	snprintf(pids[0], sizeof pids[0], "%d\n", (int)pid);
	read_line(state_file("lock"), pids[1], sizeof pids[1]);
	ck_assert_str_eq(pids[0], pids[1]);
	store_close(open_store(true));
}
END_TEST

START_TEST(a_lock_of_another_process)
{
	_cleanup_free_ char *says = NULL;
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		open_store(true);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	says = xasprintf("pid %d", (int)pid);
	refused(true, EBUSY, ERR_BUSY, says);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	store_close(open_store(true));
	close(ready[0]);
	close(ready[1]);
}
END_TEST

START_TEST(a_reader_makes_nothing)
{
	struct store *st = NULL;

	ck_assert_int_lt(store_open(state_dir, false, &st, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.message, "sharesd.db"));
	ck_assert(!exists(state_dir));
	make_store();
	st = open_store(false);
	ck_assert(has_share(st, "first"));
	store_close(st);
	store_close(NULL);
}
END_TEST

/* ---- versions ---- */

START_TEST(from_version_0)
{
	struct store *st;

	raw("CREATE TABLE kept (a); INSERT INTO kept VALUES (7);");
	st = open_store(true);
	add_share(st, "a", true);
	store_close(st);
	raw("INSERT INTO kept SELECT user_version FROM pragma_user_version WHERE user_version = 3;"
	    "CREATE TABLE two_rows (n CHECK (n = 2)); INSERT INTO two_rows SELECT count(*) FROM kept;");
}
END_TEST

/* What a sharesd without exports left. */
START_TEST(from_version_1)
{
	int64_t number = 0;
	struct store *st;

	make_store();
	raw("DROP INDEX instances_by_export; ALTER TABLE instances DROP COLUMN export_number;"
	    "DROP INDEX instances_by_server; ALTER TABLE share_servers DROP COLUMN address; PRAGMA user_version = 1;");
	st = open_store(true);
	ck_assert_msg(store_free_export_number(st, &number, &e) == 0, "%s", e.message);
	ck_assert_int_eq(number, 1);
	add_share(st, "second", true);
	store_close(st);
	raw("CREATE TABLE three (n CHECK (n = 3)); INSERT INTO three SELECT user_version FROM pragma_user_version;"
	    "CREATE TABLE two (n CHECK (n = 2)); INSERT INTO two SELECT count(*) FROM shares;");
}
END_TEST

START_TEST(an_empty_file_is_a_new_one)
{
	struct store *st;

	ck_assert_int_eq(mkdir(state_dir, 0700), 0);
	write_file(state_file("sharesd.db"), "", 0);
	st = open_store(true);
	add_share(st, "a", true);
	store_close(st);
}
END_TEST

START_TEST(a_migration_that_fails_leaves_nothing)
{
	struct store *st = NULL;

	raw("CREATE TABLE events (a);");
	ck_assert_int_lt(store_open(state_dir, true, &st, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.message, "from version 0 to 1"));
	raw("CREATE TABLE one (n CHECK (n = 1)); INSERT INTO one SELECT count(*) FROM sqlite_schema WHERE name = "
	    "'events' OR name = 'shares';"
	    "CREATE TABLE none (n CHECK (n = 0)); INSERT INTO none SELECT user_version FROM pragma_user_version;");
}
END_TEST

START_TEST(a_newer_version)
{
	struct stat before, after;

	make_store();
	/* Of an SQLite newer than ours, by what it says of its tables. */
	raw("PRAGMA user_version = 99; PRAGMA writable_schema = ON;"
	    "UPDATE sqlite_schema SET sql = 'CREATE TABLE shares (FUTURE WORDS' WHERE name = 'shares';");
	ck_assert_int_eq(stat(state_file("sharesd.db"), &before), 0);
	refused(true, ENOTSUP, ERR_NOT_SUPPORTED,
		"database version 99 is newer than this sharesd knows (3): run the newer sharesd");
	refused(false, ENOTSUP, ERR_NOT_SUPPORTED, "database version 99");
	ck_assert_int_eq(stat(state_file("sharesd.db"), &after), 0);
	ck_assert(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_mtim.tv_sec == after.st_mtim.tv_sec);
}
END_TEST

START_TEST(a_version_that_cannot_be)
{
	make_store();
	raw("PRAGMA user_version = -4;");
	refused(true, EUCLEAN, ERR_INTERNAL, "it has no version");
}
END_TEST

START_TEST(a_reader_of_an_older_version)
{
	make_store();
	raw("PRAGMA user_version = 0;");
	refused(false, ENOTSUP, ERR_NOT_SUPPORTED, "start sharesd on it first");
}
END_TEST

/* ---- damage ---- */

START_TEST(a_file_that_is_no_database)
{
	static const char text[] =
		"This was once a database, before someone edited it. It is longer than a database's head, "
		"which has one hundred bytes.";

	ck_assert_int_eq(mkdir(state_dir, 0700), 0);
	write_file(state_file("sharesd.db"), text, sizeof text);
	refused(true, EUCLEAN, ERR_INTERNAL, state_file("sharesd.db"));
	ck_assert_ptr_nonnull(strstr(e.message, "restore a copy"));
	ck_assert_ptr_nonnull(strstr(e.message, "manage_share"));
	refused(false, EUCLEAN, ERR_INTERNAL, state_file("sharesd.db"));
}
END_TEST

static void spoil(off_t from, off_t to)
{
	_cleanup_close_ int fd = open(state_file("sharesd.db"), O_WRONLY);

	ck_assert_int_ge(fd, 0);
	for (off_t at = from; at < to; at += 8)
		ck_assert_int_eq(pwrite(fd, "\xa5\x5a\xff\x01\xa5\x5a\xff\x01", 8, at), 8);
}

/* Runs in a process of its own that ends by SIGKILL. */
static void killed(void (*run)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		run();
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%x", (unsigned)status);
}

static void fill_and_leave(void)
{
	struct store *st = open_store(true);

	for (int i = 0; i < 40; i++) {
		begin(st);
		for (int k = 0; k < 100; k++) {
			char id[40];

			snprintf(id, sizeof id, "share-%d-%d", i, k);
			insert_share(st, id, 1);
		}
		commit(st, false);
	}
	/* Past the length at which the log is moved into the database. */
	for (int i = 0; i < 300; i++) {
		char id[40];

		snprintf(id, sizeof id, "late-%d", i);
		add_share(st, id, false);
	}
}

START_TEST(damage_is_found_after_a_crash)
{
	struct store *st;
	struct stat s;

	killed(fill_and_leave);
	ck_assert(exists(state_file("sharesd.db-wal")));
	ck_assert_int_eq(stat(state_file("sharesd.db"), &s), 0);
	/* Whole, it opens. */
	st = open_store(true);
	ck_assert_int_eq(count(st, STORE_SHARES), 4300);
	store_close(st);
	ck_assert_int_eq(stat(state_file("sharesd.db"), &s), 0);
	ck_assert_int_gt(s.st_size, 1 << 18);
	spoil(s.st_size / 2, s.st_size);
	/* As a cut-off stop leaves it. */
	write_file(state_file("sharesd.db-wal"), "x", 1);
	refused(true, EUCLEAN, ERR_INTERNAL, "is damaged");
}
END_TEST

START_TEST(damage_is_found_on_reading)
{
	_cleanup_json_ json_t *rows = NULL;
	struct store *st;
	struct stat s;

	killed(fill_and_leave);
	store_close(open_store(true));
	ck_assert_int_eq(stat(state_file("sharesd.db"), &s), 0);
	spoil(s.st_size / 2, s.st_size);
	st = open_store(true);
	ck_assert_int_eq(store_select(st, STORE_SHARES, &(struct store_query){ 0 }, &rows, &e), -EUCLEAN);
	ck_assert_ptr_null(rows);
	ck_assert_ptr_nonnull(strstr(e.message, "restore a copy"));
	store_close(st);
}
END_TEST

/* ---- killed ---- */

static void commit_some_and_die(void)
{
	struct store *st = open_store(true);

	add_share(st, "durable", true);
	add_share(st, "light", false);
	begin(st);
	insert_share(st, "open", 1);
}

START_TEST(commits_survive_the_process)
{
	struct store *st;

	killed(commit_some_and_die);
	st = open_store(true);
	ck_assert(has_share(st, "durable"));
	ck_assert(has_share(st, "light"));
	ck_assert(!has_share(st, "open"));
	store_close(st);
}
END_TEST

static void commit_at_steps(void)
{
	struct store *st = open_store(true);

	crash_setup();
	add_share(st, "light", false);
	add_share(st, "durable", true);
	add_share(st, "later", true);
}

START_TEST(steps_stand_before_and_after_a_durable_commit)
{
	struct store *st = NULL;

	ck_assert_int_eq(setenv("SHARESD_CRASH_AT", "1", 1), 0);
	killed(commit_at_steps);
	st = open_store(true);
	ck_assert(has_share(st, "light"));
	ck_assert(!has_share(st, "durable"));
	store_close(st);
	remove_test_dir();
	ck_assert_int_eq(mkdir(test_dir, 0700), 0);
	ck_assert_int_eq(setenv("SHARESD_CRASH_AT", "2", 1), 0);
	killed(commit_at_steps);
	st = open_store(true);
	ck_assert(has_share(st, "durable"));
	ck_assert(!has_share(st, "later"));
	store_close(st);
}
END_TEST

/* ---- another program, a full disk ---- */

START_TEST(a_program_that_holds_the_database)
{
	struct store *st = open_store(true);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(state_file("sharesd.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(store_begin(st, &e), -EBUSY);
	ck_assert_int_eq(e.kind, ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.message, "another program holds"));
	ck_assert_int_eq(count(st, STORE_SHARES), 0);
	sqlite3_close(db);
	add_share(st, "a", true);
	store_close(st);
}
END_TEST

static bool mount_small(const char *test)
{
	if (geteuid() != 0) {
		printf("SKIP %s: needs root\n", test);
		return false;
	}
	ck_assert_int_eq(mkdir(state_dir, 0700), 0);
	if (mount("tmpfs", state_dir, "tmpfs", 0, "size=1m,mode=0700") < 0) {
		printf("SKIP %s: tmpfs cannot be mounted here: %s\n", test, strerror(errno));
		return false;
	}
	return true;
}

static void fill_disk(void)
{
	_cleanup_close_ int fd = open(state_file("filler"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	char block[4096] = "";

	ck_assert_int_ge(fd, 0);
	while (write(fd, block, sizeof block) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
}

/* Rows of half a megabyte at most, until one fails; in one transaction. */
static int fill_store(struct store *st, int from, size_t size)
{
	_cleanup_free_ char *text = xmalloc(size + 1);
	int r = store_begin(st, &e);

	memset(text, 'x', size);
	text[size] = '\0';
	for (int i = from; r == 0 && i < from + 1000; i++) {
		_cleanup_json_ json_t *row = jsonx_pack("{s:o,s:o,s:s}", "id", json_sprintf("%d", i), "name",
							json_sprintf("%d", i), "share_network", text);

		r = store_insert(st, STORE_SHARES, row, NULL, &e);
	}
	if (r == 0)
		r = store_commit(st, true, &e);
	else
		store_rollback(st);
	return r;
}

START_TEST(a_disk_that_gets_full)
{
	struct store *st, *reader;

	if (!mount_small("a_disk_that_gets_full"))
		return;
	st = open_store(true);
	reader = open_store(false);
	add_share(st, "before", true);
	/* Once the database is too large for the cache, and once at the commit. */
	ck_assert_int_eq(fill_store(st, 0, 100000), -ENOSPC);
	ck_assert_int_eq(e.kind, ERR_NO_SPACE);
	ck_assert_ptr_nonnull(strstr(e.message, state_file("sharesd.db")));
	ck_assert_int_eq(count(st, STORE_SHARES), 1);
	fill_disk();
	ck_assert_int_eq(fill_store(st, 5000, 500000), -ENOSPC);
	ck_assert_int_eq(e.kind, ERR_NO_SPACE);
	ck_assert(has_share(st, "before"));
	ck_assert(has_share(reader, "before"));
	ck_assert_int_eq(count(reader, STORE_SHARES), 1);
	ck_assert_int_eq(unlink(state_file("filler")), 0);
	add_share(st, "after", true);
	ck_assert(has_share(reader, "after"));
	store_close(reader);
	store_close(st);
	st = open_store(true);
	ck_assert_int_eq(count(st, STORE_SHARES), 2);
	store_close(st);
	ck_assert_int_eq(umount2(state_dir, MNT_DETACH), 0);
}
END_TEST

/* Small commits, each flushed: the log cannot be moved into a database that cannot grow. */
static int try_to_add(struct store *st, int i)
{
	_cleanup_json_ json_t *row =
		jsonx_pack("{s:o,s:o}", "id", json_sprintf("%d", i), "name", json_sprintf("%d", i));
	int r = store_begin(st, &e);

	if (r < 0)
		return r;
	if ((r = store_insert(st, STORE_SHARES, row, NULL, &e)) == 0)
		return store_commit(st, true, &e);
	store_rollback(st);
	return r;
}

START_TEST(a_disk_full_while_the_log_grows)
{
	struct store *st;
	int stored = 0;

	if (!mount_small("a_disk_full_while_the_log_grows"))
		return;
	st = open_store(true);
	while (stored < 10000 && try_to_add(st, stored) == 0)
		stored++;
	ck_assert_msg(e.kind == ERR_NO_SPACE, "%s", e.message);
	ck_assert_int_gt(stored, 10);
	ck_assert_int_eq(count(st, STORE_SHARES), stored);
	store_close(st);
	st = open_store(true);
	ck_assert_int_eq(count(st, STORE_SHARES), stored);
	store_close(st);
	ck_assert_int_eq(umount2(state_dir, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_disk_full_at_the_start)
{
	struct store *st = NULL;

	if (!mount_small("a_disk_full_at_the_start"))
		return;
	fill_disk();
	ck_assert_int_eq(store_open(state_dir, true, &st, &e), -ENOSPC);
	ck_assert_msg(e.kind == ERR_NO_SPACE, "%s", e.message);
	ck_assert_int_eq(unlink(state_file("filler")), 0);
	store_close(open_store(true));
	ck_assert_int_eq(umount2(state_dir, MNT_DETACH), 0);
}
END_TEST

static TCase *directory(void)
{
	TCase *c = tcase_create("directory");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, makes_all_private);
	tcase_add_test(c, keeps_what_is_there);
	tcase_add_test(c, directories_that_will_not_do);
	tcase_add_test(c, a_database_that_is_a_link);
	tcase_add_test(c, things_of_other_users);
	tcase_add_test(c, one_daemon_each);
	tcase_add_test(c, a_lock_of_another_process);
	tcase_add_test(c, a_lock_that_a_killed_one_left);
	tcase_add_test(c, a_reader_makes_nothing);
	return c;
}

static TCase *versions(void)
{
	TCase *c = tcase_create("versions");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, from_version_0);
	tcase_add_test(c, from_version_1);
	tcase_add_test(c, an_empty_file_is_a_new_one);
	tcase_add_test(c, a_migration_that_fails_leaves_nothing);
	tcase_add_test(c, a_newer_version);
	tcase_add_test(c, a_version_that_cannot_be);
	tcase_add_test(c, a_reader_of_an_older_version);
	return c;
}

static TCase *damage(void)
{
	TCase *c = tcase_create("damage");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_file_that_is_no_database);
	tcase_add_test(c, damage_is_found_after_a_crash);
	tcase_add_test(c, damage_is_found_on_reading);
	tcase_add_test(c, commits_survive_the_process);
	tcase_add_test(c, steps_stand_before_and_after_a_durable_commit);
	tcase_add_test(c, a_program_that_holds_the_database);
	tcase_add_test(c, a_disk_that_gets_full);
	tcase_add_test(c, a_disk_full_while_the_log_grows);
	tcase_add_test(c, a_disk_full_at_the_start);
	return c;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { directory, versions, damage };

	return run_suite("store_open", cases, sizeof cases / sizeof *cases);
}
