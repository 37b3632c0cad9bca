/* The disk of the store, or of the backend, is full: a call is done, or is refused in plain words with nothing half
 * done, or (where no room could be kept for its result) is decided when there is space again. Each has a small file
 * system of its own, filled until so many KiB are left: the rows of harness_sweep_rows.c, at each of these. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_fail.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_recorder.h"
#include "tests/e2e/harness_sweep.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576

struct tally {
	unsigned done, refused, undecided;
};

/* ---- small disks ---- */

static bool make_disk(const struct fixture *f, const char *name, unsigned mib)
{
	return shell(NULL,
		     "cd '%s' && truncate -s %uM %s.img && mkfs.ext4 -q -F -b 1024 -m 0 %s.img && mkdir -p -m 0700 %s "
		     "&& "
		     "mount -o loop %s.img %s && chmod 0700 %s",
		     f->dir, mib, name, name, name, name, name, name) == 0;
}

/* A namespace of its own, so that nothing stays mounted whatever happens. */
static void leave_namespace(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static bool have_loop(const char *test_name)
{
	if (!need_root(test_name))
		return false;
	if (access("/dev/loop-control", F_OK) == 0)
		return true;
	printf("SKIP %s: no loop devices\n", test_name);
	fflush(stdout);
	return false;
}

static void make_disks(const struct fixture *f)
{
	ck_assert_msg(make_disk(f, "state", 12) && make_disk(f, "root", 64), "no file systems on loop devices");
}

static void take_disks_away(const struct fixture *f)
{
	umount2(fixture_path(f, "state"), MNT_DETACH);
	umount2(fixture_path(f, "root"), MNT_DETACH);
}

static long left_kib(const struct fixture *f, const char *name)
{
	struct statvfs st;

	ck_assert_int_eq(statvfs(fixture_path(f, "%s", name), &st), 0);
	return (long)(st.f_bavail * st.f_frsize / 1024);
}

static void make_room(const struct fixture *f, const char *name)
{
	unlink(fixture_path(f, "%s/lost+found/fill", name));
}

/* As near as the file system's own needs let it come. */
static void fill_but(const struct fixture *f, const char *name, long kib)
{
	int fd;
	long size = 0, more;

	make_room(f, name);
	fd = open(fixture_path(f, "%s/lost+found/fill", name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_msg(fd >= 0, "cannot fill %s: %s", name, strerror(errno));
	for (int i = 0; i < 4 && (more = left_kib(f, name) - kib) > 0; i++) {
		while (more > 0 && fallocate(fd, 0, size * 1024, more * 1024) < 0)
			more /= 2;
		size += more;
	}
	close(fd);
}

/* ---- one call on a full disk ---- */

static bool is_up(const struct fixture *f)
{
	_cleanup_json_ json_t *b = call(f, "get_backend", "{s:s}", "backend", "b");

	return strcmp(str_at(b, "status"), "up") == 0;
}

static void count(struct sweep *s, const json_t *reply, struct tally *t)
{
	const char *kind, *text;

	ck_assert_msg(reply != NULL, "%s: no answer", s->where);
	if (json_object_get(reply, "result")) {
		t->done++;
		return;
	}
	kind = str_at(reply, "error.data.kind");
	text = str_at(reply, "error.message");
	ck_assert_msg(strcmp(kind, "no_space") == 0 ||
			      (strstr(text, strerror(ENOSPC)) &&
			       (strcmp(kind, "driver_failed") == 0 || strcmp(kind, "backend_down") == 0)),
		      "%s: %s, %s", s->where, kind, text);
	if (is_up(s->f))
		t->refused++;
	else
		t->undecided++;
}

/* `anew`: from a log without anything in it. */
static void try_with(struct sweep *s, const struct sweep_row *row, const char *disk, long kib, bool anew,
		     struct tally *t)
{
	_cleanup_json_ json_t *reply = NULL;

	sweep_begin(s, row, "with %ld KiB left for the %s", kib, disk);
	if (anew) {
		fixture_stop(s->f);
		fixture_start(s->f, NULL, (uid_t)-1);
		json_decref(recorder_events(s->recorder));
	}
	fill_but(s->f, disk, kib);
	reply = sweep_call(s, row);
	/* Reads go on. */
	json_decref(call(s->f, "list_shares", NULL));
	count(s, reply, t);
	make_room(s->f, disk);
	/* It would be looked at again before long: whether it is there, and how much it can take. */
	json_decref(call(s->f, "init_host", "{s:s}", "backend", "b"));
	sweep_take_events(s);
	sweep_settle(s, row, reply);
	sweep_clear(s);
}

/* ---- the backend ---- */

static void sweep_backend(size_t which, void *driver)
{
	static const long rooms[] = { 0, 1, 2, 3, 4, 6, 9, 16 };
	struct sweep s;
	struct tally t = { 0 };
	long before;

	leave_namespace();
	sweep_open(&s, driver, "log_level = \"warning\"\n");
	make_disks(s.f);
	fixture_start(s.f, NULL, (uid_t)-1);
	before = left_kib(s.f, "root");
	for (size_t i = which; i < sweep_count(); i += 2)
		for (size_t k = 0; k < sizeof rooms / sizeof *rooms; k++)
			try_with(&s, &sweep_rows[i], "root", rooms[k], false, &t);
	/* What was in the way is purged behind. */
	for (int i = 0; i < 200 && left_kib(s.f, "root") < before - 64; i++)
		nap(0.05);
	ck_assert_int_ge(left_kib(s.f, "root"), before - 64);
	printf("backend: %u done, %u refused, %u undecided\n", t.done, t.refused, t.undecided);
	fflush(stdout);
	ck_assert_uint_gt(t.refused, 0);
	fixture_stop(s.f);
	take_disks_away(s.f);
	sweep_close(&s);
}

START_TEST(test_backend)
{
	if (have_loop("test_full_disk"))
		in_halves(sweep_backend, (void *)&sweep_drivers[0]);
}
END_TEST

/* ---- the store ---- */

/* From a log that has no room yet: what a call needs is there before its driver is called, or it is refused. */
static void sweep_store(size_t which, void *driver)
{
	static const long rooms[] = { 0, 60, 150, 300, 500, 2000 };
	struct sweep s;
	struct tally t = { 0 };

	leave_namespace();
	sweep_open(&s, driver, "log_level = \"warning\"\n");
	make_disks(s.f);
	fixture_start(s.f, NULL, (uid_t)-1);
	for (size_t i = which; i < sweep_count(); i += 2)
		for (size_t k = i / 2 % 2; k < sizeof rooms / sizeof *rooms; k += 2)
			try_with(&s, &sweep_rows[i], "state", rooms[k], true, &t);
	ck_assert_uint_eq(t.undecided, 0);
	ck_assert_uint_gt(t.refused, 10);
	printf("store: %u done, %u refused\n", t.done, t.refused);
	fflush(stdout);
	fixture_stop(s.f);
	take_disks_away(s.f);
	sweep_close(&s);
}

/* Where the file system cannot keep room, each write of a call finds the disk full in its turn. */
static void sweep_store_bare(size_t which, void *driver)
{
	static const long rooms[] = { 0, 20, 40, 60, 80, 100 };
	struct preload_fail *fail;
	struct sweep s;
	struct tally t = { 0 };

	leave_namespace();
	sweep_open(&s, driver, "log_level = \"warning\"\n");
	make_disks(s.f);
	fail = fail_new(s.f);
	atomic_store(&fail->no_fallocate, 1);
	fixture_start(s.f, fail_env(), (uid_t)-1);
	for (size_t i = which; i < sweep_count(); i += 2) {
		/* The log begins anew, and grows. */
		fixture_stop(s.f);
		fixture_start(s.f, fail_env(), (uid_t)-1);
		for (size_t k = i % 2; k < sizeof rooms / sizeof *rooms; k += 2)
			try_with(&s, &sweep_rows[i], "state", rooms[k], false, &t);
	}
	printf("store without room: %u done, %u refused, %u undecided\n", t.done, t.refused, t.undecided);
	fflush(stdout);
	ck_assert_uint_gt(t.refused + t.undecided, 0);
	fixture_stop(s.f);
	take_disks_away(s.f);
	sweep_close(&s);
}

START_TEST(test_store)
{
	if (have_loop("test_full_disk"))
		in_halves(sweep_store, (void *)&sweep_drivers[0]);
}
END_TEST

START_TEST(test_store_bare)
{
	if (!is_sanitized() && have_loop("test_full_disk"))
		in_halves(sweep_store_bare, (void *)&sweep_drivers[0]);
}
END_TEST

/* true: it serves; false: it has ended. */
static bool starts(struct fixture *f)
{
	double until = now() + 60;

	while (!fixture_wait_end(f, 0)) {
		struct client *c = client_try(f);
		_cleanup_json_ json_t *reply = NULL;

		ck_assert_msg(now() < until, "it neither starts nor ends");
		if (!c) {
			nap(0.01);
			continue;
		}
		/* Answered when all that a start does is done. */
		reply = client_ask(c, "{'jsonrpc':'2.0','id':1,'method':'list_orphans'}");
		client_free(c);
		if (reply)
			return true;
	}
	return false;
}

/* On a disk that is full to the last block shares are refused at some point, and can be deleted all the same. */
START_TEST(test_delete)
{
	enum { SHARES = 60 };
	struct fixture *f;
	unsigned made = 0;

	if (!have_loop("test_full_disk"))
		return;
	leave_namespace();
	f = fixture_new("log_level = \"warning\"\ndir \"b\" { root = \"@DIR@/root\" }\n");
	make_disks(f);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "before", "size_bytes", MIB));
	fill_but(f, "state", 0);
	for (; made < SHARES; made++) {
		struct client *c = client_new(f);
		char name[16];
		_cleanup_json_ json_t *reply = NULL;

		snprintf(name, sizeof name, "s%u", made);
		reply = client_request(c, "create_share_instance",
				       jsonx_pack("{s:s,s:i}", "name", name, "size_bytes", MIB));
		client_free(c);
		if (json_object_get(reply, "result"))
			continue;
		ck_assert_str_eq(str_at(reply, "error.data.kind"), "no_space");
		break;
	}
	ck_assert_uint_lt(made, SHARES);
	check_disk(f, "on a full disk");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "before"));
	check_disk(f, "deleted on a full disk");
	make_room(f, "state");
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "after", "size_bytes", MIB));
	check_disk(f, "with room");
	printf("on a full disk %u shares were made\n", made);
	fixture_stop(f);
	/* Started on a full disk it serves what it can, or says why not; with room it is all there. */
	fill_but(f, "state", 0);
	fixture_spawn(f, NULL, (uid_t)-1);
	if (!starts(f)) {
		ck_assert(WIFEXITED(f->status) && WEXITSTATUS(f->status) != 0);
		ck_assert(fixture_log_has(f, "no space is left"));
		make_room(f, "state");
		fixture_start(f, NULL, (uid_t)-1);
	} else {
		make_room(f, "state");
	}
	wait_backend(f, "b", "up");
	check_disk(f, "after a start on a full disk");
	fixture_stop(f);
	take_disks_away(f);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("full_disk");
	TCase *tc = tcase_create("full_disk");
	SRunner *runner;
	int failed;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 200);
	tcase_add_test(tc, test_backend);
	tcase_add_test(tc, test_store);
	tcase_add_test(tc, test_store_bare);
	tcase_add_test(tc, test_delete);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
