/* SMB shares from the outside: a real daemon, a real smbd, and NFS-Ganesha for shares over both, with clients that have
 * addresses of their own. On btrfs, where sizes hold, and on directories. */
#include "tests/e2e/harness.h"
#include "tests/unit/nfs_lab.h"

#define MIB  (1024.0 * 1024)
#define A_IS "10.99.1.2"
#define B_IS "10.99.2.2"

/* Users that every Debian has; those of the test's passdb have the password "secret". */
#define ANN "games"
#define BEN "www-data"
#define EVE "daemon" /* is not in the passdb */

static struct fixture *f;

/* ---- a daemon with a backend that exports ---- */

#define CONF                                                                                                           \
	"runtime_dir = \"@DIR@/run\"\nsamba_passdb = \"@DIR@/passdb.tdb\"\nganesha_grace_period = 0\n"                 \
	"export_addresses = {\"nas\"}\n"

static void add_user(const char *user)
{
	ck_assert_int_eq(shell(NULL,
			       "printf 'secret\\nsecret\\n' | smbpasswd -c '%s/run/samba/smb.conf' -a -s %s >/dev/null",
			       f->dir, user),
			 0);
}

static void start(void)
{
	fixture_start(f, NULL, (uid_t)-1);
	add_user(ANN);
	add_user(BEN);
}

static void start_dir(const char *exporters)
{
	char *body;

	ck_assert_int_gt(asprintf(&body, CONF "dir \"b\" {\n root = \"@DIR@/root\"\n export = {%s}\n}\n", exporters),
			 0);
	f = fixture_new(body);
	free(body);
	start();
}

/* False, and said so: this machine has no btrfs on a loop device. */
static bool start_btrfs(const char *test_name)
{
	f = fixture_new(CONF "btrfs \"b\" {\n root = \"@DIR@/pool/shares\"\n export = {\"samba\"}\n}\n");
	(void)shell(NULL, "rm -r '%s/pool'", f->dir);
	if (shell(NULL,
		  "cd '%s' && truncate -s 512M pool.img && mkfs.btrfs -q pool.img >/dev/null 2>&1 && mkdir pool && "
		  "mount -o loop pool.img pool && btrfs quota enable pool && mkdir pool/shares",
		  f->dir) != 0) {
		printf("SKIP %s: no btrfs on a loop device here\n", test_name);
		ck_assert_msg(!getenv("CI"), "everything can be had in CI");
		return false;
	}
	start();
	return true;
}

/* What a test that failed has left is ended by the next. */
static void begin(void)
{
	lab_end_servers();
	f = NULL;
}

static void finish(void)
{
	lab_end_servers();
	(void)shell(NULL, "umount /etc/samba/smb.conf 2>/dev/null");
	if (!f)
		return;
	(void)shell(NULL, "umount -l '%s'/run/exports/*/* '%s/pool' 2>/dev/null", f->dir, f->dir);
	fixture_free(f);
}

/* ---- what the tests do ---- */

static void make_share(const char *name, const char *proto, double size)
{
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:I,s:s,s:s}", "name", name, "backend", "b",
			 "size_bytes", (json_int_t)size, "share_proto", proto, "mode", "0777"));
}

/* The rule's id, to be freed; it is in force, or the test fails. */
static char *allow(const char *share, const char *type, const char *to, const char *level)
{
	json_t *rule = call(f, "allow_access", "{s:s,s:s,s:s,s:s}", "share", share, "access_type", type, "access_to",
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

/* Does the client, as this user, get these commands done? What smbclient said is in DIR/out. */
static bool smb(int client, const char *user, const char *share, const char *commands)
{
	return lab_shell("nsenter -t %d -n timeout 60 smbclient '//10.99.%d.1/%s' -U '%s%%secret' -c '%s' "
			 ">'%s/out' 2>&1 </dev/null",
			 (int)lab_client[client], client + 1, share, user, commands, f->dir) == 0;
}

static bool sees(int client, const char *user, const char *share)
{
	return smb(client, user, share, "ls");
}

/* A file of the user's own: what another wrote is the other's. */
static bool writes(int client, const char *user, const char *share)
{
	char *commands;
	bool done;

	ck_assert_int_gt(asprintf(&commands, "put /etc/hosts of-%s", user), 0);
	done = smb(client, user, share, commands);
	free(commands);
	return done;
}

/* Is this what the file holds? */
static bool reads(int client, const char *user, const char *share, const char *file, const char *content)
{
	const char *to = fixture_path(f, "got");
	char *commands, *got;
	bool same;

	(void)unlink(to);
	ck_assert_int_gt(asprintf(&commands, "get %s %s", file, to), 0);
	(void)smb(client, user, share, commands);
	got = read_text(to);
	same = got && strcmp(got, content) == 0;
	free(commands);
	free(got);
	return same;
}

#define AWAIT(condition)                                                                                               \
	for (double deadline_ = now() + 60; !(condition); nap(0.02))                                                   \
	ck_assert_msg(now() < deadline_, "waited in vain for " #condition)

static pid_t pid_of_smbd(void)
{
	char *text = read_text(fixture_path(f, "run/samba/smbd.pid"));
	pid_t pid = text ? (pid_t)strtol(text, NULL, 10) : 0;

	free(text);
	return pid;
}

/* ---- a share's life ---- */

START_TEST(rules)
{
	json_t *share, *error;
	char *ann, *ben, *network;

	start_dir("\"samba\"");
	make_share("photos", "CIFS", 8 * MIB);
	share = call(f, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(share, "export_locations.0.path"), "\\\\nas\\photos");
	json_decref(share);
	ck_assert(!sees(A, ANN, "photos"));
	ann = allow("photos", "user", ANN, "ro");
	ck_assert(sees(A, ANN, "photos") && !writes(A, ANN, "photos") && !sees(A, BEN, "photos"));
	ben = allow("photos", "user", BEN, "rw");
	ck_assert(writes(B, BEN, "photos") && !writes(A, ANN, "photos"));
	json_decref(call(f, "update_access", "{s:s,s:s,s:s}", "share", "photos", "access", ann, "access_level", "rw"));
	ck_assert(writes(A, ANN, "photos"));
	/* One that cannot be is in error, says why, and the others go on; known to Samba, it can be. */
	error = call_error(f, "driver_failed", "allow_access", "{s:s,s:s,s:s,s:s}", "share", "photos", "access_type",
			   "user", "access_to", EVE, "access_level", "rw");
	ck_assert_ptr_nonnull(strstr(str_at(error, "message"), "smbpasswd -a " EVE));
	json_decref(error);
	ck_assert(writes(A, ANN, "photos") && writes(B, BEN, "photos") && !sees(A, EVE, "photos"));
	/* These users, from there. */
	network = allow("photos", "ip", "10.99.1.0/24", "rw");
	ck_assert(writes(A, BEN, "photos") && !sees(B, BEN, "photos"));
	deny("photos", network);
	deny("photos", ann);
	ck_assert(!sees(A, ANN, "photos") && sees(B, BEN, "photos"));
	deny("photos", ben);
	ck_assert(!sees(A, ANN, "photos") && !sees(B, BEN, "photos"));
	/* Names that are none over SMB leave nothing behind. */
	json_decref(call_error(f, "invalid_params", "create_share_instance", "{s:s,s:s,s:I,s:s}", "name", "homes",
			       "backend", "b", "size_bytes", (json_int_t)MIB, "share_proto", "CIFS"));
	json_decref(call_error(f, "already_exists", "create_share_instance", "{s:s,s:s,s:I,s:s}", "name", "PHOTOS",
			       "backend", "b", "size_bytes", (json_int_t)MIB, "share_proto", "CIFS"));
	ck_assert(!exists(fixture_path(f, "root/homes")) && !exists(fixture_path(f, "root/PHOTOS")));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	ck_assert_int_eq(shell(NULL, "[ -z \"$(net -s '%s/run/samba/smb.conf' conf listshares)\" ]", f->dir), 0);
	free(ann);
	free(ben);
	free(network);
}
END_TEST

START_TEST(life_on_btrfs)
{
	char *put;

	if (!start_btrfs("life_on_btrfs"))
		return;
	make_share("photos", "CIFS", 8 * MIB);
	free(allow("photos", "user", ANN, "rw"));
	write_file(fixture_path(f, "pool/shares/photos/data/f"), "one");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "photos", "name", "s1"));
	write_file(fixture_path(f, "pool/shares/photos/data/f"), "two");
	ck_assert(reads(A, ANN, "photos", "f", "two"));
	/* The same name and rules, the other data. */
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "photos@s1"));
	wait_share(f, "photos", "available");
	ck_assert(reads(A, ANN, "photos", "f", "one") && writes(A, ANN, "photos") && !sees(A, BEN, "photos"));
	/* Its size holds, and can grow. */
	ck_assert_int_eq(shell(NULL, "fallocate -l 9M '%s/big'", f->dir), 0);
	ck_assert_int_gt(asprintf(&put, "put %s/big big", f->dir), 0);
	ck_assert(!smb(A, ANN, "photos", put));
	json_decref(call(f, "extend_share", "{s:s,s:I}", "share", "photos", "size_bytes", (json_int_t)(24 * MIB)));
	ck_assert(smb(A, ANN, "photos", put));
	free(put);
	json_decref(call_error(f, "data_loss", "shrink_share", "{s:s,s:I}", "share", "photos", "size_bytes",
			       (json_int_t)(4 * MIB)));
	/* A clone has no rules of its source. */
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:s,s:s,s:s}", "name", "copy", "backend", "b",
			 "snapshot", "photos@s1", "share_proto", "CIFS", "mode", "0777"));
	wait_share(f, "copy", "available");
	ck_assert(!sees(A, ANN, "copy"));
	free(allow("copy", "user", BEN, "ro"));
	ck_assert(reads(B, BEN, "copy", "f", "one") && !sees(B, BEN, "photos"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "photos@s1"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	ck_assert(!sees(A, ANN, "photos") && sees(B, BEN, "copy"));
}
END_TEST

/* One share over both: addresses are for NFS, users for SMB. */
START_TEST(both)
{
	char *address;

	start_dir("\"ganesha\", \"samba\"");
	make_share("photos", "NFS_CIFS", 8 * MIB);
	write_file(fixture_path(f, "root/photos/data/f"), "one");
	ck_assert(!can_list(A, "photos") && !sees(A, ANN, "photos"));
	address = allow("photos", "ip", A_IS, "ro");
	ck_assert(can_read(A, "photos", "f", "one") && !can_list(B, "photos") && !sees(A, ANN, "photos"));
	free(allow("photos", "user", ANN, "rw"));
	ck_assert(writes(B, ANN, "photos") && !can_list(B, "photos") && !can_write(A, "photos", "g"));
	deny("photos", address);
	free(address);
	ck_assert(!can_list(A, "photos") && sees(A, ANN, "photos"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	ck_assert(!sees(A, ANN, "photos"));
}
END_TEST

/* ---- what was there before ---- */

START_TEST(adopted)
{
	json_t *error;

	start_dir("\"samba\"");
	ck_assert_int_eq(shell(NULL,
			       "cd '%s/root' && mkdir -m 755 mine theirs && echo -n one >mine/f && "
			       "printf '[global]\\n[theirs]\\npath = %s/root/theirs\\n' >'%s/smb.conf' && "
			       "mount --bind '%s/smb.conf' /etc/samba/smb.conf",
			       f->dir, f->dir, f->dir, f->dir),
			 0);
	error = call_error(f, "already_exists", "manage_share", "{s:s,s:s,s:s,s:s}", "name", "theirs", "backend", "b",
			   "provider_location", "theirs", "share_proto", "CIFS");
	ck_assert_ptr_nonnull(strstr(str_at(error, "message"), "[theirs]"));
	json_decref(error);
	json_decref(call(f, "manage_share", "{s:s,s:s,s:s,s:s,s:[{s:s,s:s,s:s}]}", "name", "mine", "backend", "b",
			 "provider_location", "mine", "share_proto", "CIFS", "access_rules", "access_type", "user",
			 "access_to", ANN, "access_level", "ro"));
	wait_share(f, "mine", "available");
	ck_assert(reads(A, ANN, "mine", "f", "one") && !writes(A, ANN, "mine") && !sees(A, BEN, "mine"));
	ck_assert_int_eq(shell(NULL, "[ \"$(stat -c %%a '%s/root/mine')\" = 755 ]", f->dir), 0);
	json_decref(call(f, "unmanage_share", "{s:s}", "share", "mine"));
	ck_assert(!sees(A, ANN, "mine") && exists(fixture_path(f, "root/mine/f")));
}
END_TEST

/* ---- what is killed ---- */

/* ANN reads `open` and writes to `wide`; nobody has anything else. */
static bool all_is_in_force(void)
{
	return reads(A, ANN, "open", "f", "one") && !writes(A, ANN, "open") && writes(A, ANN, "wide") &&
	       !sees(A, BEN, "open") && !sees(B, BEN, "wide") && !sees(A, ANN, "closed") && !sees(A, BEN, "closed");
}

static void kill_smbd(void)
{
	pid_t before = pid_of_smbd();

	ck_assert_int_eq(kill(before, SIGKILL), 0);
	AWAIT(pid_of_smbd() > 0 && pid_of_smbd() != before);
	wait_backend(f, "b", "up");
}

START_TEST(kills)
{
	char *rule;
	pid_t smbd;

	start_dir("\"samba\"");
	make_share("open", "CIFS", 8 * MIB);
	make_share("wide", "CIFS", 8 * MIB);
	make_share("closed", "CIFS", 8 * MIB);
	write_file(fixture_path(f, "root/open/data/f"), "one");
	free(allow("open", "user", ANN, "ro"));
	free(allow("wide", "user", ANN, "rw"));
	rule = allow("closed", "user", ANN, "rw");
	deny("closed", rule);
	free(rule);
	ck_assert(all_is_in_force());
	/* The daemon: its server goes on. */
	smbd = pid_of_smbd();
	fixture_kill(f);
	ck_assert(all_is_in_force());
	fixture_start(f, NULL, (uid_t)-1);
	ck_assert(all_is_in_force());
	fixture_stop(f);
	ck_assert(all_is_in_force());
	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_eq(pid_of_smbd(), smbd);
	/* The server: noticed, started again, everything as it was, and open to changes. */
	kill_smbd();
	AWAIT(all_is_in_force());
	rule = allow("closed", "user", BEN, "ro");
	ck_assert(sees(B, BEN, "closed"));
	/* Both at once. */
	kill(pid_of_smbd(), SIGKILL);
	fixture_kill(f);
	fixture_start(f, NULL, (uid_t)-1);
	AWAIT(sees(B, BEN, "closed"));
	deny("closed", rule);
	free(rule);
	ck_assert(all_is_in_force());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("export_smb");
	TCase *tc = tcase_create("smb");
	SRunner *runner;
	int failed;

	if (!need_root("export_smb")) {
		printf("100%%: Checks: 0, Failures: 0, Errors: 0\n");
		return EXIT_SUCCESS;
	}
	tcase_add_unchecked_fixture(tc, lab_open, lab_close);
	tcase_add_checked_fixture(tc, begin, finish);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, rules);
	tcase_add_test(tc, life_on_btrfs);
	tcase_add_test(tc, both);
	tcase_add_test(tc, adopted);
	tcase_add_test(tc, kills);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
