/* The methods on real directories: who gets in, whose files they are, and what is in them. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANN = 4711, BOB = 4712 }; /* users that nobody has */
#define D "dir \"d\" { root = \"@DIR@/d\" }\n"

static json_t *create(const struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", name, "size_bytes", 10000000, "backend", "d");
}

static void allow(const struct fixture *f, const char *share, int uid)
{
	char user[16];

	snprintf(user, sizeof user, "%d", uid);
	json_decref(call(f, "allow_access", "{s:s,s:s,s:s}", "share", share, "access_type", "user", "access_to", user));
}

static void deny(const struct fixture *f, const char *share, int uid)
{
	char user[16];

	snprintf(user, sizeof user, "%d", uid);
	json_decref(call(f, "deny_access", "{s:s,s:s,s:s}", "share", share, "access_type", "user", "access_to", user));
}

/* Does this command, run in the directory, succeed for the user? */
static bool can(const struct fixture *f, int uid, const char *dir, const char *command)
{
	return shell(NULL,
		     "cd / && setpriv --reuid=%d --regid=%d --clear-groups sh -c 'cd \"$1\" && %s' sh '%s/%s' > "
		     "/dev/null 2>&1",
		     uid, uid, command, f->dir, dir) == 0;
}

static void check_owner(const struct fixture *f, const char *path, int uid, int gid, int mode)
{
	struct stat st;

	ck_assert_int_eq(lstat(fixture_path(f, "%s", path), &st), 0);
	ck_assert_msg((int)st.st_uid == uid && (int)st.st_gid == gid && (st.st_mode & 07777) == (mode_t)mode,
		      "%s is of %u:%u, mode %04o, and not of %d:%d, mode %04o", path, st.st_uid, st.st_gid,
		      st.st_mode & 07777, uid, gid, mode);
}

/* Everything that can be told of a tree, as text. */
static char *tree(const struct fixture *f, const char *path)
{
	char *out;

	ck_assert_int_eq(shell(&out,
			       "cd '%s/%s' && { find . -printf '%%P|%%y|%%m|%%U|%%G|%%l|%%n\\n'; find . -type f "
			       "-printf '%%P|%%s|%%T@\\n'; "
			       "find . -type f -exec sha256sum {} +; getfattr -dRhm user. . 2>/dev/null; getfacl -Rpnc "
			       ". ; } | LC_ALL=C sort",
			       f->dir, path),
			 0);
	return out;
}

static void check_same_tree(const char *was, const struct fixture *f, const char *path)
{
	char *is = tree(f, path);

	ck_assert_msg(strcmp(was, is) == 0, "%s is another tree; it was:\n%s\nand is:\n%s", path, was, is);
	free(is);
}

static void fill(const struct fixture *f, const char *path)
{
	ck_assert_int_eq(
		shell(NULL,
		      "cd '%s/%s' && echo one > one && mkdir -p sub/dir empty && echo two > sub/dir/two && ln one "
		      "sub/hard && "
		      "ln -s /etc/passwd absolute && ln -s nowhere dangling && mkfifo fifo && head -c 100000 "
		      "/dev/urandom > random && "
		      "truncate -s 5M sparse && printf x | dd of=sparse bs=1 seek=3000000 conv=notrunc 2>/dev/null && "
		      "echo odd > \"$(printf 'odd\\n name\\377')\" && setfattr -n user.note -v text one && "
		      "chmod 4751 random && chmod %s empty && touch -d 2001-02-03T04:05:06Z sub/dir/two",
		      f->dir, path, geteuid() == 0 ? "0" : "500"),
		0);
	if (geteuid() == 0)
		ck_assert_int_eq(
			shell(NULL,
			      "cd '%s/%s' && chown %d:%d one sub && chown -h %d dangling && setfacl -m u:%d:rx sub/dir",
			      f->dir, path, ANN, BOB, BOB, ANN),
			0);
}

/* ---- owners ---- */

START_TEST(owners)
{
	static const gid_t admins[] = { 3 };
	struct fixture *f;
	struct client *c;

	if (!need_root("owners"))
		return;
	f = fixture_new("admin_groups = {\"sys\"}\n" D
			"dir \"o\" { root = \"@DIR@/o\" default_uid = \"daemon\" default_gid = \"60\" "
			"default_mode = \"2750\" }\n");
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	check_owner(f, "d/a/data", 0, 0, 0770);
	c = client_new_groups(f, ANN, BOB, admins, 1);
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1, "backend", "d"));
	check_owner(f, "d/b/data", ANN, BOB, 0770);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s,s:i,s:i,s:s}", "name", "c", "size_bytes", 1,
				"backend", "d", "uid", BOB, "gid", ANN, "mode", "1777"));
	check_owner(f, "d/c/data", BOB, ANN, 01777);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s,s:s,s:s,s:s}", "name", "d", "size_bytes", 1,
				"backend", "d", "uid", "daemon", "gid", "games", "mode", "700"));
	check_owner(f, "d/d/data", 1, 60, 0700);
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "e", "size_bytes", 1, "backend", "o"));
	check_owner(f, "o/e/data", 1, 60, 02750);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s,s:i,s:s}", "name", "g", "size_bytes", 1,
				"backend", "o", "uid", 0, "mode", "0000"));
	check_owner(f, "o/g/data", 0, 60, 0);
	client_free(c);
	/* The gate is the daemon's. */
	check_owner(f, "d/b", 0, 0, 0700);
	fixture_free(f);
}
END_TEST

/* ---- access ---- */

START_TEST(rules_let_in)
{
	struct fixture *f;

	if (!need_root("rules_let_in"))
		return;
	f = fixture_new(D);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:i,s:i,s:s}", "name", "a", "size_bytes", 1000, "uid",
			 ANN, "gid", ANN, "mode", "0777"));
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1000, "mode", "0777"));
	/* Nobody gets in without a rule, not even the owner of what is in it. */
	ck_assert(!can(f, ANN, "d/a/data", "true"));
	ck_assert(!can(f, BOB, "d/a/data", "true"));
	allow(f, "a", ANN);
	ck_assert(can(f, ANN, "d/a/data", "echo mine > file && cat file"));
	ck_assert(!can(f, ANN, "d/a", "ls"));
	ck_assert(!can(f, ANN, "d/a", "touch beside"));
	ck_assert(!can(f, BOB, "d/a/data", "true"));
	ck_assert(!can(f, ANN, "d/b/data", "true"));
	allow(f, "a", BOB);
	allow(f, "b", BOB);
	ck_assert(can(f, BOB, "d/a/data", "cat file && echo more > other"));
	ck_assert(can(f, BOB, "d/b/data", "touch x"));
	deny(f, "a", ANN);
	ck_assert(!can(f, ANN, "d/a/data", "true"));
	ck_assert(can(f, BOB, "d/a/data", "cat file"));
	ck_assert(!can(f, ANN, "d/.sharesd", "ls"));
	/* What somebody else did to the gate is put right: when asked, and at every start. */
	ck_assert_int_eq(shell(NULL, "setfacl -b -m u:%d:rwx,o::rx %s/d/a", ANN, f->dir), 0);
	ck_assert(can(f, ANN, "d/a/data", "true"));
	json_decref(call(f, "update_access", "{s:s}", "share", "a"));
	ck_assert(!can(f, ANN, "d/a/data", "true"));
	ck_assert(can(f, BOB, "d/a/data", "true"));
	ck_assert_int_eq(shell(NULL, "setfacl -b -m o::rx %s/d/a", f->dir), 0);
	fixture_stop(f);
	ck_assert(can(f, ANN, "d/a/data", "true"));
	fixture_start(f, NULL, (uid_t)-1);
	ck_assert(!can(f, ANN, "d/a/data", "true"));
	ck_assert(can(f, BOB, "d/a/data", "true"));
	deny(f, "a", BOB);
	ck_assert(!can(f, BOB, "d/a/data", "true"));
	ck_assert(can(f, BOB, "d/b/data", "true"));
	fixture_free(f);
}
END_TEST

/* ---- snapshots ---- */

START_TEST(contents_of_snapshots)
{
	struct fixture *f = fixture_new(D);
	char location[256], *first, *second;
	json_t *j;
	bool root = geteuid() == 0;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	fill(f, "d/a/data");
	first = tree(f, "d/a/data");
	j = call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s1");
	snprintf(location, sizeof location, "d/%s/data", str_at(j, "provider_location"));
	json_decref(j);
	check_same_tree(first, f, location);
	check_same_tree(first, f, "d/a/data");
	/* The share goes on without it. */
	ck_assert_int_eq(shell(NULL,
			       "cd %s/d/a/data && rm -rf sub && echo changed > one && echo new > new && chmod 700 "
			       "empty && touch empty/x",
			       f->dir),
			 0);
	check_same_tree(first, f, location);
	second = tree(f, "d/a/data");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s2"));
	/* A share of the first has what was in it then; neither changes with the other. */
	j = call(f, "create_share_instance", "{s:s,s:s}", "name", "clone", "snapshot", "a@s1");
	ck_assert_str_eq(str_at(j, "export_locations.0.path"), fixture_path(f, "d/clone/data"));
	ck_assert_int_eq(int_at(j, "size_bytes"), 10000000);
	json_decref(j);
	check_same_tree(first, f, "d/clone/data");
	if (root)
		ck_assert(!can(f, ANN, "d/clone/data", "true"));
	ck_assert_int_eq(shell(NULL, "echo clone > %s/d/clone/data/one", f->dir), 0);
	check_same_tree(first, f, location);
	check_same_tree(second, f, "d/a/data");
	/* Back to the latest, and then to the one before. */
	if (root)
		allow(f, "a", ANN);
	ck_assert_int_eq(shell(NULL, "cd %s/d/a/data && rm -rf * && echo other > other", f->dir), 0);
	j = call(f, "revert_to_snapshot", "{s:s}", "snapshot", "a@s2");
	ck_assert_str_eq(str_at(j, "status"), "available");
	ck_assert_str_eq(str_at(j, "export_locations.0.path"), fixture_path(f, "d/a/data"));
	json_decref(j);
	check_same_tree(second, f, "d/a/data");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@s2"));
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "a@s1"));
	check_same_tree(first, f, "d/a/data");
	check_same_tree(first, f, location);
	if (root) {
		ck_assert(can(f, ANN, "d/a", "true"));
		ck_assert(!can(f, BOB, "d/a", "true"));
	}
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@s1"));
	ck_assert(!exists(fixture_path(f, "%s", location)));
	check_same_tree(first, f, "d/a/data");
	free(first);
	free(second);
	fixture_free(f);
}
END_TEST

START_TEST(deleting_takes_all)
{
	struct fixture *f = fixture_new(D);
	char *left;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	fill(f, "d/a/data");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@s"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	ck_assert(!exists(fixture_path(f, "d/a")));
	/* What was renamed away goes behind the scenes. */
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(
			shell(&left, "cd %s/d/.sharesd && ls trash snapshots staging objects | grep -v :", f->dir),
			left[0] ? 0 : 1);
		if (strspn(left, "\n") == strlen(left))
			break;
		free(left);
		left = NULL;
		nap(0.02);
	}
	ck_assert_msg(left != NULL, "something stays behind in .sharesd");
	free(left);
	/* The name is free at once. */
	json_decref(create(f, "a"));
	ck_assert_int_eq(shell(NULL, "[ -z \"$(ls -A %s/d/a/data)\" ]", f->dir), 0);
	fixture_free(f);
}
END_TEST

START_TEST(shrinking_below_what_is_used)
{
	struct fixture *f = fixture_new(D);
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	ck_assert_int_eq(shell(NULL, "head -c 3000000 /dev/urandom > %s/d/a/data/file", f->dir), 0);
	j = call_error(f, "data_loss", "shrink_share", "{s:s,s:i}", "share", "a", "size_bytes", 2000000);
	ck_assert_int_eq(int_at(j, "code"), 6);
	json_decref(j);
	j = call(f, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(j, "status"), "available");
	ck_assert_ptr_nonnull(strstr(str_at(j, "status_reason"), "fit"));
	ck_assert_int_eq(int_at(j, "size_bytes"), 10000000);
	json_decref(j);
	j = call(f, "shrink_share", "{s:s,s:i}", "share", "a", "size_bytes", 4000000);
	ck_assert_int_eq(int_at(j, "size_bytes"), 4000000);
	ck_assert(json_is_null(at(j, "status_reason")));
	json_decref(j);
	j = call(f, "extend_share", "{s:s,s:I}", "share", "a", "size_bytes", (json_int_t)1 << 30);
	ck_assert_int_eq(int_at(j, "size_bytes"), 1 << 30);
	json_decref(j);
	fixture_free(f);
}
END_TEST

START_TEST(usage_is_measured)
{
	struct fixture *f = fixture_new("dir \"d\" { root = \"@DIR@/d\" usage_interval = 0.3 }\n");
	json_t *j = NULL;
	long long used = 0;
	double until = now() + 15;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	ck_assert_int_eq(shell(NULL, "head -c 3000000 /dev/urandom > %s/d/a/data/file", f->dir), 0);
	while (used < 3000000 && now() < until) {
		nap(0.1);
		j = call(f, "get_share", "{s:s}", "share", "a");
		used = json_integer_value(at(j, "used_bytes"));
		if (used)
			ck_assert_uint_eq(strlen(str_at(j, "used_at")), 24);
		json_decref(j);
	}
	ck_assert_int_ge(used, 3000000);
	ck_assert_int_le(used, 4000000);
	fixture_free(f);
}
END_TEST

/* ---- adopting ---- */

static json_t *manage(const struct fixture *f, const char *name, const char *location, bool dry_run)
{
	return call(f, "manage_share", "{s:s,s:s,s:s,s:b}", "backend", "d", "name", name, "provider_location", location,
		    "dry_run", dry_run);
}

START_TEST(adopt_and_give_back)
{
	struct fixture *f = fixture_new(D);
	char *was, *whole;
	bool root = geteuid() == 0;
	struct stat st;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_eq(shell(NULL, "mkdir -p %s/d/old/docs && chmod 755 %s/d/old", f->dir, f->dir), 0);
	fill(f, "d/old/docs");
	if (root)
		ck_assert_int_eq(shell(NULL,
				       "cd %s/d/old && chown %d:%d docs && chmod 751 docs && setfacl -m u:%d:rwx docs",
				       f->dir, ANN, ANN, BOB),
				 0);
	was = tree(f, "d/old/docs");
	whole = tree(f, "d");
	/* Looking changes nothing. */
	j = manage(f, "docs", "old/docs", true);
	ck_assert(json_is_null(at(j, "id")));
	ck_assert_str_eq(str_at(j, "name"), "docs");
	ck_assert_int_ge(int_at(j, "size_bytes"), 100000);
	ck_assert_str_eq(str_at(j, "export_locations.0.path"), fixture_path(f, "d/old/docs"));
	json_decref(j);
	check_same_tree(whole, f, "d");
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "docs"));
	/* It stays where it is, whose it is, and as it is; others are out until a rule lets them in. */
	j = manage(f, "docs", "old//docs/./", false);
	ck_assert_str_eq(str_at(j, "status"), "available");
	ck_assert_str_eq(str_at(j, "export_locations.0.path"), fixture_path(f, "d/old/docs"));
	ck_assert_str_eq(str_at(j, "instances.0.provider_location"), "old/docs");
	ck_assert_int_ge(int_at(j, "size_bytes"), 100000);
	json_decref(j);
	if (root) {
		ck_assert_int_eq(stat(fixture_path(f, "d/old/docs"), &st), 0);
		ck_assert_uint_eq(st.st_uid, ANN);
		ck_assert(can(f, ANN, "d/old/docs", "cat one && touch new && rm new"));
		ck_assert(!can(f, BOB, "d/old/docs", "true"));
		allow(f, "docs", BOB);
		ck_assert(can(f, BOB, "d/old/docs", "touch new && rm new"));
		deny(f, "docs", BOB);
		ck_assert(!can(f, BOB, "d/old/docs", "true"));
	}
	json_decref(call_error(f, "already_exists", "manage_share", "{s:s,s:s,s:s}", "backend", "d", "name", "again",
			       "provider_location", "old/docs"));
	/* Like any other share, but for its place. */
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "docs", "name", "s"));
	ck_assert_int_eq(shell(NULL, "cd %s/d/old/docs && cp -a one two && rm -f two", f->dir), 0);
	json_decref(call_error(f, "invalid_state", "unmanage_share", "{s:s}", "share", "docs"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "docs@s"));
	json_decref(call(f, "unmanage_share", "{s:s}", "share", "docs"));
	check_same_tree(was, f, "d/old/docs");
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "docs"));
	/* And once more, over a restart, with its rules in the same step. */
	if (root) {
		json_decref(call(f, "manage_share", "{s:s,s:s,s:s,s:[{s:s,s:s}],s:{s:s},s:i}", "backend", "d", "name",
				 "docs2", "provider_location", fixture_path(f, "d/old/docs"), "access_rules",
				 "access_type", "user", "access_to", "4712", "metadata", "from", "elsewhere",
				 "size_bytes", 7000000));
		j = call(f, "list_access_rules", "{s:s}", "share", "docs2");
		ck_assert_str_eq(str_at(j, "access_rules.0.state"), "active");
		json_decref(j);
		j = call(f, "get_share", "{s:s}", "share", "docs2");
		ck_assert_int_eq(int_at(j, "size_bytes"), 7000000);
		ck_assert_str_eq(str_at(j, "metadata.from"), "elsewhere");
		json_decref(j);
		fixture_stop(f);
		fixture_start(f, NULL, (uid_t)-1);
		ck_assert(can(f, BOB, "d/old/docs", "true"));
		json_decref(call(f, "unmanage_share", "{s:s}", "share", "docs2"));
		check_same_tree(was, f, "d/old/docs");
	}
	free(was);
	free(whole);
	fixture_free(f);
}
END_TEST

/* What the daemon made can be forgotten and taken up again. */
START_TEST(forget_and_take_up)
{
	struct fixture *f = fixture_new(D);
	char *was, location[256];
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	fill(f, "d/a/data");
	was = tree(f, "d/a/data");
	j = call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s");
	snprintf(location, sizeof location, "%s", str_at(j, "provider_location"));
	json_decref(j);
	json_decref(call(f, "unmanage_snapshot", "{s:s}", "snapshot", "a@s"));
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "a@s"));
	j = call(f, "manage_snapshot", "{s:s,s:s,s:s}", "share", "a", "name", "again", "provider_location", location);
	ck_assert_str_eq(str_at(j, "status"), "available");
	ck_assert_str_eq(str_at(j, "provider_location"), location);
	json_decref(j);
	ck_assert_int_eq(shell(NULL, "rm -rf %s/d/a/data/*", f->dir), 0);
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "a@again"));
	check_same_tree(was, f, "d/a/data");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@again"));
	json_decref(call(f, "unmanage_share", "{s:s}", "share", "a"));
	check_same_tree(was, f, "d/a/data");
	json_decref(manage(f, "b", "a", false));
	check_same_tree(was, f, "d/a/data");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "b"));
	ck_assert(!exists(fixture_path(f, "d/a")));
	free(was);
	fixture_free(f);
}
END_TEST

START_TEST(places_that_cannot_be_adopted)
{
	static const struct {
		const char *location, *kind;
	} cases[] = {
		{ "", "invalid_params" },
		{ ".", "invalid_params" },
		{ "/", "invalid_params" },
		{ "..", "invalid_params" },
		{ "x/../../y", "invalid_params" },
		{ "none", "not_found" },
		{ "file", "invalid_params" },
		{ "link", "invalid_params" },
		{ "link/x", "invalid_params" },
		{ "out", "invalid_params" },
		{ "taken", "already_exists" },
		{ "taken/data", "invalid_params" },
		{ ".sharesd", "invalid_params" },
		{ ".sharesd/trash", "invalid_params" },
		{ "/etc", "invalid_params" },
		{ "old", "invalid_params" },
		{ "old/docs/sub", "invalid_params" },
	};
	struct fixture *f = fixture_new(D);
	char *whole;
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_eq(
		shell(NULL,
		      "cd %s/d && mkdir -p old/docs/sub plain/x && touch file && ln -s plain link && ln -s /etc out",
		      f->dir),
		0);
	json_decref(create(f, "taken"));
	json_decref(manage(f, "docs", "old/docs", false));
	whole = tree(f, "d");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int dry_run = 0; dry_run < 2; dry_run++) {
			struct client *c = client_new(f);
			json_t *reply = client_request(c, "manage_share",
						       json_pack("{s:s,s:s,s:s,s:b,s:s}", "backend", "d", "name", "x",
								 "provider_location", cases[i].location, "dry_run",
								 dry_run, "request_id", "same"));

			ck_assert_msg(json_object_get(reply, "error") != NULL, "\"%s\" can be managed",
				      cases[i].location);
			ck_assert_msg(strcmp(str_at(reply, "error.data.kind"), cases[i].kind) == 0, "\"%s\": %s",
				      cases[i].location, str_at(reply, "error.message"));
			ck_assert_str_eq(str_at(reply, "error.data.param"), "provider_location");
			json_decref(reply);
			client_free(c);
		}
		/* A refusal leaves nothing, neither here nor there. */
		json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "x"));
	}
	check_same_tree(whole, f, "d");
	e = call_error(f, "not_found", "manage_snapshot", "{s:s,s:s,s:s}", "share", "taken", "name", "x",
		       "provider_location", "none");
	json_decref(e);
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "taken@x"));
	free(whole);
	fixture_free(f);
}
END_TEST

/* Somebody put something where a new share would lie. */
START_TEST(places_that_are_taken)
{
	static const char *const names[] = { "directory", "file", "link", "dangling" };
	struct fixture *f = fixture_new(D);
	char *whole;

	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_eq(shell(NULL,
			       "cd %s/d && mkdir directory && echo keep > directory/it && touch file && ln -s /tmp "
			       "link && ln -s none dangling",
			       f->dir),
			 0);
	whole = tree(f, "d");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct client *c = client_new(f);
		json_t *reply =
			client_request(c, "create_share_instance",
				       json_pack("{s:s,s:i,s:s}", "name", names[i], "size_bytes", 1, "backend", "d"));

		ck_assert_msg(json_object_get(reply, "error") != NULL, "a share is made over a %s", names[i]);
		ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), names[i]));
		json_decref(reply);
		/* Whatever the daemon keeps of it, it is not what was there. */
		json_decref(client_call(c, "delete_share_instance", "{s:s,s:b}", "share", names[i], "if_present", 1));
		client_free(c);
	}
	check_same_tree(whole, f, "d");
	free(whole);
	fixture_free(f);
}
END_TEST

/* ---- what is there and not known ---- */

START_TEST(orphans)
{
	struct fixture *f = fixture_new(D "sim \"s\" { }\n");
	char id[40];
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "known"));
	fixture_stop(f);
	/* A store from before the share was made. */
	ck_assert_int_eq(shell(NULL, "cp -a %s/state %s/state.old", f->dir, f->dir), 0);
	fixture_start(f, NULL, (uid_t)-1);
	j = create(f, "lost");
	snprintf(id, sizeof id, "%s", str_at(j, "instances.0.id"));
	json_decref(j);
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "known", "name", "s"));
	j = call(f, "list_orphans", NULL);
	ck_assert_uint_eq(json_array_size(at(j, "orphans")), 0);
	json_decref(j);
	fixture_stop(f);
	ck_assert_int_eq(shell(NULL, "rm -rf %s/state && mv %s/state.old %s/state", f->dir, f->dir, f->dir), 0);
	fixture_start(f, NULL, (uid_t)-1);
	for (int i = 0; i < 2; i++) {
		j = i ? call(f, "list_orphans", "{s:s}", "backend", "d") : call(f, "list_orphans", NULL);
		ck_assert_uint_eq(json_array_size(at(j, "orphans")), 2);
		for (size_t k = 0; k < 2; k++) {
			json_t *o = json_array_get(at(j, "orphans"), k);

			ck_assert_str_eq(str_at(o, "backend"), "d");
			if (strcmp(str_at(o, "kind"), "share") == 0) {
				ck_assert_str_eq(str_at(o, "id"), id);
				ck_assert_str_eq(str_at(o, "provider_location"), "lost");
			} else {
				ck_assert_str_eq(str_at(o, "kind"), "snapshot");
				ck_assert_ptr_nonnull(strstr(str_at(o, "provider_location"), str_at(o, "id")));
			}
		}
		json_decref(j);
	}
	j = call(f, "list_orphans", "{s:i}", "limit", 1);
	ck_assert_uint_eq(json_array_size(at(j, "orphans")), 1);
	json_decref(call(f, "list_orphans", "{s:i,s:O}", "limit", 1, "after", at(j, "next")));
	json_decref(j);
	j = call(f, "list_orphans", "{s:s}", "backend", "s");
	ck_assert_uint_eq(json_array_size(at(j, "orphans")), 0);
	json_decref(j);
	/* Listed, never deleted. */
	ck_assert(exists(fixture_path(f, "d/lost/data")));
	fixture_free(f);
}
END_TEST

/* ---- a backend that goes away ---- */

static void check_down(const struct fixture *f)
{
	static const char *const calls[][2] = {
		{ "create_share_instance", "{\"name\":\"x\",\"size_bytes\":1,\"backend\":\"d\",\"request_id\":\"r\"}" },
		{ "delete_share_instance", "{\"share\":\"b\",\"request_id\":\"r\"}" },
		{ "extend_share", "{\"share\":\"a\",\"size_bytes\":20000000,\"request_id\":\"r\"}" },
		{ "create_snapshot", "{\"share\":\"a\",\"name\":\"x\",\"request_id\":\"r\"}" },
		{ "delete_snapshot", "{\"snapshot\":\"a@s\",\"request_id\":\"r\"}" },
		{ "revert_to_snapshot", "{\"snapshot\":\"a@s\",\"request_id\":\"r\"}" },
		{ "allow_access",
		  "{\"share\":\"a\",\"access_type\":\"user\",\"access_to\":\"bin\",\"request_id\":\"r\"}" },
		{ "deny_access",
		  "{\"share\":\"a\",\"access_type\":\"user\",\"access_to\":\"daemon\",\"request_id\":\"r\"}" },
		{ "update_access", "{\"share\":\"a\",\"request_id\":\"r\"}" },
		{ "manage_share",
		  "{\"backend\":\"d\",\"name\":\"x\",\"provider_location\":\"y\",\"request_id\":\"r\"}" },
		{ "unmanage_snapshot", "{\"snapshot\":\"a@s\",\"request_id\":\"r\"}" },
		{ "publish_service_capabilities", "{\"backend\":\"d\"}" },
		{ "list_orphans", "{\"backend\":\"d\"}" },
	};
	struct client *c = client_new(f);

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		json_t *reply = client_request(c, calls[i][0], json_loads(calls[i][1], 0, NULL));

		ck_assert_msg(json_object_get(reply, "error") != NULL, "%s succeeds on a backend that is gone",
			      calls[i][0]);
		ck_assert_msg(strcmp(str_at(reply, "error.data.kind"), "backend_down") == 0, "%s: %s", calls[i][0],
			      str_at(reply, "error.message"));
		ck_assert(json_is_true(at(reply, "error.data.retryable")));
		ck_assert_str_eq(str_at(reply, "error.data.backend"), "d");
		json_decref(reply);
	}
	client_free(c);
}

START_TEST(roots_go_and_come)
{
	struct fixture *f = fixture_new(D "sim \"s\" { }\n");
	json_t *before, *after;
	char *was;
	int i;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	json_decref(create(f, "b"));
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "user", "access_to", "daemon"));
	before = call(f, "get_share", "{s:s}", "share", "a");
	was = tree(f, "d");
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(rename(fixture_path(f, "d"), fixture_path(f, "away")), 0);
		if (i == 1) /* an empty mount point */
			ck_assert_int_eq(mkdir(fixture_path(f, "d"), 0755), 0);
		if (i == 2) { /* it is not there at the start */
			fixture_stop(f);
			fixture_start(f, NULL, (uid_t)-1);
		}
		check_down(f);
		after = call(f, "get_backend", "{s:s}", "backend", "d");
		ck_assert_str_eq(str_at(after, "status"), "down");
		ck_assert_ptr_nonnull(strstr(str_at(after, "status_reason"), f->dir));
		json_decref(after);
		/* Nothing was made where the root should be, and nothing forgotten. */
		if (i == 1)
			ck_assert_int_eq(rmdir(fixture_path(f, "d")), 0);
		ck_assert(!exists(fixture_path(f, "d")));
		after = call(f, "get_share", "{s:s}", "share", "a");
		ck_assert(json_equal(before, after));
		json_decref(after);
		json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name",
				 (const char *[]){ "n0", "n1", "n2" }[i], "size_bytes", 1));
		ck_assert_int_eq(rename(fixture_path(f, "away"), fixture_path(f, "d")), 0);
		wait_backend(f, "d", "up");
		check_same_tree(was, f, "d");
	}
	after = call(f, "list_access_rules", NULL);
	ck_assert_uint_eq(json_array_size(at(after, "access_rules")), 1);
	ck_assert_str_eq(str_at(after, "access_rules.0.state"), "active");
	json_decref(after);
	/* A request_id that was refused then is free now. */
	json_decref(call(f, "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 20000000, "request_id", "r"));
	json_decref(before);
	free(was);
	fixture_free(f);
}
END_TEST

START_TEST(roots_of_others)
{
	struct fixture *f = fixture_new(D "dir \"e\" { root = \"@DIR@/e\" }\n");
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "a"));
	/* Two disks that were swapped. */
	ck_assert_int_eq(shell(NULL, "cd %s && mv d x && mv e d && mv x e", f->dir), 0);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "e" : "d";

		json_decref(call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "x",
				       "size_bytes", 1, "backend", name));
		j = call(f, "get_backend", "{s:s}", "backend", name);
		ck_assert_str_eq(str_at(j, "status"), "down");
		ck_assert_ptr_nonnull(strstr(str_at(j, "status_reason"), "another backend"));
		json_decref(j);
	}
	/* By force, what does not come back is forgotten. */
	json_decref(call_error(f, "backend_down", "delete_share_instance", "{s:s}", "share", "a"));
	json_decref(call(f, "delete_share_instance", "{s:s,s:b}", "share", "a", "force", 1));
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "a"));
	ck_assert(exists(fixture_path(f, "e/a/data")));
	ck_assert_int_eq(shell(NULL, "cd %s && mv d x && mv e d && mv x e", f->dir), 0);
	wait_backend(f, "d", "up");
	wait_backend(f, "e", "up");
	/* It is an orphan now. */
	j = call(f, "list_orphans", NULL);
	ck_assert_uint_eq(json_array_size(at(j, "orphans")), 1);
	ck_assert_str_eq(str_at(j, "orphans.0.provider_location"), "a");
	json_decref(j);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("methods_dir");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, owners);
	tcase_add_test(t, rules_let_in);
	tcase_add_test(t, contents_of_snapshots);
	tcase_add_test(t, deleting_takes_all);
	tcase_add_test(t, shrinking_below_what_is_used);
	tcase_add_test(t, usage_is_measured);
	tcase_add_test(t, adopt_and_give_back);
	tcase_add_test(t, forget_and_take_up);
	tcase_add_test(t, places_that_cannot_be_adopted);
	tcase_add_test(t, places_that_are_taken);
	tcase_add_test(t, orphans);
	tcase_add_test(t, roots_go_and_come);
	tcase_add_test(t, roots_of_others);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
