/* NFS shares from the outside: a real daemon, a real NFS-Ganesha, clients with addresses of their own. On btrfs, where
 * sizes hold, and on directories. */
#include "tests/e2e/harness.h"
#include "tests/unit/nfs_lab.h"

#define MIB  (1024.0 * 1024)
#define A_IS "10.99.1.2"
#define B_IS "10.99.2.2"

static struct fixture *f;

/* ---- a daemon with a backend that exports ---- */

/* False, and said so: this machine has no btrfs on a loop device. */
static bool make_pool(void)
{
	return shell(NULL,
		     "cd '%s' && truncate -s 512M pool.img && mkfs.btrfs -q pool.img >/dev/null 2>&1 && mkdir -p pool "
		     "&& "
		     "mount -o loop pool.img pool && btrfs quota enable pool",
		     f->dir) == 0;
}

static bool start_btrfs(const char *test_name)
{
	f = fixture_new("runtime_dir = \"@DIR@/run\"\nganesha_grace_period = 0\nexport_addresses = {\"nas\"}\n"
			"btrfs \"b\" {\n root = \"@DIR@/pool/shares\"\n export = {\"ganesha\"}\n}\n");
	(void)shell(NULL, "rm -r '%s/pool'", f->dir);
	if (!make_pool()) {
		printf("SKIP %s: no btrfs on a loop device here\n", test_name);
		ck_assert_msg(!getenv("CI"), "everything can be had in CI");
		return false;
	}
	ck_assert_int_eq(shell(NULL, "mkdir '%s/pool/shares'", f->dir), 0);
	fixture_start(f, NULL, (uid_t)-1);
	return true;
}

#define ON_DIRECTORIES                                                                                                 \
	"runtime_dir = \"@DIR@/run\"\nganesha_grace_period = 0\nexport_addresses = {\"nas\", \"fd99:1::1\"}\n"         \
	"dir \"b\" {\n root = \"@DIR@/root\"\n"

static void start_dir(void)
{
	f = fixture_new(ON_DIRECTORIES " export = {\"ganesha\"}\n}\n");
	fixture_start(f, NULL, (uid_t)-1);
}

static void setup(void)
{
	f = NULL;
}

/* What a test that failed has left is ended by the next. */
static void begin(void)
{
	lab_end_servers();
	setup();
}

static void finish(void)
{
	lab_end_servers();
	if (!f)
		return;
	(void)shell(NULL, "umount -l '%s'/run/exports/*/* '%s/pool' 2>/dev/null", f->dir, f->dir);
	fixture_free(f);
}

/* ---- what the tests do ---- */

static void make_share(const char *name, double size)
{
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:I,s:s,s:s}", "name", name, "backend", "b",
			 "size_bytes", (json_int_t)size, "share_proto", "NFS", "mode", "0777"));
}

/* The rule's id, to be freed; it is in force, or the test fails. */
static char *allow(const char *share, const char *to, const char *level)
{
	json_t *rule = call(f, "allow_access", "{s:s,s:s,s:s,s:s}", "share", share, "access_type", "ip", "access_to",
			    to, "access_level", level);
	char *id = strdup(str_at(rule, "id"));

	ck_assert_str_eq(str_at(rule, "state"), "active");
	json_decref(rule);
	return id;
}

static void deny(const char *share, const char *id)
{
	json_decref(call(f, "deny_access", "{s:s,s:s}", "share", share, "access", id));
}

static void set_level(const char *share, const char *id, const char *level)
{
	json_decref(call(f, "update_access", "{s:s,s:s,s:s}", "share", share, "access", id, "access_level", level));
}

/* Where its data are, as root of this machine sees them. */
static const char *data_of(const char *share)
{
	return fixture_path(f, "%s/%s/data", exists(fixture_path(f, "pool/shares")) ? "pool/shares" : "root", share);
}

#define AWAIT(condition)                                                                                               \
	for (double deadline_ = now() + 60; !(condition); nap(0.02))                                                   \
	ck_assert_msg(now() < deadline_, "waited in vain for " #condition)

static pid_t pid_of(const char *server)
{
	char *text = read_text(fixture_path(f, "run/ganesha/%s.pid", server));
	pid_t pid = text ? (pid_t)strtol(text, NULL, 10) : 0;

	free(text);
	return pid;
}

/* ---- a share's life ---- */

START_TEST(life_on_btrfs)
{
	struct lab_reader reader;
	char *rule, *for_b;
	uint64_t filled;

	if (!start_btrfs("life_on_btrfs"))
		return;
	make_share("photos", 8 * MIB);
	write_file(fixture_path(f, "pool/shares/photos/data/f"), "one");
	ck_assert(!can_list(A, "photos") && !can_list(B, "photos"));
	rule = allow("photos", A_IS, "ro");
	ck_assert(can_read(A, "photos", "f", "one") && !can_write(A, "photos", "g") && !can_list(B, "photos"));
	/* Another level, and another client's rules, and a reader that notices nothing. */
	reader = lab_reader_start(A, "photos", "f");
	for (int i = 0; i < 5; i++) {
		set_level("photos", rule, i % 2 ? "ro" : "rw");
		for_b = allow("photos", "10.99.2.0/24", "ro");
		ck_assert(can_list(B, "photos"));
		deny("photos", for_b);
		free(for_b);
		ck_assert(!can_list(B, "photos"));
		lab_await_reads(&reader, 2);
	}
	set_level("photos", rule, "rw");
	lab_await_reads(&reader, 2);
	ck_assert_uint_eq(lab_reader_failures(&reader), 0);
	lab_reader_stop(&reader);
	ck_assert(can_write(A, "photos", "g") && !can_list(B, "photos"));
	/* Exactly its size: what btrfs counts for itself is less than 128 KiB. */
	ck_assert_int_eq(shell(NULL, "cd '%s' && touch big more && chmod 666 big more", data_of("photos")), 0);
	filled = lab_fill(A, "photos", "big");
	ck_assert_msg(filled <= 8 * MIB && filled > 8 * MIB - 128 * 1024, "%.3f MiB", (double)filled / MIB);
	/* More room; and not less than what is in it. */
	json_decref(call(f, "extend_share", "{s:s,s:I}", "share", "photos", "size_bytes", (json_int_t)(10 * MIB)));
	filled += lab_fill(A, "photos", "more");
	ck_assert_msg(filled <= 10 * MIB && filled > 10 * MIB - 128 * 1024, "%.3f MiB", (double)filled / MIB);
	json_decref(call_error(f, "data_loss", "shrink_share", "{s:s,s:I}", "share", "photos", "size_bytes",
			       (json_int_t)(4 * MIB)));
	free(rule);
}
END_TEST

START_TEST(snapshots_on_btrfs)
{
	if (!start_btrfs("snapshots_on_btrfs"))
		return;
	make_share("photos", 32 * MIB);
	free(allow("photos", A_IS, "rw"));
	write_file(fixture_path(f, "pool/shares/photos/data/f"), "one");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "photos", "name", "s1"));
	write_file(fixture_path(f, "pool/shares/photos/data/f"), "two");
	ck_assert(can_read(A, "photos", "f", "two"));
	/* The same name and rules, the other data. */
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "photos@s1"));
	wait_share(f, "photos", "available");
	ck_assert(can_read(A, "photos", "f", "one") && can_write(A, "photos", "after") && !can_list(B, "photos"));
	ck_assert(exists(fixture_path(f, "pool/shares/photos/data/after")));
	/* A clone has no rules of its source. */
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:s,s:s,s:s}", "name", "copy", "backend", "b",
			 "snapshot", "photos@s1", "share_proto", "NFS", "mode", "0777"));
	wait_share(f, "copy", "available");
	ck_assert(!can_list(A, "copy"));
	free(allow("copy", B_IS, "ro"));
	ck_assert(can_read(B, "copy", "f", "one") && !can_list(A, "copy") && !can_list(B, "photos"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "photos@s1"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	ck_assert(!can_list(A, "photos") && can_list(B, "copy"));
	ck_assert(!exists(fixture_path(f, "pool/shares/photos")));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "copy"));
	ck_assert_int_eq(shell(NULL, "grep -qF '%s/run/exports' /proc/self/mountinfo", f->dir), 1);
}
END_TEST

START_TEST(life_on_directories)
{
	json_t *share;
	char *rule;

	start_dir();
	make_share("photos", 8 * MIB);
	share = call(f, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(share, "export_locations.0.path"), "nas:/photos");
	ck_assert_str_eq(str_at(share, "export_locations.1.path"), "[fd99:1::1]:/photos");
	json_decref(share);
	rule = allow("photos", "fd99:1::/64", "rw");
	ck_assert(can_list_six(A, "photos") && !can_list_six(B, "photos") && !can_list(A, "photos"));
	free(allow("photos", "10.99.0.0/16", "ro"));
	ck_assert(can_list(A, "photos") && can_list(B, "photos") && !can_write(B, "photos", "g"));
	deny("photos", rule);
	free(rule);
	ck_assert(!can_list_six(A, "photos") && can_list(A, "photos"));
	/* A rule that cannot be is in error, and the others go on. */
	share = call_error(f, "driver_failed", "allow_access", "{s:s,s:s,s:s,s:s,s:{s:s}}", "share", "photos",
			   "access_type", "ip", "access_to", A_IS, "access_level", "rw", "options", "squash",
			   "perhaps");
	ck_assert_ptr_nonnull(strstr(str_at(share, "message"), "squash is none of"));
	json_decref(share);
	ck_assert(can_list(A, "photos") && !can_write(A, "photos", "g"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	ck_assert(!can_list(A, "photos"));
	ck_assert_int_eq(shell(NULL, "grep -qF '%s/run/exports' /proc/self/mountinfo", f->dir), 1);
}
END_TEST

/* ---- what is killed ---- */

/* A has `open` read-only and `wide` read-write; nobody has anything else. */
static bool all_is_in_force(void)
{
	return can_read(A, "open", "f", "one") && !can_write(A, "open", "g") && can_read(A, "wide", "f", "two") &&
	       !can_list(B, "open") && !can_list(B, "wide") && !can_list(A, "closed") && !can_list(B, "closed");
}

static void make_three(void)
{
	char *rule;

	make_share("open", 8 * MIB);
	make_share("wide", 8 * MIB);
	make_share("closed", 8 * MIB);
	write_file(fixture_path(f, "%s/f", data_of("open") + strlen(f->dir) + 1), "one");
	write_file(fixture_path(f, "%s/f", data_of("wide") + strlen(f->dir) + 1), "two");
	free(allow("open", A_IS, "ro"));
	free(allow("wide", A_IS, "rw"));
	rule = allow("closed", A_IS, "rw");
	deny("closed", rule);
	free(rule);
	ck_assert(all_is_in_force());
}

/* Kills it and waits until another runs and the backend is well. */
static void kill_server(const char *server)
{
	pid_t before = pid_of(server);

	ck_assert_int_eq(kill(before, SIGKILL), 0);
	AWAIT(pid_of("ganesha") > 0 && pid_of(server) != before);
	wait_backend(f, "b", "up");
}

static void kills(void)
{
	struct lab_reader reader;
	char *rule;
	pid_t nfsd, bus;

	make_three();
	/* The daemon: its servers go on, and no client notices. */
	nfsd = pid_of("ganesha");
	bus = pid_of("dbus");
	reader = lab_reader_start(A, "open", "f");
	fixture_kill(f);
	ck_assert(all_is_in_force());
	fixture_start(f, NULL, (uid_t)-1);
	ck_assert(all_is_in_force());
	fixture_stop(f);
	ck_assert(all_is_in_force());
	fixture_start(f, NULL, (uid_t)-1);
	lab_await_reads(&reader, 5);
	ck_assert_uint_eq(lab_reader_failures(&reader), 0);
	lab_reader_stop(&reader);
	ck_assert_int_eq(pid_of("ganesha"), nfsd);
	ck_assert_int_eq(pid_of("dbus"), bus);
	/* The servers: noticed, started again, everything as it was. */
	kill_server("ganesha");
	AWAIT(all_is_in_force());
	kill_server("dbus");
	AWAIT(all_is_in_force());
	/* And rules can be changed on what runs now. */
	rule = allow("closed", B_IS, "ro");
	ck_assert(can_list(B, "closed"));
	/* All at once. */
	kill(pid_of("dbus"), SIGKILL);
	kill(pid_of("ganesha"), SIGKILL);
	fixture_kill(f);
	fixture_start(f, NULL, (uid_t)-1);
	ck_assert(can_list(B, "closed"));
	deny("closed", rule);
	free(rule);
	ck_assert(all_is_in_force());
}

/* A conf file that forgets its exporters leaves nobody's shares open behind the admin's back. */
START_TEST(without_exporter)
{
	json_t *b;

	start_dir();
	make_share("photos", 8 * MIB);
	free(allow("photos", A_IS, "ro"));
	fixture_conf(f, ON_DIRECTORIES "}\n");
	fixture_hup(f);
	AWAIT(fixture_log_has(f, "a reload cannot change backend \"b\": option `export'"));
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	b = call(f, "get_backend", "{s:s}", "backend", "b");
	ck_assert_str_eq(str_at(b, "status"), "down");
	ck_assert_ptr_nonnull(
		strstr(str_at(b, "status_reason"), "1 of its shares are exported, and `export` names no"));
	json_decref(b);
	fixture_stop(f);
	fixture_conf(f, ON_DIRECTORIES " export = {\"ganesha\"}\n}\n");
	fixture_start(f, NULL, (uid_t)-1);
	wait_backend(f, "b", "up");
	ck_assert(can_list(A, "photos") && !can_list(B, "photos"));
}
END_TEST

START_TEST(kills_on_btrfs)
{
	if (start_btrfs("kills_on_btrfs"))
		kills();
}
END_TEST

START_TEST(kills_on_directories)
{
	start_dir();
	kills();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("export_nfs");
	TCase *tc = tcase_create("nfs");
	SRunner *runner;
	int failed;

	if (!need_root("export_nfs")) {
		printf("100%%: Checks: 0, Failures: 0, Errors: 0\n");
		return EXIT_SUCCESS;
	}
	tcase_add_unchecked_fixture(tc, lab_open, lab_close);
	tcase_add_checked_fixture(tc, begin, finish);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, life_on_btrfs);
	tcase_add_test(tc, snapshots_on_btrfs);
	tcase_add_test(tc, life_on_directories);
	tcase_add_test(tc, without_exporter);
	tcase_add_test(tc, kills_on_btrfs);
	tcase_add_test(tc, kills_on_directories);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
