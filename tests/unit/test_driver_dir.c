/* drivers/dir: whose root it is; making, finding, resizing and removing shares. */
#include "tests/unit/test_driver_dir.h"

#include <sys/mount.h>

/* ---- the root ---- */

static struct backend second_backend(const char *name, const char *id, const char *root)
{
	return backend_new("dir", name, id, text("root = \"%s\"", root));
}

START_TEST(marks_its_root)
{
	_cleanup_json_ json_t *mark = NULL;
	const char *written = read_text(in_root(".sharesd/backend"));

	ck_assert_int_eq(jsonx_parse(written, strlen(written), 4, &mark, NULL), 0);
	ck_assert_str_eq(jsonx_str(mark, "backend_id"), BACKEND_1);
	ck_assert_str_eq(jsonx_str(mark, "name"), "d");
	ck_assert_uint_eq(stat_of(in_root(".sharesd")).st_mode & 07777, 0700);
	/* Again, with and without leave to mark. */
	DO(&b, do_setup, .id = CALL_1, .root_is_empty = false);
	DO(&b, do_setup, .id = CALL_1, .root_is_empty = true);
	nothing_is_left();
}
END_TEST

START_TEST(a_missing_mark_is_not_made_anew)
{
	struct driver_share s = share_named(SHARE_1, "one");

	make_share(SHARE_1, "one");
	ck_assert_int_eq(unlink(in_root(".sharesd/backend")), 0);
	FAILS(&b, ERR_BACKEND_DOWN, do_setup, .id = CALL_1, .root_is_empty = false);
	ck_assert(!exists(in_root(".sharesd/backend")));
	FAILS(&b, ERR_BACKEND_DOWN, delete_share, .id = CALL_1, .share = &s);
	FAILS(&b, ERR_BACKEND_DOWN, get_share_stats, .id = CALL_1);
	FAILS(&b, ERR_BACKEND_DOWN, get_share_status, .id = CALL_1, .share = &s);
	ck_assert(exists(in_root("one/data")));
}
END_TEST

START_TEST(another_disk_is_not_taken)
{
	struct driver_share s = share_named(SHARE_1, "one");

	make_share(SHARE_1, "one");
	/* The disk is unplugged: its mount point is there and empty. */
	ck_assert_int_eq(rename(in_root(""), text("%s/away", dir)), 0);
	FAILS(&b, ERR_BACKEND_DOWN, ensure_shares, .id = CALL_1, .shares = &s, .n_shares = 1);
	ck_assert_int_eq(mkdir(in_root(""), 0755), 0);
	FAILS(&b, ERR_BACKEND_DOWN, ensure_shares, .id = CALL_1, .shares = &s, .n_shares = 1);
	FAILS(&b, ERR_BACKEND_DOWN, do_setup, .id = CALL_1, .root_is_empty = false);
	FAILS(&b, ERR_BACKEND_DOWN, delete_share, .id = CALL_1, .share = &s);
	ck_assert_uint_eq(count_entries(in_root("")), 0);
	/* And plugged in again. */
	ck_assert_int_eq(rmdir(in_root("")), 0);
	ck_assert_int_eq(rename(text("%s/away", dir), in_root("")), 0);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_1);
}
END_TEST

START_TEST(a_foreign_root_is_refused)
{
	struct backend other = second_backend("other", BACKEND_2, in_root(""));
	struct driver_share s = share_named(SHARE_2, "two");
	struct outcome o = RUN(&other, do_setup, .id = CALL_1, .root_is_empty = true);

	ck_assert_int_eq(o.e.kind, ERR_BACKEND_DOWN);
	ck_assert_ptr_nonnull(strstr(o.e.message, "\"d\""));
	outcome_clear(&o);
	FAILS(&other, ERR_BACKEND_DOWN, create_share, .id = CALL_1, .share = &s);
	ck_assert(!exists(in_root("two")));
	ck_assert_ptr_nonnull(strstr(read_text(in_root(".sharesd/backend")), BACKEND_1));
	backend_free(&other);
}
END_TEST

START_TEST(remains_without_a_mark_are_refused)
{
	struct backend other = second_backend("other", BACKEND_2, in_root(""));

	ck_assert_int_eq(mkdir(in_root(".sharesd/snapshots/x"), 0700), 0);
	ck_assert_int_eq(unlink(in_root(".sharesd/backend")), 0);
	FAILS(&other, ERR_BACKEND_DOWN, do_setup, .id = CALL_1, .root_is_empty = true);
	ck_assert(!exists(in_root(".sharesd/backend")));
	/* A setup that was cut off before its mark is another matter. */
	ck_assert_int_eq(rmdir(in_root(".sharesd/snapshots/x")), 0);
	ck_assert_int_eq(rmdir(in_root(".sharesd/snapshots")), 0);
	DO(&other, do_setup, .id = CALL_1, .root_is_empty = true);
	backend_free(&other);
}
END_TEST

static const char *const bad_marks[] = { "", "{", "[]", "{\"backend_id\":1}", "null", "{\"version\":1}" };

START_TEST(damaged_marks)
{
	write_text(in_root(".sharesd/backend"), bad_marks[_i]);
	FAILS(&b, ERR_BACKEND_DOWN, do_setup, .id = CALL_1, .root_is_empty = true);
	ck_assert_str_eq(read_text(in_root(".sharesd/backend")), bad_marks[_i]);
}
END_TEST

START_TEST(forged_private_directories)
{
	if (skip_unless_root("forged_private_directories"))
		return;
	ck_assert_int_eq(chown(in_root(".sharesd"), NOBODY, NOBODY), 0);
	FAILS(&b, ERR_BACKEND_DOWN, get_share_stats, .id = CALL_1);
	ck_assert_int_eq(chown(in_root(".sharesd"), 0, 0), 0);
	ck_assert_int_eq(chmod(in_root(".sharesd"), 0777), 0);
	FAILS(&b, ERR_BACKEND_DOWN, do_setup, .id = CALL_1, .root_is_empty = true);
	ck_assert_int_eq(chmod(in_root(".sharesd"), 0700), 0);
	ck_assert_int_eq(rename(in_root(".sharesd"), text("%s/moved", dir)), 0);
	ck_assert_int_eq(symlink(text("%s/moved", dir), in_root(".sharesd")), 0);
	FAILS(&b, ERR_BACKEND_DOWN, get_share_stats, .id = CALL_1);
}
END_TEST

START_TEST(unfit_roots)
{
	struct backend missing = second_backend("m", BACKEND_2, text("%s/none", dir));
	struct backend file = second_backend("f", BACKEND_2, text("%s/file", dir));
	struct outcome o = RUN(&missing, do_setup, .id = CALL_1, .root_is_empty = true);

	ck_assert_int_eq(o.e.kind, ERR_BACKEND_DOWN);
	ck_assert_ptr_nonnull(strstr(o.e.message, text("%s/none", dir)));
	outcome_clear(&o);
	write_text(text("%s/file", dir), "");
	FAILS(&file, ERR_BACKEND_DOWN, do_setup, .id = CALL_1, .root_is_empty = true);
	backend_free(&missing);
	backend_free(&file);
}
END_TEST

START_TEST(needs_acls)
{
	const char *path = text("%s/ramfs", dir);
	struct backend other = second_backend("other", BACKEND_2, path);
	struct outcome o;

	if (skip_unless_root("needs_acls")) {
		backend_free(&other);
		return;
	}
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(mount("none", path, "ramfs", 0, NULL), 0);
	DO(&other, do_setup, .id = CALL_1, .root_is_empty = true);
	o = RUN(&other, check_for_setup_error, .id = CALL_1);
	umount2(path, MNT_DETACH);
	ck_assert_int_eq(o.e.kind, ERR_BACKEND_DOWN);
	ck_assert_ptr_nonnull(strstr(o.e.message, "ACL"));
	outcome_clear(&o);
	backend_free(&other);
}
END_TEST

START_TEST(needs_a_writable_root)
{
	const char *path = text("%s/ro", dir);
	struct backend other = second_backend("other", BACKEND_2, path);
	struct outcome o;

	if (skip_unless_root("needs_a_writable_root")) {
		backend_free(&other);
		return;
	}
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(mount("none", path, "tmpfs", 0, NULL), 0);
	DO(&other, do_setup, .id = CALL_1, .root_is_empty = true);
	ck_assert_int_eq(mount("none", path, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	o = RUN(&other, check_for_setup_error, .id = CALL_1);
	umount2(path, MNT_DETACH);
	ck_assert_int_eq(o.e.kind, ERR_BACKEND_DOWN);
	ck_assert_ptr_nonnull(strstr(o.e.message, "read-only"));
	outcome_clear(&o);
	backend_free(&other);
}
END_TEST

START_TEST(reports_stats)
{
	struct outcome o = WELL(&b, get_share_stats, .id = CALL_1);

	ck_assert_int_gt(jsonx_int(o.values, "total_bytes"), 0);
	ck_assert_int_ge(jsonx_int(o.values, "total_bytes"), jsonx_int(o.values, "free_bytes"));
	ck_assert(json_is_false(json_object_get(o.values, "size_enforced")));
	ck_assert_str_eq(jsonx_str(o.values, "replication_type"), "readable");
	ck_assert(json_is_boolean(json_object_get(o.values, "reflink")));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(o.values, "share_protos"), 0)), "LOCAL");
	outcome_clear(&o);
}
END_TEST

/* ---- shares ---- */

START_TEST(creates)
{
	struct driver_share s = share_named(SHARE_1, "one");
	struct stat gate, data;

	no_user_xattrs = _i;
	s.mode = 02751;
	if (geteuid() == 0) {
		s.uid = 4242;
		s.gid = 4343;
	}
	/* A root with a default ACL must not open the gates. */
	shell("setfacl -d -m u:4242:rwx,o::rwx '%s'", in_root(""));
	for (int i = 0; i < 2; i++) {
		struct outcome o = WELL(&b, create_share, .id = CALL_1, .share = &s);

		ck_assert_str_eq(jsonx_str(o.values, "provider_location"), "one");
		ck_assert_str_eq(jsonx_str(json_array_get(json_object_get(o.values, "export_locations"), 0), "path"),
				 in_root("one/data"));
		outcome_clear(&o);
	}
	gate = stat_of(in_root("one"));
	data = stat_of(in_root("one/data"));
	ck_assert_uint_eq(gate.st_mode & 07777, 0700);
	ck_assert_uint_eq(gate.st_uid, geteuid());
	ck_assert_uint_eq(data.st_mode & 07777, 02751);
	ck_assert_uint_eq(data.st_uid, s.uid);
	ck_assert_uint_eq(data.st_gid, s.gid);
	ck_assert_int_lt(lgetxattr(in_root("one"), "system.posix_acl_access", NULL, 0), 0);
	ck_assert_int_lt(lgetxattr(in_root("one/data"), "system.posix_acl_default", NULL, 0), 0);
	ck_assert_int_eq(exists(in_root(".sharesd/objects/" SHARE_1)), _i);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_1);
	nothing_is_left();
}
END_TEST

START_TEST(creates_over_the_remains_of_a_first_try)
{
	struct driver_share s = share_named(SHARE_1, "one");

	no_user_xattrs = _i;
	shell("mkdir -p '%s' && touch '%s'", in_root(".sharesd/staging/" SHARE_1 "/data/x"),
	      in_root(".sharesd/staging/" SHARE_1 "/data/x/y"));
	ck_assert_str_eq(status_of(&s, NULL), "absent -");
	DO(&b, create_share, .id = CALL_1, .share = &s);
	ck_assert_uint_eq(count_entries(in_root("one/data")), 0);
	nothing_is_left();
}
END_TEST

START_TEST(takes_no_name_that_is_there)
{
	struct driver_share s = share_named(SHARE_1, "one"), t = share_named(SHARE_2, "one");

	no_user_xattrs = _i;
	ck_assert_int_eq(mkdir(in_root("one"), 0755), 0);
	FAILS(&b, ERR_ALREADY_EXISTS, create_share, .id = CALL_1, .share = &s);
	ck_assert_int_eq(rmdir(in_root("one")), 0);
	ck_assert_int_eq(symlink("/tmp", in_root("one")), 0);
	FAILS(&b, ERR_ALREADY_EXISTS, create_share, .id = CALL_1, .share = &s);
	ck_assert_int_eq(unlink(in_root("one")), 0);
	make_share(SHARE_1, "one");
	FAILS(&b, ERR_ALREADY_EXISTS, create_share, .id = CALL_1, .share = &t);
	ck_assert_str_eq(status_of(&t, NULL), "absent -");
	nothing_is_left();
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), (size_t)_i);
}
END_TEST

START_TEST(deletes)
{
	struct driver_share s = share_at(SHARE_1, "one", "one");

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	shell("mkdir -p '%s' && touch '%s'", in_root("one/data/d"), in_root("one/data/d/f"));
	for (int i = 0; i < 2; i++) {
		struct outcome o = WELL(&b, delete_share, .id = CALL_2, .share = &s);

		ck_assert_int_eq(o.purged, i == 0);
		outcome_clear(&o);
		ck_assert(!exists(in_root("one")));
		ck_assert_str_eq(status_of(&s, NULL), "absent -");
	}
	nothing_is_left();
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), 0);
}
END_TEST

START_TEST(deletes_nothing_of_others)
{
	struct driver_share s = share_at(SHARE_1, "one", "one"), unmade = share_named(SHARE_2, "one");

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	make_share(SHARE_2, "two");
	/* Created by nobody, but the name is there. */
	DO(&b, delete_share, .id = CALL_2, .share = &(struct driver_share){ .id = CALL_3, .name = "one" });
	ck_assert(exists(in_root("one/data")));
	/* Somebody swapped the two. */
	ck_assert_int_eq(renameat2(AT_FDCWD, in_root("one"), AT_FDCWD, in_root("two"), RENAME_EXCHANGE), 0);
	FAILS(&b, ERR_INVALID_STATE, delete_share, .id = CALL_2, .share = &s);
	ck_assert_str_eq(status_of(&s, NULL), "error -");
	ck_assert(exists(in_root("one/data")));
	ck_assert(exists(in_root("two/data")));
	unmade.name = "three";
	unmade.id = SNAP_1;
	DO(&b, delete_share, .id = CALL_2, .share = &unmade);
}
END_TEST

START_TEST(a_planted_link_leads_nowhere)
{
	struct driver_share s = share_at(SHARE_1, "one", "one");
	struct driver_rule rule = rule_for("r", "nobody");
	struct driver_rules rules = { .all = &rule, .n_all = 1 };
	const char *victim = text("%s/victim", dir);

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	shell("mkdir -p '%s/data' && touch '%s/data/precious'", victim, victim);
	/* The gate's mark on what the link leads to makes no difference. */
	shell("rm -r '%s' && ln -s '%s' '%s'", in_root("one"), victim, in_root("one"));
	(void)setxattr(victim, "user.sharesd",
		       "{\"version\":1,\"kind\":\"share\",\"id\":\"" SHARE_1
		       "\",\"state\":\"available\",\"backend_id\":\"" BACKEND_1 "\"}",
		       strlen("{\"version\":1,\"kind\":\"share\",\"id\":\"" SHARE_1
			      "\",\"state\":\"available\",\"backend_id\":\"" BACKEND_1 "\"}"),
		       0);
	struct outcome o = RUN(&b, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	ck_assert_int_lt(o.r, 0);
	outcome_clear(&o);
	o = RUN(&b, extend_share, .id = CALL_1, .share = &s, .new_size_bytes = 2 * GIB);
	ck_assert_int_lt(o.r, 0);
	outcome_clear(&o);
	o = RUN(&b, delete_share, .id = CALL_1, .share = &s);
	outcome_clear(&o);
	ck_assert(exists(text("%s/data/precious", victim)));
	ck_assert_uint_eq(stat_of(victim).st_mode & 07777, 0755);
}
END_TEST

START_TEST(a_forged_gate_is_nobodys)
{
	static const char mark[] =
		"{\"version\":1,\"kind\":\"share\",\"id\":\"" SHARE_1
		"\",\"state\":\"available\",\"backend_id\":\"" BACKEND_1 "\",\"call_id\":\"" CALL_1 "\"}";
	struct driver_share s = share_at(SHARE_1, "one", "one");

	if (skip_unless_root("a_forged_gate_is_nobodys"))
		return;
	shell("mkdir -p '%s' && chown %d '%s'", in_root("one/data"), NOBODY, in_root("one"));
	ck_assert_int_eq(setxattr(in_root("one"), "user.sharesd", mark, strlen(mark), 0), 0);
	ck_assert_str_eq(status_of(&s, NULL), "absent -");
	DO(&b, delete_share, .id = CALL_1, .share = &s);
	ck_assert(exists(in_root("one/data")));
}
END_TEST

START_TEST(a_gate_without_its_mark_is_kept)
{
	struct driver_share s = share_at(SHARE_1, "one", "one");

	make_share(SHARE_1, "one");
	ck_assert_int_eq(removexattr(in_root("one"), "user.sharesd"), 0);
	FAILS(&b, ERR_INVALID_STATE, delete_share, .id = CALL_1, .share = &s);
	ck_assert(exists(in_root("one/data")));
}
END_TEST

START_TEST(resizes)
{
	struct driver_share s = share_at(SHARE_1, "one", "one");
	struct outcome o;

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	DO(&b, extend_share, .id = CALL_2, .share = &s, .new_size_bytes = 2 * GIB);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_2);
	shell("dd if=/dev/zero of='%s' bs=1M count=3 status=none && sync '%s'", in_root("one/data/f"),
	      in_root("one/data/f"));
	o = RUN(&b, shrink_share, .id = CALL_3, .share = &s, .new_size_bytes = 2 << 20);
	ck_assert_int_eq(o.e.kind, ERR_DATA_LOSS);
	ck_assert_ptr_nonnull(strstr(o.e.message, "2MiB"));
	outcome_clear(&o);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_2);
	o = WELL(&b, shrink_share, .id = CALL_3, .share = &s, .new_size_bytes = 4 << 20);
	ck_assert_uint_eq(o.works, 1);
	outcome_clear(&o);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_3);
	o = WELL(&b, get_share_usage, .id = CALL_3, .share = &s);
	ck_assert_int_ge(jsonx_int(o.values, "used_bytes"), 3 << 20);
	ck_assert_int_lt(jsonx_int(o.values, "used_bytes"), 4 << 20);
	outcome_clear(&o);
	FAILS(&b, ERR_NOT_FOUND, extend_share, .id = CALL_2,
	      .share = &(struct driver_share){ .id = SHARE_2, .name = "two" });
}
END_TEST

START_TEST(ensures)
{
	struct driver_share shares[] = { share_at(SHARE_1, "one", "one"), share_at(SHARE_2, "two", "two"),
					 share_at(SNAP_1, "three", "three") };
	struct outcome o;
	json_t *found;

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	make_share(SNAP_1, "three");
	ck_assert_int_eq(rmdir(in_root("three/data")), 0);
	o = WELL(&b, ensure_shares, .id = CALL_1, .shares = shares, .n_shares = 3);
	found = json_object_get(o.values, "shares");
	ck_assert_uint_eq(json_object_size(found), 3);
	ck_assert_ptr_null(jsonx_str(json_object_get(found, SHARE_1), "status"));
	ck_assert_ptr_nonnull(json_object_get(json_object_get(found, SHARE_1), "export_locations"));
	ck_assert_str_eq(jsonx_str(json_object_get(found, SHARE_2), "status"), "error");
	ck_assert_ptr_nonnull(strstr(jsonx_str(json_object_get(found, SHARE_2), "status_reason"), in_root("two")));
	ck_assert_str_eq(jsonx_str(json_object_get(found, SNAP_1), "status"), "error");
	outcome_clear(&o);
	o = WELL(&b, get_periodic_hook_data, .id = CALL_1, .shares = shares, .n_shares = 2);
	found = json_object_get(o.values, "shares");
	ck_assert_uint_eq(json_object_size(found), 1);
	ck_assert_str_eq(jsonx_str(json_object_get(found, SHARE_1), "provider_path"), in_root("one/data"));
	outcome_clear(&o);
}
END_TEST

START_TEST(lists_what_is_its_own)
{
	struct outcome o;
	json_t *list;

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	make_share(SHARE_2, "two");
	shell("mkdir '%s' && touch '%s' && ln -s one '%s'", in_root("not ours"), in_root("file"), in_root("link"));
	o = WELL(&b, list_objects, .id = CALL_1);
	list = json_object_get(o.values, "objects");
	ck_assert_uint_eq(json_array_size(list), 2);
	for (size_t i = 0; i < 2; i++) {
		const char *id = jsonx_str(json_array_get(list, i), "id");

		ck_assert_str_eq(jsonx_str(json_array_get(list, i), "kind"), "share");
		ck_assert_str_eq(jsonx_str(json_array_get(list, i), "provider_location"),
				 strcmp(id, SHARE_1) == 0 ? "one" : "two");
		ck_assert_str_eq(jsonx_str(json_array_get(list, i), "name"), strcmp(id, SHARE_1) == 0 ? "one" : "two");
	}
	outcome_clear(&o);
}
END_TEST

START_TEST(setup_clears_what_was_left)
{
	shell("mkdir -p '%s' '%s' && touch '%s'", in_root(".sharesd/staging/x/data/y"), in_root(".sharesd/trash/z/y"),
	      in_root(".sharesd/staging/file"));
	struct outcome o = WELL(&b, do_setup, .id = CALL_1);
	ck_assert(o.purged);
	outcome_clear(&o);
	nothing_is_left();
}
END_TEST

START_TEST(setup_leaves_running_work_alone)
{
	struct driver_share s = share_at(SHARE_1, "one", "one");
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	struct driver_call call = { .id = CALL_2, .share = &s, .snapshot = &snap };
	struct driver_result res = { 0 };
	struct outcome o = { 0 };

	make_share(SHARE_1, "one");
	ck_assert_int_eq(b.ops->create_snapshot(b.state, &call, &res, NULL), 0);
	DO(&b, do_setup, .id = CALL_3);
	while (o.r == 0 && res.work)
		work_step(&b, &call, &res, &o);
	ck_assert_msg(o.r == 0, "%s", o.e.message);
	json_decref(res.values);
	ck_assert_str_eq(status_of(NULL, &snap), "available " CALL_2);
	nothing_is_left();
}
END_TEST

/* ---- without root's rights ---- */

static int use_unprivileged(const void *arg)
{
	struct backend mine = second_backend("mine", BACKEND_2, text("%s/own", dir));
	struct driver_share s = share_named(SHARE_1, "one"), theirs = s;
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	struct driver_rule rule = rule_for("r", "0");
	struct driver_rules rules = { .all = &rule, .n_all = 1 };

	(void)arg;
	DO(&mine, do_setup, .id = CALL_1, .root_is_empty = true);
	DO(&mine, check_for_setup_error, .id = CALL_1);
	DO(&mine, create_share, .id = CALL_1, .share = &s);
	write_text(text("%s/own/one/data/f", dir), "x");
	ck_assert_int_eq(chmod(text("%s/own/one/data/f", dir), 0400), 0);
	theirs.id = SHARE_2;
	theirs.name = "two";
	theirs.uid = 0;
	FAILS(&mine, ERR_NOT_SUPPORTED, create_share, .id = CALL_1, .share = &theirs);
	theirs.uid = s.uid;
	theirs.gid = 0;
	FAILS(&mine, ERR_NOT_SUPPORTED, create_share, .id = CALL_1, .share = &theirs);
	ck_assert(!exists(text("%s/own/two", dir)));
	ck_assert_uint_eq(count_entries(text("%s/own/.sharesd/staging", dir)), 0);
	DO(&mine, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	DO(&mine, create_snapshot, .id = CALL_1, .share = &s, .snapshot = &snap);
	DO(&mine, revert_to_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	ck_assert_str_eq(read_text(text("%s/own/one/data/f", dir)), "x");
	theirs.gid = s.gid;
	DO(&mine, create_share_from_snapshot, .id = CALL_2, .share = &theirs, .snapshot = &snap);
	DO(&mine, delete_share, .id = CALL_3, .share = &theirs);
	DO(&mine, delete_snapshot, .id = CALL_3, .share = &s, .snapshot = &snap);
	DO(&mine, delete_share, .id = CALL_3, .share = &s);
	ck_assert_uint_eq(count_entries(text("%s/own", dir)), 1);
	backend_free(&mine);
	return 0;
}

START_TEST(needs_no_root)
{
	ck_assert_int_eq(mkdir(text("%s/own", dir), 0755), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(text("%s/own", dir), NOBODY, NOBODY), 0);
		ck_assert_int_eq(chmod(dir, 0777), 0); /* for the conf file */
		ck_assert_int_eq(as_user(NOBODY, use_unprivileged, NULL), 0);
	} else {
		use_unprivileged(NULL);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_dir");
	TCase *t = tcase_create("dir");

	tcase_add_checked_fixture(t, setup_dir, teardown_dir);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, marks_its_root);
	tcase_add_test(t, a_missing_mark_is_not_made_anew);
	tcase_add_test(t, another_disk_is_not_taken);
	tcase_add_test(t, a_foreign_root_is_refused);
	tcase_add_test(t, remains_without_a_mark_are_refused);
	tcase_add_loop_test(t, damaged_marks, 0, COUNT(bad_marks));
	tcase_add_test(t, forged_private_directories);
	tcase_add_test(t, unfit_roots);
	tcase_add_test(t, needs_acls);
	tcase_add_test(t, needs_a_writable_root);
	tcase_add_test(t, reports_stats);
	ADD_BOTH(t, creates);
	ADD_BOTH(t, creates_over_the_remains_of_a_first_try);
	ADD_BOTH(t, takes_no_name_that_is_there);
	ADD_BOTH(t, deletes);
	ADD_BOTH(t, deletes_nothing_of_others);
	ADD_BOTH(t, a_planted_link_leads_nowhere);
	tcase_add_test(t, a_forged_gate_is_nobodys);
	tcase_add_test(t, a_gate_without_its_mark_is_kept);
	ADD_BOTH(t, resizes);
	ADD_BOTH(t, ensures);
	ADD_BOTH(t, lists_what_is_its_own);
	tcase_add_test(t, setup_clears_what_was_left);
	tcase_add_test(t, setup_leaves_running_work_alone);
	tcase_add_test(t, needs_no_root);
	suite_add_tcase(s, t);
	return run_suite(s);
}
